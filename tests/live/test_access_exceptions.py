"""An exception lets in what it names, on real Envoy, and when it ends the handshake demands a certificate again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ostiary.clock import now
from support.backend import Backend
from support.certs import Authority
from support.stack import Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

CA = Authority.root("Exceptions root")
PREFLIGHT = {"Origin": "https://app.test", "Access-Control-Request-Method": "PUT"}


def knock(client: TLSClient, path: str) -> int | str:
    """The status, or that there was no connection."""
    try:
        return client.get(path).status
    except (Refused, OSError):
        return "no connection"


def test_when_an_exception_ends_the_handshake_demands_a_certificate_again(
    house: Ostiary, inside: Backend, tmp_path: Path
) -> None:
    on: dict[str, Any] = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": house.secret(CA.cert_pem)}
    door = house.door(inside.port, **on)
    paths = CA.client("alice").write(tmp_path, "alice")
    nobody = TLSClient(door.port, ca=house.server_ca)
    alice = TLSClient(door.port, ca=house.server_ca, cert=paths.chain, key=paths.key)
    assert knock(nobody, "/status") == "no connection"
    ends = (now() + timedelta(seconds=20)).isoformat()
    wanted = {"listener_id": door.id, "name": "status", "kind": "PATHS", "paths": ["/status"], "owner": "ann", "not_after": ends}
    made = house.call("POST", "/v1/access-exceptions", {"access_exception": wanted})["access_exception"]
    eventually(lambda: knock(nobody, "/status") == 200)
    assert (knock(nobody, "/other"), knock(alice, "/other")) == (403, 200)
    revision = house.revision()
    eventually(lambda: knock(nobody, "/status") == "no connection", within=60)
    assert (house.revision(), knock(alice, "/status")) == (revision, 200)
    shown = house.call("GET", f"/v1/access-exceptions/{made['id']}")["access_exception"]
    assert (shown["state"], shown["days_left"]) == ("ENDED", 0)


def test_browsers_ask_first_without_a_certificate_and_are_answered(house: Ostiary, inside: Backend) -> None:
    on: dict[str, Any] = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": house.secret(CA.cert_pem)}
    door = house.door(inside.port, **on)
    nobody = TLSClient(door.port, ca=house.server_ca)
    ends = (now() + timedelta(days=30)).isoformat()
    wanted = {"listener_id": door.id, "name": "CORS", "kind": "CORS_PREFLIGHT", "owner": "web", "not_after": ends}
    house.call("POST", "/v1/access-exceptions", {"access_exception": wanted})
    house.until_active(door.id)

    def status(method: str, headers: dict[str, str]) -> int:
        return nobody.request(method, "/", headers=headers).status

    eventually(lambda: status("OPTIONS", PREFLIGHT) != 403)
    assert status("OPTIONS", {"Origin": "https://app.test"}) == 403
    assert status("GET", PREFLIGHT) == 403
