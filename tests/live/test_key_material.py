"""Keys of authorities through their whole life, and what is left of them where they must not be."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from ostiary.pki import kek
from ostiary.pki.holder import new_key_and_request
from support.backend import Backend
from support.certs import new_key
from support.commands import Terminal, run
from support.hidden import Watcher, forms, hidden_in, key_forms
from support.processes import Running
from support.softhsm import PIN, SoftHSM, a_token
from support.stack import Ostiary
from support.tls_clients import TLSClient

pytestmark = pytest.mark.live

EXPORTED_UNDER = "correct horse battery staple"
WRONG = "wrong zebra generator paperclip"
PROTECTED_UNDER = "perfect gorilla lunchbox trumpet"


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHSM:
    return a_token(tmp_path / "hsm")


@pytest.fixture
def house(tmp_path: Path, hsm: SoftHSM, start_process: Callable[..., Running]) -> Ostiary:
    """Not started yet; told of the token, and of the passphrase of its key-encryption key."""
    passphrase = tmp_path / "kek-passphrase"
    passphrase.write_text(PROTECTED_UNDER)
    (tmp_path / "house").mkdir()
    environment = {**hsm.environment, "OSTIARY_PASSPHRASE_FILE": str(passphrase)}
    return Ostiary(tmp_path / "house", launch=partial(start_process, env=environment))


def test_the_search_finds_what_it_looks_for() -> None:
    key = new_key()
    wanted = key_forms(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for encoding, form in ((Encoding.PEM, PrivateFormat.PKCS8), (Encoding.PEM, PrivateFormat.TraditionalOpenSSL)):
        pem = key.private_bytes(encoding, form, NoEncryption())
        told = json.dumps({"said": pem.decode()})
        for text in (pem, told.encode(), json.dumps({"entry": told}).encode(), repr(told).encode()):
            assert hidden_in(text, wanted)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for before in range(5):
        for text in (bytes(before) + der, (bytes(before) + der).hex().encode(), base64.b64encode(bytes(before) + der)):
            assert hidden_in(text, wanted)


def test_pitfall_19_no_key_and_no_passphrase_is_anywhere_but_where_it_belongs(tmp_path: Path, house: Ostiary) -> None:
    secrets: set[bytes] = set()
    watcher, said = Watcher(), list[str]()
    (tmp_path / "passphrase").write_text(EXPORTED_UNDER)
    (tmp_path / "wrong").write_text(WRONG)
    with watcher.watching():
        house.start()
        where = {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)}
        ostiary = Terminal(house, tmp_path, where, by_itself=True)
        said += use_keys(ostiary, tmp_path)
        secrets |= key_forms((tmp_path / "root.key").read_bytes(), EXPORTED_UNDER.encode())
        house.stop()
        keks = kek.read((house.data_dir / "kek").read_bytes(), None)
        environment = {**ostiary.env, "OSTIARY_PASSPHRASE_FILE": str(tmp_path / "kek-passphrase")}
        for command in (("protect", "--new-passphrase-file", "kek-passphrase"), ("rotate",)):
            done = run("kek", *command, folder=tmp_path, env=environment)
            assert done.exit_code == 0, done.err
            said += [done.out, done.err]
        keks += kek.read((house.data_dir / "kek").read_bytes(), PROTECTED_UNDER.encode())
        with house:
            assert ostiary.does("ca", "show", "Root", "--json").json()["has_key"]
            said.append(issued(ostiary, "In the token", "again"))
    secrets |= {form for text in (EXPORTED_UNDER, WRONG, PROTECTED_UNDER, PIN) for form in forms(text.encode())}
    # Whoever has the key-encryption key has them all; the first lay in the file as it is until it was protected.
    secrets |= {form for key in keks for form in forms(key)}
    files = [file for file in house.folder.rglob("*") if file.is_file()]
    assert {"ostiary.db", "kek"} <= {file.name for file in files}
    assert any("In the token" in text for text in said)
    for file in files:
        assert not hidden_in(file.read_bytes(), secrets), file
    for text in said:
        assert not hidden_in(text.encode(), secrets), text
    assert any(b"export" in words for words in watcher.seen)
    for words in watcher.seen:
        assert not hidden_in(words, secrets), words


def use_keys(ostiary: Terminal, folder: Path) -> list[str]:
    """Make, export, lose, refuse, import and use keys in every way there is; what was printed meanwhile."""
    done = [
        ostiary.does("ca", "create", "Root"),
        ostiary.does("ca", "create", "In the token", "--custody", "pkcs11"),
        ostiary.does("ca", "create", "Issuing", "--parent", "Root"),
        ostiary.does(
            "ca",
            "export",
            "Root",
            "--out",
            "root.pem",
            "--key-out",
            "root.key",
            "--remove-key",
            "--passphrase-file",
            "passphrase",
        ),
        ostiary.does("ca", "show", "Root"),
    ]
    assert "never lets it out" in ostiary.is_told(
        "ca", "export", "In the token", "--key-out", "token.key", "--passphrase-file", "passphrase"
    )
    again = ("ca", "import", "root.pem", "--key", "root.key", "--passphrase-file")
    assert "cannot be decrypted with this passphrase" in ostiary.is_told(*again, "wrong")
    assert "has no key here" in ostiary.is_told("ca", "create", "Below", "--parent", "Root")
    done.append(ostiary.does(*again, "passphrase"))
    assert "has its key here already" in ostiary.is_told(*again, "passphrase")
    (folder / "broken.key").write_text((folder / "root.key").read_text().replace("A", "B"))
    ostiary.is_told("ca", "import", "root.pem", "--key", "broken.key", "--passphrase-file", "passphrase")
    printed = [text for one in done for text in (one.out, one.err)]
    return [*printed, issued(ostiary, "Issuing", "alice"), issued(ostiary, "In the token", "bob")]


def issued(ostiary: Terminal, authority: str, name: str) -> str:
    """What is printed when a certificate is issued."""
    _, csr = new_key_and_request(name)
    (ostiary.folder / f"{name}.csr").write_text(csr)
    return str(ostiary.does("cert", "issue", f"{name}.csr", "--ca", authority).out) + authority


def test_clients_of_an_authority_whose_root_is_offline_are_let_in(house: Ostiary, tmp_path: Path, backend: Backend) -> None:
    with house:
        root = an_authority(house, name="Root")
        issuing = an_authority(house, name="Below", kind="intermediate", parent_id=root["id"])
        files = a_client(house, issuing["id"], tmp_path)
        door = house.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=root["href"])
        client = TLSClient(door.port, ca=house.server_ca, cert=files.cert, key=files.key)
        assert client.request("GET", "/").status == 200
        house.call("POST", f"/v1/authorities/{root['id']}/export", {"export": {"passphrase": EXPORTED_UNDER, "remove": True}})
        house.until_active(door.id)
        assert client.request("GET", "/").status == 200
        late = a_client(house, issuing["id"], tmp_path / "late")
        assert TLSClient(door.port, ca=house.server_ca, cert=late.cert, key=late.key).request("GET", "/").status == 200


def test_a_token_that_is_pulled_out_stops_issuing_and_nothing_else(
    house: Ostiary, hsm: SoftHSM, tmp_path: Path, backend: Backend
) -> None:
    with house:
        authority = an_authority(house, name="In the token", custody="pkcs11")
        files = a_client(house, authority["id"], tmp_path)
        door = house.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
        client = TLSClient(door.port, ca=house.server_ca, cert=files.cert, key=files.key)
        hsm.pull_out()
        refused = house.request("POST", "/v1/certificates", request_for(authority["id"], "late"))
        assert refused.status_code == 503
        assert "PKCS#11 token" in refused.json()["detail"]
        assert "all else goes on" in refused.json()["detail"]
        assert client.request("GET", "/").status == 200
        other = an_authority(house, name="Other")
        house.change(door.id, name="still changeable")
        a_client(house, other["id"], tmp_path / "other")
        hsm.plug_in()
        a_client(house, authority["id"], tmp_path / "late")


@dataclass(frozen=True)
class Files:
    """A client's certificate and key."""

    cert: Path
    key: Path


def an_authority(house: Ostiary, **fields: Any) -> dict[str, Any]:
    return dict(house.call("POST", "/v1/authorities", {"authority": fields})["authority"])


def request_for(authority_id: str, name: str) -> dict[str, Any]:
    return {"certificate": {"authority_id": authority_id, "csr": new_key_and_request(name)[1]}}


def a_client(house: Ostiary, authority_id: str, folder: Path) -> Files:
    key, csr = new_key_and_request("alice")
    made = house.call("POST", "/v1/certificates", {"certificate": {"authority_id": authority_id, "csr": csr}})["certificate"]
    folder.mkdir(exist_ok=True)
    files = Files(folder / "client.pem", folder / "client.key")
    files.cert.write_text(made["certificate"] + made["chain"])
    files.key.write_bytes(key)
    return files
