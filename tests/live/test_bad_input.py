"""What is wrong is refused with the name of the field, nothing changes, and the door goes on serving.

And the other half: whatever is accepted is in force. A setting that the engine would reject never gets that far.
"""

import base64
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ostiary.clock import now
from support.backend import Backend
from support.certs import (
    CLIENT_AUTH,
    DAY,
    SERVER_AUTH,
    Authority,
    Leaf,
    csr,
    key_pem,
    name,
    new_ed25519_key,
    new_key,
    new_rsa_key,
    pem,
    self_signed_client,
    usage,
)
from support.ports import free_port
from support.stack import LB, Door, Ostiary
from support.tls_clients import TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

Extension = tuple[x509.ExtensionType, bool]
NOWHERE: Final = "00000000-0000-0000-0000-000000000000"
IS_CA: Final[Extension] = (x509.BasicConstraints(ca=True, path_length=None), True)
UNKNOWN: Final = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
MUST_STAPLE: Final = x509.TLSFeature([x509.TLSFeatureType.status_request])
CA: Final = Authority.root("Good")
ISSUING: Final = CA.intermediate("Issuing")
OTHER: Final = Authority.root("Other")
SERVER: Final = CA.server()
NO_NAME: Final = x509.Name([])
RSA_1024: Final = rsa.generate_private_key(65537, 1024)  # noqa: S505 (that it is refused is the point)


@dataclass
class Stage:
    """A door that serves, things to refer to, and their state before a test."""

    house: Ostiary
    door: Door
    authority: dict[str, Any]
    imported: dict[str, Any]
    refs: dict[str, str] = field(default_factory=dict)

    @property
    def listener(self) -> str:
        return f"{LB}/listeners/{self.door.id}"

    def secret(self, text: str) -> str:
        """Store text once; its href."""
        if text not in self.refs:
            self.refs[text] = self.house.secret(text)
        return self.refs[text]

    def container(self, certificate: str, key: str, above: str = "") -> str:
        """Store a certificate and its key once; the container's href."""
        parts = f"{certificate}, {key}, {above}"
        if parts not in self.refs:
            self.refs[parts] = self.house.container(certificate, key, above)
        return self.refs[parts]

    def binary(self, payload: bytes) -> str:
        """Store bytes; their href."""
        body = {
            "payload": base64.b64encode(payload).decode(),
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        }
        return str(self.house.call("POST", "/v1/secrets", body)["secret_ref"])

    def nothing_happened_since(self, revision: int) -> None:
        """The revision is the same, the record whole, the listener in force and serving."""
        assert self.house.revision() == revision
        assert self.house.call("GET", "/v1/audit/verify")["verification"]["problem"] is None
        assert self.house.read(self.door.id)["provisioning_status"] == "ACTIVE"
        assert TLSClient(self.door.port, ca=self.house.server_ca).get("/").status == 200


@pytest.fixture(scope="module")
def stage(house: Ostiary, inside: Backend) -> Stage:
    door = house.door(inside.port)
    short = {"name": "Short", "kind": "root", "lifetime_days": 30}
    authority = house.call("POST", "/v1/authorities", {"authority": short})["authority"]
    imported = house.call("POST", "/v1/authorities", {"authority": {"name": "Imported", "certificate": CA.cert_pem}})["authority"]
    return Stage(house, door, authority, imported)


def words(answer: httpx.Response) -> str:
    """What a refusal says, whichever form it has."""
    body = answer.json()
    return str(body.get("faultstring") or body.get("detail") or body.get("description"))


Fields = Callable[[Stage], dict[str, Any]]


def case(named: str, fields: dict[str, Any] | Fields, *, id: str) -> Any:  # noqa: A002 (pytest's own name for it)
    """One line of a table: the field that the refusal must name, and what is sent."""
    return pytest.param(named, fields if callable(fields) else (lambda _: fields), id=id)


def is_refused(stage: Stage, method: str, path: str, body: Any, named: str, status: int = 400) -> None:
    before = stage.house.revision()
    answer = stage.house.request(method, path, body)
    assert answer.status_code == status, answer.text
    assert words(answer).split(":")[0].removesuffix(")").replace(" (", ".").endswith(named), words(answer)
    assert "\n" not in words(answer)
    stage.nothing_happened_since(before)


# Listeners.


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("nmae", {"nmae": "x"}, id="unknown field"),
        case("a��b", {"a\r\nb": "x"}, id="unknown field with a line break"),
        case("provisioning_status", {"provisioning_status": "ACTIVE"}, id="derived field"),
        case("protocol", {"protocol": "TCP"}, id="fixed field"),
        case("name", {"name": 5}, id="wrong type"),
        case("name", {"name": "a" * 1_000_000}, id="1 MB name"),
        case("name", {"name": "a\tb"}, id="control character"),
        case("admin_state_up", {"admin_state_up": "true"}, id="text for a boolean"),
        case("tags", {"tags": ["a"] * 101}, id="too many tags"),
        case("connection_limit", {"connection_limit": 0}, id="nobody may connect"),
        case("connection_limit", {"connection_limit": -2}, id="below no limit"),
        case("connection_limit", {"connection_limit": 2**31}, id="limit beyond the engine's"),
        case("max_connection_age", {"max_connection_age": 59}, id="connections too young"),
        case("max_connection_age", {"max_connection_age": 86_401}, id="connections too old"),
        case("connection_limit", {"connection_limit": True}, id="boolean for a number"),
        case("connection_limit", {"connection_limit": 10**40}, id="very large number"),
        case("timeout_client_data", {"timeout_client_data": -1}, id="negative timeout"),
        case("timeout_member_data", {"timeout_member_data": 2_073_600_001}, id="timeout beyond 24 days"),
        case("timeout_member_connect", {"timeout_member_connect": 1.5}, id="fraction of a millisecond"),
        case("tls_ciphers", {"tls_ciphers": "RC4-SHA"}, id="broken cipher"),
        case("tls_ciphers", {"tls_ciphers": "ALL:!aNULL"}, id="OpenSSL's cipher language"),
        case("tls_ciphers", {"tls_ciphers": "ECDHE-RSA-AES128-SHA256"}, id="cipher that BoringSSL left out"),
        case("tls_ciphers", {"tls_ciphers": "AES128-SHA:"}, id="trailing colon"),
        case("tls_ciphers", {"tls_ciphers": ""}, id="no cipher"),
        case("tls_ciphers", {"tls_ciphers": "TLS_AES_128_GCM_SHA256"}, id="only ciphers that cannot be chosen"),
        case("tls_versions", {"tls_versions": []}, id="no TLS version"),
        case("tls_versions.0", {"tls_versions": ["TLSv1.1"]}, id="old TLS version"),
        case("tls_versions", {"tls_versions": ["TLSv1.2", "TLSv1.2"]}, id="TLS version twice"),
        case("alpn_protocols", {"alpn_protocols": []}, id="no HTTP version"),
        case("alpn_protocols.0", {"alpn_protocols": ["h3"]}, id="HTTP version that we do not speak"),
        case("insert_headers.X-Evil", {"insert_headers": {"X-Evil": "true"}}, id="header of one's own"),
        case("insert_headers.Host��X", {"insert_headers": {"Host\r\nX": "true"}}, id="header that splits"),
        case("insert_headers.X-Real-IP", {"insert_headers": {"X-Real-IP": True}}, id="header switched by a boolean"),
        case("hsts_max_age", {"hsts_preload": True}, id="HSTS words without HSTS"),
        case("hsts_max_age", {"hsts_max_age": 2**31}, id="HSTS beyond its limit"),
        case("allowed_cidrs.0", {"allowed_cidrs": ["10.0.0.0/33"]}, id="prefix too long"),
        case("allowed_cidrs.1", {"allowed_cidrs": ["10.0.0.0/8", "10.0.0.1/8"]}, id="bits outside the prefix"),
        case("allowed_cidrs.0", {"allowed_cidrs": ["fe80::%lo/64"]}, id="network with a zone"),
        case("allowed_cidrs", {"allowed_cidrs": ["10.0.0.0/8"] * 1001}, id="too many networks"),
        case("default_pool_id", {"default_pool_id": NOWHERE}, id="dangling pool"),
        case(
            "default_pool_id", lambda s: {"default_pool_id": s.house.pool(s.house.balancer())}, id="pool of another load balancer"
        ),
        case("default_pool_id", lambda s: {"default_pool_id": _tcp_pool(s)}, id="pool of another protocol"),
        case("client_authentication", {"client_authentication": "mandatory"}, id="mode in small letters"),
        case("client_ca_tls_container_ref", {"client_authentication": "MANDATORY"}, id="client certificates of nobody"),
        case("client_ca_tls_container_ref", {"client_ca_tls_container_ref": ""}, id="empty reference"),
        case("client_ca_tls_container_ref", {"client_ca_tls_container_ref": "../secrets"}, id="reference that is none"),
        case("client_ca_tls_container_ref", {"client_ca_tls_container_ref": f"/v1/secrets/{NOWHERE}"}, id="dangling secret"),
        case(
            "client_ca_tls_container_ref", {"client_ca_tls_container_ref": f"/v1/authorities/{NOWHERE}"}, id="dangling authority"
        ),
        case("client_ca_tls_container_ref", lambda s: {"client_ca_tls_container_ref": _good(s)}, id="container as Client CA"),
        case("client_crl_container_ref", lambda s: {"client_crl_container_ref": s.secret(CA.crl())}, id="lists of nobody"),
        case("default_tls_container_ref", {"default_tls_container_ref": f"/v1/containers/{NOWHERE}"}, id="dangling container"),
        case(
            "default_tls_container_ref",
            lambda s: {"default_tls_container_ref": s.authority["href"]},
            id="authority as certificate",
        ),
        case(
            "default_tls_container_ref", lambda s: {"default_tls_container_ref": s.secret(SERVER.cert_pem)}, id="PEM for PKCS#12"
        ),
        case("default_tls_container_ref", lambda s: {"default_tls_container_ref": s.binary(b"junk")}, id="junk for PKCS#12"),
        case(
            "default_tls_container_ref",
            lambda s: {"default_tls_container_ref": s.binary(SERVER.pkcs12("secret"))},
            id="PKCS#12 that does not open",
        ),
        case("sni_container_refs", {"sni_container_refs": [f"/v1/containers/{NOWHERE}"]}, id="dangling SNI container"),
        case("sni_container_refs", lambda s: {"sni_container_refs": [_good(s)] * 101}, id="too many SNI containers"),
    ],
)
def test_a_listener_is_not_changed_to_this(stage: Stage, named: str, fields: Fields) -> None:
    wanted = fields(stage)
    is_refused(stage, "PUT", stage.listener, {"listener": wanted}, named)


def _tcp_pool(stage: Stage) -> str:
    return stage.house.pool(stage.door.balancer_id, protocol="TCP")


def _good(stage: Stage) -> str:
    return stage.container(SERVER.cert_pem, SERVER.key_pem)


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("protocol", {"protocol": "UDP"}, id="protocol of Octavia that we do not speak"),
        case("protocol_port", {"protocol_port": 0}, id="port 0"),
        case("protocol_port", {"protocol_port": 65_536}, id="port beyond the last"),
        case("protocol_port", {"protocol_port": "443"}, id="port as text"),
        case("protocol_port", {"protocol_port": None}, id="no port"),
        case("loadbalancer_id", {"loadbalancer_id": NOWHERE}, id="dangling load balancer"),
        case("loadbalancer_id", {"loadbalancer_id": ""}, id="no load balancer"),
        case("client_authentication", {"client_authentication": "OPTIONAL"}, id="client certificates without TLS"),
        case("tls_ciphers", {"tls_ciphers": "AES128-SHA"}, id="ciphers without TLS"),
        case("hsts_max_age", {"hsts_max_age": 1}, id="HSTS without TLS"),
        case(
            "client_ca_tls_container_ref",
            lambda s: {"client_ca_tls_container_ref": s.authority["href"]},
            id="Client CA without TLS",
        ),
        case("default_tls_container_ref", lambda s: {"default_tls_container_ref": _good(s)}, id="certificate without TLS"),
        case("insert_headers.Client-Cert", {"insert_headers": {"Client-Cert": "true"}}, id="certificate header without TLS"),
        case(
            "insert_headers.X-Real-IP",
            {"protocol": "TCP", "insert_headers": {"X-Real-IP": "true"}},
            id="header in what is no HTTP",
        ),
    ],
)
def test_no_such_listener_is_made(stage: Stage, named: str, fields: Fields) -> None:
    wanted = {"protocol": "HTTP", "protocol_port": free_port(), "loadbalancer_id": stage.door.balancer_id, **fields(stage)}
    is_refused(stage, "POST", f"{LB}/listeners", {"listener": wanted}, named)


def test_a_port_is_not_given_twice(stage: Stage) -> None:
    wanted = {"protocol": "TCP", "protocol_port": stage.door.port, "loadbalancer_id": stage.door.balancer_id}
    is_refused(stage, "POST", f"{LB}/listeners", {"listener": wanted}, "protocol_port", 409)


# Client CAs and their revocation lists.


def authority_like(
    *extensions: Extension, key: Any = None, common_name: str = "Odd", days: tuple[float, float] = (-1, 10)
) -> str:
    """A self-signed certificate with these extensions; keys that `support.certs` does not make, too."""
    key = key or new_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + days[0] * DAY)
        .not_valid_after(now() + days[1] * DAY)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    unhashed = isinstance(key, ed448.Ed448PrivateKey | type(new_ed25519_key()))
    return pem(builder.sign(key, None if unhashed else hashes.SHA256()))


BAD_TRUST: Final[dict[str, str]] = {
    "garbage": "garbage",
    "white space": " \n",
    "cut off": CA.cert_pem[:-40],
    "not base64": "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    "not a certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "good, then garbage": CA.cert_pem + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "private key": CA.key_pem,
    "certificate and private key": CA.cert_pem + CA.key_pem,
    "revocation list": CA.crl(),
    "expired": authority_like(IS_CA, days=(-10, -1)),
    "good, then expired": CA.cert_pem + authority_like(IS_CA, days=(-10, -1)),
    "not yet valid": authority_like(IS_CA, days=(1, 10)),
    "no CA": CA.client("x").cert_pem,
    "no CA, self-signed": self_signed_client().cert_pem,
    "says nothing of being a CA": authority_like(),
    "may not sign certificates": authority_like(IS_CA, (usage("digital_signature"), True)),
    "for servers": authority_like(IS_CA, (x509.ExtendedKeyUsage([SERVER_AUTH]), False)),
    "critical extension nobody knows": authority_like(IS_CA, (UNKNOWN, True)),
    "RSA 1024": authority_like(IS_CA, key=RSA_1024),
    "RSA with exponent 3": authority_like(IS_CA, key=rsa.generate_private_key(3, 2048)),
    "Ed448": authority_like(IS_CA, key=ed448.Ed448PrivateKey.generate()),
    "secp256k1": authority_like(IS_CA, key=ec.generate_private_key(ec.SECP256K1())),
    "Brainpool": authority_like(IS_CA, key=ec.generate_private_key(ec.BrainpoolP256R1())),
    "P-224": authority_like(IS_CA, key=ec.generate_private_key(ec.SECP224R1())),
    "DSA": authority_like(IS_CA, key=dsa.generate_private_key(2048)),
    "two of one name": authority_like(IS_CA) + authority_like(IS_CA),
}


@pytest.mark.parametrize("kind", BAD_TRUST)
def test_no_such_client_ca_is_taken(stage: Stage, kind: str) -> None:
    wanted = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": stage.secret(BAD_TRUST[kind])}
    is_refused(stage, "PUT", stage.listener, {"listener": wanted}, "client_ca_tls_container_ref")


@pytest.mark.parametrize("kind", ["of another CA", "for clients"])
def test_no_such_ca_of_members_is_taken(stage: Stage, kind: str) -> None:
    if kind == "for clients":
        text = authority_like(IS_CA, (x509.ExtendedKeyUsage([CLIENT_AUTH]), False))
        trust, named = {"ca_tls_container_ref": stage.secret(text)}, "ca_tls_container_ref"
    else:
        trust = {"ca_tls_container_ref": stage.secret(CA.cert_pem), "crl_container_ref": stage.secret(OTHER.crl())}
        named = "crl_container_ref"
    is_refused(stage, "PUT", f"{LB}/pools/{stage.door.pool_id}", {"pool": {"tls_enabled": True, **trust}}, named)


def revocation_list(
    *extensions: Extension, issuer: Authority = CA, signer: Authority = CA, days: tuple[int, int] = (-1, 1)
) -> str:
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(now() + days[0] * DAY).next_update(now() + days[1] * DAY)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return pem(builder.sign(signer.key, hashes.SHA256()))


def _part(**kinds: bool) -> Extension:
    names = ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs")
    given = {kind: kinds.get(kind, False) for kind in names}
    return x509.IssuingDistributionPoint(full_name=None, relative_name=None, only_some_reasons=None, **given), True


BAD_LISTS: Final[dict[str, str]] = {
    "garbage": "garbage",
    "certificate": CA.cert_pem,
    "of another CA": OTHER.crl(),
    "good, then of another CA": CA.crl() + OTHER.crl(),
    "two": CA.crl() + CA.crl(number=2),
    "forged": revocation_list(signer=OTHER),
    "ended": revocation_list(days=(-3, -1)),
    "not yet begun": revocation_list(days=(1, 3)),
    "delta": revocation_list((x509.DeltaCRLIndicator(1), True)),
    "indirect": revocation_list(_part(indirect_crl=True)),
    "of users alone": revocation_list(_part(only_contains_user_certs=True)),
    "critical extension nobody knows": revocation_list((UNKNOWN, True)),
}


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_no_such_revocation_list_is_taken(stage: Stage, kind: str) -> None:
    wanted = {
        "client_authentication": "MANDATORY",
        "client_ca_tls_container_ref": stage.secret(CA.cert_pem),
        "client_crl_container_ref": stage.secret(BAD_LISTS[kind]),
    }
    is_refused(stage, "PUT", stage.listener, {"listener": wanted}, "client_crl_container_ref")


def test_a_revocation_list_is_not_left_out(stage: Stage) -> None:
    """The engine would refuse every client of that CA."""
    wanted = {
        "client_authentication": "MANDATORY",
        "client_ca_tls_container_ref": stage.secret(CA.cert_pem + ISSUING.cert_pem),
        "client_crl_container_ref": stage.secret(CA.crl()),
    }
    is_refused(stage, "PUT", stage.listener, {"listener": wanted}, "client_crl_container_ref")


# Server certificates.


def server(*extensions: Extension, subject: x509.Name | None = None, key: Any = None) -> tuple[str, str]:
    """A certificate for localhost with these extensions, and its key, of any kind; both PEM."""
    key = key or new_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("localhost") if subject is None else subject)
        .issuer_name(CA.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - DAY)
        .not_valid_after(now() + DAY)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return pem(builder.sign(CA.key, hashes.SHA256())), key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ).decode()


def both(leaf: Leaf) -> tuple[str, str]:
    return leaf.cert_pem, leaf.key_pem


def names(*alternatives: x509.GeneralName) -> Extension:
    return x509.SubjectAlternativeName(alternatives), False


BAD_IDENTITIES: Final[dict[str, tuple[str, tuple[str, str]]]] = {
    "key of another": ("private_key", (SERVER.cert_pem, CA.server().key_pem)),
    "garbage for a key": ("private_key", (SERVER.cert_pem, "garbage")),
    "certificate for a key": ("private_key", (SERVER.cert_pem, SERVER.cert_pem)),
    "two keys": ("private_key", (SERVER.cert_pem, SERVER.key_pem + CA.key_pem)),
    "encrypted key without passphrase": ("private_key", (SERVER.cert_pem, key_pem(SERVER.key, "secret"))),
    "garbage for a certificate": ("certificate", ("garbage", SERVER.key_pem)),
    "key for a certificate": ("certificate", (SERVER.key_pem, SERVER.key_pem)),
    "expired": ("certificate", both(CA.server(not_before=now() - 9 * DAY, not_after=now() - DAY))),
    "not yet valid": ("certificate", both(CA.server(not_before=now() + DAY))),
    "for clients": ("certificate", both(CA.client("c"))),
    "of a CA": ("certificate", (CA.cert_pem, CA.key_pem)),
    "stranger in the chain": ("certificate", (SERVER.cert_pem + OTHER.cert_pem, SERVER.key_pem)),
    "may not sign": ("certificate", server((usage("key_encipherment"), True), key=new_rsa_key())),
    "critical extension nobody knows": ("certificate", server((UNKNOWN, True))),
    "precertificate": ("certificate", server((x509.PrecertPoison(), True))),
    "must-staple": ("certificate", server((MUST_STAPLE, False))),
    "no name": ("certificate", server(subject=NO_NAME)),
    "no name but an organization": (
        "certificate",
        server(subject=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "O")])),
    ),
    "no name but a mailbox": ("certificate", server(names(x509.RFC822Name("a@b.test")), subject=NO_NAME)),
    "RSA 1024": ("private_key", server(key=RSA_1024)),
    "RSA with exponent 3": ("private_key", server(key=rsa.generate_private_key(3, 2048))),
    "Ed448": ("private_key", server(key=ed448.Ed448PrivateKey.generate())),
    "secp256k1": ("private_key", server(key=ec.generate_private_key(ec.SECP256K1()))),
    "P-224": ("private_key", server(key=ec.generate_private_key(ec.SECP224R1()))),
    "DSA": ("private_key", server(key=dsa.generate_private_key(2048))),
}


@pytest.mark.parametrize("kind", BAD_IDENTITIES)
def test_no_such_server_certificate_is_taken(stage: Stage, kind: str) -> None:
    named, (certificate, key) = BAD_IDENTITIES[kind]
    wanted = {"default_tls_container_ref": stage.container(certificate, key)}
    is_refused(stage, "PUT", stage.listener, {"listener": wanted}, f"default_tls_container_ref.{named}")


# Pools, members, monitors, load balancers.


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("protocol", {"protocol": "HTTPS"}, id="protocol"),
        case("lb_algorithm", {"lb_algorithm": "RANDOM"}, id="algorithm"),
        case("loadbalancer_id", {"loadbalancer_id": NOWHERE}, id="dangling load balancer"),
        case("listener_id", {"listener_id": NOWHERE}, id="dangling listener"),
        case("session_persistence.type", {"session_persistence": {}}, id="persistence without type"),
        case("session_persistence.cookie_name", {"session_persistence": {"type": "APP_COOKIE"}}, id="no cookie"),
        case(
            "session_persistence.cookie_name",
            {"session_persistence": {"type": "HTTP_COOKIE", "cookie_name": "a=b; Domain=evil"}},
            id="cookie that sets another",
        ),
        case(
            "session_persistence.cookie_name",
            {"session_persistence": {"type": "SOURCE_IP", "cookie_name": "x"}},
            id="cookie for an address",
        ),
        case(
            "session_persistence.persistence_timeout",
            {"session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 5}},
            id="persistence for UDP",
        ),
        case("session_persistence.type", {"protocol": "TCP", "session_persistence": {"type": "HTTP_COOKIE"}}, id="cookie in TCP"),
        case("tls_container_ref", lambda s: {"tls_container_ref": _good(s)}, id="certificate without TLS"),
        case("ca_tls_container_ref", lambda s: {"ca_tls_container_ref": s.secret(CA.cert_pem)}, id="CA without TLS"),
        case(
            "tls_container_ref.certificate", lambda s: {"tls_enabled": True, "tls_container_ref": _good(s)}, id="not for clients"
        ),
        case("tls_ciphers", {"tls_enabled": True, "tls_ciphers": "NULL"}, id="no encryption"),
        case("crl_container_ref", lambda s: {"tls_enabled": True, "crl_container_ref": s.secret(CA.crl())}, id="lists of nobody"),
    ],
)
def test_no_such_pool_is_made(stage: Stage, named: str, fields: Fields) -> None:
    wanted = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "loadbalancer_id": stage.door.balancer_id, **fields(stage)}
    is_refused(stage, "POST", f"{LB}/pools", {"pool": wanted}, named)


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("address", {"address": "example.test"}, id="name for an address"),
        case("address", {"address": "127.1"}, id="short form of an address"),
        case("address", {"address": "fe80::1%lo"}, id="address with a zone"),
        case("protocol_port", {"protocol_port": 0}, id="port 0"),
        case("weight", {"weight": 257}, id="weight beyond its limit"),
        case("weight", {"weight": -1}, id="negative weight"),
        case("monitor_address", {"monitor_address": ""}, id="empty address"),
        case("monitor_port", {"monitor_port": 70_000}, id="port beyond the last"),
        case("backup", {"backup": "yes"}, id="text for a boolean"),
    ],
)
def test_no_such_member_is_made(stage: Stage, named: str, fields: Fields) -> None:
    wanted = {"address": "127.0.0.1", "protocol_port": 9, **fields(stage)}
    is_refused(stage, "POST", f"{LB}/pools/{stage.door.pool_id}/members", {"member": wanted}, named)


def test_no_batch_with_one_bad_member_is_taken(stage: Stage) -> None:
    members = [{"address": "127.0.0.1", "protocol_port": 9}, {"address": "127.0.0.1", "protocol_port": 9}]
    is_refused(stage, "PUT", f"{LB}/pools/{stage.door.pool_id}/members", {"members": members}, "members.1")
    members[1]["weight"] = "heavy"
    is_refused(stage, "PUT", f"{LB}/pools/{stage.door.pool_id}/members", {"members": members}, "members.1.weight")


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("type", {"type": "PING"}, id="type"),
        case("pool_id", {"pool_id": NOWHERE}, id="dangling pool"),
        case("delay", {"delay": 0}, id="no pause"),
        case("timeout", {"timeout": 6}, id="timeout beyond the delay"),
        case("max_retries", {"max_retries": 11}, id="too many retries"),
        case("http_method", {"http_method": "CONNECT"}, id="method that the engine refuses"),
        case("url_path", {"url_path": "health"}, id="path without a slash"),
        case("url_path", {"url_path": "/ HTTP/1.1\r\nX: y"}, id="path that splits"),
        case("url_path", {"url_path": "/ü"}, id="path beyond ASCII"),
        case("domain_name", {"domain_name": "a b"}, id="domain name"),
        case("domain_name", {"domain_name": "a\r\nb"}, id="domain name that splits"),
        case("expected_codes", {"expected_codes": "600"}, id="no such status"),
        case("expected_codes", {"expected_codes": "204-200"}, id="range backwards"),
        case("expected_codes", {"expected_codes": "200-204,301"}, id="range and list"),
        case("http_version", {"http_version": 2.0}, id="HTTP version"),
    ],
)
def test_no_such_monitor_is_made(stage: Stage, named: str, fields: Fields) -> None:
    wanted = {"type": "HTTP", "delay": 5, "timeout": 5, "max_retries": 3, "pool_id": stage.door.pool_id, **fields(stage)}
    is_refused(stage, "POST", f"{LB}/healthmonitors", {"healthmonitor": wanted}, named)


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("vip_address", {}, id="no address"),
        case("vip_address", {"vip_address": "localhost"}, id="name for an address"),
        case("vip_address", {"vip_address": "127.0.0.1/32"}, id="network for an address"),
        case("vip_address", {"vip_address": "fe80::1%lo"}, id="address with a zone"),
        case("vip_address", {"vip_address": "fe80::1"}, id="address that needs a zone"),
        case("vip_address", {"vip_address": "::ffff:127.0.0.1"}, id="IPv4 in IPv6"),
        case("vip_address", {"vip_address": "224.0.0.1"}, id="multicast"),
        case("provider", {"vip_address": "127.0.0.1", "provider": "f5"}, id="provider"),
    ],
)
def test_no_such_load_balancer_is_made(stage: Stage, named: str, fields: Fields) -> None:
    is_refused(stage, "POST", f"{LB}/loadbalancers", {"loadbalancer": fields(stage)}, named)


def test_nothing_that_is_used_is_deleted(stage: Stage) -> None:
    is_refused(stage, "DELETE", f"{LB}/loadbalancers/{stage.door.balancer_id}", None, "cascade")
    used = stage.house.read(stage.door.id)["default_tls_container_ref"]
    before = stage.house.revision()
    answer = stage.house.request("DELETE", f"/v1/containers/{used.rpartition('/')[2]}")
    assert answer.status_code == 409
    assert stage.door.id in words(answer)
    stage.nothing_happened_since(before)


# Certificates and authorities.


def forged_request() -> str:
    """A request whose last byte, within its signature, is another."""
    der = bytearray(x509.load_pem_x509_csr(csr(new_key(), "alice").encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("csr", {"csr": "garbage"}, id="garbage"),
        case("csr", {"csr": CA.cert_pem}, id="certificate for a request"),
        case("csr", {"csr": CA.key_pem}, id="private key"),
        case("csr", {"csr": csr(new_key(), "a") * 2}, id="two requests"),
        case("csr", {"csr": csr(RSA_1024, "a")}, id="RSA 1024"),
        case("csr", {"csr": csr(rsa.generate_private_key(3, 2048), "a")}, id="RSA with exponent 3"),
        case("csr", {"csr": csr(ec.generate_private_key(ec.SECP256K1()), "a")}, id="secp256k1"),
        case("csr", {"csr": forged_request()}, id="signature of nobody"),
        case("csr", {"csr": csr(new_key(), "a", extensions=[IS_CA])}, id="CA:TRUE"),
        case("csr", {"csr": csr(new_key(), "")}, id="no name"),
        case("csr", {"csr": csr(new_key(), "a\0b")}, id="NUL in the name"),
        case("csr", {"csr": csr(new_key(), "a\u202eb")}, id="name that reads backwards"),
        case("csr", {"csr": "a" * 70_000}, id="request too long"),
        case("profile", {"profile": "root"}, id="unknown profile"),
        case("lifetime", {"lifetime": "P31D"}, id="lifetime beyond the issuer's"),
        case("lifetime", {"lifetime": "P3650D"}, id="lifetime beyond the profile's"),
        case("lifetime", {"lifetime": "PT0S"}, id="no lifetime"),
        case("lifetime", {"lifetime": 90}, id="lifetime without a unit"),
        case("authority_id", {"authority_id": NOWHERE}, id="dangling authority"),
        case("authority_id", lambda s: {"authority_id": s.imported["id"]}, id="authority without its key"),
        case("names.dns", {"names": {"dns": ["a b"]}}, id="no DNS name"),
        case("names.dns", {"names": {"common_name": "a", "dns": ["*.a.test"]}}, id="wildcard for a client"),
        case("names.common_name", {"names": {"common_name": "a" * 65}}, id="name too long"),
        case("serial", {"serial": "1"}, id="serial number of one's own"),
        case("groups", {"groups": ["a"] * 101}, id="too many groups"),
    ],
)
def test_no_such_certificate_is_issued(stage: Stage, named: str, fields: Fields) -> None:
    wanted = {"authority_id": stage.authority["id"], "csr": csr(new_key(), "alice"), "lifetime": "P7D", **fields(stage)}
    is_refused(stage, "POST", "/v1/certificates", {"certificate": wanted}, named)


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        case("kind", {"kind": "leaf"}, id="kind"),
        case("key", {"key": "RSA-1024"}, id="weak key"),
        case("subject.CN", {"name": ""}, id="no name"),
        case("subject.CN", {"subject": {"CN": "a\u202eb"}}, id="name that reads backwards"),
        case("subject.C", {"subject": {"C": "usa"}}, id="country"),
        case("parent_id", {"kind": "intermediate"}, id="intermediate of nobody"),
        case("parent_id", lambda s: {"parent_id": s.authority["id"]}, id="root with a parent"),
        case("parent_id", lambda s: {"kind": "intermediate", "parent_id": s.imported["id"]}, id="parent without its key"),
        case("lifetime_days", {"lifetime_days": 0}, id="no lifetime"),
        case(
            "lifetime_days",
            lambda s: {"kind": "intermediate", "parent_id": s.authority["id"], "lifetime_days": 31},
            id="lifetime beyond the parent's",
        ),
    ],
)
def test_no_such_authority_is_made(stage: Stage, named: str, fields: Fields) -> None:
    is_refused(stage, "POST", "/v1/authorities", {"authority": {"name": "x", **fields(stage)}}, named)


@pytest.mark.parametrize("kind", [kind for kind in BAD_TRUST if kind not in {"for servers", "two of one name"}])
def test_no_such_authority_is_imported(stage: Stage, kind: str) -> None:
    is_refused(stage, "POST", "/v1/authorities", {"authority": {"name": "x", "certificate": BAD_TRUST[kind]}}, "certificate")


# Bodies.


@pytest.fixture(scope="module")
def api(stage: Stage) -> Iterator[httpx.Client]:
    """The API without help: no JSON, no token."""
    with httpx.Client(base_url=f"http://{stage.house.listen}", trust_env=False, timeout=60) as client:
        yield client


def token(stage: Stage) -> str:
    return (stage.house.data_dir / "admin.token").read_text()


TEN_MB: Final = b'{"listener": {"name": "' + b"a" * 10_000_000 + b'"}}'
DEEP: Final = 100_000

BAD_BODIES: Final[dict[str, tuple[str, bytes]]] = {
    "nothing": ("body", b""),
    "cut off": ("body", b'{"listener": {"name": "x"'),
    "list": ("body", b"[]"),
    "null": ("body", b"null"),
    "form": ("body", b"listener=x"),
    "XML": ("body", b"<listener/>"),
    "gzip": ("body", b"\x1f\x8b\x08\x00"),
    "nested deeply": ("body", b'{"listener":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "nested deeply and cut off": ("body", b'{"a":' * DEEP),
    "NUL in a value": ("body", b'{"listener": {"name": "a\\u0000b"}}'),
    "NUL among the bytes": ("body", b'{"listener": {"name": "a\0b"}}'),
    "not UTF-8": ("body", b'{"listener": {"name": "\xff"}}'),
    "UTF-16": ("body", '{"listener": {"name": "x"}}'.encode("utf-16")),
    "half a character": ("body", b'{"listener": {"name": "\\ud800"}}'),
    "NaN": ("body", b'{"listener": {"connection_limit": NaN}}'),
    "number of 5,000 digits": ("body", b'{"listener": {"connection_limit": ' + b"9" * 5000 + b"}}"),
    "infinite number": ("connection_limit", b'{"listener": {"connection_limit": 1e999}}'),
    "name given twice": ("name", b'{"listener": {"name": "a", "name": "b"}}'),
    "two things": ("pool", b'{"listener": {}, "pool": {}}'),
    "other thing": ("listener", b'{"pool": {}}'),
    "list for an object": ("listener", b'{"listener": []}'),
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_no_such_body_is_taken(stage: Stage, api: httpx.Client, kind: str) -> None:
    named, body = BAD_BODIES[kind]
    before = stage.house.revision()
    answer = api.put(stage.listener, content=body, headers={"X-Auth-Token": token(stage)})
    assert answer.status_code == 400
    assert words(answer).split(": ")[0].removeprefix("listener.") == named
    stage.nothing_happened_since(before)


def _in_pieces(body: bytes) -> Iterator[bytes]:
    yield from (body[start : start + 65_536] for start in range(0, len(body), 65_536))


@pytest.mark.parametrize("path", ["listener", "/v1/secrets", "/v1/certificates"])
@pytest.mark.parametrize("chunked", [False, True])
def test_no_body_of_10_mb_is_read(stage: Stage, path: str, *, chunked: bool) -> None:
    before = stage.house.revision()
    method, url = ("PUT", stage.listener) if path == "listener" else ("POST", path)
    # A client of its own: the server hangs up on what it does not read.
    answer = httpx.request(
        method,
        f"http://{stage.house.listen}{url}",
        content=_in_pieces(TEN_MB) if chunked else TEN_MB,
        headers={"X-Auth-Token": token(stage)},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 413
    assert words(answer).startswith("body: larger than ")
    stage.nothing_happened_since(before)


# Who asks.


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        pytest.param(lambda _: {}, "", id="no token"),
        pytest.param(lambda right: {"X-Auth-Token": right[:-1] + "~"}, "", id="wrong token"),
        pytest.param(lambda right: {"X-Auth-Token": right[:-1]}, "", id="half a token"),
        pytest.param(lambda right: {"X-Auth-Token": right + ", " + right}, "", id="two in one"),
        pytest.param(lambda right: {"X-Auth-Token": right, "Authorization": "Bearer other"}, "", id="two that differ"),
        pytest.param(lambda right: {"Authorization": f"Basic {right}"}, "", id="other scheme"),
        pytest.param(lambda right: {"Cookie": f"X-Auth-Token={right}"}, "", id="token in a cookie"),
        pytest.param(lambda _: {}, "?X-Auth-Token={right}&token={right}", id="token in the query"),
    ],
)
def test_without_the_token_nothing_happens(
    stage: Stage, api: httpx.Client, headers: Callable[[str], dict[str, str]], query: str
) -> None:
    right, before = token(stage), stage.house.revision()
    sent, parameters = headers(right), query.format(right=right)
    changes = api.put(stage.listener + parameters, json={"listener": {"name": "taken over"}}, headers=sent)
    reads = api.get("/v1/secrets" + parameters, headers=sent)
    nowhere = api.get("/v1/no/such/path" + parameters, headers=sent)
    assert {changes.status_code, reads.status_code, nowhere.status_code} == {401}
    assert all("token" in words(answer) and right not in answer.text for answer in (changes, reads, nowhere))
    stage.nothing_happened_since(before)


# The API's port.


def said(stage: Stage, *pieces: bytes) -> bytes:
    """All that comes back until the API hangs up."""
    host, port = stage.house.listen.split(":")
    with socket.create_connection((host, int(port)), 60) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionError:
            pass
        return received


GET: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST: Final = b"POST /v2/lbaas/listeners HTTP/1.1\r\nHost: x\r\n"
BAD_REQUESTS: Final[dict[str, tuple[bytes, ...]]] = {
    "HTTP/0.9": (b"GET /healthz\r\n\r\n",),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 508,),
    "any byte": (bytes(range(256)),),
    "request line of 1 MB": (b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\n\r\n",),
    "header of 1 MB": (GET + b"X-A: " + b"a" * 2**20 + b"\r\n\r\n",),
    "100,000 headers": (GET, b"X-A: b\r\n" * 100_000, b"\r\n"),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n",),
    "two hosts": (GET + b"Host: y\r\n\r\n",),
    "NUL in a header": (GET + b"X-A: a\0b\r\n\r\n",),
    "space before the colon": (GET + b"X-A : b\r\n\r\n",),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n",),
    "length in words": (POST + b"Content-Length: five\r\n\r\n",),
    "other transfer coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n",),
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_what_is_no_request_is_hung_up_on(stage: Stage, kind: str) -> None:
    before = stage.house.revision()
    answer = said(stage, *BAD_REQUESTS[kind])
    # Nothing at all where the connection was cut while we were still talking.
    assert answer == b"" or answer.split()[1] in {b"400", b"501"}, answer
    assert answer.count(b"HTTP/1.1 ") <= 1
    stage.nothing_happened_since(before)


def test_a_length_that_is_a_lie_smuggles_nothing(stage: Stage) -> None:
    """Length and chunks at once: whatever follows is read as another request without a token, or not at all."""
    before, right = stage.house.revision(), token(stage).encode()
    hidden = b"DELETE " + stage.listener.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = POST + b"X-Auth-Token: " + right + b"\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = said(stage, head % (5 + len(hidden)) + hidden)
    assert answer.split()[1] == b"400"
    assert b" 204 " not in answer
    stage.nothing_happened_since(before)


def test_pipelined_requests_are_answered_in_turn_each_by_its_own_token(stage: Stage) -> None:
    right = token(stage).encode()
    listing = b"GET /v2/lbaas/listeners?fields=id HTTP/1.1\r\nHost: x\r\n"
    known = listing + b"X-Auth-Token: " + right + b"\r\n"
    answer = said(stage, known + b"\r\n" + listing + b"\r\n" + known + b"\r\n" + listing + b"Connection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d{3})", answer) == [b"200", b"401", b"200", b"401"]


def test_who_begins_and_never_ends_does_not_keep_others_out(stage: Stage) -> None:
    """How such connections end: tests/api/test_patience.py."""
    host, port = stage.house.listen.split(":")
    half = [b"", b"GE", GET, GET + b"X-A: ", POST + b"Content-Length: 100\r\n\r\n{"] * 40
    waiting = [socket.create_connection((host, int(port)), 60) for _ in half]
    try:
        for connection, piece in zip(waiting, half, strict=True):
            connection.sendall(piece)
        stage.nothing_happened_since(stage.house.revision())
    finally:
        for connection in waiting:
            connection.close()


# What is accepted is in force.


def _trusting(certificates: str) -> Fields:
    return lambda s: {"client_authentication": "OPTIONAL", "client_ca_tls_container_ref": s.secret(certificates)}


def _revoking(certificates: str, lists: str) -> Fields:
    return lambda s: {**_trusting(certificates)(s), "client_crl_container_ref": s.secret(lists)}


def _presenting(certificate: str, key: str, above: str = "") -> Fields:
    return lambda s: {"default_tls_container_ref": s.container(certificate, key, above)}


def ok(fields: dict[str, Any] | Fields, *, id: str) -> Any:  # noqa: A002 (pytest's own name for it)
    return pytest.param(fields if callable(fields) else (lambda _: fields), id=id)


_BELOW: Final = ISSUING.server()


@pytest.mark.parametrize(
    "fields",
    [
        ok({"tls_ciphers": "AES128-SHA:AES256-SHA"}, id="old ciphers"),
        ok({"tls_ciphers": "AES128-SHA:TLS_AES_128_GCM_SHA256"}, id="ciphers of both versions"),
        ok({"tls_ciphers": "AES128-SHA:AES128-SHA"}, id="cipher twice"),
        ok({"tls_ciphers": "AES128-SHA", "tls_versions": ["TLSv1.3"]}, id="ciphers that are never used"),
        ok({"tls_versions": ["TLSv1.3", "TLSv1.2"], "alpn_protocols": ["http/1.1", "h2"]}, id="other way round"),
        ok({"connection_limit": 2**31 - 1}, id="largest limit"),
        ok({"timeout_client_data": 0, "timeout_member_data": 0, "timeout_member_connect": 0}, id="no timeouts"),
        ok({"timeout_client_data": 2_073_600_000, "timeout_tcp_inspect": 2_073_600_000}, id="longest timeouts"),
        ok({"timeout_member_connect": 1, "timeout_tcp_inspect": 1000}, id="short timeouts"),
        ok({"max_connection_age": 60}, id="young connections"),
        ok({"stream_recheck": 1, "max_stream_duration": 1}, id="short streams"),
        ok({"stream_recheck": 3600, "max_stream_duration": 2_073_600}, id="long streams"),
        ok({"stale_revocation": "ALLOW", "stale_allow_hours": 720}, id="lists that end"),
        ok({"allowed_cidrs": ["0.0.0.0/0", "::/0", "127.0.0.1/32", "127.0.0.1/32"]}, id="networks within each other"),
        ok({"allowed_cidrs": ["::ffff:0:0/96", "127.0.0.1"]}, id="IPv4 in IPv6"),
        ok({"allowed_cidrs": [f"10.{n // 256}.{n % 256}.0/24" for n in range(999)] + ["127.0.0.0/8"]}, id="1000 networks"),
        ok({"hsts_max_age": 0, "hsts_preload": True}, id="HSTS taken back"),
        ok(_trusting(CA.cert_pem * 2), id="Client CA twice"),
        ok(_trusting("comment\n" + CA.cert_pem.replace("\n", "\r\n") + "more"), id="Client CA with words around"),
        ok(_trusting(ISSUING.cert_pem), id="Client CA without its root"),
        ok(_trusting(authority_like(IS_CA, key=new_ed25519_key())), id="Ed25519 Client CA"),
        ok(_trusting(authority_like(IS_CA, key=ec.generate_private_key(ec.SECP521R1()))), id="P-521 Client CA"),
        ok(_trusting(authority_like(IS_CA, common_name="a\0b Größe")), id="Client CA with an odd name"),
        ok(_trusting(authority_like(IS_CA, (UNKNOWN, False))), id="extension that may be ignored"),
        ok(
            _trusting(authority_like(IS_CA, (x509.NameConstraints([x509.DNSName("")], None), True))),
            id="Client CA with constraints",
        ),
        ok(_trusting("".join(authority_like(IS_CA, common_name=f"CA {n}") for n in range(100))), id="100 Client CAs"),
        ok(_revoking(CA.cert_pem, CA.crl([5, 5])), id="number revoked twice"),
        ok(_revoking(CA.cert_pem, revocation_list()), id="list without a number"),
        ok(_revoking(ISSUING.cert_pem, ISSUING.crl()), id="list of an intermediate"),
        ok(_presenting(*server(key=new_ed25519_key())), id="Ed25519 server"),
        ok(_presenting(*server(key=ec.generate_private_key(ec.SECP521R1()))), id="P-521 server"),
        ok(_presenting(*server(names(x509.UniformResourceIdentifier("spiffe://a/b")), subject=NO_NAME)), id="named by a URI"),
        ok(_presenting(*server(names(x509.RFC822Name("a@b.test")))), id="common name beside a mailbox"),
        ok(_presenting(*server(names())), id="empty alternatives"),
        ok(_presenting(*server(names(x509.DNSName("*"), x509.DNSName("a_b.*.test"), x509.DNSName("a\0b")))), id="odd DNS names"),
        ok(_presenting(ISSUING.cert_pem + _BELOW.cert_pem, _BELOW.key_pem), id="chain in any order"),
        ok(_presenting(_BELOW.cert_pem, _BELOW.key_pem), id="chain left out"),
        ok(lambda s: {"default_tls_container_ref": s.binary(SERVER.pkcs12())}, id="PKCS#12"),
        ok(lambda s: {"default_tls_container_ref": _good(s), "sni_container_refs": [_good(s)] * 2}, id="certificate three times"),
        ok(lambda s: {"sni_container_refs": [s.container(*server(key=new_rsa_key())), _good(s)]}, id="RSA and EC"),
    ],
)
def test_what_is_accepted_is_in_force(stage: Stage, fields: Fields) -> None:
    wanted = fields(stage)
    stage.house.change(stage.door.id, **wanted)
    # Not only accepted: it serves.
    eventually(lambda: TLSClient(stage.door.port).get("/").status == 200)
    stage.house.change(stage.door.id, **dict.fromkeys(wanted))
    eventually(lambda: TLSClient(stage.door.port, ca=stage.house.server_ca).get("/").status == 200)


@pytest.mark.parametrize(
    ("pool", "member", "monitor"),
    [
        ({"tls_enabled": True, "alpn_protocols": ["h2"]}, {}, {"type": "HTTPS"}),
        ({"tls_enabled": True, "alpn_protocols": ["h2", "http/1.1"], "protocol": "PROXYV2"}, {}, {"type": "HTTP"}),
        ({"tls_enabled": True, "protocol": "TCP"}, {"backup": True}, {"type": "HTTPS"}),
        ({"protocol": "PROXY"}, {"weight": 0}, {"type": "HTTPS", "http_method": "POST"}),
        ({"alpn_protocols": ["h2"]}, {"weight": 256}, {"type": "HTTP", "expected_codes": "100-599"}),
        ({"lb_algorithm": "SOURCE_IP", "protocol": "TCP"}, {"address": "::1"}, {"type": "TCP", "url_path": "/x"}),
        ({}, {"address": "::ffff:127.0.0.1"}, {"type": "HTTP", "http_method": "TRACE", "url_path": "/?a#b"}),
        ({}, {"address": "0.0.0.0"}, {"type": "HTTP", "domain_name": "..-"}),
        ({}, {"address": "224.0.0.1", "monitor_address": "fe80::1"}, {"type": "TCP", "delay": 86_400, "timeout": 86_400}),
        ({}, {"monitor_address": "::", "monitor_port": 1}, {"type": "HTTP", "http_version": 1.0, "expected_codes": "200 ,200"}),
        ({"session_persistence": {"type": "HTTP_COOKIE", "cookie_name": "!#$%&'*+-.^_`|~"}}, {}, {"type": "TCP"}),
        ({"session_persistence": {"type": "APP_COOKIE", "cookie_name": "a" * 64}}, {}, {"type": "TCP"}),
    ],
)
def test_every_odd_pool_that_is_accepted_is_in_force(
    stage: Stage, pool: dict[str, Any], member: dict[str, Any], monitor: dict[str, Any]
) -> None:
    house, balancer = stage.house, stage.house.balancer()
    pool_id = house.pool(balancer, **pool)
    body = {"member": {"address": "127.0.0.1", "protocol_port": 9, **member}}
    house.call("POST", f"{LB}/pools/{pool_id}/members", body)
    house.monitor(pool_id, **monitor)
    house.listener(balancer, protocol="TCP", default_pool_id=pool_id)
    house.settle(balancer)
    house.call("DELETE", f"{LB}/loadbalancers/{balancer}?cascade=true")


def test_no_refusal_was_an_error_of_ours(stage: Stage) -> None:
    """All of the above, and not one traceback; nor did the engine refuse anything."""
    assert stage.house.process is not None
    said = stage.house.process.output().splitlines()
    lines = [json.loads(line) for line in said if line.startswith("{")]  # what is not, is for people: the link to the console
    assert [line for line in lines if line["level"] in {"error", "critical"}] == []
    assert [line for line in lines if "refused by the gateway" in line["event"]] == []


def test_nobody_chooses_the_address_that_is_put_on_record(stage: Stage) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.7"}
    made = stage.house.request(
        "POST", f"{LB}/loadbalancers", {"loadbalancer": {"name": "whose", "vip_address": "127.0.0.1"}}, headers=forged
    )
    assert made.status_code == 201, made.text
    thing_id = made.json()["loadbalancer"]["id"]
    (entry,) = stage.house.call("GET", f"/v1/audit?resource_id={thing_id}")["audit"]
    assert entry["source"] == "127.0.0.1"
    assert stage.house.request("DELETE", f"{LB}/loadbalancers/{thing_id}").status_code == 204
