"""The desk of an issuing CA: all that is needed to sign with it, gathered once and used for many certificates."""

from dataclasses import dataclass

from ostiary.errors import Invalid
from ostiary.model.authority import Authority
from ostiary.ops import series
from ostiary.ops.signing import certificates_above, chain_above, open_issuer, parsed
from ostiary.ops.system import System
from ostiary.pki.keys import key_sha256
from ostiary.pki.making import Bench
from ostiary.pki.urls import below
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Reader


@dataclass(frozen=True)
class Desk:
    """An authority ready to sign as of one revision of the configuration: whatever changes it, changes that."""

    revision: int
    authority: Authority
    bench: Bench
    chain: str

    @property
    def name(self) -> str:
        """What it is called, which no other desk is."""
        return f"{self.authority.id}/{self.revision}"


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
        bench=Bench(
            issuer=open_issuer(system, authority),
            above=certificates_above(reader, authority),
            urls=below(system.public_url, authority.id),
            authority_keys=frozenset(key_sha256(parsed(one).public_key()) for one in reader.all(AUTHORITY)),
        ),
        chain=chain_above(reader, authority),
    )
