"""An ostiary with a door to enrolment, and devices that come to it with grants."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from support.ports import free_port
from support.stack import PROGRAM, Ostiary
from support.tls_clients import TLSClient
from support.wait import eventually

RUN_WITHIN: Final = 120.0


@dataclass
class WithDoor(Ostiary):
    """`ostiary up --enroll-listen` on a folder. `enroll_port` is the door's."""

    enroll_port: int = field(default_factory=free_port)

    @property
    def options(self) -> tuple[object, ...]:
        return ("--enroll-listen", f"127.0.0.1:{self.enroll_port}", "--enroll-name", "localhost")

    def start(self) -> "WithDoor":
        super().start()
        eventually(lambda: self.at_door().get("/enroll/ca.pem").status == 200, within=60)
        return self

    def at_door(self, cert: Path | None = None, key: Path | None = None) -> TLSClient:
        """A client of the door."""
        return TLSClient(self.enroll_port, ca=self.server_ca, cert=cert, key=key)

    def authority(self, name: str, **fields: Any) -> str:
        """Make an authority with a key; its id."""
        return str(self.call("POST", "/v1/authorities", {"authority": {"name": name, **fields}})["authority"]["id"])

    def grant(self, authority_id: str, **fields: Any) -> dict[str, Any]:
        """A grant for one certificate, with its secret, link and command."""
        wanted = {"authority_id": authority_id, "profile": "client", "names": {"common_name": "device-1"}, **fields}
        return dict(self.call("POST", "/v1/tokens", {"token": wanted})["token"])


def ostiary(*arguments: object, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as a device does: no token, no data directory, only what it is given."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=RUN_WITHIN, check=False, cwd=cwd
    )
