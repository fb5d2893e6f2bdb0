"""Revocation lists: one good one for every authority, or the engine would refuse everyone."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki import chain
from support.certs import DAY, Authority, Key, Updates, Validity, name, new_ed25519_key, new_key, new_rsa_key, pem

AT = datetime(2026, 6, 1, tzinfo=UTC)
SPAN = Validity(not_before=AT - DAY, not_after=AT + 1000 * DAY)
FRESH = Updates(last_update=AT - DAY, next_update=AT + 7 * DAY)
ROOT = Authority.root("Root", **SPAN)
ISSUING = ROOT.intermediate("Issuing", **SPAN)
BOTH = (ISSUING.certificate, ROOT.certificate)


def read(text: str, *authorities: x509.Certificate, at: datetime = AT) -> tuple[x509.CertificateRevocationList, ...]:
    return chain.read_crls(text.encode(), authorities or (ROOT.certificate,), at, "crl")


def with_extension(extension: x509.ExtensionType, *, critical: bool = True) -> str:
    builder = x509.CertificateRevocationListBuilder().issuer_name(ROOT.certificate.subject)
    builder = builder.last_update(FRESH["last_update"]).next_update(FRESH["next_update"]).add_extension(extension, critical)
    return pem(builder.sign(ROOT.key, hashes.SHA256()))


def test_a_list_for_every_authority_is_read_in_any_order() -> None:
    revoked = ISSUING.client("alice")
    lists = read(ROOT.crl(**FRESH) + ISSUING.crl([revoked], **FRESH), *BOTH)
    assert [crl.issuer for crl in lists] == [ROOT.certificate.subject, ISSUING.certificate.subject]
    assert lists[1].get_revoked_certificate_by_serial_number(revoked.certificate.serial_number)


def test_the_authority_without_a_list_is_named() -> None:
    with pytest.raises(Invalid, match="crl: the revocation list of 'CN=Root' is missing"):
        read(ISSUING.crl(**FRESH), *BOTH)


def test_the_same_list_twice_counts_once_and_two_different_ones_are_refused() -> None:
    crl = ROOT.crl(**FRESH)
    assert len(read(crl + crl)) == 1
    with pytest.raises(Invalid, match="more than one revocation list of 'CN=Root'"):
        read(crl + ROOT.crl(number=2, **FRESH))


@pytest.mark.parametrize("key", [new_key(), new_ed25519_key(), new_rsa_key()])
def test_a_list_signed_by_somebody_else_is_refused(key: Key) -> None:
    impostor = Authority.root("Root", key=key, **SPAN)
    with pytest.raises(Invalid, match="'CN=Root' is not signed by any of the given authorities"):
        read(impostor.crl(**FRESH))


def test_a_list_of_an_authority_that_was_not_given_is_refused() -> None:
    with pytest.raises(Invalid, match="revocation list of 'CN=Other' is not signed by any"):
        read(ROOT.crl(**FRESH) + Authority.root("Other", **SPAN).crl(**FRESH))


def test_a_changed_list_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_crl(ROOT.crl([12345], **FRESH).encode()).public_bytes(Encoding.DER))
    der[der.index((12345).to_bytes(2, "big")) + 1] ^= 1
    armoured = f"-----BEGIN X509 CRL-----\n{base64.encodebytes(bytes(der)).decode()}-----END X509 CRL-----\n"
    with pytest.raises(Invalid, match="is not signed by any of the given authorities"):
        read(armoured)


def test_authorities_with_one_name_and_two_keys_each_have_their_own_list() -> None:
    twin = Authority.root("Root", **SPAN)
    assert len(read(twin.crl(**FRESH) + ROOT.crl(**FRESH), ROOT.certificate, twin.certificate)) == 2


def test_a_renewed_authority_shares_its_list_with_its_older_certificate() -> None:
    renewed = Authority.root("Root", key=ROOT.key, not_before=AT, not_after=AT + 2000 * DAY)
    assert len(read(ROOT.crl(**FRESH), ROOT.certificate, renewed.certificate)) == 1


def test_a_list_past_its_end_is_refused() -> None:
    crl = ROOT.crl(**FRESH)
    with pytest.raises(Invalid, match="ended at 2026-06-08"):
        read(crl, at=FRESH["next_update"])


def test_a_list_from_the_future_is_refused() -> None:
    with pytest.raises(Invalid, match="begins only at 2026-05-31"):
        read(ROOT.crl(**FRESH), at=AT - 2 * DAY)


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        (x509.DeltaCRLIndicator(1), "delta list"),
        (
            x509.IssuingDistributionPoint(
                [x509.UniformResourceIdentifier("http://a.test/crl")], None, False, False, None, False, False
            ),
            "one part of several",
        ),
        (x509.IssuingDistributionPoint(None, None, True, False, None, False, False), "one part of several"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), r"does not know \(1.2.3.4\)"),
    ],
)
def test_a_list_the_engine_cannot_use_is_refused(extension: x509.ExtensionType, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read(with_extension(extension))


def test_an_extension_that_may_be_ignored_is() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert len(read(with_extension(unknown, critical=False))) == 1


def test_an_authority_that_may_not_sign_lists_is_refused() -> None:
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
    key = new_key()
    extensions = [(x509.BasicConstraints(ca=True, path_length=None), True), (usage, True)]
    authority = Authority(ROOT.sign(name("Mute"), key, extensions, **SPAN), key)
    with pytest.raises(Invalid, match="'CN=Mute' may not sign revocation lists"):
        read(authority.crl(**FRESH), authority.certificate)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no revocation list"),
        (ROOT.cert_pem, "holds a 'CERTIFICATE' where a revocation list belongs"),
        (ROOT.crl(**FRESH) + ROOT.key_pem, "holds a private key"),
        ("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "a revocation list in it cannot be read"),
        ("x" * (8 * 1024 * 1024 + 1), "larger than 8192 KiB"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_anything_but_revocation_lists_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read(text)
