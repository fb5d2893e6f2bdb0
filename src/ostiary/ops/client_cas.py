"""The CA certificates a Client CA is chosen from, with what one wants to know before choosing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from ostiary.model.authority import Authority
from ostiary.model.reference import parse
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki.keys import describe
from ostiary.store import authority_use
from ostiary.store.authority_use import Use
from ostiary.store.kinds import AUTHORITY, SECRET
from ostiary.store.store import Reader


@dataclass(frozen=True)
class ClientCA:
    """An authority to choose: the first of its series stands for all that issue under its name."""

    authority: Authority
    key: str
    use: Use
    is_over: bool  # expired or revoked: nobody could be let in by it

    @property
    def href(self) -> str:
        """As a listener refers to it."""
        return f"/v1/authorities/{self.authority.id}"


def find(
    system: System, caller: Caller, *, search: str = "", keep: str = "", limit: int = 50
) -> tuple[tuple[ClientCA, ...], int]:
    """Those whose name or subject holds `search`, and `keep` (an id) in any case, by name; and how many there are in all."""
    caller.must("authority:read")
    at = system.clock()
    with system.store.read() as reader:
        every = [one for one in reader.all(AUTHORITY) if one.generation == 1 and one.cross_of is None]
        words = search.casefold().split()
        fitting = [one for one in every if all(word in f"{one.name} {one.subject}".casefold() for word in words)]
        shown = sorted(fitting, key=lambda one: (one.id != keep, one.name.casefold(), one.id))[:limit]
        if keep and all(one.id != keep for one in shown):
            shown = [*(one for one in every if one.id == keep), *shown]
        uses = authority_use.of_series(reader, [_series(one) for one in shown], at)
    chosen = tuple(ClientCA(one, key_of(one.certificate), uses.get(_series(one), Use()), _is_over(one, at)) for one in shown)
    return chosen, len(fitting)


def _series(authority: Authority) -> str:
    return authority.series_id or authority.id


def _is_over(authority: Authority, at: datetime) -> bool:
    return authority.revoked_at is not None or authority.not_after <= at


@lru_cache(maxsize=1000)
def key_of(certificate: str) -> str:
    """`EC P-256`, `RSA 3072`: the key in a certificate (PEM)."""
    return describe(x509.load_pem_x509_certificate(certificate.encode()).public_key())


def named(system: System, caller: Caller, references: Iterable[str | None]) -> dict[str, str]:
    """By reference, what people call the authority; a secret with certificates is called by its own name."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return {text: _name(reader, text) for text in set(references) if text}


def _name(reader: Reader, text: str) -> str:
    reference = parse(text, "client_ca_tls_container_ref")
    if reference.kind != "secret" and (authority := reader.get(AUTHORITY, reference.id)) is not None:
        return authority.name or authority.subject
    secret = reader.get(SECRET, reference.id)
    return (secret.name if secret is not None else "") or text
