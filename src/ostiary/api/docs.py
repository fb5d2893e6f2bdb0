"""/openapi.json and /docs: the API described, for machines and for people. The page loads nothing from anywhere."""

from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from ostiary.api.declared import described, may

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
code,pre{font:14px/1.5 ui-monospace,monospace}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}
details{border-top:1px solid #d0d7de;padding:.5rem 0}
summary{cursor:pointer}.method{display:inline-block;width:4.5rem;font-weight:600}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}details{border-color:#30363d}a{color:#79b8ff}}
"""

router = APIRouter(tags=["description"])


@router.get("/openapi.json", dependencies=[may("description:read")], **described(200))
def openapi(request: Request) -> JSONResponse:
    """This API as an OpenAPI 3.1 document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs", dependencies=[may("description:read")], **described(200))
def docs(request: Request) -> HTMLResponse:
    """This API as a page to read."""
    return HTMLResponse(page(request.app.openapi()))


def page(document: dict[str, Any]) -> str:
    """All operations and shapes of an OpenAPI document on one page."""
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    operations = "".join(
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    shapes = "".join(_shape(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(document['info']['description'])}</p>"
        "<p>Show the token as <code>X-Auth-Token</code> or <code>Authorization: Bearer</code>. "
        'The same for machines: <a href="/openapi.json">/openapi.json</a>.</p>'
        f"<h2>Operations</h2>{operations}<h2>Shapes</h2>{shapes}</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    taken = _refs(operation.get("requestBody"))
    lines = [f"<p>{escape(operation.get('description', ''))}</p>"]
    if taken:
        lines.append(f"<p>Takes {' or '.join(_link(name) for name in taken)}</p>")
    for status, answer in operation["responses"].items():
        names = ", ".join(_link(name) for name in _refs(answer))
        lines.append(f"<p>{'Otherwise' if status == 'default' else escape(status)}: {names or escape(answer['description'])}</p>")
    rows = "".join(
        f"<tr><td><code>{escape(given['name'])}</code><td>{escape(given['in'])}<td>{escape(given.get('description', ''))}"
        for given in operation.get("parameters", ())
    )
    return (
        f'<details><summary><span class="method">{escape(method.upper())}</span><code>{escape(path)}</code></summary>'
        f"{''.join(lines)}<table>{rows}</table></details>"
    )


def _shape(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' (required)' if field in required else ''}<td>{_type(of)}"
        f"<td>{escape(str(of.get('description', '')))}"
        for field, of in schema.get("properties", {}).items()
    )
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<p>{escape(schema.get('description', ''))}</p><table>{rows}</table></details>"
    )


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _link(_name(schema["$ref"]))
    if "enum" in schema:
        return " | ".join(escape(str(value)) for value in schema["enum"])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(_type(option) for option in options)
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if key in schema
    ]
    return escape(" ".join([kind, *limits]))


def _refs(part: Any) -> list[str]:
    """The names of the shapes referred to anywhere in a part of the document."""
    if isinstance(part, dict):
        own = [_name(part["$ref"])] if "$ref" in part else []
        return [*own, *(name for value in part.values() for name in _refs(value))]
    return [name for value in part for name in _refs(value)] if isinstance(part, list) else []


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _link(name: str) -> str:
    return f'<a href="#{escape(name)}">{escape(name)}</a>'
