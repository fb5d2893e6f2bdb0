"""The history a page at a time; and going back: what it would change is known before, and is what it then does."""

from typing import Any

import pytest

from ostiary.errors import Conflict, Denied, NotFound
from ostiary.model.pool import Member
from ostiary.ops import balancers, listeners, members, pools, revisions, spoken_of
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store.kinds import KINDS
from support.made import a_balancer, a_listener, a_member, a_pool, an_authority
from support.systems import ADMIN

AUDITOR = Caller(name="olga", role="auditor")


def state(system: System) -> dict[str, Any]:
    """How things are, without what the store notes of them."""
    with system.store.read() as reader:
        every = {one.id: one.model_dump(mode="json") for kind in KINDS if kind.configured for one in reader.all(kind)}
    noted = {"revision", "created_at", "updated_at"}
    return {key: {name: value for name, value in one.items() if name not in noted} for key, one in every.items()}


def test_revisions_come_newest_first_with_how_much_each_changed(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    for port in range(8080, 8085):
        a_member(system, pool, port)
    found = revisions.page(system, AUDITOR, limit=3)
    assert [one.revision.number for one in found] == [7, 6, 5]
    assert {one.things for one in found} == {1}
    assert [one.revision.number for one in revisions.page(system, AUDITOR, before=3, limit=3)] == [2, 1]
    assert [one.revision.number for one in revisions.page(system, AUDITOR, after=3, limit=3)] == [6, 5, 4]
    assert revisions.current(system, AUDITOR) == 7


def test_of_a_revision_that_changed_much_some_is_read(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    members.replace(system, ADMIN, pool.id, [Member(address="127.0.0.1", protocol_port=port) for port in range(9000, 9012)])
    detail, count = revisions.part(system, AUDITOR, 3, limit=5, offset=10)
    assert (len(detail.changes), count) == (2, 12)
    assert detail.revision.actor == "admin"
    with pytest.raises(NotFound):
        revisions.part(system, AUDITOR, 4, limit=5)


def test_what_going_back_would_change_is_told_and_is_what_it_does(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    first = a_member(system, pool)
    listener = a_listener(system, balancer, default_pool_id=pool.id)
    then, number = state(system), revisions.current(system, ADMIN)
    balancers.update(system, ADMIN, balancer.id, {"description": "one"})
    balancers.update(system, ADMIN, balancer.id, {"description": "two"})
    members.delete(system, ADMIN, pool.id, first.id)
    listeners.update(system, ADMIN, listener.id, {"connection_limit": 7})
    other = a_pool(system, balancer, name="other")
    pools.update(system, ADMIN, other.id, {"name": "another"})
    now = state(system)

    preview = revisions.preview(system, AUDITOR, number)
    assert preview.current == revisions.current(system, ADMIN)
    told = {one.resource_id: one for one in preview.changes}
    assert set(told) == {balancer.id, first.id, listener.id, other.id}
    assert (told[balancer.id].before or {})["description"] == "two"
    assert (told[balancer.id].after or {})["description"] == ""
    assert told[first.id].before is None
    assert told[other.id].after is None
    assert {key for key in then.keys() | now.keys() if then.get(key) != now.get(key)} == set(told)

    made = revisions.revert(system, ADMIN, number, seen=preview.current)
    assert state(system) == then
    changed, _count = revisions.part(system, ADMIN, made, limit=100)
    assert {one.resource_id for one in changed.changes} == set(told)
    assert revisions.preview(system, AUDITOR, number).changes == ()


def test_what_was_changed_and_changed_back_would_not_change(system: System) -> None:
    balancer = a_balancer(system)
    balancers.update(system, ADMIN, balancer.id, {"description": "x"})
    balancers.update(system, ADMIN, balancer.id, {"description": ""})
    gone = a_balancer(system, name="gone", vip_address="127.0.0.2")
    balancers.delete(system, ADMIN, gone.id)
    assert revisions.preview(system, ADMIN, 1).changes == ()


def test_facts_stay_and_are_not_told(system: System) -> None:
    a_balancer(system)
    an_authority(system)
    assert revisions.preview(system, ADMIN, 1).changes == ()


def test_nobody_goes_back_on_what_they_have_not_seen(system: System) -> None:
    balancer = a_balancer(system)
    balancers.update(system, ADMIN, balancer.id, {"description": "one"})
    seen = revisions.preview(system, ADMIN, 1).current
    balancers.update(system, ADMIN, balancer.id, {"name": "theirs"})
    with pytest.raises(Conflict, match="Revision 3 was made meanwhile"):
        revisions.revert(system, ADMIN, 1, seen=seen)
    now = balancers.get(system, ADMIN, balancer.id)
    assert (now.name, now.description) == ("theirs", "one")


def test_a_preview_of_what_there_never_was_is_refused(system: System) -> None:
    a_balancer(system)
    with pytest.raises(NotFound):
        revisions.preview(system, ADMIN, 2)
    assert [one.after for one in revisions.preview(system, ADMIN, 0).changes] == [None]
    with pytest.raises(Denied):
        revisions.preview(system, Caller(name="eve", role="enrolling"), 0)


def test_things_are_called_by_their_names_while_they_are_there(system: System) -> None:
    balancer, authority = a_balancer(system, name="shop"), an_authority(system, "Partners")
    asked = [("loadbalancer", balancer.id), ("authority", authority.id), ("loadbalancer", "gone"), ("unheard-of", "x")]
    assert spoken_of.named(system, AUDITOR, asked) == {asked[0]: "shop", asked[1]: "Partners"}
