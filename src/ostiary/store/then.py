"""The configuration as it was at an earlier revision: who might enter by which door, from what was changed since.

What there is now is taken back, change by change (`revisions.between`), and read with the same code that reads it today
(`Materials`, `AccessRecords`). So what a pack says of a day is what gateways were told then; a test holds the two together.
Keys and the bytes of secrets have no history: what was deleted since cannot be read any more, and that is said.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ostiary.errors import Invalid
from ostiary.model.desired import DesiredListener
from ostiary.model.listener import Listener
from ostiary.model.tls import Trust
from ostiary.pki.chain import plain_certificates
from ostiary.pki.sealing import Sealer
from ostiary.store import access, revisions
from ostiary.store.access import AccessRecords
from ostiary.store.evidence import Position
from ostiary.store.kinds import (
    ACCESS_EXCEPTION,
    ACCESS_RULE,
    AUTHORITY,
    CONTAINER,
    HEALTH_MONITOR,
    HOUSE_SETTINGS,
    LISTENER,
    LOAD_BALANCER,
    MEMBER,
    POOL,
    PROFILE,
    ROTATION,
    Kind,
    R,
)
from ostiary.store.material import Materials
from ostiary.store.store import Reader

# All that is changed by `ops.change` alone, but for secrets: their bytes are not on record.
KNOWN: Final[tuple[Kind[Any], ...]] = (
    AUTHORITY,
    ROTATION,
    PROFILE,
    CONTAINER,
    LOAD_BALANCER,
    POOL,
    LISTENER,
    MEMBER,
    HEALTH_MONITOR,
    ACCESS_RULE,
    ACCESS_EXCEPTION,
    HOUSE_SETTINGS,
)
_CA: Final = "client_ca_tls_container_ref"


@dataclass(frozen=True)
class Door:
    """A listener as it was, with whom it trusted and what they might reach. `problem`: why that is not known any more."""

    listener: Listener
    desired: DesiredListener | None
    in_service: bool
    problem: str = ""


class Then(Reader):
    """A reader of how things were. What has no history it reads as it is now."""

    def __init__(self, reader: Reader, position: Position) -> None:
        super().__init__(reader.connection)
        self.position = position
        self._things = _as_of(reader, position.revision)

    def revision(self) -> int:
        """The revision that was in force."""
        return self.position.revision

    def get(self, kind: Kind[R], resource_id: str) -> R | None:
        """One resource by id."""
        if kind.name not in self._things:
            return super().get(kind, resource_id)
        return self._things[kind.name].get(resource_id)

    def all(self, kind: Kind[R], **where: Any) -> tuple[R, ...]:
        """All resources with these values, oldest first."""
        if kind.name not in self._things:
            return super().all(kind, **where)
        every: Iterable[R] = self._things[kind.name].values()
        return tuple(one for one in every if all(getattr(one, name) == value for name, value in where.items()))

    def doors(self, sealer: Sealer) -> Iterator[Door]:
        """Each listener, in the order in which they were made."""
        materials = Materials(self, sealer)
        records = AccessRecords(self, materials, self.position.at)
        balancers = {one.id: one for one in self.all(LOAD_BALANCER)}
        for listener in self.all(LISTENER):
            balancer = balancers.get(listener.loadbalancer_id)
            serves = bool(balancer and balancer.admin_state_up and listener.admin_state_up)
            address = balancer.vip_address if balancer is not None else "0.0.0.0"
            try:
                trust = _trust(listener, materials)
                its = records.of(listener.id, trust)
            except Invalid as gone:
                yield Door(listener, None, serves, f"What it referred to was deleted since: {gone.message}")
            else:
                yield Door(listener, DesiredListener(listener=listener, address=address, trust=trust, access=its), serves)

    def names(self) -> dict[str, str]:
        """By id, what everything is called that has a name."""
        return {one.id: one.name for things in self._things.values() for one in things.values() if one.name}

    def retired(self) -> frozenset[str]:
        """The fingerprints of authorities that were revoked by then."""
        return access.retired(self, self.position.at)


def _trust(listener: Listener, materials: Materials) -> Trust | None:
    """Whom it trusted; who of those was revoked is told of the certificates themselves."""
    text = listener.client_ca_tls_container_ref
    if not listener.is_tls or listener.client_authentication == "NONE" or text is None:
        return None
    anchors = materials.anchors(text, _CA)
    return Trust(name=f"trust/{anchors.id}", certificates=plain_certificates(anchors.pem, _CA))


def _as_of(reader: Reader, revision: int) -> dict[str, dict[str, Any]]:
    """By kind and id, everything as it was after that revision."""
    found: dict[str, dict[str, Any]] = {kind.name: {one.id: one for one in reader.all(kind)} for kind in KNOWN}
    models = {kind.name: kind.model for kind in KNOWN}
    for change in revisions.between(reader, revision, models):
        if change.after is None:
            found[change.kind].pop(change.resource_id, None)
        else:
            found[change.kind][change.resource_id] = _made(models[change.kind], change.after)
    return {name: dict(sorted(things.items(), key=_made_at)) for name, things in found.items()}


def _made(model: Any, document: Mapping[str, Any]) -> Any:
    # Not strict: it is JSON, so a tuple comes back as a list. Private bytes are not on record, and so not in it.
    return model.model_validate(document, strict=False)


def _made_at(both: tuple[str, Any]) -> tuple[datetime, str]:
    return both[1].created_at, both[0]
