"""Envoy takes no more memory than it may: who leaves answers unread loses them, and others are served."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from support.endless import Endless
from support.processes import Running
from support.stack import PROGRAM, Door, Ostiary
from support.tls_clients import Connection, Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

BOUND_MIB = 128
ROOM_MIB = 4 * BOUND_MIB  # it is looked at four times a second only, and what comes in between is a tenth of what is asked for
STREAMS = 100  # of each hostile connection, as many as Envoy allows
MOST = 60  # hostile connections: together they would hold 5 GiB


@dataclass
class Bounded(Ostiary):
    """An ostiary whose Envoy may take so much."""

    @property
    def options(self) -> tuple[object, ...]:
        return ("--gateway-memory-mib", BOUND_MIB, "--workers", 1)

    def memory(self) -> dict[str, Any]:
        """What the API tells of it."""
        (gateway,) = self.call("GET", "/v1/gateways")["gateways"]
        return dict(gateway["memory"] or {})

    def counted(self, what: str) -> float:
        """One of the things that were let go of, as /metrics has it."""
        lines = self.request("GET", "/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("ostiary_gateway_shed_total") and what in line)

    def most_memory(self) -> float:
        """MiB that Envoy ever had resident."""
        pid = json.loads((self.data_dir / "run" / "envoy.pid").read_text())["pid"]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

    def reasons(self) -> set[tuple[str, str, int]]:
        """Verdict, reason and status of requests on record that have a reason."""
        lines = map(json.loads, (self.data_dir / "logs" / "access.jsonl").read_text().splitlines())
        requests = (line for line in lines if line["event_name"] == "ostiary.request" and "ostiary.reason" in line)
        return {(one["ostiary.verdict"], one["ostiary.reason"], one["http.response.status_code"]) for one in requests}


@dataclass
class Hoarder:
    """A connection that asks for a hundred endless answers and reads none."""

    connection: Connection
    talk: h2.connection.H2Connection = field(
        default_factory=lambda: h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    )
    answered: int = 0
    reset: int = 0
    over: bool = False

    def ask(self) -> None:
        self.talk.initiate_connection()
        for number in range(1, 2 * STREAMS, 2):
            head = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/endless")]
            self.talk.send_headers(number, head, end_stream=True)
        self.connection.tls.sendall(self.talk.data_to_send())

    def hear(self, seconds: float) -> None:
        """What comes, without making room for more: the windows are never opened again."""
        self.connection.tls.settimeout(seconds)
        try:
            while self.answered + self.reset < STREAMS and not self.over:
                data = self.connection.tls.recv(65_536)
                self.over = not data
                for event in self.talk.receive_data(data):
                    self.answered += isinstance(event, h2.events.ResponseReceived)
                    self.reset += isinstance(event, h2.events.StreamReset)
        except TimeoutError:
            return
        except (OSError, h2.exceptions.ProtocolError):
            self.over = True


@pytest.fixture
def house(tmp_path: Path, start_process: Any) -> Iterator[Bounded]:
    def launch(*words: object, folder: Path) -> Running:
        running: Running = start_process(*words, folder=folder)
        return running

    with Bounded(tmp_path, launch) as ostiary:
        yield ostiary


def hoard(door: Door, house: Bounded, held: ExitStack) -> list[Hoarder]:
    """Open connections and leave their answers unread until the gateway has let go of some."""
    client = TLSClient(door.port, ca=house.server_ca, alpn=("h2",))
    found: list[Hoarder] = []
    for _ in range(MOST):
        one = Hoarder(held.enter_context(client.connect()))
        found.append(one)
        one.ask()
        one.hear(0.5)
        if house.memory()["acting"].get("reset_high_memory_stream"):
            break
    return found


def test_who_leaves_answers_unread_loses_them_and_others_are_served(house: Bounded) -> None:
    with Endless() as inside, ExitStack() as held:
        door = house.door(inside.port)
        good = TLSClient(door.port, ca=house.server_ca)
        assert good.get("/").status == 200
        at_rest = house.most_memory()
        eventually(lambda: house.memory().get("limit") == BOUND_MIB * 1024 * 1024, within=30)
        hoarders = hoard(door, house, held)
        eventually(lambda: house.counted("streams_reset") > 0, within=60)

        def is_reset() -> bool:
            for one in hoarders:
                one.answered = 0
                one.hear(0.05)
            return any(one.reset for one in hoarders)

        eventually(is_reset, within=60)
        eventually(lambda: good.get("/").status == 200, within=60)
        assert not all(one.over for one in hoarders), "they are still there"
        assert house.most_memory() < at_rest + ROOM_MIB
        eventually(lambda: ("admitted", "overloaded", 200) in house.reasons(), within=30)
        held.close()
        eventually(lambda: not house.memory()["acting"], within=60)
        assert good.get_h2("/")[0].status == 200


def test_who_leaves_answers_unread_over_http1_is_ended_for_standing_still_and_others_are_served(house: Bounded) -> None:
    with Endless() as inside, ExitStack() as held:
        door = house.door(inside.port)
        good = TLSClient(door.port, ca=house.server_ca)
        at_rest = house.most_memory()

        def some_more() -> bool:
            """Nobody resets these; whether it is too much by now."""
            for _ in range(40):
                with contextlib.suppress(Refused, OSError):
                    connection = held.enter_context(good.connect())
                    connection.tls.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return bool(house.memory()["acting"].get("reduce_timeouts") == 100)

        def was_ended() -> bool:
            record = (house.data_dir / "logs" / "access.jsonl").read_text()
            return "stream_idle_timeout" in record

        eventually(lambda: house.memory().get("limit"), within=30)
        eventually(some_more, within=60)
        eventually(was_ended, within=60)
        eventually(lambda: good.get("/").status == 200, within=60)
        assert house.most_memory() < at_rest + ROOM_MIB


def test_more_memory_than_there_is_is_refused_by_the_name_of_the_option(tmp_path: Path, start_process: Any) -> None:
    running = start_process(PROGRAM, "up", "--data-dir", tmp_path / "data", "--gateway-memory-mib", 10**9, folder=tmp_path)
    eventually(lambda: not running.is_alive, within=30)
    assert "--gateway-memory-mib: 1000000000 is not from 128 to" in running.output()
