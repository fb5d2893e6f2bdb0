"""Lists a page at a time: searched and ordered by the database, with links to the pages before and after."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from ostiary.console.visit import Visit, url
from ostiary.errors import Invalid
from ostiary.model.query import Page, Query


class Identified(Protocol):
    """What is in a list: a page goes on after the last one of the page before."""

    @property
    def id(self) -> str:
        """By which it is found again."""


T = TypeVar("T", bound=Identified)

PAGE: Final = 50
_SEARCH_MAX: Final = 200


@dataclass(frozen=True)
class Listed(Generic[T]):
    """One page of a list. `before` and `after` are addresses of the pages beside it; empty where there is none."""

    items: tuple[T, ...]
    search: str
    before: str
    after: str

    @property
    def is_filtered(self) -> bool:
        """Whether somebody searched: then an empty list means something else."""
        return bool(self.search)


def listed(
    visit: Visit,
    find: Callable[[Query], Page[T]],
    *,
    filters: tuple[tuple[str, str], ...] = (),
    sort: tuple[tuple[str, bool], ...] = (("name", False),),
    most: int = PAGE,
) -> Listed[T]:
    """What the query of this visit asks for: `q` are words to search, `after` or `before` the id that a page begins beyond."""
    search = visit.query.get("q", "")[:_SEARCH_MAX].strip()
    after, before = visit.query.get("after"), visit.query.get("before")
    query = Query(
        filters=filters,
        limit=most,
        marker=after or before,
        reverse=bool(before and not after),
        sort=sort,
        search=tuple(search.split()),
    )
    try:
        page = find(query)
    except Invalid as gone:
        if gone.field != "marker":
            raise
        # The one it was to go on from was deleted meanwhile: the first page.
        page = find(replace(query, marker=None, reverse=False))
        return Listed(page.items, search, "", _beside(visit, "after", page.items[-1].id) if page.more else "")
    has_before = page.more if query.reverse else after is not None
    has_after = page.more if not query.reverse else True
    return Listed(
        page.items,
        search,
        _beside(visit, "before", page.items[0].id) if page.items and has_before else "",
        _beside(visit, "after", page.items[-1].id) if page.items and has_after else "",
    )


def _beside(visit: Visit, name: str, marker: str) -> str:
    kept = {key: value for key, value in visit.query.items() if key not in {"after", "before"}}
    return url(visit.place.partition("?")[0], **kept, **{name: marker})
