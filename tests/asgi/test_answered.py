"""What is said of a request: to whom, at which level, how often, and never by its path."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from ostiary.asgi import answered
from ostiary.asgi.answered import KEY, MOST_OF_STRANGERS, Answered, Strangers
from ostiary.asgi.edge import Edge
from ostiary.tracing import Span


class Clock:
    """A time that moves when told to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def said(method: str, status: int, **known: Any) -> list[dict[str, Any]]:
    with capture_logs() as logs:
        one = Answered(method, route="/v1/x/{x_id}", status=status, **known)
        answered.tell(one, 0.01234, "192.0.2.1", Strangers(), lambda *_: None)
    return [dict(one) for one in logs]


@pytest.mark.parametrize(
    ("method", "status", "is_change", "level"),
    [
        ("GET", 200, None, "debug"),
        ("HEAD", 304, None, "debug"),
        ("POST", 201, None, "info"),
        ("POST", 200, False, "debug"),  # asks, though it is a POST
        ("GET", 403, None, "info"),
        ("DELETE", 204, True, "info"),
        ("GET", 503, None, "warning"),
        ("BREW", 405, None, "info"),
    ],
)
def test_changes_and_failures_are_said_and_reading_to_who_debugs(method: str, status: int, is_change: Any, level: str) -> None:
    (line,) = said(method, status, is_change=is_change)
    assert (line["log_level"], line["status"], line["from"]) == (level, status, "192.0.2.1")
    assert line["method"] == (method if method != "BREW" else "other")
    assert (line["route"], line["seconds"]) == ("/v1/x/{x_id}", 0.0123)


def test_strangers_who_fail_do_not_fill_the_disk() -> None:
    clock = Clock()
    strangers = Strangers(clock=clock)
    with capture_logs() as logs:
        for is_stranger in (*[True] * (MOST_OF_STRANGERS + 5), False):
            one = Answered("GET", status=401, is_stranger=is_stranger)
            answered.tell(one, 0.0, "192.0.2.1", strangers, lambda *_: None)
    assert len(logs) == MOST_OF_STRANGERS + 1  # and who is known is always heard
    clock.at += 60
    with capture_logs() as logs:
        answered.tell(Answered("GET", status=401), 0.0, "192.0.2.1", strangers, lambda *_: None)
    assert [(line["event"], line.get("count")) for line in logs] == [
        ("requests of strangers failed that are not written down one by one", 5),
        ("request", None),
    ]


def through(app: Any, **scope: Any) -> tuple[list[tuple[Any, ...]], list[Span], list[dict[str, Any]]]:
    """What is counted, traced and said of one request."""
    counted: list[tuple[Any, ...]] = []
    taken: list[Span] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(_message: Any) -> None:
        return

    def crashed(_path: str, _request_id: str) -> Any:
        async def reply(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 500, "headers": []})

        return reply

    usual: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/secret-MARKER",
        "query_string": b"MARKER",
        "headers": [],
        "client": None,
    }
    with capture_logs() as logs:
        edge = Edge(app, crashed, lambda *what: counted.append(what), taken.append)
        asyncio.run(edge({**usual, **scope}, receive, send))
    return counted, taken, [dict(one) for one in logs]


def test_a_stream_is_counted_but_does_not_last() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope[KEY].route = "/live"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/event-stream")]})

    counted, taken, logs = through(app)
    assert counted == [("GET", "/live", "2xx", None)]
    assert [one.name for one in taken] == ["GET /live"]
    assert "MARKER" not in repr((counted, taken, logs))


def test_what_no_route_answers_is_nameless_and_what_fails_has_failed() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    counted, (span,), logs = through(app, path="/v1/x", method="MARKER")
    assert [one[:3] for one in counted] == [("other", "none", "5xx")]
    assert (span.name, span.failed) == ("other", "500")
    assert [line["log_level"] for line in logs] == ["error", "warning"]


def test_who_leaves_before_an_answer_is_counted_too() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        return

    counted, _, _ = through(app)
    assert [one[:3] for one in counted] == [("GET", "none", "none")]
