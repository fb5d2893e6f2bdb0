"""/openapi.json: the routes and the shapes they declare, as one OpenAPI 3.1 document."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from ostiary.api.declared import REF, May, Operation, Public, declaration
from ostiary.api.problems import is_key_manager, is_load_balancing

DESCRIPTION: Final = "A load balancer that lets in only holders of a valid client certificate."
_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "field": _TEXT}
ERRORS: Final[dict[str, Any]] = {
    "Fault": {
        "type": "object",
        "description": "An error, as Octavia's clients read it.",
        "required": ["faultcode", "faultstring", "debuginfo"],
        "properties": {
            "faultcode": {"enum": ["Client", "Server"]},
            "faultstring": _TEXT,
            "debuginfo": {"type": ["string", "null"]},
        },
    },
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": _PROBLEM,
    },
    "KeyManagerProblem": {
        "type": "object",
        "description": "An error, as Barbican's clients read it, and RFC 9457's members.",
        "required": ["code", "title", "description"],
        "properties": {"code": {"type": "integer"}, "description": _TEXT, **_PROBLEM},
    },
}


def routes(app: FastAPI) -> Iterator[APIRoute]:
    """All that the application answers."""
    return (route for route in app.routes if isinstance(route, APIRoute))


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    whole = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    schemas: dict[str, Any] = whole.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_shapes(routes(app)))
    schemas.update(ERRORS)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)  # FastAPI's own form of errors, which we do not use.
    for route in routes(app):
        for method in route.methods or ():
            _complete(whole["paths"][route.path_format][method.lower()], route)
    whole["components"]["securitySchemes"] = {
        "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return whole


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = _error(route.path)
    declared = declaration(route.dependencies)
    if isinstance(declared, May):
        operation["x-permission"] = declared.permission
    operation["security"] = [] if isinstance(declared, Public) else [{"token": []}, {"bearer": []}]


def _error(path: str) -> dict[str, Any]:
    name = "Fault" if is_load_balancing(path) else "KeyManagerProblem" if is_key_manager(path) else "Problem"
    media_type = "application/problem+json" if name == "Problem" else "application/json"
    return {"description": "Refused.", "content": {media_type: {"schema": {"$ref": REF.format(model=name)}}}}


def _shapes(all_routes: Iterable[APIRoute]) -> dict[str, Any]:
    """The shapes of the bodies that routes take and answer. One that has two forms is shown as it is taken."""
    operations = [route.openapi_extra for route in all_routes if isinstance(route.openapi_extra, Operation)]
    answered = _schemas((shape for operation in operations for shape in operation.answers), "serialization")
    taken = _schemas((shape for operation in operations for shape in operation.takes), "validation")
    return {**answered, **taken}


def _schemas(shapes: Iterable[type[BaseModel]], mode: JsonSchemaMode) -> dict[str, Any]:
    made = models_json_schema([(shape, mode) for shape in dict.fromkeys(shapes)], ref_template=REF)[1]
    return dict(made.get("$defs", {}))
