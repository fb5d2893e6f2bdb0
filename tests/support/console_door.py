"""An ostiary whose console has a door of its own, and people who come to it with certificates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from support.certs import csr, key_pem, new_key
from support.ports import free_port
from support.stack import Ostiary
from support.tls_clients import Answer, Connection, Refused, TLSClient
from support.wait import eventually

HOME: Final = "/console/balancers"
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class WithConsoleDoor(Ostiary):
    """`ostiary up --console-listen` on a folder. `console_port` is the door's; `demands` is whether it asks for certificates."""

    console_port: int = field(default_factory=free_port)
    authentication: str = "OPTIONAL"

    @property
    def options(self) -> tuple[object, ...]:
        door = ("--console-listen", f"127.0.0.1:{self.console_port}", "--console-name", "localhost")
        return (*door, "--console-client-authentication", self.authentication)

    def start(self) -> "WithConsoleDoor":
        super().start()
        eventually(self._is_open, within=60)
        return self

    def _is_open(self) -> bool:
        try:
            return self.visitor().get("/healthz").status == 200
        except Refused:
            return self.authentication == "MANDATORY"
        except ConnectionRefusedError:
            return False

    def visitor(self, cert: Path | None = None, key: Path | None = None) -> TLSClient:
        """A client of the door."""
        return TLSClient(self.console_port, ca=self.server_ca, cert=cert, key=key)

    def authority(self, name: str) -> str:
        """Make an authority with a key; its id."""
        return str(self.call("POST", "/v1/authorities", {"authority": {"name": name}})["authority"]["id"])

    def user(self, name: str, role: str = "admin") -> str:
        """Add a user who is known by their common name; the id."""
        wanted = {"name": name, "role": role, "certificate": {"subject_cn": [name]}}
        return str(self.call("POST", "/v1/users", {"user": wanted})["user"]["id"])

    def person(self, name: str, authority_id: str, folder: Path) -> "Person":
        """Somebody with a certificate that the administrator issued; the door knows the authority already."""
        key, wanted = new_key(), {"authority_id": authority_id}
        made = self.call("POST", "/v1/certificates", {"certificate": {**wanted, "csr": csr(key, name)}})["certificate"]
        chain, key_file = folder / f"{name}-{made['serial']}.pem", folder / f"{name}-{made['serial']}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        person = Person(self, made, self.visitor(chain, key_file))
        eventually(lambda: person.knock() == 200)
        return person


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate of ours."""

    house: WithConsoleDoor
    certificate: dict[str, Any]
    client: TLSClient

    def knock(self) -> int | str:
        """The status of a page that everybody may see, or the alert of a refused handshake."""
        try:
            return self.client.get("/console/sign-in").status
        except Refused as refused:
            return refused.reason

    def becomes(self, reason: str) -> None:
        """Say why the certificate is no longer good, or (removeFromCRL) that it is again."""
        self.house.call("POST", f"/v1/certificates/{self.certificate['id']}/revoke", {"reason": reason})


def sign_in(at: TLSClient | Connection, headers: Mapping[str, str] | None = None) -> Answer:
    """Press the button that signs in with the certificate."""
    return at.request("POST", "/console/sign-in/certificate", headers={**_FORM, **(headers or {})}, body=b"")


def follow(at: TLSClient | Connection, path: str) -> Answer:
    """Press the button on the page of a sign-in link."""
    return at.request("POST", path, headers=_FORM, body=b"")


def cookie(answer: Answer) -> dict[str, str]:
    """What a browser sends back. Empty when no session began."""
    found = re.search(r"((?:__\w+-)?ostiary-session)=(os_[\w-]+)", answer.headers.get("set-cookie", ""))
    return {"Cookie": f"{found[1]}={found[2]}"} if found else {}


def is_in(at: TLSClient | Connection, session: Mapping[str, str]) -> bool:
    """Whether the console opens."""
    answer = at.get(HOME, session)
    assert answer.status in {200, 303}, answer.status
    return answer.status == 200
