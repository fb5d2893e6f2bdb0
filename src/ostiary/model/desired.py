"""Everything an engine needs to know, whole and resolved: the one thing that is translated to Envoy's terms."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, InstanceOf

from ostiary.model.access import AccessException, AccessRule
from ostiary.model.fields import Data, IPAddress, Port
from ostiary.model.health import HealthMonitor
from ostiary.model.house_door import HouseDoorKind
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.roster import Roster
from ostiary.model.tls import Identity, Trust


class DesiredAccess(Data):
    """What a listener's clients may reach.

    `authorities`: for each authority that rules name, the SHA-256 fingerprints of its certificates and of those below it;
    `trusted`: those of all that the listener trusts.
    """

    rules: tuple[AccessRule, ...] = ()
    exceptions: tuple[AccessException, ...] = ()
    authorities: Mapping[str, tuple[str, ...]] = {}
    trusted: tuple[str, ...] = ()


class DesiredListener(Data):
    """A listener that is in service, with the address it binds to and its TLS material.

    `identities` is empty exactly when the listener does not terminate TLS; its first is the default certificate.
    `trust` is there exactly when client certificates are asked for.
    """

    listener: Listener
    address: str
    identities: tuple[Identity, ...] = ()
    trust: Trust | None = None
    access: DesiredAccess = DesiredAccess()


class DesiredPool(Data):
    """A pool that is in service, with its members and the TLS material to reach them."""

    pool: Pool
    members: tuple[Member, ...] = ()
    health_monitor: HealthMonitor | None = None
    identity: Identity | None = None
    trust: Trust | None = None


class DesiredHouseDoor(Data):
    """A door of our own: where it listens, and the Unix socket of ours behind it, which answers no one else there.

    `trust` holds all authorities of ours whose clients are believed here; it is None while there is none.
    """

    kind: HouseDoorKind
    address: IPAddress
    port: Port
    socket: str
    identities: Annotated[tuple[Identity, ...], Field(min_length=1)]
    trust: Trust | None = None
    demands_certificate: bool = False


class Desired(Data):
    """The configuration at one revision. Holds only what is in service: disabled things have been left out.

    `denied` are certificates refused request by request, on open connections too: SHA-256 fingerprints, hexadecimal;
    `retired` are authorities that were revoked, likewise. `roster` says who is in which group. `denied_until` is when the first
    of those denied leave, because the handshake alone guards.
    """

    revision: int = 0
    listeners: tuple[DesiredListener, ...] = ()
    pools: tuple[DesiredPool, ...] = ()
    doors: tuple[DesiredHouseDoor, ...] = ()
    denied: frozenset[str] = frozenset()
    denied_until: datetime | None = None
    retired: frozenset[str] = frozenset()
    roster: InstanceOf[Roster] = Roster()

    @property
    def good_until(self) -> datetime | None:
        """When it is another by itself: an exception ends, or denied ones leave. None where only a change can do that."""
        ends = [one.not_after for each in self.listeners for one in each.access.exceptions]
        return min([*ends, *filter(None, (self.denied_until,))], default=None)
