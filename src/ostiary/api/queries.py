"""What a list is asked for, read from the query string as Octavia's clients write it (octavia/api/common/pagination.py)."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request

from ostiary.api.nouns import Noun
from ostiary.errors import Invalid
from ostiary.model.query import PAGE_MAX, Page, Query
from ostiary.model.resource import Resource

R = TypeVar("R", bound=Resource)

PARAMETERS_MAX: Final = 100
RECORD_LIMIT: Final = 100  # Items in a page of what only grows: the record, the revisions.
RECORD_LIMIT_MAX: Final = 1000
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
# Query parameters that are not attributes, for reading them and for /openapi.json.
PAGING: Final = {
    "limit": "Most items in one page; 'infinite' or less than 1 is no limit.",
    "marker": "Id of the last item of the page before.",
    "page_reverse": "true pages backwards from the marker.",
    "sort": "key:asc,key2:desc",
    "sort_key": "Key to sort by; may be repeated, each with its sort_dir.",
    "sort_dir": "asc or desc.",
    "fields": "Show only these; may be repeated.",
}
TAGS: Final = {
    "tags": "Has all of these, separated by commas.",
    "tags-any": "Has one of these.",
    "not-tags": "Has not all of these.",
    "not-tags-any": "Has none of these.",
}
_REPEATED: Final = frozenset({"fields", "sort_key", "sort_dir", *TAGS})


@dataclass(frozen=True)
class Asked:
    """A query for the store, tests the store cannot make (statuses are not stored), and which fields to show."""

    query: Query
    tests: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    def page(self, find: Callable[[Query], Page[R]], passes: Callable[[R, str, str], bool]) -> Page[R]:
        """The page. `passes(thing, name, text)` makes the store's missing tests, on all that match otherwise."""
        if not self.tests:
            return find(self.query)
        found = find(replace(self.query, limit=0)).items
        kept = [thing for thing in found if all(passes(thing, name, text) for name, text in self.tests.items())]
        limit = self.query.limit or len(kept)
        # `found` is in natural order also when paging backwards: the page then is its end.
        start = max(len(kept) - limit, 0) if self.query.reverse else 0
        return Page(tuple(kept[start : start + limit]), more=len(kept) > limit)

    def pick(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Only the fields asked for."""
        return {name: value for name, value in shown.items() if name in self.fields} if self.fields else shown


def asked(request: Request, noun: Noun[Any], also: Collection[str] = ()) -> Asked:
    """Read a list's query string. `also` are attributes that can be tested for but are not stored. Raises `Invalid`."""
    given = parameters(request)
    filters: list[tuple[str, str]] = []
    tests: dict[str, str] = {}
    for name, values in given.items():
        attribute = noun.aliases.get(name, name)
        if attribute in also:
            tests[attribute] = values[0]
        elif attribute in noun.attributes and name not in TAGS:
            filters.append((attribute, values[0]))
        elif name not in PAGING and name not in TAGS:
            raise Invalid(_short(name), f"is not something {noun.many} can be filtered by")
    return Asked(_query(given, filters, noun), tests, _fields(given.get("fields", ()), noun))


def one_asked(request: Request, noun: Noun[Any]) -> Asked:
    """Read the query string of a single thing: only `fields` means something there."""
    given = parameters(request, {"fields"})
    return Asked(Query(), fields=_fields(given.get("fields", ()), noun))


def links(request: Request, asked_for: Asked, page: Page[R]) -> list[dict[str, str]]:
    """Where the pages before and after this one are."""
    if not page.items:
        return []
    query = asked_for.query
    further, back = page.more, query.marker is not None
    after, before = (back, further) if query.reverse else (further, back)
    found = []
    if after:
        found.append({"rel": "next", "href": page_link(request, {"marker": page.items[-1].id, "page_reverse": None})})
    if before:
        found.append({"rel": "previous", "href": page_link(request, {"marker": page.items[0].id, "page_reverse": "True"})})
    return found


def base_url(request: Request) -> str:
    """`http://host:port` as the client wrote it; our own address when its Host header is not one."""
    host = request.headers.get("host", "")
    if not _is_host(host):
        server = request.scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    return f"{request.scope['scheme']}://{host}"


def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None


def parameters(request: Request, known: Collection[str] | None = None) -> dict[str, list[str]]:
    """The query string. Raises `Invalid` for one that is not `known`, and for one given twice that means one thing."""
    try:
        pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise Invalid("query", f"has more than {PARAMETERS_MAX} parameters") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) > 1 and name not in _REPEATED:
            raise Invalid(_short(name), "is given more than once")
        if known is not None and name not in known:
            raise Invalid(_short(name), "is not a parameter here")
    return found


def _query(given: dict[str, list[str]], filters: Sequence[tuple[str, str]], noun: Noun[Any]) -> Query:
    def words(name: str) -> tuple[str, ...]:
        return tuple(word for value in given.get(name, ()) for word in value.split(",") if word)

    return Query(
        filters=tuple(filters),
        tags=words("tags"),
        tags_any=words("tags-any"),
        not_tags=words("not-tags"),
        not_tags_any=words("not-tags-any"),
        limit=_limit(given.get("limit", [str(PAGE_MAX)])[0]),
        marker=given.get("marker", [""])[0] or None,
        reverse=boolean(given.get("page_reverse", ["false"])[0], "page_reverse"),
        sort=_sort(given, noun),
    )


def _limit(text: str) -> int:
    if text == "infinite":
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Invalid("limit", "is not a number")
    return min(max(int(text), 0), PAGE_MAX)


def boolean(text: str, parameter: str) -> bool:
    """True or False as OpenStack's clients write them in a query."""
    if text.lower() in {"true", "1"}:
        return True
    if text.lower() in {"false", "0", ""}:
        return False
    raise Invalid(parameter, f"'{_short(text)}' is neither true nor false")


def moment(text: str, parameter: str) -> datetime:
    """A time as people write it; UTC where it does not say. Raises `Invalid`."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # A '+' that was not escaped arrives as a space.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(parameter, "is not a time such as 2027-01-31T12:00:00Z") from None


def _sort(given: dict[str, list[str]], noun: Noun[Any]) -> tuple[tuple[str, bool], ...]:
    if "sort" in given:
        items = (item.partition(":") for item in given["sort"][0].split(",") if item)
        pairs = [(key, direction) for key, _, direction in items]
    else:
        keys, directions = given.get("sort_key", []), given.get("sort_dir", [])
        pairs = [(key, directions[index] if index < len(directions) else "asc") for index, key in enumerate(keys)]
    for key, direction in pairs:
        if key not in noun.attributes:
            raise Invalid("sort", f"{noun.many} cannot be sorted by '{_short(key)}'")
        if direction not in {"", "asc", "desc"}:
            raise Invalid("sort", f"'{_short(direction)}' is neither asc nor desc")
    return tuple((key, direction == "desc") for key, direction in pairs)


def _fields(values: Sequence[str], noun: Noun[Any]) -> tuple[str, ...]:
    names = tuple(name for value in values for name in value.split(",") if name)
    for name in names:
        if name not in noun.item.model_fields:
            raise Invalid("fields", f"{noun.many} have no field '{_short(name)}'")
    return names


def page_link(request: Request, changes: Mapping[str, str | None]) -> str:
    """The address that was asked for, with some of its parameters changed; None leaves one out."""
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name not in changes]
    added = [(name, value) for name, value in changes.items() if value is not None]
    return f"{base_url(request)}{quote(request.scope['asked_path'])}?{urlencode([*kept, *added])}"


def whole_number(given: Mapping[str, list[str]], name: str, default: int) -> int:
    """A parameter that is a number, 0 or more. Raises `Invalid`."""
    text = given.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Invalid(name, "is not a number")
    return int(text)


def page_limit(given: Mapping[str, list[str]]) -> int:
    """The `limit` of a list that is never given whole; 0 asks for as much as there may be."""
    return min(whole_number(given, "limit", RECORD_LIMIT), RECORD_LIMIT_MAX) or RECORD_LIMIT_MAX


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:64]}…"
