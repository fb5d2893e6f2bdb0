"""The inventory: find certificates by what people remember of them, a page at a time or all."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.model.authority import Certificate
from ostiary.model.inventory import Expiring, Wanted
from ostiary.model.query import PAGE_MAX, Page
from ostiary.ops import profiles
from ostiary.ops.caller import Caller
from ostiary.ops.fleet import Wanted as WantedByGateways
from ostiary.ops.system import System
from ostiary.pki.profile import Profile
from ostiary.store import inventory
from ostiary.store.store import Reader

_WEEK: Final = timedelta(weeks=1)


def find(system: System, caller: Caller, wanted: Wanted) -> Page[Certificate]:
    """One page of certificates that match. Raises `Invalid` naming the parameter that makes no sense."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return inventory.page(reader, wanted)


def each_page(system: System, caller: Caller, wanted: Wanted) -> Iterator[tuple[Certificate, ...]]:
    """All that match, page by page, so that never more than one is in memory; each page is as of its own moment."""
    query = replace(wanted.query, limit=PAGE_MAX)
    while True:
        page = find(system, caller, replace(wanted, query=query))
        yield page.items
        if not page.more:
            return
        query = replace(query, marker=page.items[-1].id)


def expiries(system: System, caller: Caller, weeks: int = 26) -> tuple[Expiring, ...]:
    """What of that which is in force expires when: this week and those after it, Monday to Sunday in UTC.

    Server certificates are those issued here for servers, and those that listeners in service show, wherever they are from. What
    is on hold, and what has expired earlier this week, is not in force.
    """
    caller.must("certificate:read")
    caller.must("authority:read")
    now = system.clock()
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = [monday + number * _WEEK for number in range(weeks)]
    ends = [now, *begins[1:], monday + weeks * _WEEK]
    clients, servers = [0] * weeks, [0] * weeks
    with system.store.read() as reader:
        for profile in profiles.all_effective(reader):
            into = servers if _is_for_servers(profile) else clients
            for number, count in enumerate(inventory.expiring(reader, profile.name, ends)):
                into[number] += count
        for at in _shown_by_listeners(reader, system.fleet.wanted):
            if ends[0] <= at < ends[-1]:
                servers[bisect_right(ends, at) - 1] += 1
        authorities = inventory.authorities_expiring(reader, ends)
    return tuple(
        Expiring(week=begin, clients=client, servers=server, authorities=authority)
        for begin, client, server, authority in zip(begins, clients, servers, authorities, strict=True)
    )


def ending(system: System, caller: Caller, within: Sequence[timedelta]) -> tuple[int, ...]:
    """How many certificates of those in force end within each of these times."""
    caller.must("certificate:read")
    at = system.clock()
    spans = sorted(set(within))
    ends = [at, *(at + span for span in spans)]
    with system.store.read() as reader:
        # Profile by profile: so the counting is done in an index (ix_certificates_live), and looks at no row.
        each = [inventory.expiring(reader, profile.name, ends) for profile in profiles.all_effective(reader)]
    until = dict(zip(spans, accumulate(map(sum, zip(*each, strict=True))), strict=True))
    return tuple(until[span] for span in within)


def _is_for_servers(profile: Profile) -> bool:
    usages = profile.extended_key_usages
    return ExtendedKeyUsageOID.SERVER_AUTH in usages and ExtendedKeyUsageOID.CLIENT_AUTH not in usages


def _shown_by_listeners(reader: Reader, wanted: WantedByGateways | None) -> Iterator[datetime]:
    """When certificates end that listeners in service show and that are not in the inventory; each once."""
    listeners = wanted.desired.listeners if wanted is not None else ()
    shown = {identity.certificate_chain for one in listeners for identity in one.identities}
    found = {one.fingerprint(hashes.SHA256()).hex(): one for one in map(_leaf, shown)}
    for fingerprint in found.keys() - inventory.known(reader, found):
        yield found[fingerprint].not_valid_after_utc


def _leaf(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())  # the first; the others are those above it
