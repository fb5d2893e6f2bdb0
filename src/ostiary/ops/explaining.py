"""Explain: what becomes of a client at a listener, and why, by the very rules that the gateways were given."""

from ostiary.access import members
from ostiary.errors import Conflict, Invalid
from ostiary.model.desired import Desired, DesiredListener
from ostiary.model.explanation import ExplainRequest, Explanation
from ostiary.ops.caller import Caller
from ostiary.ops.explained import Known, answer, first_of
from ostiary.ops.system import System
from ostiary.store import told_certificates
from ostiary.store.desired import desired as read_desired
from ostiary.store.kinds import CERTIFICATE, LISTENER
from ostiary.store.store import Reader


def explain(system: System, caller: Caller, asked: ExplainRequest) -> Explanation:
    """What becomes of this client and its request: by what was last published, which is what the gateways have."""
    caller.must("access-rule:read")
    if asked.certificate is not None and asked.certificate_id is not None:
        raise Invalid("certificate_id", "give a certificate or the id of one, not both")
    now = system.clock()
    fingerprint = _fingerprint(asked.certificate)  # it is read before a transaction is open
    with system.store.read() as reader:
        published = system.fleet.wanted.desired if system.fleet.wanted is not None else Desired()
        door = _door(published, asked.listener_id)
        desired = published if door is not None else read_desired(reader, system.sealer, now)
        door = door or _door_on_record(reader, desired, asked.listener_id)
        certificate = asked.certificate
        if asked.certificate_id is not None:
            held = reader.require(CERTIFICATE, asked.certificate_id)
            certificate, fingerprint = held.certificate + held.chain, held.fingerprint_sha256
        entry = _entry(desired, fingerprint) if desired is published else entry_on_record(reader, fingerprint)
    return answer(Known(desired, door, certificate, entry), asked, now)


def told(system: System, caller: Caller, fingerprint_sha256: str, listener_id: str) -> str | None:
    """A certificate that is on record, PEM: issued here, let in, refused or rehearsed; None where nobody told it."""
    caller.must("access-rule:read")
    caller.must("client:read")
    with system.store.read() as reader:
        return told_certificates.of(reader, fingerprint_sha256, listener_id)


def _door(desired: Desired, listener_id: str) -> DesiredListener | None:
    return next((one for one in desired.listeners if one.listener.id == listener_id), None)


def _door_on_record(reader: Reader, desired: Desired, listener_id: str) -> DesiredListener:
    """One that the gateways have heard nothing of yet. Raises `NotFound`, and `Conflict` for one that serves nobody."""
    there = reader.require(LISTENER, listener_id)
    found = _door(desired, listener_id)
    if found is None:
        raise Conflict(f"listener {there.id} is not in service: it, or its load balancer, is switched off", "listener_id")
    return found


def _entry(desired: Desired, fingerprint: str | None) -> str:
    return (fingerprint and desired.roster.entry(fingerprint)) or members.entry((), "")


def entry_on_record(reader: Reader, fingerprint: str | None) -> str:
    """What a certificate is a member of, as it is on record, whether or not gateways have heard of it."""
    for held in reader.all(CERTIFICATE, fingerprint_sha256=fingerprint) if fingerprint else ():
        return members.entry(held.groups, held.profile)
    return members.entry((), "")


def _fingerprint(certificate_pem: str | None) -> str | None:
    read = first_of(certificate_pem) if certificate_pem is not None else None
    return read.fingerprint_sha256 if read is not None else None
