"""Answer OCSP requests: from what is on record, signed by a key that the authority lets answer for it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography import x509

from ostiary.errors import Invalid, Refusal, Unavailable
from ostiary.model.authority import Authority
from ostiary.ops.answers import Moment
from ostiary.ops.caller import SYSTEM
from ostiary.ops.change import sealed
from ostiary.ops.record import entry
from ostiary.ops.signing import open_issuer, parsed, pem_text
from ostiary.ops.system import System
from ostiary.pki import keys, ocsp
from ostiary.pki.chain import read_certificates
from ostiary.pki.issue import Issuer
from ostiary.pki.names import serial_hex, whole_octets
from ostiary.store import statuses
from ostiary.store.kinds import AUTHORITY
from ostiary.store.statuses import Signer
from ostiary.store.store import Change, Facts, Reader

# How long an answer may be relied on. A revocation bites at our own doors at once; this is for those who ask from outside, and
# who should go on working while nobody here answers. Until half of it has passed an answer is given again, unless something was
# revoked.
LIFETIME: Final = timedelta(hours=12)
# "Unknown" may be a certificate whose issuing is still being written down elsewhere: it should not be believed for long.
OF_UNKNOWN: Final = timedelta(minutes=5)
# Clocks of those who ask may be behind ours.
BACKDATE: Final = timedelta(minutes=5)

# Nobody asks whether a signer was revoked, so it is soon replaced; and with time to spare, as the authority's key may be away.
SIGNER_LIFETIME: Final = timedelta(days=14)
RENEW_SIGNER: Final = SIGNER_LIFETIME / 2
_RETRY: Final = timedelta(minutes=1)

log = structlog.get_logger("ostiary.ocsp")


@dataclass(frozen=True)
class Answer:
    """What to send. `next_update` says until when others may keep it; None is not at all."""

    der: bytes = field(repr=False)
    this_update: datetime | None = None
    next_update: datetime | None = None

    def is_young(self, at: datetime) -> bool:
        """Whether it may be given again."""
        if self.this_update is None or self.next_update is None:
            return False
        return at < self.this_update + (self.next_update - self.this_update) / 2


@dataclass(frozen=True)
class _Responder:
    """Who answers for an authority, as of one revision of the configuration."""

    ids: tuple[str, ...]
    certificate: x509.Certificate
    below: frozenset[str]  # serial numbers of the authorities that it signed
    signer: Issuer
    renew_at: datetime


def answer(system: System, authority_id: str, request: bytes) -> Answer:
    """The answer to a request about a certificate of this authority. What cannot be answered is refused in OCSP's own words."""
    try:
        asked = ocsp.read(request)
    except Invalid as refusal:
        log.debug("malformed OCSP request", why=str(refusal))
        return Answer(ocsp.failure("malformedRequest"))
    at = system.clock()
    try:
        return _answered(system, authority_id, asked, at)
    except Unavailable as refusal:
        log.warning("an OCSP request could not be answered", authority=authority_id, why=str(refusal))
        return Answer(ocsp.failure("tryLater"))
    except Refusal:
        # No such authority, one whose key is not here, or a question about another's certificate (RFC 5019 2.2.3).
        return Answer(ocsp.failure("unauthorized"))


def at_once(system: System, authority_id: str, request: bytes) -> Answer | None:
    """The answer, if it was given before and may be given again: for that nothing is read, signed or waited for."""
    try:
        asked = ocsp.read(request)
    except Invalid:
        return None  # `answer` says so
    at = system.clock()
    moment = system.answers.known(system.store, at)
    if moment is None or asked.nonce is not None:
        return None
    known: Answer | None = system.answers.given.get(_name(moment, authority_id, asked.subject))
    return known if known is not None and known.is_young(at) else None


def _answered(system: System, authority_id: str, asked: ocsp.Asked, at: datetime) -> Answer:
    moment = system.answers.moment(system.store, at)
    name = _name(moment, authority_id, asked.subject)
    if asked.nonce is None:
        known: Answer | None = system.answers.given.get(name)
        if known is not None and known.is_young(at):
            return known
    responder = _responder(system, moment, authority_id, at)
    made, status = _signed(system, moment, responder, asked, at)
    if asked.nonce is not None or isinstance(status, ocsp.Unknown):
        return Answer(made.der)
    system.answers.given.keep(name, made)
    return made


def _signed(system: System, moment: Moment, responder: _Responder, asked: ocsp.Asked, at: datetime) -> tuple[Answer, ocsp.Status]:
    status = _status(system, moment, responder, asked.subject.serial)
    at = at.replace(microsecond=0)
    # What was revoked a moment ago was not known to be so five minutes ago.
    this_update = max(at - BACKDATE, status.at.replace(microsecond=0)) if isinstance(status, ocsp.Revoked) else at - BACKDATE
    lifetime = OF_UNKNOWN if isinstance(status, ocsp.Unknown) else LIFETIME
    next_update = min(at + lifetime, responder.signer.certificate.not_valid_after_utc)
    der = ocsp.answer(asked, status, responder.signer, responder.certificate, this_update, next_update)
    return Answer(der, this_update, next_update), status


def _status(system: System, moment: Moment, responder: _Responder, number: int) -> ocsp.Status:
    serial = whole_octets(number)
    name = f"{moment}:{responder.ids[0]}:{serial}"
    known: ocsp.Status | None = system.answers.statuses.get(name)
    if known is not None:
        return known
    with system.store.read() as reader:
        found = statuses.status(reader, responder.ids, serial)
    if isinstance(found, ocsp.Unknown):
        return ocsp.Good() if serial in responder.below else found
    system.answers.statuses.keep(name, found)
    return found


def _name(moment: Moment, authority_id: str, subject: ocsp.Subject) -> str:
    asked = (subject.algorithm, subject.issuer_name_hash.hex(), subject.issuer_key_hash.hex(), f"{subject.serial:x}")
    return ":".join((f"{moment}", authority_id, *asked))


def _responder(system: System, moment: Moment, authority_id: str, at: datetime) -> _Responder:
    """Who answers for this authority now. Raises `NotFound`, `Invalid` without its key, `Unavailable` when out of reach."""
    name = f"{moment.revision}:{authority_id}"
    known: _Responder | None = system.answers.responders.get(name)
    if known is not None and at < known.renew_at:
        return known
    with system.store.read() as reader:
        authority = _answering(reader, authority_id)
        every = reader.all(AUTHORITY)
    ids = (authority.id, *(one.id for one in every if one.cross_of == authority.id))
    below = frozenset(serial_hex(parsed(one)) for one in every if one.parent_id in ids)
    signer, renew_at = _signer(system, authority, at)
    made = _Responder(ids, parsed(authority), below, signer, renew_at)
    system.answers.responders.keep(name, made)
    return made


def _answering(reader: Reader, authority_id: str) -> Authority:
    """The authority itself, or the one whose name and key this cross-signed certificate has."""
    authority = reader.require(AUTHORITY, authority_id)
    return reader.require(AUTHORITY, authority.cross_of) if authority.cross_of else authority


def _signer(system: System, authority: Authority, at: datetime) -> tuple[Issuer, datetime]:
    """The key that answers, and when to look for the next. The authority's own key is used once in days."""
    if not authority.has_key:
        raise Invalid("authority", f"authority {authority.id} has its key elsewhere; ask where it is.")
    with system.store.read() as reader:
        held = statuses.signer(reader, authority.id)
    retry_at = at + _RETRY
    if held is None or at >= _due(held, authority):
        try:
            held = _delegate(system, authority)
        except Unavailable as refusal:
            if held is None or at >= held.not_after:
                raise
            log.warning("the next OCSP signer could not be made; will try again", authority=authority.id, why=str(refusal))
    return _opened(system, held), max(retry_at, _due(held, authority))


def _due(held: Signer, authority: Authority) -> datetime:
    """When it should be replaced. One that ends with its authority cannot be outlived by the next."""
    return held.not_after if held.not_after >= authority.not_after else held.not_after - RENEW_SIGNER


def _opened(system: System, held: Signer) -> Issuer:
    (certificate,) = read_certificates(held.certificate.encode(), "certificate")
    plain = system.sealer.open(held.sealed_key, statuses.signer_context(held.authority_id))
    return Issuer(certificate, keys.load(plain, None, "key"))


def _delegate(system: System, authority: Authority) -> Signer:
    """Have the authority sign a new key's certificate, unless somebody else just did. On record, as all it signs."""
    key = keys.generate("EC-P256")
    sealed_key = sealed(system, keys.to_pem(key), statuses.signer_context(authority.id))

    def work(facts: Facts) -> Signer:
        held = statuses.signer(facts, authority.id)
        if held is not None and facts.at < _due(held, authority):
            return held
        issuer = open_issuer(system, facts.require(AUTHORITY, authority.id))
        certificate = ocsp.signer_certificate(issuer, key.public_key(), facts.at, SIGNER_LIFETIME)
        made = Signer(authority.id, pem_text(certificate), certificate.not_valid_after_utc, bytes(sealed_key))
        statuses.put_signer(facts, made)
        told = {"certificate": made.certificate, "not_after": made.not_after.isoformat()}
        facts.append_audit(entry(SYSTEM, "authority:delegate", Change("ocsp_signer", authority.id, None, told), None))
        return made

    return system.store.record(work)
