"""How things were at an earlier revision is what was read at that revision, whatever was done since."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ostiary.errors import Refusal
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.authority import Authority, NewAuthority
from ostiary.model.desired import DesiredListener
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.revocation import Revoke
from ostiary.ops import access, authorities, exceptions, listeners, revisions, revocation, rotations
from ostiary.ops.system import System
from ostiary.store import evidence
from ostiary.store.access import retired
from ostiary.store.desired import desired
from ostiary.store.kinds import LISTENER
from ostiary.store.then import KNOWN, Then
from support.made import a_balancer, a_listener, an_authority
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

NOTED: Final = {"revision", "updated_at"}  # of what a change touches without changing it, there is no history
Deed = Callable[["House", int], None]


class House:
    """A system with two CAs and a listener, and what may be done to it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.system: System = a_system(sqlite_url(folder), self.clock)
        self.root = an_authority(self.system, "root")
        self.authorities: list[Authority] = [
            an_authority(self.system, name, kind="intermediate", parent_id=self.root.id) for name in ("a", "b")
        ]
        self.balancer = a_balancer(self.system)
        self.listener = a_listener(self.system, self.balancer, **self.trusting(0))
        self.port = 9000

    def trusting(self, number: int) -> dict[str, Any]:
        ca = self.authorities[number % len(self.authorities)]
        return {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{ca.id}"}

    def some_rule(self, number: int) -> AccessRule:
        found = access.find(self.system, ADMIN, Query()).items
        return found[number % len(found)]

    def some_listener(self, number: int) -> Listener:
        found = listeners.find(self.system, ADMIN, Query()).items
        return found[number % len(found)]


def _another_listener(house: House, number: int) -> None:
    house.port += 1
    a_listener(house.system, house.balancer, name=f"l{number}", protocol_port=house.port, **house.trusting(number))


def _mode(house: House, number: int) -> None:
    modes = ("OPTIONAL", "MANDATORY", "REHEARSAL", "NONE")
    listeners.update(house.system, ADMIN, house.some_listener(number).id, {"client_authentication": modes[number % 4]})


def _ca(house: House, number: int) -> None:
    listeners.update(house.system, ADMIN, house.some_listener(number).id, house.trusting(number // 2))


def _gone(house: House, number: int) -> None:
    listeners.delete(house.system, ADMIN, house.some_listener(number).id)


def _rule(house: House, number: int) -> None:
    holders = Holders(authority_ids=(house.authorities[number % len(house.authorities)].id,)) if number % 2 else Holders()
    position = 1 if number % 3 == 0 else None
    wanted = AccessRule(listener_id=house.some_listener(number).id, name=f"r{number}", certificate=holders, position=position)
    access.create(house.system, ADMIN, wanted)


def _rule_changed(house: House, number: int) -> None:
    access.update(house.system, ADMIN, house.some_rule(number).id, {"paths": (f"/{number}/*",), "shadow": number % 2 == 0})


def _rule_gone(house: House, number: int) -> None:
    access.delete(house.system, ADMIN, house.some_rule(number).id)


def _exception(house: House, number: int) -> None:
    wanted = AccessException(
        listener_id=house.some_listener(number).id,
        name=f"e{number}",
        kind="PATHS",
        paths=(f"/public/{number}",),
        owner="ann",
        not_after=house.clock.at + timedelta(hours=1 + number),
    )
    exceptions.create(house.system, ADMIN, wanted)


def _authority(house: House, number: int) -> None:
    wanted = NewAuthority(name=f"ca{number}", kind="intermediate", parent_id=house.root.id)
    house.authorities.append(authorities.create(house.system, ADMIN, wanted))


def _revoked(house: House, number: int) -> None:
    revocation.revoke_authority(house.system, ADMIN, house.authorities[number % len(house.authorities)].id, Revoke())


def _rotation(house: House, number: int) -> None:
    one, other = (house.authorities[(number + step) % len(house.authorities)] for step in (0, 1))
    rotations.start(house.system, ADMIN, one.id, other.id)


def _rotated(house: House, number: int) -> None:
    found = rotations.find(house.system, ADMIN, Query(filters=(("state", "UNDER_WAY"),))).items
    (rotations.finish if number % 2 else rotations.undo)(house.system, ADMIN, found[number % len(found)].id)


def _back(house: House, number: int) -> None:
    with house.system.store.read() as reader:
        revision = reader.revision()
    revisions.revert(house.system, ADMIN, number % (revision + 1))


def _time(house: House, number: int) -> None:
    house.clock.advance(hours=1 + number % 5)


DEEDS: Final[tuple[Deed, ...]] = (
    *(_another_listener, _mode, _ca, _gone, _rule, _rule, _rule_changed, _rule_gone, _exception),
    *(_authority, _revoked, _rotation, _rotated, _back, _time),
)


def told(thing: Any) -> Any:
    """A thing without what is not its own: when it was touched, and its key, which is not on record."""
    return thing.model_copy(update={name: None for name in (*NOTED, "sealed_key") if name in type(thing).model_fields})


def doors_now(house: House) -> dict[str, Any]:
    """What `store.desired` says that gateways should do, as far as it has a history."""
    at = house.clock.at
    with house.system.store.read() as reader:
        found = {one.listener.id: _door(one) for one in desired(reader, house.system.sealer, at).listeners}
        return {"doors": found, "retired": retired(reader, at), "revision": reader.revision(), "at": at}


def _door(one: DesiredListener) -> Any:
    trusted = None if one.trust is None else one.trust.certificates
    rules = tuple(map(told, one.access.rules)), tuple(map(told, one.access.exceptions))
    return told(one.listener), trusted, rules, one.access.authorities, one.access.trusted


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(range(len(DEEDS))), st.integers(0, 11)), min_size=1, max_size=14))
def test_what_was_desired_at_each_revision_is_what_is_found_of_it_later(deeds: list[tuple[int, int]]) -> None:
    with TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.clock.advance(seconds=1)
        was = [doors_now(house)]
        for which, number in deeds:
            try:
                DEEDS[which](house, number)
            except (Refusal, ZeroDivisionError):
                continue  # there is nothing of the kind, or it may not be done now
            house.clock.advance(seconds=1)
            was.append(doors_now(house))
        for moment in was:
            with house.system.store.read() as reader:
                position = evidence.position(reader, moment["at"])
                then = Then(reader, position)
                doors = [one for one in then.doors(house.system.sealer) if one.in_service]
                assert position.revision == then.revision() == moment["revision"]
                assert {one.listener.id: _door(one.desired) for one in doors if one.desired} == moment["doors"]
                assert then.retired() == moment["retired"]
        house.system.store.close()


def test_now_is_as_it_is_now(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.clock.advance(seconds=1)
    with house.system.store.read() as reader:
        then = Then(reader, evidence.position(reader, house.clock.at))
        for kind in KNOWN:
            assert {one.id: told(one) for one in then.all(kind)} == {one.id: told(one) for one in reader.all(kind)}, kind.name
        assert then.all(LISTENER, name="door") == reader.all(LISTENER, name="door")
        assert then.get(LISTENER, house.listener.id) is not None
        assert then.names()[house.root.id] == "root"
    house.system.store.close()


def test_before_everything_there_was_nothing_but_what_is_there_from_the_beginning(tmp_path: Path) -> None:
    house = House(tmp_path)
    with house.system.store.read() as reader:
        position = evidence.position(reader, house.clock.at - timedelta(days=1))
        then = Then(reader, position)
        assert (position.sequence, position.revision) == (0, 0)
        assert [kind.name for kind in KNOWN if then.all(kind)] == []
    house.system.store.close()
