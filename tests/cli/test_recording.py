"""Where the access record goes is said to `ostiary up`; what cannot be is refused before anything is started."""

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostiary.cli import recording
from ostiary.cli.main import app
from ostiary.errors import Invalid
from ostiary.recording import MIB, Recording


def test_what_is_not_said_is_as_usual() -> None:
    usual = recording.recording(recording.USUAL_MIB, recording.USUAL_MAX_AGE, recording.USUAL_KEEP, recording.USUAL_FILES, None)
    assert usual == Recording()


def test_what_is_said_is_meant() -> None:
    said = recording.recording(5, "12h", "52w", 7, ["syslog+udp://logs.example"])
    assert (said.largest, said.max_age, said.keep, said.files) == (5 * MIB, timedelta(hours=12), timedelta(weeks=52), 7)
    assert [one.name for one in said.exports] == ["syslog+udp://logs.example:514"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ((0, "1d", "90d", 100), "--access-log-max-mib: it must be 1 to 1024 MiB"),
        ((32, "1", "90d", 100), "--access-log-max-age: '1' is no time such as"),
        ((32, "0m", "90d", 100), "--access-log-max-age: it must be 1m to"),
        ((32, "1d", "99999w", 100), "--access-log-keep: it must be 1m to"),
        ((32, "1d", "90d", 1), "--access-log-keep-files: it must be 2 to"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_option(option: tuple[int, str, str, int], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        recording.recording(*option, None)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize(
    ("url", "words"),
    [("https://otel.example/?key=hidden", "begins with none of"), ("syslog+tls://127.0.0.1#ca=/no/such/file", "No such file")],
)
def test_nothing_is_started_when_it_cannot_be_sent_there(command: str, url: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    done = CliRunner().invoke(app, [command, "--data-dir", str(folder), "--access-log-export", url])
    assert done.exit_code == 1
    assert words in done.output
    assert "hidden" not in done.output
    assert not (folder / "gateway").exists()


def test_the_environment_says_it_too(tmp_path: Path) -> None:
    where = {"OSTIARY_ACCESS_LOG_EXPORTS": "syslog+tls://a syslog+tls://a:6514"}
    done = CliRunner().invoke(app, ["up", "--data-dir", str(tmp_path / "data")], env=where)
    assert (done.exit_code, "twice" in done.output) == (1, True)
