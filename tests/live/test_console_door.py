"""The console's own door, with a real Envoy and real TLS: who signs in with a certificate, for how long, and who does not."""

import base64
import contextlib
import json
import re
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from support.console_door import HOME, Person, WithConsoleDoor, cookie, follow, is_in, sign_in
from support.stack import PROGRAM
from support.tls_clients import Refused
from support.wait import eventually

pytestmark = pytest.mark.live

WATCHED: Final = "/console/audit/verification/live"
SIGN_IN: Final = "/console/sign-in/certificate"
ACCEPT: Final = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithConsoleDoor]:
    with WithConsoleDoor(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def staff(house: WithConsoleDoor) -> str:
    return house.authority("Staff")


@pytest.fixture(scope="module")
def alice(house: WithConsoleDoor, staff: str, tmp_path_factory: pytest.TempPathFactory) -> Person:
    house.user("alice")
    return house.person("alice", staff, tmp_path_factory.mktemp("alice"))


@pytest.fixture
def bob(house: WithConsoleDoor, staff: str, tmp_path: Path) -> Person:
    """An auditor, anew in each test."""
    for known in house.call("GET", "/v1/users?name=bob")["users"]:
        house.call("DELETE", f"/v1/users/{known['id']}")
    house.user("bob", "auditor")
    return house.person("bob", staff, tmp_path)


def der(person: Person) -> bytes:
    return x509.load_pem_x509_certificate(person.certificate["certificate"].encode()).public_bytes(Encoding.DER)


def forged(person: Person) -> dict[str, str]:
    """Headers that say: this is their certificate."""
    pem = person.certificate["certificate"].replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
    return {
        "Client-Cert": f":{base64.b64encode(der(person)).decode()}:",
        "X-Forwarded-Client-Cert": f'Hash={person.certificate["fingerprint_sha256"]};Cert="{pem}"',
        "X-Real-IP": "203.0.113.9",
    }


def test_whoever_shows_a_users_certificate_signs_in_as_them(house: WithConsoleDoor, alice: Person) -> None:
    house.call("DELETE", "/v1/sessions?name=alice")
    begun = sign_in(alice.client)
    assert begun.status == 303
    assert is_in(alice.client, cookie(begun))
    (session,) = [one for one in house.call("GET", "/v1/sessions")["sessions"] if one["name"] == "alice"]
    assert (session["role"], session["how"], session["source"]) == ("admin", "certificate", "127.0.0.1")
    assert session["fingerprint_sha256"] == alice.certificate["fingerprint_sha256"]
    house.call("DELETE", f"/v1/sessions/{session['id']}")
    assert not is_in(alice.client, cookie(begun))


def test_the_cookie_stays_within_tls_and_scripts(alice: Person) -> None:
    attributes = sign_in(alice.client).headers["set-cookie"].lower()
    for one in ("__secure-", "; secure", "; httponly", "samesite=strict"):
        assert one in attributes
    assert "max-age" not in attributes
    assert "expires" not in attributes


def test_a_certificate_in_a_header_signs_in_nobody(house: WithConsoleDoor, alice: Person) -> None:
    for headers in (forged(alice), {name.lower(): value for name, value in forged(alice).items()}):
        answer = sign_in(alice.client.without_certificate(), headers)
        assert (answer.status, cookie(answer)) == (403, {})
    # Nor beside the door, where anybody may write what they like.
    options = [part for name, value in forged(alice).items() for part in ("-H", f"{name}: {value}")]
    beside = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", "x", *options, f"http://{house.listen}{SIGN_IN}"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert beside.stdout == b"403"


def test_a_forged_address_is_not_on_record(house: WithConsoleDoor, alice: Person) -> None:
    sign_in(alice.client, {"X-Real-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
    assert "203.0.113.9" not in json.dumps(house.call("GET", "/v1/audit?limit=1000"))


def test_a_forged_header_beside_a_real_certificate_changes_nothing(alice: Person, bob: Person) -> None:
    session = cookie(sign_in(bob.client, forged(alice)))
    assert is_in(bob.client, session)
    assert not is_in(alice.client, session)


def test_a_cookie_is_of_no_use_with_another_certificate_or_none(alice: Person, bob: Person) -> None:
    session = cookie(sign_in(alice.client))
    assert is_in(alice.client, session)
    assert not is_in(bob.client, session)
    assert not is_in(bob.client.without_certificate(), session)
    assert not is_in(bob.client, {**session, **forged(alice)})
    assert is_in(alice.client, session)  # and stealing it has signed nobody out


def test_a_certificate_that_is_no_users_is_told_so(house: WithConsoleDoor, staff: str, tmp_path: Path) -> None:
    stranger = house.person("stranger", staff, tmp_path)
    answer = sign_in(stranger.client)
    assert (answer.status, cookie(answer)) == (403, {})
    assert b"This certificate is no user&#39;s here" in answer.body


def test_a_revoked_certificate_is_refused_on_the_open_connection_and_in_the_handshake(bob: Person) -> None:
    with bob.client.connect() as connection:
        session = cookie(sign_in(connection))
        assert connection.get(HOME, session).status == 200
        bob.becomes("keyCompromise")
        eventually(lambda: connection.get(HOME, session).status == 403)
        eventually(lambda: bob.knock() == "certificate_revoked")


def test_what_was_on_hold_has_to_sign_in_anew(bob: Person) -> None:
    session = cookie(sign_in(bob.client))
    assert is_in(bob.client, session)
    bob.becomes("certificateHold")
    eventually(lambda: bob.knock() == "certificate_revoked")
    bob.becomes("removeFromCRL")
    eventually(lambda: bob.knock() == 200)
    assert not is_in(bob.client, session)
    assert is_in(bob.client, cookie(sign_in(bob.client)))


def test_a_user_who_was_removed_is_out_at_once(house: WithConsoleDoor, bob: Person) -> None:
    with bob.client.connect() as connection:
        session = cookie(sign_in(connection))
        assert is_in(connection, session)
        (user,) = house.call("GET", "/v1/users?name=bob")["users"]
        house.call("DELETE", f"/v1/users/{user['id']}")
        assert not is_in(connection, session)
        assert sign_in(connection).status == 403


@pytest.mark.parametrize("how", ["signed out", "revoked"])
def test_what_is_watched_ends_with_the_session(house: WithConsoleDoor, bob: Person, how: str) -> None:
    with bob.client.connect() as connection:
        session = cookie(sign_in(connection))
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "localhost", **session}.items())
        connection.tls.sendall(f"GET {WATCHED} HTTP/1.1\r\n{head}\r\n".encode())
        received = b""
        while b"data: " not in received:
            received += connection.tls.recv(65_536)
        assert b" 200 OK\r\n" in received
        if how == "signed out":
            house.call("DELETE", "/v1/sessions?name=bob")
        else:
            bob.becomes("keyCompromise")
        # The console ends it, or the gateway cuts it off. Otherwise it would go on for ten minutes, and this wait for 20 s.
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            while not received.endswith(b"0\r\n\r\n") and (more := connection.tls.recv(65_536)):
                received += more


def test_the_door_leads_to_the_api_too_by_token(house: WithConsoleDoor) -> None:
    visitor = house.visitor()
    token = {"X-Auth-Token": (house.data_dir / "admin.token").read_text()}
    assert visitor.get("/v1/users").status == 401
    assert visitor.get("/v1/users", token).status == 200
    assert visitor.get_h2("/healthz")[0].status == 200


def test_a_session_opens_no_api(alice: Person) -> None:
    assert alice.client.get("/v1/users", cookie(sign_in(alice.client))).status == 401


def test_what_does_not_read_in_one_way_does_not_get_through(house: WithConsoleDoor) -> None:
    visitor = house.visitor()
    assert visitor.get("/console/..%2fv1/users").status == 400
    assert visitor.get("/console/sign-in", {"Client_Cert": "x"}).status == 400
    assert visitor.get("/console/sign-in", {"Host": "another.test"}).status == 421


def test_a_link_that_is_printed_signs_in_once(house: WithConsoleDoor) -> None:
    environment = {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)}
    printed = subprocess.run(
        [PROGRAM, "console", "--json"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    address = json.loads(printed.stdout)["url"]
    base = f"https://localhost:{house.console_port}"
    assert address.startswith(f"{base}/console/sign-in/ol_")
    path = address.removeprefix(base)
    visitor = house.visitor()
    for _ in range(3):  # what looks at links beforehand follows none
        assert visitor.get(path, ACCEPT).status == 200
    begun = follow(visitor, path)
    assert begun.status == 303
    assert is_in(visitor, cookie(begun))
    assert visitor.get(path, ACCEPT).status == follow(visitor, path).status == 403


def test_the_socket_behind_the_door_is_ours_alone(house: WithConsoleDoor) -> None:
    assert stat.S_IMODE((house.data_dir / "run/console.sock").stat().st_mode) == 0o600


def test_sessions_outlive_a_restart_and_no_log_holds_a_secret(house: WithConsoleDoor, alice: Person) -> None:
    """Of links that were followed, tried, printed; of cookies."""
    session = cookie(sign_in(alice.client))
    secrets = {session["Cookie"].partition("=")[2]}
    for _ in range(2):
        link = house.call("POST", "/v1/sign-in-links")["sign_in_link"]["url"]
        path = link.partition(f":{house.console_port}")[2]
        secrets.add(path.rpartition("/")[2])
        with house.visitor().connect() as connection:
            for tried in (path, f"{path}x", f"/v1{path}", path.replace("/console", "")):
                connection.get(tried, ACCEPT)
            secrets.add(cookie(follow(connection, path))["Cookie"].partition("=")[2])
    told = house.data_dir / "logs/access.jsonl"
    eventually(lambda: told.exists() and '"ostiary.listener.id":"console"' in told.read_text().replace(": ", ":"))
    assert house.process is not None
    house.stop()
    said = house.process.output()
    house.start()
    printed = set(re.findall(r"/console/sign-in/(ol_[\w-]+)", said))
    assert len(printed) == 1  # what `ostiary up` itself prints, and to a person only
    written = [file for file in house.data_dir.rglob("*") if file.is_file()]
    assert told in written
    for secret in secrets | printed:
        assert not any(secret.encode() in file.read_bytes() for file in written), secret
    assert not any(secret in said for secret in secrets)
    eventually(lambda: is_in(alice.client, session))


# Where certificates are demanded.


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithConsoleDoor]:
    with WithConsoleDoor(tmp_path_factory.mktemp("strict"), authentication="MANDATORY") as running:
        yield running


def test_nobody_gets_past_the_handshake_without_one(strict: WithConsoleDoor, tmp_path: Path) -> None:
    staff = strict.authority("Staff")
    strict.user("alice")
    alice = strict.person("alice", staff, tmp_path)
    assert is_in(alice.client, cookie(sign_in(alice.client)))
    with pytest.raises(Refused) as refused:
        alice.client.without_certificate().get("/console/sign-in")
    assert refused.value.reason in {"certificate_required", "closed"}  # an alert may be lost where the door shuts at once


def test_where_one_is_demanded_the_first_link_leads_to_where_none_is(strict: WithConsoleDoor) -> None:
    """For at the beginning nobody has a certificate."""
    link = strict.call("POST", "/v1/sign-in-links")["sign_in_link"]["url"]
    assert link.startswith(f"http://{strict.listen}/console/sign-in/ol_")
