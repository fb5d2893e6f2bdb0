"""Which listener a page is about: one of a list while they are few, searched for by name when they are many."""

from dataclasses import dataclass
from typing import Final

from ostiary.console.visit import Visit
from ostiary.errors import NotFound
from ostiary.model.listener import Listener
from ostiary.model.query import Page, Query
from ostiary.ops import listeners

FEW: Final = 50
_TLS: Final = (("protocol", "TERMINATED_HTTPS"),)


@dataclass(frozen=True)
class Which:
    """The HTTPS listeners to choose from, and the one that is chosen; `gone` is the id of one that is not there any more."""

    options: tuple[Listener, ...]
    chosen: Listener | None = None
    gone: str = ""
    search: str = ""
    more: bool = False  # than there are options: whoever looks for another has to search

    @property
    def id(self) -> str:
        """Of the one that is chosen; empty for none."""
        return self.chosen.id if self.chosen is not None else self.gone


def which(visit: Visit, *, search: str | None = None, chosen: str | None = None) -> Which:
    """As the visit asks: `listener_id` is the one, `listener` are words that find it, by its whole name or alone."""
    given = {name: visit.form.text(name) or visit.query.get(name, "") for name in ("listener_id", "listener")}
    words = (given["listener"] if search is None else search)[:200].strip()
    wanted = (given["listener_id"] if chosen is None else chosen)[:255].strip()
    page = listeners.find(
        visit.system,
        visit.caller,
        Query(filters=_TLS, limit=FEW, sort=(("name", False),), search=tuple(words.split())),
    )
    found = _one(visit, wanted) if wanted else _meant(page, words)
    options = page.items if found is None or found in page.items else (found, *page.items)
    return Which(options, found, wanted if found is None else "", words, page.more or bool(words))


def _meant(page: Page[Listener], words: str) -> Listener | None:
    """The one that the words leave no doubt of. They also find ids that begin so."""
    called = [one for one in page.items if one.name.casefold() == words.casefold()]
    alone = page.items if len(page.items) == 1 and not page.more else ()
    return next(iter(called if len(called) == 1 else alone), None) if words else None


def _one(visit: Visit, listener_id: str) -> Listener | None:
    try:
        return listeners.get(visit.system, visit.caller, listener_id)
    except NotFound:
        return None
