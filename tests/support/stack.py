"""A whole ostiary in a folder of its own: `ostiary up` as a process, real Envoy, the REST API as a user calls it.

with Ostiary(tmp_path) as ostiary:
    door = ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem))
    TLSClient(door.port, ca=ostiary.server_ca, …).get("/")
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx

from support.ports import free_port
from support.processes import Running, start
from support.systems import migrated
from support.wait import eventually

PROGRAM: Final = Path(sys.executable).with_name("ostiary")
LB: Final = "/v2/lbaas"
Listener = dict[str, Any]


@dataclass(frozen=True)
class Door:
    """A listener that serves, and what it stands on."""

    port: int
    listener: Listener
    pool_id: str
    balancer_id: str

    @property
    def id(self) -> str:
        """The listener's id."""
        return str(self.listener["id"])


@dataclass
class Ostiary:
    """`ostiary up` on a folder. Leaving stops it, its keeper and its Envoy."""

    folder: Path
    launch: Callable[..., Running] = start
    listen: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    process: Running | None = None
    # One for all requests: making a client costs more than most answers. Not its connections, for the other side is restarted.
    _http: httpx.Client = field(
        default_factory=lambda: httpx.Client(trust_env=False, timeout=60, limits=httpx.Limits(max_keepalive_connections=0)),
        repr=False,
    )

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def options(self) -> tuple[object, ...]:
        """What else to start it with."""
        return ()

    @property
    def server_ca(self) -> Path:
        """The authority that signed the server certificates which ostiary made itself."""
        file = self.folder / "server-ca.pem"
        if not file.exists():
            (authority,) = self.call("GET", "/v1/authorities?name=ostiary server CA")["authorities"]
            file.write_text(authority["certificate"])
        return file

    def start(self) -> Self:
        """Start, and wait until the API answers and a gateway is connected.

        A new one finds its database migrated: that is a third of what it has to do. How an empty one becomes so, others see
        (store/test_migrations, cli/test_cli).
        """
        if not self.data_dir.exists():
            self.data_dir.mkdir(mode=0o700, parents=True)
            migrated(self.data_dir / "ostiary.db")
        settings = ("--data-dir", self.data_dir, "--listen", self.listen, *self.options)
        self.process = self.launch(PROGRAM, "up", *settings, folder=self.folder)
        eventually(self._is_ready, within=120)
        return self

    def stop(self) -> None:
        """As an operator does: SIGTERM, and wait."""
        if self.process is not None:
            self.process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        """One API request, whatever the answer."""
        token = (self.data_dir / "admin.token").read_text()
        shown = {"X-Auth-Token": token, **(headers or {})}
        return self._http.request(method, f"http://{self.listen}{path}", json=body, headers=shown)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One API request that must succeed; the decoded answer."""
        answer = self.request(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def secret(self, payload: str) -> str:
        """Store text; its href."""
        body = {"name": "test", "payload": payload, "payload_content_type": "text/plain"}
        return str(self.call("POST", "/v1/secrets", body)["secret_ref"])

    def container(self, certificate: str, key: str, intermediates: str = "") -> str:
        """Store a certificate with its key; the container's href."""
        parts = {"certificate": certificate, "private_key": key} | ({"intermediates": intermediates} if intermediates else {})
        refs = [{"name": name, "secret_ref": self.secret(text)} for name, text in parts.items()]
        body = {"name": "test", "type": "certificate", "secret_refs": refs}
        return str(self.call("POST", "/v1/containers", body)["container_ref"])

    def balancer(self, **fields: Any) -> str:
        """Make a load balancer on loopback; its id."""
        body = {"loadbalancer": {"name": "test", "vip_address": "127.0.0.1", **fields}}
        return str(self.call("POST", f"{LB}/loadbalancers", body)["loadbalancer"]["id"])

    def pool(self, balancer_id: str, *ports: int, **fields: Any) -> str:
        """Make a pool with members at these ports of loopback; its id."""
        wanted = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "loadbalancer_id": balancer_id, **fields}
        pool_id = str(self.call("POST", f"{LB}/pools", {"pool": wanted})["pool"]["id"])
        for port in ports:
            self.member(pool_id, port)
        return pool_id

    def member(self, pool_id: str, port: int, **fields: Any) -> str:
        """Add a member on loopback; its id."""
        body = {"member": {"address": "127.0.0.1", "protocol_port": port, **fields}}
        return str(self.call("POST", f"{LB}/pools/{pool_id}/members", body)["member"]["id"])

    def listener(self, balancer_id: str, **fields: Any) -> Listener:
        """Make a listener on a free port, HTTPS unless told otherwise, and wait until it serves."""
        wanted = {
            "name": "door",
            "protocol": "TERMINATED_HTTPS",
            "protocol_port": free_port(),
            "loadbalancer_id": balancer_id,
            **fields,
        }
        made = self.call("POST", f"{LB}/listeners", {"listener": wanted})["listener"]
        return self.until_active(made["id"])

    def door(self, *backend_ports: int, pool: dict[str, Any] | None = None, **fields: Any) -> Door:
        """A load balancer, a pool with these members and a listener before it, serving."""
        balancer_id = self.balancer()
        pool_id = self.pool(balancer_id, *backend_ports, **(pool or {}))
        listener = self.listener(balancer_id, default_pool_id=pool_id, **fields)
        return Door(int(listener["protocol_port"]), listener, pool_id, balancer_id)

    def change(self, listener_id: str, **fields: Any) -> Listener:
        """Change a listener and wait until it is in force."""
        self.call("PUT", f"{LB}/listeners/{listener_id}", {"listener": fields})
        return self.until_active(listener_id)

    def read(self, listener_id: str) -> Listener:
        """The listener as the API shows it."""
        return dict(self.call("GET", f"{LB}/listeners/{listener_id}")["listener"])

    def until_active(self, listener_id: str) -> Listener:
        """Wait until the gateway has accepted it; fail with the gateway's own words if it refuses."""

        def active() -> bool:
            found = self.read(listener_id)
            assert found["provisioning_status"] != "ERROR", found["provisioning_error"]
            return bool(found["provisioning_status"] == "ACTIVE")

        eventually(active, within=120)
        return self.read(listener_id)

    def settle(self, balancer_id: str) -> dict[str, Any]:
        """Wait until all that a load balancer holds is in force; its status tree."""

        def tree() -> dict[str, Any]:
            answer = self.call("GET", f"{LB}/loadbalancers/{balancer_id}/status")
            return dict(answer["statuses"]["loadbalancer"])

        eventually(lambda: tree()["provisioning_status"] == "ACTIVE", within=120)
        return tree()

    def monitor(self, pool_id: str, **fields: Any) -> str:
        """Have a pool's members asked for their health, every second unless told otherwise; the monitor's id."""
        wanted = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1, "pool_id": pool_id, **fields}
        return str(self.call("POST", f"{LB}/healthmonitors", {"healthmonitor": wanted})["healthmonitor"]["id"])

    def revision(self) -> int:
        """The number of the newest revision; 0 before the first."""
        revisions = self.call("GET", "/v1/revisions?limit=1")["revisions"]
        return int(revisions[0]["number"]) if revisions else 0

    def _is_ready(self) -> bool:
        assert self.process is not None
        if not self.process.is_alive:
            raise RuntimeError(f"ostiary up ended:\n{self.process.output()}")  # Not an AssertionError: waiting would not help.
        try:
            return any(gateway["connected"] for gateway in self.call("GET", "/v1/gateways")["gateways"])
        except (httpx.TransportError, FileNotFoundError):
            return False
