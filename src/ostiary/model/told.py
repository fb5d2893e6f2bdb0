"""What keepers go by when they tell of clients. They load no more of the model than this, so that they are soon there."""

import ipaddress
from functools import lru_cache
from typing import Final, Literal

Stage = Literal["handshake", "request"]

ADDRESSES: Final = 16  # of one row of refusals
LONGEST_CERTIFICATE: Final = 8 * 1024
_ONE_PLACE: Final = 64  # bits of an IPv6 address: what follows, a machine makes up anew each day (RFC 8981)


@lru_cache(4096)
def place(address: str) -> str:
    """Where somebody comes from: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> _ONE_PLACE << _ONE_PLACE, _ONE_PLACE)))
