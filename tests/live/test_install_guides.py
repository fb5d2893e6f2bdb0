"""What the installation pages say is done, word for word, and then opens a real door that asks for a client certificate."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from ostiary.pki.bundle import Holding, new_passphrase, pkcs12_file
from ostiary.web.guides import CA_URL, GUIDES, SERVICE, Snippet
from support.backend import Backend
from support.certs import Authority
from support.processes import Running
from support.stack import Door, Ostiary
from support.terminal import typed

pytestmark = pytest.mark.live

CLIENTS: Final = Authority.root("Clients' root").intermediate("Clients")
PASSPHRASE: Final = new_passphrase()
# Programs of this environment first, so that `python3` is the one with httpx.
PATH: Final = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # noqa: TID251 (what a child finds its programs by)


@pytest.fixture(scope="module")
def door(house: Ostiary, inside: Backend) -> Door:
    bundle = house.secret(CLIENTS.bundle_pem)
    return house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=bundle)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Path]:
    """The folder of somebody who was handed a PKCS#12 file."""
    alice = CLIENTS.client("alice")
    held = Holding(alice.certificate, alice.key, alice.authorities[:-1])
    (tmp_path / "identity.p12").write_bytes(pkcs12_file(held, PASSPHRASE, "modern", "alice"))
    (tmp_path / "profile").mkdir()
    yield tmp_path
    (tmp_path / "identity.p12").unlink()


class Person:
    """Somebody who follows a page step by step."""

    def __init__(self, house: Ostiary, door: Door, folder: Path) -> None:
        (self.authority,) = house.call("GET", "/v1/authorities?name=ostiary server CA")["authorities"]
        self.ca_url = f"http://{house.listen}/pki/{self.authority['id']}.pem"
        self.service = f"https://localhost:{door.port}/"
        self.folder = folder
        self.said: list[str] = []

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
            (self.folder / snippet.file).write_text(text.replace("PASSPHRASE", PASSPHRASE) + "\n")
        else:
            self.types(text)

    def types(self, command: str) -> str:
        """Type a command and answer its questions."""
        env = {"HOME": str(self.folder), "PATH": PATH, "PROFILE": f"{self.folder}/profile", "JAVA_TOOL_OPTIONS": ""}
        self.said.append(typed(command, self.folder, PASSPHRASE, env))
        return self.said[-1]


@pytest.fixture
def person(house: Ostiary, door: Door, desk: Path) -> Person:
    return Person(house, door, desk)


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
