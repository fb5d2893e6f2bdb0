"""A certificate that is not to the bit what was approved is thrown away, whatever made it so."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from ostiary.errors import Unavailable
from ostiary.pki import as_approved, issue, request
from ostiary.pki.issue import Issuer
from ostiary.pki.names import Names, SubjectFields
from ostiary.pki.policy import Approved, approve
from ostiary.pki.profile import BUILT_IN
from support.certs import csr, name, new_key, usage

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAYS = timedelta(days=1)
KEY = new_key()
ISSUER_KEY, OTHER_KEY = new_key(), new_key()
ISSUER = Issuer(issue.create_root(SubjectFields(CN="Root"), ISSUER_KEY, 3650 * DAYS, AT), ISSUER_KEY)


def approved(lifetime: timedelta = 90 * DAYS, issuer: Issuer = ISSUER) -> Approved:
    read = request.read(csr(KEY, "anyone"))
    names = Names("alice", dns=("alice.test",))
    return approve(read, BUILT_IN["client"], names=names, lifetime=lifetime, issuer=issuer.certificate, at=AT)


APPROVED = approved()
GOOD = issue.issue(APPROVED, ISSUER, AT)
EXTENSIONS = {held.oid: (held.value, held.critical) for held in GOOD.extensions}


class Made:
    """The good certificate made anew, with something else in one place."""

    def __init__(self) -> None:
        self.subject, self.issuer, self.public_key = GOOD.subject, GOOD.issuer, GOOD.public_key()
        self.serial, self.begins, self.ends = GOOD.serial_number, GOOD.not_valid_before_utc, GOOD.not_valid_after_utc
        self.extensions = dict(EXTENSIONS)
        self.key = ISSUER_KEY

    def certificate(self) -> x509.Certificate:
        builder = x509.CertificateBuilder(self.issuer, self.subject, self.public_key, self.serial, self.begins, self.ends)
        for value, critical in self.extensions.values():
            builder = builder.add_extension(value, critical)
        return builder.sign(self.key, hashes.SHA256())

    def put(self, value: x509.ExtensionType, *, critical: bool = False) -> None:
        self.extensions[value.oid] = (value, critical)

    def drop(self, oid: x509.ObjectIdentifier) -> None:
        del self.extensions[oid]


def nameless(made: Made) -> None:
    made.drop(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)


def refuse(certificate: x509.Certificate, approval: Approved = APPROVED, issuer: Issuer = ISSUER) -> None:
    as_approved.refuse_anything_else(certificate, approval, issuer.certificate)


def test_what_was_approved_passes() -> None:
    refuse(GOOD)
    refuse(Made().certificate())


OTHERS: dict[str, tuple[str, Callable[[Made], object]]] = {
    "another subject": ("subject", lambda made: setattr(made, "subject", name("bob"))),
    "another issuer": ("issuer", lambda made: setattr(made, "issuer", name("Other root"))),
    "another key": ("key", lambda made: setattr(made, "public_key", new_key().public_key())),
    "a serial number that can be guessed": ("serial number", lambda made: setattr(made, "serial", 4711)),
    "a long life": ("validity", lambda made: setattr(made, "ends", GOOD.not_valid_after_utc + DAYS)),
    "an early beginning": ("validity", lambda made: setattr(made, "begins", GOOD.not_valid_before_utc - DAYS)),
    "an authority": ("basic constraints", lambda made: made.put(x509.BasicConstraints(ca=True, path_length=0), critical=True)),
    "constraints nobody must heed": (
        "basic constraints",
        lambda made: made.put(x509.BasicConstraints(ca=False, path_length=None)),
    ),
    "more usages": ("key usages", lambda made: made.put(usage("digital_signature", "key_cert_sign"), critical=True)),
    "usages nobody must heed": ("key usages", lambda made: made.put(usage("digital_signature"))),
    "no usages": ("key usages", lambda made: made.drop(ExtensionOID.KEY_USAGE)),
    "another purpose": ("purposes", lambda made: made.put(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))),
    "no purpose": ("purposes", lambda made: made.drop(ExtensionOID.EXTENDED_KEY_USAGE)),
    "another key identifier": ("key identifier", lambda made: made.put(x509.SubjectKeyIdentifier(b"other"))),
    "no authority key identifier": ("authority key identifier", lambda made: made.drop(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)),
    "another authority's": (
        "authority key identifier",
        lambda made: made.put(x509.AuthorityKeyIdentifier.from_issuer_public_key(OTHER_KEY.public_key())),
    ),
    "another name": ("names", lambda made: made.put(x509.SubjectAlternativeName([x509.DNSName("bob.test")]))),
    "one name more": (
        "names",
        lambda made: made.put(x509.SubjectAlternativeName([x509.DNSName("alice.test"), x509.DNSName("bob.test")])),
    ),
    "no names": ("names", nameless),
    "a policy nobody approved": (
        "extension 2.5.29.32",
        lambda made: made.put(x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])),
    ),
    "nobody is to ask whether it is revoked": ("extension 1.3.6.1.5.5.7.48.1.5", lambda made: made.put(x509.OCSPNoCheck())),
    "an address for lists that was not asked for": (
        "extension 2.5.29.31",
        lambda made: made.put(
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier("http://evil.test/")], None, None, None)]
            )
        ),
    ),
    "another signer": ("signature", lambda made: setattr(made, "key", OTHER_KEY)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_is_thrown_away_and_the_difference_is_named(what: str) -> None:
    part, alter = OTHERS[what]
    made = Made()
    alter(made)
    with pytest.raises(Unavailable, match=rf"not what was approved \(its {part}\)"):
        refuse(made.certificate())


def test_a_signature_that_was_disturbed_is_found_before_anybody_gets_it() -> None:
    der = bytearray(GOOD.public_bytes(Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(Unavailable, match=r"its signature"):
        refuse(x509.load_der_x509_certificate(bytes(der)))


def test_what_points_to_revocation_lists_must_be_there_as_it_was_built() -> None:
    points = x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://pki.test/ocsp"))]
    )
    made = Made()
    made.put(points)
    as_approved.refuse_anything_else(made.certificate(), APPROVED, ISSUER.certificate, [(points, False)])
    with pytest.raises(Unavailable, match=r"extension 1\.3\.6\.1\.5\.5\.7\.1\.1"):
        as_approved.refuse_anything_else(GOOD, APPROVED, ISSUER.certificate, [(points, False)])


def test_a_certificate_of_a_time_beyond_2049_is_encoded_as_all_read_it() -> None:
    """RFC 5280 4.1.2.5: UTCTime has two digits for the year, so from 2050 on it is GeneralizedTime."""
    at = datetime(2049, 12, 1, tzinfo=UTC)
    issuer = Issuer(issue.create_root(SubjectFields(CN="Late root"), ISSUER_KEY, 3650 * DAYS, at), ISSUER_KEY)
    read = request.read(csr(KEY, "anyone"))
    approval = approve(read, BUILT_IN["client"], names=Names("alice"), lifetime=None, issuer=issuer.certificate, at=at)
    certificate = issue.issue(approval, issuer, at)
    assert b"\x17\x0d49113" in certificate.tbs_certificate_bytes
    assert b"\x18\x0f2050030" in certificate.tbs_certificate_bytes
