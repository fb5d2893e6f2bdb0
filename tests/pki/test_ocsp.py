"""OCSP: which questions are understood, and that others accept the answers."""

import base64
import subprocess
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.pki import crl, der, issue, keys, lint, ocsp
from ostiary.pki.issue import Issuer
from ostiary.pki.names import SubjectFields
from support.certs import Authority, Leaf, pem

# The library dates answers by the machine's clock (producedAt), and not every tool can be told what time it is: so it is today.
AT = now()
THIS = AT.replace(microsecond=0)
NEXT = THIS + timedelta(days=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def root(key: keys.PrivateKey) -> Issuer:
    return Issuer(issue.create_root(SubjectFields(CN="Root", O="Acme"), key, 3650 * DAY, AT), key)


def delegated(authority: Issuer, spec: keys.KeySpec = "EC-P256") -> Issuer:
    key = keys.generate(spec)
    return Issuer(ocsp.signer_certificate(authority, key.public_key(), AT, 7 * DAY), key)


OF_EVERY_KIND: tuple[keys.KeySpec, ...] = ("EC-P256", "EC-P384", "ED25519", "RSA-3072")
AUTHORITIES = {spec: root(keys.generate(spec)) for spec in OF_EVERY_KIND} | {
    "EC-P521": root(ec.generate_private_key(ec.SECP521R1()))
}
ROOT = AUTHORITIES["EC-P256"]
SIGNER = delegated(ROOT)
EVERY_AUTHORITY = pytest.mark.parametrize("authority", AUTHORITIES.values(), ids=AUTHORITIES)


def leaf(authority: Issuer = ROOT) -> Leaf:
    return Authority(authority.certificate, authority.key).client("leaf")


LEAF = leaf()
GOOD = ocsp.Good()
STATUSES: tuple[ocsp.Status, ...] = (GOOD, ocsp.Revoked(AT - HOUR, "keyCompromise"), ocsp.Revoked(AT - HOUR), ocsp.Unknown())
WORDS = ("good", "revoked", "revoked", "unknown")  # as tools say it


def request(
    certificate: x509.Certificate = LEAF.certificate,
    authority: Issuer = ROOT,
    algorithm: hashes.HashAlgorithm | None = None,
    *extensions: tuple[x509.ExtensionType, bool],
) -> bytes:
    builder = library.OCSPRequestBuilder().add_certificate(certificate, authority.certificate, algorithm or hashes.SHA1())  # noqa: S303 (what clients send)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.build().public_bytes(Encoding.DER)


def with_nonce(nonce: bytes, *, critical: bool = False) -> bytes:
    return request(LEAF.certificate, ROOT, None, (x509.OCSPNonce(nonce), critical))


def answered(
    status: ocsp.Status = GOOD, asked: bytes | None = None, signer: Issuer = SIGNER, authority: Issuer = ROOT
) -> library.OCSPResponse:
    return library.load_der_ocsp_response(answer(status, asked, signer, authority))


def answer(status: ocsp.Status = GOOD, asked: bytes | None = None, signer: Issuer = SIGNER, authority: Issuer = ROOT) -> bytes:
    return ocsp.answer(ocsp.read(asked or request()), status, signer, authority.certificate, AT, NEXT)


# What is asked.


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda it: it.name)  # noqa: S303
@EVERY_AUTHORITY
def test_a_question_names_one_certificate_of_one_authority(authority: Issuer, algorithm: hashes.HashAlgorithm) -> None:
    about = leaf(authority).certificate
    asked = ocsp.read(request(about, authority, algorithm))
    assert (asked.subject.serial, asked.subject.algorithm, asked.nonce) == (about.serial_number, algorithm.name, None)
    assert asked.subject.is_from(authority.certificate)
    assert not asked.subject.is_from(root(keys.generate("EC-P256")).certificate)


def test_an_authority_is_told_by_its_name_and_its_key_alike() -> None:
    asked = ocsp.read(request()).subject
    same_name, same_key = (
        root(keys.generate("EC-P256")),
        Issuer(issue.create_root(SubjectFields(CN="Other"), ROOT.key, DAY, AT), ROOT.key),
    )
    assert not asked.is_from(same_name.certificate)
    assert not asked.is_from(same_key.certificate)
    renewed = Issuer(issue.create_root(SubjectFields(CN="Root", O="Acme"), ROOT.key, 99 * DAY, AT), ROOT.key)
    assert asked.is_from(renewed.certificate)


def test_an_intermediate_is_asked_by_its_own_name_not_by_that_of_its_issuer() -> None:
    key = keys.generate("EC-P256")
    issuing = Issuer(issue.create_intermediate(SubjectFields(CN="Issuing"), key, ROOT, 30 * DAY, AT), key)
    assert ocsp.read(request(leaf(issuing).certificate, issuing)).subject.is_from(issuing.certificate)


@pytest.mark.parametrize("octets", [1, 16, 32, 128])
def test_a_nonce_of_1_to_128_octets_is_given_back(octets: int) -> None:
    """RFC 9654 2.1."""
    nonce = bytes(range(octets))
    back = answered(asked=with_nonce(nonce)).extensions.get_extension_for_class(x509.OCSPNonce)
    assert (back.value.nonce, back.critical) == (nonce, False)


@pytest.mark.parametrize("octets", [0, 129, 1000])
def test_a_nonce_of_any_other_length_is_malformed(octets: int) -> None:
    with pytest.raises(Invalid, match=f"its nonce has {octets} octets; send 1 to 128"):
        ocsp.read(with_nonce(b"n" * octets))


def test_who_sends_no_nonce_gets_none() -> None:
    assert len(answered().extensions) == 0


def test_a_critical_extension_that_is_not_known_is_malformed_and_any_other_is_ignored() -> None:
    """RFC 6960 4.4."""
    assert ocsp.read(with_nonce(b"n", critical=True)).nonce == b"n"
    responses = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.4"), b"\x30\x00")
    assert ocsp.read(request(LEAF.certificate, ROOT, None, (responses, False))).nonce is None
    with pytest.raises(Invalid, match=r"critical extension that is not known \(1\.3\.6\.1\.5\.5\.7\.48\.1\.4\)"):
        ocsp.read(request(LEAF.certificate, ROOT, None, (responses, True)))


def test_a_hash_that_is_not_offered_is_malformed() -> None:
    with pytest.raises(Invalid, match="hashed with sha224"):
        ocsp.read(request(LEAF.certificate, ROOT, hashes.SHA224()))


def test_hashes_of_a_length_that_their_algorithm_does_not_make_are_malformed() -> None:
    with pytest.raises(Invalid, match="not as long as sha1 makes them"):
        ocsp.read(several([b"short"]))


@pytest.mark.parametrize("count", [0, 2, 5])
def test_a_question_about_none_or_several_certificates_is_malformed(count: int) -> None:
    with pytest.raises(Invalid, match="ask about one at a time"):
        ocsp.read(several([b"h" * 20] * count))


@pytest.mark.parametrize("text", [b"", b"\x30", b"garbage", b"\x30\x80", b"<xml/>"], ids=repr)
def test_garbage_is_malformed(text: bytes) -> None:
    with pytest.raises(Invalid, match="it is not an OCSP request that can be read"):
        ocsp.read(text)


def test_a_large_request_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Invalid, match="larger than 4096 bytes"):
        ocsp.read(with_nonce(b"n" * 5000))


def mutated(at: int, bit: int) -> bytes:
    octets = bytearray(with_nonce(b"n" * 16))
    octets[at % len(octets)] ^= 1 << bit
    return bytes(octets)


@given(st.binary(max_size=300) | st.builds(mutated, st.integers(0, 5000), st.integers(0, 7)))
def test_whatever_is_sent_is_understood_or_malformed(text: bytes) -> None:
    try:
        asked = ocsp.read(text)
    except Invalid:
        return
    assert asked.subject.serial >= 0


def several(issuers: list[bytes]) -> bytes:
    """A request for certificate 5 of each issuer, who are named by what is given for both hashes."""
    sha1 = der.sequence(der.oid("1.3.14.3.2.26"), der.NULL)
    named = (der.tlv(der.OCTET_STRING, one) for one in issuers)
    wanted = [der.sequence(der.sequence(sha1, one, one, der.integer(5))) for one in named]
    return der.sequence(der.sequence(der.sequence(*wanted)))


# How it is asked with GET.


@given(st.binary(min_size=1, max_size=60).map(lambda tail: b"0" + tail))
def test_a_request_in_a_url_is_read_however_its_base64_was_put_there(octets: bytes) -> None:
    plain = base64.b64encode(octets).decode()
    for text in (
        plain,
        quote(plain, safe=""),
        quote(quote(plain, safe=""), safe=""),
        plain.rstrip("="),
        plain.replace("+", " "),
        base64.urlsafe_b64encode(octets).decode(),
        base64.urlsafe_b64encode(octets).decode().rstrip("="),
        f"/{plain}",
    ):
        assert ocsp.from_path(text) == octets


@pytest.mark.parametrize("text", ["MA!", "M", "MAé=", "MA==MA==", "M=A=", "%ZZ", "\x00"], ids=repr)
def test_what_is_not_base64_is_malformed(text: str) -> None:
    with pytest.raises(Invalid, match="it is not base64"):
        ocsp.from_path(text)


def test_a_long_url_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Invalid, match="send it with POST"):
        ocsp.from_path("M" * 20_000)


# What is answered.


def test_good_is_said_of_the_one_certificate_that_was_asked_about() -> None:
    found = answered()
    assert found.response_status is library.OCSPResponseStatus.SUCCESSFUL
    assert found.certificate_status is library.OCSPCertStatus.GOOD
    assert (found.serial_number, found.this_update_utc, found.next_update_utc) == (LEAF.certificate.serial_number, THIS, NEXT)
    assert (found.issuer_name_hash, found.issuer_key_hash) == ocsp.issuer_hashes(ROOT.certificate, "sha1")


@pytest.mark.parametrize("reason", [None, *crl.REASONS])
def test_revoked_says_since_when_and_why(reason: str | None) -> None:
    found = answered(ocsp.Revoked(AT - HOUR, reason))
    assert (found.certificate_status, found.revocation_time_utc) == (library.OCSPCertStatus.REVOKED, THIS - HOUR)
    said = found.revocation_reason
    assert said == (None if reason in (None, "unspecified") else x509.ReasonFlags(reason))


def test_unknown_is_not_good() -> None:
    assert answered(ocsp.Unknown()).certificate_status is library.OCSPCertStatus.UNKNOWN


def test_a_serial_number_of_any_size_is_answered_for() -> None:
    """It is the asker's to choose, and need not be one that anybody issued."""
    for serial in (0, 1, 2**159, 2**4000):
        names = ocsp.issuer_hashes(ROOT.certificate, "sha1")
        builder = library.OCSPRequestBuilder().add_certificate_by_hash(*names, serial, hashes.SHA1())  # noqa: S303
        assert answered(ocsp.Unknown(), builder.build().public_bytes(Encoding.DER)).serial_number == serial


def test_a_negative_serial_number_is_malformed() -> None:
    """Found by fuzz/ocsp.py: it was read, and then no answer could be made that names it."""
    names = ocsp.issuer_hashes(ROOT.certificate, "sha1")
    asked = library.OCSPRequestBuilder().add_certificate_by_hash(*names, 0x4564, hashes.SHA1()).build()  # noqa: S303
    negative = asked.public_bytes(Encoding.DER).replace(b"\x02\x02\x45\x64", b"\x02\x02\xc5\x64")
    assert library.load_der_ocsp_request(negative).serial_number < 0
    with pytest.raises(Invalid, match="negative serial number"):
        ocsp.read(negative)


def test_nothing_is_said_about_another_authoritys_certificate() -> None:
    other = root(keys.generate("EC-P256"))
    with pytest.raises(Invalid, match="it asks about a certificate of another authority"):
        answer(asked=request(leaf(other).certificate, other))


@pytest.mark.parametrize(
    ("kind", "status"),
    [("malformedRequest", 1), ("internalError", 2), ("tryLater", 3), ("unauthorized", 6)],
)
def test_a_failure_is_one_number(kind: ocsp.Failure, status: int) -> None:
    assert ocsp.failure(kind) == der.sequence(der.integer(status, der.ENUMERATED))


def test_the_answer_names_its_signer_by_key_and_brings_the_certificate() -> None:
    found = answered()
    identifier = x509.SubjectKeyIdentifier.from_public_key(SIGNER.key.public_key()).digest
    assert (found.responder_key_hash, found.responder_name) == (identifier, None)
    assert found.certificates == [SIGNER.certificate]


def test_an_authority_that_answers_itself_brings_no_certificate() -> None:
    found = answered(signer=ROOT)
    assert found.certificates == []
    assert found.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(ROOT.key.public_key()).digest


# Who answers.


def test_a_responder_may_sign_answers_and_nothing_else() -> None:
    """RFC 6960 4.2.2.2: OCSPSigning, and id-pkix-ocsp-nocheck, or one would have to ask whether the responder was revoked."""
    certificate = SIGNER.certificate
    held = {extension.oid: extension for extension in certificate.extensions}
    assert held[x509.ExtendedKeyUsage.oid].value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    assert held[x509.OCSPNoCheck.oid].value == x509.OCSPNoCheck()
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign, usage.value.crl_sign) == (
        True,
        True,
        False,
        False,
    )
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.subject.rfc4514_string() == "CN=OCSP responder,O=Acme"
    assert lint.certificate(certificate) == ()
    certificate.verify_directly_issued_by(ROOT.certificate)


def test_a_responder_ends_with_its_authority_at_the_latest() -> None:
    key = keys.generate("EC-P256")
    certificate = ocsp.signer_certificate(ROOT, key.public_key(), AT, 10_000 * DAY)
    assert certificate.not_valid_after_utc == ROOT.certificate.not_valid_after_utc
    assert certificate.not_valid_before_utc == ROOT.certificate.not_valid_before_utc
    assert SIGNER.certificate.not_valid_after_utc == THIS + 7 * DAY
    with pytest.raises(Invalid, match="authority: it is valid only until"):
        ocsp.signer_certificate(ROOT, key.public_key(), ROOT.certificate.not_valid_after_utc, DAY)


# What others make of it.


BY_ITSELF_AND_DELEGATED = pytest.mark.parametrize("by", ["itself", "delegated"])


@EVERY_AUTHORITY
@BY_ITSELF_AND_DELEGATED
def test_the_linter_finds_nothing(authority: Issuer, by: str) -> None:
    about = request(leaf(authority).certificate, authority, None, (x509.OCSPNonce(b"n" * 32), False))
    for status in STATUSES:
        assert lint.ocsp_response(answer(status, about, signed_by(authority, by), authority)) == ()
    assert lint.ocsp_response(ocsp.failure("unauthorized")) == ()


@EVERY_AUTHORITY
@BY_ITSELF_AND_DELEGATED
def test_openssl_verifies_it_and_finds_its_nonce(authority: Issuer, by: str, tmp_path: Path) -> None:
    about = leaf(authority)
    files = write(tmp_path, authority, about)
    asking = (*files, "-reqout", tmp_path / "request.der", "-nonce", "-no_cert_verify")
    assert run("openssl", "ocsp", *asking).returncode == 0
    asked = (tmp_path / "request.der").read_bytes()
    for status, words in zip(STATUSES, WORDS, strict=True):
        (tmp_path / "answer.der").write_bytes(answer(status, asked, signed_by(authority, by), authority))
        verify = ("-respin", tmp_path / "answer.der", "-CAfile", tmp_path / "ca.pem", "-reqin", tmp_path / "request.der")
        done = run("openssl", "ocsp", *verify, "-no_nonce", *files)  # -no_nonce: add no other one to what is read
        assert "Response verify OK" in done.stderr, done.stderr
        assert "no nonce" not in done.stderr
        assert f"leaf.pem: {words}" in done.stdout


def test_openssl_refuses_a_changed_answer_and_a_foreign_signer(tmp_path: Path) -> None:
    files = write(tmp_path, ROOT, LEAF)
    said = answer()
    flipped = bytearray(said)
    flipped[said.index(ocsp.issuer_hashes(ROOT.certificate, "sha1")[1])] ^= 1
    foreign = answer(signer=delegated(root(keys.generate("EC-P256"))))
    for bad in (bytes(flipped), foreign):
        (tmp_path / "answer.der").write_bytes(bad)
        done = run("openssl", "ocsp", *files, "-respin", tmp_path / "answer.der", "-CAfile", tmp_path / "ca.pem")
        assert "Response Verify Failure" in done.stderr


@pytest.mark.parametrize("spec", OF_EVERY_KIND)
@BY_ITSELF_AND_DELEGATED
def test_gnutls_verifies_it(spec: keys.KeySpec, by: str, tmp_path: Path) -> None:
    authority = AUTHORITIES[spec]
    write(tmp_path, authority, leaf(authority))
    about = ("--load-issuer", tmp_path / "ca.pem", "--load-cert", tmp_path / "leaf.pem")
    run("ocsptool", "--generate-request", *about, "--outfile", tmp_path / "request.der")
    asked = (tmp_path / "request.der").read_bytes()
    for status, words in zip(STATUSES, WORDS, strict=True):
        (tmp_path / "answer.der").write_bytes(answer(status, asked, signed_by(authority, by), authority))
        # GnuTLS finds a signer in the answer, or wants to be told of it.
        trust = "--load-signer" if by == "itself" else "--load-trust"
        verify = (trust, tmp_path / "ca.pem", "--load-response", tmp_path / "answer.der")
        assert "Verifying OCSP Response: Success" in run("ocsptool", "--verify-response", *verify).stdout
        shown = run("ocsptool", "--response-info", "--load-response", tmp_path / "answer.der", "--inder").stdout
        assert f"Certificate Status: {words}" in shown


@EVERY_AUTHORITY
def test_the_library_verifies_the_signature(authority: Issuer) -> None:
    signer = delegated(authority)
    found = answered(asked=request(leaf(authority).certificate, authority), signer=signer, authority=authority)
    public_key = signer.certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    public_key.verify(found.signature, found.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))


def signed_by(authority: Issuer, by: str) -> Issuer:
    return authority if by == "itself" else delegated(authority)


def write(folder: Path, authority: Issuer, about: Leaf) -> tuple[str | Path, ...]:
    (folder / "ca.pem").write_text(pem(authority.certificate))
    (folder / "leaf.pem").write_text(about.cert_pem)
    return ("-issuer", folder / "ca.pem", "-cert", folder / "leaf.pem")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
