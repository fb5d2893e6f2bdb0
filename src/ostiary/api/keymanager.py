"""What secrets and containers share: Barbican's ways of naming, counting, and answering questions we have one answer to."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse

from ostiary.api.nouns import openstack_time
from ostiary.api.queries import base_url, page_link, parameters, whole_number
from ostiary.model.fields import Data
from ostiary.model.query import PAGE_MAX, Page, Query
from ostiary.model.resource import Resource

R = TypeVar("R", bound=Resource)

PAGING: Final = {"limit": "Most items in one page.", "offset": "How many to leave out first.", "name": "Only those of this name."}


class Consumer(Data):
    """Who uses a secret or container, as Octavia registers itself."""

    name: str
    URL: str


class Consumers(Data):
    """The reply that lists consumers."""

    consumers: tuple[Consumer, ...]
    total: int


def listed(
    request: Request,
    plural: str,
    find: Callable[[Query], Page[R]],
    show: Callable[[R], dict[str, Any]],
    filters: dict[str, str],
) -> JSONResponse:
    """The reply that lists them. `filters` are Barbican's names for the attributes that can be asked for, and ours."""
    given = parameters(request, {"limit", "offset", *filters})
    limit = min(whole_number(given, "limit", 10) or PAGE_MAX, PAGE_MAX)  # 10 is Barbican's own default.
    offset = whole_number(given, "offset", 0)
    wanted = tuple((ours, given[name][0]) for name, ours in filters.items() if name in given)
    found = find(Query(filters=wanted, limit=0)).items
    reply: dict[str, Any] = {plural: [show(thing) for thing in found[offset : offset + limit]], "total": len(found)}
    if offset + limit < len(found):
        reply["next"] = page_link(request, {"limit": str(limit), "offset": str(offset + limit)})
    if offset > 0:
        reply["previous"] = page_link(request, {"limit": str(limit), "offset": str(max(offset - limit, 0))})
    return JSONResponse(reply)


def common(thing: Resource) -> dict[str, Any]:
    """What Barbican tells of each, and no more: barbicanclient fails at a field it does not know."""
    return {
        "name": thing.name,
        "status": "ACTIVE",
        "creator_id": None,
        "created": openstack_time(thing.created_at) if thing.created_at else None,
        "updated": openstack_time(thing.updated_at or thing.created_at) if thing.created_at else None,
    }


def absolute(request: Request, reference: str) -> str:
    """A reference with the host the client knows us by, as OpenStack's clients expect; what has a host keeps it."""
    return f"{base_url(request)}{reference}" if reference.startswith("/") else reference
