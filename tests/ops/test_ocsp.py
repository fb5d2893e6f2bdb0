"""OCSP answers: what is on record decides them, a delegate signs them, and a revocation is never hidden by one that was kept."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library

from ostiary.errors import Unavailable
from ostiary.model.authority import Authority, Certificate, TrustedAuthority
from ostiary.model.revocation import Revoke
from ostiary.ops import answers, audit, imported, ocsp, revocation
from ostiary.ops.answers import Answers
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki.names import serial_hex
from ostiary.pki.ocsp import Good, Unknown
from ostiary.store import statuses
from ostiary.store.kinds import AUTHORITY
from support.certs import Authority as Anybody
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock, a_store

GOOD, REVOKED, UNKNOWN = library.OCSPCertStatus.GOOD, library.OCSPCertStatus.REVOKED, library.OCSPCertStatus.UNKNOWN


def request(authority: Authority, certificate: Certificate | Authority | int, nonce: bytes | None = None) -> bytes:
    serial = certificate if isinstance(certificate, int) else parsed(certificate).serial_number
    builder = library.OCSPRequestBuilder().add_certificate_by_hash(*hashed(parsed(authority)), serial, hashes.SHA256())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def hashed(authority: x509.Certificate) -> tuple[bytes, bytes]:
    """As the library has it for a certificate that this one signed."""
    leaf = Anybody.root().client("x").certificate
    made = library.OCSPRequestBuilder().add_certificate(leaf, authority, hashes.SHA256()).build()
    digest = hashes.Hash(hashes.SHA256())
    digest.update(authority.subject.public_bytes())
    return digest.finalize(), made.issuer_key_hash


def asked(
    system: System, authority: Authority, certificate: Certificate | Authority | int, nonce: bytes | None = None
) -> library.OCSPResponse:
    return library.load_der_ocsp_response(ocsp.answer(system, authority.id, request(authority, certificate, nonce)).der)


def revoke(system: System, certificate: Certificate, **said: Any) -> None:
    revocation.revoke(system, ADMIN, certificate.id, Revoke(**{"reason": "keyCompromise", **said}))


def test_a_certificate_is_good_until_it_is_revoked(system: System) -> None:
    ca = an_authority(system)
    alice, bob = a_certificate(system, ca), a_certificate(system, ca, "bob")
    assert [asked(system, ca, one).certificate_status for one in (alice, bob)] == [GOOD, GOOD]
    revoke(system, alice)
    found = asked(system, ca, alice)
    assert (found.certificate_status, found.revocation_reason) == (REVOKED, x509.ReasonFlags.key_compromise)
    assert asked(system, ca, bob).certificate_status is GOOD


def test_what_is_on_hold_is_revoked_and_what_was_released_is_good(system: System) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    revoke(system, alice, reason="certificateHold")
    assert asked(system, ca, alice).revocation_reason is x509.ReasonFlags.certificate_hold
    revoke(system, alice, reason="removeFromCRL")
    assert asked(system, ca, alice).certificate_status is GOOD


def test_a_serial_number_that_was_never_issued_is_unknown(system: System) -> None:
    """Also one that another authority issued: "good" would vouch for a forgery."""
    ca, other = an_authority(system, "One"), an_authority(system, "Other")
    elsewhere = parsed(a_certificate(system, other)).serial_number
    for serial in (0, 1, 2**200, elsewhere):
        assert asked(system, ca, serial).certificate_status is UNKNOWN


def test_unknown_is_believed_for_minutes_only_and_never_given_again(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    answer = ocsp.answer(system, ca.id, request(ca, 7))
    assert (answer.this_update, answer.next_update) == (None, None)
    found = library.load_der_ocsp_response(answer.der)
    assert found.next_update_utc is not None
    assert found.next_update_utc - clock.at <= timedelta(minutes=5)
    assert len(system.answers.given) == 0


def test_an_intermediate_is_good_to_its_issuer_until_that_revokes_it(system: System) -> None:
    root = an_authority(system, "Root")
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    assert asked(system, root, issuing).certificate_status is GOOD
    revocation.revoke_authority(system, ADMIN, issuing.id, Revoke(reason="cACompromise"))
    assert asked(system, root, issuing).certificate_status is REVOKED


def test_an_expired_certificate_is_answered_for_like_any_other(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca, lifetime=timedelta(days=1))
    clock.advance(days=2)
    assert asked(system, ca, alice).certificate_status is GOOD


def test_the_answer_is_signed_by_a_delegate_which_the_record_names(system: System) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    (signer,) = asked(system, ca, alice).certificates
    signer.verify_directly_issued_by(parsed(ca))
    said = [entry for entry in audit.find(system, ADMIN, limit=50) if entry["action"] == "authority:delegate"]
    assert [entry["resource_id"] for entry in said] == [ca.id]
    assert said[0]["after"]["certificate"] == signer.public_bytes(Encoding.PEM).decode()


def test_the_delegates_key_is_sealed_and_bound_to_its_authority(system: System) -> None:
    ca, other = an_authority(system, "One"), an_authority(system, "Other")
    asked(system, ca, a_certificate(system, ca))
    with system.store.read() as reader:
        held = statuses.signer(reader, ca.id)
    assert held is not None
    assert b"PRIVATE KEY" in system.sealer.open(held.sealed_key, statuses.signer_context(ca.id))
    assert "sealed_key" not in repr(held)
    with pytest.raises(Unavailable):
        system.sealer.open(held.sealed_key, statuses.signer_context(other.id))


def test_a_delegate_is_used_for_days_and_replaced_well_before_it_ends(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)

    def signer(moved: System) -> x509.Certificate:
        (found,) = asked(moved, ca, alice, b"fresh").certificates
        return found

    first = signer(system)
    clock.advance(days=6)
    restarted = replace(system, answers=Answers())
    assert signer(system) == signer(restarted) == first
    clock.advance(days=1, seconds=1)
    second = signer(system)
    assert second != first
    assert second == signer(restarted)
    assert first.not_valid_after_utc - clock.at > timedelta(days=6)


def test_while_the_authoritys_key_is_out_of_reach_its_delegate_goes_on_to_its_end(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    asked(system, ca, alice)
    _break_key(system, ca)
    clock.advance(days=8)
    assert asked(system, ca, alice).certificate_status is GOOD
    clock.advance(days=7)
    assert asked(system, ca, alice).response_status is library.OCSPResponseStatus.TRY_LATER


def test_an_answer_never_outlives_its_signer(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    asked(system, ca, alice)
    _break_key(system, ca)
    clock.advance(days=13, hours=23)
    found = asked(system, ca, alice)
    assert found.next_update_utc == found.certificates[0].not_valid_after_utc


def test_an_answer_is_given_again_until_half_its_time_has_passed(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    first = ocsp.answer(system, ca.id, request(ca, alice))
    clock.advance(hours=5)
    assert ocsp.answer(system, ca.id, request(ca, alice)) is first
    clock.advance(hours=1)
    second = ocsp.answer(system, ca.id, request(ca, alice))
    assert second.der != first.der


def test_at_once_is_given_only_what_may_be_given_again_and_is_as_of_now(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice, bob = a_certificate(system, ca), a_certificate(system, ca, "bob")
    question = request(ca, alice)
    assert ocsp.at_once(system, ca.id, question) is None  # not asked before
    ocsp.answer(system, ca.id, question)  # has a signer made, which is a commit
    first = ocsp.answer(system, ca.id, question)
    assert ocsp.at_once(system, ca.id, question) is first
    for other in (request(ca, alice, b"nonce"), request(ca, bob), b"no question"):
        assert ocsp.at_once(system, ca.id, other) is None
    revoke(system, alice)
    assert ocsp.at_once(system, ca.id, question) is None
    assert asked(system, ca, alice).certificate_status is REVOKED
    clock.advance(seconds=2)  # whether another control plane committed anything has to be asked again
    assert ocsp.at_once(system, ca.id, question) is None


def test_an_answer_to_a_nonce_is_always_new_and_never_kept(system: System) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    first, second = (ocsp.answer(system, ca.id, request(ca, alice, b"nonce")) for _ in range(2))
    assert first.der != second.der
    assert (first.next_update, len(system.answers.given)) == (None, 0)
    assert asked(system, ca, alice, b"nonce").extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"nonce"


def test_a_kept_answer_is_not_given_to_who_names_the_issuer_otherwise(system: System) -> None:
    """Another hash is another answer, and a wrong one none at all."""
    ca, other = an_authority(system, "One"), an_authority(system, "Other")
    alice = a_certificate(system, ca)
    asked(system, ca, alice)
    number = parsed(alice).serial_number
    found = library.load_der_ocsp_response(ocsp.answer(system, ca.id, request(other, number)).der)
    assert found.response_status is library.OCSPResponseStatus.UNAUTHORIZED


def test_what_another_control_plane_revokes_is_noticed_within_a_second(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    elsewhere = replace(system, store=a_store(str(system.store._engine.url), clock), answers=Answers())
    try:
        assert asked(system, ca, alice).certificate_status is GOOD
        revoke(elsewhere, alice)
        clock.advance(seconds=1)
        assert asked(system, ca, alice).certificate_status is REVOKED
    finally:
        elsewhere.store.close()


def test_the_kept_answers_are_bounded(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_ANSWERS", 3)
    small = replace(system, answers=Answers())
    ca = an_authority(small)
    for each in [a_certificate(small, ca, f"holder {number}") for number in range(5)]:
        asked(small, ca, each)
    assert len(small.answers.given) == 3


def test_authorities_that_have_no_key_here_and_those_that_are_none_are_unauthorized(system: System) -> None:
    theirs = imported.import_bundle(system, ADMIN, TrustedAuthority(name="theirs", certificate=Anybody.root().cert_pem))
    for authority_id in (theirs.id, "nobody", ""):
        found = library.load_der_ocsp_response(ocsp.answer(system, authority_id, request(theirs, 1)).der)
        assert found.response_status is library.OCSPResponseStatus.UNAUTHORIZED


def test_an_authority_that_has_ended_answers_no_more(system: System, clock: FakeClock) -> None:
    ca = an_authority(system, lifetime_days=10)
    alice = a_certificate(system, ca, lifetime=timedelta(days=5))
    assert asked(system, ca, alice).certificate_status is GOOD
    clock.advance(days=11)
    assert asked(system, ca, alice).response_status is library.OCSPResponseStatus.UNAUTHORIZED


def test_garbage_is_malformed(system: System) -> None:
    ca = an_authority(system)
    found = library.load_der_ocsp_response(ocsp.answer(system, ca.id, b"garbage").der)
    assert found.response_status is library.OCSPResponseStatus.MALFORMED_REQUEST


def test_the_serial_number_is_looked_up_as_it_was_stored(system: System) -> None:
    """In whole octets: a leading zero digit must not make it another one."""
    ca = an_authority(system)
    alice = a_certificate(system, ca)
    with system.store.read() as reader:
        assert statuses.status(reader, [ca.id], serial_hex(parsed(alice))) == Good()
        assert statuses.status(reader, [], serial_hex(parsed(alice))) == Unknown()


def _break_key(system: System, authority: Authority) -> None:
    """As when the token that keeps it was pulled out."""
    with system.store.write() as transaction:
        table = AUTHORITY.table
        transaction.connection.execute(table.update().where(table.c.id == authority.id).values(sealed_key=b"unreadable"))
    system.custody.forget(authority.id)
