"""Revocation: one certificate or many, hold and release. Acknowledged once on record; the lists follow within moments."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.errors import Conflict, Invalid
from ostiary.model.approval import CHANGES_SHOWN, Why
from ostiary.model.authority import Authority, Certificate
from ostiary.model.revocation import HOLD, RELEASED, Matching, Revocation, Revoke
from ostiary.ops import gate, house
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.facts import record
from ostiary.ops.idempotency import Once, once_only
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import crl
from ostiary.pki.names import serial_hex
from ostiary.store import doings, matching, revocations
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.store import Change, Facts, Transaction

_AT_ONCE: Final = timedelta(hours=1)  # what one person revokes within that is done at once, however many calls it takes
BATCH = 500  # certificates revoked in one transaction: others get their turn between


@asks()
def revoke(system: System, caller: Caller, certificate_id: str, wanted: Revoke, once: Once | None = None) -> Certificate:
    """Revoke a certificate, put it on hold, or release it from hold. Expired ones too: their key may have signed things.

    To say the same again changes nothing. Raises `Conflict` for what cannot follow on what was said before.
    """

    def work(facts: Facts) -> Certificate:
        certificate = facts.require(CERTIFICATE, certificate_id)

        def make() -> Certificate:
            if certificate.revoked_at is None and wanted.reason != RELEASED:
                about = [certificate_id, wanted.reason]
                gate.ask(facts, caller, "certificate:revoke", _many(facts, caller, 1), [_told(certificate, wanted)], about)
            return _revoked(facts, certificate, wanted)

        return once_only(facts, caller, once, CERTIFICATE, make)

    return record(system, caller, "certificate:revoke", work)


def preview(system: System, caller: Caller, which: Matching, *, show: int = 20) -> tuple[int, tuple[Certificate, ...]]:
    """How many certificates `revoke_matching` would revoke, and the first of them."""
    caller.must("certificate:read")
    _refuse_everything(which)
    with system.store.read() as reader:
        return matching.count(reader, which), matching.first(reader, which, show)


@asks()
def revoke_matching(system: System, caller: Caller, which: Matching, wanted: Revoke, expected: int) -> int:
    """Revoke all that match and are not revoked yet, those on hold too; says how many.

    `expected` is the count the caller has seen: `Conflict` when it is another by now. Each batch is acknowledged as it is on
    record; asking again after a crash revokes the rest.
    """
    caller.must("certificate:revoke")
    _refuse_everything(which)
    if wanted.reason == RELEASED:
        raise Invalid("reason", "certificates are released from hold one by one")
    with system.store.read() as reader:
        ids = matching.ids(reader, which)
    if len(ids) != expected:
        raise Conflict(f"{len(ids)} certificates match now, not {expected}; look at the preview again.", "expected")
    remarks = _agreed(system, caller, ids, wanted)

    def batch(some: tuple[str, ...]) -> int:
        def work(facts: Facts) -> int:
            open_ones = [
                one for one in (facts.get(CERTIFICATE, each) for each in some) if one and one.revocation_reason in {None, HOLD}
            ]
            facts.remarks = remarks
            for certificate in open_ones:
                _revoked(facts, certificate, wanted)
            return len(open_ones)

        return record(system, caller, "certificate:revoke", work)

    return sum(batch(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))


@asks()
def revoke_authority(system: System, caller: Caller, authority_id: str, wanted: Revoke) -> Authority:
    """Revoke an intermediate by the authority that signed it: it signs no more, and no listener trusts it any longer."""
    if wanted.reason in {RELEASED, HOLD}:
        raise Invalid("reason", "an authority is revoked for good; put its certificates on hold instead")
    with change(system, caller, "authority:revoke") as transaction:
        authority = transaction.require(AUTHORITY, authority_id)
        if authority.parent_id is None:
            raise Invalid("authority_id", "nobody stands above it who could revoke it; take it off the listeners and delete it")
        if authority.revoked_at is not None:
            raise Conflict(f"Authority {authority_id} was revoked at {authority.revoked_at:%Y-%m-%d %H:%M} UTC.")
        serial = serial_hex(parsed(authority))
        _put(transaction, authority.parent_id, serial, authority.fingerprint_sha256, authority.not_after, wanted)
        news = {"revoked_at": transaction.at, "revocation_reason": wanted.reason}
        return transaction.replace(AUTHORITY, authority, authority.model_copy(update=news))


def _agreed(system: System, caller: Caller, ids: Sequence[str], wanted: Revoke) -> dict[str, Any]:
    """What the record is to say of each: that another person agreed to all of it, or that there was an emergency."""

    def work(facts: Facts) -> dict[str, Any]:
        some = [one for one in (facts.get(CERTIFICATE, each) for each in ids[:CHANGES_SHOWN]) if one is not None]
        about = [wanted.reason, hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()]
        changes = [_told(one, wanted) for one in some]
        gate.ask(facts, caller, "certificate:revoke", _many(facts, caller, len(ids)), changes, about)
        return facts.remarks

    with system.store.read() as reader:
        is_on = "MASS_REVOCATION" in house.read(reader).approval_needed_for
    return record(system, caller, "certificate:revoke", work) if is_on else {}


def _many(facts: Facts, caller: Caller, count: int) -> tuple[Why, ...]:
    """Whether these are too many for one person, with those that they revoked within the last hour."""
    settings = house.read(facts)
    if "MASS_REVOCATION" not in settings.approval_needed_for:
        return ()  # the usual case: nothing is counted
    here = sum(one.kind == CERTIFICATE.name and bool((one.after or {}).get("revoked_at")) for one in facts.changed)
    lately = doings.count(facts, caller.name, "certificate:revoke", facts.at - _AT_ONCE) + here
    if count + lately <= settings.mass_revocation_threshold:
        return ()
    return (Why(kind="MASS_REVOCATION", code="many_revoked", count=count),)


def _told(certificate: Certificate, wanted: Revoke) -> Change:
    """What becomes of a certificate, in so much that people know which one it is."""
    its = {name: getattr(certificate, name) for name in ("name", "subject", "serial", "owner", "revocation_reason")}
    return Change(CERTIFICATE.name, certificate.id, its, {**its, "revocation_reason": wanted.reason})


def _revoked(facts: Facts, certificate: Certificate, wanted: Revoke) -> Certificate:
    """The certificate as it is after this, on record. `Conflict` for what cannot follow on what was said before."""
    said = certificate.revocation_reason
    if wanted.reason == RELEASED and said != HOLD:
        raise Conflict(f"Certificate {certificate.id} is not on hold, so it cannot be released.", "reason")
    if wanted.reason == said:
        return certificate
    if said not in {None, HOLD} and wanted.reason != "keyCompromise":
        raise Conflict(
            f"Certificate {certificate.id} was revoked ({said}) at {certificate.revoked_at:%Y-%m-%d %H:%M} UTC; "
            "only keyCompromise can still be said of it.",
            "reason",
        )
    if wanted.invalidity_date is not None and wanted.invalidity_date > facts.at:
        raise Invalid("invalidity_date", "it cannot be in the future")
    _put(facts, certificate.authority_id, certificate.serial, certificate.fingerprint_sha256, certificate.not_after, wanted)
    released = wanted.reason == RELEASED
    news = {
        "revoked_at": None if released else certificate.revoked_at or facts.at,
        "revocation_reason": None if released else wanted.reason,
        "invalidity_date": None if released else wanted.invalidity_date,
    }
    return facts.replace(CERTIFICATE, certificate, certificate.model_copy(update=news))


def _put(
    transaction: Transaction, authority_id: str, serial: str, fingerprint: str, expires_at: datetime, wanted: Revoke
) -> None:
    before = revocations.of(transaction, authority_id, serial)
    # What was on hold and is now revoked has been refused since it was put on hold.
    since = before.revoked_at if before is not None and RELEASED not in {before.reason, wanted.reason} else transaction.at
    entry = crl.entry(int(serial, 16), since, wanted.reason, wanted.invalidity_date)
    revocations.put(
        transaction,
        Revocation(
            authority_id=authority_id,
            serial=serial,
            sequence=transaction.move_status(),
            fingerprint_sha256=fingerprint,
            revoked_at=since,
            reason=wanted.reason,
            invalidity_date=wanted.invalidity_date,
            expires_at=expires_at,
            entry=entry,
        ),
    )


def _refuse_everything(which: Matching) -> None:
    if all(value is None for _, value in which):
        raise Invalid("matching", "say which certificates: authority_id, owner, group, profile, issued_after or issued_before")
