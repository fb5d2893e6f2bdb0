"""A certificate as people look at it: with all that is around it."""

from dataclasses import dataclass
from typing import Final

from ostiary.model.authority import Authority, Certificate
from ostiary.model.effect import Effect
from ostiary.model.sighting import Client, ClientQuery
from ostiary.ops.caller import Caller
from ostiary.ops.client_cas import key_of
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki.names import Names
from ostiary.pki.renewal import names_in
from ostiary.store import effects, names, renewals, sightings
from ostiary.store.kinds import AUTHORITY, CERTIFICATE, LISTENER
from ostiary.store.store import Reader

_SHOWN: Final = 20


@dataclass(frozen=True)
class Seen:
    """Where a certificate was let in; the listener by name as far as it is still there."""

    client: Client
    listener: str


@dataclass(frozen=True)
class Around:
    """A certificate, and what is around it. `seen` is last seen first."""

    certificate: Certificate
    key: str
    issuers: tuple[Authority, ...]
    seen: tuple[Seen, ...]
    seen_elsewhere: bool  # there are more places than these
    effects: tuple[Effect, ...]
    renewed: tuple[Certificate, ...]
    renewed_by: tuple[Certificate, ...]


def around(system: System, caller: Caller, certificate_id: str) -> Around:
    """One certificate and all around it. Raises `NotFound`."""
    caller.must("certificate:read")
    caller.must("client:read")
    with system.store.read() as reader:
        certificate = reader.require(CERTIFICATE, certificate_id)
        seen, more = _seen(system, reader, certificate)
        return Around(
            certificate=certificate,
            key=key_of(certificate.certificate),
            issuers=_issuers(reader, certificate),
            seen=seen,
            seen_elsewhere=more,
            effects=effects.of_revocation(reader, certificate.authority_id, certificate.serial),
            renewed=renewals.before(reader, certificate, _SHOWN),
            renewed_by=renewals.after(reader, certificate, _SHOWN),
        )


def names_of(certificate: Certificate) -> Names:
    """The names that a certificate carries."""
    return names_in(parsed(certificate))


def _seen(system: System, reader: Reader, certificate: Certificate) -> tuple[tuple[Seen, ...], bool]:
    asked = ClientQuery(fingerprint_sha256=certificate.fingerprint_sha256, limit=_SHOWN)
    found, more = sightings.clients(reader, asked, system.clock())
    called = names.of(reader, LISTENER, {one.listener_id for one in found})
    return tuple(Seen(one, called[one.listener_id] or one.listener_id) for one in found), more


def _issuers(reader: Reader, certificate: Certificate) -> tuple[Authority, ...]:
    found: list[Authority] = []
    authority_id: str | None = certificate.authority_id
    while authority_id is not None and (authority := reader.get(AUTHORITY, authority_id)) is not None:
        found.append(authority)
        authority_id = authority.parent_id
    return tuple(found)
