"""Who is denied is told once for all listeners: until that has come nobody is let in, and without it nobody is served."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives import hashes
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from ostiary.access.conditions import Decision
from ostiary.envoy import access, matchers, names, noted, wire
from ostiary.envoy.resources import EXTENSION, LISTENER, ROUTE, Key, Snapshot, pack
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.backend import Backend
from support.certs import Authority, Leaf
from support.desired import listener, member, pool
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

CA = Authority.root("Denied root")
ALICE, BOB = CA.client("alice"), CA.client("bob")
TOLD: Key = (EXTENSION, names.denied(rehearsed=False))


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex()


class House:
    """An Envoy with some listeners, at each of which Alice is denied."""

    def __init__(self, engine: Engine, backend: Backend) -> None:
        self.engine = engine
        self.backend = backend
        self.ports = (free_port(), free_port())

    def made(self, *modes: str, denied: tuple[Leaf, ...] = (ALICE,)) -> Snapshot:
        doors = tuple(
            listener(
                f"l{number}",
                trust=Trust(name="trust/clients", certificates=CA.cert_pem),
                client_authentication=mode,
                protocol_port=self.ports[number],
                default_pool_id="p1",
            )
            for number, mode in enumerate(modes)
        )
        members = pool("p1", member("m1", self.backend.port))
        return snapshot(Desired(listeners=doors, pools=(members,), denied=frozenset(map(fingerprint, denied))))

    def serves(self, made: Snapshot) -> None:
        assert self.engine.apply(made) == {}
        self.engine.listens_on(*self.ports[: sum(kind == LISTENER for kind, _ in made.resources)])


@pytest.fixture
def house(tmp_path: Path, backend: Backend) -> Iterator[House]:
    with Engine(tmp_path) as engine:
        yield House(engine, backend)


@pytest.fixture
def client(house: House, tmp_path: Path) -> Callable[..., TLSClient]:
    def showing(leaf: Leaf, door: int = 0) -> TLSClient:
        paths = leaf.write(tmp_path, fingerprint(leaf)[:8])
        return TLSClient(house.ports[door], cert=paths.chain, key=paths.key)

    return showing


def without(made: Snapshot, *keys: Key) -> Snapshot:
    return Snapshot(made.revision, MappingProxyType({key: one for key, one in made.resources.items() if key not in keys}))


def test_nobody_is_let_in_before_it_was_told_who_is_denied(house: House, client: Callable[..., TLSClient]) -> None:
    whole = house.made("MANDATORY")
    assert house.engine.apply(without(whole, TOLD)) == {}
    with pytest.raises((ConnectionRefusedError, Refused)):
        client(BOB).get("/")
    house.serves(whole)
    assert (client(BOB).get("/").status, client(ALICE).get("/").status) == (200, 403)


def test_nobody_is_served_while_nothing_says_who_is_denied(house: House, client: Callable[..., TLSClient]) -> None:
    whole = house.made("MANDATORY")
    house.serves(whole)
    with client(BOB).connect() as open_before:
        assert open_before.get("/").status == 200
        assert house.engine.apply(without(whole, TOLD)) == {}
        eventually(lambda: open_before.get("/").status == 500)
        assert client(ALICE).get("/").status == 500
        house.serves(whole)
        eventually(lambda: open_before.get("/").status == 200)
        assert client(ALICE).get("/").status == 403


def test_a_revocation_is_one_message_and_holds_at_every_listener(house: House, client: Callable[..., TLSClient]) -> None:
    before, after = house.made("MANDATORY", "OPTIONAL", denied=()), house.made("MANDATORY", "OPTIONAL")
    assert {key for key in after.resources if before.resources[key] != after.resources[key]} == {TOLD}
    house.serves(before)
    with client(ALICE, 0).connect() as one, client(ALICE, 1).connect() as other, client(BOB, 1).connect() as another:
        assert [each.get("/").status for each in (one, other, another)] == [200, 200, 200]
        house.serves(after)
        eventually(lambda: [each.get("/").status for each in (one, other, another)] == [403, 403, 200])


def test_a_rehearsal_that_becomes_earnest_refuses_on_open_connections_and_serves_all_others(
    house: House, client: Callable[..., TLSClient]
) -> None:
    house.serves(house.made("REHEARSAL"))
    with client(ALICE).connect() as denied, client(BOB).connect() as kept:
        assert (denied.get("/").status, kept.get("/").status) == (200, 200)
        house.serves(house.made("MANDATORY"))
        eventually(lambda: denied.get("/").status == 403)
        assert kept.get("/").status == 200


def test_connections_from_before_an_upgrade_are_refused_as_they_were_and_nobody_else(
    house: House, client: Callable[..., TLSClient]
) -> None:
    now = house.made("MANDATORY")
    house.serves(as_it_was_before(now))
    with client(ALICE).connect() as denied, client(BOB).connect() as kept:
        assert (denied.get("/").status, kept.get("/").status) == (403, 200)
        house.serves(now)
        assert (denied.get("/").status, kept.get("/").status) == (403, 200)
    assert (client(ALICE).get("/").status, client(BOB).get("/").status) == (403, 200)


def as_it_was_before(made: Snapshot) -> Snapshot:
    """As translated before decision 0033: the denied in the routes, which had another name."""
    door = listener_pb2.Listener.FromString(made.resources[(LISTENER, "listener/l0")].body)
    routes = route_pb2.RouteConfiguration.FromString(made.resources[(ROUTE, "routes/l0")].body)
    for chain in door.filter_chains:
        manager = http_connection_manager_pb2.HttpConnectionManager()
        chain.filters[-1].typed_config.Unpack(manager)
        manager.rds.route_config_name = "route/l0"
        manager.http_filters[0].CopyFrom(
            http_connection_manager_pb2.HttpFilter(
                name="ostiary.denied", typed_config=wire.packed(access.waiting()), disabled=True
            )
        )
        chain.filters[-1].typed_config.Pack(manager)
    routes.name = "route/l0"
    del routes.typed_per_filter_config[names.denied(rehearsed=False)]
    refused = matchers.table(
        noted.FINGERPRINT, {fingerprint(ALICE): Decision(allowed=False, code="revoked")}, Decision(allowed=True, code="-")
    )
    per_route = http_rbac_pb2.RBACPerRoute()
    per_route.rbac.matcher.MergeFromString(refused)
    routes.typed_per_filter_config["ostiary.denied"].Pack(per_route)
    others = without(made, TOLD, (LISTENER, "listener/l0"), (ROUTE, "routes/l0")).resources
    own = (pack(LISTENER, "listener/l0", door), pack(ROUTE, "route/l0", routes))
    return Snapshot(0, MappingProxyType({**others, **{one.key: one for one in own}}))
