"""The addresses of this machine, to be offered to whoever makes a load balancer. A gateway on another machine has others."""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SIOCGIFADDR: Final = 0x8915  # netdevice(7): the first IPv4 address of an interface
_NAME: Final = 15  # bytes of an interface's name
_GLOBAL: Final = "00"  # scope of an IPv6 address in if_inet6
_IF_INET6: Final = Path("/proc/net/if_inet6")


def own() -> tuple[str, ...]:
    """All that this machine can be reached by, IPv4 first, without those of itself alone; none where that cannot be known."""
    if sys.platform != "linux":
        return ()
    return tuple(dict.fromkeys(one for one in (*_ipv4(), *_ipv6()) if not ipaddress.ip_address(one).is_loopback))


def _ipv4() -> Iterator[str]:
    from fcntl import ioctl  # noqa: PLC0415 (there is none on other systems)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _index, name in socket.if_nameindex():
            try:
                told = ioctl(asked, _SIOCGIFADDR, struct.pack("256s", name.encode()[:_NAME]))
            except OSError:
                continue  # it has none
            yield socket.inet_ntoa(told[20:24])


def _ipv6() -> Iterator[str]:
    try:
        lines = _IF_INET6.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        digits, _index, _prefix, scope, *_rest = line.split()
        if scope == _GLOBAL:
            yield str(ipaddress.IPv6Address(bytes.fromhex(digits)))
