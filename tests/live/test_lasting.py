"""Which certificates are found, after the handshake, to outlast any connection: of all others each request asks the clock."""

from collections.abc import Iterator
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import pytest
from envoy.config.route.v3 import route_pb2

from ostiary.clock import now
from ostiary.envoy import noted, stale
from ostiary.envoy.resources import ROUTE, SECRET, Snapshot, pack
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.certs import Authority, Leaf
from support.desired import listener
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import TLSClient

pytestmark = pytest.mark.live

ROOT: Final = Authority.root("Lasting root", not_after=now() + timedelta(days=40_000))
PORT: Final = free_port()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A listener that says what it noted, and lets in who has expired."""
    trust = Trust(name="trust", certificates=ROOT.cert_pem, crls=ROOT.crl())
    door = listener(trust=trust, client_authentication="OPTIONAL", protocol_port=PORT)
    with Engine(tmp_path_factory.mktemp("envoy")) as running:
        assert running.apply(_telling(snapshot(Desired(listeners=(door,))))) == {}
        running.listens_on(PORT)
        yield running


def _telling(made: Snapshot) -> Snapshot:
    resources = dict(made.resources)
    for key, resource in made.resources.items():
        if key[0] == ROUTE:
            routes = route_pb2.RouteConfiguration.FromString(resource.body)
            header = routes.response_headers_to_add.add().header
            header.key, header.value = "noted", f"[{noted.told(noted.LASTING)}]"
            resources[key] = pack(ROUTE, key[1], routes)
        elif key[0] == SECRET and key[1].startswith("trust"):
            resources[key] = stale.timeless(resource)
    return Snapshot(made.revision, MappingProxyType(resources))


def _noted(leaf: Leaf, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    paths = leaf.write(tmp_path_factory.mktemp("client"))
    answer = TLSClient(PORT, cert=paths.chain, key=paths.key).get("/")
    return answer.status, answer.headers.get("noted", "")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "days", [1, 5, 8, 9, 10, 11, 12, 20, 29, 30, 31, 45, 60, 90, 364, 365, 366, 367, 380, 730, 3_650, 36_500]
)
def test_it_is_noted_when_a_certificate_is_good_for_more_than_a_week_longer(
    days: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    begun = now()
    leaf = ROOT.client(not_after=begun + timedelta(days=days))
    end = leaf.certificate.not_valid_after_utc
    counted = 365 * (end.year - begun.year) + end.timetuple().tm_yday - begun.timetuple().tm_yday
    assert counted <= (end.date() - begun.date()).days
    found = _noted(leaf, tmp_path_factory)
    assert found == (503, "[true]" if counted > 8 else "[false]")  # nobody stands behind the listener


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("days", [1, 9, 300, 366, 20_000])
def test_who_has_expired_is_refused_however_long_ago(days: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    end = now() - timedelta(days=days)
    assert _noted(ROOT.client(not_before=end - timedelta(days=1), not_after=end), tmp_path_factory) == (403, "")


def test_without_a_certificate_nothing_is_noted(engine: Engine) -> None:
    answer = TLSClient(PORT).get("/")
    assert (answer.status, answer.headers.get("noted")) == (503, "[]")
    assert "warning" not in engine.log.read_text().split("starting main dispatch loop")[-1]
