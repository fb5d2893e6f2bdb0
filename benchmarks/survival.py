"""How long until traffic is served: at first start, after Envoy is killed, and what a killed control plane costs.

    .venv/bin/python benchmarks/survival.py [--rounds 5]

Everything is real: `ostiary demo` and `ostiary up` as processes, SIGKILL, TLS clients with a certificate. Exits 1 if a request
failed while only the control plane was killed.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks import stack  # noqa: E402 (after the path is set)
from support.backend import Backend  # noqa: E402 (after the path is set)
from support.certs import Authority  # noqa: E402 (after the path is set)
from support.stack import Ostiary  # noqa: E402 (after the path is set)
from support.tls_clients import Refused, TLSClient  # noqa: E402 (after the path is set)
from support.traffic import Traffic  # noqa: E402 (after the path is set)
from support.wait import eventually  # noqa: E402 (after the path is set)

GROWN_UP: Final = 4.0  # The keeper's back-off starts anew for an Envoy that has lived for 3 s.


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def is_let_in(client: TLSClient) -> bool:
    """Whether a client with a certificate is answered."""
    try:
        return client.get("/").status == 200
    except Refused:
        return False


def kill_envoy(ostiary: Ostiary, client: TLSClient) -> float:
    """Seconds from SIGKILL until requests are served again. An Envoy that dies young waits longer, so it lives a while first."""
    time.sleep(GROWN_UP)
    pid = int(json.loads((ostiary.data_dir / "run" / "envoy.pid").read_text())["pid"])

    def killed_and_back() -> None:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: is_let_in(client))

    return seconds(killed_and_back)


def kill_control_plane(ostiary: Ostiary, client: TLSClient) -> tuple[int, list[str], float]:
    """Requests answered and failed meanwhile, and seconds from the new start until API and gateway are there."""
    with Traffic(client) as traffic:
        assert ostiary.process is not None
        ostiary.process.kill()
        traffic.goes_on()
        back = seconds(ostiary.start)
        traffic.goes_on()
    return traffic.answered, traffic.failures, back


def row(name: str, values: list[float]) -> str:
    """Median and maximum of some seconds."""
    return f"{name:<58}{statistics.median(values):>8.2f} s{max(values):>8.2f} s"


def measure(rounds: int) -> int:
    """Measure and print; the exit status."""
    print(f"{'':<58}{'median':>10}{'max':>10}")
    print(row("`ostiary demo` on an empty folder → first admitted request", [_demo() for _ in range(rounds)]))
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, Backend() as backend, Ostiary(Path(folder)) as ostiary:
        ca = Authority.root()
        paths = ca.client("bench").write(Path(folder))
        door = ostiary.door(
            backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem)
        )
        client = TLSClient(door.port, ca=ostiary.server_ca, cert=paths.chain, key=paths.key)
        print(row("Envoy SIGKILLed → serving again", [kill_envoy(ostiary, client) for _ in range(rounds)]))
        back, answered = [], 0
        for _ in range(rounds):
            more, failed, took = kill_control_plane(ostiary, client)
            answered, failures = answered + more, failures + failed
            back.append(took)
        print(row("control plane SIGKILLed, started → API and gateway connected", back))
        assert ostiary.process is not None
        ostiary.process.kill()
        print(
            row("Envoy SIGKILLed while the control plane is down → serving", [kill_envoy(ostiary, client) for _ in range(rounds)])
        )
        ostiary.start()
    print(f"\nrequests while the control plane was killed {rounds} times: {answered} answered, {len(failures)} failed")
    return 1 if failures else 0


def _demo() -> float:
    began = time.monotonic()
    with stack.demo():  # It begins once a request has been admitted.
        return time.monotonic() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    sys.exit(measure(parser.parse_args().rounds))
