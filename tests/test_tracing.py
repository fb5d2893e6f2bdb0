"""Spans: their places in a trace, in threads too; who may say where; and how they are handed over, or dropped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from ostiary import spans, tracing
from ostiary.errors import Invalid
from ostiary.measuring import Tally
from ostiary.settings import Traces, traces_from_environment
from ostiary.spans import Exporter
from ostiary.tracing import Place, Span
from support.wait import eventually
from support.webhook_sink import Call, WebhookSink, webhook_sink

AT = datetime(2026, 11, 26, 3, 0, 0, 123456, tzinfo=UTC)
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def a_span(name: str = "a") -> Span:
    return Span(
        name, Place("1" * 32, "2" * 16), None, "server", AT, AT, {"a": "b", "n": 7}, (Place("3" * 32, "4" * 16),), "failed"
    )


def test_what_is_done_within_is_below_and_what_is_outside_is_nothing() -> None:
    taken: list[Span] = []
    with tracing.span("outside"):
        assert tracing.here() is None
    with tracing.trace(taken.append, "root") as root:
        assert root is not None
        with tracing.span("outer"), tracing.span("inner", number=1):
            place = tracing.here()
        tracing.was("before", AT)
    inner, outer, before, top = taken
    assert [one.name for one in taken] == ["inner", "outer", "before", "root"]
    assert {one.place.trace_id for one in taken} == {root.place.trace_id}
    assert inner.place == place
    assert (inner.parent, outer.parent, before.parent, top.parent) == (
        outer.place.span_id,
        top.place.span_id,
        top.place.span_id,
        None,
    )
    assert (inner.attributes, before.began) == ({"number": 1}, AT)


def test_nothing_is_traced_where_nobody_takes_it() -> None:
    with tracing.trace(None, "root") as root, tracing.span("within"):
        assert (root, tracing.here()) == (None, None)


def test_a_span_that_fails_says_the_kind_of_error_and_not_its_words() -> None:
    taken: list[Span] = []
    with pytest.raises(ValueError, match="secret"), tracing.trace(taken.append, "root"):
        raise ValueError("secret")
    assert taken[0].failed == "ValueError"
    assert "secret" not in repr(taken[0])


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", (Place("a" * 32, "b" * 16),)),
        (f"00-{'a' * 32}-{'b' * 16}-00", (Place("a" * 32, "b" * 16),)),
        (f"00-{'0' * 32}-{'b' * 16}-01", ()),
        (f"00-{'a' * 32}-{'0' * 16}-01", ()),
        (f"00-{'A' * 32}-{'b' * 16}-01", ()),
        (f"01-{'a' * 32}-{'b' * 16}-01", ()),
        (f"00-{'a' * 32}-{'b' * 16}-01-x", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_where_a_caller_is_in_a_trace_is_read_strictly(said: str | None, place: tuple[Place, ...]) -> None:
    assert tracing.linked(said) == place


@contextmanager
def exporting(traces: Traces) -> Iterator[tuple[Exporter, Tally, Tally]]:
    sent, dropped = Tally(), Tally()
    exporter = Exporter(traces, sent, dropped)
    try:
        yield exporter, sent, dropped
    finally:
        exporter.close()


def test_spans_are_handed_over_as_otlp_in_json() -> None:
    with webhook_sink() as sink:
        traces = Traces(f"http://127.0.0.1:{sink.port}/v1/traces", {"authorization": "Bearer s3cret"}, "doorkeeper")
        assert "s3cret" not in repr(traces)
        with exporting(traces) as (exporter, sent, dropped):
            exporter.take(a_span())
        (call,) = sink.calls
        assert (sent.counts(), dropped.counts()) == ({(): 1}, {})
    assert (call.path, call.headers["content-type"], call.headers["authorization"]) == (
        "/v1/traces",
        "application/json",
        "Bearer s3cret",
    )
    (resource,) = call.told["resourceSpans"]
    about = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
    assert about["service.name"] == {"stringValue": "doorkeeper"}
    (span,) = resource["scopeSpans"][0]["spans"]
    assert span == {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "a",
        "kind": 2,
        "startTimeUnixNano": "1795662000123456000",
        "endTimeUnixNano": "1795662000123456000",
        "attributes": [{"key": "a", "value": {"stringValue": "b"}}, {"key": "n", "value": {"intValue": "7"}}],
        "links": [{"traceId": "3" * 32, "spanId": "4" * 16}],
        "status": {"code": 2, "message": "failed"},
    }


def _has(sink: WebhookSink, calls: int) -> bool:
    return len(sink.calls) == calls


def test_spans_that_no_collector_takes_are_dropped_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    def answers(_call: Call) -> int:
        return 503 if len(sink.calls) == 1 else 302 if len(sink.calls) == 2 else 200

    with webhook_sink(answers=answers, location="http://127.0.0.1:1/elsewhere") as sink:
        traces = Traces(f"http://user:s3cret@127.0.0.1:{sink.port}/v1/traces")
        with exporting(traces) as (exporter, sent, dropped):
            for calls in (1, 2, 3):
                exporter.take(a_span())
                eventually(partial(_has, sink, calls))
            eventually(lambda: sent.counts() == {(): 1})
            assert dropped.counts() == {(): 2}
    said = capsys.readouterr()
    words = said.out + said.err
    # Of this collector: an exporter that an earlier test left hanging may say the same of its own, just now.
    of_it = "\n".join(line for line in words.splitlines() if f"127.0.0.1:{sink.port}/" in line)
    assert of_it.count("spans cannot be handed over") == 1
    assert of_it.count("handed over again") == 1
    assert "s3cret" not in words


def test_a_collector_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_LAST_PATIENCE", 0.05)
    go_on = threading.Event()

    def answers(_call: Call) -> int:
        go_on.wait(30)
        return 200

    with (
        webhook_sink(answers=answers) as sink,
        exporting(Traces(f"http://127.0.0.1:{sink.port}/v1/traces")) as (exporter, _, dropped),
    ):
        exporter.take(a_span())
        eventually(lambda: len(sink.calls) == 1)
        for _ in range(5001):
            exporter.take(a_span())
        assert dropped.counts() == {(): 1}
        exporter.close()
        go_on.set()


def test_opentelemetrys_own_variables_say_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert traces_from_environment() is None
    monkeypatch.setenv(ENDPOINT, "https://collector.test:4318/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, tenant = a=b ")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "door")
    found = traces_from_environment()
    assert found == Traces(
        "https://collector.test:4318/v1/traces", {"authorization": "Bearer x", "tenant": "a=b"}, "door", tmp_path / "ca.pem"
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://user:pw@other.test/x")
    found = traces_from_environment()
    assert found is not None
    assert "pw" not in repr(found)
    assert (found.endpoint, found.shown) == ("http://user:pw@other.test/x", "http://other.test/x")
    for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            assert traces_from_environment() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (ENDPOINT, "collector.test:4318"),
        (ENDPOINT, "ftp://collector.test"),
        (ENDPOINT, "http://collector.test/?token=MARKER"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "MARKER"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=MARKER%0d%0ab:c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=MARKER"),
    ],
)
def test_what_they_cannot_mean_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(ENDPOINT, "http://collector.test:4318")
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as refused:
        traces_from_environment()
    assert refused.value.field == name
    assert "MARKER" not in str(refused.value)
