"""Keys in a PKCS#11 token: made there, never let out, and signing like any other."""

import copy
import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pkcs11
import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import pkcs12
from pkcs11 import Attribute, ObjectClass

from ostiary.clock import now
from ostiary.custody.token import Token
from ostiary.errors import Conflict, Unavailable
from ostiary.pki import crl, keys, signatures, signing
from ostiary.pki.issue import Issuer, create_intermediate, create_root
from ostiary.pki.keys import KeySpec
from ostiary.pki.names import SubjectFields
from support.softhsm import MODULE, PIN, SoftHSM
from support.wait import eventually

SPECS = get_args(KeySpec)
YEAR = timedelta(days=365)


def a_key(hsm: SoftHSM, spec: KeySpec = "EC-P256") -> keys.PrivateKey:
    token = Token(hsm.location)
    return token.open(token.create(spec, "test"), "key")


def verify(key: keys.PrivateKey, signature: bytes, message: bytes) -> None:
    match public := key.public_key():
        case ec.EllipticCurvePublicKey():
            hash_ = signing.hash_for(key)
            assert hash_ is not None
            public.verify(signature, message, ec.ECDSA(hash_))
        case rsa.RSAPublicKey():
            public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        case ed25519.Ed25519PublicKey():
            public.verify(signature, message)


@pytest.mark.parametrize("spec", SPECS)
def test_every_kind_of_key_is_made_there_and_signs(hsm: SoftHSM, spec: KeySpec) -> None:
    key = a_key(hsm, spec)
    verify(key, signing.sign(key, b"message"), b"message")
    assert spec.replace("-", "").lower() in keys.describe(key.public_key()).replace("-", "").replace(" ", "").lower()


@pytest.mark.parametrize("spec", SPECS)
def test_authorities_and_revocation_lists_are_signed_with_it(hsm: SoftHSM, spec: KeySpec) -> None:
    key, at = a_key(hsm, spec), now()
    root = Issuer(create_root(SubjectFields(CN="In a token"), key, YEAR, at), key)
    below = create_intermediate(SubjectFields(CN="Below"), keys.generate("EC-P256"), root, timedelta(days=30), at)
    assert signatures.is_signed_by(below, root.certificate)
    signed = x509.load_der_x509_crl(crl.sign(root, 1, at, at + timedelta(days=1), ()))
    assert signed.is_signature_valid(key.public_key())


@pytest.mark.parametrize("spec", ["EC-P256", "EC-P384", "RSA-3072"])
def test_what_was_hashed_before_is_signed_as_it_is(hsm: SoftHSM, spec: KeySpec) -> None:
    key, digest = a_key(hsm, spec), hashlib.sha256(b"message").digest()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        key.public_key().verify(signature, b"message", ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, rsa.RSAPrivateKey)
        signature = key.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        key.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


def test_a_digest_longer_than_the_order_is_cut_as_the_standard_says(hsm: SoftHSM) -> None:
    key = a_key(hsm)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    key.public_key().verify(key.sign(b"message", ec.ECDSA(hashes.SHA512())), b"message", ec.ECDSA(hashes.SHA512()))


@pytest.mark.parametrize("spec", SPECS)
def test_the_token_itself_says_that_the_key_cannot_be_taken_out(hsm: SoftHSM, spec: KeySpec) -> None:
    token = Token(hsm.location)
    handle = json.loads(token.create(spec, "test"))
    wanted = {
        "SENSITIVE": True,
        "ALWAYS_SENSITIVE": True,
        "EXTRACTABLE": False,
        "NEVER_EXTRACTABLE": True,
        "PRIVATE": True,
        "SIGN": True,
        "DERIVE": False,
        "DECRYPT": False,
        "UNWRAP": False,
    }

    def look() -> dict[str, Any]:
        found = token._connected().get_key(object_class=ObjectClass.PRIVATE_KEY, id=bytes.fromhex(handle["id"]))
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            _ = found[Attribute.PRIVATE_EXPONENT if spec.startswith("RSA") else Attribute.VALUE]
        names = (
            "SENSITIVE",
            "ALWAYS_SENSITIVE",
            "EXTRACTABLE",
            "NEVER_EXTRACTABLE",
            "PRIVATE",
            "SIGN",
            "DERIVE",
            "DECRYPT",
            "UNWRAP",
        )
        return {name: found[Attribute[name]] for name in names}

    assert token._asked(look, 30) == wanted


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_gets_the_private_part_through_us(hsm: SoftHSM, spec: KeySpec) -> None:
    key = a_key(hsm, spec)
    with pytest.raises(Conflict, match="never leaves"):
        keys.to_pem(key)
    for method in ("private_numbers", "private_bytes_raw", "exchange", "decrypt"):
        with pytest.raises(Conflict, match="never leaves"):
            getattr(key, method)()
    with pytest.raises((Conflict, TypeError)):
        pkcs12.serialize_key_and_certificates(b"x", key, None, None, serialization.NoEncryption())
    assert copy.copy(key) is copy.deepcopy(key) is key
    assert "PrivateNumbers" not in repr(key)


def test_other_ways_of_signing_are_refused(hsm: SoftHSM) -> None:
    key = a_key(hsm, "RSA-3072")
    assert isinstance(key, rsa.RSAPrivateKey)
    with pytest.raises(UnsupportedAlgorithm):
        key.sign(b"message", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    with pytest.raises(UnsupportedAlgorithm):
        key.sign(b"message", padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 (to be refused)
    with pytest.raises(ValueError, match="digest"):
        key.sign(b"short", padding.PKCS1v15(), Prehashed(hashes.SHA256()))


def test_what_is_stored_names_the_key_and_holds_no_pin_and_no_path(hsm: SoftHSM) -> None:
    kept = Token(hsm.location).create("EC-P256", "My CA")
    assert set(json.loads(kept)) == {"version", "label", "id", "public_key"}
    for secret in (PIN, str(hsm.folder), MODULE):
        assert secret.encode() not in kept


def test_another_process_opens_it_from_what_was_stored(hsm: SoftHSM) -> None:
    kept = Token(hsm.location).create("EC-P256", "test")
    key = Token(hsm.location).open(kept, "key")  # nothing is shared but the token
    verify(key, signing.sign(key, b"message"), b"message")


def test_opening_and_the_public_key_do_not_need_the_token(hsm: SoftHSM) -> None:
    token = Token(hsm.location)
    kept = token.create("EC-P256", "test")
    hsm.pull_out()
    assert keys.spki(token.open(kept, "key").public_key())


def test_it_signs_on_after_its_sessions_were_closed_behind_our_back(hsm: SoftHSM) -> None:
    token = Token(hsm.location)
    key = token.open(token.create("EC-P256", "test"), "key")
    token._asked(lambda: pkcs11.lib(MODULE).reinitialize(), 30)
    verify(key, signing.sign(key, b"message"), b"message")


def test_a_token_that_is_gone_is_said_and_one_that_is_back_signs(hsm: SoftHSM) -> None:
    key = a_key(hsm)
    hsm.pull_out()

    def is_refused() -> bool:
        try:
            signing.sign(key, b"message")
        except Unavailable:
            return True
        return False

    eventually(is_refused)  # SoftHSM may have what it has just read in memory for a moment
    for _ in range(2):
        with pytest.raises(Unavailable, match=rf"token '{hsm.label}' is not there.*nothing can be signed.*all else goes on"):
            signing.sign(key, b"message")
    hsm.plug_in()
    verify(key, signing.sign(key, b"message"), b"message")


def test_many_threads_sign_at_once(hsm: SoftHSM) -> None:
    key = a_key(hsm)
    with ThreadPoolExecutor(8) as pool:
        messages = [f"message {number}".encode() for number in range(200)]
        for message, signature in zip(messages, pool.map(lambda one: signing.sign(key, one), messages), strict=True):
            verify(key, signature, message)


def test_a_token_that_does_not_answer_holds_up_nobody_for_ever(hsm: SoftHSM) -> None:
    token = Token(hsm.location)
    answers = threading.Event()
    try:
        with pytest.raises(Unavailable, match=r"has not answered for 0.01 s"):
            token._asked(answers.wait, 0.01)
        with pytest.raises(Unavailable, match="has not answered"):
            token._asked(lambda: None, 0.01)
    finally:
        answers.set()
    assert token._asked(lambda: "again", 30) == "again"


def test_a_wrong_pin_is_tried_once_so_that_it_does_not_lock_the_token(hsm: SoftHSM) -> None:
    kept = Token(hsm.location).create("EC-P256", "test")
    hsm.pin_file.write_text("wrong-pin-of-test")
    token = Token(hsm.location)
    key = token.open(kept, "key")
    for _ in range(20):  # many more than a token forgives
        with pytest.raises(Unavailable, match="refuses the PIN in") as refused:
            signing.sign(key, b"message")
        assert "wrong-pin-of-test" not in str(refused.value)
    hsm.pin_file.write_text(PIN)
    verify(key, signing.sign(key, b"message"), b"message")


def test_what_is_missing_is_said_in_plain_words(hsm: SoftHSM) -> None:
    def refusal(**other: Any) -> str:
        with pytest.raises(Unavailable) as refused:
            Token(replace(hsm.location, **other)).create("EC-P256", "test")
        return str(refused.value)

    assert "cannot be read" in refusal(pin_file=hsm.folder / "nowhere")
    assert "is not there" in refusal(token="another")
    assert "failed" in refusal(module="/nowhere.so")


def test_a_key_that_is_not_in_this_token_is_said(hsm: SoftHSM) -> None:
    token = Token(hsm.location)
    handle = json.loads(token.create("EC-P256", "test"))
    stranger = token.open(json.dumps({**handle, "id": os.urandom(16).hex()}).encode(), "key")
    with pytest.raises(Unavailable, match="does not hold this authority's key"):
        signing.sign(stranger, b"message")


def test_a_signature_of_another_key_is_not_let_out(hsm: SoftHSM) -> None:
    token = Token(hsm.location)
    one, other = (json.loads(token.create("EC-P256", "test")) for _ in range(2))
    swapped = token.open(json.dumps({**one, "id": other["id"]}).encode(), "key")
    with pytest.raises(Unavailable, match="signed with another key"):
        signing.sign(swapped, b"message")


def test_a_handle_of_a_later_format_is_not_guessed_at(hsm: SoftHSM) -> None:
    token = Token(hsm.location)
    handle = json.loads(token.create("EC-P256", "test"))
    with pytest.raises(Unavailable, match="newer ostiary"):
        token.open(json.dumps({**handle, "version": 2}).encode(), "key")
