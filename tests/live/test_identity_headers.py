"""Who the client is, as members hear it: from the verified certificate alone, whatever a client writes itself."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.listener import InsertableHeader
from ostiary.model.tls import Trust
from support.backend import Backend
from support.certs import Authority, Leaf
from support.desired import listener, member, pool
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import Answer, TLSClient

pytestmark = pytest.mark.live

ROOT = Authority.root("root")
ISSUING = ROOT.intermediate("issuing")
EVERYTHING = dict.fromkeys(get_args(InsertableHeader), "true")

FORGED = (
    *(header for header in EVERYTHING if header not in {"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"}),
    "X.SSL.Client.DN",
    "x-ssl-whatever",
    "SSL-Client-Cert",
    "X-Client-Cert",
    "X-Client-Verify",
    "X-Client-DN",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-ARR-ClientCert",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Goog-Client-Cert-Hash",
    "X-Envoy-Upstream-Rq-Timeout-Ms",
    "X-Envoy-Internal",
)


@dataclass(frozen=True)
class Doors:
    engine: Engine
    asking: int  # Client certificates optional, every header asked for.
    plain_tls: int  # No client certificates, every header asked for.
    silent: int  # Client certificates optional, nothing asked for.

    def get(self, port: int, leaf: Leaf | None = None, **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if leaf is None:
            return TLSClient(port).get("/", headers=names)
        paths = leaf.write(self.engine.folder, "shown")
        return TLSClient(port, cert=paths.chain, key=paths.key).get("/", headers=names)

    def heard(self, port: int, leaf: Leaf | None = None, **headers: str) -> dict[str, Any]:
        """The headers that the member got, the usual ones left out."""
        answer = self.get(port, leaf, **headers)
        assert answer.status == 200
        got: dict[str, Any] = answer.json()["headers"]
        return {name: values for name, values in got.items() if name not in {"host", "accept-encoding", "x-forwarded-proto"}}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    trust = Trust(name="trust/root", certificates=ROOT.cert_pem)
    ports = tuple(free_port() for _ in range(3))
    wanted = (
        listener("l1", trust=trust, client_authentication="OPTIONAL", insert_headers=EVERYTHING, protocol_port=ports[0]),
        listener("l2", insert_headers=EVERYTHING, protocol_port=ports[1]),
        listener("l3", trust=trust, client_authentication="OPTIONAL", protocol_port=ports[2]),
    )
    with Backend() as backend, Engine(tmp_path_factory.mktemp("envoy")) as engine:
        to_pool = tuple(
            each.model_copy(update={"listener": each.listener.model_copy(update={"default_pool_id": "p1"})}) for each in wanted
        )
        assert engine.apply(snapshot(Desired(listeners=to_pool, pools=(pool("p1", member(port=backend.port)),)))) == {}
        engine.listens_on(*ports)
        yield Doors(engine, *ports)


def byte_sequence(certificate: x509.Certificate) -> str:
    return f":{base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()}:"


def test_a_verified_certificate_is_described_in_full(doors: Doors) -> None:
    alice = ISSUING.client("alice", sans=("URI:spiffe://t/alice", "DNS:a.test"))
    heard = doors.heard(doors.asking, alice)
    digest = alice.certificate.fingerprint
    assert heard == {
        "x-forwarded-for": ["127.0.0.1"],
        "x-forwarded-port": [str(doors.asking)],
        "x-forwarded-ip": ["127.0.0.1"],
        "x-client-ip": ["127.0.0.1"],
        "x-real-ip": ["127.0.0.1"],
        "x-ssl-client-verify": ["0"],
        "x-ssl-client-has-cert": ["true"],
        "x-ssl-client-dn": ["CN=alice"],
        "x-ssl-client-cn": ["alice"],
        "x-ssl-issuer": ["CN=issuing"],
        "x-ssl-client-sha1": [digest(hashes.SHA1()).hex()],  # noqa: S303 (what the header is named for)
        "x-ssl-client-not-before": [alice.certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%S.000Z")],
        "x-ssl-client-not-after": [alice.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S.000Z")],
        "client-cert": [byte_sequence(alice.certificate)],
        "client-cert-chain": [byte_sequence(ISSUING.certificate)],
        "x-forwarded-client-cert": [f'Hash={digest(hashes.SHA256()).hex()};Subject="CN=alice";URI=spiffe://t/alice;DNS=a.test'],
    }


def test_without_a_certificate_members_hear_that_there_is_none(doors: Doors) -> None:
    heard = doors.heard(doors.asking)
    assert heard["x-ssl-client-has-cert"] == ["false"]
    assert {name for name in heard if "ssl" in name or "cert" in name} == {"x-ssl-client-has-cert"}


@pytest.mark.parametrize("forged", FORGED)
def test_what_only_we_may_say_is_removed(doors: Doors, forged: str) -> None:
    for port in (doors.asking, doors.plain_tls, doors.silent):
        paths = TLSClient(port).get("/", headers={forged: "forged"})
        assert "forged" not in str(paths.json()["headers"])


def test_a_forged_address_stays_left_of_the_true_one(doors: Doors) -> None:
    assert doors.heard(doors.asking, X_Forwarded_For="9.9.9.9")["x-forwarded-for"] == ["9.9.9.9,127.0.0.1"]


def test_other_headers_pass(doors: Doors) -> None:
    assert doors.heard(doors.silent, X_Client_Id="kept", X_Request_Id="kept") == {
        "x-client-id": ["kept"],
        "x-request-id": ["kept"],
    }


def test_a_header_with_an_underscore_is_refused(doors: Doors) -> None:
    assert TLSClient(doors.silent).get("/", headers={"X_SSL_Client_DN": "forged"}).status == 400


def test_a_path_that_can_be_read_in_two_ways_is_refused(doors: Doors) -> None:
    assert TLSClient(doors.silent).get("/a%2Fb").status == 400
    assert TLSClient(doors.silent).get("/a/../b//c").json()["path"] == "/b/c"


def test_no_subject_can_break_out_of_its_header(doors: Doors) -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Acme, "Inc"; é'),
            x509.NameAttribute(NameOID.COMMON_NAME, "bob\r\nX-SSL-Client-CN: admin"),
        ]
    )
    heard = doors.heard(doors.asking, ISSUING.client(subject=name))
    assert heard["x-ssl-client-cn"] == ["bob\\0D\\0AX-SSL-Client-CN: admin"]
    assert heard["x-ssl-client-dn"] == ['CN=bob\\0D\\0AX-SSL-Client-CN: admin,O=Acme\\, \\"Inc\\"\\; \\C3\\A9']


@pytest.mark.parametrize(
    "unclean",
    [
        x509.UniformResourceIdentifier('spiffe://t/a;Subject="CN=admin"'),
        x509.UniformResourceIdentifier("spiffe://t/a,Hash=00"),
        x509.UniformResourceIdentifier("spiffe://t/a\r\nX-SSL-Client-CN: admin"),
        x509.DNSName("a.test;URI=spiffe://t/admin"),
        x509.DNSName('a.test"'),
    ],
)
def test_names_that_could_write_other_names_are_refused(doors: Doors, unclean: x509.GeneralName) -> None:
    clean = x509.UniformResourceIdentifier("spiffe://t/clean")
    names = x509.SubjectAlternativeName([clean, unclean])
    assert doors.get(doors.silent, ISSUING.client(extensions=[(names, False)])).status == 403
