"""Keys: made, read, described; weak ones refused; nothing of them in any message."""

import subprocess
from typing import get_args

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa

from ostiary.errors import Invalid
from ostiary.pki import keys
from support.certs import Authority, key_pem, new_key, new_rsa_key

PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL


def pem_of(key: object, form: serialization.PrivateFormat = PKCS8, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)  # type: ignore[attr-defined, no-any-return]


def rsa_from(p: int, q: int, e: int = 65537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(e, p * q).public_key()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return new_rsa_key()


@pytest.mark.parametrize(
    ("spec", "described"), [("EC-P256", "EC P-256"), ("EC-P384", "EC P-384"), ("ED25519", "Ed25519"), ("RSA-3072", "RSA 3072")]
)
def test_a_generated_key_is_of_the_kind_asked_for_and_survives_pem(spec: keys.KeySpec, described: str) -> None:
    key = keys.generate(spec)
    assert described == keys.describe(key.public_key())
    again = keys.load(keys.to_pem(key), None, "key")
    assert keys.spki(key.public_key()) == keys.spki(again.public_key())
    assert spec in get_args(keys.KeySpec)


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
@pytest.mark.parametrize("password", [None, b"open sesame"])
def test_every_usual_form_of_a_key_is_read(form: serialization.PrivateFormat, password: bytes | None) -> None:
    key = new_key()
    assert keys.load(pem_of(key, form, password), password, "key").private_numbers() == key.private_numbers()  # type: ignore[union-attr]


def test_the_curve_that_openssl_writes_before_the_key_does_no_harm() -> None:
    made = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey"], capture_output=True, check=True).stdout
    assert b"EC PARAMETERS" in made
    assert keys.describe(keys.load(made, None, "key").public_key()) == "EC P-256"


def test_a_wrong_passphrase_is_refused() -> None:
    with pytest.raises(Invalid, match=r"^private_key: it cannot be decrypted with this passphrase"):
        keys.load(pem_of(new_key(), password=b"right"), b"wrong", "private_key")


def test_an_encrypted_key_needs_its_passphrase() -> None:
    with pytest.raises(Invalid, match="give its passphrase"):
        keys.load(pem_of(new_key(), password=b"right"), None, "private_key")


def test_a_passphrase_for_a_key_that_has_none_is_refused() -> None:
    with pytest.raises(Invalid, match="takes no passphrase"):
        keys.load(pem_of(new_key()), b"right", "private_key")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        key_pem(new_key()).encode() * 2,
        key_pem(new_key()).encode() + Authority.root().cert_pem.encode(),
        Authority.root().cert_pem.encode(),
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
    ids=lambda text: ascii(text[:20]),  # not the whole: keys are new each time, and test ids must not be
)
def test_anything_but_one_private_key_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid, match="one private key in PEM form"):
        keys.load(text, None, "private_key")


def test_a_file_much_larger_than_a_key_is_not_parsed() -> None:
    with pytest.raises(Invalid, match="larger than 64 KiB"):
        keys.load(b"x" * 70_000, None, "private_key")


def test_no_message_and_no_chained_error_holds_key_material() -> None:
    text = key_pem(new_key())
    body = text.splitlines()[1]
    broken = text.replace(body, body[:-4] + "!!!!").encode()
    with pytest.raises(Invalid) as refused:
        keys.load(broken, None, "private_key")
    assert body[:16] not in str(refused.value)
    assert refused.value.__suppress_context__


def test_keys_of_kinds_the_engine_cannot_use_are_refused() -> None:
    for key in (dsa.generate_private_key(2048), ed448.Ed448PrivateKey.generate()):
        with pytest.raises(Invalid, match="keys of this kind are not supported"):
            keys.load(pem_of(key), None, "key")


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256K1(), ec.BrainpoolP256R1()])
def test_curves_the_engine_cannot_verify_are_refused(curve: ec.EllipticCurve) -> None:
    with pytest.raises(Invalid, match=f"EC {curve.name} is not supported"):
        keys.refuse_weak(ec.generate_private_key(curve).public_key(), "csr")


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_the_nist_prime_curves_are_accepted(curve: ec.EllipticCurve) -> None:
    keys.refuse_weak(ec.generate_private_key(curve).public_key(), "csr")


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(Invalid, match="RSA key of 1024 bits is not accepted"):
        keys.refuse_weak(new_rsa_key(1024).public_key(), "csr")


def test_an_rsa_key_so_long_that_verifying_it_is_an_attack_is_refused() -> None:
    with pytest.raises(Invalid, match="RSA key of 16384 bits"):
        keys.refuse_weak(rsa.RSAPublicNumbers(65537, (1 << 16383) + 1).public_key(), "csr")


@pytest.mark.parametrize("exponent", [3, 17, 65535, (1 << 40) + 1])
def test_an_rsa_exponent_outside_the_standard_is_refused(rsa_key: rsa.RSAPrivateKey, exponent: int) -> None:
    numbers = rsa.RSAPublicNumbers(exponent, rsa_key.public_key().public_numbers().n)
    with pytest.raises(Invalid, match="public exponent"):
        keys.refuse_weak(numbers.public_key(), "csr")


def test_an_rsa_key_of_two_close_primes_is_refused(rsa_key: rsa.RSAPrivateKey) -> None:
    p = rsa_key.private_numbers().p
    with pytest.raises(Invalid, match=r"known to be breakable.*fermat"):
        keys.refuse_weak(rsa_from(p, p), "csr")


def test_an_rsa_key_with_a_small_factor_is_refused(rsa_key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(Invalid, match="known to be breakable"):
        keys.refuse_weak(rsa_from(rsa_key.public_key().public_numbers().n, 10007), "csr")


def test_a_sound_rsa_key_is_accepted(rsa_key: rsa.RSAPrivateKey) -> None:
    keys.refuse_weak(rsa_key.public_key(), "csr")


def test_a_certificate_matches_its_own_key_and_no_other() -> None:
    leaf = Authority.root().client("alice")
    assert keys.matches(leaf.certificate, leaf.key)
    assert not keys.matches(leaf.certificate, new_key())
