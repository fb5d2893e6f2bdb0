"""Issue one certificate: read the request, prove possession, refuse reused keys, approve by profile, sign, store, record."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Certificate, NewCertificate, RequestedNames
from ostiary.ops import profiles
from ostiary.ops.desk import Desk
from ostiary.ops.desk import at as desk_at
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import making
from ostiary.pki.issue import findings
from ostiary.pki.keys import describe, key_sha256
from ostiary.pki.lint import Finding
from ostiary.pki.making import Made
from ostiary.pki.names import NAME_KINDS, Names
from ostiary.pki.policy import Approved
from ostiary.pki.profile import Profile
from ostiary.pki.renewal import names_in
from ostiary.pki.request import SigningRequest
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.matching import with_key
from ostiary.store.store import Facts, Reader

# Whoever else may hold such a key must not get a certificate for it ever again (PKI pitfall 6).
COMPROMISED: Final = ("keyCompromise", "cACompromise", "aACompromise")


@dataclass(frozen=True)
class Wanted:
    """What is asked for, read but not yet decided."""

    request: SigningRequest
    profile: Profile
    authority_id: str
    names: Names | None = None
    lifetime: timedelta | None = None
    name: str = ""
    project_id: str = ""
    owner: str = ""
    groups: tuple[str, ...] = ()
    replaces: str | None = None


def wanted(reader: Reader, system: System, new: NewCertificate, asked: SigningRequest) -> Wanted:
    """What a caller says, with the profile it names. Raises `Invalid`."""
    return Wanted(
        request=asked,
        profile=profile_now(reader, system, new.profile),
        authority_id=new.authority_id,
        names=names_from(new.names),
        lifetime=new.lifetime,
        name=new.name,
        project_id=new.project_id,
        owner=new.owner,
        groups=new.groups,
    )


def profile_now(reader: Reader, system: System, name: str) -> Profile:
    """The profile in force, kept for as long as the configuration stays as it is. Raises `Invalid` when there is none."""
    revision = reader.revision()
    known: tuple[int, Profile] | None = system.desks.get(f"profile {name}")
    if known is not None and known[0] == revision:
        return known[1]
    profile = profiles.effective(reader, name)
    system.desks.keep(f"profile {name}", (revision, profile))
    return profile


@dataclass(frozen=True)
class Signed:
    """A certificate that is signed but not yet on record. Nobody gets to see it before it is. `names` are those approved."""

    desk: Desk
    names: Names
    certificate: Certificate


def signed(system: System, reader: Reader, wanted: Wanted, at: datetime) -> Signed:
    """What policy grants, signed. Raises `Invalid` for the first thing that it does not grant."""
    desk, approved = _approved(system, reader, wanted, at)
    return described(desk, wanted, making.made(approved, desk.bench, at))


def described(desk: Desk, wanted: Wanted | NewCertificate, made: Made) -> Signed:
    """A certificate with whose it is and what it is for."""
    certificate = Certificate(
        id=new_id(),
        name=wanted.name,
        project_id=wanted.project_id,
        authority_id=desk.authority.id,
        profile=wanted.profile if isinstance(wanted.profile, str) else wanted.profile.name,
        serial=made.serial,
        fingerprint_sha256=made.fingerprint_sha256,
        key_sha256=made.key_sha256,
        subject=made.subject,
        sans=made.sans,
        not_before=made.not_before,
        not_after=made.not_after,
        owner=wanted.owner,
        groups=wanted.groups,
        certificate=made.certificate,
        chain=desk.chain,
        replaces=wanted.replaces if isinstance(wanted, Wanted) else None,
    )
    return Signed(desk, made.names, certificate)


def preview(system: System, reader: Reader, wanted: Wanted, at: datetime) -> tuple[str, ...]:
    """The names that the certificate would carry. Raises `Invalid` for what would be refused, without signing anything."""
    _, approved = _approved(system, reader, wanted, at)
    return _told(approved.names)


@dataclass(frozen=True)
class Outlook:
    """What a request would become if it were signed now. `findings` are what the linter says of it."""

    names: tuple[str, ...]
    key: str
    not_before: datetime
    not_after: datetime
    authority_id: str  # that would sign: another of the series, it may be
    findings: tuple[Finding, ...]


def outlook(system: System, reader: Reader, wanted: Wanted, at: datetime) -> Outlook:
    """Asked for by people who are to decide. Raises `Invalid` for what would be refused."""
    desk, approved = _approved(system, reader, wanted, at)
    return Outlook(
        names=_told(approved.names),
        key=describe(approved.public_key),
        not_before=approved.not_before,
        not_after=approved.not_after,
        authority_id=desk.authority.id,
        findings=findings(approved, desk.bench.issuer.certificate, desk.bench.urls),
    )


def _told(names: Names) -> tuple[str, ...]:
    return tuple(f"{kind}:{name}" for kind in NAME_KINDS for name in names.of(kind))


def _approved(system: System, reader: Reader, wanted: Wanted, at: datetime) -> tuple[Desk, Approved]:
    desk = desk_at(reader, system, wanted.authority_id)
    approved = making.granted(wanted.request, wanted.profile, wanted.names, wanted.lifetime, desk.bench, at)
    # Asked again where it is stored; here so that one who comes with such a key does not undo the work of others there.
    for other in with_key(reader, key_sha256(approved.public_key)):
        refuse_shared_key(approved.names, wanted.owner, other)
    return desk, approved


def stored(facts: Facts, signed: Signed) -> Certificate:
    """Put it on record, if what was true when it was signed still is."""
    desk, certificate = signed.desk, signed.certificate
    if facts.next_revision - 1 != desk.revision:
        authority = facts.get(AUTHORITY, desk.authority.id)
        if authority is None or not authority.may_sign:
            raise Conflict(f"Authority {desk.authority.id} was revoked or removed meanwhile; choose another.")
    return facts.insert_later(CERTIFICATE, certificate, "key_sha256", partial(refuse_shared_key, signed.names, certificate.owner))


def refuse_shared_key(names: Names, owner: str, other: Certificate) -> None:
    """A key is one holder's: `Invalid` when it was compromised, or is in a certificate of another holder or of other names."""
    if other.revocation_reason in COMPROMISED:
        raise Invalid("csr", f"its key was revoked as compromised (certificate {other.id}); make a new key.")
    if other.owner != owner or names_in(parsed(other)) != names:
        raise Invalid("csr", f"its key is in certificate {other.id}, which has another holder or other names; make a new key.")


def names_from(wanted: RequestedNames | None) -> Names | None:
    """The names a caller asks for; None takes those of the request."""
    if wanted is None:
        return None
    given: dict[str, Any] = {name: value for name, value in wanted if value}
    return Names(**given)
