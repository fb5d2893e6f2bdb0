"""Whoever made an encrypted file chose what it costs to open; what costs too much is refused before anything is computed."""

import base64
import contextlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.pki import chain, der, kdf_work, keys
from support.certs import Authority, key_pem, new_key

MOST = 2**31 - 1
PBKDF2, PBES2, SCRYPT, AES, HMAC_SHA256 = (
    "1.2.840.113549.1.5.12",
    "1.2.840.113549.1.5.13",
    "1.3.6.1.4.1.11591.4.11",
    "2.16.840.1.101.3.4.1.42",
    "1.2.840.113549.2.9",
)
PBE_SHA1_3DES = "1.2.840.113549.1.12.1.3"


def octets(content: bytes) -> bytes:
    return der.tlv(der.OCTET_STRING, content)


def pbkdf2(rounds: int) -> bytes:
    parameters = der.sequence(octets(b"saltsalt"), der.integer(rounds), der.sequence(der.oid(HMAC_SHA256), der.NULL))
    return der.sequence(der.oid(PBKDF2), parameters)


def scrypt(n: int, r: int, p: int) -> bytes:
    return der.sequence(der.oid(SCRYPT), der.sequence(octets(b"saltsalt"), *map(der.integer, (n, r, p))))


def pbes2(derivation: bytes) -> bytes:
    return der.sequence(der.oid(PBES2), der.sequence(derivation, der.sequence(der.oid(AES), octets(bytes(16)))))


def pbes1(rounds: int) -> bytes:
    return der.sequence(der.oid(PBE_SHA1_3DES), der.sequence(octets(b"saltsalt"), der.integer(rounds)))


def pkcs8(encryption: bytes) -> bytes:
    return der.sequence(encryption, octets(bytes(64)))


def pem(content: bytes) -> bytes:
    text = base64.encodebytes(content).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}-----END ENCRYPTED PRIVATE KEY-----\n".encode()


def with_rounds(data: bytes, usual: int, wanted: int) -> bytes:
    """The same PKCS#12 with another number of rounds, wherever it stands; lengths stay as they are."""
    assert len(der.integer(usual)) == len(der.integer(wanted))
    assert der.integer(usual) in data
    return data.replace(der.integer(usual), der.integer(wanted))


@pytest.mark.parametrize(
    "encryption",
    [
        pbes2(pbkdf2(MOST)),
        pbes2(pbkdf2(2**60)),
        pbes2(pbkdf2(5_000_001)),
        pbes1(MOST),
        pbes2(scrypt(2**20, 8, 1)),
        pbes2(scrypt(16384, 8, 2**20)),
        pbes2(scrypt(2, 2**29, 1)),
    ],
)
def test_pitfall_19_a_key_whose_passphrase_takes_too_long_to_try_is_refused_and_not_computed(encryption: bytes) -> None:
    with pytest.raises(Invalid, match=r"^private_key: opening it takes \d+ (rounds|blocks).*export it again"):
        keys.load(pem(pkcs8(encryption)), b"passphrase", "private_key")


@pytest.mark.parametrize("usual", [2_048, 100_000, 600_000, 1_300_000])
def test_usual_costs_are_accepted(usual: int) -> None:
    kdf_work.refuse_excessive(pkcs8(pbes2(pbkdf2(usual))), "key", "")
    kdf_work.refuse_excessive(pkcs8(pbes1(usual)), "key", "")


def test_what_openssl_writes_opens(tmp_path: Path) -> None:
    plain = tmp_path / "plain.pem"
    plain.write_text(key_pem(new_key()))
    for options in (["-v2", "aes-256-cbc", "-iter", "1000000"], ["-scrypt"], ["-v1", "PBE-SHA1-3DES"]):
        command = ["openssl", "pkcs8", "-topk8", "-in", str(plain), "-passout", "pass:open sesame", *options]
        made = subprocess.run(command, capture_output=True, check=True).stdout
        assert keys.spki(keys.load(made, b"open sesame", "key").public_key()) == keys.spki(
            load_pem_private_key(plain.read_bytes(), None).public_key()
        )


def test_a_negative_cost_is_no_cost_anybody_wrote() -> None:
    negative = der.sequence(der.oid(PBKDF2), der.sequence(octets(b"salt"), b"\x02\x01\xff"))
    with pytest.raises(Invalid, match="cannot be decrypted"):
        keys.load(pem(pkcs8(pbes2(negative))), b"passphrase", "private_key")


def test_what_is_nested_very_deep_or_in_very_many_parts_is_refused() -> None:
    deep = b""
    for _ in range(100):
        deep = der.sequence(deep)
    for odd in (deep, der.sequence(*[der.NULL] * 10_000)):
        with pytest.raises(Invalid, match="unreadable"):
            kdf_work.refuse_excessive(odd, "key", "unreadable")


@pytest.fixture(scope="module")
def bundle() -> bytes:
    leaf = Authority.root().intermediate().server("a.test")
    how = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(70_000)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(b"open sesame")
    )
    return pkcs12.serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, leaf.authorities[:-1], how)


def test_a_pkcs12_is_refused_for_each_place_where_a_cost_stands(bundle: bytes) -> None:
    chain.read_pkcs12(bundle, b"open sesame", now(), "payload")
    number = der.integer(70_000)
    places = [at for at in range(len(bundle)) if bundle[at:].startswith(number)]
    assert len(places) >= 2  # of the key, and of the certificates
    for at in places:
        dear = bundle[:at] + der.integer(8_000_000) + bundle[at + len(number) :]
        with pytest.raises(Invalid, match="rounds of key derivation"):
            chain.read_pkcs12(dear, b"open sesame", now(), "payload")


def test_many_costs_that_are_bearable_alone_are_counted_together(bundle: bytes) -> None:
    with pytest.raises(Invalid, match="rounds of key derivation"):
        chain.read_pkcs12(with_rounds(bundle, 70_000, 4_000_000), b"open sesame", now(), "payload")


def test_the_older_forms_of_pkcs12_are_looked_into_too(tmp_path: Path) -> None:
    leaf = Authority.root().server("a.test")
    (tmp_path / "both.pem").write_text(leaf.cert_pem + leaf.key_pem)
    for options in ([], ["-legacy"]):
        command = ["openssl", "pkcs12", "-export", "-in", str(tmp_path / "both.pem"), "-passout", "pass:open sesame", *options]
        cheap = subprocess.run([*command, "-iter", "70000"], capture_output=True, check=True).stdout
        chain.read_pkcs12(cheap, b"open sesame", now(), "payload")
        with pytest.raises(Invalid, match="rounds of key derivation"):
            chain.read_pkcs12(with_rounds(cheap, 70_000, 8_000_000), b"open sesame", now(), "payload")


def test_octets_cut_in_pieces_hide_nothing() -> None:
    inside = pkcs8(pbes2(pbkdf2(MOST)))
    in_pieces = b"\x24\x80" + octets(inside[:40]) + octets(inside[40:]) + b"\x00\x00"
    with pytest.raises(Invalid, match="rounds"):
        kdf_work.refuse_excessive(b"\x30\x80" + in_pieces + b"\x00\x00", "payload", "unreadable")


@given(st.binary(max_size=400))
def test_no_bytes_get_more_than_a_refusal(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        kdf_work.refuse_excessive(data, "payload", "unreadable")


@given(st.data())
def test_no_change_of_a_real_file_breaks_the_reader(data: st.DataObject) -> None:
    whole = bytearray(pkcs8(pbes2(pbkdf2(2048))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Invalid):
        kdf_work.refuse_excessive(bytes(whole), "payload", "unreadable")


def test_our_own_exports_are_within_the_limits() -> None:
    made = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    keys.load(made, b"open sesame", "key")
