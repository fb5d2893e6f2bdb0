"""Everything at a glance: the few numbers that tell how things are."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ostiary.model.sighting import MANY_WITHIN
from ostiary.ops import profiles
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import glance as stored
from ostiary.store import inventory

SEEN_WITHIN: Final = timedelta(hours=24)
ENDS_WITHIN: Final = timedelta(days=30)


@dataclass(frozen=True)
class Glance:
    """As of now. `clients` are those of the last 24 hours, `ending` certificates of the next 30 days."""

    listeners: int
    asking: int  # of them: those that ask for client certificates
    clients: int
    ending: int
    gateways: int
    connected: int
    crowded: int  # certificates that are used from many places


def glance(system: System, caller: Caller) -> Glance:
    """All of it."""
    for action in ("listener:read", "client:read", "certificate:read", "gateway:read"):
        caller.must(action)
    now = system.clock()
    with system.store.read() as reader:
        every, asking = stored.listeners(reader)
        ends = (now, now + ENDS_WITHIN)
        return Glance(
            listeners=every,
            asking=asking,
            clients=stored.clients_since(reader, now - SEEN_WITHIN),
            ending=sum(sum(inventory.expiring(reader, one.name, ends)) for one in profiles.all_effective(reader)),
            gateways=len(system.fleet.gateways()),
            connected=len(system.fleet.live()),
            crowded=stored.crowded_since(reader, now - MANY_WITHIN),
        )
