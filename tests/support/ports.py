"""Free ports on 127.0.0.1."""

import os
import socket
from collections.abc import Iterator

# Ports below the kernel's ephemeral range (net.ipv4.ip_local_port_range starts at 32768): a port handed out here is not
# taken by an outgoing connection before its server binds it. Each test worker has a share of its own: what it was given it may
# bind much later; where in it, is another place each time.
_FIRST, _SHARE, _SHARES = 20_000, 1_500, 8


def _candidates() -> Iterator[int]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")  # noqa: TID251 (no setting of ostiary's)
    first = _FIRST + int(worker) % _SHARES * _SHARE
    at = os.getpid() * 7919
    while True:
        at += 1
        yield first + at % _SHARE


_order = _candidates()


def is_free(port: int) -> bool:
    """Whether a server could bind it now."""
    with socket.socket() as probe:
        # As servers do: a port whose old connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that is free, and that this process will not hand out again soon."""
    return next(port for port in _order if is_free(port))
