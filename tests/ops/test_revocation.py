"""Revocation: what may follow on what, what the lists say, and that numbers never go back."""

from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.x509 import ReasonFlags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from ostiary.model.authority import Authority, Certificate
from ostiary.model.key_transfer import KeyExport
from ostiary.model.revocation import Matching, RevocationList, Revoke
from ostiary.ops import audit, authorities, certificates, key_transfer, list_upkeep, revocation, watching
from ostiary.ops.caller import Caller
from ostiary.ops.idempotency import Once
from ostiary.ops.signing import open_issuer
from ostiary.ops.system import System
from ostiary.pki.issue import Issuer
from ostiary.store import revocations
from ostiary.store.desired import desired
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock


def the_list(system: System, authority: Authority, kind: str = "complete") -> RevocationList:
    with system.store.read() as reader:
        found = revocations.current_list(reader, authority.id, kind)  # type: ignore[arg-type]  # a literal
    assert found is not None
    return found


def entries(held: RevocationList) -> dict[int, ReasonFlags | None]:
    """Serial → reason, as anybody reads it."""
    said: dict[int, ReasonFlags | None] = {}
    for entry in x509.load_der_x509_crl(held.der):
        try:
            said[entry.serial_number] = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        except x509.ExtensionNotFound:
            said[entry.serial_number] = None
    return said


def revoke(system: System, certificate: Certificate, reason: str = "superseded") -> Certificate:
    return revocation.revoke(system, ADMIN, certificate.id, Revoke(reason=reason))  # type: ignore[arg-type]  # a literal


def serial(certificate: Certificate) -> int:
    return int(certificate.serial, 16)


def test_an_authority_has_an_empty_list_from_birth(system: System) -> None:
    root = an_authority(system)
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    for authority in (root, issuing):
        held = the_list(system, authority)
        assert (entries(held), held.entries, held.source) == ({}, 0, "signed")
        assert x509.load_der_x509_crl(held.der).is_signature_valid(
            x509.load_pem_x509_certificate(authority.certificate.encode()).public_key()  # type: ignore[arg-type]  # an EC key
        )


def test_what_is_revoked_is_on_the_next_list_with_its_reason(system: System) -> None:
    authority = an_authority(system)
    bad, good = a_certificate(system, authority, "bad"), a_certificate(system, authority, "good")
    gone = revoke(system, bad, "keyCompromise")
    assert (certificates.status(system, gone), gone.revocation_reason) == ("REVOKED", "keyCompromise")
    assert certificates.status(system, good) == "VALID"
    assert list_upkeep.sign_due(system) == 1
    assert entries(the_list(system, authority)) == {serial(bad): ReasonFlags.key_compromise}
    assert list_upkeep.sign_due(system) == 0


def test_a_hold_is_released_and_leaves_the_list(system: System) -> None:
    authority = an_authority(system)
    held = revoke(system, a_certificate(system, authority), "certificateHold")
    assert certificates.status(system, held) == "ON_HOLD"
    list_upkeep.sign_due(system)
    assert entries(the_list(system, authority)) == {serial(held): ReasonFlags.certificate_hold}
    released = revoke(system, held, "removeFromCRL")
    assert (certificates.status(system, released), released.revoked_at) == ("VALID", None)
    list_upkeep.sign_due(system)
    assert entries(the_list(system, authority)) == {}
    assert entries(the_list(system, authority, "delta"))[serial(held)] == ReasonFlags.remove_from_crl


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (None, "removeFromCRL"),
        ("superseded", "removeFromCRL"),
        ("keyCompromise", "certificateHold"),
        ("superseded", "affiliationChanged"),
    ],
)
def test_what_cannot_follow_is_refused_and_changes_nothing(system: System, before: str | None, then: str) -> None:
    certificate = a_certificate(system, an_authority(system))
    if before is not None:
        certificate = revoke(system, certificate, before)
    with pytest.raises(Conflict):
        revoke(system, certificate, then)
    assert certificates.get(system, ADMIN, certificate.id) == certificate


def test_a_hold_becomes_a_revocation_as_of_the_hold_and_a_compromise_can_be_learned_later(
    system: System, clock: FakeClock
) -> None:
    certificate = revoke(system, a_certificate(system, an_authority(system)), "certificateHold")
    since = certificate.revoked_at
    clock.advance(hours=1)
    certificate = revoke(system, certificate, "superseded")
    assert (certificate.revoked_at, certificate.revocation_reason) == (since, "superseded")
    certificate = revoke(system, certificate, "keyCompromise")
    assert (certificate.revoked_at, certificate.revocation_reason) == (since, "keyCompromise")


def test_saying_the_same_again_changes_nothing_and_is_not_recorded_twice(system: System) -> None:
    certificate = revoke(system, a_certificate(system, an_authority(system)))
    before = len(audit.find(system, ADMIN, limit=1000))
    assert revoke(system, certificate) == certificate
    assert len(audit.find(system, ADMIN, limit=1000)) == before


def test_an_expired_certificate_can_be_revoked_and_appears_on_one_list(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority, lifetime=timedelta(days=1))
    clock.advance(days=2)
    revoke(system, certificate, "keyCompromise")
    list_upkeep.sign_due(system)
    assert serial(certificate) in entries(the_list(system, authority))
    clock.advance(days=4)
    list_upkeep.sign_due(system)
    clock.advance(days=4)
    list_upkeep.sign_due(system)
    assert serial(certificate) not in entries(the_list(system, authority))


def test_a_revoked_certificate_that_expires_is_kept_for_one_more_list(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    certificate = revoke(system, a_certificate(system, authority, lifetime=timedelta(days=2)))
    list_upkeep.sign_due(system)
    clock.advance(days=4)  # it has expired after the last list was signed
    assert list_upkeep.sign_due(system) == 1
    assert serial(certificate) in entries(the_list(system, authority))
    clock.advance(days=4)
    assert list_upkeep.sign_due(system) == 1
    assert entries(the_list(system, authority)) == {}


def test_a_list_is_renewed_at_half_of_its_life_and_never_outlives_its_authority(system: System, clock: FakeClock) -> None:
    authority = an_authority(system, lifetime_days=10)
    first = the_list(system, authority)
    clock.advance(days=3)
    assert list_upkeep.sign_due(system) == 0
    clock.advance(days=1)
    assert list_upkeep.sign_due(system) == 1
    second = the_list(system, authority)
    assert second.number > first.number
    assert second.next_update == min(second.next_update, authority.not_after) > first.next_update
    clock.advance(days=5.5)
    list_upkeep.sign_due(system)
    assert the_list(system, authority).next_update == authority.not_after
    assert list_upkeep.sign_due(system) == 0


def test_numbers_go_up_also_when_a_backup_is_restored(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    before_backup = the_list(system, authority).number
    clock.advance(hours=1)
    revoke(system, a_certificate(system, authority, "lost with the restore"))
    list_upkeep.sign_due(system)
    published = the_list(system, authority).number
    # The restored database knows only the list before the backup; the clock has gone on.
    with system.store.write() as transaction:
        old = revocations.current_list(transaction, authority.id)
        assert old is not None
        revocations.put_list(transaction, RevocationList(**{**vars(old), "number": before_backup}))
    clock.advance(minutes=1)
    revoke(system, a_certificate(system, authority, "after it"))
    list_upkeep.sign_due(system)
    assert the_list(system, authority).number > published


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["revoke", "hold", "release", "sign", "wait"]), max_size=12))
def test_a_delta_on_its_base_says_what_the_complete_list_says(system: System, clock: FakeClock, steps: list[str]) -> None:
    authority = an_authority(system, f"CA {len(steps)} {clock().isoformat()}")
    known = {the_list(system, authority).number: the_list(system, authority)}
    held: list[Certificate] = []
    for step in steps:
        if step == "revoke":
            revoke(system, a_certificate(system, authority, "x"))
        elif step == "hold":
            held.append(revoke(system, a_certificate(system, authority, "x"), "certificateHold"))
        elif step == "release" and held:
            revoke(system, held.pop(), "removeFromCRL")
        elif step == "wait":
            clock.advance(days=4)
        elif step == "sign":
            list_upkeep.sign_due(system)
            now = the_list(system, authority)
            known[now.number] = now
    numbers = list(known)
    assert all(earlier < later for earlier, later in pairwise(numbers))
    complete = the_list(system, authority)
    with system.store.read() as reader:
        delta = revocations.current_list(reader, authority.id, "delta")
    if delta is not None:
        assert delta.base_number is not None
        assert (delta.number, delta.next_update) == (complete.number, complete.next_update)
        assert delta.base_number < delta.number
        applied = entries(known[delta.base_number])
        for number, reason in entries(delta).items():
            if reason == ReasonFlags.remove_from_crl:
                applied.pop(number, None)
            else:
                applied[number] = reason
        assert applied == entries(complete)


def test_many_are_revoked_together_only_as_the_preview_said(system: System) -> None:
    authority, other = an_authority(system), an_authority(system, "Other CA")
    for number in range(3):
        a_certificate(system, authority, f"a{number}", owner="acme", groups=("field", "north"))
    kept = [a_certificate(system, authority, "b", owner="else"), a_certificate(system, other, "c", owner="acme")]
    which = Matching(authority_id=authority.id, owner="acme", group="field")
    count, some = revocation.preview(system, ADMIN, which, show=2)
    assert (count, len(some)) == (3, 2)
    wanted = Revoke(reason="cessationOfOperation")
    with pytest.raises(Conflict, match="expected: 3 certificates match now, not 2"):
        revocation.revoke_matching(system, ADMIN, which, wanted, 2)
    assert revocation.preview(system, ADMIN, which)[0] == 3
    assert revocation.revoke_matching(system, ADMIN, which, wanted, 3) == 3
    assert revocation.preview(system, ADMIN, which) == (0, ())
    assert [certificates.get(system, ADMIN, one.id).revoked_at for one in kept] == [None, None]


def test_all_certificates_at_once_is_nothing_anybody_meant(system: System) -> None:
    with pytest.raises(Invalid, match="matching: say which"):
        revocation.revoke_matching(system, ADMIN, Matching(), Revoke(), 0)


def test_certificates_are_found_by_when_they_were_issued(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    a_certificate(system, authority, "early")
    clock.advance(hours=1)
    noon = clock()
    late = a_certificate(system, authority, "late")
    assert revocation.preview(system, ADMIN, Matching(issued_after=noon))[1] == (late,)
    assert revocation.preview(system, ADMIN, Matching(issued_before=noon))[0] == 1


def test_a_retried_revocation_is_one_revocation_and_a_key_is_for_one_request(system: System) -> None:
    authority = an_authority(system)
    first, second = a_certificate(system, authority, "a"), a_certificate(system, authority, "b")
    once = Once(key="k1", request_sha256="1" * 64)
    done = revocation.revoke(system, ADMIN, first.id, Revoke(), once)
    assert revocation.revoke(system, ADMIN, first.id, Revoke(), once) == done
    with pytest.raises(Conflict, match="Idempotency-Key"):
        revocation.revoke(system, ADMIN, second.id, Revoke(), Once(key="k1", request_sha256="2" * 64))
    assert certificates.get(system, ADMIN, second.id).revoked_at is None


def test_a_revoked_intermediate_signs_no_more_and_is_on_its_parents_list(system: System) -> None:
    root = an_authority(system)
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    a_certificate(system, issuing)
    gone = revocation.revoke_authority(system, ADMIN, issuing.id, Revoke(reason="cACompromise"))
    assert gone.revoked_at is not None
    with pytest.raises(Invalid, match="was revoked"):
        a_certificate(system, issuing, "too late")
    list_upkeep.sign_due(system)
    number = x509.load_pem_x509_certificate(issuing.certificate.encode()).serial_number
    assert entries(the_list(system, root)) == {number: ReasonFlags.ca_compromise}
    with pytest.raises(Conflict):
        revocation.revoke_authority(system, ADMIN, issuing.id, Revoke())
    with pytest.raises(Invalid, match="nobody stands above"):
        revocation.revoke_authority(system, ADMIN, root.id, Revoke())


def test_revocations_reach_the_gateways_as_denials_at_once_and_expired_ones_do_not(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority, lifetime=timedelta(hours=2))
    woken: list[int] = []
    object.__setattr__(system, "committed", woken.append)
    revoke(system, certificate)
    assert woken
    with system.store.read() as reader:
        assert desired(reader, system.sealer, clock()).denied == {certificate.fingerprint_sha256}
        clock.advance(hours=3)
        assert desired(reader, system.sealer, clock()).denied == frozenset()


def test_every_revocation_is_on_record_with_who_and_why(system: System) -> None:
    certificate = revoke(system, a_certificate(system, an_authority(system)), "privilegeWithdrawn")
    entry = audit.find(system, ADMIN, limit=1, newest_first=True)[0]
    assert (entry["action"], entry["resource_id"], entry["actor"]) == ("certificate:revoke", certificate.id, "admin")
    assert entry["after"]["revocation_reason"] == "privilegeWithdrawn"
    assert audit.verify(system, ADMIN).problem is None


def test_who_may_not_revoke_cannot(system: System) -> None:
    certificate = a_certificate(system, an_authority(system))
    auditor = Caller(name="eve", role="auditor")
    with pytest.raises(Denied):
        revocation.revoke(system, auditor, certificate.id, Revoke())
    with pytest.raises(Denied):
        revocation.revoke_matching(system, auditor, Matching(owner=""), Revoke(), 1)
    with pytest.raises(NotFound):
        revocation.revoke(system, ADMIN, "nobody", Revoke())


def test_a_date_in_the_future_is_refused(system: System, clock: FakeClock) -> None:
    certificate = a_certificate(system, an_authority(system))
    with pytest.raises(Invalid, match="invalidity_date"):
        revocation.revoke(
            system, ADMIN, certificate.id, Revoke(reason="keyCompromise", invalidity_date=clock() + timedelta(days=1))
        )


def test_an_authority_that_goes_takes_its_lists_with_it(system: System) -> None:
    authority = an_authority(system)
    authorities.delete(system, ADMIN, authority.id)
    with system.store.read() as reader:
        assert revocations.current_list(reader, authority.id) is None


def test_an_authority_that_cannot_sign_now_keeps_no_other_list_waiting(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    lame, well = an_authority(system, "Lame"), an_authority(system, "Well")
    for authority in (lame, well):
        revoke(system, a_certificate(system, authority))
    real = open_issuer

    def without_token(system: System, authority: Authority) -> Issuer:
        if authority.id == lame.id:
            raise Unavailable("the token is not there")
        return real(system, authority)

    monkeypatch.setattr(list_upkeep, "open_issuer", without_token)
    with pytest.raises(Unavailable, match="token"):
        list_upkeep.sign_due(system)
    assert len(entries(the_list(system, well))) == 1


def test_somebody_is_told_in_time_that_the_list_of_an_offline_authority_ends(system: System, clock: FakeClock) -> None:
    root = an_authority(system, "Offline root")
    key_transfer.export_key(system, ADMIN, root.id, KeyExport(passphrase="correct horse battery", remove=True))

    def told() -> list[tuple[str, str]]:
        return [(one.name, one.way) for one in watching.warnings(system, ADMIN) if one.kind == "REVOCATION_LIST"]

    assert told() == []
    clock.at = the_list(system, root).half_life + timedelta(minutes=1)
    assert told() == [("Offline root", "list of a key elsewhere")]


def test_what_is_below_a_revoked_authority_is_neither_trusted_nor_signs(system: System) -> None:
    root = an_authority(system, "Root")
    middle = an_authority(system, "Middle", kind="intermediate", parent_id=root.id, path_length=1)
    low = an_authority(system, "Low", kind="intermediate", parent_id=middle.id)
    a_certificate(system, low)
    door = a_listener(
        system, a_balancer(system), client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{root.id}"
    )
    assert door.client_authentication == "MANDATORY"
    revocation.revoke_authority(system, ADMIN, middle.id, Revoke(reason="cACompromise"))
    with system.store.read() as reader:
        (entry,) = desired(reader, system.sealer, system.clock()).listeners
    assert entry.trust is not None
    assert entry.trust.certificates == root.certificate
    with pytest.raises(Invalid, match="one above it was"):
        a_certificate(system, low, "too late")
