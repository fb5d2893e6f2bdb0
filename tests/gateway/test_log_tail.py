"""Envoy's lines come out as ours: level and part kept, each once."""

import json
from pathlib import Path
from unittest.mock import patch

from structlog.testing import capture_logs

from ostiary.gateway import log_tail
from ostiary.gateway.log_tail import LogTail


def line(level: str, text: str) -> str:
    return json.dumps({"at": "2026-01-01T00:00:00.000", "level": level, "part": "main", "text": text}) + "\n"


def test_lines_keep_their_level_and_what_is_not_ours_is_passed_on(tmp_path: Path) -> None:
    log = tmp_path / "envoy.log"
    log.write_text(line("error", "from an earlier life"))
    tail = LogTail(log)
    with log.open("a") as file:
        file.write(
            line("warning", "careful") + "terminate called\n" + line("info", "  envoy.filters: many") + line("info", "half")[:-5]
        )
    with capture_logs() as seen:
        assert tail.read() == 3
        with log.open("a") as file:
            file.write(line("info", "half")[-5:])
        assert tail.read() == 1
        assert tail.read() == 0
    assert [(one["log_level"], one["event"]) for one in seen] == [
        ("warning", "careful"),
        ("warning", "terminate called"),
        ("debug", "envoy.filters: many"),
        ("info", "half"),
    ]


def test_a_file_that_has_grown_is_emptied_and_read_on(tmp_path: Path) -> None:
    log = tmp_path / "envoy.log"
    tail = LogTail(log)
    with capture_logs() as seen, patch.object(log_tail, "LARGEST", 100), log.open("a") as envoy:
        for text in ("one", "two"):
            envoy.write(line("info", text))
        envoy.flush()
        assert tail.read() == 2
        assert tail.read() == 0
        assert log.stat().st_size == 0
        envoy.write(line("info", "three"))
        envoy.flush()
        assert tail.read() == 1
    assert [one["event"] for one in seen] == ["one", "two", "three"]


def test_what_envoy_quotes_of_a_secret_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "envoy.log"
    tail = LogTail(log)
    log.write_text(line("warning", 'rejected: goo.gle/debugstr \nprivate_key {\n  inline: "KEY"\n}\n: too short'))
    with capture_logs() as seen:
        tail.read()
    assert [one["event"] for one in seen] == ["rejected: too short"]
