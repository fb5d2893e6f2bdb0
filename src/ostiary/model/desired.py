"""Everything an engine needs to know, whole and resolved: the one thing that is translated to Envoy's terms."""

from ostiary.model.fields import Data
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.tls import Identity, Trust


class DesiredListener(Data):
    """A listener that is in service, with the address it binds to and its TLS material.

    `identities` is empty exactly when the listener does not terminate TLS; its first is the default certificate.
    `trust` is there exactly when client certificates are asked for.
    """

    listener: Listener
    address: str
    identities: tuple[Identity, ...] = ()
    trust: Trust | None = None


class DesiredPool(Data):
    """A pool that is in service, with its members and the TLS material to reach them."""

    pool: Pool
    members: tuple[Member, ...] = ()
    health_monitor: HealthMonitor | None = None
    identity: Identity | None = None
    trust: Trust | None = None


class Desired(Data):
    """The configuration at one revision. Holds only what is in service: disabled things have been left out."""

    revision: int = 0
    listeners: tuple[DesiredListener, ...] = ()
    pools: tuple[DesiredPool, ...] = ()
