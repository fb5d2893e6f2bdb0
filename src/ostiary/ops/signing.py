"""Between stored authorities and the signer: open an issuer's key, make an authority, collect the chain above it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Authority, Certificate, ConstrainedNames, NameConstraints, NewAuthority
from ostiary.model.fields import Private
from ostiary.ops.change import sealed
from ostiary.ops.revocation_lists import sign_list
from ostiary.ops.system import System
from ostiary.pki import constraints, keys
from ostiary.pki.authority_warnings import warnings
from ostiary.pki.chain import read_certificates
from ostiary.pki.issue import Issuer, Limits, create_intermediate, create_root
from ostiary.pki.names import SubjectFields, fingerprint_sha256, subject_text
from ostiary.pki.urls import below
from ostiary.store.kinds import AUTHORITY
from ostiary.store.material import authority_context
from ostiary.store.store import Reader, Transaction

_SHOWN: Final = 100
_SHOWN_TEXT: Final = 255

ROOT_LIFETIME: Final = timedelta(days=3650)
INTERMEDIATE_LIFETIME: Final = timedelta(days=1825)


@dataclass(frozen=True)
class NewKey:
    """A key that was just made: what is to be stored of it, sealed, and the key."""

    kept: bytes = field(repr=False)
    key: keys.PrivateKey = field(repr=False)


def open_issuer(system: System, authority: Authority, field: str = "authority_id") -> Issuer:
    """An authority ready to sign. Raises `Invalid` when its key is not here, `Unavailable` when it is out of reach."""
    if not authority.has_key:
        system.custody.forget(authority.id)
        raise Invalid(field, f"authority {authority.id} has no key here, so it cannot issue; choose another")
    return system.custody.issuer(
        authority, lambda: system.sealer.open(authority.sealed_key, authority_context(authority.id)), field
    )


def parsed(held: Authority | Certificate) -> x509.Certificate:
    """Its certificate."""
    return read_certificates(held.certificate.encode(), "certificate")[0]


def pem_text(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def new_key(system: System, wanted: NewAuthority) -> NewKey:
    """Have the key of a new authority made where it is to be kept. Raises `Invalid` or `Unavailable`."""
    return NewKey(*system.custody.create(wanted.custody, wanted.key, wanted.name or wanted.subject.CN))


def _days(wanted: NewAuthority) -> timedelta | None:
    return None if wanted.lifetime_days is None else timedelta(days=wanted.lifetime_days)


def make_authority(
    transaction: Transaction,
    system: System,
    wanted: NewAuthority,
    key_pair: NewKey | None = None,
    *,
    series_id: str | None = None,
    generation: int = 1,
) -> Authority:
    """Sign a CA certificate for a new key and store both, with its first revocation list. Raises `Invalid`.

    The key may have been made before the transaction began, so that nobody waits for it. `series_id` is that of the authority
    whose place it takes; None begins a series.
    """
    subject = wanted.subject if wanted.subject.CN else wanted.subject.model_copy(update={"CN": wanted.name})
    if not subject.CN:
        raise Invalid("subject.CN", "an authority needs a common name; set subject.CN or name")
    made_key = key_pair or new_key(system, wanted)
    key = made_key.key
    fields = SubjectFields(**subject.model_dump())
    limited = limits(wanted.path_length, wanted.name_constraints)
    if wanted.kind == "root":
        if wanted.parent_id is not None:
            raise Invalid("parent_id", "a root signs itself; leave parent_id out or make an intermediate")
        lifetime = _days(wanted) or ROOT_LIFETIME
        certificate = create_root(fields, key, lifetime, transaction.at, limits=limited)
    else:
        parent = the_parent(transaction, wanted.parent_id)
        certificate = create_intermediate(
            fields,
            key,
            open_issuer(system, parent, "parent_id"),
            _days(wanted) or min(INTERMEDIATE_LIFETIME, parent.not_after - transaction.at.replace(microsecond=0)),
            transaction.at,
            above=certificates_above(transaction, parent),
            limits=limited,
            urls=below(system.public_url, parent.id),
        )
    name, authority_id = wanted.name or subject.CN, new_id()
    sealed_key = sealed(system, made_key.kept, authority_context(authority_id))
    made = store_authority(
        transaction,
        certificate,
        sealed_key,
        id=authority_id,
        name=name,
        kind=wanted.kind,
        parent_id=wanted.parent_id,
        project_id=wanted.project_id,
        series_id=series_id or authority_id,
        generation=generation,
        key=wanted.key,
        custody=wanted.custody,
    )
    sign_list(system, transaction, made, Issuer(certificate, key))
    return made


def store_authority(transaction: Transaction, certificate: x509.Certificate, sealed_key: Private, **fields: object) -> Authority:
    """Store a CA certificate once. Raises `Conflict` when it is here already."""
    fingerprint = fingerprint_sha256(certificate)
    for known in transaction.all(AUTHORITY, fingerprint_sha256=fingerprint):
        raise Conflict(f"this certificate is in the system as authority {known.id} ({known.name}).", "certificate")
    return transaction.insert(
        AUTHORITY,
        Authority.model_validate(
            {
                "series_id": fields["id"],
                **fields,
                "certificate": pem_text(certificate),
                "subject": subject_text(certificate),
                "fingerprint_sha256": fingerprint,
                "not_before": certificate.not_valid_before_utc,
                "not_after": certificate.not_valid_after_utc,
                "path_length": _path_length(certificate),
                "name_constraints": _constraints(certificate),
                "warnings": warnings(certificate),
                "sealed_key": sealed_key,
            }
        ),
    )


def limits(path_length: int | None, name_constraints: NameConstraints | None) -> Limits:
    """What an authority may sign, as a caller says it. Raises `Invalid`."""
    if name_constraints is None:
        return Limits(path_length)
    return Limits(path_length, constraints.given(dict(name_constraints.permitted), dict(name_constraints.excluded)))


def certificates_above(reader: Reader, authority: Authority) -> tuple[x509.Certificate, ...]:
    """Those of its parent, that one's parent, and so on, as far as they are here."""
    found: list[x509.Certificate] = []
    parent_id = authority.parent_id
    while parent_id is not None:
        parent = reader.require(AUTHORITY, parent_id)
        found.append(parsed(parent))
        parent_id = parent.parent_id
    return tuple(found)


def _path_length(certificate: x509.Certificate) -> int | None:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def _constraints(certificate: x509.Certificate) -> NameConstraints | None:
    """Its name constraints for people to read; of those that others made, the first of each kind are enough."""
    held = constraints.of(certificate)
    if not held:
        return None
    permitted, excluded = (
        ConstrainedNames(**{kind: tuple(text[:_SHOWN_TEXT] for text in texts[:_SHOWN]) for kind, texts in by_kind.items()})
        for by_kind in held.by_kind()
    )
    return NameConstraints(permitted=permitted, excluded=excluded)


def chain_above(reader: Reader, authority: Authority) -> str:
    """The authority and those above it, PEM, without the root: a peer has the root or does not trust it."""
    chain = ""
    current: Authority | None = authority
    while current is not None and current.kind != "root":
        chain += current.certificate
        current = reader.get(AUTHORITY, current.parent_id) if current.parent_id else None
    return chain


def the_parent(transaction: Transaction, parent_id: str | None) -> Authority:
    """The authority that is to sign another one. Raises `Invalid`."""
    if parent_id is None:
        raise Invalid("parent_id", "an intermediate needs the authority that signs it")
    parent = transaction.get(AUTHORITY, parent_id)
    if parent is None:
        raise Invalid("parent_id", f"there is no authority {parent_id}")
    return parent
