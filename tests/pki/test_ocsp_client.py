"""What another authority's responder says is believed only when every part of it holds (RFC 6960 3.2, 4.2.2)."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.pki import ocsp_client
from ostiary.pki.ocsp_client import ANSWER_LIMIT, NONCE_OCTETS, Answer, Question
from support.certs import CLIENT_AUTH, DAY, Authority, Leaf, new_ed25519_key, new_rsa_key
from support.responder import NOCHECK, Responder, delegate

AT = now()
HOUR = timedelta(hours=1)
CA = Authority.root("Foreign root")
OTHER = Authority.root("Foreign root")  # one name, another key
ALICE, BOB = CA.client("alice"), CA.client("bob")


def ask(leaf: Leaf = ALICE, issuer: Authority = CA) -> Question:
    return ocsp_client.question(issuer.certificate, leaf.certificate.serial_number, secrets.token_bytes(NONCE_OCTETS))


def read(der: bytes, asked: Question, at: datetime = AT, crl: str | None = None) -> Answer:
    return ocsp_client.answer(der, asked, at, x509.load_pem_x509_crl(crl.encode()) if crl else None)


def itself(ca: Authority = CA) -> Leaf:
    return Leaf(ca.certificate, ca.key)


def said(  # one knob for each thing that can be wrong
    asked: Question,
    *,
    about: Leaf = ALICE,
    issuer: Authority = CA,
    by: Leaf | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    this_update: datetime = AT - HOUR,
    next_update: datetime | None = AT + HOUR,
    nonce: bytes | None = None,
    by_key: bool = False,
    digest: hashes.HashAlgorithm | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    """An answer, made with `cryptography` alone."""
    by = by or itself()
    is_revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        about.certificate,
        issuer.certificate,
        digest or hashes.SHA1(),  # noqa: S303 (as in requests)
        status,
        this_update,
        next_update,
        AT - HOUR if is_revoked else None,
        x509.ReasonFlags.key_compromise if is_revoked else None,
    )
    encoding = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
    builder = builder.responder_id(encoding, by.certificate)
    if by.authorities:
        builder = builder.certificates([by.certificate])
    builder = builder.add_extension(x509.OCSPNonce(asked.nonce if nonce is None else nonce), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    signed_with = None if not hasattr(by.key, "curve") and not hasattr(by.key, "key_size") else hashes.SHA256()
    return builder.sign(by.key, signed_with).public_bytes(Encoding.DER)


def test_openssl_answers_what_we_ask(tmp_path: Path) -> None:
    responder = Responder(tmp_path, CA)
    responder.knows(ALICE)
    responder.revokes(BOB, AT - HOUR)
    asked = ask(ALICE)
    good = read(responder.answer(asked.der), asked, now())
    assert (good.status, good.revoked_at, good.has_nonce) == ("good", None, True)
    assert good.next_update is not None
    asked = ask(BOB)
    revoked = read(responder.answer(asked.der), asked, now())
    assert (revoked.status, revoked.reason) == ("revoked", "keyCompromise")
    assert revoked.revoked_at == (AT - HOUR).replace(microsecond=0)
    asked = ask(CA.client("carol"))
    assert read(responder.answer(asked.der), asked, now()).status == "unknown"


def test_a_responder_that_the_authority_named_may_answer(tmp_path: Path) -> None:
    responder = Responder(tmp_path, CA, delegate(CA))
    responder.knows(ALICE)
    asked = ask()
    assert read(responder.answer(asked.der), asked, now()).status == "good"


@pytest.mark.parametrize("by", [itself(), delegate(CA)], ids=["itself", "delegate"])
@pytest.mark.parametrize("by_key", [False, True])
def test_an_answer_that_holds_is_believed(by: Leaf, by_key: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    asked = ask()
    assert read(said(asked, by=by, by_key=by_key), asked) == Answer(
        "good", None, None, (AT - HOUR).replace(microsecond=0), (AT + HOUR).replace(microsecond=0), has_nonce=True
    )


@pytest.mark.parametrize("key", [new_rsa_key(), new_ed25519_key()])
def test_rsa_and_ed25519_responders_are_understood(key: object) -> None:
    ca = Authority.root("Other kind", key=key)  # type: ignore[arg-type]  # as given
    leaf = ca.client("alice")
    asked = ask(leaf, ca)
    assert read(said(asked, about=leaf, issuer=ca, by=itself(ca), digest=hashes.SHA256()), asked).status == "good"


def refusal(der: bytes, asked: Question, at: datetime = AT, crl: str | None = None) -> str:
    with pytest.raises(Invalid) as refused:
        read(der, asked, at, crl)
    assert refused.value.field == "ocsp_urls"
    return refused.value.message


def test_an_answer_about_another_certificate_is_refused() -> None:
    asked = ask(BOB)
    assert "not about the certificate" in refusal(said(asked, about=ALICE), asked)


def test_an_answer_about_another_issuers_certificate_with_that_number_is_refused() -> None:
    asked = ask()
    assert "not about the certificate" in refusal(said(asked, issuer=OTHER), asked)
    assert "not about the certificate" in refusal(said(asked, issuer=OTHER, by=itself(OTHER)), asked)


@pytest.mark.parametrize("by", [itself(OTHER), delegate(OTHER), OTHER.client("x")], ids=["authority", "delegate", "client"])
@pytest.mark.parametrize("by_key", [False, True])
def test_an_answer_that_another_signed_is_refused(by: Leaf, by_key: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    asked = ask()
    message = refusal(said(asked, by=by, by_key=by_key), asked)
    assert "is not signed by the authority" in message or "which that authority did not issue" in message


def test_a_changed_answer_is_refused() -> None:
    asked = ask()
    der = bytearray(said(asked, status=ocsp.OCSPCertStatus.REVOKED))
    changed = der.replace(b"\xa1", b"\x80", 1)
    assert refusal(bytes(changed), asked)
    der[-1] ^= 1
    assert "is not signed by the authority" in refusal(bytes(der), asked)


@pytest.mark.parametrize(
    ("eku", "nocheck"),
    [((CLIENT_AUTH,), True), ((), True), ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True)],
)
def test_a_client_of_the_authority_is_no_responder(eku: tuple[x509.ObjectIdentifier, ...], nocheck: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    asked = ask()
    client = CA.client("mallory", eku=eku, extensions=[NOCHECK] if nocheck else [])
    assert "was not made a responder" in refusal(said(asked, by=client), asked)


def test_a_responder_below_an_intermediate_does_not_speak_for_the_root() -> None:
    below = CA.intermediate("below")
    asked = ask()
    assert "which that authority did not issue" in refusal(said(asked, by=delegate(below)), asked)


def test_a_responder_outside_its_time_is_refused() -> None:
    asked = ask()
    late = CA.client(
        "late", eku=(ExtendedKeyUsageOID.OCSP_SIGNING,), extensions=[NOCHECK], not_before=AT - 9 * DAY, not_after=AT - HOUR
    )
    assert "which is not valid now" in refusal(said(asked, by=late), asked)


def test_a_responder_that_may_itself_be_revoked_is_looked_up() -> None:
    asked = ask()
    responder = delegate(CA, nocheck=False)
    der = said(asked, by=responder)
    assert "nothing says that it is not revoked" in refusal(der, asked)
    assert "which is revoked" in refusal(der, asked, crl=CA.crl([responder]))
    assert read(der, asked, crl=CA.crl()).status == "good"


def test_a_responder_with_a_weak_key_is_refused() -> None:
    asked = ask()
    weak = CA.client("weak", key=new_rsa_key(1024), eku=(ExtendedKeyUsageOID.OCSP_SIGNING,), extensions=[NOCHECK])
    assert "not strong enough" in refusal(said(asked, by=weak), asked)


def test_an_answer_is_believed_within_its_time_only() -> None:
    asked = ask()
    der = said(asked)
    assert "ended at" in refusal(der, asked, AT + HOUR)
    assert "begins only at" in refusal(der, asked, AT - 2 * HOUR)
    assert read(der, asked, AT - HOUR - timedelta(minutes=4)).status == "good"
    without_end = said(asked, next_update=None)
    assert read(without_end, asked).next_update is None
    assert "ended at" in refusal(without_end, asked, AT + DAY)


def test_an_answer_to_another_question_is_refused_and_one_made_before_is_not() -> None:
    asked = ask()
    assert "another question" in refusal(said(asked, nonce=b"x" * 32), asked)
    builder = ocsp.OCSPResponseBuilder().add_response(
        ALICE.certificate,
        CA.certificate,
        hashes.SHA256(),
        ocsp.OCSPCertStatus.GOOD,
        AT - HOUR,
        AT + HOUR,
        None,
        None,
    )
    prepared = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, CA.certificate).sign(CA.key, hashes.SHA256())
    assert not read(prepared.public_bytes(Encoding.DER), asked).has_nonce


def test_a_critical_extension_that_nobody_knows_is_refused() -> None:
    asked = ask()
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert "critical extension" in refusal(said(asked, extensions=((odd, True),)), asked)
    assert read(said(asked, extensions=((odd, False),)), asked).status == "good"


@pytest.mark.parametrize("status", [ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED])
def test_a_responder_that_does_not_answer_says_nothing(status: ocsp.OCSPResponseStatus) -> None:
    der = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    assert f"did not answer ({status.name.lower()})" in refusal(der, ask())


@pytest.mark.parametrize("der", [b"", b"garbage", b"\x30\x82\xff\xff", b"\x30" * 5000], ids=ascii)
def test_what_is_no_answer_is_refused(der: bytes) -> None:
    assert "cannot be read" in refusal(der, ask())
    assert "larger than 64 KiB" in refusal(der + bytes(ANSWER_LIMIT + 1), ask())


@pytest.mark.parametrize("at", range(0, 700, 7))
def test_an_answer_with_any_octet_changed_never_says_more_than_it_did(at: int) -> None:
    asked = ask()
    der = bytearray(said(asked, by=delegate(CA)))
    der[at % len(der)] ^= 0x41
    try:
        found = read(bytes(der), asked)
    except Invalid:
        return
    assert replace(found, has_nonce=True) == read(said(asked, by=delegate(CA)), asked)
