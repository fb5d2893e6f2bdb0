"""Requests go straight to the function of the route that the framework would have found, and ask first whether they may."""

import re

from starlette.routing import Match

from api.client import Client
from ostiary.api.openapi import routes
from ostiary.api.straight import Straight

PART = re.compile(r"\{(\w+)(:path)?\}")


def test_each_route_is_found_by_its_beginning_as_by_trying_one_after_the_other(client: Client) -> None:
    every = list(routes(client.app))
    straight = Straight(every, client.app)
    for route in every:
        path = PART.sub(lambda part: "a/b" if part[2] else "x", route.path)
        for method in sorted(route.methods or ()):
            scope = {"type": "http", "method": method, "path": path}
            expected = next(each for each in every if each.matches(dict(scope))[0] is Match.FULL)
            found = next(each for each, _ in straight._candidates(path) if each.matches(dict(scope))[0] is Match.FULL)
            assert found is expected, (method, path)


def test_what_no_route_is_for_is_refused_as_ever(client: Client) -> None:
    assert client.get("/v1/certificates/a/b/c/d").status_code == 404
    refused = client.delete("/v1/certificates")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


def test_who_may_not_is_refused_before_the_body_is_read(client: Client) -> None:
    token = client.post("/v1/tokens", {"token": {"name": "olga", "role": "auditor"}}).json()["token"]["secret"]
    answer = client.request("POST", "/v1/certificates", content=b"{not json", headers={"X-Auth-Token": token})
    assert answer.status_code == 403
