"""Somebody else's PKI: they revoke, we hear of it, and a real Envoy refuses; and what happens when they cannot be heard."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from ostiary.clock import now
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from ostiary.pki.list_ends import NOBODYS_LIST
from support.backend import Backend
from support.certs import DAY, Authority, Leaf
from support.desired import listener
from support.ports import free_port
from support.processes import Running
from support.responder import Responder
from support.site import Page, Site
from support.stack import Door, Ostiary
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

Let = Callable[[Leaf], str]
SOON: Final = timedelta(seconds=15)


@pytest.fixture
def house(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    with Ostiary(tmp_path / "house", start_process) as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def root() -> Authority:
    return Authority.root("Partner root")


@pytest.fixture
def issuing(root: Authority) -> Authority:
    return root.intermediate("Partner issuing")


@pytest.fixture
def partner(house: Ostiary, issuing: Authority) -> dict[str, Any]:
    body = {"authority": {"name": "Partner", "certificate": issuing.bundle_pem}}
    return dict(house.call("POST", "/v1/authorities", body)["authority"])


@pytest.fixture
def door(house: Ostiary, backend: Backend, partner: dict[str, Any]) -> Door:
    return house.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=partner["href"])


@pytest.fixture
def knock(house: Ostiary, door: Door, tmp_path: Path) -> Let:
    """What this one is answered over a new connection: a status, or the reason of the refusal in TLS."""

    def answered(leaf: Leaf) -> str:
        try:
            return str(client(house, door, leaf, tmp_path).get().status)
        except Refused as refused:
            return refused.reason

    return answered


def client(house: Ostiary, door: Door, leaf: Leaf, folder: Path) -> TLSClient:
    paths = leaf.write(folder / "people", f"{leaf.certificate.serial_number:x}"[:12])
    return TLSClient(door.port, ca=house.server_ca, cert=paths.chain, key=paths.key, version="TLSv1.2")


def publish(site: Site, root: Authority, issuing: Authority, *revoked: Leaf, number: int = 1, ends: timedelta = 7 * DAY) -> None:
    """As a CA does: both lists at one address."""
    ends_at = now() + ends
    lists = root.crl(number=number, next_update=ends_at) + issuing.crl(revoked, number=number, next_update=ends_at)
    site.pages["/ca.crl"] = Page(lists.encode())


def fetching(site: Site) -> dict[str, Any]:
    return {
        "crl_urls": [site.url("/ca.crl")],
        "ocsp_urls": [site.url("/ocsp")],
        "fetch_private_networks": ["127.0.0.0/8"],
        "fetch_ports": [site.port],
        "refresh_minutes": 1,
    }


def check_with_a_list_that_ends(
    house: Ostiary, partner: dict[str, Any], site: Site, publish_it: Callable[[], None], **settings: Any
) -> None:
    """Have lists checked; on a machine so slow that the list ends before it is fetched, with the next one."""

    def was_taken() -> bool:
        publish_it()
        wanted = {**fetching(site), "revocation_check": "CRL", **settings}
        body = {"authority": {"status_check": wanted}}
        return house.request("PATCH", f"/v1/authorities/{partner['id']}", body).is_success

    eventually(was_taken, within=120)


def check(house: Ostiary, partner: dict[str, Any], site: Site, **settings: Any) -> dict[str, Any]:
    body = {"authority": {"status_check": {**fetching(site), **settings}}}
    return dict(house.call("PATCH", f"/v1/authorities/{partner['id']}", body)["authority"])


def state(house: Ostiary, partner: dict[str, Any]) -> dict[str, Any]:
    return dict(house.call("GET", f"/v1/authorities/{partner['id']}")["authority"]["status_check_state"])


def becomes(knock: Let, leaf: Leaf, answer: str) -> None:
    eventually(lambda: knock(leaf) == answer, within=60)


def test_who_is_revoked_there_is_refused_here_at_the_handshake_once_their_list_is_fetched(
    house: Ostiary, partner: dict[str, Any], site: Site, root: Authority, issuing: Authority, knock: Let
) -> None:
    alice, bob = issuing.client("alice"), issuing.client("bob")
    publish(site, root, issuing)
    check(house, partner, site, revocation_check="CRL")
    becomes(knock, bob, "200")
    assert knock(alice) == "200"
    publish(site, root, issuing, bob, number=2)
    house.call("POST", f"/v1/authorities/{partner['id']}/crl/fetch")
    becomes(knock, bob, "certificate_revoked")
    assert knock(alice) == "200"
    publish(site, root, issuing, number=3)
    house.call("POST", f"/v1/authorities/{partner['id']}/crl/fetch")
    becomes(knock, bob, "200")


def test_who_is_revoked_there_is_refused_on_an_open_connection_too(
    house: Ostiary, partner: dict[str, Any], site: Site, root: Authority, issuing: Authority, door: Door, tmp_path: Path
) -> None:
    bob = issuing.client("bob")
    publish(site, root, issuing)
    check(house, partner, site, revocation_check="CRL")
    with eventually(lambda: client(house, door, bob, tmp_path).connect()) as connection:
        assert connection.get("/").status == 200
        publish(site, root, issuing, bob, number=2)
        house.call("POST", f"/v1/authorities/{partner['id']}/crl/fetch")
        eventually(lambda: connection.get("/").status == 403, within=60)


def test_whom_their_responder_calls_revoked_is_refused(
    house: Ostiary, partner: dict[str, Any], site: Site, issuing: Authority, knock: Let, tmp_path: Path
) -> None:
    alice, bob = issuing.client("alice"), issuing.client("bob")
    responder = Responder(tmp_path, issuing, options=("-ndays", "1"))
    responder.knows(alice)
    responder.revokes(bob)
    site.pages["/ocsp"] = responder.page
    assert knock(bob) == "200"
    check(house, partner, site, revocation_check="OCSP")
    becomes(knock, bob, "403")
    assert knock(alice) == "200"
    responder.knows(bob)
    check(house, partner, site, refresh_minutes=2)  # it is asked anew at once, rather than in a minute
    becomes(knock, bob, "200")


def test_without_their_responder_nobody_gets_in_or_everybody_as_the_operator_chose(
    house: Ostiary, partner: dict[str, Any], site: Site, issuing: Authority, knock: Let
) -> None:
    alice = issuing.client("alice")
    site.is_down = True
    assert knock(alice) == "200"
    check(house, partner, site, revocation_check="OCSP")
    becomes(knock, alice, "403")
    check(house, partner, site, stale_status="ALLOW")
    becomes(knock, alice, "200")


def test_a_list_that_ends_without_another_shuts_the_door(
    house: Ostiary, partner: dict[str, Any], site: Site, root: Authority, issuing: Authority, knock: Let
) -> None:
    alice = issuing.client("alice")
    check_with_a_list_that_ends(house, partner, site, partial(publish, site, root, issuing, ends=SOON))
    site.is_down = True
    becomes(knock, alice, "certificate_expired")
    assert state(house, partner)["state"] == "STALE_REFUSED"
    site.is_down = False
    publish(site, root, issuing, number=2)
    house.call("POST", f"/v1/authorities/{partner['id']}/crl/fetch")
    becomes(knock, alice, "200")


def test_a_list_that_ends_without_another_leaves_the_door_open_where_that_was_chosen_but_not_for_whom_it_named(
    house: Ostiary, partner: dict[str, Any], site: Site, root: Authority, issuing: Authority, knock: Let
) -> None:
    alice, bob = issuing.client("alice"), issuing.client("bob")
    assert knock(bob) == "200"  # so that we know them
    naming_bob = partial(publish, site, root, issuing, bob, ends=SOON)
    check_with_a_list_that_ends(house, partner, site, naming_bob, stale_status="ALLOW")
    site.is_down = True
    eventually(lambda: state(house, partner)["state"] == "STALE_ALLOWED", within=60)
    becomes(knock, alice, "200")
    becomes(knock, bob, "403")
    check(house, partner, site, stale_status="REFUSE")
    becomes(knock, alice, "certificate_expired")


def test_a_real_engine_that_is_given_nobodys_list_lets_nobody_in(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, issuing: Authority
) -> None:
    ports = {lists: free_port() for lists in ("", NOBODYS_LIST)}
    doors = [
        listener(
            f"l{port}",
            protocol_port=port,
            client_authentication="MANDATORY",
            trust=Trust(name=f"trust/{port}", certificates=issuing.bundle_pem, crls=lists),
        )
        for lists, port in ports.items()
    ]
    paths = issuing.client("alice").write(tmp_path)
    with Engine(tmp_path_factory.mktemp("envoy")) as engine:
        assert engine.apply(snapshot(Desired(listeners=tuple(doors)))) == {}
        engine.listens_on(*ports.values())
        let_in, refused = (TLSClient(port, cert=paths.chain, key=paths.key, version="TLSv1.2") for port in ports.values())
        assert let_in.get().status == 503  # there is no pool behind it
        with pytest.raises(Refused) as why:
            refused.get()
        assert why.value.reason == "unknown_ca"
