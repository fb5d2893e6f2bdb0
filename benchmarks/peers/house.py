"""Where all peers stand: the same certificates, the same backend, the same processors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers.papers import Papers
from benchmarks.peers.programs import most_files, start_on

from support.ports import free_port, is_free
from support.wait import eventually

SIZES: Final = {"100 B": 100, "16 kB": 16_000, "1 MB": 1_000_000}
PATHS: Final = {name: f"/{size}" for name, size in SIZES.items()}
# What the backend tells of a request at /seen, so that one can check what a peer handed on.
TOLD: Final = (
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-ssl-client-dn",
    "x-ssl-client-sha1",
    "x-ssl-client-fingerprint",
)


@dataclass(frozen=True)
class House:
    """What a peer is given. `has_record`: whether it is to write an access log, as ostiary always does.

    `core` is the processor of the peers; the backend and whoever asks have `other_core`, and so have ostiary's keeper and control
    plane. Without them, all run wherever there is room.
    """

    papers: Papers
    backend_port: int
    core: int | None = 1
    other_core: int | None = 0
    has_record: bool = True


@contextmanager
def house(folder: Path, *, core: int | None = 1, other_core: int | None = 0, has_record: bool = True) -> Iterator[House]:
    """Make the certificates, and run the backend: Debian's nginx with answers of `SIZES`, which keeps connections open."""
    papers, port = Papers.made(folder / "papers"), free_port()
    place = folder / "backend"
    (place / "files").mkdir(parents=True)
    for size in SIZES.values():
        (place / "files" / str(size)).write_bytes(b"x" * size)
    (place / "nginx.conf").write_text(_backend(port, place))
    process = start_on(other_core, "nginx", "-p", place, "-c", place / "nginx.conf", folder=place, name="backend")
    try:
        eventually(lambda: not is_free(port), within=20)
        yield House(papers, port, core, other_core, has_record)
    finally:
        process.stop()


def _backend(port: int, place: Path) -> str:
    told = "".join(f"{name}=$http_{name.replace('-', '_')}\\n" for name in TOLD)
    return f"""
{"user root;" if os.geteuid() == 0 else ""} # What it serves is in a folder that nobody else can read.
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log warn;
worker_processes 1;
worker_rlimit_nofile {most_files()};
events {{ worker_connections 16384; }}
http {{
    access_log off;
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    open_file_cache max=10 inactive=1h;
    open_file_cache_valid 1h;
    {_temporary(place)}
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        root {place}/files;
        location = /seen {{ return 200 "connection=$connection\\n{told}"; }}
        location = / {{ return 200 "hello\\n"; }}
        location = /slow {{ alias {place}/files/1000000; limit_rate 20k; }}
    }}
}}
"""


def _temporary(place: Path) -> str:
    """Where nginx may put what it writes: its compiled-in places may not be ours to write to."""
    return "\n    ".join(f"{kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
