"""Do all peers do the same job? Each is started, asked, and found out. Run before anything is measured.

    .venv/bin/python benchmarks/same_job.py
    .venv/bin/python benchmarks/same_job.py --only Caddy Traefik

Exits 1 if one lets in whom it must not, or hands on what a client made up.
"""

import argparse
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.peers.house import PATHS, TOLD, house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Served  # noqa: E402 (likewise)

from benchmarks import peers  # noqa: E402 (after the path is set)
from support.tls_clients import Refused, s_client  # noqa: E402 (likewise)
from support.wait import eventually  # noqa: E402 (likewise)

FORGED: Final = "CN=somebody else"
# As load_generator.c does.
OFFERED: Final = (
    "-ciphersuites",
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
    "-groups",
    "X25519:P-256",
)


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and whether it is as it must be."""

    what: str
    found: str
    right: bool


def findings(served: Served) -> Iterator[Finding]:
    """Ask a peer that serves."""
    for name in ("stranger", None):
        yield Finding(f"{name or 'nobody'} is refused", "", not served.lets_in(name))
    refused = not served.lets_in("revoked")
    yield Finding("revoked is refused", "" if served.peer.can_revoke else "it has no lists", refused is served.peer.can_revoke)
    with served.tls_client().connect() as connection:
        bodies = [len(connection.get(path).body) for path in PATHS.values()]
        yield Finding("TLS 1.3", f"{connection.version}, {connection.tls.cipher()}", connection.version == "TLSv1.3")
        session = connection.session
    yield Finding("bodies arrive", f"{bodies}", bodies == [int(path[1:]) for path in PATHS.values()])
    yield Finding("no resumption", "", not _resumes(served, session))
    yield Finding("HTTP/2", "", served.tls_client().get_h2("/100")[0].status == 200)
    told = _seen(served)
    subject = [name for name, value in told.items() if "bench-client" in value]
    yield Finding(
        "the subject is told", ", ".join(f"{name}: {told[name]}" for name in told if name != "connection"), bool(subject)
    )
    kept = {_seen(served)["connection"] for _ in range(3)}
    yield Finding("the backend's connection is kept", "", len(kept) == 1)
    tls = s_client(served.port, *OFFERED, ca=served.server_ca, cert=served.client, key=served.client).output
    yield Finding("the same cipher", "X25519, AES-128", "Cipher is TLS_AES_128_GCM_SHA256" in tls and "X25519" in tls)
    forged = [name for name, value in _seen(served, forged=True).items() if name in served.peer.identity and FORGED in value]
    yield Finding("nothing made up is handed on", ", ".join(forged), not forged)
    try:
        recorded = eventually(lambda: _is_recorded(served), within=15)  # Envoy writes each 10 s
    except AssertionError:
        recorded = False
    yield Finding("requests are on record, with the subject", "", recorded)


def _is_recorded(served: Served) -> bool:
    """Whether the record says what was asked for, and by whom."""
    record = served.peer.record(served)
    return record.exists() and any("/16000" in line and "bench-client" in line for line in record.read_text().splitlines())


def _seen(served: Served, *, forged: bool = False) -> dict[str, str]:
    headers = dict.fromkeys(TOLD, FORGED) if forged else {}
    answer = served.tls_client().get("/seen", headers)
    lines = (line.partition("=") for line in answer.body.decode().splitlines())
    return {name: value for name, _, value in lines if value}


def _resumes(served: Served, session: ssl.SSLSession | None) -> bool:
    if session is None or not session.has_ticket:
        return False
    client = served.tls_client()
    try:
        with client.connect() as first:
            first.get("/100")
            kept = first.session
        with client.connect(kept) as second:
            return second.is_resumed
    except Refused:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=peers.ALL, default=list(peers.ALL), metavar="PEER")
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, house(Path(folder)) as place:
        for name in given.only:
            peer = peers.ALL[name]
            with peer.running(Path(folder) / name.replace(" ", "-"), place) as served:
                print(f"\n{name}: {peer.version()}")
                for one in findings(served):
                    wrong += not one.right
                    print(f"  {'yes' if one.right else 'NO '}  {one.what}{': ' if one.found else ''}{one.found}")
                print(f"       {served.rss():.0f} MiB, {served.cpu_seconds():.3f} s of CPU so far, processes {served.pids()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
