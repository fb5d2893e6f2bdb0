"""Issue, renew, wait for approval: once only, never for a key that is somebody else's, never after revocation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Conflict, Denied, Invalid
from ostiary.kept import Kept
from ostiary.model.authority import Authority, Certificate, NewCertificate, RequestedNames
from ostiary.model.query import Query
from ostiary.model.revocation import Revoke
from ostiary.ops import audit, authorities, certificates, profiles, requests, revocation, series
from ostiary.ops.caller import Caller
from ostiary.ops.idempotency import Once, forget_old
from ostiary.ops.system import System
from ostiary.store.engine import migrate, open_engine
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Store
from support.certs import Authority as Elsewhere
from support.certs import Key, csr, new_key
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock
from support.visitors import forged

ALICE, BOB, CAROL = (Caller(name=name, role="operator") for name in ("alice", "bob", "carol"))


def new(authority: Authority, cn: str = "alice", key: Key | None = None, **fields: object) -> NewCertificate:
    return NewCertificate(authority_id=authority.id, csr=csr(key or new_key(), cn), **fields)  # type: ignore[arg-type]  # by name


def renew(system: System, old: Certificate, key: Key | None = None, *, by_holder: bool = True) -> Certificate:
    return certificates.renew(system, ADMIN, old.id, csr(key or new_key(), "ignored"), by_holder=by_holder)


def test_a_key_of_another_holder_or_name_is_refused_but_the_same_may_ask_again(system: System) -> None:
    authority, key = an_authority(system), new_key()
    certificates.issue(system, ADMIN, new(authority, "alice", key, owner="alice"))
    certificates.issue(system, ADMIN, new(authority, "alice", key, owner="alice"))
    for other in (new(authority, "mallory", key, owner="alice"), new(authority, "alice", key, owner="mallory")):
        with pytest.raises(Invalid, match="csr: its key is in certificate"):
            certificates.issue(system, ADMIN, other)


def test_a_key_that_was_compromised_gets_no_certificate_ever_again(system: System) -> None:
    authority, key = an_authority(system), new_key()
    made = certificates.issue(system, ADMIN, new(authority, "alice", key))
    revocation.revoke(system, ADMIN, made.id, Revoke(reason="keyCompromise"))
    with pytest.raises(Invalid, match="revoked as compromised"):
        certificates.issue(system, ADMIN, new(an_authority(system, "Another CA"), "alice", key))


def test_the_key_of_any_authority_is_refused(system: System) -> None:
    authority, other = an_authority(system), an_authority(system, "Other CA")
    a_certificate(system, authority)
    key = system.desks.get(authority.id).bench.issuer.key
    for signer in (authority, other):
        with pytest.raises(Invalid, match=r"csr: its key is .*authority"):
            certificates.issue(system, ADMIN, new(signer, "x", key))


def test_a_renewed_certificate_has_the_same_names_and_holder_a_new_key_and_a_new_time(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    names = RequestedNames(common_name="device 1", dns=("d1.test",), ip=("10.0.0.1",), uri=("urn:d:1",), email=("d@d1.test",))
    old = certificates.issue(system, ADMIN, new(authority, key=new_key(), names=names, owner="acme", groups=("field",)))
    clock.advance(days=60)
    made = renew(system, old)
    assert (made.subject, made.sans, made.owner, made.groups, made.profile) == (
        old.subject,
        old.sans,
        old.owner,
        old.groups,
        old.profile,
    )
    assert made.replaces == old.id
    assert made.key_sha256 != old.key_sha256
    assert made.serial != old.serial
    assert made.not_after > old.not_after
    assert certificates.status(system, old) == "VALID"


def test_the_holder_renews_in_the_window_only_and_an_operator_at_any_time(system: System, clock: FakeClock) -> None:
    old = a_certificate(system, an_authority(system), lifetime=timedelta(days=90))
    with pytest.raises(Conflict, match="too early"):
        renew(system, old)
    renew(system, old, by_holder=False)
    clock.advance(days=31)
    renew(system, old)


@pytest.mark.parametrize("reason", ["superseded", "keyCompromise", "certificateHold"])
def test_a_revoked_certificate_is_not_renewed_by_anybody(system: System, clock: FakeClock, reason: str) -> None:
    old = a_certificate(system, an_authority(system))
    revocation.revoke(system, ADMIN, old.id, Revoke(reason=reason))  # type: ignore[arg-type]  # literals
    clock.advance(days=60)
    for by_holder in (True, False):
        with pytest.raises(Conflict, match="cannot be renewed"):
            renew(system, old, by_holder=by_holder)


def test_an_expired_certificate_is_not_renewed_by_anybody(system: System, clock: FakeClock) -> None:
    old = a_certificate(system, an_authority(system), lifetime=timedelta(days=1))
    clock.advance(days=1, seconds=1)
    for by_holder in (True, False):
        with pytest.raises(Conflict, match="expired"):
            renew(system, old, by_holder=by_holder)


def test_a_renewal_with_the_old_key_is_refused(system: System, clock: FakeClock) -> None:
    key = new_key()
    old = certificates.issue(system, ADMIN, new(an_authority(system), "alice", key))
    clock.advance(days=60)
    with pytest.raises(Invalid, match="csr: its key is that of the certificate it renews"):
        renew(system, old, key)


def test_a_look_alike_is_not_the_certificate_on_record(system: System) -> None:
    """PKI pitfall 12: same serial, same names, other bytes."""
    authority = an_authority(system)
    held = a_certificate(system, authority)
    real = x509.load_pem_x509_certificate(held.certificate.encode())
    look_alike, _ = forged(real, Elsewhere.root("Test CA"))
    with system.store.read() as reader:
        assert certificates.held_by(reader, real.public_bytes(Encoding.DER)) == held
        with pytest.raises(Denied):
            certificates.held_by(reader, look_alike.public_bytes(Encoding.DER))


def test_a_retried_request_gets_the_same_certificate(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    wanted, once = new(authority), Once("key", "1" * 64)
    first = certificates.issue(system, ADMIN, wanted, once)
    assert certificates.issue(system, ADMIN, wanted, once) == first
    with pytest.raises(Conflict, match="Idempotency-Key"):
        certificates.issue(system, ADMIN, new(authority), Once("key", "2" * 64))
    other_person = certificates.issue(system, Caller("bob", "admin"), new(authority, "bob"), Once("key", "1" * 64))
    assert other_person.id != first.id
    clock.advance(hours=25)
    assert forget_old(system) == 2
    assert certificates.issue(system, ADMIN, new(authority, "c"), Once("key", "3" * 64)).id != first.id


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_retries_that_come_together_issue_once(
    database: str, request: pytest.FixtureRequest, system: System, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}" if database == "sqlite" else str(request.getfixturevalue("postgres_url"))
    engine = open_engine(url)
    migrate(engine)
    system = System(Store(engine, system.clock), system.sealer, clock=system.clock)
    authority = an_authority(system)
    wanted, once = new(authority), Once("key", "1" * 64)
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda _: certificates.issue(system, ADMIN, wanted, once).id, range(24)))
    assert len(set(made)) == 1
    with system.store.read() as reader:
        assert reader.count(CERTIFICATE) == 1
    assert audit.verify(system, ADMIN).problem is None
    system.store.close()


def test_issuing_is_no_new_configuration(system: System) -> None:
    authority = an_authority(system)
    with system.store.read() as reader:
        before = reader.revision()
    a_certificate(system, authority)
    with system.store.read() as reader:
        assert reader.revision() == before


def with_approval(system: System, approval: str) -> None:
    """The built-in profile 'client', with people who have to agree."""
    profiles.update(system, ADMIN, "client", {"approval": approval})


def test_what_needs_approval_waits_for_another_person(system: System) -> None:
    authority = an_authority(system)
    with_approval(system, "one")
    with pytest.raises(Conflict, match="approval"):
        certificates.issue(system, ALICE, new(authority))
    asked = requests.submit(system, ALICE, new(authority, justification="new laptop", owner="alice"))
    assert (asked.status, asked.requested_by, asked.justification, asked.asked_for) == (
        "PENDING",
        "alice",
        "new laptop",
        ("common_name:alice",),
    )
    with pytest.raises(Denied, match="alice asked for it"):
        requests.approve(system, ALICE, asked.id)
    done = requests.approve(system, BOB, asked.id, "known to me")
    assert done.status == "ISSUED"
    assert done.certificate_id is not None
    made = certificates.get(system, ADMIN, done.certificate_id)
    assert (made.owner, made.subject) == ("alice", "CN=alice")
    with pytest.raises(Conflict, match="was decided"):
        requests.approve(system, CAROL, asked.id)


def test_a_request_that_waits_and_is_sent_again_is_one_request(system: System) -> None:
    authority = an_authority(system)
    with_approval(system, "one")
    wanted, once = new(authority), Once("key", "1" * 64)
    asked = certificates.ask(system, ALICE, wanted, once)
    assert certificates.ask(system, ALICE, wanted, once) == asked
    assert len(requests.find(system, ADMIN, Query()).items) == 1
    with_approval(system, "automatic")
    with pytest.raises(Conflict, match="Idempotency-Key"):
        certificates.ask(system, ALICE, wanted, once)


def test_two_approvals_are_two_people(system: System) -> None:
    authority = an_authority(system)
    with_approval(system, "two")
    asked = requests.submit(system, ALICE, new(authority))
    assert requests.approve(system, BOB, asked.id).status == "PENDING"
    with pytest.raises(Denied, match="bob has agreed already"):
        requests.approve(system, BOB, asked.id)
    assert requests.approve(system, CAROL, asked.id).status == "ISSUED"


def test_approvals_that_come_together_issue_once(system: System) -> None:
    authority = an_authority(system)
    with_approval(system, "one")
    asked = requests.submit(system, ALICE, new(authority))
    people = [Caller(f"p{number}", "operator") for number in range(8)]

    def try_it(person: Caller) -> bool:
        try:
            return requests.approve(system, person, asked.id).status == "ISSUED"
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_it, people)) == 1
    with system.store.read() as reader:
        assert reader.count(CERTIFICATE) == 1


def test_a_refusal_needs_a_reason_and_is_the_end_of_it(system: System) -> None:
    authority = an_authority(system)
    with_approval(system, "one")
    asked = requests.submit(system, ALICE, new(authority))
    with pytest.raises(Invalid, match="reason"):
        requests.refuse(system, BOB, asked.id, " ")
    gone = requests.refuse(system, BOB, asked.id, "who is that?")
    assert (gone.status, gone.decisions[0].reason, gone.decisions[0].by) == ("REFUSED", "who is that?", "bob")
    with pytest.raises(Conflict):
        requests.approve(system, CAROL, asked.id)


def test_what_policy_refuses_does_not_even_wait(system: System) -> None:
    authority = an_authority(system)
    with_approval(system, "one")
    with pytest.raises(Invalid, match="lifetime"):
        requests.submit(system, ALICE, new(authority, lifetime=timedelta(days=3000)))


def test_a_request_that_nobody_decides_lapses(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    with_approval(system, "one")
    asked = requests.submit(system, ALICE, new(authority))
    clock.advance(days=8)
    with pytest.raises(Conflict, match="lapsed"):
        requests.approve(system, BOB, asked.id)
    assert requests.lapse_due(system) == 1
    assert requests.get(system, ADMIN, asked.id).status == "REFUSED"


def test_the_policy_at_the_time_of_approval_decides(system: System) -> None:
    root = an_authority(system)
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    with_approval(system, "one")
    asked = requests.submit(system, ALICE, new(issuing))
    revocation.revoke_authority(system, ADMIN, issuing.id, Revoke())
    with pytest.raises(Invalid, match="was revoked"):
        requests.approve(system, BOB, asked.id)
    assert requests.get(system, ADMIN, asked.id).status == "PENDING"


def test_the_next_issuing_ca_takes_over_when_one_has_signed_its_share(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "LARGEST", 3)
    root = an_authority(system)
    first = an_authority(system, "Clients", kind="intermediate", parent_id=root.id)
    made = [a_certificate(system, first, f"c{number}") for number in range(3)]
    assert {one.authority_id for one in made} == {first.id}
    assert series.roll_due(system) == 1
    assert series.roll_due(system) == 0
    later = a_certificate(system, first, "later")
    second = authorities.get(system, ADMIN, later.authority_id)
    assert (second.series_id, second.generation, second.name, second.parent_id) == (first.id, 2, "Clients", root.id)
    assert second.subject == "CN=Clients G2"
    assert a_certificate(system, second, "by its own id").authority_id == second.id


def test_a_root_is_not_rolled(system: System) -> None:
    with pytest.raises(Invalid, match="only an intermediate"):
        series.roll(system, ADMIN, an_authority(system).id)


def test_certificates_say_where_their_issuer_answers_once_others_can_reach_it(system: System) -> None:
    authority = an_authority(system)
    nowhere = x509.load_pem_x509_certificate(a_certificate(system, authority, "a").certificate.encode())
    with pytest.raises(x509.ExtensionNotFound):
        nowhere.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    public = replace(system, public_url="http://pki.example/", desks=Kept(8))
    made = x509.load_pem_x509_certificate(a_certificate(public, authority, "b").certificate.encode())
    (point,) = made.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name == [x509.UniformResourceIdentifier(f"http://pki.example/pki/{authority.id}.crl")]
    access = made.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [one.access_location.value for one in access] == [
        f"http://pki.example/ocsp/{authority.id}",
        f"http://pki.example/pki/{authority.id}.crt",
    ]
