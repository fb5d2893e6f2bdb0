"""What is numbered and only grows, a page at a time and newest first: entries of the record, revisions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from ostiary.console.visit import Visit, url

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PAGE: Final = 50
_DIGITS: Final = 18


class Fetch(Protocol[T_co]):
    """The newest before a number; with `after`, those that follow it next."""

    def __call__(self, *, before: int | None, after: int | None, limit: int) -> Sequence[T_co]: ...


@dataclass(frozen=True)
class Numbered(Generic[T]):
    """One page. `before` and `after` are addresses of the pages beside it, with newer and with older ones; empty for none."""

    items: tuple[T, ...]
    before: str = ""
    after: str = ""


def numbered(visit: Visit, fetch: Fetch[T], number: Callable[[T], int]) -> Numbered[T]:
    """What the query of this visit asks for: `before` or `after` a number."""
    before, after = whole(visit.query.get("before")), whole(visit.query.get("after"))
    found = fetch(before=None if after is not None else before, after=after, limit=PAGE + 1)
    more = len(found) > PAGE
    items = tuple(found[-PAGE:] if after is not None else found[:PAGE])
    if not items:
        return Numbered(())
    newer, older = (more, True) if after is not None else (before is not None, more)
    return Numbered(
        items,
        _beside(visit, "after", number(items[0])) if newer else "",
        _beside(visit, "before", number(items[-1])) if older else "",
    )


def whole(text: str | None) -> int | None:
    """A number that stands in an address; None for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def _beside(visit: Visit, name: str, value: int) -> str:
    kept = {key: text for key, text in visit.query.items() if key not in {"after", "before"}}
    return url(visit.place.partition("?")[0], **kept, **{name: str(value)})
