"""The one write path: all or nothing, recorded, numbered, told to those who wait."""

from dataclasses import replace

import pytest

from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.pool import Member
from ostiary.model.query import Query
from ostiary.ops import audit, balancers, containers, listeners, members, pools, revisions, secrets
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.certs import Authority
from support.made import a_balancer, a_listener, a_member, a_pool, a_secret, an_authority
from support.systems import ADMIN


def revision(system: System) -> int:
    with system.store.read() as reader:
        return reader.revision()


def test_each_change_is_the_next_revision_and_tells_who_waits(system: System) -> None:
    told: list[int] = []
    listening = replace(system, committed=told.append)
    balancer = a_balancer(listening)
    balancers.update(listening, ADMIN, balancer.id, {"name": "other"})
    assert told == [1, 2]
    assert revision(system) == 2


def test_a_refused_change_moves_nothing(system: System) -> None:
    told: list[int] = []
    listening = replace(system, committed=told.append)
    balancer = a_balancer(system)
    a_listener(system, balancer, protocol_port=8443)
    before = revision(system)
    with pytest.raises(Conflict, match=r"protocol_port: port 8443 at 127\.0\.0\.1 is taken by listener .* \(door\)"):
        a_listener(listening, balancer, protocol_port=8443)
    with pytest.raises(Invalid, match="default_pool_id"):
        a_listener(listening, balancer, protocol_port=8444, default_pool_id="nowhere")
    assert (revision(system), told) == (before, [])


def test_a_port_at_all_addresses_clashes_with_the_same_port_at_one(system: System) -> None:
    one, everywhere = a_balancer(system), a_balancer(system, vip_address="0.0.0.0")
    a_listener(system, one)
    with pytest.raises(Conflict, match="8443"):
        a_listener(system, everywhere)


def test_whoever_has_no_role_may_change_nothing(system: System) -> None:
    with pytest.raises(Denied, match="may not loadbalancer:create"):
        balancers.create(system, Caller(name="mallory", role="nobody"), a_balancer(system))


def test_every_change_is_on_record_with_who_what_and_the_difference(system: System) -> None:
    balancer = a_balancer(system)
    balancers.update(system, ADMIN, balancer.id, {"description": "new"})
    created, updated = audit.find(system, ADMIN)
    assert (created["actor"], created["action"], created["resource_id"], created["source"]) == (
        "admin", "loadbalancer:create", balancer.id, "127.0.0.1",
    )  # fmt: skip
    assert created["before"] is None
    assert updated["before"]["description"] == ""
    assert updated["after"]["description"] == "new"
    assert "name" not in updated["after"]
    assert updated["previous_hash"] == created["hash"]
    assert audit.verify(system, ADMIN).problem is None


def test_secrets_and_keys_never_enter_the_record(system: System) -> None:
    a_secret(system, "MARKER-a-secret-payload")
    an_authority(system)
    a_listener(system, a_balancer(system))
    written = str(audit.find(system, ADMIN, limit=1000))
    assert "MARKER" not in written
    assert "PRIVATE KEY" not in written
    assert "sealed_key" not in written


def test_the_status_of_what_is_above_moves_with_what_is_below(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    listener = a_listener(system, balancer, default_pool_id=pool.id)
    member = a_member(system, pool)
    assert member.revision == pools.get(system, ADMIN, pool.id).revision
    assert member.revision == listeners.get(system, ADMIN, listener.id).revision
    assert member.revision == balancers.get(system, ADMIN, balancer.id).revision


def test_null_puts_a_field_back_to_its_default(system: System) -> None:
    listener = a_listener(system, a_balancer(system), timeout_client_data=1000, tls_versions=("TLSv1.3",))
    after = listeners.update(system, ADMIN, listener.id, {"timeout_client_data": None, "tls_versions": None})
    assert (after.timeout_client_data, after.tls_versions) == (50_000, ("TLSv1.2", "TLSv1.3"))


@pytest.mark.parametrize("field", ["id", "protocol", "protocol_port", "loadbalancer_id", "revision", "created_at", "nonsense"])
def test_what_is_fixed_derived_or_unknown_cannot_be_changed(system: System, field: str) -> None:
    listener = a_listener(system, a_balancer(system))
    with pytest.raises(Invalid) as refused:
        listeners.update(system, ADMIN, listener.id, {field: "x"})
    assert refused.value.field == field


def test_a_load_balancer_with_children_goes_only_with_cascade(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    a_member(system, pool)
    a_listener(system, balancer, default_pool_id=pool.id)
    with pytest.raises(Invalid, match="has children"):
        balancers.delete(system, ADMIN, balancer.id)
    balancers.delete(system, ADMIN, balancer.id, cascade=True)
    assert balancers.find(system, ADMIN, Query()).items == ()
    assert listeners.find(system, ADMIN, Query()).items == ()


def test_a_deleted_pool_leaves_its_listener_without_one(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    listener = a_listener(system, balancer, default_pool_id=pool.id)
    pools.delete(system, ADMIN, pool.id)
    assert listeners.get(system, ADMIN, listener.id).default_pool_id is None


def test_members_can_be_set_all_at_once(system: System) -> None:
    pool = a_pool(system, a_balancer(system))
    kept, gone = a_member(system, pool, 1000), a_member(system, pool, 1001)
    wanted = [_member(1000, weight=7), _member(1002)]
    after = members.replace(system, ADMIN, pool.id, wanted)
    assert [(member.protocol_port, member.weight) for member in after] == [(1000, 7), (1002, 1)]
    assert after[0].id == kept.id
    listed = members.find(system, ADMIN, pool.id, Query()).items
    assert gone.id not in {member.id for member in listed}
    added = members.replace(system, ADMIN, pool.id, [_member(1003)], additive_only=True)
    assert len(members.find(system, ADMIN, pool.id, Query()).items) == 3
    with pytest.raises(Invalid, match="given twice"):
        members.replace(system, ADMIN, pool.id, [_member(1003), _member(1003)])
    assert added[0].pool_id == pool.id


def test_going_back_restores_everything_configured_since_then(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    listener = a_listener(system, balancer, default_pool_id=pool.id, description="as it was")
    good = revision(system)
    listeners.update(system, ADMIN, listener.id, {"description": "spoilt", "default_pool_id": None})
    a_member(system, pool)
    other = a_pool(system, balancer)
    a_listener(system, balancer, protocol_port=9443, default_pool_id=other.id)
    pools.delete(system, ADMIN, pool.id)
    made = revisions.revert(system, ADMIN, good)
    restored = listeners.get(system, ADMIN, listener.id)
    assert (restored.description, restored.default_pool_id) == ("as it was", pool.id)
    assert [item.id for item in listeners.find(system, ADMIN, Query()).items] == [listener.id]
    assert [item.id for item in pools.find(system, ADMIN, Query()).items] == [pool.id]
    assert members.find(system, ADMIN, pool.id, Query()).items == ()
    assert made == revision(system) == good + 6
    revisions.revert(system, ADMIN, made - 1)
    assert {item.id for item in pools.find(system, ADMIN, Query()).items} == {other.id}
    assert audit.verify(system, ADMIN).problem is None


def test_going_back_makes_our_own_server_certificate_anew_and_leaves_none_behind(system: System) -> None:
    listener = a_listener(system, a_balancer(system), protocol="TERMINATED_HTTPS")
    good, made = revision(system), _stored_names(system)
    assert len(made) == 3  # A container, its certificate and its key.
    listeners.delete(system, ADMIN, listener.id)
    without = revision(system)
    assert _stored_names(system) == []
    revisions.revert(system, ADMIN, good)
    restored = listeners.get(system, ADMIN, listener.id)
    assert _stored_names(system) == made
    assert restored.default_tls_container_ref != listener.default_tls_container_ref
    revisions.revert(system, ADMIN, without)
    assert _stored_names(system) == []


def _stored_names(system: System) -> list[str]:
    found = (*containers.find(system, ADMIN, Query()).items, *secrets.find(system, ADMIN, Query()).items)
    return sorted(item.name for item in found)


def test_going_back_to_what_needs_a_deleted_secret_is_refused_whole(system: System) -> None:
    listener = a_listener(system, a_balancer(system))
    href = a_secret(system, Authority.root("Partner").cert_pem)
    listeners.update(system, ADMIN, listener.id, {"client_ca_tls_container_ref": href})
    with_secret = revision(system)
    listeners.update(system, ADMIN, listener.id, {"client_ca_tls_container_ref": None})
    secrets.delete(system, ADMIN, href.rsplit("/", 1)[1])
    before = revision(system)
    with pytest.raises(Invalid, match="client_ca_tls_container_ref: there is no secret"):
        revisions.revert(system, ADMIN, with_secret)
    assert revision(system) == before


def _member(port: int, **fields: int) -> Member:
    return Member(address="127.0.0.1", protocol_port=port, **fields)  # type: ignore[arg-type]  # only integers are given


def test_an_update_that_changes_nothing_is_no_revision(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    member = a_member(system, pool)
    listener = a_listener(system, balancer, default_pool_id=pool.id)
    before = revision(system)
    assert listeners.update(system, ADMIN, listener.id, {}) == listener
    assert members.update(system, ADMIN, pool.id, member.id, {"weight": 1}).revision == member.revision
    assert pools.update(system, ADMIN, pool.id, {"name": None}).name == ""
    assert revision(system) == before
    assert balancers.get(system, ADMIN, balancer.id).revision == before
