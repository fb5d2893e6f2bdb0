"""The book of long streams: what is told of each, when it is forgotten, and that a connection is known by its very socket."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ostiary.gateway import streams as module
from ostiary.gateway.cut import Ends, ends
from ostiary.gateway.streams import Streams

AT = 1_795_465_432_000_000_000


def record(connection: int = 1, **fields: str) -> dict[str, str]:
    """What Envoy tells of a request that goes on; each connection has a port of its own."""
    where = {
        "connection": str(connection),
        "client": "192.0.2.1",
        "client_port": str(40_000 + connection),
        "local": "127.0.0.1:443",
    }
    return {**where, "fingerprint": "aa", "path": "/a", "not_after": "2026-12-23T10:00:00.000Z", "duration": "3", **fields}


def place(connection: int = 1) -> Ends:
    return Ends("192.0.2.1", 40_000 + connection, "127.0.0.1", 443)


def located(streams: Streams, *connections: int) -> None:
    streams.located(streams.unlocated(), {place(one): 1000 + one for one in connections})


def told(streams: Streams) -> tuple[list[dict[str, Any]], list[int]]:
    messages = list(streams.news())
    return [one for each in messages for one in each["opened"]], [one for each in messages for one in each["ended"]]


def test_a_stream_is_told_once_when_it_opens_and_once_when_it_ends() -> None:
    streams = Streams()
    assert streams.goes_on("l1", AT, record())
    assert not streams.goes_on("l1", AT, record())
    located(streams, 1)
    ((opened,), gone) = told(streams)
    assert (opened["listener"], opened["fingerprint"], opened["path"], gone) == ("l1", "aa", "/a", [])
    assert told(streams) == ([], [])
    streams.ended("l1", AT, record())
    assert told(streams) == ([], [opened["id"]])
    assert len(streams) == 0


def test_of_the_connection_nothing_is_told_but_what_decides() -> None:
    streams = Streams()
    streams.goes_on("l1", AT, record(subject="C" * 9999))
    located(streams, 1)
    ((opened,), _) = told(streams)
    assert opened["subject"] == "C" * 1024
    assert opened["client"] == "192.0.2.1"
    assert not opened.keys() & {"client_port", "local", "connection"}


def test_a_request_that_ends_soon_is_in_no_book() -> None:
    streams = Streams()
    streams.ended("l1", AT, record())
    assert (len(streams), told(streams)) == (0, ([], []))


def test_streams_of_one_connection_are_told_apart_by_their_beginning() -> None:
    streams = Streams()
    assert streams.goes_on("l1", AT, record())
    assert streams.goes_on("l1", AT + 1, record())
    streams.ended("l1", AT, record())
    assert len(streams) == 1


def test_one_that_ended_before_its_socket_was_found_is_never_told() -> None:
    streams = Streams()
    streams.goes_on("l1", AT, record())
    located(streams)
    assert (len(streams), told(streams)) == (0, ([], []))


def test_a_client_that_comes_back_from_the_same_port_is_another_connection() -> None:
    streams = Streams()
    streams.goes_on("l1", AT, record())
    located(streams, 1)
    ((first,), _) = told(streams)
    streams.located({place()}, {place(): 7})
    assert told(streams) == ([], [first["id"]])


def test_a_new_control_plane_is_told_all_again() -> None:
    streams = Streams()
    streams.goes_on("l1", AT, record())
    located(streams, 1)
    before = told(streams)
    streams.tell_all_again()
    assert told(streams) == before


def test_ending_one_stream_ends_all_of_its_connection_and_counts_it_once() -> None:
    streams = Streams()
    for began in range(3):
        streams.goes_on("l1", AT + began, record(1))
    streams.goes_on("l1", AT, record(2))
    located(streams, 1, 2)
    ((first, *_), _) = told(streams)
    why = {first["id"]: "revoked"}
    assert streams.sockets(why) == {place(1): 1001}
    ((stream, reason),) = streams.ended_by_us(why, {place(1)})
    assert (stream.connection, reason, streams.cut) == (place(1), "revoked", {"revoked": 1})
    assert len(streams) == 1


def test_what_has_expired_is_found_without_anybody_saying_so() -> None:
    streams = Streams()
    streams.goes_on("l1", AT, record(1, not_after="2026-11-23T10:00:00.000Z"))
    streams.goes_on("l1", AT, record(2, not_after="2026-11-25T10:00:00.000Z"))
    streams.goes_on("l1", AT, record(3, not_after="never"))
    assert list(streams.expired(1_795_500_000.0).values()) == ["expired"]


def test_there_is_a_limit_and_room_again_when_one_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    streams = Streams()
    assert [streams.goes_on("l1", AT, record(one)) for one in range(3)] == [True, True, False]
    streams.ended("l1", AT, record(0))
    assert streams.goes_on("l1", AT, record(2))


def test_many_are_told_in_several_messages() -> None:
    streams = Streams()
    for one in range(1201):
        streams.goes_on("l1", AT, record(one))
    located(streams, *range(1201))
    assert [len(message["opened"]) for message in streams.news()] == [500, 500, 201]


@pytest.mark.parametrize(
    ("client", "port", "local", "found"),
    [
        ("192.0.2.1", "5", "127.0.0.1:443", Ends("192.0.2.1", 5, "127.0.0.1", 443)),
        ("2001:db8::1", "5", "[::1]:443", Ends("2001:db8::1", 5, "::1", 443)),
        ("::ffff:192.0.2.1", "5", "[::ffff:127.0.0.1]:443", Ends("192.0.2.1", 5, "127.0.0.1", 443)),
        ("", "", "", None),
        ("/run/api.sock", "0", "/run/api.sock", None),
        ("192.0.2.1", "-", "127.0.0.1:443", None),
    ],
)
def test_a_connection_is_known_by_its_two_ends(client: str, port: str, local: str, found: Ends | None) -> None:
    assert ends(client, port, local) == found


class Machine(RuleBasedStateMachine):
    """Whatever happens in whatever order, who is told knows exactly what is open and found."""

    open_ones = Bundle("open_ones")

    def __init__(self) -> None:
        super().__init__()
        self.streams = Streams()
        self.known: set[int] = set()
        self.connections = 0

    @rule(target=open_ones)
    def open(self) -> int:
        self.connections += 1
        self.streams.goes_on("l1", AT, record(self.connections))
        return self.connections

    @rule(one=open_ones)
    def still_there(self, one: int) -> None:
        self.streams.goes_on("l1", AT + one, record(one))

    @rule(one=consumes(open_ones))
    def end(self, one: int) -> None:
        for began in (AT, AT + one):
            self.streams.ended("l1", began, record(one))

    @rule(gone=st.sets(st.integers(1, 9)))
    def locate(self, gone: set[int]) -> None:
        asked = self.streams.unlocated()
        self.streams.located(asked, {one: one.client_port for one in asked if one.client_port - 40_000 not in gone})

    @rule()
    def tell(self) -> None:
        opened, gone = told(self.streams)
        self.known = (self.known - set(gone)) | {one["id"] for one in opened}

    @rule()
    def another_control_plane(self) -> None:
        self.streams.tell_all_again()
        self.known = set()

    @rule()
    def cut(self) -> None:
        why = dict.fromkeys(sorted(self.known)[:1], "revoked")
        self.streams.ended_by_us(why, self.streams.sockets(why).keys())

    @invariant()
    def every_connection_is_one_that_is_open(self) -> None:
        assert len(self.streams.connections()) <= self.connections

    def teardown(self) -> None:
        self.tell()
        found = {number for number, one in self.streams._open.items() if one.socket is not None}
        assert self.known == found


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
test_who_is_told_knows_what_is_open = Machine.TestCase
