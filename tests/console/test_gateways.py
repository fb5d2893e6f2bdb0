"""Gateways in the console, and what cannot wait, which every page says."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from console.visitor import Visitor
from ostiary.envoy.resources import LISTENER
from ostiary.model.listener import Listener
from ostiary.ops import alarms
from support.made import a_balancer, a_listener
from support.statements import counted
from support.systems import ADMIN
from support.town import GATEWAY, Town, an_empty_town

PLACE = "/console/gateways"
HOME = "/console/balancers"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """With a gateway that accepts whatever is wanted."""
    with an_empty_town(tmp_path) as empty:
        empty.accept()
        yield empty


@pytest.fixture
def looker(town: Town) -> Iterator[Visitor]:
    with Visitor(town.system) as signed_in:
        yield signed_in


def alarm(visitor: Visitor, place: str = HOME) -> str:
    found = visitor.get(place).root.every("p", class_="alarm")
    return " / ".join(one.text for one in found)


def tell(town: Town, **report: Any) -> None:
    known = next(one for one in town.system.fleet.gateways() if one.id == GATEWAY)
    town.system.fleet.heard(GATEWAY, town.clock(), report={**known.report, **report})


def refuse(town: Town, listener: Listener, words: str) -> None:
    """The gateway refuses that listener, in these words."""
    wanted = town.system.fleet.wanted
    assert wanted is not None
    resource = next(one for key, one in wanted.snapshot.resources.items() if key[0] == LISTENER and listener.id in one.owners)
    accepted = {key: one.version for key, one in wanted.snapshot.resources.items() if key != resource.key}
    town.system.fleet.heard(
        GATEWAY, town.clock(), connected=True, accepted=accepted, rejected={resource.key: (resource.version, words)}
    )


def lists_ended(town: Town, *listeners: Listener, allowed: bool = False) -> None:
    since = town.clock() - timedelta(hours=2)
    until = (town.clock() + timedelta(hours=3)).isoformat() if allowed else None
    told = {"listeners": [one.id for one in listeners], "since": since.isoformat(), "until": until}
    tell(town, stale=[told])


def test_without_a_gateway_it_is_said_what_one_is(visitor: Visitor) -> None:
    page = visitor.get(PLACE)
    assert "No gateway has connected yet" in page.text
    assert "a gateway is an envoy" in page.text.lower()


def test_a_gateway_is_shown_with_what_it_has_and_what_it_counts(town: Town, looker: Visitor) -> None:
    listener = a_listener(town.system, a_balancer(town.system))
    counts = {"active_connections": 12.0, "requests": 3456.0, "bytes_in": 7.0}  # as they come out of a protobuf Struct
    tell(
        town,
        listeners={f"listener/{listener.id}": counts, "listener/other": {"requests": 1}},
        streams={"open": 4, "ended": {"revoked": 2, "expired": 1}, "unable": None},
    )
    text = looker.get(PLACE).root.one(id="gateways").text
    revision = listener.revision
    for words in (
        "gateway-1 Up to date",
        f"Revision applied {revision} of {revision}",
        "Envoy 1.40.0",
        "Runs for 12 days",
        "Connections now 12",
        "Requests 3,457",
        "Bytes received 7",
        "Long streams 4",
        "Long streams ended 3 ( expired: 1, revoked: 2 )",
    ):
        assert words.replace(" ", "") in text.replace(" ", ""), words


def test_where_it_sends_its_access_record_is_shown_with_what_waits_and_what_was_dropped(town: Town, looker: Visitor) -> None:
    waits = (town.clock() - timedelta(hours=2)).isoformat()
    usual = {"sent": 12345.0, "dropped": 0.0, "waiting_since": None, "failing_since": None, "error": None}
    away = {"dropped": 7.0, "waiting_since": waits, "failing_since": waits, "error": "<b>Connection refused</b>"}
    tell(
        town,
        exports=[{"target": "syslog+tls://logs.example:6514", **usual}, {"target": "otlp+https://otel.example", **usual, **away}],
        recording_error="how to keep it cannot be read",
    )
    page = looker.get(PLACE)
    first, second = (row.text for row in page.root.one(id="gateways").one("tbody").every("tr"))
    assert first.startswith("syslog+tls://logs.example:6514 Sent as it comes 12,345 0 ")
    assert "<b>Connection refused</b> since" in second
    assert "12,345 7" in second
    assert "how to keep it cannot be read" in page.text
    tell(town, exports=[], recording_error=None)
    assert "Where the access record is sent" not in looker.get(PLACE).text


def test_a_target_that_the_record_has_not_reached_for_a_while_is_an_alarm(town: Town, looker: Visitor) -> None:
    def fails_since(**ago: float) -> None:
        since = (town.clock() - timedelta(**ago)).isoformat()
        one = {"target": "syslog+tls://logs.example:6514", "sent": 1.0, "dropped": 0.0, "waiting_since": since}
        tell(town, exports=[one | {"failing_since": since, "error": "Connection refused"}])

    fails_since(minutes=9)
    assert "access record" not in alarm(looker)
    fails_since(minutes=11)
    assert "The access record has not reached syslog+tls://logs.example:6514 since" in alarm(looker)


def test_its_memory_is_shown_and_an_alarm_when_there_is_none_to_spare(town: Town, looker: Visitor) -> None:
    memory = {"limit": 2048 * 1024**2, "used": 512 * 1024**2, "acting": {"shrink_heap": 100}}
    tell(town, memory=memory)
    assert "512 of 2,048 MiB" in looker.get(PLACE).root.text
    assert not alarm(looker), "nobody notices that free memory is given back"
    tell(town, memory={**memory, "acting": {"reset_high_memory_stream": 12}})
    assert "1 gateway has no memory to spare" in alarm(looker)
    assert "reset_high_memory_stream 12 %" in looker.get(PLACE).root.text


def test_what_it_refuses_is_told_in_its_own_words(town: Town, looker: Visitor) -> None:
    listener = a_listener(town.system, a_balancer(town.system))
    refuse(town, listener, "error adding listener: <b>cannot bind</b>")
    page = looker.get(PLACE)
    assert "Refuses a part" in page.text
    assert "error adding listener: <b>cannot bind</b>" in page.text
    assert not page.root.one(id="gateways").every("b")


def test_whose_lists_have_ended_and_what_follows_is_told(town: Town, looker: Visitor) -> None:
    balancer = a_balancer(town.system)
    one, other = a_listener(town.system, balancer), a_listener(town.system, balancer, name="", protocol_port=8444)
    lists_ended(town, one, other)
    text = looker.get(PLACE).text
    assert f"door, {other.id}" in text
    assert "Clients with certificates are refused." in text
    lists_ended(town, one, allowed=True)
    assert "Clients are let in until" in looker.get(PLACE).text


@pytest.mark.parametrize(
    "report",
    [
        {"uptime": "long", "listeners": "none", "streams": 3, "stale": {"a": 1}, "version": {"x": 1}},
        {"uptime": -5, "listeners": {"a": 3, "b": {"requests": "many"}}, "streams": {"open": "x"}, "stale": [1, None]},
        {
            "uptime": 1e300,
            "listeners": {"a": {"requests": float("inf")}},
            "stale": [{"listeners": [], "since": "never", "until": None}],
        },
    ],
)
def test_what_a_gateway_says_that_makes_no_sense_is_left_out(town: Town, looker: Visitor, report: dict[str, Any]) -> None:
    tell(town, **report)
    assert looker.get(PLACE).status == 200
    assert looker.get("/console/overview").status == 200


def test_it_is_kept_up_to_date_while_somebody_looks(town: Town, looker: Visitor) -> None:
    page = looker.get(PLACE)
    assert [one.attrs["data-live"] for one in page.root.every() if "data-live" in one.attrs] == [f"{PLACE}/live"]
    town.system.fleet.heard(GATEWAY, town.clock(), connected=False)
    looker.console.close()  # the first piece, and then its end
    piece = looker.raw("GET", f"{PLACE}/live")
    assert piece.headers["content-type"].startswith("text/event-stream")
    assert "Not connected" in piece.text
    assert not re.search(r"<(a|button|input)\b", piece.text)  # nothing that could have the focus when it is replaced


# What cannot wait.


def test_nothing_is_said_while_all_is_well(town: Town, looker: Visitor) -> None:
    a_listener(town.system, a_balancer(town.system))
    assert alarm(looker) == ""


def test_that_no_gateway_is_connected_is_said_on_every_page(visitor: Visitor) -> None:
    for place in (HOME, "/console/audit", "/console/settings", "/console/people/tokens/create"):
        assert alarm(visitor, place).startswith("No gateway is connected")
    assert visitor.get(HOME).root.one("p", class_="alarm").one("a").attrs["href"] == PLACE
    assert alarm(visitor, "/console/sign-in") == alarm(visitor, HOME)  # whoever is signed in is sent on
    visitor.cookies.clear()
    assert alarm(visitor, "/console/sign-in") == ""


def test_a_listener_that_the_engine_refuses_is_said_with_its_words_and_its_page(town: Town, looker: Visitor) -> None:
    listener = a_listener(town.system, a_balancer(town.system), name="<script>")
    refuse(town, listener, "no such cipher" + "!" * 1000)
    said = alarm(looker)
    assert said.startswith("The engine refuses listener <script>: no such cipher")
    assert len(said) < 500
    assert looker.get(HOME).root.one("p", class_="alarm").one("a").attrs["href"] == f"/console/listeners/{listener.id}/edit"
    town.accept()
    assert alarm(looker) == ""


def test_lists_that_have_ended_are_said_and_whom_that_hits(town: Town, looker: Visitor) -> None:
    balancer = a_balancer(town.system)
    one, other = a_listener(town.system, balancer), a_listener(town.system, balancer, protocol_port=8444)
    lists_ended(town, one, other)
    assert "refused at 2 listeners" in alarm(looker)
    lists_ended(town, one, allowed=True)
    assert "at 1 listener certificates that were revoked since may still be let in" in alarm(looker)
    tell(town, stale=[])
    assert alarm(looker) == ""


def test_it_costs_no_question_to_the_database(town: Town) -> None:
    a_listener(town.system, a_balancer(town.system))
    with counted(town.system.store) as asked:
        alarms.raised(town.system, ADMIN)
    assert asked.count == 0


def test_an_old_refusal_is_no_alarm(town: Town, looker: Visitor) -> None:
    """Of a version that is not wanted any more."""
    listener = a_listener(town.system, a_balancer(town.system))
    wanted = town.system.fleet.wanted
    assert wanted is not None
    key = next(key for key, one in wanted.snapshot.resources.items() if key[0] == LISTENER and listener.id in one.owners)
    town.system.fleet.heard(GATEWAY, town.clock(), rejected={key: ("some older version", "no")})
    assert alarm(looker) == ""


def test_it_is_read_in_vietnamese(visitor: Visitor) -> None:
    page = visitor.get(PLACE, headers={"accept-language": "vi"})
    assert "No gateway" not in page.text
    assert page.root.one("h1").text != "Gateways"
