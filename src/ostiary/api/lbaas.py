"""What all load-balancing nouns share: statuses, both names of the project, and the fields OpenStack clients send for nothing."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field

from ostiary.api.nouns import Id, Noun, openstack_time
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.fields import Text
from ostiary.model.query import Page, Query
from ostiary.model.resource import Configured
from ostiary.ops import status
from ostiary.ops.system import System

C = TypeVar("C", bound=Configured)

PREFIX: Final = "/v2/lbaas"
Ids = tuple[Id, ...]
Beside = Callable[[list[Any]], Mapping[str, dict[str, Any]]]  # things → what their replies add, by id


def _empty(value: Any) -> None:
    if value not in (None, [], {}, "", False):
        raise ValueError("is not supported")


# Fields of Octavia that we do not have, but that its clients send empty.
NOT_SUPPORTED: Final[tuple[Any, Any]] = (
    Annotated[Any, AfterValidator(_empty)],
    Field(None, description="Accepted when empty, for OpenStack clients."),
)
GIVEN: Final[dict[str, tuple[Any, Any]]] = {
    "tenant_id": (Text | None, Field(None, description="The older name of project_id.", json_schema_extra={"deprecated": True}))
}
SHOWN: Final[dict[str, tuple[Any, Any]]] = {
    "tenant_id": (str, Field(description="The older name of project_id.", json_schema_extra={"deprecated": True})),
    "provisioning_status": (
        Literal["ACTIVE", "PENDING_CREATE", "PENDING_UPDATE", "ERROR"],
        Field(description="Whether what is shown here is in force at every gateway."),
    ),
    "provisioning_error": (str | None, Field(description="With ERROR, the engine's own words.")),
    "operating_status": (
        Literal["ONLINE", "OFFLINE", "DEGRADED", "ERROR", "DRAINING", "NO_MONITOR"],
        Field(description="Whether it works."),
    ),
}
STATUSES: Final = ("provisioning_status", "operating_status")


def noun(
    one: str,
    many: str,
    model: type[C],
    *,
    unsupported: tuple[str, ...] = (),
    unsupported_later: tuple[str, ...] = (),
    given: Mapping[str, tuple[Any, Any]] | None = None,
    shown: Mapping[str, tuple[Any, Any]] | None = None,
    not_within: tuple[str, ...] = (),
) -> Noun[C]:
    """A load-balancing noun. `unsupported` may be given empty at creation, `unsupported_later` at update.

    Within the body of what it belongs to, its project is that one's.
    """
    return Noun(
        one,
        many,
        model,
        given={**GIVEN, **dict.fromkeys(unsupported, NOT_SUPPORTED), **(given or {})},
        given_later=dict.fromkeys(unsupported_later, NOT_SUPPORTED),
        shown={**SHOWN, **(shown or {})},
        not_within=frozenset({"project_id", "tenant_id", *not_within}),
        aliases={"tenant_id": "project_id"},
        time=openstack_time,
    )


def shown(system: System, kind: Noun[C], thing: C, beside: Mapping[str, Any]) -> dict[str, Any]:
    """One, as it is shown."""
    provisioning = status.provisioning(system, thing)
    return {
        **kind.show(thing),
        "tenant_id": thing.project_id,
        "provisioning_status": provisioning.status,
        "provisioning_error": provisioning.error,
        "operating_status": status.operating(system, thing),
        **beside,
    }


def one(request: Request, system: System, kind: Noun[C], thing: C, beside: Beside, code: int = 200) -> JSONResponse:
    """The reply that shows one."""
    picked = one_asked(request, kind) if request.method == "GET" else None
    item = shown(system, kind, thing, beside([thing])[thing.id])
    return JSONResponse({kind.one: picked.pick(item) if picked else item}, code)


def many(request: Request, system: System, kind: Noun[C], find: Callable[[Query], Page[C]], beside: Beside) -> JSONResponse:
    """The reply that lists them."""
    wanted = asked(request, kind, STATUSES)
    page = wanted.page(find, lambda thing, name, text: _status(system, thing, name) == text)
    added = beside(list(page.items))
    items = [wanted.pick(shown(system, kind, thing, added[thing.id])) for thing in page.items]
    return JSONResponse({kind.many: items, f"{kind.many}_links": links(request, wanted, page)})


def ids(values: tuple[str, ...]) -> list[dict[str, str]]:
    """References, as OpenStack writes them."""
    return [{"id": value} for value in values]


def _status(system: System, thing: Configured, name: str) -> str:
    return status.provisioning(system, thing).status if name == "provisioning_status" else status.operating(system, thing)
