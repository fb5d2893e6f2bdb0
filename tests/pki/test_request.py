"""Certificate requests: who sent one holds the key, and nothing but the key and the names is read from it."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ostiary.errors import Invalid
from ostiary.pki import keys, request
from ostiary.pki.names import Names
from support.certs import Authority, csr, key_pem, new_ed25519_key, new_key, new_rsa_key, pem


def openssl_csr(*arguments: str, folder: Path) -> str:
    """A request that `cryptography` would not make."""
    made = ["openssl", "req", "-new", "-nodes", "-keyout", str(folder / "key"), "-subj", "/CN=a", *arguments]
    return subprocess.run(made, capture_output=True, check=True, text=True).stdout


def armoured(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE REQUEST-----\n"


def test_the_key_and_the_names_are_read() -> None:
    key = new_key()
    asked = request.read(csr(key, "alice", sans=("DNS:a.test", "IP:10.0.0.1", "URI:spiffe://a.test/x", "email:a@b.test")))
    assert keys.spki(key.public_key()) == keys.spki(asked.public_key)
    assert asked.names == Names("alice", dns=("a.test",), ip=("10.0.0.1",), uri=("spiffe://a.test/x",), email=("a@b.test",))
    assert asked.other_names == ()


def test_names_that_no_certificate_of_ours_carries_are_set_apart() -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "NO"),
            x509.NameAttribute(NameOID.COMMON_NAME, "alice"),
            x509.NameAttribute(NameOID.COMMON_NAME, "root"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.test"),
        ]
    )
    other = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    key = new_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName([other]), critical=False)
    asked = request.read(pem(builder.sign(key, hashes.SHA256())))
    assert asked.names == Names("alice")
    assert asked.other_names == ("C=NO", "CN=root", "1.2.840.113549.1.9.1=a@b.test", "otherName:1.2.3:0500")


def test_text_around_the_request_does_no_harm(tmp_path: Path) -> None:
    assert request.read(
        openssl_csr("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-text", folder=tmp_path)
    ).names == Names("a")


def test_an_ed25519_request_is_read() -> None:
    assert keys.describe(request.read(csr(new_ed25519_key(), "a")).public_key) == "Ed25519"


def test_a_request_whose_signature_is_by_another_key_is_refused() -> None:
    good = x509.load_pem_x509_csr(csr(new_key(), "alice").encode()).public_bytes(Encoding.DER)
    forged = bytearray(good)
    forged[good.index(b"alice")] ^= 1
    with pytest.raises(Invalid, match="no proof of possession"):
        request.read(armoured(bytes(forged)))


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_a_request_signed_with_a_forgeable_hash_is_refused(digest: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=f"signed with {digest.upper()}"):
        request.read(openssl_csr("-newkey", "rsa:2048", f"-{digest}", folder=tmp_path))


def test_a_weak_key_is_refused() -> None:
    with pytest.raises(Invalid, match="RSA key of 1024 bits"):
        request.read(csr(new_rsa_key(1024), "a"))


def test_a_curve_the_engine_cannot_verify_is_refused() -> None:
    with pytest.raises(Invalid, match="EC secp256k1 is not supported"):
        request.read(csr(ec.generate_private_key(ec.SECP256K1()), "a"))


def test_asking_to_be_an_authority_is_refused() -> None:
    with pytest.raises(Invalid, match="asks to be a certificate authority"):
        request.read(csr(new_key(), "a", extensions=[(x509.BasicConstraints(ca=True, path_length=None), True)]))


def test_saying_that_it_is_no_authority_is_fine() -> None:
    asked = request.read(csr(new_key(), "a", extensions=[(x509.BasicConstraints(ca=False, path_length=None), True)]))
    assert asked.names == Names("a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no certificate request"),
        ("nonsense", "holds no certificate request"),
        ("0\x82", "looks like DER"),
        ("\ud800", "holds no certificate request"),
        (csr(new_key(), "a") + csr(new_key(), "b"), "more than one"),
        (csr(new_key(), "a") + key_pem(new_key()), "holds a private key"),
        (Authority.root().cert_pem, "holds a 'CERTIFICATE'"),
        (csr(new_key(), "a").replace("END", "ENDE"), "damaged"),
        (csr(new_key(), "a").rpartition("-----END")[0], "ends inside"),
        ("-----BEGIN CERTIFICATE REQUEST-----\n!!!!\n-----END CERTIFICATE REQUEST-----\n", "not base64"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "not a certificate request that can"),
        ("x" * 70_000, "larger than 64 KiB"),
    ],
    ids=lambda text: ascii(text[:20]),  # not the whole: keys are new each time, and test ids must not be
)
def test_anything_but_one_whole_request_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        request.read(text, field="request")
    assert refused.value.field == "request"


def test_bytes_after_the_request_are_refused() -> None:
    good = x509.load_pem_x509_csr(csr(new_key(), "alice").encode()).public_bytes(Encoding.DER)
    with pytest.raises(Invalid, match="not a certificate request that can be read"):
        request.read(armoured(good + b"\0"))


def test_an_extension_that_cannot_be_read_is_refused() -> None:
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x02\x01\x05")
    with pytest.raises(Invalid, match="not a certificate request that can be read"):
        request.read(csr(new_key(), "a", extensions=[(broken, False)]))


def test_an_oversized_key_is_refused_before_its_signature_is_verified() -> None:
    # The signature is nonsense; that the key is named as the reason shows which came first.
    small = csr(new_rsa_key(1024), "a")
    der = bytearray(x509.load_pem_x509_csr(small.encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(Invalid, match="RSA key of 1024 bits"):
        request.read(armoured(bytes(der)))
