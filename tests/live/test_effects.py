"""How soon a revocation was in force is measured at the real gateway and kept with it."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.backend import Backend
from support.certs import csr, new_key
from support.processes import Running
from support.stack import Ostiary
from support.wait import eventually

pytestmark = pytest.mark.live


@pytest.fixture
def ostiary(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    with Ostiary(tmp_path, start_process) as running:
        yield running


class Place:
    """A door whose Client CA is an authority of ours."""

    def __init__(self, ostiary: Ostiary, port: int) -> None:
        self.ostiary = ostiary
        self.authority = ostiary.call("POST", "/v1/authorities", {"authority": {"name": "Effects"}})["authority"]
        trust = self.authority["href"]
        self.door = ostiary.door(port, client_authentication="MANDATORY", client_ca_tls_container_ref=trust)

    def issue(self, name: str) -> str:
        wanted = {"authority_id": self.authority["id"], "csr": csr(new_key(), name)}
        return str(self.ostiary.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]["id"])

    def revoke(self, certificate_id: str) -> None:
        self.ostiary.call("POST", f"/v1/certificates/{certificate_id}/revoke", {"reason": "keyCompromise"})

    def effects(self, certificate_id: str) -> list[dict[str, Any]]:
        return list(self.ostiary.call("GET", f"/v1/certificates/{certificate_id}")["certificate"]["effects"])


def test_each_of_many_revocations_is_measured_at_the_gateway_and_so_is_each_revision(ostiary: Ostiary, backend: Backend) -> None:
    place = Place(ostiary, backend.port)
    certificates = [place.issue(f"client {number}") for number in range(10)]
    assert place.effects(certificates[0]) == []
    for certificate_id in certificates:
        place.revoke(certificate_id)
    eventually(lambda: all(len(place.effects(one)) == 1 for one in certificates))
    (gateway,) = ostiary.call("GET", "/v1/gateways")["gateways"]
    for certificate_id in certificates:
        (effect,) = place.effects(certificate_id)
        assert effect["gateway_id"] == gateway["id"]
        assert 0 <= effect["milliseconds"] < 60_000
    revision = ostiary.revision()
    eventually(lambda: ostiary.call("GET", f"/v1/revisions/{revision}")["revision"]["effects"])


def test_a_gateway_that_was_away_is_measured_when_it_is_back(ostiary: Ostiary, backend: Backend) -> None:
    place = Place(ostiary, backend.port)
    first, second = place.issue("first"), place.issue("second")
    place.revoke(first)
    eventually(lambda: place.effects(first))
    keeper = int(json.loads((ostiary.data_dir / "run" / "keeper.pid").read_text())["pid"])
    os.kill(keeper, signal.SIGSTOP)
    try:
        place.revoke(second)
        assert place.effects(second) == []
    finally:
        os.kill(keeper, signal.SIGCONT)
    (effect,) = eventually(lambda: place.effects(second))
    assert effect["milliseconds"] > 0
