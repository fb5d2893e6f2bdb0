"""Certificate requests that wait for people to agree: asked for by one, approved by others, signed only then."""

from datetime import timedelta
from typing import Final

from ostiary.errors import Conflict, Denied, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Certificate, NewCertificate
from ostiary.model.query import Page, Query
from ostiary.model.request import CertificateRequest, Decision
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.facts import record
from ostiary.ops.idempotency import Once, before, once_only
from ostiary.ops.issuing import Outlook, preview, signed, stored, wanted
from ostiary.ops.issuing import outlook as issuing_outlook
from ostiary.ops.system import System
from ostiary.pki import request
from ostiary.pki.keys import key_sha256
from ostiary.store.kinds import CERTIFICATE_REQUEST
from ostiary.store.store import Facts

WAITS: Final = timedelta(days=7)
APPROVALS: Final = {"automatic": 0, "one": 1, "two": 2}


def submit(system: System, caller: Caller, new: NewCertificate, once: Once | None = None) -> CertificateRequest:
    """Ask for a certificate that others have to agree to. What policy would refuse anyway is refused at once."""
    caller.must("certificate:request")
    pkcs10 = request.read(new.csr)
    with system.store.read() as reader:
        known = before(reader, caller, once, CERTIFICATE_REQUEST)
        if known is not None:
            return known
        meant = wanted(reader, system, new, pkcs10)
        names = preview(system, reader, meant, system.clock())
    needed = APPROVALS[meant.profile.approval]
    if not needed:
        raise Conflict(f"Profile '{new.profile}' needs nobody's approval; ask for the certificate itself.", "profile")

    def work(facts: Facts) -> CertificateRequest:
        asked = CertificateRequest(
            id=new_id(),
            name=new.name,
            project_id=new.project_id,
            requested_by=caller.name,
            justification=new.justification,
            approvals_needed=needed,
            expires_at=facts.at + WAITS,
            authority_id=new.authority_id,
            profile=new.profile,
            csr=new.csr,
            key_sha256=key_sha256(pkcs10.public_key),
            asked_for=names,
            names=new.names,
            lifetime=new.lifetime,
            owner=new.owner,
            groups=new.groups,
        )
        return once_only(facts, caller, once, CERTIFICATE_REQUEST, lambda: facts.insert(CERTIFICATE_REQUEST, asked))

    return record(system, caller, "certificate:request", work)


def approve(system: System, caller: Caller, request_id: str, reason: str = "") -> CertificateRequest:
    """Agree. The last approval that was needed issues the certificate, by the policy of that moment.

    Raises `Denied` for whoever asked, and for whoever has agreed already: two people are two people.
    """
    caller.must("certificate:approve")
    with system.store.read() as reader:
        asked = reader.require(CERTIFICATE_REQUEST, request_id)
        _refuse_unless_waiting(asked, system)
        _refuse_same_person(asked, caller)
        made = None
        if asked.approvals() + 1 >= asked.approvals_needed:
            new = _as_new(asked)
            made = signed(system, reader, wanted(reader, system, new, request.read(new.csr)), system.clock())

    def work(facts: Facts) -> CertificateRequest:
        now = facts.require(CERTIFICATE_REQUEST, request_id)
        _refuse_unless_waiting(now, system)
        _refuse_same_person(now, caller)
        decisions = (*now.decisions, Decision(by=caller.name, at=facts.at, approved=True, reason=reason))
        if len(decisions) < now.approvals_needed:
            return facts.replace(CERTIFICATE_REQUEST, now, now.model_copy(update={"decisions": decisions}))
        if made is None:
            raise Conflict("Somebody else approved it at the same time; try again.")
        certificate: Certificate = stored(facts, made)
        news = {"decisions": decisions, "status": "ISSUED", "certificate_id": certificate.id}
        return facts.replace(CERTIFICATE_REQUEST, now, now.model_copy(update=news))

    return record(system, caller, "certificate:approve", work)


def refuse(system: System, caller: Caller, request_id: str, reason: str) -> CertificateRequest:
    """Refuse, with a reason that whoever asked gets to read. Whoever asked may take it back in the same way."""
    caller.must("certificate:approve")
    if not reason.strip():
        raise Invalid("reason", "say why it is refused; whoever asked will read it")

    def work(facts: Facts) -> CertificateRequest:
        now = facts.require(CERTIFICATE_REQUEST, request_id)
        _refuse_unless_waiting(now, system)
        decision = Decision(by=caller.name, at=facts.at, approved=False, reason=reason)
        news = {"decisions": (*now.decisions, decision), "status": "REFUSED"}
        return facts.replace(CERTIFICATE_REQUEST, now, now.model_copy(update=news))

    return record(system, caller, "certificate:refuse", work)


def get(system: System, caller: Caller, request_id: str) -> CertificateRequest:
    """One request. Raises `NotFound`."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.require(CERTIFICATE_REQUEST, request_id)


def find(system: System, caller: Caller, query: Query) -> Page[CertificateRequest]:
    """Requests that match."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.find(CERTIFICATE_REQUEST, query)


def outlook(system: System, caller: Caller, asked: CertificateRequest) -> Outlook:
    """What it would become if it were issued now. Raises `Invalid` for what would be refused by the policy of this moment."""
    caller.must("certificate:read")
    new = _as_new(asked)
    pkcs10 = request.read(new.csr)
    with system.store.read() as reader:
        return issuing_outlook(system, reader, wanted(reader, system, new, pkcs10), system.clock())


def waiting(system: System, caller: Caller) -> int:
    """How many wait for somebody to decide."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.count(CERTIFICATE_REQUEST, status="PENDING")


def lapse_due(system: System) -> int:
    """Refuse what nobody decided in time. Returns how many."""
    with system.store.read() as reader:
        waiting = reader.all(CERTIFICATE_REQUEST, status="PENDING")
    late = [one.id for one in waiting if system.clock() >= one.expires_at]

    def lapse(request_id: str) -> None:
        def work(facts: Facts) -> None:
            now = facts.require(CERTIFICATE_REQUEST, request_id)
            if now.status == "PENDING":
                decision = Decision(by=SYSTEM.name, at=facts.at, approved=False, reason="nobody decided in time")
                news = {"decisions": (*now.decisions, decision), "status": "REFUSED"}
                facts.replace(CERTIFICATE_REQUEST, now, now.model_copy(update=news))

        record(system, SYSTEM, "certificate:refuse", work)

    for request_id in late:
        lapse(request_id)
    return len(late)


def _refuse_unless_waiting(asked: CertificateRequest, system: System) -> None:
    if asked.status != "PENDING":
        raise Conflict(f"Request {asked.id} was decided: {asked.status}.")
    if system.clock() >= asked.expires_at:
        raise Conflict(f"Request {asked.id} lapsed at {asked.expires_at:%Y-%m-%d %H:%M} UTC; ask anew.")


def _refuse_same_person(asked: CertificateRequest, caller: Caller) -> None:
    if caller.name == asked.requested_by:
        raise Denied(f"{caller.name} asked for it, so another person has to agree.")
    if any(decision.by == caller.name for decision in asked.decisions):
        raise Denied(f"{caller.name} has agreed already; another person has to.")


def _as_new(asked: CertificateRequest) -> NewCertificate:
    return NewCertificate(
        name=asked.name,
        project_id=asked.project_id,
        authority_id=asked.authority_id,
        csr=asked.csr,
        profile=asked.profile,
        lifetime=asked.lifetime,
        owner=asked.owner,
        groups=asked.groups,
        names=asked.names,
    )
