"""Markers are planted in everything secret that can be sent in, and looked for in everything that is written or answered.

One whole ostiary, at the most talkative log level. What is planted is used rightly and wrongly: in its own field, in others, in
broken requests, with refusals. PINs, exported keys and the key-encryption key are test_key_material's.
"""

import base64
import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest

from ostiary.clock import now
from ostiary.pki.holder import new_key_and_request
from support.backend import Backend
from support.certs import DAY, Authority, key_pem, new_key
from support.commands import run
from support.hidden import Watcher, forms, hidden_in, key_forms
from support.ports import free_port
from support.processes import Running
from support.stack import LB, Ostiary
from support.tls_clients import TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

TOO_LONG: Final = "x" * 300


@dataclass
class Planted:
    """What must not turn up, by what it is."""

    by_name: dict[str, set[bytes]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A secret that is easy to recognise."""
        made = f"plant-{secrets.token_hex(16)}"
        self.add(name, made)
        return made

    def key(self, name: str) -> str:
        """A private key, PEM, as it is."""
        pem = key_pem(new_key())
        self.by_name[name] = key_forms(pem.encode())
        return pem

    def add(self, name: str, secret: str) -> None:
        """One that somebody else made."""
        self.by_name[name] = forms(secret.encode())

    def found_in(self, content: bytes) -> list[str]:
        """What of it is there."""
        if not hidden_in(content, set().union(*self.by_name.values())):
            return []
        return [name for name, wanted in self.by_name.items() if hidden_in(content, wanted)]


@dataclass
class Sender:
    """Sends what is planted to the API; keeps what was answered to what was wrong."""

    house: Ostiary
    planted: Planted
    refusals: dict[str, bytes] = field(default_factory=dict)

    def send(self, method: str, path: str, body: Any = None, *, raw: str | None = None, **headers: str) -> httpx.Response:
        """One request; with headers of its own, without our token."""
        sent = headers or {"X-Auth-Token": (self.house.data_dir / "admin.token").read_text()}
        content = raw if raw is not None else None if body is None else json.dumps(body)
        url = f"http://{self.house.listen}{path}"
        answer = httpx.request(
            method, url, content=content, headers={"Content-Type": "application/json", **sent}, trust_env=False, timeout=60
        )
        if answer.status_code >= 300:
            said = answer.content + repr(sorted(answer.headers.items())).encode()
            self.refusals[f"{len(self.refusals)}: {answer.status_code} to {method} {path[:40]}"] = said
        return answer

    def is_refused(self, method: str, path: str, body: Any = None, **other: Any) -> None:
        """The same, which must be wrong."""
        answer = self.send(method, path, body, **other)
        assert answer.status_code >= 400, f"{method} {path[:60]}: {answer.status_code} {answer.text[:500]}"
        assert answer.status_code != 405, f"{method} {path[:60]} is nothing that there is"


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture
def talkative(tmp_path: Path, planted: Planted, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    """A whole ostiary that says all it has to say."""
    passphrase = tmp_path / "kek-passphrase"
    (tmp_path / "house").mkdir()
    passphrase.write_text(planted.text("the passphrase of the key-encryption key"))
    (tmp_path / "debug").write_text("")
    launch = partial(start_process, env={"OSTIARY_LOG_LEVEL": "debug", "OSTIARY_PASSPHRASE_FILE": str(passphrase)})
    with Ostiary(tmp_path / "house", launch) as house:
        yield house


def test_nothing_that_is_secret_is_written_anywhere(
    talkative: Ostiary, planted: Planted, tmp_path: Path, backend: Backend
) -> None:
    sender = Sender(talkative, planted)
    said: dict[str, bytes] = {}
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    watcher = Watcher()
    with watcher.watching():
        planted.add("the admin token", (talkative.data_dir / "admin.token").read_text())
        credentials(sender)
        stored(sender)
        keys_in_wrong_places(sender)
        broken(sender)
        grants_and_tokens(sender)
        told(sender)
        by_console(sender, said)
        through_the_door(sender, backend)
        by_command(sender, inputs, said)
        asked_for(sender)
        said |= surroundings(talkative)
    talkative.stop()
    assert any(b"passphrase-file" in words for words in watcher.seen), "commands were seen while they ran"
    assert len(sender.refusals) > 40
    places = said | sender.refusals | {f"an argument list {number}": words for number, words in enumerate(watcher.seen)}
    places |= {f"column {name}": content for name, content in columns(talkative.data_dir / "ostiary.db")}
    ours = {talkative.data_dir / "admin.token", talkative.data_dir / "kek"}
    places |= {
        str(file.relative_to(tmp_path)): file.read_bytes()
        for file in talkative.folder.rglob("*")
        if file.is_file() and file not in ours
    }
    assert {"house/data/logs/access.jsonl", "house/data/logs/envoy.log", "house/data/ostiary.db"} <= places.keys()
    assert any(b'"level": "debug"' in content for content in places.values())
    leaks = [f"{what} in {place}" for place, content in places.items() for what in planted.found_in(content)]
    assert not leaks, "\n".join(leaks)


def credentials(sender: Sender) -> None:
    """Wrong ones, wherever one might put them."""
    text = sender.planted.text
    sender.is_refused("GET", "/v1/authorities", **{"X-Auth-Token": text("a wrong token")})
    for scheme in ("Bearer", "Basic", "Digest username="):
        sender.is_refused("GET", "/v1/authorities", Authorization=f"{scheme} {text(f'a wrong credential, {scheme}')}")
    sender.is_refused("GET", "/v1/authorities", Cookie=f"ostiary_session={text('a cookie')}; other={text('another cookie')}")
    sender.is_refused("GET", f"/v1/authorities?token={text('a token in a query')}", Accept="*/*")
    sender.is_refused("GET", f"/v1/authorities?access_token={text('a token in a query of ours')}")
    sender.is_refused("GET", f"/enroll/oe_{text('a wrong grant in a path')}", Accept="text/html")
    sender.is_refused("POST", "/v1/enroll", {"enrolment": {"csr": new_key_and_request("x")[1], "token": text("a wrong grant")}})
    sender.is_refused("GET", f"/console/sign-in/ol_{text('a wrong sign-in link')}", Accept="text/html")
    sender.is_refused("PUT", "/v1/secrets/x", Authorization=f"Bearer {text('a credential for what is not there')}")


def stored(sender: Sender) -> None:
    """What belongs here and is kept sealed; and the same with something wrong beside it."""
    text, key = sender.planted.text, sender.planted.key
    for name, encoding in (("text/plain", None), ("application/octet-stream", "base64")):
        payload = text(f"the payload of a secret, {name}")
        sent = base64.b64encode(payload.encode()).decode() if encoding else payload
        body = {"name": "kept", "payload": sent, "payload_content_type": name, "payload_content_encoding": encoding}
        made = sender.send("POST", "/v1/secrets", body)
        assert made.status_code == 201, made.text
        for wrong in ({"name": TOO_LONG}, {"algorithm": 5}, {"payload_content_type": "text/evil"}, {"nonsense": True}):
            sender.is_refused("POST", "/v1/secrets", body | wrong)
    authority = Authority.root("Brought")
    sender.planted.by_name["the key of an authority that is brought"] = key_forms(authority.key_pem.encode())
    brought = {"name": "Brought", "certificate": authority.cert_pem, "private_key": authority.key_pem}
    sender.is_refused("POST", "/v1/authorities", {"authority": brought | {"name": TOO_LONG}})
    sender.is_refused("POST", "/v1/authorities", {"authority": brought | {"private_key": key("a key that does not fit")}})
    phrase = text("the passphrase of a key")
    beside: dict[str, Any]
    for beside in ({"passphrase": phrase}, {"pkcs12": text("what is no PKCS#12 file")}, {"crl": authority.key_pem}):
        sender.send("POST", "/v1/authorities", {"authority": brought | beside})
    own = sender.house.call("POST", "/v1/authorities", {"authority": {"name": "Own"}})["authority"]
    good = text("the passphrase of an export")
    exported = sender.send("POST", f"/v1/authorities/{own['id']}/export", {"export": {"passphrase": good}})
    assert exported.status_code == 200
    content = exported.json()["export"]["content"]
    sender.planted.by_name["an exported key"] = key_forms(content.encode(), good.encode())
    wrongs: tuple[dict[str, Any], ...] = ({"format": text("in place of a format")}, {"remove": "perhaps"}, {"nonsense": 1})
    for wrong in wrongs:
        sender.is_refused("POST", f"/v1/authorities/{own['id']}/export", {"export": {"passphrase": good, **wrong}})
    backed = sender.send("POST", "/v1/backup", {"backup": {"passphrase": text("the passphrase of a backup")}})
    assert backed.status_code == 200
    wrongs = ({"with_kek": "perhaps"}, {"passphrase": [text("a passphrase in a list")]})
    for wrong in wrongs:
        sender.is_refused("POST", "/v1/backup", {"backup": {"passphrase": good, **wrong}})


def keys_in_wrong_places(sender: Sender) -> None:
    """A key where something else belongs: what says so must not show it."""
    house, key = sender.house, sender.planted.key
    (own,) = house.call("GET", "/v1/authorities?name=Own")["authorities"]
    balancer = house.balancer()
    pem = key("a key in a wrong field")
    listener = {"name": "d", "protocol": "TERMINATED_HTTPS", "protocol_port": free_port(), "loadbalancer_id": balancer}
    for path, body in (
        ("/v1/certificates", {"certificate": {"authority_id": own["id"], "csr": pem}}),
        ("/v1/certificates", {"certificate": {"authority_id": pem, "csr": "x"}}),
        ("/v1/authorities", {"authority": {"name": pem}}),
        ("/v1/authorities", {"authority": {"name": "x", "certificate": pem}}),
        ("/v1/authorities", {"authority": {"name": "x", "certificate": pem, "private_key": pem}}),
        ("/v1/profiles", {"profile": {"name": pem}}),
        ("/v1/tokens", {"token": {"name": pem, "role": pem}}),
        ("/v1/users", {"user": {"name": pem, "role": "admin"}}),
        (f"{LB}/loadbalancers", {"loadbalancer": {"name": "x", "vip_address": pem}}),
        (f"{LB}/listeners", {"listener": listener | {"default_tls_container_ref": pem}}),
        (f"{LB}/listeners", {"listener": listener | {"client_ca_tls_container_ref": pem}}),
        (f"{LB}/listeners", {"listener": listener | {"protocol_port": pem}}),
        (f"{LB}/listeners", {"listener": listener | {"protocol": pem}}),
        (f"{LB}/listeners", {"listener": listener | {"insert_headers": {"X-Key": pem}}}),
        (f"{LB}/listeners", {"listener": listener | {"default_pool_id": pem}}),
        ("/v1/access-rules", {"access_rule": {"listener_id": pem, "name": "x", "action": "ALLOW"}}),
        ("/v1/access-rules", {"access_rule": {"listener_id": balancer, "name": pem, "action": pem}}),
        ("/v1/containers", {"name": "x", "type": "certificate", "secret_refs": [{"name": pem, "secret_ref": pem}]}),
        ("/v1/enroll", {"enrolment": {"csr": pem, "token": "oe_x"}}),
        ("/v1/explain", {"explain": {"listener_id": pem, "certificate": pem}}),
        ("/v1/notification-targets", {"notification_target": {"name": pem, "kind": "WEBHOOK", "url": pem}}),
    ):
        sender.is_refused("POST", path, body)
    container = house.secret(pem)
    sender.is_refused("POST", f"{LB}/listeners", {"listener": listener | {"client_ca_tls_container_ref": container}})
    sender.is_refused("POST", f"{LB}/listeners", {"listener": listener | {"default_tls_container_ref": container}})
    sender.is_refused("PUT", "/v1/settings", {"settings": {"audit_retention_days": pem}})
    sender.is_refused("PUT", f"/v1/authorities/{own['id']}/crl", raw=pem)


def broken(sender: Sender) -> None:
    """Requests that are no requests, with something secret in them."""
    text, key = sender.planted.text, sender.planted.key
    inside = text("what is in a broken body")
    for raw in (
        f'{{"payload": "{inside}',
        f'{{"payload": "{inside}", "payload": "{inside}"}}',
        f'["{inside}"]',
        f'"{inside}"',
        inside,
        f'{{"payload": "{inside}\\ud800"}}',
        f'{{"payload": {{"deep": ["{inside}"]}}}}',
        f'{{"payload": "{inside}", "expiration": "{inside}"}}',
    ):
        for path in ("/v1/secrets", "/v1/authorities", "/v1/enroll"):
            sender.is_refused("POST", path, raw=raw)
    sender.is_refused("POST", "/v1/secrets", raw=key("a key as a body"))
    sender.send("GET", f"/v1/certificates?owner={'x' * 300}{text('a long filter')}")
    sender.is_refused("GET", f"/v1/certificates?limit={text('a number that is none')}")
    sender.is_refused("POST", "/v1/secrets", raw="{}", **{"Content-Type": text("a media type"), "X-Auth-Token": "x" * 40})


def grants_and_tokens(sender: Sender) -> None:
    """Secrets that we make ourselves: shown once, used rightly, and again when they are used up."""
    (own,) = sender.house.call("GET", "/v1/authorities?name=Own")["authorities"]
    wanted = {"authority_id": own["id"], "names": {"common_name": "device"}}
    grant = sender.house.call("POST", "/v1/tokens", {"token": wanted})["token"]["secret"]
    access = sender.house.call("POST", "/v1/tokens", {"token": {"name": "robot", "role": "operator"}})["token"]["secret"]
    sender.planted.add("a grant", grant)
    sender.planted.add("an access token", access)
    assert sender.send("GET", "/v1/authorities", **{"X-Auth-Token": access}).status_code == 200
    sender.is_refused("GET", "/v1/nowhere", Authorization=f"Bearer {access}")
    sender.is_refused("DELETE", f"/v1/authorities/{own['id']}", Authorization=f"Bearer {access}")
    assert sender.send("GET", f"/enroll/{grant}", Accept="text/html").status_code == 200
    for _ in range(2):
        body = {"enrolment": {"csr": new_key_and_request("device")[1], "token": grant}}
        last = sender.send("POST", "/v1/enroll", body)
    assert last.status_code == 403
    sender.send("GET", f"/enroll/{grant}", Accept="text/html")


def told(sender: Sender) -> None:
    """Where notifications go, and what gets in there."""
    text = sender.planted.text
    base = {"private_networks": ["127.0.0.0/8"]}
    hook = base | {"name": "hook", "kind": "WEBHOOK", "url": f"http://127.0.0.1:{free_port()}/{text('the path of a webhook')}"}
    key = base64.b64encode(text("the key of a webhook")[:32].encode()).decode()
    sender.planted.add("the key of a webhook as it is given", key)
    mail = base | {"name": "mail", "kind": "EMAIL", "host": "127.0.0.1", "port": free_port(), "security": "PLAIN"}
    mail |= {
        "username": "ostiary",
        "sender": "a@example.com",
        "recipients": ["b@example.com"],
        "password": text("a mail password"),
    }
    for wanted in (hook | {"secret": f"whsec_{key}"}, mail):
        made = sender.send("POST", "/v1/notification-targets", {"notification_target": wanted})
        assert made.status_code == 201, made.text
        target = made.json()["notification_target"]["id"]
        sender.send("POST", f"/v1/notification-targets/{target}/test")
        for wrong in ({"topics": ["NOTHING"]}, {"name": TOO_LONG}, {"nonsense": 1}):
            sender.is_refused("POST", "/v1/notification-targets", {"notification_target": wanted | wrong})
    sender.is_refused("POST", "/v1/notification-targets", {"notification_target": hook | {"secret": text("no key of a webhook")}})
    bad = f"ftp://user:{text('a password in an address')}@127.0.0.1/"
    sender.is_refused("POST", "/v1/notification-targets", {"notification_target": hook | {"name": "x", "url": bad}})


def by_console(sender: Sender, said: dict[str, bytes]) -> None:
    """Sign in, rightly and wrongly, and bring certificates that are refused."""
    text, key, listen = sender.planted.text, sender.planted.key, sender.house.listen
    link = sender.house.call("POST", "/v1/sign-in-links", {})
    url = next(value for value in json_texts(link) if "/sign-in/" in value)
    secret = url.rpartition("/")[2]
    sender.planted.add("a sign-in link", secret)
    with httpx.Client(base_url=f"http://{listen}", trust_env=False, timeout=60, follow_redirects=False) as browser:
        wrong = browser.post("/console/sign-in", data={"token": text("a wrong token in a form"), "next": ""})
        said["the page of a wrong sign-in"] = wrong.content
        assert browser.post(f"/console/sign-in/{secret}", data={"next": ""}).status_code == 303
        for name, value in browser.cookies.items():
            sender.planted.add(f"the cookie {name}", value)
        said["a link that was used"] = browser.post(f"/console/sign-in/{secret}", data={"next": ""}).content
        page = browser.get("/console/server-certificates/upload")
        assert page.status_code == 200
        (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', page.text))
        pem = key("a key in a form")
        for fields in (
            {"certificate": "nothing", "private_key": pem},
            {"certificate": pem, "private_key": pem},
            {"name": pem, "certificate": "x", "private_key": pem},
            {"certificate": Authority.root("x").cert_pem, "private_key": pem, "intermediates": pem},
            {"pkcs12": "no", "passphrase": text("a passphrase in a form")},
        ):
            sent = {"csrf": csrf, "kind": "TLS/SSL", "passphrase": text("a passphrase beside a key in a form"), **fields}
            shown = browser.post("/console/server-certificates/upload", data=sent)
            assert shown.status_code != 303
            # What somebody typed into a field that is not secret stands in it again, for them to mend.
            if pem not in (fields.get("certificate"), fields.get("name"), fields.get("intermediates")):
                said[f"a form that was refused: {sorted(fields)}"] = shown.content
        browser.get(f"/console/certificates?search={text('what is searched for')}")


def json_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from json_texts(one)


def through_the_door(sender: Sender, backend: Backend) -> None:
    """What clients send to what is behind the door is none of our business."""
    house, text = sender.house, sender.planted.text
    (own,) = house.call("GET", "/v1/authorities?name=Own")["authorities"]
    door = house.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=own["href"])
    key, csr = new_key_and_request("alice")
    made = house.call("POST", "/v1/certificates", {"certificate": {"authority_id": own["id"], "csr": csr}})["certificate"]
    folder = house.folder.parent / "alice"
    folder.mkdir()
    (folder / "cert.pem").write_text(made["certificate"] + made["chain"])
    (folder / "key.pem").write_bytes(key)
    sender.planted.by_name["a client's key"] = key_forms(key)
    client = TLSClient(door.port, ca=house.server_ca, cert=folder / "cert.pem", key=folder / "key.pem")
    headers = {
        "Authorization": f"Bearer {text('a credential for behind the door')}",
        "Cookie": f"id={text('a cookie for behind the door')}",
        "X-Api-Key": text("a key for behind the door"),
        "Referer": f"https://example.com/?token={text('a referrer')}",
    }
    query = f"/login?password={text('a query for behind the door')}"
    assert client.request("POST", query, headers=headers, body=text("a body for behind the door").encode()).status == 200
    house.call("POST", "/v1/access-rules", {"access_rule": {"listener_id": door.id, "name": "no", "action": "DENY"}})
    eventually(lambda: client.request("POST", query, headers=headers).status == 403)
    eventually(lambda: b"POST" in (house.data_dir / "logs" / "access.jsonl").read_bytes())


def by_command(sender: Sender, inputs: Path, said: dict[str, bytes]) -> None:
    """Files with something secret in them, good ones and bad ones; and what an auditor gets."""
    text, house = sender.planted.text, sender.house
    secret_files = {
        "phrase": text("a passphrase in a file"),
        "export": text("the passphrase of an export by command"),
        "a.key": sender.planted.key("a key in a file"),
        "broken.pem": f"-----BEGIN CERTIFICATE-----\n{text('what is in a broken file')}\n-----END CERTIFICATE-----\n",
        "root.pem": Authority.root("x").cert_pem,
    }
    for name, content in secret_files.items():
        (inputs / name).write_text(content)
    where = {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir), "OSTIARY_LOG_LEVEL": "debug"}
    out, today = house.folder / "handed-out", now()
    out.mkdir()
    for words in (
        ("ca", "import", "root.pem", "--key", "a.key", "--passphrase-file", "phrase"),
        ("ca", "import", "a.key"),
        ("ca", "import", "broken.pem"),
        ("cert", "issue", "a.key", "--ca", "Own"),
        ("ca", "export", "Own", "--key-out", inputs / "own.key", "--passphrase-file", "export"),
        ("backup", "--out", inputs / "a.backup", "--passphrase-file", "phrase"),
        ("backup", "verify", inputs / "a.backup", "--passphrase-file", "export"),
        ("audit", "export", "--out", out / "record.jsonl"),
        (
            "audit",
            "report",
            "--framework",
            "soc2",
            "--from",
            f"{today - DAY:%Y-%m-%d}",
            "--to",
            f"{today:%Y-%m-%d}",
            "--out",
            out / "pack",
        ),
        ("status", "--json"),
    ):
        done = run(*words, folder=inputs, env=where)
        said[f"ostiary {' '.join(map(str, words))}"] = (done.out + done.err).encode()
    wrong = run("status", folder=inputs, env=where | {"OSTIARY_TOKEN": text("a wrong token in the environment")})
    said["ostiary status with a wrong token"] = (wrong.out + wrong.err).encode()
    assert (out / "record.jsonl").exists()
    assert (out / "pack").exists(), said


def day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def asked_for(sender: Sender) -> None:
    """What waits for another person is kept, but nothing of it that is secret."""
    house, text = sender.house, sender.planted.text
    kinds = ["CLIENT_CA", "LOWER_PROTECTION", "MASS_REVOCATION", "KEY_EXPORT", "NEW_PERSON"]
    made = [
        house.call("POST", "/v1/tokens", {"token": {"name": name, "role": "admin"}})["token"]["secret"]
        for name in ("anna", "bert")
    ]
    for number, one in enumerate(made):
        sender.planted.add(f"the access token of administrator {number}", one)
    anna = {"X-Auth-Token": made[0]}
    house.call("PUT", "/v1/settings", {"settings": {"approval_needed_for": kinds}})
    (own,) = house.call("GET", "/v1/authorities?name=Own")["authorities"]
    export = {"export": {"passphrase": text("the passphrase of an export that waits")}}
    late = Authority.root("Late")
    sender.planted.by_name["the key of an authority that waits"] = key_forms(late.key_pem.encode())
    brought = {"name": "Late", "certificate": late.cert_pem, "private_key": late.key_pem}
    waits = [
        sender.send("POST", f"/v1/authorities/{own['id']}/export", export, **anna),
        sender.send("POST", "/v1/tokens", {"token": {"name": "newcomer", "role": "admin"}}, **anna),
    ]
    waits += [sender.send("POST", "/v1/authorities", {"authority": brought}, **anna)]
    assert [answer.status_code for answer in waits[:2]] == [202, 202], [answer.text for answer in waits]
    for number, answer in enumerate(waits):
        sender.refusals[f"what waits, {number}"] = answer.content


def surroundings(house: Ostiary) -> dict[str, bytes]:
    """The arguments and the environment of all that runs."""
    assert house.process is not None
    running = [psutil.Process(house.process.pid)]
    notes = [json.loads((house.data_dir / "run" / name).read_text()) for name in ("keeper.pid", "envoy.pid")]
    running += [psutil.Process(note["pid"]) for note in notes]
    running += [child for process in list(running) for child in process.children(recursive=True)]
    return {
        f"/proc/{process.pid}/{name} of {process.name()}": (Path("/proc") / str(process.pid) / name).read_bytes()
        for process in running
        for name in ("cmdline", "environ")
    }


def columns(file: Path) -> Iterator[tuple[str, bytes]]:
    """Each column of each table, whole: what is long lies in pieces in the file."""
    with closing(sqlite3.connect(file)) as database:
        database.text_factory = bytes
        # What a virtual one holds lies in tables of its own, which are among these.
        real = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'"
        for (table,) in database.execute(real).fetchall():
            name = table.decode()
            rows = database.execute(f'SELECT * FROM "{name}"')  # noqa: S608 (a table of ours)
            for row in rows:
                for description, value in zip(rows.description, row, strict=True):
                    if isinstance(value, bytes):
                        yield f"{name}.{description[0]}", value
