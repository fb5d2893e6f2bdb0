"""Explain: the decision, where it falls, its code, and every check in its turn."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from ostiary.access import members
from ostiary.envoy.resources import Snapshot
from ostiary.errors import Conflict, Denied, Invalid, NotFound
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.desired import Desired, DesiredAccess, DesiredListener
from ostiary.model.explanation import ExplainRequest, Explanation
from ostiary.model.revocation import Revoke
from ostiary.model.roster import Roster, Table
from ostiary.model.tls import Trust
from ostiary.ops import denials, explaining, listeners, rehearsals, revocation, sightings
from ostiary.ops.caller import Caller
from ostiary.ops.explained import shown
from ostiary.ops.explaining import explain
from ostiary.ops.system import System
from ostiary.pki.names import fingerprint_sha256
from support.certs import Authority, Leaf, name
from support.desired import listener
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock

ROOT, OTHER = Authority.root("Root"), Authority.root("Other")
ALICE, BOB, MALLORY = ROOT.client("alice", sans=("DNS:a.test",)), ROOT.client("bob"), OTHER.client("mallory")
TRUST = Trust(name="trust", certificates=ROOT.cert_pem)


def fingerprint(leaf: Leaf) -> str:
    return fingerprint_sha256(leaf.certificate)


def rule(number: int = 1, **fields: Any) -> AccessRule:
    return AccessRule(**{"id": f"r{number}", "name": f"rule {number}", "listener_id": "l1", "position": number, **fields})


def exception(clock: FakeClock, **fields: Any) -> AccessException:
    usual = {"id": "e1", "name": "probes", "listener_id": "l1", "kind": "HEALTH_CHECK", "owner": "ann"}
    return AccessException(**{**usual, "not_after": clock.at + timedelta(days=1), **fields})


def door(*rules: AccessRule, exceptions: tuple[AccessException, ...] = (), **settings: Any) -> DesiredListener:
    mode = settings.setdefault("client_authentication", "MANDATORY")
    trust = None if mode == "NONE" else TRUST.model_copy(update={"rehearsed": mode == "REHEARSAL"})
    access = DesiredAccess(rules=rules, exceptions=exceptions, trusted=(fingerprint_sha256(ROOT.certificate),))
    return listener("l1", trust=trust, access=access, **settings)


def publish(system: System, *doors: DesiredListener, **fields: Any) -> None:
    system.fleet.want(Desired(revision=7, listeners=doors, **fields), Snapshot())


def ask(system: System, leaf: Leaf | None = ALICE, **fields: Any) -> Explanation:
    certificate = leaf.chain_pem if leaf is not None else None
    return explain(system, ADMIN, ExplainRequest(**{"listener_id": "l1", "certificate": certificate, **fields}))


def verdict(found: Any) -> tuple[str, str, str]:
    return found.decision, found.stage, found.reason


def results(found: Any) -> dict[str, str]:
    return {check.name: check.result for check in found.checks}


def test_whoever_holds_a_good_certificate_is_let_in_where_there_are_no_rules(system: System) -> None:
    publish(system, door())
    found = ask(system)
    assert verdict(found) == ("ALLOW", "request", "allowed")
    assert (found.fix, found.access_rule_id, found.would_be, found.revision) == ("", None, None, 7)
    assert found.certificate is not None
    assert (found.certificate.subject, found.certificate.dns) == ("CN=alice", "a.test")
    assert found.certificate.issuer_fingerprint_sha256 == fingerprint_sha256(ROOT.certificate)
    assert set(results(found).values()) == {"passed"}


def test_what_the_handshake_refuses_comes_to_no_rule(system: System) -> None:
    publish(system, door(rule()))
    found = ask(system, MALLORY)
    assert verdict(found) == ("DENY", "handshake", "unknown_authority")
    assert "Client CA" in found.fix
    assert results(found)["presented"] == "passed"
    assert results(found)["issuer"] == "failed"
    assert results(found)["rule rule 1"] == "not reached"
    expired = ask(system, ROOT.expired_client())
    assert verdict(expired) == ("DENY", "handshake", "expired")


def test_a_rule_that_decides_is_named_and_those_after_it_are_not_reached(system: System) -> None:
    rules = (
        rule(1, action="DENY", certificate=Holders(subject_cn=("bob",))),
        rule(2, paths=("/open/*",)),
        rule(3, certificate=Holders(subject_cn=("alice",))),
        rule(4),
    )
    publish(system, door(*rules))
    found = ask(system, path="/admin")
    assert (*verdict(found), found.access_rule_id) == ("ALLOW", "request", "allowed", "r3")
    assert found.detail == "Rule 'rule 3' allows it."
    tail = [(check.name, check.result, check.detail) for check in found.checks][-4:]
    assert tail == [
        ("rule rule 1", "no match", "its subject: CN=alice"),
        ("rule rule 2", "no match", "the path: /admin"),
        ("rule rule 3", "passed", "it fits"),
        ("rule rule 4", "not reached", ""),
    ]
    denied = ask(system, BOB)
    assert (*verdict(denied), denied.access_rule_id) == ("DENY", "request", "denied_by_rule", "r1")


def test_what_no_rule_allows_is_refused_and_the_way_out_is_said(system: System) -> None:
    publish(system, door(rule(paths=("/open",))))
    found = ask(system, path="/")
    assert verdict(found) == ("DENY", "request", "no_rule_allows")
    assert "ostiary access add" in found.fix


def test_who_was_revoked_lately_is_refused_at_the_request(system: System) -> None:
    publish(system, door(), denied=frozenset({fingerprint(ALICE)}))
    assert verdict(ask(system)) == ("DENY", "request", "revoked")
    assert verdict(ask(system, BOB)) == ("ALLOW", "request", "allowed")


def test_groups_are_those_that_gateways_were_told(system: System) -> None:
    publish(
        system,
        door(rule(certificate=Holders(groups=("ops",)))),
        roster=Roster(Table({fingerprint(one): members.entry(["ops"], "") for one in (ALICE, BOB)}), {fingerprint(BOB): ","}),
    )
    assert verdict(ask(system)) == ("ALLOW", "request", "allowed")
    found = ask(system, BOB)
    assert verdict(found) == ("DENY", "request", "no_rule_allows")
    assert found.checks[-1].detail == "the certificate is in none of these groups or profiles"


def test_without_a_certificate_a_listener_that_demands_one_refuses_but_for_exceptions(system: System, clock: FakeClock) -> None:
    publish(system, door())
    assert verdict(ask(system, None)) == ("DENY", "handshake", "no_certificate")
    publish(system, door(exceptions=(exception(clock),)))
    exempt = ask(system, None, path="/healthz")
    assert (*verdict(exempt), exempt.access_exception_id) == ("ALLOW", "request", "exempt", "e1")
    assert exempt.access_rule_id is None
    assert verdict(ask(system, None, path="/")) == ("DENY", "request", "certificate_required")
    publish(system, door(client_authentication="OPTIONAL"))
    assert verdict(ask(system, None)) == ("ALLOW", "request", "allowed")


def test_a_listener_that_asks_nobody_looks_at_no_certificate(system: System) -> None:
    publish(system, door(client_authentication="NONE"), denied=frozenset({fingerprint(ALICE)}))
    for leaf in (ALICE, MALLORY, None):
        found = ask(system, leaf)
        assert verdict(found) == ("ALLOW", "request", "allowed")
        assert found.detail == "The listener asks nobody for a certificate."


def test_of_a_rehearsal_both_are_told(system: System, clock: FakeClock) -> None:
    publish(system, door(rule(paths=("/open",)), client_authentication="REHEARSAL"))
    for leaf, path, would in (
        (ALICE, "/open", ("ALLOW", "request", "allowed")),
        (ALICE, "/", ("DENY", "request", "no_rule_allows")),
        (MALLORY, "/open", ("DENY", "handshake", "unknown_authority")),
        (None, "/open", ("DENY", "handshake", "no_certificate")),
    ):
        found = ask(system, leaf, path=path)
        assert verdict(found) == ("ALLOW", "request", "allowed")
        assert verdict(found.would_be) == would
    publish(system, door(exceptions=(exception(clock),), client_authentication="REHEARSAL"))
    assert verdict(ask(system, None, path="/health").would_be) == ("ALLOW", "request", "exempt")
    # Whoever shows a certificate has it verified, whatever they ask for.
    assert verdict(ask(system, MALLORY, path="/health").would_be) == ("DENY", "handshake", "unknown_authority")


def test_a_rehearsed_rule_decides_only_what_would_be(system: System) -> None:
    publish(system, door(rule(1, action="DENY", paths=("/admin",), shadow=True), rule(2)))
    found = ask(system, path="/admin")
    assert (*verdict(found), found.access_rule_id) == ("ALLOW", "request", "allowed", "r2")
    assert found.would_be is not None
    assert (*verdict(found.would_be), found.would_be.access_rule_id) == ("DENY", "request", "denied_by_rule", "r1")


def test_the_path_is_made_plain_before_rules_read_it(system: System) -> None:
    publish(system, door(rule(1, action="DENY", paths=("/admin/*",)), rule(2)))
    found = ask(system, path="/open/..//%61dmin/x?y")
    assert (verdict(found), found.path) == (("DENY", "request", "denied_by_rule"), "/admin/x?y")
    crooked = ask(system, path="/open/%2fadmin")
    assert (verdict(crooked), crooked.path) == (("DENY", "request", "malformed"), None)
    assert results(crooked)["rule rule 1"] == "not reached"
    assert verdict(ask(system, path="/open/%2e%2e;/admin")) == ("DENY", "request", "malformed")


@pytest.mark.parametrize("host", ["a.test", "A.TEST", "a.test:8443", "a.test.", "a.test.:443"])
def test_a_host_is_one_however_it_is_written(system: System, host: str) -> None:
    publish(system, door(rule(hosts=("a.test",))))
    assert verdict(ask(system, host=host)) == ("ALLOW", "request", "allowed")
    assert verdict(ask(system, host=host, sni="A.test")) == ("ALLOW", "request", "allowed")
    assert verdict(ask(system, host=host, sni="")) == ("ALLOW", "request", "allowed")
    assert verdict(ask(system, host=host, sni="b.test")) == ("DENY", "request", "misdirected")


def test_who_comes_from_elsewhere_does_not_come_to_the_handshake(system: System) -> None:
    publish(system, door(allowed_cidrs=("192.0.2.0/24",)))
    assert verdict(ask(system, source="192.0.2.9")) == ("ALLOW", "request", "allowed")
    found = ask(system, MALLORY, source="203.0.113.1")
    assert verdict(found) == ("DENY", "handshake", "source_not_allowed")
    assert results(found)["issuer"] == "not reached"


def test_an_address_is_needed_only_where_the_answer_hangs_on_it(system: System) -> None:
    publish(system, door(rule(1, paths=("/open",)), rule(2, sources=("192.0.2.0/24",))))
    assert verdict(ask(system, path="/open")) == ("ALLOW", "request", "allowed")
    with pytest.raises(Invalid, match=r"^source: is needed"):
        ask(system, path="/")
    assert verdict(ask(system, path="/", source="192.0.2.1")) == ("ALLOW", "request", "allowed")
    found = ask(system, path="/", source="203.0.113.1")
    assert (*verdict(found), found.access_rule_id) == ("DENY", "request", "source_not_allowed", "r2")
    publish(system, door(allowed_cidrs=("192.0.2.0/24",)))
    with pytest.raises(Invalid, match=r"^source: is needed"):
        ask(system)


def test_another_time_may_be_asked_about(system: System, clock: FakeClock) -> None:
    publish(system, door(rule(not_before=clock.at + timedelta(days=1))))
    assert verdict(ask(system)) == ("DENY", "request", "no_rule_allows")
    assert verdict(ask(system, at=clock.at + timedelta(days=2))) == ("ALLOW", "request", "allowed")
    assert verdict(ask(system, at=clock.at + timedelta(days=99))) == ("DENY", "handshake", "expired")


def test_of_revocation_lists_that_will_have_ended_it_is_taken_that_newer_ones_come(system: System, clock: FakeClock) -> None:
    lists = ROOT.crl(revoked=[BOB], next_update=clock.at + timedelta(days=7))
    trust = TRUST.model_copy(update={"crls": lists})
    publish(system, door().model_copy(update={"trust": trust}))
    later = clock.at + timedelta(days=20)
    assert verdict(ask(system, at=later)) == ("ALLOW", "request", "allowed")
    assert verdict(ask(system, BOB, at=later)) == ("DENY", "handshake", "revoked")
    assert verdict(ask(system, at=clock.at + timedelta(days=99))) == ("DENY", "handshake", "expired")
    clock.advance(days=8)
    assert verdict(ask(system)) == ("DENY", "handshake", "status_unknown")


def test_where_lists_that_have_ended_let_in_they_say_still_who_is_revoked(system: System, clock: FakeClock) -> None:
    lists = ROOT.crl(revoked=[BOB], next_update=clock.at - timedelta(hours=1), last_update=clock.at - timedelta(days=1))
    lenient = door(stale_revocation="ALLOW", stale_allow_hours=2)
    publish(system, lenient.model_copy(update={"trust": TRUST.model_copy(update={"crls": lists})}))
    assert verdict(ask(system)) == ("ALLOW", "request", "allowed")
    assert verdict(ask(system, BOB)) == ("DENY", "handshake", "revoked")
    clock.advance(hours=2)
    assert verdict(ask(system)) == ("DENY", "handshake", "status_unknown")


def test_names_that_cannot_be_printed_are_shown_by_escapes(system: System) -> None:
    alternative = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("300682020aff8600"))
    odd = ROOT.client(subject=name("a\u202eb"), extensions=[(alternative, False)])
    publish(system, door(rule(certificate=Holders(san_dns=("a.test",)))))
    found = ask(system, odd)
    assert verdict(found) == ("DENY", "request", "malformed")
    assert found.certificate is not None
    assert (found.certificate.subject, found.certificate.dns) == ("CN=a\\E2\\80\\AEb", "\\0A\\xff")


def test_what_is_not_there_is_said(system: System) -> None:
    publish(system, door())
    with pytest.raises(NotFound, match="nowhere"):
        ask(system, listener_id="nowhere")
    with pytest.raises(NotFound, match="nobody"):
        ask(system, None, certificate_id="nobody")
    with pytest.raises(Invalid, match="certificate_id"):
        ask(system, ALICE, certificate_id="both")
    for nonsense in ("nothing", ALICE.key_pem, ALICE.cert_pem[:200]):
        with pytest.raises(Invalid, match=r"^certificate: "):
            explain(system, ADMIN, ExplainRequest(listener_id="l1", certificate=nonsense))


def test_only_who_may_read_rules_may_ask(system: System) -> None:
    publish(system, door())
    for role in ("admin", "operator", "auditor"):
        assert explain(system, Caller("someone", role), ExplainRequest(listener_id="l1")).decision == "DENY"
    for role in ("enrolling", "holder", "guest"):
        with pytest.raises(Denied):
            explain(system, Caller("someone", role), ExplainRequest(listener_id="l1"))


def test_before_anything_was_published_the_records_are_asked(system: System) -> None:
    authority = an_authority(system)
    balancer = a_balancer(system)
    made = a_listener(
        system, balancer, client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{authority.id}"
    )
    certificate = a_certificate(system, authority)
    asked = ExplainRequest(listener_id=made.id, certificate_id=certificate.id)
    assert verdict(explain(system, ADMIN, asked)) == ("ALLOW", "request", "allowed")
    revocation.revoke(system, ADMIN, certificate.id, Revoke(reason="keyCompromise"))
    assert verdict(explain(system, ADMIN, asked))[::2] == ("DENY", "revoked")
    listeners.update(system, ADMIN, made.id, {"admin_state_up": False})
    with pytest.raises(Conflict, match="not in service"):
        explain(system, ADMIN, asked)
    publish(system)
    listeners.update(system, ADMIN, made.id, {"admin_state_up": True})  # the gateways have not heard of it
    assert verdict(explain(system, ADMIN, asked))[::2] == ("DENY", "revoked")


def test_a_certificate_is_known_again_wherever_somebody_told_it(system: System, clock: FakeClock) -> None:
    issued = a_certificate(system, an_authority(system))
    at = clock.at.isoformat()
    seen = {"fingerprint_sha256": fingerprint(ALICE), "listener_id": "l1", "first_seen": at, "last_seen": at}
    told = {"sequence": 1, "sightings": [seen], "certificates": {fingerprint(ALICE): ALICE.cert_pem}}
    sightings.seen(system, "g", told)
    example = {"fingerprint_sha256": fingerprint(BOB)}
    usual = {"listener_id": "l1", "stage": "handshake", "code": "expired", "first": at, "last": at, "count": 1}
    refused = {**usual, "who": fingerprint(BOB), "example": example, "certificate": BOB.cert_pem}
    denials.denied(system, "g", {"sequence": 1, "denials": [refused]})
    rehearsed = {**usual, "who": fingerprint(MALLORY), "certificate": MALLORY.cert_pem}
    rehearsals.rehearsed(system, "g", {"sequence": 1, "denials": [rehearsed]})

    def known(fingerprint: str, listener_id: str = "l1") -> str | None:
        return explaining.told(system, ADMIN, fingerprint, listener_id)

    assert known(issued.fingerprint_sha256) == issued.certificate + issued.chain
    for leaf in (ALICE, BOB, MALLORY):
        assert known(fingerprint(leaf)) == leaf.cert_pem
    assert known(fingerprint(MALLORY), "l2") is None
    assert known("0" * 64) is None
    with pytest.raises(Denied):
        explaining.told(system, Caller(name="h", role="holder"), fingerprint(ALICE), "l1")


def test_what_is_shown_is_told_one_after_the_other_and_of_what_cannot_be_read_its_fingerprint() -> None:
    intermediate = ROOT.intermediate("Below")
    leaf = intermediate.client("carol")
    first, second = shown(leaf.cert_pem + intermediate.cert_pem)
    assert (first.subject, first.issuer) == ("CN=carol", "CN=Below")
    assert first.fingerprint_sha256 == fingerprint(leaf)
    assert first.not_after == leaf.certificate.not_valid_after_utc
    assert second.issuer == "CN=Root"
    (broken,) = shown("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    assert (broken.subject, broken.not_after, len(broken.fingerprint_sha256)) == ("", None, 64)
    with pytest.raises(Invalid):
        shown("nothing")
