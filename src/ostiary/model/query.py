"""What a caller asks a list for."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

PAGE_MAX = 1000


@dataclass(frozen=True)
class Query:
    """Filters, order and page of a list, as Octavia's API has them.

    `marker` is the id of the last item of the page before; `reverse` pages backwards from it.
    `limit` 0 means no limit. `search` are words, each of which must be in the name or begin the id.
    """

    filters: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    not_tags_any: tuple[str, ...] = ()
    limit: int = PAGE_MAX
    marker: str | None = None
    reverse: bool = False
    sort: tuple[tuple[str, bool], ...] = ()  # (field, descending)
    search: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. `more` tells whether another follows in the direction asked for."""

    items: tuple[T, ...]
    more: bool = False
