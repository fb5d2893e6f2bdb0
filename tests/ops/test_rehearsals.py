"""What gateways tell of rehearsals is on record once, with the reason the handshake would have given; and what it means."""

from datetime import timedelta
from typing import Any

import pytest

from ostiary.access.words import FIXES
from ostiary.errors import Conflict, Denied, Invalid, NotFound
from ostiary.model.access import AccessRule
from ostiary.model.listener import Listener
from ostiary.ops import access, listeners, rehearsals
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.certs import Authority, Leaf
from support.made import a_balancer, a_listener, a_secret
from support.statements import counted
from support.systems import ADMIN, FakeClock

CA = Authority.root("Rehearsed root")


def a_rehearsal(system: System, mode: str = "REHEARSAL") -> Listener:
    trusted = {} if mode == "NONE" else {"client_ca_tls_container_ref": a_secret(system, CA.cert_pem)}
    return a_listener(system, a_balancer(system), client_authentication=mode, **trusted)


def would_be(clock: FakeClock, listener: Listener, leaf: Leaf | None = None, ago: float = 0, **fields: Any) -> dict[str, Any]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    at = (clock.at - timedelta(seconds=ago)).isoformat()
    fingerprint = leaf.certificate.fingerprint(hashes.SHA256()).hex() if leaf else ""
    shown = {"who": fingerprint or "192.0.2.1", "certificate": leaf.cert_pem if leaf else ""}
    example = {"client": "192.0.2.1", "fingerprint_sha256": fingerprint, "subject": "CN=x" if leaf else "", "host": "a.test"}
    usual = {"listener_id": listener.id, "stage": "request", "code": "unverified" if leaf else "no_certificate", "rule_id": ""}
    times = {"first": at, "last": at, "count": 1}
    return {**usual, **shown, **times, "trust_revision": listener.trust_revision, "example": example, **fields}


def told(system: System, sequence: int, *entries: Any, gateway: str = "g1") -> int:
    return rehearsals.rehearsed(system, gateway, {"sequence": sequence, "denials": list(entries)})


def test_the_reason_is_the_one_that_the_handshake_would_have_given(system: System, clock: FakeClock) -> None:
    listener = a_rehearsal(system)
    guests = {
        "expired": CA.expired_client(),
        "not_yet_valid": CA.future_client(),
        "wrong_purpose": CA.server_only_client(),
        "unknown_authority": Authority.root("Elsewhere").client("mallory"),
    }
    assert told(system, 1, would_be(clock, listener), *(would_be(clock, listener, leaf) for leaf in guests.values())) == 0
    found = rehearsals.report(system, ADMIN, listener.id)
    assert {one.code for one in found.refused} == {"no_certificate", *guests}
    assert found.rehearsal.totals.refused_clients == 5
    assert all(rehearsals.fix(one.code) == FIXES[one.code] for one in found.reasons)


def test_a_certificate_that_cannot_be_read_or_was_not_told_is_no_reason_to_lose_the_batch(
    system: System, clock: FakeClock
) -> None:
    listener, leaf = a_rehearsal(system), CA.expired_client()
    entries = [would_be(clock, listener, leaf, certificate=pem, who=f"{who:064x}") for who, pem in enumerate(("", "nonsense"))]
    assert told(system, 1, *entries, {"listener_id": "l1"}, "nonsense") == 2
    codes = sorted(one.code for one in rehearsals.report(system, ADMIN, listener.id).refused)
    assert codes == ["malformed", "unverified"]
    assert "comes again" in rehearsals.fix("unverified")


def test_so_many_strange_certificates_that_not_all_can_be_looked_into_are_told_all_the_same(
    system: System, clock: FakeClock
) -> None:
    listener, leaf = a_rehearsal(system), CA.expired_client()
    many = [would_be(clock, listener, leaf, who=f"{number:064x}") for number in range(30)]
    told(system, 1, *many)
    codes = [one.code for one in rehearsals.report(system, ADMIN, listener.id).refused]
    assert (codes.count("expired"), codes.count("unverified")) == (20, 10)
    told(system, 2, *many)
    codes = [one.code for one in rehearsals.report(system, ADMIN, listener.id).refused]
    assert codes.count("expired") == 30


def test_with_long_lists_who_stands_on_one_is_known_all_the_same(system: System, clock: FakeClock) -> None:
    revoked = CA.client("revoked")
    lists = CA.crl([revoked, *range(10**9, 10**9 + 40_000)])
    fields = {"client_ca_tls_container_ref": a_secret(system, CA.cert_pem), "client_crl_container_ref": a_secret(system, lists)}
    listener = a_listener(system, a_balancer(system), client_authentication="REHEARSAL", **fields)
    told(system, 1, would_be(clock, listener, revoked), would_be(clock, listener, CA.server_only_client()))
    codes = {one.code for one in rehearsals.report(system, ADMIN, listener.id).refused}
    assert codes == {"revoked", "wrong_purpose"}


def test_what_is_told_again_changes_nothing_and_what_is_no_batch_is_refused(system: System, clock: FakeClock) -> None:
    listener = a_rehearsal(system)
    for gateway, sequence in (("g1", 7), ("g2", 3), ("g1", 7), ("g1", 6)):
        told(system, sequence, would_be(clock, listener), gateway=gateway)
    assert rehearsals.report(system, ADMIN, listener.id).rehearsal.totals.requests == 2
    for batch in (
        {},
        {"sequence": 0},
        {"sequence": "1"},
        {"sequence": 9, "denials": {}},
        {"sequence": 9, "denials": [{}] * 1001},
    ):
        with pytest.raises(Invalid):
            rehearsals.rehearsed(system, "g1", batch)


def test_a_rehearsal_that_begins_again_counts_anew(system: System, clock: FakeClock) -> None:
    listener = a_rehearsal(system)
    told(system, 1, would_be(clock, listener))
    first = rehearsals.report(system, ADMIN, listener.id).rehearsal
    listeners.update(system, ADMIN, listener.id, {"client_authentication": "OPTIONAL"})
    with pytest.raises(Conflict, match="nothing is rehearsed"):
        rehearsals.report(system, ADMIN, listener.id)
    clock.advance(hours=1)
    again = listeners.update(system, ADMIN, listener.id, {"client_authentication": "REHEARSAL"})
    told(system, 2, would_be(clock, listener))  # of a connection that is as old as the first one
    told(system, 3, would_be(clock, again, code="allowed"))
    second = rehearsals.report(system, ADMIN, listener.id).rehearsal
    assert (first.totals.refused_clients, second.totals.refused_clients, second.totals.clients) == (1, 0, 1)
    assert second.since >= first.since + timedelta(hours=1)


def test_before_certificates_are_demanded_it_is_said_whom_that_shuts_out(system: System, clock: FakeClock) -> None:
    listener = a_rehearsal(system)
    told(system, 1, would_be(clock, listener), would_be(clock, listener, CA.client("x"), code="allowed"))
    made = rehearsals.preview(system, ADMIN, listener.id, client_authentication="MANDATORY")
    assert (made.clients, made.refused, [one.code for one in made.some]) == (2, 1, ["no_certificate"])
    assert rehearsals.preview(system, ADMIN, listener.id, client_authentication="NONE").refused == 0
    other = rehearsals.preview(system, ADMIN, listener.id, client_authentication="MANDATORY", client_ca="/v1/secrets/other")
    assert (other.refused, "whom another would refuse is not known" in other.notes[0]) == (1, True)
    same = {"client_authentication": "MANDATORY", "client_ca": f"http://elsewhere{listener.client_ca_tls_container_ref}"}
    assert rehearsals.preview(system, ADMIN, listener.id, **same).notes == ()
    optional = rehearsals.preview(system, ADMIN, listener.id, client_authentication="OPTIONAL")
    assert (optional.clients, optional.refused, optional.some) == (2, 0, ())
    clock.advance(hours=25)
    late = rehearsals.preview(system, ADMIN, listener.id, client_authentication="MANDATORY")
    assert (late.clients, late.refused) == (0, 0)
    assert late.since == clock.at - timedelta(hours=24) or late.since < clock.at


@pytest.mark.parametrize("mode", ["NONE", "OPTIONAL"])
def test_where_nothing_was_rehearsed_it_is_said_what_is_not_known(system: System, mode: str) -> None:
    listener = a_rehearsal(system, mode)
    made = rehearsals.preview(system, ADMIN, listener.id, client_authentication="MANDATORY")
    assert (made.clients, made.refused) == (None if mode == "NONE" else 0, None)
    assert "Rehearse it first" in made.notes[0]


def test_a_rule_is_rehearsed_by_itself_since_it_was_made(system: System, clock: FakeClock) -> None:
    listener = a_rehearsal(system, "MANDATORY")
    assert rehearsals.find(system, ADMIN) == ()
    rule = access.create(system, ADMIN, AccessRule(listener_id=listener.id, name="no bob", action="DENY", shadow=True))
    other = access.create(system, ADMIN, AccessRule(listener_id=listener.id, name="all"))
    entries = [
        would_be(clock, listener, who="a" * 64, code="denied_by_rule", rule_id=rule.id, trust_revision=0),
        would_be(clock, listener, who="b" * 64, code="allowed", rule_id=other.id, trust_revision=0),
        would_be(clock, listener, who="c" * 64, code="denied_by_rule", rule_id=rule.id, trust_revision=0, ago=3600),
    ]
    told(system, 1, *entries)
    (rehearsal,) = rehearsals.find(system, ADMIN)
    assert (rehearsal.scope, rehearsal.since, rehearsal.totals.clients) == ("RULES", rule.created_at, 2)
    (its,) = rehearsals.report(system, ADMIN, listener.id).rules
    assert its.refused is not None
    assert (its.name, its.refused.clients, its.allowed) == ("no bob", 1, None)
    assert rehearsals.preview(system, ADMIN, listener.id, access_rule_id=rule.id).refused == 1
    assert rehearsals.preview(system, ADMIN, listener.id, access_rule_id=other.id).notes == ("The rule is in force already.",)


def test_who_may_ask_and_for_what(system: System) -> None:
    listener = a_rehearsal(system)
    for ask in (
        lambda: rehearsals.report(system, ADMIN, "none"),
        lambda: rehearsals.preview(system, ADMIN, "none", client_authentication="MANDATORY"),
    ):
        with pytest.raises(NotFound):
            ask()
    for change in ({}, {"client_authentication": "SOME"}, {"access_rule_id": "none"}):
        with pytest.raises(Invalid):
            rehearsals.preview(system, ADMIN, listener.id, **change)
    assert rehearsals.find(system, Caller("x", "auditor"))
    with pytest.raises(Denied):
        rehearsals.find(system, Caller("x", "holder"))


def test_what_is_old_is_forgotten(system: System, clock: FakeClock) -> None:
    listener = a_rehearsal(system)
    told(system, 1, would_be(clock, listener))
    clock.advance(days=91)
    assert rehearsals.forget_old(system) == 1
    assert rehearsals.report(system, ADMIN, listener.id).rehearsal.totals.clients == 0


def test_a_page_of_them_says_the_same_as_each_report_and_asks_the_database_no_more_for_many(
    system: System, clock: FakeClock
) -> None:
    trust = {"client_ca_tls_container_ref": a_secret(system, CA.cert_pem)}
    balancer = a_balancer(system)
    doors = [
        a_listener(
            system, balancer, name=f"Door {number}", protocol_port=8443 + number, client_authentication="REHEARSAL", **trust
        )
        for number in range(5)
    ]
    demanding = a_listener(system, balancer, name="door 9", protocol_port=9443, client_authentication="MANDATORY", **trust)
    a_listener(system, balancer, name="door 10", protocol_port=9444, client_authentication="MANDATORY", **trust)
    access.create(system, ADMIN, AccessRule(name="r", listener_id=demanding.id, paths=("/a",), shadow=True))
    for sequence, door in enumerate(doors[:3], start=1):
        told(system, sequence, would_be(clock, door), would_be(clock, door, code="allowed", who="192.0.2.2", count=3))
    with counted(system.store) as few:
        first = rehearsals.page(system, ADMIN, limit=2)
    with counted(system.store) as many:
        rest = rehearsals.page(system, ADMIN, limit=50, after=first.items[-1].listener_id)
    assert few.count == many.count
    assert (first.more, rest.more) == (True, False)
    assert [one.listener_name for one in (*first.items, *rest.items)] == [*(f"Door {number}" for number in range(5)), "door 9"]
    for one in (*first.items, *rest.items):
        whole = rehearsals.report(system, ADMIN, one.listener_id).rehearsal
        assert one.model_copy(update={"lately": whole.lately}) == whole
        assert one.lately.totals == whole.lately.totals
    (found,) = rehearsals.page(system, ADMIN, limit=50, search=("OOR", "3")).items
    assert found.listener_id == doors[3].id
    with pytest.raises(Denied):
        rehearsals.page(system, Caller(name="h", role="holder"), limit=1)
