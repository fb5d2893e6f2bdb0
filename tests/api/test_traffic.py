"""/v1/traffic: how much came through and what was refused, over time."""

from datetime import timedelta

import pytest

from api.client import Client
from ostiary.api.traffic import TrafficItem, TrafficReply
from ostiary.clock import now
from ostiary.model.traffic import Counts
from ostiary.ops import denials, traffic

PATH = "/v1/traffic"


def told(client: Client, counts: Counts, listener_id: str = "l1") -> None:
    counted = {f"listener/{listener_id}": counts._asdict()}
    client.system.counting.told("g1", {"pid": 1, "uptime": 1, "listeners": counted}, client.system.clock())
    traffic.write(client.system)


def refused(client: Client, sequence: int, code: str, count: int) -> None:
    at = client.system.clock().isoformat()
    one = {"listener_id": "l1", "stage": "request", "code": code, "who": "", "first": at, "last": at, "count": count}
    assert denials.denied(client.system, "g1", {"sequence": sequence, "denials": [one]}) == 0


def got(client: Client, **query: str) -> TrafficItem:
    return TrafficReply.model_validate_json(client.get(PATH, params=query).content).traffic


def test_what_came_through_is_told_step_by_step_with_the_sums(client: Client) -> None:
    told(client, Counts(5, 2, 7, 4))
    refused(client, 1, "expired", 2)
    refused(client, 2, "denied_by_rule", 3)
    found = got(client)
    assert (found.listener_id, found.step_seconds, found.admitted) == (None, 900, 4)
    assert list(found.refused.items()) == [("denied_by_rule", 3), ("expired", 2)]
    assert found.since.endswith("Z")
    assert sum(one.handshakes for one in found.steps) == 5
    assert sum(one.failed_handshakes for one in found.steps) == 2
    assert sum(one.requests for one in found.steps) == 7
    assert {code: count for one in found.steps for code, count in one.refused.items()} == found.refused
    assert all(0 < one.seconds <= 900 and one.at.endswith("Z") for one in found.steps)


def test_one_listener_and_a_part_of_the_time(client: Client) -> None:
    told(client, Counts(admitted=4, requests=4))
    an_hour_ago = (now() - timedelta(hours=1)).isoformat()
    assert got(client, listener_id="l1").admitted == 4
    assert got(client, listener_id="l2").admitted == got(client, until=an_hour_ago).admitted == 0
    found = got(client, since=an_hour_ago, points="1000")
    assert (found.admitted, found.step_seconds) == (4, 60)
    assert len(found.steps) in {60, 61, 62}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("since=2999-01-01", "since"),
        ("since=0001-01-01", "since"),
        ("until=0001-01-01", "since"),
        ("until=9999-12-31T23:59:59-12:00", "until"),
        ("points=1", "points"),
        ("points=100000", "points"),
        ("points=-1", "points"),
        ("surplus=1", "surplus"),
        ("since=2026-01-01&since=2026-01-02", "since"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(client: Client, query: str, field: str) -> None:
    reply = client.get(f"{PATH}?{query}")
    assert reply.status_code == 400
    assert field in reply.text
