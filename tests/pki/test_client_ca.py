"""A Client CA: certificates are read whole or refused, and only sound authorities let anyone in."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.errors import Invalid
from ostiary.pki import chain
from support.certs import (
    CLIENT_AUTH,
    DAY,
    SERVER_AUTH,
    Authority,
    Validity,
    csr,
    key_pem,
    name,
    new_ed25519_key,
    new_key,
    new_rsa_key,
    pem,
)

AT = datetime(2026, 6, 1, tzinfo=UTC)
SPAN = Validity(not_before=AT - DAY, not_after=AT + 1000 * DAY)
ROOT = Authority.root("Root", **SPAN)
ISSUING = ROOT.intermediate("Issuing", **SPAN)

CA = (x509.BasicConstraints(ca=True, path_length=None), True)


def usage(*allowed: str) -> tuple[x509.KeyUsage, bool]:
    kinds = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{kind: kind in allowed for kind in (*kinds, *more)}), True


def odd(*extensions: tuple[x509.ExtensionType, bool]) -> str:
    """A certificate that `ROOT` signed, with just these extensions."""
    return pem(ROOT.sign(name("Odd"), new_key(), extensions, **SPAN))


def read(text: str, at: datetime = AT) -> tuple[x509.Certificate, ...]:
    return chain.read_client_ca(text.encode(), at, "client_ca")


def test_roots_and_intermediates_are_read_in_their_order() -> None:
    other = Authority.root("Other", key=new_ed25519_key(), **SPAN)
    assert read(ISSUING.bundle_pem + other.cert_pem) == (ISSUING.certificate, ROOT.certificate, other.certificate)


def test_text_around_certificates_and_windows_line_ends_are_tolerated() -> None:
    text = (
        "\ufeffIssuing CA — Ærlig\n=====\n"
        + ISSUING.cert_pem
        + "\nsubject=CN=Root\n----------\n  "
        + ROOT.cert_pem.replace("\n", "\n  ")
    )
    assert read(text.replace("\n", "\r\n")) == (ISSUING.certificate, ROOT.certificate)


def test_a_certificate_given_twice_counts_once() -> None:
    assert read(ROOT.cert_pem * 3) == (ROOT.certificate,)


def test_what_is_handed_on_is_the_certificates_and_nothing_around_them() -> None:
    assert chain.to_pem(read("hidden\n" + ISSUING.bundle_pem + "rest")) == ISSUING.bundle_pem


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no certificate"),
        ("garbage", "holds no certificate"),
        ("0\x82\x01", "looks like DER"),
        (ROOT.cert_pem + ROOT.key_pem, "holds a private key where a certificate belongs"),
        (ROOT.cert_pem + key_pem(ROOT.key, "x"), "holds a private key"),
        (ROOT.crl(last_update=AT, next_update=AT + DAY), "holds a 'X509 CRL'"),
        (csr(new_key(), "a"), "holds a 'CERTIFICATE REQUEST'"),
        (ROOT.cert_pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "holds a 'TRUSTED CERTIFICATE'"),
        (ROOT.cert_pem.replace("CERTIFICATE", "PKCS7"), "holds a 'PKCS7'"),
        (ROOT.cert_pem + "-----BEGIN CERTIFICATE-----\nAAAA\n", "ends inside 'CERTIFICATE'"),
        ("-----BEGIN CERTIFICATE-----\n" + ROOT.cert_pem, "cut or mixed up"),
        (ROOT.cert_pem + "-----END CERTIFICATE-----\n", "cut or mixed up"),
        (ROOT.cert_pem.replace("END CERTIFICATE", "END PKCS7"), "cut or mixed up"),
        (ROOT.cert_pem + "-----BEGIN CERTIFICATE----\nAAAA\n", "damaged"),
        (ROOT.cert_pem + "x-----BEGIN CERTIFICATE-----\nAAAA\n", "damaged"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "not base64"),
        (
            ROOT.cert_pem + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate number 2 in it cannot be read",
        ),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "certificate number 1 in it cannot be read"),
        ("x" * (1024 * 1024 + 1), "larger than 1024 KiB"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_anything_that_could_be_misread_is_refused_whole(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        read(text)
    assert refused.value.field == "client_ca"


def test_more_than_a_thousand_certificates_are_not_parsed() -> None:
    blocks = "".join(f"-----BEGIN CERTIFICATE-----\n{number:08d}\n-----END CERTIFICATE-----\n" for number in range(1001))
    with pytest.raises(Invalid, match="more than 1000 certificates"):
        read(blocks)


def test_a_leaf_is_no_client_ca() -> None:
    with pytest.raises(Invalid, match="client_ca: 'CN=alice' is not a CA certificate"):
        read(ROOT.cert_pem + ROOT.client("alice", **SPAN).cert_pem)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (odd(), "not a CA certificate"),
        (odd((x509.BasicConstraints(ca=False, path_length=None), True)), "not a CA certificate"),
        (odd(CA, usage("digital_signature", "crl_sign")), "lacks keyCertSign"),
        (odd(CA, usage("key_cert_sign"), (x509.ExtendedKeyUsage([SERVER_AUTH]), False)), "is not for client authentication"),
        (
            odd(CA, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)),
            r"does not know \(1.2.3.4\)",
        ),
        (odd(CA, (x509.UnrecognizedExtension(x509.KeyUsage.oid, b"\x05\x00"), True)), "cannot be read in full"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_an_authority_that_may_not_vouch_for_clients_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read(text)


@pytest.mark.parametrize(
    "extensions",
    [
        (CA,),
        (CA, usage("key_cert_sign", "crl_sign")),
        (CA, (x509.ExtendedKeyUsage([CLIENT_AUTH]), False)),
        (CA, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)),
        (CA, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)),
        (CA, (x509.NameConstraints([x509.DNSName("a.test")], None), True)),
    ],
)
def test_an_authority_that_may_is_accepted(extensions: tuple[tuple[x509.ExtensionType, bool], ...]) -> None:
    assert len(read(odd(*extensions))) == 1


def test_an_authority_for_servers_only_is_good_for_the_members_of_a_pool() -> None:
    text = odd(CA, (x509.ExtendedKeyUsage([SERVER_AUTH]), False)).encode()
    assert len(chain.read_server_ca(text, AT, "ca")) == 1
    clients_only = odd(CA, (x509.ExtendedKeyUsage([CLIENT_AUTH]), False)).encode()
    with pytest.raises(Invalid, match="not for server authentication"):
        chain.read_server_ca(clients_only, AT, "ca")


def test_an_authority_outside_its_time_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="'CN=Root' expired at 2029-02-25"):
        read(ROOT.cert_pem, AT + 1001 * DAY)
    with pytest.raises(Invalid, match="'CN=Root' is not valid before 2026-05-31"):
        read(ROOT.cert_pem, AT - 2 * DAY)
    assert read(ROOT.cert_pem, AT + 1000 * DAY)
    assert read(ROOT.cert_pem, AT - DAY)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (new_rsa_key(1024), "'CN=Weak': an RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "'CN=Weak': a key of kind EC secp256k1"),
        (ec.generate_private_key(ec.SECP224R1()), "'CN=Weak': a key of kind EC secp224r1"),
    ],
)
def test_an_authority_with_a_key_that_is_weak_or_that_the_engine_cannot_use_is_refused(key: object, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read(Authority.root("Weak", key=key, **SPAN).cert_pem)  # type: ignore[arg-type]


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True).stdout


def test_a_sha1_signature_is_refused_but_on_a_root_where_it_says_nothing(tmp_path: Path) -> None:
    # Made by openssl: `cryptography` no longer signs with SHA-1.
    root, key, extensions = tmp_path / "root.pem", tmp_path / "key", tmp_path / "extensions"
    new_key_file = ("-newkey", "rsa:2048", "-nodes", "-keyout")
    openssl("req", "-x509", *new_key_file, key, "-sha1", "-days", "2", "-subj", "/CN=Old root", "-out", root)
    at = x509.load_pem_x509_certificate(root.read_bytes()).not_valid_before_utc + timedelta(hours=1)
    assert len(read(root.read_text(), at)) == 1
    extensions.write_text("basicConstraints=critical,CA:TRUE\n")
    asked = openssl("req", "-new", *new_key_file, tmp_path / "key2", "-subj", "/CN=Old issuing")
    signing = ("-req", "-sha1", "-days", "2", "-CA", root, "-CAkey", key, "-CAcreateserial", "-extfile", extensions)
    with pytest.raises(Invalid, match="'CN=Old issuing' is signed with SHA1, which can be forged"):
        read(openssl("x509", *signing, given=asked).decode(), at)


def test_a_version_1_certificate_is_refused_for_it_cannot_say_what_it_is_for(tmp_path: Path) -> None:
    key = tmp_path / "key"
    asked = openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=V1", "-keyout", key)
    certificate = openssl("x509", "-req", "-days", "2", "-signkey", key, given=asked)
    at = x509.load_pem_x509_certificate(certificate).not_valid_before_utc
    with pytest.raises(Invalid, match=r"'CN=V1' is an X.509 version 1 certificate"):
        read(certificate.decode(), at)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_serial_number_below_zero_is_refused_and_zero_is_a_roots_alone(tmp_path: Path) -> None:
    def numbered(serial: str) -> tuple[str, datetime]:
        keyed = ("-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key")
        made = openssl("req", "-x509", *keyed, "-days", "2", "-subj", "/CN=Odd", "-set_serial", serial)
        return made.decode(), x509.load_pem_x509_certificate(made).not_valid_before_utc

    assert len(read(*numbered("0"))) == 1
    with pytest.raises(Invalid, match="serial number that is not positive"):
        read(*numbered("-5"))


def test_two_authorities_with_one_name_are_told_apart_by_their_key_identifiers() -> None:
    assert len(read(ROOT.cert_pem + Authority.root("Root", **SPAN).cert_pem)) == 2


@pytest.mark.parametrize("identifier", [None, b"same"])
def test_look_alike_authorities_that_cannot_be_told_apart_are_refused(identifier: bytes | None) -> None:
    with pytest.raises(Invalid, match=r"2 authorities named 'CN=Twin' with different keys"):
        read(twin(identifier) + twin(identifier))


def test_a_renewed_authority_with_the_same_key_stands_beside_the_old_one() -> None:
    key = new_key()
    assert len(read(twin(None, key) + twin(None, key))) == 2


def twin(identifier: bytes | None, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    key = key or new_key()
    builder = x509.CertificateBuilder().subject_name(name("Twin")).issuer_name(name("Twin")).public_key(key.public_key())
    builder = builder.not_valid_before(AT - DAY).not_valid_after(AT + 10 * DAY).serial_number(x509.random_serial_number())
    builder = builder.add_extension(*CA)
    if identifier is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
    return pem(builder.sign(key, hashes.SHA256()))


def test_a_long_and_odd_subject_is_shown_safely_in_the_refusal() -> None:
    with pytest.raises(Invalid) as refused:
        read(pem(ROOT.sign(name("a\n\u202eb" * 8), new_key(), (), not_before=AT, not_after=AT + timedelta(days=1))))
    assert refused.value.message.isprintable()
