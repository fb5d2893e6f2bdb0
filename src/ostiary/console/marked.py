"""Lists that grow at their beginning: the last comes first, and a page goes on from where the one before ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from ostiary.console.visit import Visit, url
from ostiary.model.query import Page
from ostiary.web.words import _

T = TypeVar("T")

PAGE: Final = 50
# How far one looks back.
SPANS: Final[Mapping[str, tuple[str, timedelta]]] = {
    "1h": (_("The last hour"), timedelta(hours=1)),
    "24h": (_("The last 24 hours"), timedelta(hours=24)),
    "7d": (_("The last 7 days"), timedelta(days=7)),
    "30d": (_("The last 30 days"), timedelta(days=30)),
}


@dataclass(frozen=True)
class Marked(Generic[T]):
    """One page. `first` and `after` are addresses: of the first page, where this is another; of the next, where there is one."""

    items: tuple[T, ...]
    first: str
    after: str


def marked(visit: Visit, page: Page[T], mark: Callable[[T], str]) -> Marked[T]:
    """A page with the addresses beside it. `mark` says of an item where the page after it begins."""
    kept = {name: value for name, value in visit.query.items() if name != "after"}
    here = visit.place.partition("?")[0]
    return Marked(
        page.items,
        url(here, **kept) if "after" in visit.query else "",
        url(here, **kept, after=mark(page.items[-1])) if page.more else "",
    )


def mark_of(visit: Visit) -> tuple[datetime, tuple[str, ...]] | None:
    """Where the page before ended: when, and what else tells the item apart. None at the beginning, and for nonsense."""
    at, *rest = visit.query.get("after", "").split("|")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return None if moment.tzinfo is None else (moment, tuple(rest))


def since(visit: Visit) -> datetime | None:
    """The beginning of the span that was chosen; None for all there is."""
    chosen = SPANS.get(visit.query.get("since", ""))
    return None if chosen is None else visit.at - chosen[1]


def spans(visit: Visit) -> list[tuple[str, str]]:
    """The choice of spans."""
    return [("", visit.say(_("Any time"))), *((name, visit.say(title)) for name, (title, _length) in SPANS.items())]


def words(visit: Visit, name: str) -> tuple[str, ...]:
    """The words that were typed into a search, as many as make sense."""
    return tuple(visit.query.get(name, "")[:200].split()[:10])


def filtered(visit: Visit, names: Any) -> bool:
    """Whether any of these filters is set: then an empty list means something else."""
    return any(visit.query.get(name, "").strip() for name in names)
