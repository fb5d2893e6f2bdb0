"""Renewal by the holder: with exactly the certificate on record, in its window, for a new key, and never one that was revoked."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ostiary.errors import Conflict, Denied, Invalid, Refusal
from ostiary.model.authority import Certificate, RequestedNames
from ostiary.model.query import Query
from ostiary.model.revocation import Reason, Revoke
from ostiary.model.token import NewToken
from ostiary.ops import certificates, enrolling, revocation, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.enrolling import Knocker
from ostiary.ops.system import System
from ostiary.pki.holder import new_key_and_request
from support.certs import Authority, new_key
from support.made import an_authority
from support.systems import ADMIN, FakeClock

DEVICE = Knocker("192.0.2.9", "req-1")


def enrolled(system: System, csr: str | None = None) -> Certificate:
    authority = an_authority(system, "Devices")
    names = RequestedNames(common_name="sensor", dns=("sensor.test",))
    grant = NewToken(authority_id=authority.id, profile="client", names=names, lifetime=timedelta(days=30), groups=("field",))
    _, secret = tokens.create(system, ADMIN, grant)
    return enrolling.enroll(system, DEVICE, bytes(secret), csr or a_request())


def a_request() -> str:
    return new_key_and_request("x")[1]


def der(certificate: Certificate) -> bytes:
    return x509.load_pem_x509_certificate(certificate.certificate.encode()).public_bytes(serialization.Encoding.DER)


def test_the_successor_is_for_the_same_holder(system: System, clock: FakeClock) -> None:
    old = enrolled(system)
    clock.advance(days=20)
    new = enrolling.renew(system, DEVICE, der(old), a_request())
    assert (new.subject, new.sans, new.groups, new.owner, new.replaces) == (old.subject, old.sans, old.groups, old.owner, old.id)
    assert new.serial != old.serial


def test_the_same_key_gets_the_same_successor_again(system: System, clock: FakeClock) -> None:
    old, csr = enrolled(system), a_request()
    clock.advance(days=20)
    assert enrolling.renew(system, DEVICE, der(old), csr) == enrolling.renew(system, DEVICE, der(old), csr)
    assert len(certificates.find(system, ADMIN, Query()).items) == 2


def test_not_before_its_window_nor_after_its_end(system: System, clock: FakeClock) -> None:
    old = enrolled(system)
    with pytest.raises(Conflict, match="too early"):
        enrolling.renew(system, DEVICE, der(old), a_request())
    clock.advance(days=31)
    with pytest.raises(Conflict, match="expired"):
        enrolling.renew(system, DEVICE, der(old), a_request())


def test_not_for_the_key_it_has(system: System, clock: FakeClock) -> None:
    csr = a_request()
    old = enrolled(system, csr)
    clock.advance(days=20)
    with pytest.raises(Invalid, match="csr"):
        enrolling.renew(system, DEVICE, der(old), csr)


@pytest.mark.parametrize("reason", ["keyCompromise", "superseded", "certificateHold"])
def test_a_revoked_certificate_is_not_renewed(system: System, clock: FakeClock, reason: Reason) -> None:
    """PKI pitfall 12."""
    old = enrolled(system)
    clock.advance(days=20)
    revocation.revoke(system, ADMIN, old.id, Revoke(reason=reason))
    with pytest.raises(Conflict):
        enrolling.renew(system, DEVICE, der(old), a_request())


def test_a_look_alike_is_nobody(system: System, clock: FakeClock) -> None:
    """PKI pitfall 12: same names, same serial number, same issuer; other bytes."""
    old = enrolled(system)
    clock.advance(days=20)
    victim = x509.load_pem_x509_certificate(old.certificate.encode())
    forger = Authority.root("Devices")
    forged = (
        x509.CertificateBuilder(victim.issuer, victim.subject, new_key().public_key(), victim.serial_number)
        .not_valid_before(victim.not_valid_before_utc)
        .not_valid_after(victim.not_valid_after_utc)
        .sign(forger.key, hashes.SHA256())
    )
    for shown in (forged.public_bytes(serialization.Encoding.DER), der(old) + b"\0", der(old)[:-1], b"", None):
        with pytest.raises(Denied):
            enrolling.renew(system, DEVICE, shown, a_request())


def test_whoever_renews_can_do_nothing_else() -> None:
    holder = Caller("certificate:1", "holder")
    for action in ("certificate:issue", "certificate:read", "certificate:enroll", "token:create"):
        with pytest.raises(Refusal):
            holder.must(action)
