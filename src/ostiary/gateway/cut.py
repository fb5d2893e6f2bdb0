"""End one connection of Envoy's from outside, and no other: its socket is borrowed from Envoy's process and shut down.

Envoy closes listeners and drains filter chains; there is no way to ask it to close one connection
(docs/decisions/0015-how-long-streams-end.md). But it is a process of our own user on our machine, and Linux lends us its sockets.
Which one it is, is found by the connection's two ends, and made sure of by the socket's number: a client that comes back from the
same port is another connection.
"""

import ctypes
import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.gateway.pids import Process

_PIDFD_GETFD: Final = 438  # On every architecture: calls have one number everywhere since 424 (Linux 5.1).
_TABLES: Final = ("tcp", "tcp6")
_NOW: Final = struct.pack("ii", 1, 0)  # struct linger: what was not sent yet is not sent any more
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Ends:
    """A TCP connection: who connected, and where to."""

    client: str
    client_port: int
    local: str
    local_port: int


def ends(client: str, client_port: str, local: str) -> Ends | None:
    """The connection that a record is about: `local` is an address with its port. None for what is no TCP connection."""
    host, _, port = local.rpartition(":")
    try:
        return Ends(_plain(client), int(client_port), _plain(host.strip("[]")), int(port))
    except ValueError:
        return None


def unable(process: Process) -> str | None:
    """Why this process lends us no socket, in words for its operator; None if it does."""
    try:
        borrowed = next((one for one, _ in _sockets(process)), None)
        if borrowed is not None:
            os.close(_borrowed(process, borrowed))
    except (ProcessLookupError, FileNotFoundError):
        return None  # It has ended; so has every connection.
    except OSError as err:
        return (
            f"the kernel does not lend us Envoy's sockets (pidfd_getfd: {err.strerror}); "
            "it needs Linux 5.6, and kernel.yama.ptrace_scope 0 or the capability CAP_SYS_PTRACE"
        )
    return None


def numbers(process: Process, wanted: Collection[Ends]) -> dict[Ends, int]:
    """The numbers (inodes) of these connections' sockets; those that are closed are left out. Raises `OSError`."""
    by_words = {_words(one): one for one in wanted}
    found: dict[Ends, int] = {}
    for table in _TABLES:
        for line in _lines(process, table):
            # proc_pid_net(5): number, both addresses, state, queues, timers, retransmissions, user, timeout, inode.
            fields = line.split()
            one = by_words.get((_short(fields[1]), _short(fields[2])))
            if one is not None and (number := int(fields[9])):
                found[one] = number
    return found


def cut(process: Process, which: dict[Ends, int]) -> set[Ends]:
    """End these connections, by their sockets' numbers; returns those that were still there. Raises `OSError`."""
    by_number = {number: one for one, number in which.items()}
    done = set()
    for descriptor, number in _sockets(process):
        one = by_number.get(number)
        if one is not None and _ended(process, descriptor, one, number):
            done.add(one)
    return done


def _ended(process: Process, descriptor: int, wanted: Ends, number: int) -> bool:
    try:
        handle = _borrowed(process, descriptor)
    except OSError as err:
        if err.errno != errno.EBADF:
            raise
        return False  # Envoy has just closed it.
    with socket.socket(fileno=handle) as sock:
        if os.fstat(handle).st_ino != number or not _is(sock, wanted):
            return False  # The descriptor was used again, for somebody else.
        try:
            # When Envoy hears of the end it closes its descriptor, the last: then what lay in the kernel's buffer is dropped.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False  # The client was faster.
    return True


def _is(sock: socket.socket, wanted: Ends) -> bool:
    try:
        (local, local_port), (client, client_port) = sock.getsockname()[:2], sock.getpeername()[:2]
    except OSError:
        return False
    return Ends(_plain(client), client_port, _plain(local), local_port) == wanted


def _sockets(process: Process) -> Iterator[tuple[int, int]]:
    """Descriptor and number of each socket that the process has."""
    with os.scandir(f"/proc/{process.pid}/fd") as entries:
        for entry in entries:
            try:
                what = os.readlink(entry.path)  # noqa: PTH115 (there may be 100,000)
            except FileNotFoundError:
                continue
            if what.startswith("socket:["):
                yield int(entry.name), int(what[len("socket:[") : -1])


def _borrowed(process: Process, descriptor: int) -> int:
    """A descriptor of ours for what is behind one of theirs (pidfd_getfd(2)); close-on-exec."""
    handle = int(
        _libc.syscall(ctypes.c_long(_PIDFD_GETFD), ctypes.c_int(process.handle), ctypes.c_int(descriptor), ctypes.c_uint(0))
    )
    if handle < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return handle


def _lines(process: Process, table: str) -> list[str]:
    try:
        # Of Envoy's network namespace, whichever it is in.
        return Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:]
    except FileNotFoundError:
        return []  # a kernel without IPv6


def _plain(address: str) -> str:
    """An address as one text, an IPv4 one that came as IPv6 too."""
    parsed = ipaddress.ip_address(address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _words(one: Ends) -> tuple[str, str]:
    """Both ends, ours first, as the kernel's table writes them."""
    return _word(one.local, one.local_port), _word(one.client, one.client_port)


def _word(address: str, port: int) -> str:
    return f"{_octets(ipaddress.ip_address(address).packed)}:{port:04X}"


def _octets(packed: bytes) -> str:
    # As numbers of 32 bits in the machine's own order of octets.
    return "".join(f"{int.from_bytes(packed[at : at + 4], sys.byteorder):08X}" for at in range(0, len(packed), 4))


_MAPPED: Final = _octets(ipaddress.ip_address("::ffff:0:0").packed)[:24]


def _short(word: str) -> str:
    """An IPv4 address within the IPv6 table, as the other table writes it."""
    return word.removeprefix(_MAPPED)
