"""What Explain says of a certificate, a rule and a revocation is what a real client then meets, on a whole ostiary."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.backend import Backend
from support.certs import csr, key_pem, new_key
from support.stack import Door, Ostiary
from support.tls_clients import Answer, Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def ostiary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("explain")) as running:
        yield running


@pytest.fixture(scope="module")
def authority(ostiary: Ostiary) -> dict[str, Any]:
    return dict(ostiary.call("POST", "/v1/authorities", {"authority": {"name": "Staff", "kind": "root"}})["authority"])


@pytest.fixture
def door(ostiary: Ostiary, authority: dict[str, Any], backend: Backend) -> Door:
    return ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])


class Visitor:
    """Somebody with a certificate that was issued here, who is asked about and then comes."""

    def __init__(self, ostiary: Ostiary, authority: dict[str, Any], folder: Path, cn: str, *groups: str) -> None:
        key = new_key()
        wanted = {"authority_id": authority["id"], "csr": csr(key, cn), "groups": list(groups)}
        self.certificate: dict[str, Any] = ostiary.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        self.ostiary = ostiary
        self.cert, self.key = folder / f"{cn}.pem", folder / f"{cn}.key"
        self.cert.write_text(self.certificate["certificate"] + self.certificate["chain"])
        self.key.write_text(key_pem(key))

    def client(self, door: Door) -> TLSClient:
        return TLSClient(door.port, cert=self.cert, key=self.key)

    def explained(self, door: Door, path: str, *, by_id: bool = False) -> tuple[str, str, str]:
        shown = {"certificate_id": self.certificate["id"]} if by_id else {"certificate": self.cert.read_text()}
        asked = {"listener_id": door.id, "host": "localhost", "path": path, "source": "127.0.0.1", **shown}
        found = self.ostiary.call("POST", "/v1/explain", asked)["explanation"]
        return found["decision"], found["stage"], found["reason"]


def test_explain_says_what_a_real_client_meets(ostiary: Ostiary, authority: dict[str, Any], door: Door, tmp_path: Path) -> None:
    ann = Visitor(ostiary, authority, tmp_path, "ann", "ops")
    bob = Visitor(ostiary, authority, tmp_path, "bob")
    for one in (ann, bob):
        assert one.explained(door, "/") == ("ALLOW", "request", "allowed")
        assert one.client(door).get("/").status == 200
    rule = {
        "listener_id": door.id,
        "name": "ops only",
        "action": "ALLOW",
        "certificate": {"groups": ["ops"]},
        "paths": ["/ops/*"],
    }
    ostiary.call("POST", "/v1/access-rules", {"access_rule": rule})
    with ann.client(door).connect() as connection:
        eventually(lambda: connection.get("/").status == 403)
        eventually(lambda: connection.get("/ops/x").status == 200)
        assert ann.explained(door, "/ops/x") == ("ALLOW", "request", "allowed")
        assert ann.explained(door, "/") == ("DENY", "request", "no_rule_allows")
        assert bob.explained(door, "/ops/x", by_id=True) == ("DENY", "request", "no_rule_allows")
        assert bob.client(door).get("/ops/x").status == 403
        ostiary.call("POST", f"/v1/certificates/{ann.certificate['id']}/revoke", {"reason": "keyCompromise"})
        eventually(lambda: connection.get("/ops/x").status == 403)  # on the connection that is open
    eventually(lambda: ann.explained(door, "/ops/x")[::2] == ("DENY", "revoked"))
    assert is_refused(ann.client(door))
    assert ann.explained(door, "/ops/x", by_id=True)[::2] == ("DENY", "revoked")


def is_refused(client: TLSClient) -> bool:
    try:
        answer: Answer = client.get("/ops/x")
    except Refused:
        return True
    return answer.status == 403
