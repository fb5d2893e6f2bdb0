"""Access exceptions: whoever wants one answers for it, and it ends."""

from datetime import timedelta
from typing import Any

import pytest

from ostiary.errors import Conflict, Denied, Invalid, Overtaken
from ostiary.model.access import LONGEST_EXCEPTION, AccessException
from ostiary.model.desired import Desired
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.ops import exceptions, listeners, revisions, watching
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store.desired import desired
from support.made import a_balancer, a_listener
from support.systems import ADMIN, FakeClock

DAY = timedelta(days=1)


@pytest.fixture
def door(system: System) -> Listener:
    return a_listener(system, a_balancer(system))


def an_exception(system: System, door: Listener, **fields: Any) -> AccessException:
    usual = {
        "name": "status page",
        "kind": "PATHS",
        "paths": ("/status",),
        "owner": "ann",
        "not_after": system.clock() + 30 * DAY,
    }
    return exceptions.create(system, ADMIN, AccessException(**{"listener_id": door.id, **usual, **fields}))


def wanted(system: System) -> Desired:
    with system.store.read() as reader:
        return desired(reader, system.sealer, system.clock())


def names(system: System) -> list[str]:
    (one,) = wanted(system).listeners
    return [exception.name for exception in one.access.exceptions]


def test_an_exception_ends_by_itself_and_stays_listed(system: System, door: Listener, clock: FakeClock) -> None:
    made = an_exception(system, door, not_after=clock() + 10 * DAY)
    assert (names(system), wanted(system).good_until) == (["status page"], made.not_after)
    assert (exceptions.state(made, clock()), exceptions.days_left(made, clock())) == ("ACTIVE", 9)
    clock.advance(days=10)
    assert (names(system), wanted(system).good_until) == ([], None)
    assert (exceptions.state(made, clock()), exceptions.days_left(made, clock())) == ("ENDED", 0)
    assert exceptions.find(system, ADMIN, Query()).items == (made,)
    exceptions.update(system, ADMIN, made.id, {"not_after": clock() + DAY})
    assert names(system) == ["status page"]
    exceptions.delete(system, ADMIN, made.id)
    assert names(system) == []


def test_what_is_desired_is_good_until_the_first_of_them_ends(system: System, door: Listener, clock: FakeClock) -> None:
    first = clock() + DAY
    an_exception(system, door, not_after=first + DAY)
    an_exception(system, door, paths=("/other",), not_after=first)
    assert wanted(system).good_until == first


def test_somebody_is_told_before_it_ends(system: System, door: Listener, clock: FakeClock) -> None:
    def said() -> list[tuple[str, str, int | None]]:
        found = watching.warnings(system, ADMIN)
        return [(one.name, one.owner, one.within_days) for one in found if one.kind == "ACCESS_EXCEPTION"]

    an_exception(system, door, not_after=clock() + 8 * DAY)
    assert said() == []
    clock.advance(days=2)
    assert said() == [("status page", "ann", 7)]


@pytest.mark.parametrize(
    ("field", "words", "fields"),
    [
        ("listener_id", "there is no listener", {"listener_id": "nowhere"}),
        ("paths", "say which paths", {"paths": ()}),
        ("paths", "OPTIONAL instead", {"paths": ("/a", "/*")}),
        ("paths", "OPTIONAL instead", {"kind": "HEALTH_CHECK", "paths": ("/*",)}),
        ("not_after", "over already", {"after": -DAY}),
        ("not_after", "within 366 days", {"after": LONGEST_EXCEPTION + DAY}),
    ],
)
def test_what_is_not_an_exception_is_refused(
    system: System, door: Listener, clock: FakeClock, field: str, words: str, fields: dict[str, Any]
) -> None:
    after = {"not_after": clock() + fields.pop("after")} if "after" in fields else {}
    with pytest.raises(Invalid, match=words) as refusal:
        an_exception(system, door, **fields, **after)
    assert refusal.value.field == field
    assert exceptions.find(system, ADMIN, Query()).items == ()


def test_of_a_preflight_or_a_health_check_no_path_need_be_said(system: System, door: Listener) -> None:
    an_exception(system, door, name="cors", kind="CORS_PREFLIGHT", paths=())
    an_exception(system, door, name="every path", kind="CORS_PREFLIGHT", paths=("/*",))
    an_exception(system, door, name="health", kind="HEALTH_CHECK", paths=())
    assert names(system) == ["cors", "every path", "health"]


def test_the_same_is_not_excepted_twice_at_a_time(system: System, door: Listener, clock: FakeClock) -> None:
    made = an_exception(system, door, paths=("/a", "/b"))
    other = an_exception(system, door, paths=("/c",))
    with pytest.raises(Conflict, match="renew that one"):
        an_exception(system, door, paths=("/b", "/a"), owner="bob")
    with pytest.raises(Conflict, match=made.id):
        exceptions.update(system, ADMIN, other.id, {"paths": ("/a", "/b")})
    clock.advance(days=31)
    an_exception(system, door, paths=("/a", "/b"))


def test_a_change_of_exceptions_is_a_change_of_the_listener(system: System, door: Listener) -> None:
    made = an_exception(system, door)
    assert listeners.get(system, ADMIN, door.id).revision == made.revision
    after = exceptions.update(system, ADMIN, made.id, {"owner": "bob"})
    assert (after.owner, listeners.get(system, ADMIN, door.id).revision) == ("bob", made.revision + 1)
    with pytest.raises(Invalid, match="cannot be changed"):
        exceptions.update(system, ADMIN, made.id, {"kind": "HEALTH_CHECK"})
    exceptions.delete(system, ADMIN, made.id)
    assert listeners.get(system, ADMIN, door.id).revision == made.revision + 2


def test_exceptions_come_back(system: System, door: Listener) -> None:
    made = an_exception(system, door)
    exceptions.update(system, ADMIN, made.id, {"paths": ("/other",)})
    listeners.delete(system, ADMIN, door.id)
    revisions.revert(system, ADMIN, made.revision)
    assert exceptions.get(system, ADMIN, made.id).paths == ("/status",)
    assert names(system) == ["status page"]


def test_auditors_only_read(system: System, door: Listener) -> None:
    made = an_exception(system, door)
    auditor = Caller(name="ada", role="auditor")
    assert exceptions.get(system, auditor, made.id) == made
    with pytest.raises(Denied):
        exceptions.delete(system, auditor, made.id)


def test_one_that_is_ended_by_hand_lets_nobody_in_any_more_and_stays_on_record(
    system: System, door: Listener, clock: FakeClock
) -> None:
    made = an_exception(system, door)
    ended = exceptions.end(system, ADMIN, made.id)
    assert (exceptions.state(ended, clock()), names(system), ended.not_after <= clock()) == ("ENDED", [], True)
    assert exceptions.end(system, ADMIN, made.id) == ended
    assert an_exception(system, door).name == made.name  # the same may be asked for again
    with pytest.raises(Denied):
        exceptions.end(system, Caller(name="ada", role="auditor"), made.id)


def test_whoever_comes_second_is_told_what_was_changed(system: System, door: Listener) -> None:
    made = an_exception(system, door)
    exceptions.update(system, ADMIN, made.id, {"owner": "bob"})
    with pytest.raises(Overtaken) as overtaken:
        exceptions.update(system, ADMIN, made.id, {"name": "other"}, since=made.revision)
    assert overtaken.value.changes == {"owner": ("ann", "bob")}
