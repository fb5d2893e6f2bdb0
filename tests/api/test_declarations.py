"""Every route says who may call it and what the record calls it; and /openapi.json and /docs describe them all."""

import asyncio
import re
from typing import Any

import pytest
from starlette.requests import Request

from api.client import Client
from api.nouns import NOUNS, made
from ostiary.api.declared import May, Public, declaration
from ostiary.api.identity import is_public
from ostiary.api.openapi import routes
from ostiary.api.problems import is_key_manager
from ostiary.errors import Denied
from ostiary.model.fields import traits
from ostiary.model.listener import Listener
from ostiary.ops.caller import Caller

# Registrations of Barbican's that we answer and ignore, and questions with a body: nothing changes, so nothing is recorded.
IGNORED = re.compile(r".*/(acl|consumers|access-rules/test|preview|explain|verify)")
SAMPLE = re.compile(r"\{[^}]*\}")


def test_every_route_declares_who_may_call_it(client: Client) -> None:
    found = list(routes(client.app))
    assert len(found) == len(client.app.routes) > 60
    for route in found:
        assert declaration(route.dependencies) is not None, route.path


def test_what_is_declared_public_is_what_the_door_lets_through(client: Client) -> None:
    for route in routes(client.app):
        declared = isinstance(declaration(route.dependencies), Public)
        for method in route.methods or ():
            assert is_public(method, SAMPLE.sub("x", route.path)) == declared, (method, route.path)


def test_every_route_that_changes_something_names_it_for_the_record(client: Client) -> None:
    for route in routes(client.app):
        declared = declaration(route.dependencies)
        if not isinstance(declared, May):
            continue
        assert re.fullmatch(r"[a-z-]+:[a-z-]+", declared.permission), route.path
        changes = route.methods != {"GET"} and not IGNORED.fullmatch(route.path)
        assert bool(declared.audit) == changes, (route.path, route.methods)


@pytest.mark.parametrize("noun", NOUNS, ids=str)
def test_the_record_uses_the_declared_names(client: Client, noun: Any) -> None:
    path = noun.path(client)
    one = f"{path}/{made(client, path, noun.one, **noun.new(client))['id']}"
    assert _last_action(client) in _audit(client, "POST", path)
    client.put(one, {noun.one: noun.change})
    assert _last_action(client) in _audit(client, "PUT", one)
    client.delete(one)
    assert _last_action(client) in _audit(client, "DELETE", one)


def _audit(client: Client, method: str, path: str) -> tuple[str, ...]:
    """What the route of this path declares that the record calls it."""
    for route in routes(client.app):
        if method in (route.methods or ()) and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", route.path), path):
            declared = declaration(route.dependencies)
            return declared.audit if isinstance(declared, May) else ()
    return ()


def _last_action(client: Client) -> str:
    return str(client.get("/v1/revisions?limit=1").json()["revisions"][0]["action"])


def test_a_role_that_may_not_is_denied() -> None:
    request = Request({"type": "http", "caller": Caller(name="guest", role="guest")})
    with pytest.raises(Denied, match="guest"):
        asyncio.run(May("listener:create", ("listener:create",))(request))


def test_the_document_describes_every_route(client: Client) -> None:
    document = client.get("/openapi.json").json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(method, route.path_format) for route in routes(client.app) for method in route.methods or ()}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            assert "default" in operation["responses"]
            assert "422" not in operation["responses"]


def test_every_route_that_takes_a_body_says_which(client: Client) -> None:
    without = re.compile(r".*/(acl|consumers|end|failover|fetch|revert|roll|sign-in-links|undo|verify|{target_id}/test)")
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            takes = method in {"post", "put", "patch"} and not without.fullmatch(path)
            assert ("requestBody" in operation) == takes, (method, path)


def test_every_shape_referred_to_is_there(client: Client) -> None:
    reply = client.get("/openapi.json")
    named = set(re.findall(r"#/components/schemas/([A-Za-z0-9_]+)", reply.text))
    assert named == set(reply.json()["components"]["schemas"])
    assert "x-shapes" not in reply.text


def test_a_field_of_the_model_is_in_the_bodies_and_replies_by_itself(client: Client) -> None:
    shapes = client.get("/openapi.json").json()["components"]["schemas"]
    new, changes, shown = (set(shapes[name]["properties"]) for name in ("NewListener", "ListenerChanges", "Listener"))
    for name, field in Listener.model_fields.items():
        derived, fixed = traits(field).get("derived", False), traits(field).get("fixed", False)
        assert (name in new) == (not derived), name
        assert (name in changes) == (not derived and not fixed), name
        assert name in shown
    assert shapes["NewListener"]["properties"]["timeout_client_data"]["unit"] == "ms"
    assert set(shapes["NewListener"]["required"]) == {"protocol", "protocol_port"}


def test_nothing_private_is_in_the_document(client: Client) -> None:
    text = client.get("/openapi.json").text
    assert "sealed_key" not in text


def test_the_page_shows_every_operation_and_loads_nothing(client: Client) -> None:
    reply = client.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.findall(r"<(?:script|link|img|iframe)|src=|url\(|@import", reply.text)
    assert set(re.findall(r'href="([^"#]*)', reply.text)) == {"/openapi.json", ""}
    for route in routes(client.app):
        assert f"<code>{route.path_format}</code>" in reply.text
    anchors = set(re.findall(r'href="#([^"]+)"', reply.text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', reply.text))


def test_only_the_key_manager_has_its_own_errors(client: Client) -> None:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for operation in methods.values():
            (content,) = operation["responses"]["default"]["content"].values()
            assert content["schema"]["$ref"].endswith("/KeyManagerProblem") == is_key_manager(path)
