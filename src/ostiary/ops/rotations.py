"""Rotate an authority, guided: the new one beside the old, re-issue, count who is left, remove, or undo."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Authority, Certificate
from ostiary.model.listener import Listener
from ostiary.model.query import Page, Query
from ostiary.model.reference import parse
from ostiary.model.rotation import Rotation
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_balancer
from ostiary.ops.listeners import trust_stamped
from ostiary.ops.system import System
from ostiary.store import clients
from ostiary.store.kinds import ACCESS_RULE, AUTHORITY, LISTENER, POOL, ROTATION, Kind
from ostiary.store.store import Reader, Transaction

# Who was seen in this time with a certificate of the old authority is taken for a client that would be shut out.
SEEN_WITHIN: Final = timedelta(days=30)


@dataclass(frozen=True)
class Progress:
    """How far a rotation is. Clients hold a good certificate of the old authority and none of the new.

    `active` were seen or got it lately, `seen` are those of them that were seen, `dormant` neither. `strangers` were seen lately
    with a certificate of the old authority that is not on record here: an imported one signed it elsewhere.
    """

    holders: tuple[str, ...]
    active: int
    seen: int
    dormant: int
    strangers: int
    last_seen: datetime | None
    some: tuple[Certificate, ...]

    @property
    def shut_out(self) -> int:
        """How many clients removing the old authority would shut out, as far as is known."""
        return self.active + self.strangers


@asks()
def start(system: System, caller: Caller, from_id: str, to_id: str) -> Rotation:
    """Add the new authority beside the old on every listener and pool that trusts it. Nobody is refused by this."""
    with change(system, caller, "rotation:start") as transaction:
        old, new = (_authority(transaction, each, field) for each, field in ((from_id, "from_id"), (to_id, "to_id")))
        if old.series_id == new.series_id:
            raise Invalid("to_id", "it works under the same name already; roll the authority instead, or choose another")
        _refuse_mixture(old, new)
        for known in transaction.all(ROTATION, state="UNDER_WAY"):
            if {known.from_series_id, known.to_series_id} & {old.series_id, new.series_id}:
                raise Conflict(f"Rotation {known.id} of one of them is under way; finish or undo it first.")
        made = Rotation(
            id=new_id(),
            name=f"{old.name} → {new.name}"[:255],
            from_series_id=old.series_id,
            to_series_id=new.series_id,
            started_at=transaction.at,
        )
        _touch_holders(transaction, old.series_id)
        return transaction.insert(ROTATION, made)


def progress(system: System, caller: Caller, rotation_id: str, *, show: int = 20) -> Progress:
    """Who is left on the old authority. Raises `NotFound`."""
    caller.must("rotation:read")
    with system.store.read() as reader:
        return _progress(reader, reader.require(ROTATION, rotation_id), system.clock(), show)


@asks()
def finish(system: System, caller: Caller, rotation_id: str, *, force: bool = False) -> Rotation:
    """Remove the old authority from every listener and pool: they trust the new one alone.

    Raises `Conflict` while clients hold good certificates of the old one, unless forced; then the record says how many.
    """
    with change(system, caller, "rotation:finish") as transaction:
        rotation = _under_way(transaction, rotation_id)
        left = _progress(transaction, rotation, transaction.at, 0)
        if left.shut_out and not force:
            raise Conflict(
                f"{left.shut_out} clients still hold certificates of the old authority ({left.seen + left.strangers} of them "
                f"were seen within {SEEN_WITHIN.days} days); have them renew, revoke these, or force it and shut them out."
            )
        _touch_holders(transaction, rotation.to_series_id, shrinks=True)
        moved = _move_holders(transaction, rotation.from_series_id, rotation.to_series_id)
        news = {
            "state": "FINISHED",
            "ended_at": transaction.at,
            "ended_by": caller.name,
            "forced": bool(left.shut_out),
            "clients_shut_out": left.shut_out,
            "moved": moved,
        }
        return transaction.replace(ROTATION, rotation, rotation.model_copy(update=news))


@asks()
def undo(system: System, caller: Caller, rotation_id: str) -> Rotation:
    """Take the new authority off again, or, after the end, put the old one back in its place."""
    with change(system, caller, "rotation:undo") as transaction:
        rotation = transaction.require(ROTATION, rotation_id)
        if rotation.state == "UNDONE":
            raise Conflict(f"Rotation {rotation_id} was undone at {rotation.ended_at:%Y-%m-%d %H:%M} UTC.")
        if rotation.state == "FINISHED":
            _authority(transaction, rotation.from_series_id, "from_id")
            _move_holders(transaction, rotation.to_series_id, rotation.from_series_id, only=rotation.moved)
        else:
            for series_id in (rotation.from_series_id, rotation.to_series_id):  # while it goes on, either trusts both
                _touch_holders(transaction, series_id, shrinks=True)
        news = {"state": "UNDONE", "ended_at": transaction.at, "ended_by": caller.name}
        return transaction.replace(ROTATION, rotation, rotation.model_copy(update=news))


def get(system: System, caller: Caller, rotation_id: str) -> Rotation:
    """One rotation. Raises `NotFound`."""
    caller.must("rotation:read")
    with system.store.read() as reader:
        return reader.require(ROTATION, rotation_id)


def find(system: System, caller: Caller, query: Query) -> Page[Rotation]:
    """Rotations that match."""
    caller.must("rotation:read")
    with system.store.read() as reader:
        return reader.find(ROTATION, query)


def _authority(reader: Reader, authority_id: str, field: str) -> Authority:
    authority = reader.get(AUTHORITY, authority_id)
    if authority is None:
        raise Invalid(field, f"there is no authority {authority_id}")
    if authority.revoked_at is not None:
        raise Invalid(field, f"authority {authority_id} was revoked; choose another")
    return authority


def _refuse_mixture(old: Authority, new: Authority) -> None:
    """The engine checks revocation of a root's clients up to the root, of a bare intermediate's only the client's own."""
    if old.has_key and new.has_key and old.kind != new.kind:
        raise Invalid(
            "to_id",
            f"'{new.name}' is of kind {new.kind} and '{old.name}' of kind {old.kind}, and the engine cannot check the revocation "
            "lists of both in one listener; rotate to one of the same kind",
        )


def _under_way(transaction: Transaction, rotation_id: str) -> Rotation:
    rotation = transaction.require(ROTATION, rotation_id)
    if rotation.state != "UNDER_WAY":
        raise Conflict(f"Rotation {rotation_id} is over: {rotation.state}.")
    return rotation


def _progress(reader: Reader, rotation: Rotation, at: datetime, show: int) -> Progress:
    since = at - SEEN_WITHIN
    series = reader.all(AUTHORITY, series_id=rotation.from_series_id)
    left = clients.of_series(reader, rotation.from_series_id, at, since, show)
    return Progress(
        holders=tuple(dict.fromkeys(holder for _, holder, _ in _holders(reader, rotation.from_series_id))),
        active=left.active,
        seen=left.seen,
        dormant=left.dormant,
        strangers=clients.strangers(reader, tuple(one.subject for one in series), since),
        last_seen=left.last_seen,
        some=left.some,
    )


def _holders(reader: Reader, series_id: str) -> list[tuple[str, str, str]]:
    """Who refers to any authority of the series: kind, id, field."""
    return [holder for one in reader.ids(AUTHORITY, series_id=series_id) for holder in reader.holders(one)]


def _touch_holders(transaction: Transaction, series_id: str, *, shrinks: bool = False) -> None:
    """Whom they trust changes though they stay as they are; where it `shrinks`, connections opened before are told apart."""
    for kind, holder_id, _ in _holders(transaction, series_id):
        if kind == LISTENER.name:
            listener = transaction.require(LISTENER, holder_id)
            if shrinks:
                stamp = {"trust_revision": transaction.next_revision}
                transaction.replace(LISTENER, listener, listener.model_copy(update=stamp))
            transaction.touch(LISTENER, holder_id)
            touch_balancer(transaction, listener.loadbalancer_id)
        elif kind == POOL.name:
            transaction.touch(POOL, holder_id)


def _move_holders(
    transaction: Transaction, from_series: str, to_series: str, only: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Turn listeners, pools and access rules from the one authority to the other; the ids of those turned."""
    ours = set(transaction.ids(AUTHORITY, series_id=from_series))
    moved = []
    for kind_name, holder_id, field in _holders(transaction, from_series):
        if only is not None and holder_id not in only:
            continue
        if kind_name == ACCESS_RULE.name:
            rule = transaction.require(ACCESS_RULE, holder_id)
            named = tuple(dict.fromkeys(to_series if one in ours else one for one in rule.certificate.authority_ids))
            certificate = rule.certificate.model_copy(update={"authority_ids": named})
            transaction.replace(ACCESS_RULE, rule, rule.model_copy(update={"certificate": certificate}))
            moved.append(holder_id)
            continue
        kind: Kind[Any] = LISTENER if kind_name == LISTENER.name else POOL
        before = transaction.require(kind, holder_id)
        if parse(getattr(before, field), field).id not in ours:
            continue
        after = before.model_copy(update={field: f"/v1/authorities/{to_series}"})
        if isinstance(after, Listener):
            after = trust_stamped(transaction, after, before)
        transaction.replace(kind, before, after)
        if isinstance(before, Listener):
            touch_balancer(transaction, before.loadbalancer_id)
        moved.append(holder_id)
    return tuple(dict.fromkeys(moved))
