"""Lists: filters, tags, order, pages, and the fields that are shown."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from api.client import Client
from api.nouns import LB, a_balancer, a_listener, a_pool

PATH = f"{LB}/loadbalancers"


def names(client: Client, **query: Any) -> list[str]:
    reply = client.get(PATH, params=query)
    assert reply.status_code == 200, reply.text
    return [one["name"] for one in reply.json()["loadbalancers"]]


@pytest.fixture
def five(client: Client) -> Client:
    """Load balancers a to e, created in this order."""
    for position, name in enumerate("abcde"):
        a_balancer(
            client,
            name=name,
            description="odd" if position % 2 else "even",
            admin_state_up=name != "c",
            tags=["all", *(["odd"] if position % 2 else []), name],
        )
    return client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "abcde"),
        ({"name": "b"}, "b"),
        ({"name": "none"}, ""),
        ({"description": "odd"}, "bd"),
        ({"description": "odd", "name": "d"}, "d"),
        ({"admin_state_up": "false"}, "c"),
        ({"admin_state_up": "True"}, "abde"),
        ({"vip_address": "127.0.0.1"}, "abcde"),
        ({"tags": "odd"}, "bd"),
        ({"tags": "odd,b"}, "b"),
        ({"tags-any": "a,b"}, "ab"),
        ({"not-tags": "odd"}, "ace"),
        ({"not-tags": "odd,b"}, "acde"),
        ({"not-tags-any": "a,b"}, "cde"),
        ({"sort": "name:desc"}, "edcba"),
        ({"sort": "description:desc,name:asc"}, "bdace"),
        ({"sort_key": "name", "sort_dir": "desc"}, "edcba"),
        ({"sort_key": ["description", "name"], "sort_dir": ["asc", "desc"]}, "ecadb"),
        ({"sort_key": "name"}, "abcde"),
        ({"limit": "2"}, "ab"),
        ({"limit": "infinite"}, "abcde"),
        ({"limit": "0"}, "abcde"),
        ({"limit": "-5"}, "abcde"),
        ({"limit": "99999"}, "abcde"),
        ({"provisioning_status": "PENDING_CREATE"}, "abcde"),
        ({"provisioning_status": "ACTIVE"}, ""),
        ({"operating_status": "OFFLINE", "limit": "2"}, "ab"),
    ],
)
def test_a_list_holds_what_was_asked_for(five: Client, query: dict[str, Any], expected: str) -> None:
    assert names(five, **query) == list(expected)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("colour=red", "colour: is not something loadbalancers can be filtered by"),
        ("admin_state_up=perhaps", "admin_state_up: "),
        ("created_at=2017-02-28", "created_at: "),
        ("revision=--5", "revision: "),
        ("limit=two", "limit: "),
        ("limit=1&limit=2", "limit: is given more than once"),
        ("marker=none", "marker: "),
        ("page_reverse=perhaps", "page_reverse: "),
        ("sort=colour", "sort: "),
        ("sort=name:up", "sort: "),
        ("sort_key=colour", "sort: "),
        ("fields=colour", "fields: "),
        ("name=a&name=b", "name: is given more than once"),
        ("&".join(f"x{number}=1" for number in range(200)), "query: "),
        ("name=a%00b", "query: control characters"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(five: Client, query: str, words: str) -> None:
    reply = five.get(f"{PATH}?{query}")
    assert reply.status_code == 400, reply.text
    assert words in reply.json()["faultstring"]


@pytest.mark.parametrize("extra", [{}, {"operating_status": "OFFLINE"}, {"sort": "name:desc"}, {"tags": "all"}], ids=str)
def test_pages_follow_their_links_there_and_back(five: Client, extra: dict[str, str]) -> None:
    whole = names(five, **extra)
    pages, replies = [], [five.get(PATH, params={"limit": "2", **extra}).json()]
    while True:
        reply = replies[-1]
        pages.append([one["name"] for one in reply["loadbalancers"]])
        links = {link["rel"]: link["href"] for link in reply["loadbalancers_links"]}
        assert ("previous" in links) == (len(pages) > 1)
        if "next" not in links:
            break
        assert links["next"].startswith(f"http://ostiary.test:9876{PATH}?")
        replies.append(five.get(links["next"]).json())
    assert pages == [whole[0:2], whole[2:4], whole[4:5]]

    back = five.get(links["previous"]).json()
    assert [one["name"] for one in back["loadbalancers"]] == whole[2:4]
    links = {link["rel"]: link["href"] for link in back["loadbalancers_links"]}
    assert set(links) == {"next", "previous"}
    first = five.get(links["previous"]).json()
    assert [one["name"] for one in first["loadbalancers"]] == whole[0:2]
    assert [link["rel"] for link in first["loadbalancers_links"]] == ["next"]


def test_links_keep_the_spelling_of_the_path_and_the_other_parameters(five: Client) -> None:
    reply = five.get("/v2.0/lbaas/loadbalancers", params={"limit": "1", "description": "odd"}).json()
    parts = urlsplit(reply["loadbalancers_links"][0]["href"])
    assert parts.path == "/v2.0/lbaas/loadbalancers"
    assert parse_qs(parts.query) == {"limit": ["1"], "description": ["odd"], "marker": [reply["loadbalancers"][0]["id"]]}


def test_links_do_not_repeat_a_host_that_is_none(five: Client) -> None:
    reply = five.get(PATH, params={"limit": "1"}, headers={"Host": "evil/path?x="})
    assert "evil" not in reply.text


def test_only_the_fields_asked_for_are_shown(five: Client) -> None:
    reply = five.get(PATH, params={"fields": ["id", "name"], "limit": "1"}).json()
    assert set(reply["loadbalancers"][0]) == {"id", "name"}
    one = five.get(f"{PATH}/{reply['loadbalancers'][0]['id']}", params={"fields": "provisioning_status"}).json()
    assert one == {"loadbalancer": {"provisioning_status": "PENDING_CREATE"}}
    assert five.get(f"{PATH}/{reply['loadbalancers'][0]['id']}?colour=1").status_code == 400


def test_children_are_found_by_their_parent(client: Client) -> None:
    first, second = a_listener(client), a_listener(client, protocol_port=81)
    pool = a_pool(client, listener_id=first["id"])
    for query, expected in (
        ({"loadbalancer_id": second["loadbalancer_id"]}, second),
        ({"default_pool_id": pool["id"]}, first),
        ({"protocol_port": "81"}, second),
    ):
        found = client.get(f"{LB}/listeners", params=query).json()["listeners"]
        assert [one["id"] for one in found] == [expected["id"]]
