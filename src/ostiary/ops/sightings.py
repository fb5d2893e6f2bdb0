"""Who was seen: what gateways tell, and who may ask for it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from ostiary.errors import Refusal
from ostiary.model.query import Page
from ostiary.model.sighting import Client, ClientQuery, Sighting
from ostiary.model.told import place
from ostiary.ops import batches
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki.chain import read_certificates
from ostiary.pki.names import name_text
from ostiary.store import marks
from ostiary.store import sightings as stored
from ostiary.store.store import Facts

_SAID: Final = 20


def seen(system: System, gateway_id: str, told: Mapping[str, Any]) -> int:
    """Put a batch of a gateway on record; one that is told again changes nothing. Returns how many entries made no sense.

    A batch is `sequence`, a number that grows, and is the same when the batch is told again; `sightings` (`Sighting`); and
    `certificates`, PEM by fingerprint, of those not told before. Raises `Invalid` for what is no batch. No person did anything,
    so the record of changes (audit) says nothing of it.
    """
    sequence, now = batches.number(told), system.clock()
    entries, certificates = batches.listed(told, "sightings", list), batches.listed(told, "certificates", dict)
    sightings = [one for one in (_sighting(entry, now) for entry in entries) if one is not None]
    described = dict(one for one in map(_described, certificates.items()) if one is not None)

    def work(facts: Facts) -> None:
        stored.merge(facts, sightings)
        stored.describe(facts, described)

    batches.once(system, gateway_id, marks.SEEN, sequence, work)
    return len(entries) - len(sightings) + len(certificates) - len(described)


def last_seen(system: System, fingerprints: Iterable[str]) -> dict[str, datetime]:
    """When each of these was last let in anywhere; those that never were are left out."""
    with system.store.read() as reader:
        return stored.last_seen(reader, fingerprints)


def clients(system: System, caller: Caller, query: ClientQuery) -> Page[Client]:
    """Certificates that were let in, by listener, last seen first."""
    caller.must("client:read")
    with system.store.read() as reader:
        found, more = stored.clients(reader, query, system.clock())
    return Page(found, more)


def crowded(system: System) -> tuple[str, ...]:
    """Certificates that are used from many places: they may have been copied."""
    with system.store.read() as reader:
        return stored.crowded(reader, system.clock(), _SAID)


def of(system: System, caller: Caller, fingerprint_sha256: str) -> tuple[Client, ...]:
    """Where one certificate was let in, last seen first."""
    return clients(system, caller, ClientQuery(fingerprint_sha256=fingerprint_sha256)).items


def _sighting(entry: Any, now: datetime) -> Sighting | None:
    """What an entry says; None when it makes no sense. A gateway's clock may be ahead: nobody was seen later than now."""
    try:
        one = Sighting.model_validate(entry, strict=False)
    except ValidationError:
        return None
    addresses = {place(address): min(at, now) for address, at in one.addresses.items()}
    return one.model_copy(
        update={"first_seen": min(one.first_seen, now), "last_seen": min(one.last_seen, now), "addresses": addresses}
    )


def _described(told: tuple[str, Any]) -> tuple[str, tuple[str, str, str]] | None:
    """A certificate as told, with its names as we write them; None when it is not the one it is said to be."""
    fingerprint, pem = told
    try:
        certificate = read_certificates(str(pem).encode(), "certificate")[0]
    except (Refusal, UnicodeError):
        return None
    if certificate.fingerprint(hashes.SHA256()).hex() != fingerprint:
        return None
    plain = certificate.public_bytes(Encoding.PEM).decode()
    return fingerprint, (plain, name_text(certificate.subject), name_text(certificate.issuer))
