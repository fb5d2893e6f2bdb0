"""Long requests that go on (downloads, event streams, WebSockets): kept in a book, so that they end when their client may not.

Envoy decides a request at its beginning. What goes on for longer than a few seconds it tells of (`access_log`), and the control
plane judges it again whenever something changes; the book holds what there is, and what of it the control plane knows.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice
from typing import Any, Final

import structlog

from ostiary.envoy.records import Record
from ostiary.gateway.cut import Ends, ends

_log = structlog.get_logger(source="keeper")

_MOST: Final = 50_000
_AT_ONCE: Final = 500  # told in one message
_LONGEST: Final = 1024  # characters of a field
# What no decision asks for.
_UNTOLD: Final = ("connection", "client_port", "local", "duration", "flags", "status", "details", "user_agent")


@dataclass
class Stream:
    """One request that goes on. `socket` is the number of its connection's socket; None until that was looked up."""

    listener_id: str
    connection: Ends
    record: Record
    since: float  # seconds since 1970
    not_after: float | None  # of the certificate
    socket: int | None = None
    told: bool = False


class Streams:
    """Pure bookkeeping; who calls it looks sockets up, tells the control plane, and ends connections."""

    def __init__(self) -> None:
        self.cut: dict[str, int] = {}  # how many were ended, by reason
        self.changed = False  # since whoever tells of it set it back
        self._open: dict[int, Stream] = {}
        self._numbers: dict[tuple[str, str, int], int] = {}  # listener, connection and beginning → number
        self._keys: dict[int, tuple[str, str, int]] = {}
        self._ended: list[int] = []  # told as open, and not yet as ended
        self._count = count(1)
        self._full = False

    def __len__(self) -> int:
        return len(self._open)

    def goes_on(self, listener_id: str, began: int, record: Record) -> bool:
        """A request is under way that `began` then (ns since 1970). Says whether that is news."""
        key = (listener_id, record.get("connection", ""), began)
        if key in self._numbers:
            return False
        where = ends(record.get("client", ""), record.get("client_port", ""), record.get("local", ""))
        if where is None:
            return False
        if len(self._open) >= _MOST:
            self._say_full()
            return False
        number = next(self._count)
        self._numbers[key], self._keys[number] = number, key
        # A rehearsal refuses nobody; only its records bring the certificate along.
        not_after = None if "certificate" in record else _seconds(record.get("not_after"))
        self._open[number] = Stream(listener_id, where, record, began / 1e9, not_after)
        self.changed = True
        return True

    def ended(self, listener_id: str, began: int, record: Record) -> None:
        """A request has ended; most were short, and are not in the book."""
        number = self._numbers.get((listener_id, record.get("connection", ""), began))
        if number is not None:
            self._forget(number)

    def unlocated(self) -> set[Ends]:
        """Connections whose socket was not looked up yet."""
        return {one.connection for one in self._open.values() if one.socket is None}

    def connections(self) -> set[Ends]:
        """All of them."""
        return {one.connection for one in self._open.values()}

    def located(self, asked: Collection[Ends], found: dict[Ends, int]) -> None:
        """The sockets of those asked for; one that is not there, or is another one by now, has ended unheard."""
        for number, one in list(self._open.items()):
            if one.connection in asked:
                socket = found.get(one.connection)
                if socket is None or one.socket not in {None, socket}:
                    self._forget(number)
                one.socket = socket

    def tell_all_again(self) -> None:
        """Whoever is told from now on knows nothing yet."""
        self._ended.clear()
        for one in self._open.values():
            one.told = False

    def news(self) -> Iterator[dict[str, Any]]:
        """What the control plane is to be told, in messages: `opened` and `ended`. What was taken from here counts as told."""
        ended, self._ended = iter(self._ended), []
        untold = ((number, one) for number, one in self._open.items() if not one.told and one.socket is not None)
        opened = iter([(number, one) for number, one in untold])
        while True:
            some, gone = list(islice(opened, _AT_ONCE)), list(islice(ended, _AT_ONCE))
            if not some and not gone:
                return
            for _, one in some:
                one.told = True
            yield {"opened": [_told(number, one) for number, one in some], "ended": gone}

    def expired(self, at: float) -> dict[int, str]:
        """Those whose certificate is past its time, with the reason."""
        return {number: "expired" for number, one in self._open.items() if one.not_after is not None and one.not_after < at}

    def sockets(self, numbers: Iterable[int]) -> dict[Ends, int]:
        """The connections of these streams, and their sockets."""
        chosen = (self._open[number] for number in numbers if number in self._open)
        return {one.connection: one.socket for one in chosen if one.socket is not None}

    def ended_by_us(self, why: dict[int, str], done: Collection[Ends]) -> list[tuple[Stream, str]]:
        """These connections were ended, for streams that had to; returns those, each with its reason."""
        hit = [(self._open[number], reason) for number, reason in why.items() if number in self._open]
        hit = [(one, reason) for one, reason in hit if one.connection in done]
        for _, reason in hit:
            self.cut[reason] = self.cut.get(reason, 0) + 1
        for number, one in list(self._open.items()):
            if one.connection in done:
                self._forget(number)
        return hit

    def _forget(self, number: int) -> None:
        one = self._open.pop(number)
        del self._numbers[self._keys.pop(number)]
        self._full = False
        if one.told:
            self._ended.append(number)
            self.changed = True

    def _say_full(self) -> None:
        if not self._full:
            _log.error(
                "too many long requests at once: those beyond are not ended when their client's permission is withdrawn, "
                "but only when they have lasted as long as their listener lets any last",
                most=_MOST,
            )
            self._full = True


def _told(number: int, one: Stream) -> dict[str, Any]:
    record = {name: value[:_LONGEST] for name, value in one.record.items() if name not in _UNTOLD}
    return {**record, "id": number, "listener": one.listener_id, "since": one.since}


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None
