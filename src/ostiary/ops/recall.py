"""Recall what was revoked after a backup was made: the lists that we signed then prove it, wherever they are still to be found.

A database that came out of a backup has forgotten what was said since, and would let in whom gateways refuse. But each list that
we signed is still held by the gateway that got it, and by whoever fetched it. A list is *lost* when its number is larger than
that of the one we hold, or lies between the backup's and the first that was signed after the restore. What a lost list says is
put on record again. Only what is revoked comes back: what was released or expired since stays as the backup has it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from cryptography import x509

from ostiary.errors import Invalid
from ostiary.model.authority import Authority, Certificate
from ostiary.model.fields import Data
from ostiary.model.revocation import HOLD, RELEASED, ListSource, Revocation, RevocationList
from ostiary.ops import imported
from ostiary.ops.caller import Caller
from ostiary.ops.facts import record
from ostiary.ops.record import entry
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import crl, foreign_lists, pem, signatures
from ostiary.pki.crl_rules import CRL
from ostiary.pki.extensions import extension
from ostiary.pki.foreign_lists import ForeignList
from ostiary.pki.names import name_text, serial_hex, whole_octets
from ostiary.store import restores, revocations
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.restores import Restored
from ostiary.store.store import Change, Facts, Reader

E = TypeVar("E", bound=x509.ExtensionType)

# Of a certificate that the database has forgotten; no certificate has it.
_UNKNOWN: Final = "0" * 64
_NAMED: Final = 100  # serial numbers in one entry of the record


class Recalled(Data):
    """What one lost list brought back. `unknown`: how many of those revoked are certificates that the database does not have."""

    authority_id: str
    authority: str
    number: int
    revoked: int
    unknown: int


@dataclass(frozen=True)
class _Lost:
    """A list that we do not have, and which of our authorities signed it."""

    held: CRL
    der: bytes
    authority: Authority
    number: int


def recall(system: System, caller: Caller, ders: Iterable[bytes]) -> tuple[Recalled, ...]:
    """Put on record what lost lists among these say; lists that are not lost, or not of our authorities, say nothing."""
    given = tuple(dict.fromkeys(ders))
    with system.store.read() as reader:
        if not any(True for _ in _lost(reader, given)) and not any(True for _ in _newer_of_others(reader, given, system.clock())):
            return ()
    return record(system, caller, "backup:recall", lambda facts: recalled(facts, caller, given))


def recalled(facts: Facts, caller: Caller, ders: Iterable[bytes]) -> tuple[Recalled, ...]:
    """The same within a transaction; of what it changes, who calls tells the record."""
    ders = tuple(ders)
    for held, found, source, url in _newer_of_others(facts, ders, facts.at):
        imported.keep(facts, caller, [held], [(found, url)], source)
    taken = [_taken(facts, caller, lost) for lost in _lost(facts, ders)]
    return tuple(one for one in taken if one is not None)


def is_behind(system: System) -> bool:
    """Whether there are lists that have to be signed anew because of a restore, before a gateway is given any."""
    with system.store.read() as reader:
        least = restores.least_number(reader)
        lists = revocations.lists_without_content(reader)
        return any(
            authority.has_key and (current := lists.get((authority.id, "complete"))) is not None and current.number < least
            for authority in (reader.all(AUTHORITY) if least else ())
        )


def refuse_unusable(ders: Iterable[bytes], field: str) -> None:
    """`Invalid` for what is not a complete revocation list with a number: an operator brought it, and should know."""
    for der in ders:
        held = _read(der)
        if held is None or _number(held) is None:
            raise Invalid(field, "it is not a revocation list with a number; give the lists as the authority published them.")
        if extension(held, x509.DeltaCRLIndicator) is not None:
            raise Invalid(field, f"the list of '{name_text(held.issuer)}' is a delta; give the complete one.")


def _lost(reader: Reader, ders: Iterable[bytes]) -> Iterator[_Lost]:
    """Those among the lists that we signed and do not have, the oldest first."""
    authorities = [one for one in reader.all(AUTHORITY) if one.cross_of is None and _is_readable(one)]
    lists = revocations.lists_without_content(reader)
    past = restores.of(reader)
    found = []
    for der in dict.fromkeys(ders):
        held = _read(der)
        number = _number(held) if held is not None else None
        if held is None or number is None or extension(held, x509.DeltaCRLIndicator) is not None:
            continue
        authority = next((one for one in authorities if _signed(held, one)), None)
        current = lists.get((authority.id, "complete")) if authority is not None else None
        # A list of others' is news of theirs, and no memory of ours: `_newer_of_others`.
        if authority is None or current is None or current.source != "signed":
            continue
        if number > current.number or _is_between(authority.id, number, past):
            found.append(_Lost(held, der, authority, number))
    yield from sorted(found, key=lambda lost: lost.number)


def _newer_of_others(
    reader: Reader, ders: Iterable[bytes], at: datetime
) -> Iterator[tuple[Authority, ForeignList, ListSource, str | None]]:
    """Lists of imported authorities that are newer than those we hold, and where these came from: taken since the backup."""
    lists = revocations.lists_without_content(reader)
    theirs = [one for one in reader.all(AUTHORITY) if one.kind == "imported" and not one.has_key and _is_readable(one)]
    for der in ders if theirs else ():
        try:
            (found,) = foreign_lists.read_lists(der, [parsed(one) for one in theirs], at, "list")
        except Invalid:
            continue  # of somebody else, or it has ended
        for one in theirs:
            current = lists.get((one.id, "complete")) or lists.get((one.id, "set_aside"))
            if current is None or current.source == "signed" or parsed(one) not in found.signers:
                continue
            if (found.number or 0, found.this_update) > (current.number, current.this_update):
                yield one, found, current.source, current.url


def _is_readable(authority: Authority) -> bool:
    """Whether its certificate is not damaged: one that is must not keep the gateway from serving what it has."""
    try:
        parsed(authority)
    except Invalid:
        return False
    return True


def _is_between(authority_id: str, number: int, past: Iterable[Restored]) -> bool:
    return any(one.numbers.get(authority_id, -1) < number < one.least_number for one in past)


def _taken(facts: Facts, caller: Caller, lost: _Lost) -> Recalled | None:
    """What it brought back, on record; None for one that says nothing new, as when it comes a second time."""
    authority, known = lost.authority, revocations.standing(facts, lost.authority.id)
    since = max((one.status_sequence for one in restores.of(facts)), default=None)
    revoked, unknown, serials = 0, 0, list[str]()
    for said in lost.held:
        serial, reason = whole_octets(said.serial_number), _reason(said)
        if not _is_news(known.get(serial), reason, since):
            continue
        certificate = next(iter(facts.all(CERTIFICATE, authority_id=authority.id, serial=serial)), None)
        _put(facts, authority, serial, said, reason, certificate)
        revoked, unknown = revoked + 1, unknown + (certificate is None)
        serials += [serial] if len(serials) < _NAMED else []
    if not (_adopted(facts, lost) or revoked):
        return None
    made = Recalled(authority_id=authority.id, authority=authority.name, number=lost.number, revoked=revoked, unknown=unknown)
    about = {**made.model_dump(mode="json", exclude={"authority_id"}), "serials": serials}
    facts.append_audit(entry(caller, "backup:recall", Change("authority", authority.id, None, about), None))
    return made


def _is_news(known: tuple[str, int] | None, reason: str, since: int | None) -> bool:
    """Whether the list says more than we know. What somebody released after the restore, they released knowing of it."""
    if known is None:
        return True
    was, sequence = known
    if was == RELEASED:
        return since is None or sequence <= since
    return was == HOLD and reason != HOLD


def _put(
    facts: Facts, authority: Authority, serial: str, said: x509.RevokedCertificate, reason: str, certificate: Certificate | None
) -> None:
    at, invalid = said.revocation_date_utc, _invalidity(said)
    below = _authority_below(facts, authority, serial)
    of = certificate or below
    revocations.put(
        facts,
        Revocation(
            authority_id=authority.id,
            serial=serial,
            sequence=facts.move_status(),
            fingerprint_sha256=of.fingerprint_sha256 if of is not None else _UNKNOWN,
            revoked_at=at,
            reason=reason,
            invalidity_date=invalid,
            expires_at=of.not_after if of is not None else authority.not_after,
            entry=crl.entry(said.serial_number, at, reason, invalid),
        ),
    )
    news: dict[str, Any] = {"revoked_at": at, "revocation_reason": reason}
    if certificate is not None:
        facts.replace(CERTIFICATE, certificate, certificate.model_copy(update={**news, "invalidity_date": invalid}))
    elif below is not None:
        facts.replace(AUTHORITY, below, below.model_copy(update=news))


def _authority_below(reader: Reader, authority: Authority, serial: str) -> Authority | None:
    return next(
        (one for one in reader.all(AUTHORITY, parent_id=authority.id) if _is_readable(one) and serial_hex(parsed(one)) == serial),
        None,
    )


def _adopted(facts: Facts, lost: _Lost) -> bool:
    """Publish the lost list itself, until we sign the next: its key may be elsewhere, and no gateway is to be given an older one.

    One that has ended too: then clients are refused until somebody brings the key, as they are where the list is held already.
    Says whether it is newer than what was published.
    """
    current = revocations.current_list(facts, lost.authority.id)
    if current is None or current.number >= lost.number:
        return False
    revocations.put_list(
        facts,
        RevocationList(
            authority_id=lost.authority.id,
            kind="complete",
            number=lost.number,
            this_update=lost.held.last_update_utc,
            next_update=lost.held.next_update_utc or lost.held.last_update_utc,
            sequence=current.sequence,
            entries=len(lost.held),
            source="signed",
            der=lost.der,
        ),
    )
    return True


def _read(der: bytes) -> CRL | None:
    try:
        held = x509.load_der_x509_crl(der)
        _ = (*held.issuer, *held.extensions)
    except pem.MALFORMED:
        return None
    return held


def _number(held: CRL) -> int | None:
    number = extension(held, x509.CRLNumber)
    return None if number is None else number.crl_number


def _signed(held: CRL, authority: Authority) -> bool:
    certificate = parsed(authority)
    if certificate.subject != held.issuer:
        return False
    try:
        signatures.refuse_forgeable(held, "it", "list")
        return held.is_signature_valid(certificate.public_key())  # type: ignore[arg-type]  # another kind of key raises
    except (*pem.MALFORMED, Invalid):
        return False


def _reason(said: x509.RevokedCertificate) -> str:
    given = _of_entry(said, x509.CRLReason)
    return "unspecified" if given is None else str(given.reason.value)


def _invalidity(said: x509.RevokedCertificate) -> datetime | None:
    given = _of_entry(said, x509.InvalidityDate)
    return None if given is None else given.invalidity_date_utc


def _of_entry(said: x509.RevokedCertificate, kind: type[E]) -> E | None:
    try:
        return said.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
