"""The desk of an issuing CA: all that is needed to sign with it, gathered once and used for many certificates."""

from dataclasses import dataclass

from cryptography import x509

from ostiary.errors import Invalid
from ostiary.model.authority import Authority
from ostiary.ops import series
from ostiary.ops.signing import certificates_above, chain_above, open_issuer, parsed
from ostiary.ops.system import System
from ostiary.pki.issue import Issuer
from ostiary.pki.keys import key_sha256
from ostiary.pki.urls import Urls, below
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Reader


@dataclass(frozen=True)
class Desk:
    """An authority ready to sign as of one revision of the configuration: whatever changes it, changes that."""

    revision: int
    authority: Authority
    issuer: Issuer
    above: tuple[x509.Certificate, ...]
    chain: str
    urls: Urls
    authority_keys: frozenset[str]


def at(reader: Reader, system: System, authority_id: str) -> Desk:
    """The desk of the authority's series, as of this moment. Raises `Invalid` when there is none, or none that can sign."""
    revision = reader.revision()
    known: Desk | None = system.desks.get(authority_id)
    if known is not None and known.revision == revision:
        return known
    made = _gathered(reader, system, authority_id, revision)
    system.desks.keep(authority_id, made)
    return made


def _gathered(reader: Reader, system: System, authority_id: str, revision: int) -> Desk:
    asked = reader.get(AUTHORITY, authority_id)
    if asked is None:
        raise Invalid("authority_id", f"there is no authority {authority_id}")
    authority = series.issuing(reader, asked)
    return Desk(
        revision=revision,
        authority=authority,
        issuer=open_issuer(system, authority),
        above=certificates_above(reader, authority),
        chain=chain_above(reader, authority),
        urls=below(system.public_url, authority.id),
        authority_keys=frozenset(key_sha256(parsed(one).public_key()) for one in reader.all(AUTHORITY)),
    )
