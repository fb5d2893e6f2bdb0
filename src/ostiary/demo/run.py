"""`ostiary demo`: everything at once, made through the API just as a user would make it."""

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography import x509

from ostiary import clock
from ostiary.demo.backend import Backend
from ostiary.errors import Unavailable
from ostiary.files import write_private
from ostiary.pki.holder import new_key_and_request
from ostiary.settings import Settings
from ostiary.up import Running
from ostiary.up import run as serve

NAME: Final = "demo"
ROOT: Final = "demo root CA"
ISSUING: Final = "demo issuing CA"
SERVER_AUTHORITY: Final = "ostiary server CA"
READY_SECONDS: Final = 60.0

_LB: Final = "/v2/lbaas"


def run(settings: Settings, port: int) -> None:
    """Run until interrupted. A second start on the same data directory finds what the first one made."""
    backend = Backend()
    backend.start()
    try:
        serve(settings, partial(_set_up, port=port, backend_port=backend.port), log_level="warning")
    finally:
        backend.stop()


async def _set_up(running: Running, port: int, backend_port: int) -> None:
    async with httpx.AsyncClient(
        base_url=running.url, headers={"X-Auth-Token": running.token}, timeout=30, trust_env=False
    ) as http:
        demo = _Demo(http, running.settings.data_dir / "demo")
        listener = await demo.set_up(port, backend_port)
        await demo.until_serving(listener)
    print(_welcome(running, demo.folder, port), flush=True)  # noqa: T201 (what the command is for)


@dataclass(frozen=True)
class _Demo:
    """The demo's resources, each made unless it is there."""

    http: httpx.AsyncClient
    folder: Path

    async def set_up(self, port: int, backend_port: int) -> str:
        """Make whatever is missing; the listener's id."""
        await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        root = await self._have("/v1/authorities", "authority", "authorities", {"name": ROOT, "kind": "root"})
        issuing = await self._have(
            "/v1/authorities",
            "authority",
            "authorities",
            {"name": ISSUING, "kind": "intermediate", "parent_id": root["id"], "lifetime_days": 1825},
        )
        balancer = await self._have(
            f"{_LB}/loadbalancers", "loadbalancer", "loadbalancers", {"name": NAME, "vip_address": "127.0.0.1"}
        )
        pool = await self._have(
            f"{_LB}/pools",
            "pool",
            "pools",
            {"name": NAME, "loadbalancer_id": balancer["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
        )
        members = [{"name": "demo backend", "address": "127.0.0.1", "protocol_port": backend_port}]
        await self._call("PUT", f"{_LB}/pools/{pool['id']}/members", {"members": members})
        listener = await self._listener(port, balancer["id"], pool["id"], issuing["href"])
        (server_authority,) = (await self._call("GET", f"/v1/authorities?name={SERVER_AUTHORITY}"))["authorities"]
        (self.folder / "ca.pem").write_text(server_authority["certificate"])
        await self._client_certificate(issuing["id"])
        return str(listener["id"])

    async def until_serving(self, listener_id: str) -> None:
        """Wait until the gateway has accepted the listener. Raises `Unavailable` with the gateway's own words if it refuses."""
        async with asyncio.timeout(READY_SECONDS):
            while True:
                listener = (await self._call("GET", f"{_LB}/listeners/{listener_id}"))["listener"]
                if listener["provisioning_status"] == "ACTIVE":
                    return
                if listener["provisioning_status"] == "ERROR":
                    raise Unavailable(f"the gateway refused the listener: {listener['provisioning_error']}")
                await asyncio.sleep(0.02)

    async def _listener(self, port: int, balancer_id: str, pool_id: str, client_ca: str) -> dict[str, Any]:
        """The HTTPS listener; on another port than last time it is made anew, as a port cannot be changed."""
        for known in (await self._call("GET", f"{_LB}/listeners?name={NAME}"))["listeners"]:
            if known["protocol_port"] == port:
                return dict(known)
            await self._call("DELETE", f"{_LB}/listeners/{known['id']}")
        wanted = {
            "name": NAME,
            "loadbalancer_id": balancer_id,
            "default_pool_id": pool_id,
            "protocol": "TERMINATED_HTTPS",
            "protocol_port": port,
            "client_authentication": "MANDATORY",
            "client_ca_tls_container_ref": client_ca,
        }
        return dict((await self._call("POST", f"{_LB}/listeners", {"listener": wanted}))["listener"])

    async def _client_certificate(self, authority_id: str) -> None:
        """A key made here and a certificate for it, unless there is a good one already."""
        key, certificate = self.folder / "client.key", self.folder / "client.pem"
        if key.exists() and certificate.exists() and _good_for_a_day(certificate, clock.now):
            return
        key_pem, csr = new_key_and_request("demo client")
        wanted = {"authority_id": authority_id, "csr": csr, "profile": "client", "owner": "demo"}
        issued = (await self._call("POST", "/v1/certificates", {"certificate": wanted}))["certificate"]
        key.unlink(missing_ok=True)
        write_private(key, key_pem)
        certificate.write_text(issued["certificate"] + issued["chain"])

    async def _have(self, path: str, singular: str, plural: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """The resource of this name, made if there is none."""
        for known in (await self._call("GET", f"{path}?name={wanted['name']}"))[plural]:
            return dict(known)
        return dict((await self._call("POST", path, {singular: wanted}))[singular])

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        reply = await self.http.request(method, path, json=body)
        if not reply.is_success:
            raise Unavailable(f"the demo could not be set up: {method} {path} was answered {reply.status_code}: {reply.text}")
        return dict(reply.json()) if reply.content else {}


def _good_for_a_day(file: Path, now: Callable[[], Any]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError:
        return False
    return bool(certificate.not_valid_after_utc - now() > timedelta(days=1))


def _welcome(running: Running, folder: Path, port: int) -> str:
    ca, certificate, key = (shlex.quote(str(folder / name)) for name in ("ca.pem", "client.pem", "client.key"))
    address = f"https://127.0.0.1:{port}/"
    return (
        f"\nostiary is ready.\n\n"
        f"  Console  {running.sign_in}   (works once, for 15 minutes; another one: ostiary console)\n"
        f"  API      {running.url}   (token in {running.settings.token_file})\n"
        f"  Door     {address}   (Client CA: {ISSUING})\n\n"
        f"With a certificate you are let in:\n\n"
        f"  curl --cacert {ca} --cert {certificate} --key {key} {address}\n\n"
        f"Without one you are refused:\n\n"
        f"  curl --cacert {ca} {address}\n\n"
        f"Press Ctrl-C to stop.\n"
    )
