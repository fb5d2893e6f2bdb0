"""What a route declares: who may call it, what the record calls it, and what it takes and answers for /openapi.json."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Final, get_args
from urllib.parse import unquote

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from pydantic import BaseModel

from ostiary.api.queries import PAGING, TAGS
from ostiary.asgi.answered import KEY, Answered
from ostiary.errors import Invalid
from ostiary.ops.caller import Caller
from ostiary.ops.system import System

REF: Final = "#/components/schemas/{model}"
JUSTIFICATION: Final = "X-Justification"  # why it is needed, for whoever has to agree
_JUSTIFICATION_MAX: Final = 255
READING: Final = ("read", "verify", "decrypt", "report")


@dataclass(frozen=True)
class May:
    """Who may call a route: those who may do `permission`. `audit` is what the record calls it; reading is not recorded."""

    permission: str
    audit: tuple[str, ...]

    async def __call__(self, request: Request) -> None:
        """Raises `Denied` before the body is read; the use case asks once more, as it does for whoever else calls it."""
        _note(request, is_change=bool(self.audit))
        request.scope["caller"].must(self.permission)


@dataclass(frozen=True)
class Public:
    """Marks a route that answers without a token; `identity.PUBLIC` lets it through. `is_change`: unless it is a GET."""

    is_change: bool = True

    async def __call__(self, request: Request) -> None:
        """Everyone may."""
        _note(request, is_change=None if self.is_change else False)


def _note(request: Request, *, is_change: bool | None) -> None:
    """Which route answers, for the log: in place of the path, which may hold a secret."""
    one: Answered | None = request.scope.get(KEY)
    if one is not None:
        one.route, one.is_change = request.scope["route"].path, is_change


def may(permission: str, *also_recorded: str) -> Any:
    """Declare who may call a route. Anything but reading is recorded under the permission's name, or one of `also_recorded`."""
    audit = () if permission.rpartition(":")[2] in READING else (permission, *also_recorded)
    return Depends(May(permission, audit))


public: Final[Any] = Depends(Public())
public_reading: Final[Any] = Depends(Public(is_change=False))  # though it is a POST


def declaration(dependencies: Iterable[Dependency]) -> May | Public | None:
    """What a route declares about who may call it."""
    for dependency in dependencies:
        if isinstance(dependency.dependency, May | Public):
            return dependency.dependency
    return None


async def asked_system(request: Request) -> System:
    """The system that answers."""
    system: System = request.app.state.system
    return system


async def asked_who(request: Request) -> Caller:
    """Who calls, as the door let them in; with why they do, where they say so. Raises `Invalid`."""
    caller: Caller = request.scope["caller"]
    given = request.headers.get(JUSTIFICATION)
    return caller if given is None else replace(caller, justification=_justification(given))


def _justification(given: str) -> str:
    """What they say of why; as in a URL, for a header holds no more than ASCII."""
    try:
        text = unquote(given, errors="strict").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _JUSTIFICATION_MAX or not text.isprintable():
        raise Invalid(JUSTIFICATION, f"must be 1 to {_JUSTIFICATION_MAX} printable characters, percent-encoded UTF-8.")
    return text


async def asked_raw(request: Request) -> bytes:
    """The body as it was sent. Raises `TooLarge`."""
    # `limits.Limits` stops this at the most that is read.
    return await request.body()


class Operation(dict[str, Any]):
    """What a route adds to its operation in /openapi.json, and the shapes that this refers to.

    Only who asks for the document has their schemas made: there are hundreds, which would take longer than starting all else.
    """

    takes: tuple[type[BaseModel], ...] = ()
    answers: tuple[type[BaseModel], ...] = ()


Sys = Annotated[System, Depends(asked_system)]
Who = Annotated[Caller, Depends(asked_who)]
Raw = Annotated[bytes, Depends(asked_raw)]


def described(
    status: int,
    *,
    takes: type[BaseModel] | tuple[type[BaseModel], ...] | None = None,
    answers: type[BaseModel] | UnionType | None = None,
    query: Mapping[str, str] | None = None,
    octets: str | None = None,
) -> dict[str, Any]:
    """Arguments of a route that put its bodies and query into /openapi.json. `octets` is the media type of one without a shape.

    Handlers read and write raw bytes, so FastAPI need not know what they hold: `openapi.py` gathers the shapes from here.
    """
    extra = Operation({"parameters": [_parameter(name, words) for name, words in (query or {}).items()]})
    extra.takes, extra.answers = _each(takes), _each(answers)
    if extra.takes:
        extra["requestBody"] = {"required": True, **_content(extra.takes)}
    if octets is not None:
        extra["requestBody"] = {"required": True, "content": {octets: {"schema": {"type": "string", "format": "binary"}}}}
    answer = {"description": "Done.", **(_content(extra.answers) if extra.answers else {})}
    return {"status_code": status, "responses": {status: answer}, "openapi_extra": extra}


def _each(shapes: Any) -> tuple[type[BaseModel], ...]:
    """One shape, several of them, one or the other, or none."""
    if shapes is None:
        return ()
    return shapes if isinstance(shapes, tuple) else get_args(shapes) or (shapes,)


def _content(shapes: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    refs = [{"$ref": REF.format(model=shape.__name__)} for shape in shapes]
    return {"content": {"application/json": {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}}}


def list_query(attributes: Iterable[str], also: Iterable[str] = ()) -> dict[str, str]:
    """The query parameters of a list: paging, order, and any attribute as a filter."""
    names = sorted({*attributes, *also} - {"tags", "created_at", "updated_at"})
    return {**PAGING, **(TAGS if "tags" in attributes else {}), **{name: f"Only those with this {name}." for name in names}}


def _parameter(name: str, words: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}}
