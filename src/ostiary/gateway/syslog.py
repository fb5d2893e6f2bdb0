"""The access record as syslog messages (RFC 5424): in datagrams (RFC 5426), or counted in a stream (RFC 6587; TLS: RFC 5425).

An entry is JSON in MSG: structured data would need a number from IANA for its names, and SIEMs read JSON
(docs/decisions/0022-the-access-record.md).
"""

import fcntl
import os
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from ostiary.gateway import terms
from ostiary.gateway.sending import PATIENCE, Failed, Sent, as_json, trust, why
from ostiary.recording import Target

_LONGEST_DATAGRAM: Final = 2048  # what every receiver should take (RFC 5426 3.2)
_LONGEST: Final = 8192  # and in a stream (RFC 5425 4.3.1)
_AT_ONCE: Final = 32  # datagrams, which overrun a receiver that is given no time
_BREATH: Final = 0.005  # seconds after so many datagrams: a socket's buffer that is full drops them, and nobody says so
_LOOK_EVERY: Final = 0.005  # the kernel counts what is not acknowledged, and wakes nobody when that changes
_LOOKS: Final = 16  # at what they say, at a time; then it has to wait
_HUNG_UP: Final = "the other side hung up"
_WARNING, _ERROR, _INFORMATIONAL = 4, 3, 6
_LONGEST_HOST: Final = 255


def message(entry: Sent, facility: int, host: str, limit: int) -> bytes:
    """One message. Its time is the entry's; its severity says refused (4), admitted (6) or lost (3)."""
    name = str(entry.get(terms.EVENT_NAME, "-"))
    refused = entry.get(terms.VERDICT) == "refused"
    severity = _ERROR if name == terms.EVENTS["lost"] else _WARNING if refused else _INFORMATIONAL
    head = f"<{facility * 8 + severity}>1 {_time(entry)} {host} ostiary - {name} - "
    return head.encode("ascii") + as_json(entry, limit - len(head))


def host_name() -> str:
    """Ours, as a message may hold it."""
    name = "".join(one for one in socket.gethostname() if "!" <= one <= "~")
    return name[:_LONGEST_HOST] or "-"


class Datagrams:
    """Over UDP, which says nothing of what arrives: only that nobody listens, and that not always."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._host = host_name()
        self._socket: socket.socket | None = None
        self._failures = 0

    def send(self, entries: Sequence[Sent]) -> int:
        """See `Sender`."""
        try:
            to = self._socket = self._socket or self._opened()
            for number, entry in enumerate(entries, 1):
                to.send(message(entry, self._target.facility, self._host, _LONGEST_DATAGRAM))
                if not number % _AT_ONCE:
                    time.sleep(_BREATH)
            _raise_its_error(to)
        except OSError as err:
            self._failures += 1
            self.close()
            raise Failed(why(err)) from None
        return 0

    def close(self) -> None:
        """See `Sender`."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _opened(self) -> socket.socket:
        found = socket.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = found[self._failures % len(found)]  # another one of its addresses after each failure
        to = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            to.settimeout(PATIENCE)
            to.connect(address)
        except OSError:
            to.close()
            raise
        return to


class Counted:
    """In a stream, each message after its length. What their machine has acknowledged counts as sent: syslog says no more."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._host = host_name()
        self._socket: socket.socket | None = None

    def send(self, entries: Sequence[Sent]) -> int:
        """See `Sender`."""
        messages = (message(entry, self._target.facility, self._host, _LONGEST) for entry in entries)
        data = b"".join(b"%d %b" % (len(one), one) for one in messages)
        try:
            to = self._there()
            to.sendall(data)
            _until_acknowledged(to)
            _look(to)
        except OSError as err:
            self.close()
            raise Failed(why(err)) from None
        return 0

    def close(self) -> None:
        """See `Sender`."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket = None

    def _there(self) -> socket.socket:
        """The connection; a new one where they hung up since, as many do when nothing comes for a while."""
        if self._socket is not None:
            try:
                _look(self._socket)
            except OSError:
                self.close()
        self._socket = self._socket or self._opened()
        return self._socket

    def _opened(self) -> socket.socket:
        context = trust(self._target)
        to = socket.create_connection((self._target.host, self._target.port), PATIENCE)
        try:
            to.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return context.wrap_socket(to, server_hostname=self._target.host) if context else to
        except BaseException:
            to.close()
            raise


def _time(entry: Sent) -> str:
    try:
        return datetime.fromisoformat(entry[terms.TIMESTAMP]).isoformat(timespec="milliseconds")
    except (KeyError, TypeError, ValueError):
        return "-"


def _look(at: socket.socket) -> None:
    """Whether they are still there: of what they say, nothing is of interest but that they hung up. Raises `OSError`."""
    at.setblocking(False)
    try:
        for _ in range(_LOOKS):
            if not at.recv(65536):
                raise ConnectionAbortedError(0, _HUNG_UP)
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    finally:
        at.settimeout(PATIENCE)


def _until_acknowledged(to: socket.socket) -> None:
    """Wait until their machine has it all (tcp(7), SIOCOUTQ). Raises `TimeoutError`, or `OSError` once the connection is gone."""
    until = time.monotonic() + PATIENCE
    while struct.unpack("i", fcntl.ioctl(to.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]:
        _raise_its_error(to)
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(_LOOK_EVERY)


def _raise_its_error(to: socket.socket) -> None:
    if (error := to.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
        raise OSError(error, os.strerror(error))
