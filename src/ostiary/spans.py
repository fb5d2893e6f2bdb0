"""Hand spans to an OpenTelemetry collector: OTLP over HTTP, as JSON, in batches, by a thread of its own.

Tracing helps to see what is slow; nothing waits for it. When the collector does not answer, or is slower than we are, spans are
dropped and counted, and that is said once.
"""

import json
import queue
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final

import httpx
import structlog

from ostiary.measuring import Tally
from ostiary.settings import Traces
from ostiary.tracing import Place, Span

_MOST_WAITING: Final = 5000
_AT_ONCE: Final = 500
_EVERY: Final = 1.0  # seconds
_PATIENCE: Final = 10.0
_LAST_PATIENCE: Final = 2.0  # at the end
_KINDS: Final = {"internal": 1, "server": 2}
_ERROR: Final = 2

log = structlog.get_logger(source="traces")


class Exporter:
    """Takes spans from any thread and sends them until it is closed."""

    def __init__(self, traces: Traces, sent: Tally, dropped: Tally) -> None:
        self.sent, self.dropped = sent, dropped
        self._traces = traces
        self._waiting: queue.Queue[Span | None] = queue.Queue(_MOST_WAITING)
        self._instance = secrets.token_hex(8)
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def take(self, span: Span) -> None:
        """One more, to be sent soon."""
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            self.dropped.add()

    def close(self) -> None:
        """Send what waits, unless that takes too long."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_LAST_PATIENCE)
        self._thread.join(_LAST_PATIENCE)

    def _run(self) -> None:
        verify: Any = str(self._traces.ca_file) if self._traces.ca_file is not None else True
        headers = {**self._traces.headers, "content-type": "application/json"}
        with httpx.Client(headers=headers, timeout=_PATIENCE, trust_env=False, follow_redirects=False, verify=verify) as client:
            is_open = True
            while is_open:
                batch, is_open = self._batch()
                if batch:
                    self._send(client, batch)

    def _batch(self) -> tuple[list[Span], bool]:
        """What has come within a second of the first, and whether more will."""
        found: list[Span] = []
        while len(found) < _AT_ONCE:
            try:
                one = self._waiting.get(timeout=_EVERY if found else None)
            except queue.Empty:
                break
            if one is None:
                return found, False
            found.append(one)
        return found, True

    def _send(self, client: httpx.Client, batch: list[Span]) -> None:
        try:
            reply = client.post(self._traces.endpoint, content=json.dumps(document(batch, self._traces.service, self._instance)))
            problem = "" if reply.is_success else f"it answered with status {reply.status_code}"
        except (httpx.HTTPError, OSError) as error:
            problem = type(error).__name__
        if problem:
            self.dropped.add(count=len(batch))
            if not self._is_failing:
                log.warning("spans cannot be handed over; they are dropped", endpoint=self._traces.shown, problem=problem)
        else:
            self.sent.add(count=len(batch))
            if self._is_failing:
                log.info("spans are handed over again", endpoint=self._traces.shown)
        self._is_failing = bool(problem)


def document(batch: list[Span], service: str, instance: str) -> dict[str, Any]:
    """An ExportTraceServiceRequest as OTLP 1.x writes it in JSON: ids in hexadecimal, 64-bit numbers as text."""
    about = {"service.name": service, "service.version": version("ostiary"), "service.instance.id": instance}
    scope = {"scope": {"name": "ostiary"}, "spans": [_span(one) for one in batch]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(about)}, "scopeSpans": [scope]}]}


def _span(one: Span) -> dict[str, Any]:
    began, ended = one.nanoseconds
    return {
        **_place(one.place),
        **({"parentSpanId": one.parent} if one.parent else {}),
        "name": one.name,
        "kind": _KINDS[one.kind],
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(ended),
        "attributes": _attributes(one.attributes),
        "links": [_place(link) for link in one.links],
        "status": {"code": _ERROR, "message": one.failed} if one.failed else {},
    }


def _place(place: Place) -> dict[str, str]:
    return {"traceId": place.trace_id, "spanId": place.span_id}


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
