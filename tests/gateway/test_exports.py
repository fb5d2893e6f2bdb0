"""The access record is sent on to syslog and OTLP collectors: in order, without gaps, and holding nobody up."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from ostiary import recording
from ostiary.errors import Invalid
from ostiary.gateway import sending
from ostiary.gateway.exports import Exports, check
from ostiary.gateway.journal import Journal
from ostiary.gateway.otlp_http import headers
from ostiary.gateway.record import Record
from ostiary.gateway.shelf import Shelf
from ostiary.gateway.syslog import message as syslog_message
from ostiary.gateway.written import Written
from ostiary.paths import Paths
from ostiary.recording import Recording, target
from support.certs import Authority
from support.collectors import OtlpCollector, SyslogServer
from support.collectors import message as parsed
from support.ports import free_port
from support.wait import eventually

AT: Final = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)
PAUSE: Final = (0.01, 0.05)


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


class House:
    """A keeper's record, without the keeper."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.paths.prepare()
        self.clock = Clock()
        self.began = 0
        self.begin()
        self.say()

    def begin(self) -> None:
        """As a keeper does at its start."""
        self.record = Record(self.paths, "g1", pause=PAUSE, clock=self.clock)
        self.journal = Journal(self.record.shelf, "g1", Written(self.paths.feed_written), a_second=10**6, clock=self.clock)
        self.record.learn()

    def say(self, *urls: str, **rules: Any) -> None:
        """As `ostiary up` does."""
        said = Recording(exports=tuple(map(target, urls)), **rules)
        self.paths.recording.write_bytes(said.dump())
        self.record.learn()

    def add(self, count: int = 1, **fields: Any) -> list[int]:
        """So many entries more; their numbers, which are their ports."""
        numbers = list(range(self.began + 1, self.began + count + 1))
        self.began += count
        for number in numbers:
            at = self.clock().isoformat(timespec="milliseconds")
            entry = {"at": at, "kind": "request", "listener": "l1", "client_port": str(number), "method": "GET"}
            self.journal.add(entry | fields)
        self.journal.second()
        return numbers

    def told(self, place: int = 0) -> dict[str, Any]:
        """What the control plane is told of a target."""
        exports: list[dict[str, Any]] = self.record.told()["exports"]
        return exports[place]

    def turn(self) -> None:
        """A day passes."""
        self.clock.now += timedelta(days=1)
        self.journal.second()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data")
    yield made
    made.record.stop()
    made.journal.close()


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Collectors' root")


def url_of(collector: OtlpCollector) -> str:
    return f"otlp+http://127.0.0.1:{collector.port}/v1/logs"


def numbers(server: SyslogServer | OtlpCollector) -> list[int]:
    entries = server.entries if isinstance(server, SyslogServer) else server.records
    return [entry["client.port"] for entry in entries]


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_each_entry_is_a_syslog_message_with_what_the_file_has(house: House, kind: Any) -> None:
    with SyslogServer(kind) as server:
        house.say(f"syslog+{kind}://127.0.0.1:{server.port}#facility=local4")
        house.add(2, fingerprint="ab", subject="CN=alice")
        house.add(1, refused="revoked")
        eventually(lambda: len(server.messages) == 3)
    first, _, last = server.messages
    assert (first.facility, first.severity, last.severity) == (20, 6, 4)
    assert (first.app, first.message_id, first.time) == ("ostiary", "ostiary.request", "2026-11-26T02:00:00.000+00:00")
    assert (last.entry["ostiary.verdict"], last.entry["ostiary.reason"]) == ("refused", "revoked")
    in_file = [json.loads(line) for line in house.paths.access_log.read_text().splitlines()]
    assert [{**entry, "log.record.uid": sent["log.record.uid"]} for entry, sent in zip(in_file, server.entries, strict=True)] == (
        server.entries
    )
    assert len({entry["log.record.uid"] for entry in server.entries}) == 3
    eventually(lambda: house.told()["waiting_since"] is None)
    assert house.told() == {
        "target": f"syslog+{kind}://127.0.0.1:{server.port}",
        "sent": 3,
        "dropped": 0,
        "waiting_since": None,
        "failing_since": None,
        "error": None,
    }


def test_over_tls_it_goes_only_to_whom_the_authority_vouches_for(house: House, ca: Authority, tmp_path: Path) -> None:
    right, wrong = tmp_path / "ca.pem", tmp_path / "other.pem"
    right.write_text(ca.cert_pem)
    wrong.write_text(Authority.root("Somebody else").cert_pem)
    with SyslogServer("tls", authority=ca, folder=tmp_path) as server:
        url = f"syslog+tls://127.0.0.1:{server.port}"
        house.say(f"{url}#ca={wrong}")
        house.add(2)
        eventually(lambda: "not trusted" in (house.told()["error"] or ""))
        house.say(f"{url.replace('127.0.0.1', 'localhost')}#ca={right}")
        house.add(1)
        eventually(lambda: "not trusted" in (house.told()["error"] or ""))  # it is for 127.0.0.1
        assert server.messages == []
        house.say(f"{url}#ca={right}")
        eventually(lambda: house.told()["error"] is None)
        added = house.add(1)
        eventually(lambda: numbers(server) == added)


def test_over_tls_it_shows_a_certificate_where_one_is_demanded(house: House, ca: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(ca.cert_pem)
    ours = ca.client("gateway").write(tmp_path, "gateway")
    with SyslogServer("tls", authority=ca, clients=ca, folder=tmp_path) as server:
        url = f"syslog+tls://127.0.0.1:{server.port}#ca={tmp_path / 'ca.pem'}"
        house.say(url)
        house.add(1)
        eventually(lambda: house.told()["error"])
        house.say(f"{url},cert={ours.chain},key={ours.key}")
        eventually(lambda: numbers(server) == [1])


def test_each_entry_is_a_log_record_for_opentelemetry(house: House, ca: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(ca.cert_pem)
    (tmp_path / "headers").write_text("# for the collector\nAuthorization: Bearer s3cret\n\nX-Scope: gateways\n")
    with OtlpCollector(authority=ca, folder=tmp_path) as collector:
        url = f"otlp+https://127.0.0.1:{collector.port}"
        house.say(f"{url}/in/v1/logs#ca={tmp_path / 'ca.pem'},headers={tmp_path / 'headers'}")
        house.add(1, duration="1500", fingerprint="ab", subject="CN=\u00e9\udcff", tls="TLSv1.3")
        house.add(1, refused="revoked", rule="r1")
        house.add(1, kind="connection", failure="x", refused="expired")
        eventually(lambda: len(collector.records) == 3)
    assert set(collector.paths) == {"/in/v1/logs"}
    assert {(one["Authorization"], one["X-Scope"]) for one in collector.headers} == {("Bearer s3cret", "gateways")}
    assert collector.resource["service.name"] == "ostiary"
    assert collector.resource["service.instance.id"] == "g1"
    first, second, third = collector.records
    assert (first["timestamp"], first["severity"], first["body"]) == (int(AT.timestamp()) * 10**9, "INFO", "request admitted")
    assert (first["ostiary.duration"], first["client.port"]) == (1.5, 1)
    assert (first["tls.client.hash.sha256"], first["tls.client.subject"]) == ("AB", "CN=\u00e9\\udcff")
    assert (second["severity"], second["body"], second["ostiary.rule.id"]) == ("WARN", "request refused revoked", "r1")
    assert third["tls.established"] is False
    assert all(one["log.record.uid"].startswith("g1-1-") for one in collector.records)


@pytest.mark.parametrize("kind", ["udp", "tcp", "otlp"])
def test_a_target_that_was_away_has_missed_nothing(house: House, kind: Any) -> None:
    port = free_port()
    house.say(f"otlp+http://127.0.0.1:{port}" if kind == "otlp" else f"syslog+{kind}://127.0.0.1:{port}")
    house.add(1200)
    eventually(lambda: house.told()["error"] == "Connection refused")
    assert house.told()["waiting_since"] == "2026-11-26T02:00:00.000+00:00"
    assert house.told()["failing_since"] is not None
    house.turn()  # into a file of the past, compressed
    house.add(1200)
    house.record.upkeep()
    with OtlpCollector(port) if kind == "otlp" else SyslogServer(kind, port) as server:
        eventually(lambda: len(set(numbers(server))) == 2400)
        assert sorted(set(numbers(server))) == list(range(1, 2401))
        eventually(lambda: house.told()["sent"] == 2400)
        assert (house.told()["dropped"], house.told()["error"]) == (0, None)


def test_a_target_that_comes_and_goes_misses_nothing(house: House) -> None:
    port, got = free_port(), []
    house.say(f"syslog+tcp://127.0.0.1:{port}")
    for _ in range(3):
        with SyslogServer("tcp", port) as server:
            added = house.add(50)
            eventually(lambda: set(added) <= set(numbers(server)))  # noqa: B023 (asked at once)
        got += numbers(server)
        added = house.add(50)
        eventually(lambda: house.told()["error"])
    with SyslogServer("tcp", port) as server:
        # What was sent is on its way, and lost with a server that ends before it has read it: syslog has no acknowledgements.
        eventually(lambda: {*got, *numbers(server)} == set(range(1, 301)))
        eventually(lambda: house.told()["sent"] >= 300)


def test_one_target_that_is_away_holds_up_neither_the_others_nor_the_file(house: House) -> None:
    with SyslogServer("tcp") as server, OtlpCollector() as collector, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        away, mute = free_port(), silent.getsockname()[1]
        house.say(
            f"syslog+tcp://127.0.0.1:{away}",
            f"otlp+http://127.0.0.1:{mute}",  # takes the connection, and never answers
            f"syslog+tcp://127.0.0.1:{server.port}",
            f"otlp+http://127.0.0.1:{collector.port}",
        )
        added = house.add(700)
        eventually(lambda: numbers(server) == added)
        eventually(lambda: numbers(collector) == added)
        assert len(house.paths.access_log.read_text().splitlines()) == 700


def test_a_keeper_that_is_killed_goes_on_where_it_was_and_what_is_sent_twice_can_be_told(house: House) -> None:
    with OtlpCollector() as collector:
        house.say(f"otlp+http://127.0.0.1:{collector.port}")
        house.add(10)
        eventually(lambda: house.told()["sent"] == 10)
        house.record.upkeep()
        house.add(10)
        eventually(lambda: len(collector.records) == 20)
        before = house.paths.exports.read_bytes()
        house.record.stop()
        house.paths.exports.write_bytes(before)  # how far the last ten were, nobody had said yet
        house.begin()
        house.add(5)
        eventually(lambda: len(collector.records) == 35)
    uids = [one["log.record.uid"] for one in collector.records]
    assert len(set(uids)) == 25
    assert sorted(set(numbers(collector))) == list(range(1, 26))


def test_a_target_that_is_new_begins_with_what_comes_next_and_one_that_changed_where_it_was(house: House, tmp_path: Path) -> None:
    house.add(5)
    (tmp_path / "headers").write_text("X-A: b\n")
    with OtlpCollector() as collector:
        house.say(url_of(collector))
        later = house.add(5)
        eventually(lambda: numbers(collector) == later)
        house.say(f"{url_of(collector)}#headers={tmp_path / 'headers'}")
        still_later = house.add(5)
        eventually(lambda: numbers(collector) == [*later, *still_later])
        assert collector.headers[-1]["X-A"] == "b"


def test_what_goes_with_a_file_that_is_kept_no_longer_is_counted_and_said(house: House) -> None:
    port = free_port()
    house.say(f"syslog+tcp://127.0.0.1:{port}", files=2)
    with capture_logs() as logs:
        for _ in range(4):
            house.add(10)
            eventually(lambda: house.told()["error"])
            house.turn()
            house.record.upkeep()
    assert house.told()["dropped"] == 30
    said = [line for line in logs if line["event"] == "entries of the access record will not reach a target"]
    assert [line["count"] for line in said] == [10, 10, 10]
    with SyslogServer("tcp", port) as server:
        eventually(lambda: numbers(server) == list(range(31, 41)))
    house.record.upkeep()
    kept = json.loads(house.paths.exports.read_text())
    assert {(one["sent"], one["dropped"]) for one in kept.values()} == {(10, 30)}


def test_what_a_collector_will_never_take_spoils_nothing_else(house: House) -> None:
    with OtlpCollector(poison=b"CN=poison") as collector:
        house.say(url_of(collector))
        house.add(30)
        house.add(1, subject="CN=poison")
        house.add(30)
        eventually(lambda: house.told()["sent"] == 60)
    assert house.told()["dropped"] == 1
    assert numbers(collector) == [number for number in range(1, 62) if number != 31]


def test_what_a_collector_says_that_it_rejected_is_counted(house: House) -> None:
    with OtlpCollector(rejecting=2) as collector:
        house.say(url_of(collector))
        house.add(5)
        eventually(lambda: house.told()["sent"] == 3)
    assert house.told()["dropped"] == 2


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
def test_what_may_be_mended_is_tried_again(house: House, status: int) -> None:
    with OtlpCollector(answers=[status] * 2) as collector:
        house.say(url_of(collector))
        with capture_logs() as logs:
            house.add(5)
            eventually(lambda: numbers(collector) == [1, 2, 3, 4, 5])
            eventually(lambda: house.told()["error"] is None)
    assert house.told()["dropped"] == 0
    assert [line["reason"] for line in logs if line["log_level"] == "warning"] == [f"it answered with status {status}"]


@pytest.mark.parametrize("kind", ["tcp", "tls", "otlp"])
def test_who_hangs_up_when_nothing_comes_is_simply_called_again(kind: Any, house: House, ca: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(ca.cert_pem)
    server = OtlpCollector(patience=0.05) if kind == "otlp" else SyslogServer(kind, authority=ca, folder=tmp_path)
    with capture_logs() as logs, server:
        tls = f"#ca={tmp_path}/ca.pem" if kind == "tls" else ""
        house.say(f"otlp+http://127.0.0.1:{server.port}" if kind == "otlp" else f"syslog+{kind}://127.0.0.1:{server.port}{tls}")
        for number in range(1, 4):
            house.add(1)
            eventually(lambda: numbers(server)[-1:] == [number])  # noqa: B023 (asked at once)
            eventually(lambda: house.told()["sent"] == number)  # noqa: B023 (likewise)
            if isinstance(server, SyslogServer):
                server.hang_up()
            else:
                eventually(lambda: server.closed == number)  # noqa: B023 (likewise)
    assert numbers(server) == [1, 2, 3]
    assert [line for line in logs if line["log_level"] != "info"] == []


def test_a_name_with_two_addresses_is_tried_at_both(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def two(host: str, port: int, **more: Any) -> Any:
        return (
            [*real("127.0.0.2", port, **more), *real("127.0.0.1", port, **more)]
            if host == "two.test"
            else real(host, port, **more)
        )

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with SyslogServer("udp") as server:
        house.say(f"syslog+udp://two.test:{server.port}")
        house.add(3)
        eventually(lambda: set(numbers(server)) == {1, 2, 3})


def test_a_line_that_a_crash_cut_off_is_counted_and_stops_nothing(house: House) -> None:
    with OtlpCollector() as collector:
        house.say(url_of(collector))
        house.add(1)
        house.record.shelf.append(b'{"timest\n[1]\n')
        house.add(1)
        eventually(lambda: numbers(collector) == [1, 2])
        eventually(lambda: house.told()["dropped"] == 2)


def test_a_file_that_is_damaged_is_said_and_stops_nothing(house: House) -> None:
    port = free_port()
    house.say(f"syslog+tcp://127.0.0.1:{port}")
    for _ in range(3):
        house.add(600)
        house.turn()
    house.record.upkeep()
    second = next(house.paths.logs.glob("access-000002-*.gz"))
    content = second.read_bytes()
    second.write_bytes(content[: len(content) // 2])
    with SyslogServer("tcp", port) as server:
        eventually(lambda: house.told()["dropped"] == 1)
        eventually(lambda: set(range(1201, 1801)) <= set(numbers(server)))
    got = set(numbers(server))
    assert set(range(1, 601)) < got
    assert 601 in got  # what comes before the damage


def test_how_far_it_was_that_cannot_be_read_sends_all_again(house: House) -> None:
    with OtlpCollector() as collector:
        house.say(url_of(collector))
        house.add(3)
        eventually(lambda: numbers(collector) == [1, 2, 3])
        house.record.stop()
        house.paths.exports.write_text("{")
        house.begin()
        eventually(lambda: numbers(collector) == [1, 2, 3, 1, 2, 3])
    assert len({one["log.record.uid"] for one in collector.records}) == 3


def test_settings_that_cannot_be_read_change_nothing_and_are_told(house: House) -> None:
    with OtlpCollector() as collector:
        house.say(url_of(collector))
        for broken in (b"{", b"[]", b'{"exports": ["gopher://x"]}', b'{"files": 0}'):
            house.paths.recording.write_bytes(broken)
            house.record.learn()
            assert "cannot be read" in house.record.told()["recording_error"]
        house.paths.recording.unlink()
        house.record.learn()
        house.add(1)
        eventually(lambda: numbers(collector) == [1])
        house.say(url_of(collector))
        assert house.record.told()["recording_error"] is None


def test_what_is_secret_is_neither_told_nor_logged_nor_kept(house: House, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer s3cret\n")
    with capture_logs() as logs:
        house.say(f"otlp+http://127.0.0.1:{free_port()}#headers={tmp_path / 'headers'}")
        house.add(1)
        eventually(lambda: house.told()["error"])
        (tmp_path / "headers").write_text("s3cret\n")
        eventually(lambda: "line 1" in house.told()["error"])
    house.record.upkeep()
    assert "s3cret" not in repr(logs) + repr(house.record.told()) + repr(house.record.exports)
    for file in house.paths.data_dir.rglob("*"):
        assert not file.is_file() or b"s3cret" not in file.read_bytes()


@pytest.mark.parametrize(
    "line", ["no header", "Host: x", "content-length: 1", "X Y: z", "X: a\x01b", "X:", ": x", "X: \u00e9", "X" * 300 + ": y"]
)
def test_a_file_with_what_is_no_header_is_refused_by_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "headers").write_text(f"A: b\n{line}\n")
    with pytest.raises(Invalid, match="line 2 of"):
        headers(tmp_path / "headers")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("ca={missing}", "No such file"),
        ("ca={junk}", "cannot be read"),
        ("cert={junk},key={junk}", "cannot be used"),
        ("headers={missing}", "cannot be read"),
        ("headers={huge}", "larger than"),
    ],
)
def test_files_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path, options: str, words: str) -> None:
    (tmp_path / "junk").write_text("junk")
    (tmp_path / "huge").write_bytes(b"\n" * (1024 * 1024 + 1))
    files = {name: tmp_path / name for name in ("missing", "junk", "huge")}
    with pytest.raises(Invalid, match=words):
        check(target(f"otlp+https://127.0.0.1#{options.format(**files)}"))


@pytest.mark.parametrize("limit", [2048, 8192])
def test_a_message_is_as_long_as_receivers_take_whatever_clients_write_into_their_names(limit: int) -> None:
    certificate = "-----BEGIN CERTIFICATE-----\n" + "A" * 4000
    small = {"event_name": "ostiary.request", "timestamp": "2026-11-26T02:00:00.000+00:00", "ostiary.verdict": "refused"}
    medium = {**small, "tls.client.certificate": certificate, "tls.client.subject": "CN=x"}
    large = {**medium, "tls.client.subject": "\u1234" * 1024, "url.path": "\u1234" * 1024, "log.record.uid": "g1-1-1"}
    assert parsed(syslog_message(small, 16, "host", limit)).entry == small
    held = parsed(syslog_message(medium, 16, "host", limit)).entry
    assert held == (medium if limit == 8192 else {**small, "tls.client.subject": "CN=x", "ostiary.shortened": True})
    cut = parsed(syslog_message(large, 16, "host", limit))
    assert cut.size <= limit
    assert (cut.entry["ostiary.verdict"], cut.entry["log.record.uid"]) == ("refused", "g1-1-1")
    assert cut.entry["tls.client.subject"] == "\u1234" * 64


def test_a_message_from_what_is_no_entry_is_still_one() -> None:
    assert parsed(syslog_message({"timestamp": "x"}, 16, "host", 2048)).time == "-"


def test_what_the_keeper_is_told_is_what_was_said(tmp_path: Path) -> None:
    urls = (
        "syslog+udp://logs.example",
        "syslog+tcp://[2001:db8::1]:1601#facility=authpriv",
        f"syslog+tls://logs.example#ca={tmp_path}/ca.pem,cert={tmp_path}/c.pem,key={tmp_path}/c.key",
        f"otlp+https://otel.example:4318#headers={tmp_path}/headers",
    )
    said = Recording(exports=tuple(map(target, urls)), files=7, max_age=timedelta(hours=12), keep=timedelta(days=400))
    assert recording.load(said.dump()) == said
    assert [one.name for one in said.exports] == [
        "syslog+udp://logs.example:514",
        "syslog+tcp://[2001:db8::1]:1601",
        "syslog+tls://logs.example:6514",
        "otlp+https://otel.example:4318/v1/logs",
    ]
    assert recording.load(b'{"from a later version": 1}') == Recording()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("logs.example", "begins with none of"),
        ("https://logs.example", "begins with none of"),
        ("syslog+tls://", "needs a HOST"),
        ("syslog+tls://h:0", "needs a HOST"),
        ("syslog+tls://h:99999", "no URL"),
        ("syslog+tls://h/x", "no path"),
        ("otlp+https://user:hidden@h", "headers=FILE"),
        ("otlp+https://h/v1/logs?token=hidden", "headers=FILE"),
        ("otlp+https://h/v1/logs#token=hidden", "after the #"),
        ("otlp+https://h#ca=a,ca=b", "after the #"),
        ("otlp+http://h#ca=a", "for TLS"),
        ("otlp+https://h#cert=a", "go together"),
        ("syslog+tls://h#headers=a", "headers are for"),
        ("otlp+https://h#facility=local1", "for syslog"),
        ("syslog+tls://h#facility=local9", "facility is one of"),
        ("syslog+tls://h h", "ASCII"),
        ("syslog+tls://h\n", "ASCII"),
        ("syslog+tls://" + "h" * 3000, "at most 2048"),
    ],
)
def test_a_target_that_is_none_is_refused_with_what_to_say_instead(url: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        target(url)
    assert refused.value.field == "--access-log-export"
    assert "hidden" not in str(refused.value)


def test_the_same_target_twice_and_more_than_a_few_are_refused() -> None:
    with pytest.raises(Invalid, match="twice"):
        Recording(exports=(target("syslog+tls://h"), target("syslog+tls://h:6514#facility=local1")))
    with pytest.raises(Invalid, match="at most 8"):
        Recording(exports=tuple(target(f"syslog+tls://h{number}") for number in range(9)))


def test_who_waits_for_an_answer_waits_no_longer_than_this(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a target that takes the connection and says nothing: it is tried again."""
    monkeypatch.setattr("ostiary.gateway.otlp_http.PATIENCE", 0.05)
    assert sending.PATIENCE > 1
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        exports = Exports(tmp_path, tmp_path / "exports.json", "g1", pause=PAUSE)
        shelf = Shelf(tmp_path / "access.jsonl")
        exports.apply((target(f"otlp+http://127.0.0.1:{silent.getsockname()[1]}"),))
        shelf.append(b'{"event_name":"ostiary.request"}\n')
        eventually(lambda: "no answer" in (exports.told()[0]["error"] or ""))
        exports.stop()
        shelf.close()
