"""One change as the log and a trace tell it, on a whole ostiary: the same request id everywhere, and nothing secret anywhere."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from support.backend import Backend, TCPEcho
from support.ports import free_port
from support.processes import Running, start
from support.scraped import Scrape
from support.stack import Door, Ostiary
from support.wait import eventually
from support.webhook_sink import WebhookSink, webhook_sink

pytestmark = pytest.mark.live

MARKER = "MARKER-that-nobody-may-write"
CALLER = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


@dataclass
class Watched(Ostiary):
    """One that says all that it has to say, and hands its spans to a collector."""

    @property
    def options(self) -> tuple[object, ...]:
        return ("--log-level", "debug", "--log-format", "json")

    def lines(self) -> list[dict[str, Any]]:
        """What it has written."""
        assert self.process is not None
        return [json.loads(line) for line in self.process.output().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def collector() -> Iterator[WebhookSink]:
    with webhook_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, collector: WebhookSink) -> Iterator[Watched]:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{collector.port}/",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{MARKER}",
        "OTEL_SERVICE_NAME": "doorkeeper",
    }
    launch: Callable[..., Running] = partial(start, env=env)
    with Watched(tmp_path_factory.mktemp("watched"), launch) as running:
        yield running


@pytest.fixture(scope="module")
def door(watched: Watched, inside: Backend) -> Door:
    return watched.door(inside.port)


@dataclass(frozen=True)
class Told:
    """A span as a collector hears it."""

    trace: str
    id: str
    parent: str
    name: str
    said: dict[str, str]
    links: tuple[str, ...]
    began: int
    ended: int


def spans(collector: WebhookSink) -> list[Told]:
    found = []
    for call in list(collector.calls):
        (resource,) = call.told["resourceSpans"]
        for span in (one for scope in resource["scopeSpans"] for one in scope["spans"]):
            said = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
            links = tuple(link["traceId"] for link in span["links"])
            times = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            found.append(Told(span["traceId"], span["spanId"], span.get("parentSpanId", ""), span["name"], said, links, *times))
    return found


def test_one_trace_shows_a_change_from_the_call_to_the_acknowledgement(
    watched: Watched, door: Door, collector: WebhookSink
) -> None:
    reply = watched.request(
        "PUT", f"/v2/lbaas/listeners/{door.id}", {"listener": {"name": "traced"}}, headers={"traceparent": CALLER}
    )
    request_id = reply.headers["x-openstack-request-id"]
    revision = str(watched.revision())

    def whole() -> list[Told]:
        traces = {one.trace for one in spans(collector) if one.said.get("ostiary.request_id") == request_id}
        its = [one for one in spans(collector) if one.trace in traces]
        return its if any(one.name == "acknowledged by a gateway" for one in its) else []

    its = eventually(whole)
    by_name = {one.name: one for one in its}
    (root,) = (one for one in its if not one.parent)
    assert root.name == "PUT /v2/lbaas/listeners/{listener_id}"
    assert root.said["http.response.status_code"] == "200"
    # What the caller says of its own trace is a link, and no more than that.
    assert root.trace != CALLER.split("-")[1]
    assert root.links == (CALLER.split("-")[1],)
    assert {
        "database transaction",
        "database commit",
        "translate, to see that it can be carried out",
        "build the configuration",
        "publish it to the gateways",
        "acknowledged by a gateway",
    } <= by_name.keys()
    ids = {one.id for one in its}
    assert all(one.parent in ids for one in its if one is not root)
    assert all(one.began <= one.ended for one in its)
    acknowledged = by_name["acknowledged by a gateway"]
    assert acknowledged.said["ostiary.revision"] == revision
    (gateway,) = watched.call("GET", "/v1/gateways")["gateways"]
    assert acknowledged.said["ostiary.gateway"] == gateway["id"]
    assert by_name["publish it to the gateways"].began <= acknowledged.ended


def test_a_change_is_in_the_log_under_the_id_that_its_caller_and_the_record_have(watched: Watched, door: Door) -> None:
    reply = watched.request("PUT", f"/v2/lbaas/listeners/{door.id}", {"listener": {"description": "logged"}})
    request_id, revision = reply.headers["x-openstack-request-id"], watched.revision()
    (entry,) = [one for one in watched.call("GET", "/v1/audit")["audit"] if one["request_id"] == request_id]
    assert entry["revision"] == revision

    def its_line() -> list[dict[str, Any]]:
        return [one for one in watched.lines() if one.get("request_id") == request_id and one["event"] == "request"]

    (line,) = eventually(its_line)
    assert {name: line[name] for name in ("level", "method", "route", "status", "actor", "role", "revision", "from")} == {
        "level": "info",
        "method": "PUT",
        "route": "/v2/lbaas/listeners/{listener_id}",
        "status": 200,
        "actor": "admin",
        "role": "admin",
        "revision": revision,
        "from": "127.0.0.1",
    }
    assert 0 < line["seconds"] < 60
    eventually(lambda: [one for one in watched.lines() if one["event"] == "published" and one["revision"] == revision])
    reads = [one for one in watched.lines() if one["event"] == "request" and one["method"] == "GET"]
    assert reads
    assert {one["level"] for one in reads if one["status"] < 400} == {"debug"}
    assert [one for one in watched.lines() if one.get("source") == "keeper" and one.get("gateway")]


@pytest.mark.usefixtures("door")
def test_nothing_that_a_client_sends_is_written(watched: Watched, collector: WebhookSink) -> None:
    base = f"http://{watched.listen}"
    marked = {"Cookie": f"session={MARKER}", "X-Auth-Token": MARKER, "Authorization": f"Bearer {MARKER}", "X-Other": MARKER}
    with httpx.Client(trust_env=False, base_url=base, headers=marked) as client:
        tried = [
            client.get(f"/v1/audit?q={MARKER}"),
            client.get(f"/{MARKER}"),
            client.get(f"/enroll/{MARKER}"),
            client.post("/v1/enroll", json={"token": MARKER, "csr": MARKER}),
            client.get(f"/console/sign-in/{MARKER}"),
            client.post("/console/sign-in", data={"token": MARKER}),
            client.get(f"/console/balancers?search={MARKER}"),
            client.request(MARKER[:6], f"/v1/{MARKER}"),
            client.get("/v1/audit", headers={"traceparent": f"00-{MARKER}-{MARKER}-01"}),
        ]
    assert {one.status_code // 100 for one in tried} <= {3, 4}
    admin = watched.request("POST", f"/v1/secrets?{MARKER}", {"name": 7, "payload": MARKER})
    assert admin.status_code == 400
    ids = {one.headers["x-openstack-request-id"] for one in (*tried, admin)}
    eventually(lambda: ids <= {one.get("request_id") for one in watched.lines()})
    token = (watched.data_dir / "admin.token").read_text()
    assert watched.process is not None
    for text in (watched.process.output(), json.dumps([call.told for call in collector.calls])):
        assert MARKER not in text
        assert token not in text
    strangers = [one for one in watched.lines() if one.get("request_id") in ids and one["event"] == "request"]
    assert {one["role"] for one in strangers if "role" in one} == {"public", "admin"}
    # The collector alone has what it is to be shown.
    eventually(lambda: bool(collector.calls))
    assert {call.headers["authorization"] for call in collector.calls} == {f"Bearer {MARKER}"}
    assert {call.path for call in collector.calls} == {"/v1/traces"}


def _with_spans(text: str) -> str:
    """What was told, once spans were sent; they are in their own time."""
    sent = Scrape.read(text, is_openmetrics=False).value("ostiary_spans_sent_total")
    return text if sent and sent > 0 else ""


@pytest.mark.usefixtures("door")
def test_prometheus_itself_accepts_what_is_told(watched: Watched) -> None:
    secret = watched.call("POST", "/v1/tokens", {"token": {"role": "monitor", "name": "prometheus"}})["token"]["secret"]
    shown = {"Authorization": f"Bearer {secret}"}  # as `credentials_file` is sent
    with httpx.Client(trust_env=False, base_url=f"http://{watched.listen}", headers=shown) as client:
        assert client.get("/v1/gateways").status_code == 403
        text = eventually(lambda: _with_spans(client.get("/metrics").text))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, check=False, capture_output=True, text=True)
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ostiary_")] == []
    scrape = Scrape.read(text, is_openmetrics=False)
    assert scrape.value("ostiary_gateway_connected") == 1
    assert scrape.value("ostiary_http_requests_total", door="api", route="/v1/tokens", method="POST", status="2xx") == 1
    assert scrape.value("ostiary_spans_sent_total") > 0
    assert scrape.value("ostiary_audit_entries_total") > 0
    assert scrape.labels("ostiary_gateway_info")["engine_version"]


def test_a_tcp_listener_counts_connections_and_those_over_its_limit(watched: Watched) -> None:
    with TCPEcho() as echo:
        balancer = watched.balancer()
        pool = watched.pool(balancer, echo.port, protocol="TCP")
        port = free_port()
        wanted = {"protocol": "TCP", "protocol_port": port, "default_pool_id": pool, "connection_limit": 1}
        here = {"listener": str(watched.listener(balancer, **wanted)["id"])}
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(b"hello")
            assert one.recv(5) == b"hello"
            with socket.create_connection(("127.0.0.1", port)) as two:
                assert two.recv(1) == b""
            eventually(lambda: Scrape.of(watched).value("ostiary_listener_connections_active", **here) == 1)
        eventually(lambda: Scrape.of(watched).value("ostiary_listener_connections_active", **here) == 0)
        scrape = Scrape.of(watched)
        assert scrape.value("ostiary_listener_connections_limited_total", **here) == 1
        assert scrape.value("ostiary_listener_received_bytes_total", **here) == 5
        assert scrape.found("ostiary_listener_request_duration_seconds_count", **here) == []
    watched.call("DELETE", f"/v2/lbaas/listeners/{here['listener']}")
    assert Scrape.of(watched).found("ostiary_listener_connections_total", **here) == []
