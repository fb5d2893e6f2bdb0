"""What a list is asked for, read from the query string as Octavia's clients write it (octavia/api/common/pagination.py)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from ostiary.api.nouns import Noun
from ostiary.errors import Invalid
from ostiary.model.query import PAGE_MAX, Page, Query
from ostiary.model.resource import Resource

R = TypeVar("R", bound=Resource)

PARAMETERS_MAX: Final = 100
STATUSES: Final = ("provisioning_status", "operating_status")
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
    """A query for the store, what only we can answer (statuses are not stored), and which fields to show."""

    query: Query
    statuses: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    def page(self, find: Callable[[Query], Page[R]], status: Callable[[R, str], str]) -> Page[R]:
        """The page. When it depends on statuses, all that match otherwise are looked at."""
        if not self.statuses:
            return find(self.query)
        found = find(replace(self.query, limit=0)).items
        kept = [thing for thing in found if all(status(thing, name) == value for name, value in self.statuses.items())]
        limit = self.query.limit or len(kept)
        # `found` is in natural order also when paging backwards; the page then is its end.
        return Page(tuple(kept[-limit:] if self.query.reverse and limit else kept[:limit]), more=len(kept) > limit)

    def pick(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Only the fields asked for."""
        return {name: value for name, value in shown.items() if name in self.fields} if self.fields else shown


def asked(request: Request, noun: Noun[Any], also: Collection[str] = STATUSES) -> Asked:
    """Read a list's query string. `also` are attributes the noun's model does not have. Raises `Invalid` naming the parameter."""
    parameters = _parameters(request)
    filters: list[tuple[str, str]] = []
    statuses: dict[str, str] = {}
    for name, values in parameters.items():
        if name in PAGING or name in TAGS:
            continue
        if name == "tenant_id":
            filters.append(("project_id", values[0]))
        elif name in also:
            statuses[name] = values[0]
        elif name in noun.attributes:
            filters.append((name, values[0]))
        else:
            raise Invalid(_short(name), f"is not something {noun.many} can be filtered by")
    return Asked(_query(parameters, filters, noun), statuses, _fields(parameters.get("fields", ()), noun))


def one_fields(request: Request, noun: Noun[Any]) -> Asked:
    """Read the query string of a single thing: only `fields` means something there."""
    parameters = _parameters(request)
    for name in parameters:
        if name != "fields":
            raise Invalid(_short(name), "is not a parameter here")
    return Asked(Query(), fields=_fields(parameters.get("fields", ()), noun))


def links(request: Request, asked_for: Asked, page: Page[R]) -> list[dict[str, str]]:
    """Where the pages before and after this one are."""
    if not page.items:
        return []
    query = asked_for.query
    further, back = page.more, query.marker is not None
    after, before = (back, further) if query.reverse else (further, back)
    found = []
    if after:
        found.append({"rel": "next", "href": _href(request, page.items[-1].id, reverse=False)})
    if before:
        found.append({"rel": "previous", "href": _href(request, page.items[0].id, reverse=True)})
    return found


def base_url(request: Request) -> str:
    """`http://host:port` as the client wrote it; our own address when its Host header is not one."""
    host = request.headers.get("host", "")
    if not _is_host(host):
        server = request.scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    return f"{request.scope['scheme']}://{host}"


def _is_host(host: str) -> bool:
    return 0 < len(host) <= 255 and all(character.isascii() and (character.isalnum() or character in "-._:[]") for character in host)


def _parameters(request: Request) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX
        )
    except ValueError:
        raise Invalid("query", f"has more than {PARAMETERS_MAX} parameters") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) > 1 and name not in _REPEATED:
            raise Invalid(_short(name), "is given more than once")
    return found


def _query(parameters: dict[str, list[str]], filters: Sequence[tuple[str, str]], noun: Noun[Any]) -> Query:
    def words(name: str) -> tuple[str, ...]:
        return tuple(word for value in parameters.get(name, ()) for word in value.split(",") if word)

    return Query(
        filters=tuple(filters),
        tags=words("tags"),
        tags_any=words("tags-any"),
        not_tags=words("not-tags"),
        not_tags_any=words("not-tags-any"),
        limit=_limit(parameters.get("limit", [str(PAGE_MAX)])[0]),
        marker=parameters.get("marker", [""])[0] or None,
        reverse=boolean(parameters.get("page_reverse", ["false"])[0], "page_reverse"),
        sort=_sort(parameters, noun),
    )


def _limit(text: str) -> int:
    if text == "infinite":
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Invalid("limit", f"'{_short(text)}' is not a number")
    return min(max(int(text), 0), PAGE_MAX)


def boolean(text: str, parameter: str) -> bool:
    """True or False as OpenStack's clients write them in a query."""
    if text.lower() in {"true", "1"}:
        return True
    if text.lower() in {"false", "0", ""}:
        return False
    raise Invalid(parameter, f"'{_short(text)}' is neither true nor false")


def _sort(parameters: dict[str, list[str]], noun: Noun[Any]) -> tuple[tuple[str, bool], ...]:
    if "sort" in parameters:
        pairs = [tuple(item.partition(":")[::2]) for item in parameters["sort"][0].split(",") if item]
    else:
        keys, directions = parameters.get("sort_key", []), parameters.get("sort_dir", [])
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


def _href(request: Request, marker: str, *, reverse: bool) -> str:
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name not in {"marker", "page_reverse"}]
    changed = [*kept, ("marker", marker), *([("page_reverse", "True")] if reverse else [])]
    return f"{base_url(request)}{request.scope['asked_path']}?{urlencode(changed)}"


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:64]}…"
