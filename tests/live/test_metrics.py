"""What a monitoring system reads of a real Envoy under real traffic: exact, and never less than before, whatever is killed."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.backend import Backend
from support.certs import Authority
from support.processes import Running
from support.scraped import Scrape
from support.stack import Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually, eventually_passes

pytestmark = pytest.mark.live


@pytest.fixture
def ostiary(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    with Ostiary(tmp_path, start_process) as running:
        yield running


@pytest.fixture
def ca() -> Authority:
    return Authority.root("Metrics root")


@pytest.fixture
def door(ostiary: Ostiary, backend: Backend, ca: Authority) -> Door:
    """/secret is for nobody."""
    trust = ostiary.secret(ca.cert_pem)
    made = ostiary.door(backend.port, name='The "door"', client_authentication="MANDATORY", client_ca_tls_container_ref=trust)
    for rule in ({"name": "all but /secret", "action": "DENY", "paths": ["/secret"]}, {"name": "the rest", "action": "ALLOW"}):
        ostiary.call("POST", "/v1/access-rules", {"access_rule": {"listener_id": made.id, **rule}})
    ostiary.until_active(made.id)
    return made


@pytest.fixture
def alice(ostiary: Ostiary, door: Door, ca: Authority, tmp_path: Path) -> TLSClient:
    paths = ca.client("alice").write(tmp_path, "alice")
    return TLSClient(door.port, ca=ostiary.server_ca, cert=paths.chain, key=paths.key)


def come(client: TLSClient, *, admitted: int = 0, refused: int = 0, failed: int = 0) -> None:
    """Requests that are let in, that a rule refuses, and that show no certificate; each on a connection of its own."""
    for _ in range(admitted):
        assert client.get("/").status == 200
    for _ in range(refused):
        assert client.get("/secret").status == 403
    for _ in range(failed):
        with pytest.raises(Refused):
            client.without_certificate().get("/")


def until_counted(ostiary: Ostiary, door: Door, admitted: int, refused: int, failed: int) -> Scrape:
    """Wait until exactly these are counted; the scrape that says so, in which nothing contradicts it."""
    here = {"listener": door.id}
    scrapes: list[Scrape] = []

    def counted() -> None:
        scrape = Scrape.of(ostiary)
        said = {
            "admitted": scrape.value("ostiary_listener_requests_admitted_total", **here),
            "requests": scrape.value("ostiary_listener_requests_total", **here),
            "2xx": scrape.value("ostiary_listener_responses_total", **here, **{"class": "2xx"}),
            "4xx": scrape.value("ostiary_listener_responses_total", **here, **{"class": "4xx"}),
            "handshakes": scrape.value("ostiary_listener_tls_handshakes_total", **here),
            "no_cert": scrape.value("ostiary_listener_tls_handshakes_failed_total", **here, reason="no_cert"),
            "connections": scrape.value("ostiary_listener_connections_total", **here),
            "timed": scrape.value("ostiary_listener_request_duration_seconds_count", **here),
            "by_rule": scrape.value("ostiary_denials_total", **here, code="denied_by_rule", stage="request"),
            "no_certificate": scrape.value("ostiary_denials_total", **here, code="no_certificate", stage="handshake"),
        }
        assert said == {
            "admitted": admitted,
            "requests": admitted + refused,
            "2xx": admitted,
            "4xx": refused,
            "handshakes": admitted + refused,
            "no_cert": failed,
            "connections": admitted + refused + failed,
            "timed": admitted + refused,
            "by_rule": refused,
            "no_certificate": failed,
        }
        scrapes.append(scrape)

    eventually_passes(counted)
    return scrapes[-1]


def pid_in(ostiary: Ostiary, name: str) -> int:
    return int(json.loads((ostiary.data_dir / "run" / name).read_text())["pid"])


def test_what_is_counted_is_exact_whatever_is_killed(ostiary: Ostiary, door: Door, alice: TLSClient) -> None:
    come(alice, admitted=7, refused=2, failed=3)
    first = until_counted(ostiary, door, 7, 2, 3)
    here = {"listener": door.id}
    assert first.labels("ostiary_listener_requests_total", **here)["listener_name"] == 'The "door"'
    assert first.value("ostiary_listener_sent_bytes_total", **here) > 0
    assert first.value("ostiary_listener_certificate_expires_timestamp_seconds", **here) > 1e9
    assert first.value("ostiary_gateways_connected") == 1
    assert first.value("ostiary_xds_answers_total", type="listener", answer="ack") > 0
    eventually(lambda: Scrape.of(ostiary).value("ostiary_time_to_effect_seconds_count", change="revision") > 0)

    # Envoy, whose counters begin anew.
    envoy = pid_in(ostiary, "envoy.pid")
    os.kill(envoy, signal.SIGKILL)
    eventually(lambda: pid_in(ostiary, "envoy.pid") != envoy)
    eventually(lambda: alice.get("/").status == 200)
    come(alice, admitted=4, failed=1)
    second = until_counted(ostiary, door, 12, 2, 4)
    assert second.value("ostiary_gateway_engine_restarts_total") == 1

    # The keeper; another one takes the same Envoy over.
    os.kill(pid_in(ostiary, "keeper.pid"), signal.SIGKILL)
    come(alice, admitted=2)
    third = until_counted(ostiary, door, 14, 2, 4)

    # The control plane, with what it had in memory; Envoy serves on.
    assert ostiary.process is not None
    ostiary.process.kill()
    come(alice, admitted=5, refused=1)
    ostiary.start()
    last = until_counted(ostiary, door, 19, 3, 4)
    for before, after in ((first, second), (second, third), (third, last)):
        assert after.shrunk_since(before, "ostiary_listener_", "ostiary_gateway_", "ostiary_denials_", "ostiary_audit_") == []
