"""Spans: what was done in which order, and how long it took, so that one trace shows a change from the call to each gateway.

Off unless somebody takes them: then a span is a comparison with None. Ids are made here, whatever a caller sends: that is no more
than a link, and nobody outside decides what is traced.
"""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from ostiary.clock import now

Kind = Literal["internal", "server"]
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")  # W3C Trace Context, version 00
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """A span within its trace, as 32 and 16 hexadecimal digits."""

    trace_id: str
    span_id: str


@dataclass(frozen=True)
class Span:
    """Something that was done. `failed` says why it was not, if so."""

    name: str
    place: Place
    parent: str | None
    kind: Kind
    began: datetime
    ended: datetime
    attributes: Mapping[str, str | int]
    links: tuple[Place, ...] = ()
    failed: str = ""

    @property
    def nanoseconds(self) -> tuple[int, int]:
        """From when to when, since 1970."""
        began, ended = ((at - _EPOCH).total_seconds() * 1e6 for at in (self.began, self.ended))
        return round(began) * 1000, round(ended) * 1000


Take = Callable[[Span], None]


@dataclass
class Doing:
    """A span that goes on; what is found out meanwhile is added to it."""

    name: str
    place: Place
    take: Take
    attributes: dict[str, str | int] = field(default_factory=dict)
    failed: str = ""


_doing: ContextVar[Doing | None] = ContextVar("doing", default=None)


@contextmanager
def trace(take: Take | None, name: str, kind: Kind = "server", links: tuple[Place, ...] = ()) -> Iterator[Doing | None]:
    """A trace of its own, handed to `take`; without that, nothing."""
    if take is None:
        yield None
        return
    with _open(Doing(name, Place(secrets.token_hex(16), secrets.token_hex(8)), take), None, kind, links) as doing:
        yield doing


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Something that is done within a trace; outside of any, nothing."""
    parent = _doing.get()
    if parent is None:
        yield
        return
    place = Place(parent.place.trace_id, secrets.token_hex(8))
    with _open(Doing(name, place, parent.take, dict(attributes)), parent.place.span_id, "internal", ()):
        yield


def was(name: str, began: datetime) -> None:
    """Something that was done within a trace from then until now; outside of any, nothing."""
    parent = _doing.get()
    if parent is not None:
        told(parent.take, name, parent.place, (began, now()))


def here() -> Place | None:
    """Where we are in a trace; None outside of any."""
    doing = _doing.get()
    return None if doing is None else doing.place


def told(
    take: Take, name: str, parent: Place, during: tuple[datetime, datetime], attributes: Mapping[str, str | int] | None = None
) -> None:
    """Something that was done for a trace, from one time to the other, elsewhere."""
    place = Place(parent.trace_id, secrets.token_hex(8))
    take(Span(name, place, parent.span_id, "internal", *during, attributes or {}))


def linked(traceparent: str | None) -> tuple[Place, ...]:
    """The caller's own place, if it says one in the form of the W3C."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return (Place(found[1], found[2]),) if found and found[1].strip("0") and found[2].strip("0") else ()


@contextmanager
def _open(doing: Doing, parent: str | None, kind: Kind, links: tuple[Place, ...]) -> Iterator[Doing]:
    token, began = _doing.set(doing), now()
    try:
        yield doing
    except BaseException as error:
        doing.failed = doing.failed or type(error).__name__  # not its words: they may quote what was sent
        raise
    finally:
        _doing.reset(token)
        doing.take(Span(doing.name, doing.place, parent, kind, began, now(), doing.attributes, links, doing.failed))
