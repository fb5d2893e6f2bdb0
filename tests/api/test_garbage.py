"""Whatever is sent, the answer is one: never a failure of ours, always in a form that clients read."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.client import Client, a_client
from api.nouns import a_listener, a_member, a_pool
from ostiary.api.openapi import routes

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
QUERY_NAMES = re.findall(
    r"\S+",
    "limit marker page_reverse sort sort_key sort_dir fields tags tags-any not-tags name id protocol_port admin_state_up "
    "created_at provisioning_status offset before after order cascade additive_only expires_before status revision",
)

QUERY_VALUES = ("1", "-1", "true", "desc", "name:desc", "name", "none", "2030-01-01", "ACTIVE")
STAND_INS = tuple(f"stand-in-{number}" for number in range(10))
STAND_IN = re.compile("stand-in-([0-9])")
READING = ("GET", "HEAD", "OPTIONS")
PLACE = re.compile(r"\{[^}]*\}")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@dataclass
class Place:
    """An application with something in it."""

    client: Client
    _known: list[str] = field(default_factory=list)

    def real(self, text: str) -> str:
        """The text with ids of what there is now in place of the stand-ins: what is drawn may not depend on that."""
        if STAND_IN.search(text) is None:
            return text
        self._known = self._known or ids(self.client)
        return STAND_IN.sub(lambda match: self._known[int(match[1]) % len(self._known)], text)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """One request; after one that changed something other things may be there."""
        reply = self.client.request(method, path, **options)
        if method not in READING and reply.status_code < 400:
            self._known = []
        return reply


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("garbage")
    with a_client(folder) as connected:
        listener = a_listener(connected)
        pool = a_pool(connected, listener_id=listener["id"])
        a_member(connected, pool["id"])
        connected.post("/v1/secrets", {"payload": "x"})
        connected.post("/v1/containers", {})
        connected.post("/v1/authorities", {"authority": {"name": "root"}})
        yield Place(connected)


def properly_answered(reply: Any) -> None:
    """Not a failure, and in the form of its family."""
    assert reply.status_code < 500 or reply.status_code == 501, (reply.request.method, reply.request.url, reply.text)
    if reply.status_code >= 400 and reply.request.method != "HEAD":
        body = reply.json()
        assert "faultstring" in body or "detail" in body or "errors" in body


# Control characters are refused at the edge (test_limits), so that only a few cases need to have them.
words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12) | st.text(min_size=1, max_size=3)


@st.composite
def targets(draw: st.DrawFn, paths: tuple[str, ...]) -> str:
    """A path of ours with anything in its places, or any path at all; and a query."""
    segment = st.sampled_from([*STAND_INS, "0", "1", "none", "..", "a b"]) | words
    template = draw(st.one_of(*[st.sampled_from(paths)] * 4, words.map(lambda text: f"/{text}")))
    path = quote(PLACE.sub(lambda _: draw(segment), template), safe="/", errors="replace")
    pairs = draw(st.lists(st.tuples(st.sampled_from(QUERY_NAMES) | words, st.sampled_from(QUERY_VALUES) | words), max_size=2))
    return f"http://ostiary.test:9876{path}?" + urlencode(pairs, errors="replace")


def ids(client: Client) -> list[str]:
    """The ids of some of what there is."""
    found = []
    for path in (
        "v2/lbaas/listeners",
        "v2/lbaas/pools",
        "v2/lbaas/loadbalancers",
        "v1/authorities",
        "v1/secrets",
        "v1/containers",
    ):
        for one in client.get(f"/{path}?limit=2").json()[path.rpartition("/")[2]]:
            name = one.get("id") or one.get("secret_ref") or one["container_ref"]
            found.append(name.rpartition("/")[2])
    return found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_request_is_answered(place: Place, data: st.DataObject) -> None:
    paths = tuple(route.path for route in routes(place.client.app))
    accept = st.sampled_from([b"*/*", b"*/*", b"application/json", b"", b"text/html", b"\xff;q=x"])
    reply = place.ask(
        data.draw(st.sampled_from(METHODS)),
        place.real(data.draw(targets(paths))),
        content=data.draw(st.binary(max_size=200) | anything.map(lambda tree: json.dumps(tree).encode())),
        headers=[(b"accept", data.draw(accept))],
    )
    properly_answered(reply)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_known_field_is_answered(place: Place, data: st.DataObject) -> None:
    document = place.client.app.openapi()
    shapes = document["components"]["schemas"]
    method, path, ref = data.draw(st.sampled_from(_taking(document)))
    body = json.dumps(_filled(data, shapes, {"$ref": f"#/components/schemas/{ref}"}))
    target = PLACE.sub(lambda _: data.draw(st.sampled_from([*STAND_INS, "none"])), path)
    properly_answered(place.ask(method, place.real(target), content=place.real(body)))


def _taking(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Method, path and shape of each operation that takes a body."""
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            options = schema.get("anyOf", [schema])
            found += [(method.upper(), path, option["$ref"].rpartition("/")[2]) for option in options if "$ref" in option]
    return found


def _filled(data: st.DataObject, shapes: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value for a field: what the schema asks for, roughly, and now and then something else."""
    if "$ref" in schema:
        inner = shapes[schema["$ref"].rpartition("/")[2]]
        optional = sorted(set(inner.get("properties", ())) - set(inner.get("required", ())))
        names = [
            *inner.get("required", ()),
            *data.draw(st.lists(st.sampled_from(optional), max_size=4) if optional else st.just([])),
        ]
        return {name: _filled(data, shapes, inner["properties"][name]) for name in names}
    if "enum" in schema:
        return data.draw(st.sampled_from(schema["enum"]))
    for options in (schema.get("anyOf"), schema.get("oneOf")):
        if options:
            return _filled(data, shapes, data.draw(st.sampled_from(options)))
    if schema.get("type") == "array" and "$ref" in schema.get("items", {}):
        return [_filled(data, shapes, schema["items"])]
    likely: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(1, 10) | st.integers(-2, 70_000),
        "boolean": st.booleans(),
        "null": st.none(),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "string": st.sampled_from([*STAND_INS, "127.0.0.1", "::1", "P1D", "200-204", "/v1/secrets/x", "-----BEGIN X-----"])
        | words,
        "array": st.lists(st.sampled_from(["10.0.0.0/8", "TLSv1.3", "h2", "a.test"]), max_size=2),
    }
    return data.draw(st.one_of(*[likely.get(str(schema.get("type")), anything)] * 9, anything))
