"""The peers: nginx, HAProxy, Traefik, Caddy and bare Envoy, and ostiary itself, all doing the same job.

    with house(folder) as place, ALL["Caddy"].running(folder / "caddy", place) as served:
        served.port, served.client, served.cpu_seconds(), served.switch("NONE")

The job (docs/decisions/0032-the-same-job.md): TLS 1.3 alone, a P-256 server certificate, a client certificate demanded and
verified against one authority and its revocation list, no resumption, HTTP/2 and HTTP/1.1, the backend told who the client is in
headers that no client can forge, connections to it kept open, each request written to a file; one worker, on one processor.
"""

from typing import Final

from benchmarks.peers.caddy import Caddy
from benchmarks.peers.envoy import Envoy
from benchmarks.peers.haproxy import HAProxy
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.ostiary import OstiaryPeer
from benchmarks.peers.peer import Peer
from benchmarks.peers.traefik import Traefik

_EACH: Final[tuple[Peer, ...]] = (
    OstiaryPeer(),
    Envoy(),
    Nginx("nginx (wheel)", wheel=True),
    Nginx("nginx (Debian)", wheel=False),
    HAProxy("HAProxy (wheel)", wheel=True),
    HAProxy("HAProxy (Debian)", wheel=False),
    Traefik(),
    Caddy(),
)
ALL: Final = {peer.name: peer for peer in _EACH}
