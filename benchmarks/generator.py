"""The load generator from Python: compiled when its source is newer, run on a core of its own, its answer read.

    target = Target(port, certificate=Path("alice.pem"), ca=Path("server-ca.pem"))    # alice.pem: chain and key
    load = run(target, Work("keepalive", connections=32, seconds=3), cpu=1).sound()
    load.per_second, load.p99
    with idle(target, 10_000) as held: held.ready

What each mode does is told in `load_generator.c`.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, Self

SOURCE: Final = Path(__file__).with_name("load_generator.c")
BUILT: Final = Path(__file__).parents[1] / ".venv" / "bench" / "load_generator"
COMPILE: Final = ("cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
LIBRARIES: Final = ("-lssl", "-lcrypto", "-lnghttp2")
SOME_FAILED: Final = 1  # The exit status when it did as told, and requests failed.

Mode = Literal["handshake", "keepalive", "idle"]
Protocol = Literal["h1", "h2"]


class Failed(Exception):
    """The generator could not do as told, or requests failed that must not."""


@dataclass(frozen=True)
class Target:
    """Where to knock, and what to show. The server's certificate must be of `ca` and for `host`."""

    port: int
    certificate: Path  # the client's chain and its key, PEM, in one file
    ca: Path
    host: str = "localhost"
    path: str = "/"


@dataclass(frozen=True)
class Work:
    """What to do: either for so many `seconds` or so many `requests`; with a `rate`, so many a second, due at fixed times."""

    mode: Mode
    connections: int
    seconds: float | None = None
    requests: int | None = None
    rate: float | None = None
    protocol: Protocol = "h1"
    streams: int = 1  # at once on each connection, HTTP/2


@dataclass(frozen=True)
class Load:
    """What came of it. Latencies in µs, over the requests that were answered 200."""

    answered: int
    failed: int
    connections: int  # that were opened, anew included
    retried: int  # that an HTTP/2 server said it had not looked at
    bytes: int  # of bodies
    seconds: float
    p50: float
    p90: float
    p99: float
    max: float
    reasons: tuple[str, ...] = ()  # why some failed: a few, each once
    metered: float | None = None  # what the meter said afterwards, less what it said before

    @property
    def per_second(self) -> float:
        """Answers."""
        return self.answered / self.seconds

    @property
    def metered_each(self) -> float:
        """What the meter says of one answer."""
        if self.metered is None:
            raise Failed("there was no meter")
        return self.metered / self.answered

    def sound(self) -> Self:
        """Itself. Raises `Failed` unless all was answered, and something was."""
        if self.failed or not self.answered:
            raise Failed(f"{self.failed} failed, {self.answered} answered: {'; '.join(self.reasons)}")
        return self


def program() -> Path:
    """The generator, compiled anew if its source changed. Raises `Failed` with what the compiler says."""
    if BUILT.exists() and BUILT.stat().st_mtime >= SOURCE.stat().st_mtime:
        return BUILT
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT.parent) as folder:
        fresh = Path(folder) / BUILT.name
        made = subprocess.run([*COMPILE, str(SOURCE), "-o", str(fresh), *LIBRARIES], capture_output=True, text=True, check=False)
        if made.returncode:
            raise Failed(f"needs a C compiler, libssl-dev and libnghttp2-dev:\n{made.stderr}")
        fresh.replace(BUILT)  # At once, for others may be running the one before.
    return BUILT


def run(target: Target, work: Work, *, cpu: int | None = None, meter: Callable[[], float] | None = None) -> Load:
    """Do the work, on that core. Raises `Failed` if it could not be done at all; what failed of it is in the answer.

    `meter` is asked when all connections to be kept are open, and again after the last answer: what it counts (the server's CPU
    time) is then of the requests, or in `handshake` of the handshakes, alone.
    """
    with _started(target, work, cpu, wait=meter is not None) as process:
        before = None
        if meter is not None:
            _read_ready(process)
            before = meter()
            _pipe(process.stdin).write("go\n")
            _pipe(process.stdin).flush()
        told = _pipe(process.stdout).readline()
        metered = meter() - before if meter is not None and before is not None else None
        return _load(process, told, metered)


@dataclass
class Held:
    """Connections that are open and do nothing. `load` is there once they are let go."""

    ready: int
    load: Load | None = None


@contextmanager
def idle(target: Target, connections: int, *, protocol: Protocol = "h1", cpu: int | None = None) -> Iterator[Held]:
    """Hold so many connections, each of which has asked once. Raises `Failed` when one cannot be had, or is gone at the end."""
    with _started(target, Work("idle", connections, protocol=protocol), cpu) as process:
        held = Held(_read_ready(process))
        if held.ready == connections:
            yield held
        _pipe(process.stdin).close()
        held.load = _load(process, _pipe(process.stdout).readline(), None).sound()


def _arguments(target: Target, work: Work) -> list[str]:
    said: dict[str, object] = {
        "port": target.port,
        "certificate": target.certificate,
        "ca": target.ca,
        "host": target.host,
        "path": target.path,
        "protocol": work.protocol,
        "mode": work.mode,
        "connections": work.connections,
        "streams": work.streams,
        "seconds": work.seconds,
        "requests": work.requests,
        "rate": work.rate,
    }
    return [f"--{name}={value}" for name, value in said.items() if value is not None]


@contextmanager
def _started(target: Target, work: Work, cpu: int | None, *, wait: bool = False) -> Iterator[subprocess.Popen[str]]:
    """The generator as a process, which does not outlive the block."""
    pinned = [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]
    command = [*pinned, str(program()), *_arguments(target, work), *(["--wait"] if wait else [])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_ready(process: subprocess.Popen[str]) -> int:
    line = _pipe(process.stdout).readline()
    if not line:
        raise Failed(_rest_of(process.stderr))
    return int(json.loads(line)["ready"])


def _load(process: subprocess.Popen[str], told: str, metered: float | None) -> Load:
    reasons = _rest_of(process.stderr)
    if process.wait() not in {0, SOME_FAILED} or not told:
        raise Failed(reasons)
    found: dict[str, Any] = json.loads(told)
    latency = found.pop("latency_us")
    return Load(**found, **latency, reasons=tuple(reasons.splitlines()), metered=metered)


def _rest_of(pipe: IO[str] | None) -> str:
    return _pipe(pipe).read()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
