"""The way from us to the members: TLS that verifies them, our own certificate, revocation, and PROXY headers."""

import base64
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.backend import TLS, Backend, Recorder
from support.certs import CLIENT_AUTH, Authority, Leaf
from support.plain_client import ask_once, visiting
from support.stack import LB, Door, Ostiary
from support.tls_clients import TLSClient
from support.wait import eventually, eventually_passes

pytestmark = pytest.mark.live

Member = Callable[..., Backend]


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Of the members")


@pytest.fixture(scope="module")
def other_ca() -> Authority:
    return Authority.root("Of somebody else")


@pytest.fixture
def member(ca: Authority, tmp_path: Path) -> Iterator[Member]:
    """Start members that speak TLS, with this certificate or one that the CA signed for a server."""
    with ExitStack() as running:

        def start(leaf: Leaf | None = None, client_ca: Authority | None = None, context: Any = None) -> Backend:
            paths = (leaf or ca.server()).write(tmp_path, "member")
            trusted = tmp_path / "client-ca.pem"
            if client_ca:
                trusted.write_text(client_ca.cert_pem)
            tls = TLS(paths.cert, paths.key, trusted if client_ca else None)
            if context is not None:
                tls = context(paths.cert, paths.key)
            return running.enter_context(Backend("member", tls=tls))

        yield start


def door_to(house: Ostiary, backend: Backend, **pool: Any) -> Door:
    return house.door(backend.port, pool={"tls_enabled": True, **pool}, protocol="HTTP")


def status(door: Door) -> int:
    return ask_once(door.port).status


def change_pool(house: Ostiary, door: Door, **fields: Any) -> None:
    house.call("PUT", f"{LB}/pools/{door.pool_id}", {"pool": fields})
    house.settle(door.balancer_id)


def becomes(door: Door, expected: int) -> None:
    eventually(lambda: status(door) == expected)


# Who the members are.


def test_a_member_whose_ca_is_known_is_spoken_with_over_tls(house: Ostiary, member: Member, ca: Authority) -> None:
    door = door_to(house, member(), ca_tls_container_ref=house.secret(ca.cert_pem))
    assert status(door) == 200


def test_an_authority_can_vouch_for_members(house: Ostiary, member: Member, ca: Authority) -> None:
    made = house.call("POST", "/v1/authorities", {"authority": {"name": "members", "certificate": ca.cert_pem}})["authority"]
    assert status(door_to(house, member(), ca_tls_container_ref=made["href"])) == 200


def test_a_member_below_an_intermediate_brings_its_chain(house: Ostiary, ca: Authority, tmp_path: Path) -> None:
    paths = ca.intermediate().server().write(tmp_path)
    with Backend(tls=TLS(paths.chain, paths.key)) as backend:
        assert status(door_to(house, backend, ca_tls_container_ref=house.secret(ca.cert_pem))) == 200


@pytest.mark.parametrize("kind", ["of another CA", "expired", "not for servers", "self-signed"])
def test_a_member_that_cannot_be_verified_gets_no_request(
    house: Ostiary, member: Member, ca: Authority, other_ca: Authority, kind: str
) -> None:
    expired = ca.expired_client()
    leaves = {
        "of another CA": other_ca.server(),
        "expired": ca.server(
            not_before=expired.certificate.not_valid_before_utc, not_after=expired.certificate.not_valid_after_utc
        ),
        "not for servers": ca.server(eku=(CLIENT_AUTH,)),
        "self-signed": Leaf(other_ca.certificate, other_ca.key),
    }
    backend = member(leaves[kind])
    assert status(door_to(house, backend, ca_tls_container_ref=house.secret(ca.cert_pem))) == 503
    assert backend.asked == []


def test_without_a_ca_members_are_spoken_with_but_not_verified(house: Ostiary, member: Member, other_ca: Authority) -> None:
    assert status(door_to(house, member(other_ca.server()))) == 200


def test_the_ca_can_be_changed_in_service(house: Ostiary, member: Member, ca: Authority, other_ca: Authority) -> None:
    """No connection from before the change goes on being used."""
    good, bad = house.secret(ca.cert_pem), house.secret(other_ca.cert_pem)
    door = door_to(house, member(), ca_tls_container_ref=good)
    for ref, expected in [(bad, 503), (good, 200), (bad, 503)]:
        change_pool(house, door, ca_tls_container_ref=ref)
        becomes(door, expected)


def test_tls_can_be_switched_on_and_off_in_service(house: Ostiary, member: Member, ca: Authority) -> None:
    door = door_to(house, member(), ca_tls_container_ref=house.secret(ca.cert_pem))
    change_pool(house, door, tls_enabled=False, ca_tls_container_ref=None)
    becomes(door, 503)
    change_pool(house, door, tls_enabled=True, ca_tls_container_ref=house.secret(ca.cert_pem))
    becomes(door, 200)


def test_a_member_that_is_plain_where_tls_is_wanted_gets_nothing(house: Ostiary, backend: Backend) -> None:
    assert status(door_to(house, backend)) == 503
    assert backend.asked == []


def test_only_the_tls_versions_of_the_pool_are_spoken(house: Ostiary, member: Member) -> None:
    door = door_to(house, member(context=OnlyTLS12), tls_versions=["TLSv1.3"])
    assert status(door) == 503
    change_pool(house, door, tls_versions=["TLSv1.2", "TLSv1.3"])
    becomes(door, 200)


class OnlyTLS12(TLS):
    def context(self) -> ssl.SSLContext:
        context = super().context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context


def test_a_monitor_verifies_members_too(house: Ostiary, member: Member, ca: Authority, other_ca: Authority) -> None:
    backend = member()
    door = door_to(house, backend, ca_tls_container_ref=house.secret(ca.cert_pem))
    house.monitor(door.pool_id, type="HTTPS", url_path="/health")
    _becomes_operating(house, door, "ONLINE")
    change_pool(house, door, ca_tls_container_ref=house.secret(other_ca.cert_pem))
    _becomes_operating(house, door, "ERROR")
    assert status(door) == 503


def _becomes_operating(house: Ostiary, door: Door, expected: str) -> None:
    eventually(lambda: house.call("GET", f"{LB}/pools/{door.pool_id}")["pool"]["operating_status"] == expected)


# Who we are.


@pytest.mark.parametrize("form", ["container", "PKCS#12"])
def test_a_member_that_demands_our_certificate_is_shown_it(house: Ostiary, member: Member, ca: Authority, form: str) -> None:
    ours = ca.intermediate("For gateways").client("gateway")
    ref = house.container(ours.cert_pem, ours.key_pem, ours.intermediates_pem) if form == "container" else _pkcs12(house, ours)
    door = door_to(house, member(client_ca=ca), ca_tls_container_ref=house.secret(ca.cert_pem), tls_container_ref=ref)
    assert ask_once(door.port).json()["client"] == "gateway"


def _pkcs12(house: Ostiary, leaf: Leaf) -> str:
    body = {
        "payload": base64.b64encode(leaf.pkcs12()).decode(),
        "payload_content_type": "application/octet-stream",
        "payload_content_encoding": "base64",
    }
    return str(house.call("POST", "/v1/secrets", body)["secret_ref"])


def test_a_member_that_demands_a_certificate_is_not_reached_without(
    house: Ostiary, member: Member, ca: Authority, other_ca: Authority
) -> None:
    backend = member(client_ca=ca)
    door = door_to(house, backend)
    assert status(door) == 503
    stranger = other_ca.client("stranger")
    change_pool(house, door, tls_container_ref=house.container(stranger.cert_pem, stranger.key_pem))
    assert status(door) == 503
    assert backend.asked == []
    known = ca.client("known")
    change_pool(house, door, tls_container_ref=house.container(known.cert_pem, known.key_pem))
    eventually_passes(lambda: _is(ask_once(door.port).json()["client"], "known"))


def _is(found: object, expected: object) -> None:
    assert found == expected


# Revocation.


def test_a_revoked_member_gets_no_request(house: Ostiary, member: Member, ca: Authority) -> None:
    revoked, good = ca.server(), ca.server()
    trust = {"ca_tls_container_ref": house.secret(ca.cert_pem), "crl_container_ref": house.secret(ca.crl([revoked]))}
    shut_out = member(revoked)
    assert status(door_to(house, shut_out, **trust)) == 503
    assert shut_out.asked == []
    assert status(door_to(house, member(good), **trust)) == 200


def test_a_member_is_shut_out_when_it_is_revoked_in_service(house: Ostiary, member: Member, ca: Authority) -> None:
    leaf = ca.server()
    door = door_to(house, member(leaf), ca_tls_container_ref=house.secret(ca.cert_pem), crl_container_ref=house.secret(ca.crl()))
    assert status(door) == 200
    change_pool(house, door, crl_container_ref=house.secret(ca.crl([leaf], number=2)))
    becomes(door, 503)


# PROXY headers.


def version_1(listener_port: int, client_port: int, source: str) -> bytes:
    return f"PROXY TCP4 {source} 127.0.0.1 {client_port} {listener_port}\r\n".encode()


def version_2(listener_port: int, client_port: int, source: str) -> bytes:
    """Section 2.2: signature, version 2 and PROXY, TCP over IPv4, 12 bytes of addresses."""
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", client_port, listener_port)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack("!H", len(addresses)) + addresses


@pytest.mark.parametrize(("protocol", "header"), [("PROXY", version_1), ("PROXYV2", version_2)])
@pytest.mark.parametrize("listener", ["HTTP", "TCP"])
def test_a_proxy_header_hands_on_the_address_of_the_client(
    house: Ostiary, listener: str, protocol: str, header: Callable[[int, int, str], bytes]
) -> None:
    with Recorder() as recorder:
        door = house.door(recorder.port, pool={"protocol": protocol}, protocol=listener)
        with socket.create_connection(("127.0.0.1", door.port), 30, source_address=("127.0.0.9", 0)) as client:
            client.sendall(b"GET /through HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
            _, port = client.getsockname()
        assert recorder.heard[0].startswith(header(door.port, port, "127.0.0.9") + b"GET /through HTTP/1.1\r\n")


def test_a_proxy_header_comes_from_an_https_listener_too(house: Ostiary) -> None:
    with Recorder() as recorder:
        door = house.door(recorder.port, pool={"protocol": "PROXY"})
        with TLSClient(door.port, ca=house.server_ca).connect() as client:
            _, port = client.tls.getsockname()
            assert client.get("/").body == b"recorded"
        assert recorder.heard[0].startswith(version_1(door.port, port, "127.0.0.1") + b"GET / HTTP/1.1\r\n")


def test_no_client_is_taken_for_another_on_a_kept_connection(house: Ostiary) -> None:
    """A PROXY header holds for all of a connection, so clients may not share one."""
    with Recorder() as recorder:
        door = house.door(recorder.port, pool={"protocol": "PROXY"}, protocol="HTTP")
        with visiting(door.port, source="127.0.0.9") as nine, visiting(door.port, source="127.0.0.10") as ten:
            assert {ask().body for ask in (nine, ten, nine, ten, nine)} == {b"recorded"}
    sources = [heard.split()[2] for heard in recorder.heard if heard.startswith(b"PROXY ")]
    assert sorted(sources) == [b"127.0.0.10", b"127.0.0.9"]
