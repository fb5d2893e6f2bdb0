"""A whole ostiary to measure: `ostiary demo` on free ports in a folder of its own, or one that runs already."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from benchmarks.load import Door

from support.ports import free_port
from support.processes import Running, start
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

Listener = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """A running ostiary: its API, and the door of its first HTTPS listener."""

    api: httpx.Client
    door: Door
    listener_id: str

    def listener(self) -> Listener:
        """The listener as the API shows it."""
        answer = self.api.get(f"/v2/lbaas/listeners/{self.listener_id}").raise_for_status()
        listener: Listener = answer.json()["listener"]
        return listener

    def change_listener(self, **changes: object) -> None:
        """Change the listener through the API."""
        answer = self.api.put(f"/v2/lbaas/listeners/{self.listener_id}", json={"listener": changes})
        if answer.is_error:
            raise RuntimeError(f"the API refused {changes}: {answer.status_code} {answer.text}")

    def wait_until_active(self) -> None:
        """Until the gateway has confirmed the last change."""

        def active() -> bool:
            listener = self.listener()
            if listener["provisioning_status"] == "ERROR":
                raise RuntimeError(f"the listener is in ERROR: {listener}")
            return bool(listener["provisioning_status"] == "ACTIVE")

        eventually(active)


@contextmanager
def demo() -> Iterator[Stack]:
    """Start `ostiary demo` and stop it afterwards."""
    port, listen = free_port(), f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder:
        data = Path(folder) / "data"
        ostiary = Path(sys.executable).with_name("ostiary")
        process = start(ostiary, "demo", "--data-dir", data, "--port", port, "--listen", listen, folder=Path(folder))
        try:
            eventually(lambda: _lets_in(process, data, port), within=60)
            token = (data / "admin.token").read_text().strip()
            with attached(f"http://{listen}", token, port, data / "demo") as stack:
                yield stack
        finally:
            process.stop()


def _lets_in(process: Running, data: Path, port: int) -> bool:
    if not process.is_alive:
        raise RuntimeError(f"ostiary demo ended:\n{process.output()}")
    files = data / "demo"
    client = TLSClient(port, ca=files / "ca.pem", cert=files / "client.pem", key=files / "client.key")
    try:
        return client.get("/").status == 200
    except Refused:
        return False


@contextmanager
def attached(url: str, token: str, port: int, files: Path) -> Iterator[Stack]:
    """One that runs already; `files` is where its demo wrote ca.pem, client.pem and client.key."""
    door = Door(port, files / "ca.pem", files / "client.pem", files / "client.key")
    with httpx.Client(base_url=url, headers={"X-Auth-Token": token}, timeout=30) as api:
        listeners = api.get("/v2/lbaas/listeners", params={"protocol_port": port}).raise_for_status().json()["listeners"]
        (listener,) = [listener for listener in listeners if listener["protocol_port"] == port]
        yield Stack(api, door, listener["id"])


def token_from(file: str | None) -> str:
    """The admin token: from a file when one is named, else from OSTIARY_TOKEN."""
    return Path(file).read_text().strip() if file else os.getenv("OSTIARY_TOKEN", "")
