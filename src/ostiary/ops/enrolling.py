"""Enrol with a grant, and renew with the certificate that one holds. Who asks brings the key; the names are settled already."""

from dataclasses import dataclass
from typing import Final

from ostiary.errors import Conflict, Denied, Invalid, NotFound
from ostiary.model.authority import Authority, Certificate
from ostiary.model.token import Token, Use
from ostiary.ops import certificates, profiles, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.facts import record
from ostiary.ops.idempotency import Once
from ostiary.ops.issuing import Wanted, names_from, signed, stored
from ostiary.ops.server_certificates import AUTHORITY_NAME
from ostiary.ops.system import System
from ostiary.pki import request
from ostiary.pki.keys import key_sha256
from ostiary.pki.request import SigningRequest
from ostiary.store.kinds import AUTHORITY, CERTIFICATE, TOKEN
from ostiary.store.store import Facts, Reader

# One sentence for all, so that nothing is learned from it: a token that never was, one that is used up, and one that has expired.
_NOT_GOOD: Final = "This token is not good: it is wrong, was used, or has expired. Ask whoever gave it to you for another."


@dataclass(frozen=True)
class Knocker:
    """Who asks, before anything is known of them: their address, and the id of their request for the record."""

    source: str = ""
    request_id: str = ""


def offered(system: System, secret: bytes) -> Token:
    """What may be had with this grant. Asking uses nothing up. Raises `Denied` unless it is good."""
    with system.store.read() as reader:
        token = tokens.found(reader, secret)
    if token is None or not _is_good(system, token):
        raise refused()
    return token


def refused() -> Denied:
    """The one refusal of all tokens that are not good."""
    return Denied(_NOT_GOOD)


def enroll(system: System, knocker: Knocker, secret: bytes, csr: str) -> Certificate:
    """The certificate that this grant is for, with the key of the request; the request's names are not looked at.

    Asked again with the same key for as long as the token is good, it answers with the same certificate and uses nothing up: the
    first answer may have been lost on its way. Raises `Denied` when the grant is not good.
    """
    with system.store.read() as reader:
        token = tokens.found(reader, secret)
    # Looked at before the request is: parsing is for those who may ask.
    if token is None or token.kind != "enrolment" or system.clock() >= token.expires_at:
        raise refused()
    asked = _read(token, csr)
    with system.store.read() as reader:
        known = _had_before(reader, token, asked)
        if known is not None:
            return known
        if not token.uses_left:
            raise refused()
        wanted = _wanted(reader, token, asked)
        made = signed(system, reader, wanted, system.clock())
    credential = f"token:{token.id}"
    by = Caller(credential, "enrolling", knocker.source, knocker.request_id, credential=credential)

    def work(facts: Facts) -> Certificate:
        # Once more: it may have been used or deleted meanwhile. What is decided here is committed together with the certificate.
        now = facts.get(TOKEN, token.id)
        if now is None or facts.at >= now.expires_at:
            raise refused()
        known = _had_before(facts, now, asked)
        if known is not None:
            return known
        if not now.uses_left:
            raise refused()
        certificate = stored(facts, made)
        use = Use(key_sha256=key_sha256(asked.public_key), certificate_id=certificate.id)
        facts.replace(TOKEN, now, now.model_copy(update={"used_for": (*now.used_for, use)}))
        return certificate

    return record(system, by, "certificate:enroll", work)


def renew(system: System, knocker: Knocker, held: bytes | None, csr: str) -> Certificate:
    """The successor of the certificate (DER) that was shown in the handshake and verified there.

    It is known by all of its bytes: one with the same names that somebody else signed is not it. Raises `Denied` for what we did
    not issue, `Denied` without any, and what `certificates.renew` raises.
    """
    if held is None:
        raise Denied("Show the certificate that is to be renewed in the TLS handshake.")
    with system.store.read() as reader:
        old = certificates.held_by(reader, held)
    credential = f"certificate:{old.fingerprint_sha256}"
    by = Caller(f"certificate:{old.id}", "holder", knocker.source, knocker.request_id, credential=credential)
    # The answer may be lost: who asks again with the same key within a day gets the same certificate.
    key = key_sha256(request.read(csr).public_key)
    once = Once(key=f"renew:{key}", request_sha256=key)
    return certificates.renew(system, by, old.id, csr, once, by_holder=True)


def server_authority(system: System) -> Authority:
    """The authority that signs the certificates of our own servers now, the door's among them. Raises `NotFound`."""
    with system.store.read() as reader:
        known = [one for one in reader.all(AUTHORITY, name=AUTHORITY_NAME) if one.may_sign]
    if not known:
        raise NotFound("Authority", AUTHORITY_NAME)
    return known[-1]


def _read(token: Token, csr: str) -> SigningRequest:
    try:
        return request.read(csr)
    except Invalid:
        if token.uses_left:
            raise
        raise refused() from None  # What is wrong with a request is told to those who may ask.


def _is_good(system: System, token: Token) -> bool:
    return token.kind == "enrolment" and system.clock() < token.expires_at and token.uses_left > 0


def _had_before(reader: Reader, token: Token, asked: SigningRequest) -> Certificate | None:
    key = key_sha256(asked.public_key)
    used = next((use for use in token.used_for if use.key_sha256 == key), None)
    return reader.require(CERTIFICATE, used.certificate_id) if used is not None else None


def _wanted(reader: Reader, token: Token, asked: SigningRequest) -> Wanted:
    profile = profiles.effective(reader, token.profile)
    if profile.approval != "automatic":  # since the grant was made
        raise Conflict(f"Profile '{profile.name}' asks for approval now; ask for the certificate by a request.")
    return Wanted(
        request=asked,
        profile=profile,
        authority_id=token.authority_id or "",
        names=names_from(token.names),
        lifetime=token.lifetime,
        name=token.name,
        project_id=token.project_id,
        owner=token.owner,
        groups=token.groups,
    )
