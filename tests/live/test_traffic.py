"""What came through a real Envoy, and what it refused, is counted to the last one, whatever is killed meanwhile."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.backend import Backend
from support.certs import Authority
from support.processes import Running
from support.stack import Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually, eventually_passes

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Traffic root")


@pytest.fixture
def ostiary(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    with Ostiary(tmp_path, start_process) as running:
        yield running


@pytest.fixture
def door(ostiary: Ostiary, backend: Backend, ca: Authority) -> Door:
    """/secret is for nobody."""
    made = ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem))
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


def counted(ostiary: Ostiary, query: str = "") -> dict[str, Any]:
    found = ostiary.call("GET", f"/v1/traffic?points=1000&{query}")["traffic"]
    sums = {name: sum(one[name] for one in found["steps"]) for name in ("requests", "handshakes", "failed_handshakes")}
    return {"admitted": found["admitted"], "refused": found["refused"], **sums}


def expected(admitted: int, refused: int, failed: int) -> dict[str, Any]:
    return {
        "admitted": admitted,
        "refused": {"denied_by_rule": refused, "no_certificate": failed},
        "requests": admitted + refused,
        "handshakes": admitted + refused,
        "failed_handshakes": failed,
    }


def until_counted(ostiary: Ostiary, wanted: dict[str, Any]) -> None:
    def is_so() -> None:
        assert counted(ostiary) == wanted

    eventually_passes(is_so)


def pid_in(ostiary: Ostiary, name: str) -> int:
    return int(json.loads((ostiary.data_dir / "run" / name).read_text())["pid"])


def test_requests_and_refusals_are_counted_exactly_whatever_is_killed(ostiary: Ostiary, door: Door, alice: TLSClient) -> None:
    come(alice, admitted=7, refused=3, failed=2)
    assert alice.get("/a%2fb").status == 400  # neither admitted nor refused by a check: nobody can read it
    until_counted(ostiary, {**expected(7, 3, 2), "requests": 11, "handshakes": 11})
    assert counted(ostiary, f"listener_id={door.id}") == counted(ostiary)
    assert counted(ostiary, "listener_id=another")["requests"] == 0

    # The control plane, with what it had in memory; Envoy serves on.
    assert ostiary.process is not None
    ostiary.process.kill()
    come(alice, admitted=5, refused=1, failed=4)
    ostiary.start()
    until_counted(ostiary, {**expected(12, 4, 6), "requests": 17, "handshakes": 17})

    # The keeper; another one takes the same Envoy over.
    os.kill(pid_in(ostiary, "keeper.pid"), signal.SIGKILL)
    come(alice, admitted=2)
    until_counted(ostiary, {**expected(14, 4, 6), "requests": 19, "handshakes": 19})

    # Envoy itself, whose counters begin anew.
    envoy = pid_in(ostiary, "envoy.pid")
    os.kill(envoy, signal.SIGKILL)
    eventually(lambda: pid_in(ostiary, "envoy.pid") != envoy)
    eventually(lambda: alice.get("/").status == 200)
    come(alice, admitted=20, failed=1)
    until_counted(ostiary, {**expected(35, 4, 7), "requests": 40, "handshakes": 40})
