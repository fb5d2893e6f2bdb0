"""Whose time is over is refused; so is everybody with a certificate, should it not be possible to tell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.envoy import guard
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.backend import Backend
from support.certs import Authority
from support.desired import listener, member, pool
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import TLSClient

pytestmark = pytest.mark.live

CA = Authority.root("Guard root")
ALICE = CA.client("alice")
WRONG = {
    "it fails": 'function envoy_match() error("no clock") end',
    "it says neither": "function envoy_match() return 1 end",
    "it says nothing": "function envoy_match() end",
    "it compares what cannot be": "function envoy_match(text) return text < 1 end",
}


@pytest.fixture
def unkept() -> Iterator[None]:
    guard._guard.cache_clear()
    yield
    guard._guard.cache_clear()


@pytest.mark.usefixtures("unkept")
@pytest.mark.parametrize("code", WRONG.values(), ids=WRONG)
def test_whatever_goes_wrong_in_asking_for_the_time_is_no_pass(
    code: str, tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_IS_NOT_OVER", code)
    shown = ALICE.write(tmp_path, "alice")
    with Engine(tmp_path) as engine:
        for mode in ("MANDATORY", "OPTIONAL"):
            port = _served(engine, backend, mode)
            assert TLSClient(port, cert=shown.chain, key=shown.key).get("/").status == 403
        assert TLSClient(port).get("/").status == 200, "who shows none has no time that could be over"


def _served(engine: Engine, backend: Backend, mode: str) -> int:
    """The port of a listener in this mode."""
    port = free_port()
    trust = Trust(name="trust/clients", certificates=CA.cert_pem)
    door = listener(trust=trust, client_authentication=mode, protocol_port=port, default_pool_id="p1")
    assert engine.apply(snapshot(Desired(listeners=(door,), pools=(pool("p1", member("m1", backend.port)),)))) == {}
    engine.listens_on(port)
    return port
