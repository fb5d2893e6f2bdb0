"""How a door speaks TLS: which certificate it shows to whom, which versions, ciphers and HTTP versions, and how that changes."""

import base64
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest
from cryptography import x509

from support.backend import Backend
from support.certs import Authority, Leaf, new_rsa_key
from support.stack import Door, Ostiary
from support.tls_clients import Refused, TLSClient, Version, curl, s_client
from support.traffic import Traffic
from support.wait import eventually

pytestmark = pytest.mark.live

ROOT: Final = Authority.root("Server root")
ISSUING: Final = ROOT.intermediate("Server issuing")
VERSIONS: Final[tuple[Version, ...]] = ("TLSv1.2", "TLSv1.3")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root above the certificates that these tests bring."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_text(ROOT.cert_pem)
    return file


def container(house: Ostiary, leaf: Leaf) -> str:
    return house.container(leaf.cert_pem, leaf.key_pem, leaf.intermediates_pem)


def pkcs12(house: Ostiary, leaf: Leaf) -> str:
    """Store certificate, key and chain as one file, the way Octavia's users do."""
    body = {
        "name": "pkcs12",
        "payload": base64.b64encode(leaf.pkcs12()).decode(),
        "payload_content_type": "application/octet-stream",
        "payload_content_encoding": "base64",
    }
    return str(house.call("POST", "/v1/secrets", body)["secret_ref"])


def shown(port: int, server_name: str | None = "localhost", version: Version | None = None) -> x509.Certificate:
    """The certificate that a client sees who asks for this name, or for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # Whatever it is, it is to be looked at.
    if version:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw, server_hostname=server_name) as tls:
        return x509.load_der_x509_certificate(cast("bytes", tls.getpeercert(binary_form=True)))


# Which certificate.


def test_a_door_without_a_certificate_is_given_one_that_covers_this_machine(house: Ostiary, inside: Backend) -> None:
    port = house.door(inside.port).port
    for host in ("localhost", "127.0.0.1"):
        done = curl(f"https://{host}:{port}/", ca=house.server_ca)
        assert (done.exit_code, done.status) == (0, 200)
    names = shown(port).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert set(names.get_values_for_type(x509.IPAddress)) == {ipaddress.ip_address(each) for each in ("127.0.0.1", "::1")}


def test_a_door_named_like_a_host_has_a_certificate_for_it(house: Ostiary, inside: Backend) -> None:
    port = house.door(inside.port, name="shop.example.org").port
    assert TLSClient(port, ca=house.server_ca, server_name="shop.example.org").get().status == 200


@pytest.mark.parametrize("store", [container, pkcs12])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_of_ones_own_is_shown_with_its_chain(
    house: Ostiary, inside: Backend, ca: Path, store: Callable[[Ostiary, Leaf], str], version: Version
) -> None:
    own = ISSUING.server("own.test", "localhost")
    port = house.door(inside.port, default_tls_container_ref=store(house, own)).port
    # The client has the root alone, so it needs the intermediate.
    assert TLSClient(port, ca=ca, server_name="own.test", version=version).get().status == 200
    assert shown(port, version=version) == own.certificate


@dataclass(frozen=True)
class Named:
    """A door with several certificates."""

    door: Door
    default: Leaf
    one: Leaf
    wild: Leaf
    rsa: Leaf


@pytest.fixture(scope="module")
def named(house: Ostiary, inside: Backend) -> Named:
    default, one, wild = ISSUING.server("default.test"), ISSUING.server("one.test", "uno.test"), ISSUING.server("*.wild.test")
    rsa = ISSUING.server("rsa.test", key=new_rsa_key())
    door = house.door(
        inside.port,
        default_tls_container_ref=container(house, default),
        sni_container_refs=[container(house, one), pkcs12(house, wild), container(house, rsa)],
    )
    return Named(door, default, one, wild, rsa)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("one.test", "one"),
        ("ONE.test", "default"),  # Envoy compares letter by letter, though names have no case (RFC 6066 3).
        ("uno.test", "one"),
        ("a.wild.test", "wild"),
        ("rsa.test", "rsa"),
        ("default.test", "default"),
        ("a.b.wild.test", "default"),
        ("wild.test", "default"),
        ("elsewhere.test", "default"),
        ("onextest", "default"),
        (None, "default"),
    ],
)
def test_the_certificate_is_chosen_by_the_name_asked_for(
    named: Named, version: Version, asked: str | None, expected: str
) -> None:
    assert shown(named.door.port, asked, version) == getattr(named, expected).certificate


def test_other_names_can_be_added_and_taken_away(house: Ostiary, named: Named) -> None:
    two = ISSUING.server("two.test")
    before = house.read(named.door.id)["sni_container_refs"]
    house.change(named.door.id, sni_container_refs=[*before, container(house, two)])
    eventually(lambda: shown(named.door.port, "two.test") == two.certificate)
    assert shown(named.door.port, "one.test") == named.one.certificate
    house.change(named.door.id, sni_container_refs=before)
    eventually(lambda: shown(named.door.port, "two.test") == named.default.certificate)


# How it is spoken.


@pytest.mark.parametrize(("spoken", "refused"), [("TLSv1.2", "TLSv1.3"), ("TLSv1.3", "TLSv1.2")])
def test_only_the_versions_chosen_are_spoken(house: Ostiary, inside: Backend, spoken: Version, refused: Version) -> None:
    door = house.door(inside.port, tls_versions=[spoken])
    with TLSClient(door.port, ca=house.server_ca, version=spoken).connect() as connection:
        assert connection.get().status == 200
        assert connection.version == spoken
    with pytest.raises(Refused) as alert:
        TLSClient(door.port, ca=house.server_ca, version=refused).get()
    assert alert.value.reason == "protocol_version"
    house.change(door.id, tls_versions=["TLSv1.2", "TLSv1.3"])
    eventually(lambda: TLSClient(door.port, ca=house.server_ca, version=refused).get().status == 200)


@pytest.mark.parametrize("old", ["-tls1", "-tls1_1"])
def test_what_is_broken_is_never_spoken(house: Ostiary, inside: Backend, old: str) -> None:
    door = house.door(inside.port)
    done = s_client(door.port, old, "-cipher", "ALL:@SECLEVEL=0")
    assert (done.status, done.alert) == (None, 70)  # protocol_version


def test_only_the_ciphers_chosen_are_spoken(house: Ostiary, inside: Backend) -> None:
    """The certificate that ostiary makes has an EC key, so ECDSA."""
    chosen, other = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
    door = house.door(inside.port, tls_ciphers=chosen)

    def client(ciphers: str, version: Version = "TLSv1.2") -> TLSClient:
        return TLSClient(door.port, ca=house.server_ca, version=version, ciphers=ciphers)

    with client(f"{other}:{chosen}").connect() as connection:
        assert connection.get().status == 200
        assert cast("tuple[str, str, int]", connection.tls.cipher())[0] == chosen
    with pytest.raises(Refused) as alert:
        client(other).get()
    assert alert.value.reason == "handshake_failure"
    assert client(other, "TLSv1.3").get().status == 200  # Its suites are no matter of choice.
    house.change(door.id, tls_ciphers=other)
    eventually(lambda: _spoken(client(f"{other}:{chosen}")) == other)
    with pytest.raises(Refused):
        client(chosen).get()


def _spoken(client: TLSClient) -> str:
    with client.connect() as connection:
        return str(cast("tuple[str, str, int]", connection.tls.cipher())[0])


@pytest.mark.parametrize(
    ("offered", "asked", "chosen"),
    [
        (["h2", "http/1.1"], ("h2", "http/1.1"), "h2"),
        (["h2", "http/1.1"], ("http/1.1",), "http/1.1"),
        (["http/1.1", "h2"], ("h2", "http/1.1"), "http/1.1"),
        (["http/1.1"], ("h2", "http/1.1"), "http/1.1"),
        (["http/1.1"], ("h2",), None),
        (["h2"], ("h2",), "h2"),
    ],
)
def test_the_http_version_is_one_that_is_offered(
    house: Ostiary, inside: Backend, offered: list[str], asked: tuple[str, ...], chosen: str | None
) -> None:
    door = house.door(inside.port, alpn_protocols=offered)
    with TLSClient(door.port, ca=house.server_ca, alpn=asked).connect() as connection:
        assert connection.tls.selected_alpn_protocol() == chosen
    client = TLSClient(door.port, ca=house.server_ca)
    assert (client.get_h2("/")[0] if chosen == "h2" else client.get()).status == 200


def test_http2_is_switched_off_and_on(house: Ostiary, inside: Backend) -> None:
    door = house.door(inside.port)
    client = TLSClient(door.port, ca=house.server_ca, alpn=("h2", "http/1.1"))
    for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2")):
        house.change(door.id, alpn_protocols=offered)
        eventually(lambda expected=chosen: _alpn(client) == expected)  # type: ignore[misc]  # the default binds now


def _alpn(client: TLSClient) -> str | None:
    with client.connect() as connection:
        return connection.tls.selected_alpn_protocol()


def test_where_http2_is_off_its_preface_is_no_way_in(house: Ostiary, inside: Backend) -> None:
    """A client that just starts to speak HTTP/2, without having asked."""
    door = house.door(inside.port, alpn_protocols=["http/1.1"])
    before = len(inside.asked)
    with TLSClient(door.port, ca=house.server_ca, alpn=()).connect() as connection:
        connection.tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
        with contextlib.suppress(ConnectionError):
            assert not connection.tls.recv(1024).startswith(b"\x00\x00")
    assert len(inside.asked) == before


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({}, None),
        ({"hsts_max_age": 31_536_000}, "max-age=31536000"),
        ({"hsts_max_age": 0}, "max-age=0"),
        ({"hsts_max_age": 60, "hsts_include_subdomains": True, "hsts_preload": True}, "max-age=60; includeSubDomains; preload"),
    ],
)
def test_browsers_are_told_to_come_back_by_https_only_where_asked_for(
    house: Ostiary, inside: Backend, fields: dict[str, Any], header: str | None
) -> None:
    client = TLSClient(house.door(inside.port, **fields).port, ca=house.server_ca)
    assert client.get().headers.get("strict-transport-security") == header
    assert client.get_h2("/")[0].headers.get("strict-transport-security") == header


# Change under load.


def test_another_certificate_is_taken_into_use_without_a_failed_request(house: Ostiary, inside: Backend, ca: Path) -> None:
    leaves = [ISSUING.server() for _ in range(5)]
    refs = [(pkcs12 if place % 2 else container)(house, leaf) for place, leaf in enumerate(leaves)]
    door = house.door(inside.port, default_tls_container_ref=refs[0])
    with (
        TLSClient(door.port, ca=ca).connect() as kept,
        Traffic(TLSClient(door.port, ca=ca)) as traffic,
    ):
        assert kept.get().status == 200
        for leaf, ref in zip(leaves[1:], refs[1:], strict=True):
            house.change(door.id, default_tls_container_ref=ref)
            eventually(lambda expected=leaf.certificate: shown(door.port) == expected)  # type: ignore[misc]  # the default binds now
            traffic.goes_on()
        # Its own certificate is another now; it is told to go, and not cut off.
        last = kept.get()
        assert last.status == 200
        assert last.closes
    assert traffic.failures == []
