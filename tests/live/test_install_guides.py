"""What the installation pages say is done, word for word, and then opens a real door that asks for a client certificate."""

import base64
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from ostiary.web.guides import CA_URL, GUIDES, SERVICE, Snippet
from support.backend import Backend
from support.processes import Running
from support.stack import Door, Ostiary
from support.terminal import typed

pytestmark = pytest.mark.live

# Programs of this environment first, so that `python3` is the one with httpx.
PATH: Final = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # noqa: TID251 (what a child finds its programs by)


@pytest.fixture(scope="module")
def clients(house: Ostiary) -> dict[str, Any]:
    """The authority that signs clients."""
    root = house.call("POST", "/v1/authorities", {"authority": {"name": "Clients' root", "kind": "root"}})["authority"]
    below = {"name": "Clients", "kind": "intermediate", "parent_id": root["id"]}
    return dict(house.call("POST", "/v1/authorities", {"authority": below})["authority"])


@pytest.fixture(scope="module")
def door(house: Ostiary, inside: Backend, clients: dict[str, Any]) -> Door:
    return house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=clients["href"])


@dataclass
class Person:
    """Somebody who was handed a PKCS#12 file and follows a page step by step."""

    house: Ostiary
    door: Door
    folder: Path
    passphrase: str
    said: list[str] = field(default_factory=list)

    @cached_property
    def authority(self) -> dict[str, Any]:
        """What signed the certificate of the service."""
        (found,) = self.house.call("GET", "/v1/authorities?name=ostiary server CA")["authorities"]
        return dict(found)

    @property
    def ca_url(self) -> str:
        return f"http://{self.house.listen}/pki/{self.authority['id']}.pem"

    @property
    def service(self) -> str:
        return f"https://localhost:{self.door.port}/"

    def follows(self, platform: str, *, leaving_out: str = "^$") -> str:
        """Do every step of a page; what the last command said. `leaving_out` is what cannot be done on this machine."""
        for part in GUIDES[platform].parts:
            for step in part.steps:
                for snippet in step.snippets:
                    if not re.search(leaving_out, snippet.text):
                        self._does(snippet)
        return self.said[-1]

    def _does(self, snippet: Snippet) -> None:
        text = snippet.text.replace(CA_URL, self.ca_url).replace(SERVICE, self.service)
        if snippet.file:
            (self.folder / snippet.file).write_text(text.replace("PASSPHRASE", self.passphrase) + "\n")
        else:
            self.types(text)

    def types(self, command: str) -> str:
        """Type a command and answer its questions."""
        env = {"HOME": str(self.folder), "PATH": PATH, "PROFILE": f"{self.folder}/profile", "JAVA_TOOL_OPTIONS": ""}
        self.said.append(typed(command, self.folder, self.passphrase, env))
        return self.said[-1]


@pytest.fixture
def person(house: Ostiary, door: Door, clients: dict[str, Any], tmp_path: Path) -> Person:
    wanted = {"key": "generate", "authority_id": clients["id"], "names": {"common_name": "alice"}, "name": "alice"}
    made = house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
    (tmp_path / "identity.p12").write_bytes(base64.b64decode(made["pkcs12"]))
    (tmp_path / "profile").mkdir()
    return Person(house, door, tmp_path, made["passphrase"])


def test_nobody_gets_in_without_a_certificate(person: Person) -> None:
    person.types(f"curl -o ca.pem {person.ca_url}")
    with pytest.raises(AssertionError, match="curl: \\("):
        person.types(f"curl --cacert ca.pem {person.service}")


def test_the_fingerprint_that_is_to_be_compared_is_the_one_on_the_page(person: Person, house: Ostiary) -> None:
    person.follows("curl")
    page = httpx.get(f"http://{house.listen}/install/curl?authority={person.authority['id']}", trust_env=False).text
    (shown,) = re.findall(r"SHA-256 ([0-9A-F:]{95})", page)
    assert any(f"Fingerprint={shown}" in said for said in person.said)


def test_curl(person: Person) -> None:
    assert "inside" in person.follows("curl")
    assert (person.folder / "client.key").stat().st_mode & 0o077 == 0


def test_linux(person: Person) -> None:
    """All but what changes the machine itself: its store of authorities, its network."""
    assert "inside" in person.follows("linux", leaving_out="^sudo|^nmcli")


def test_python(person: Person) -> None:
    """With the standard library and with httpx. requests is not installed here, so its file is written and not run."""
    assert "inside" in person.follows("python")
    assert sum("inside" in said for said in person.said) == 2


def test_java(person: Person) -> None:
    assert re.search("^200 .*inside", person.follows("java"), re.MULTILINE | re.DOTALL)
    shown = ":".join(re.findall("..", person.authority["fingerprint_sha256"].upper()))
    assert any(shown in said for said in person.said)  # keytool shows what is to be compared before it asks


@pytest.mark.parametrize(("platform", "store"), [("firefox", "profile"), ("chrome", ".pki/nssdb")])
def test_browsers_with_stores_of_their_own(
    person: Person, platform: str, store: str, start_process: Callable[..., Running]
) -> None:
    """Their library, NSS, connects with its own test client and finds certificate and authority in the store."""
    if platform == "firefox":
        person.types('certutil -N -d "sql:$PROFILE" --empty-password')  # Firefox made it when it first ran.
    person.follows(platform)
    (person.folder / "request").write_text("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    port = urlsplit(person.service).port
    words = ("-4", "-d", f"sql:{store}", "-n", "alice", "-h", "localhost", "-p", port, "-V", "tls1.2:tls1.3", "-A", "request")
    answer = start_process("tstclnt", *words).says('"name": "inside"')  # It does not end by itself.
    assert "HTTP/1.1 200" in answer
