"""Certificates: issue, renew, read, search, change. Revoking is `ops.revocation`; what waits for approval, `ops.requests`."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Conflict, Denied, Refusal
from ostiary.model.authority import Certificate, NewCertificate
from ostiary.model.query import Page, Query
from ostiary.model.request import CertificateRequest
from ostiary.model.revocation import HOLD
from ostiary.ops import profiles, requests
from ostiary.ops.caller import Caller
from ostiary.ops.desk import Desk
from ostiary.ops.desk import at as desk_at
from ostiary.ops.edit import edited
from ostiary.ops.facts import record
from ostiary.ops.idempotency import Once, before, once_only
from ostiary.ops.issuing import Signed, Wanted, described, names_from, profile_now, signed, stored, wanted
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import request
from ostiary.pki.profile import Profile
from ostiary.pki.renewal import names_in, refuse_kept_key, refuse_unless_in_window
from ostiary.signers import Order
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Facts, Reader


def ask(
    system: System, caller: Caller, new: NewCertificate, once: Once | None = None, *, may_wait: bool = True
) -> Certificate | CertificateRequest:
    """Issue a certificate at once; or, where the profile asks for that, put the request before other people first.

    Raises `Conflict` when it would have to wait and may not.
    """
    with system.signers.counted() as many:
        quick = _made_quickly(system, caller, new) if many and once is None else None
        if quick is not None:
            return quick
        with system.store.read() as reader:
            profile = profile_now(reader, system, new.profile)
            known = before(reader, caller, once, CERTIFICATE) if profile.approval == "automatic" else None
            desk = desk_at(reader, system, new.authority_id)
        if known is not None:
            return known
        if profile.approval != "automatic" and may_wait:
            return requests.submit(system, caller, new, once)
        if profile.approval != "automatic":
            raise Conflict(f"Profile '{new.profile}' asks for approval; submit a certificate request.", "profile")
        caller.must("certificate:issue")
        return _recorded(system, caller, "certificate:issue", _made(system, new, profile, desk, many=many), once)


def _made_quickly(system: System, caller: Caller, new: NewCertificate) -> Certificate | None:
    """By what was known a moment ago, with nothing read: where many ask at once, reading is a good part of the work.

    None when the configuration has changed meanwhile, and when anything at all speaks against it: then it is asked in full.
    """
    desk: Desk | None = system.desks.get(new.authority_id)
    revision, profile = system.desks.get(f"profile {new.profile}") or (None, None)
    if desk is None or profile is None or desk.revision != revision or profile.approval != "automatic":
        return None
    caller.must("certificate:issue")
    try:
        made = _made(system, new, profile, desk, many=True)
    except Refusal:
        return None

    def work(facts: Facts) -> Certificate | None:
        return stored(facts, made) if facts.next_revision - 1 == revision else None

    return record(system, caller, "certificate:issue", work)


def _made(system: System, new: NewCertificate, profile: Profile, desk: Desk, *, many: bool) -> Signed:
    """The certificate, signed here, or by a process of its own when many are asked for and the key may be handed to it."""
    if many and desk.authority.custody == "file":
        order = Order(f"{desk.name}/{profile.name}", new.csr, names_from(new.names), new.lifetime, system.clock())
        return described(desk, new, system.signers.make(order, lambda: (desk.bench, profile)))
    asked = request.read(new.csr)  # parsing hostile input is nobody else's wait: no transaction is open
    with system.store.read() as reader:
        return signed(system, reader, wanted(reader, system, new, asked), system.clock())


def issue(system: System, caller: Caller, new: NewCertificate, once: Once | None = None) -> Certificate:
    """Issue a certificate at once. Raises `Conflict` when the profile asks for approval: then it is `ask` that is wanted."""
    made = ask(system, caller, new, once, may_wait=False)
    assert isinstance(made, Certificate)  # noqa: S101 (for the type checker)
    return made


def renew(
    system: System, caller: Caller, certificate_id: str, csr: str, once: Once | None = None, *, by_holder: bool = False
) -> Certificate:
    """Issue the successor of a certificate: same names, owner and groups, new key, new time. The old one stays good to its end.

    By its holder only in the window that its profile sets; what was revoked, is on hold or has expired is not renewed by anybody.
    """
    caller.must("certificate:renew")
    asked = request.read(csr)
    with system.store.read() as reader:
        known = before(reader, caller, once, CERTIFICATE)
        if known is not None:
            return known
        old = reader.require(CERTIFICATE, certificate_id)
        profile = profiles.effective(reader, old.profile)
    refuse_unless_good(old, system.clock())
    certificate = parsed(old)
    if by_holder:
        refuse_unless_in_window(certificate, profile, system.clock())
    refuse_kept_key(asked, certificate, profile)
    successor = Wanted(
        request=asked,
        profile=profile,
        authority_id=old.authority_id,
        names=names_in(certificate),
        lifetime=None,
        name=old.name,
        project_id=old.project_id,
        owner=old.owner,
        groups=old.groups,
        replaces=old.id,
    )
    with system.store.read() as reader:
        made = signed(system, reader, successor, system.clock())
    return _recorded(system, caller, "certificate:renew", made, once)


def update(system: System, caller: Caller, certificate_id: str, changes: Mapping[str, Any]) -> Certificate:
    """Say anew what it is called, who holds it, or in which groups it is. Who leaves a group loses what that permits at once."""

    def work(facts: Facts) -> Certificate:
        before = facts.require(CERTIFICATE, certificate_id)
        after = edited(before, changes)
        after = after.model_copy(update={"groups": tuple(dict.fromkeys(after.groups))})
        if set(after.groups) != set(before.groups):
            facts.move_status()
        return facts.replace(CERTIFICATE, before, after)

    return record(system, caller, "certificate:update", work)


def held_by(reader: Reader, der: bytes) -> Certificate:
    """The certificate on record that is exactly these bytes: same names and serial are not enough. Raises `Denied`."""
    fingerprint = hashlib.sha256(der).hexdigest()
    for known in reader.all(CERTIFICATE, fingerprint_sha256=fingerprint):
        if hmac.compare_digest(parsed(known).public_bytes(Encoding.DER), der):
            return known
    raise Denied("This certificate was not issued here.")


def refuse_unless_good(certificate: Certificate, at: datetime) -> None:
    """Raises `Conflict` for what was revoked, is on hold, or has expired."""
    if certificate.revoked_at is not None:
        what = "is on hold" if certificate.revocation_reason == HOLD else f"was revoked ({certificate.revocation_reason})"
        raise Conflict(f"Certificate {certificate.id} {what}, so it cannot be renewed; ask for a new one.")
    if at >= certificate.not_after:
        raise Conflict(
            f"Certificate {certificate.id} expired at {certificate.not_after:%Y-%m-%d %H:%M} UTC, so it cannot be renewed; "
            "ask for a new one."
        )


def get(system: System, caller: Caller, certificate_id: str) -> Certificate:
    """One certificate. Raises `NotFound`."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.require(CERTIFICATE, certificate_id)


def find(system: System, caller: Caller, query: Query) -> Page[Certificate]:
    """Certificates that match."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.find(CERTIFICATE, query)


def status(system: System, certificate: Certificate) -> str:
    """REVOKED, ON_HOLD, EXPIRED, NOT_YET_VALID or VALID, as of now."""
    at = system.clock()
    if certificate.revoked_at is not None:
        return "ON_HOLD" if certificate.revocation_reason == HOLD else "REVOKED"
    if at > certificate.not_after:
        return "EXPIRED"
    return "NOT_YET_VALID" if at < certificate.not_before else "VALID"


def _recorded(system: System, caller: Caller, action: str, made: Signed, once: Once | None) -> Certificate:
    """Store and record what was signed, once only. What it replaces may have been revoked since it was looked at."""
    replaces = made.certificate.replaces

    def work(facts: Facts) -> Certificate:
        if replaces is not None:
            refuse_unless_good(facts.require(CERTIFICATE, replaces), facts.at)
        return once_only(facts, caller, once, CERTIFICATE, lambda: stored(facts, made))

    return record(system, caller, action, work)
