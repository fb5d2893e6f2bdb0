"""What a real Envoy makes of name constraints: it refuses all that we refuse to sign, and what we warn of."""

import ipaddress
from collections.abc import Iterator

import pytest
from cryptography import x509

from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from ostiary.pki import constraints
from ostiary.pki.authority_warnings import warnings
from support.certs import Authority, Leaf, name, new_ed25519_key, new_key, usage
from support.desired import listener
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient

pytestmark = pytest.mark.live

ROOT = Authority.root("root")
PORT = free_port()


def constrained(permitted: list[x509.GeneralName] | None = None, excluded: list[x509.GeneralName] | None = None) -> Authority:
    """An authority below the root, as anybody may have made it."""
    key = new_key()
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (usage("key_cert_sign", "crl_sign"), True),
        (x509.NameConstraints(permitted, excluded), True),
    ]
    return Authority(ROOT.sign(name("Held by names"), key, extensions, days=100), key, (ROOT.certificate,))


NETWORK = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))
DNS = constrained([x509.DNSName("a.test")])
NOT_DNS = constrained(None, [x509.DNSName("secret.a.test")])
EMAIL = constrained([x509.RFC822Name("a.test")])
URI = constrained([x509.UniformResourceIdentifier("a.test")])
IP = constrained([NETWORK])
NOT_IP = constrained(None, [NETWORK])
DIRECTORY = constrained([x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Acme")]))])

# (authority, leaf, whether we would sign it, whether Envoy lets its holder in)
CASES: dict[str, tuple[Authority, Leaf, bool, bool]] = {
    "a DNS name within": (DNS, DNS.client("alice", sans=["DNS:b.a.test"]), True, True),
    "a DNS name outside": (DNS, DNS.client("alice", sans=["DNS:b.test"]), False, False),
    "a DNS name that is excluded": (NOT_DNS, NOT_DNS.client("alice", sans=["DNS:x.secret.a.test"]), False, False),
    "a wildcard over what is excluded": (NOT_DNS, NOT_DNS.client("alice", sans=["DNS:*.a.test"]), False, False),
    "a word for a name, alone": (DNS, DNS.client("alice"), False, False),
    "a word for a name, alone, below addresses": (EMAIL, EMAIL.client("alice"), False, False),
    "a name that is no host name, alone": (DNS, DNS.client("Alice Smith"), True, True),
    "an address within": (EMAIL, EMAIL.client("alice", sans=["email:x@a.test"]), True, True),
    "an address outside": (EMAIL, EMAIL.client("alice", sans=["email:x@b.a.test"]), False, False),
    "a URI within": (URI, URI.client("alice", sans=["URI:spiffe://a.test/x"]), True, True),
    "a URI outside": (URI, URI.client("alice", sans=["URI:spiffe://b.a.test/x"]), False, False),
    "a URI that names no host": (URI, URI.client("alice", sans=["URI:urn:uuid:1"]), False, False),
    "a subject within": (DIRECTORY, DIRECTORY.client(subject=name("Alice Smith", O="ACME")), True, True),
    "a subject outside": (DIRECTORY, DIRECTORY.client(subject=name("Alice Smith", O="Other")), False, False),
    "a kind that is free": (DNS, DNS.client("alice", sans=["email:x@b.test"]), True, True),
    # What is warned of: right by the RFC, refused all the same.
    "an IP address within": (IP, IP.client("alice", sans=["IP:10.0.0.1"]), True, False),
    "an IP address that is not excluded": (NOT_IP, NOT_IP.client("alice", sans=["IP:192.0.2.1"]), True, False),
    "no IP address where some are permitted": (IP, IP.client("alice", sans=["DNS:a.test"]), True, True),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("envoy")) as running:
        trust = Trust(name="trust", certificates=ROOT.cert_pem)
        door = listener("door", protocol_port=PORT, client_authentication="MANDATORY", trust=trust)
        assert running.apply(snapshot(Desired(listeners=(door,)))) == {}
        running.listens_on(PORT)
        yield running


def is_let_in(engine: Engine, leaf: Leaf) -> bool:
    paths = leaf.write(engine.folder, "shown")
    try:
        TLSClient(PORT, cert=paths.chain, key=paths.key, version="TLSv1.2").get()
    except Refused:
        return False
    return True


@pytest.mark.parametrize("case", CASES)
def test_what_envoy_lets_in_below_constraints(engine: Engine, case: str) -> None:
    authority, leaf, signed, let_in = CASES[case]
    try:
        alternatives = list(leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    violation = constraints.of(authority.certificate).allows(leaf.certificate.subject, alternatives)
    assert (violation is None, is_let_in(engine, leaf)) == (signed, let_in), violation
    if signed and not let_in:
        assert any("BoringSSL" in text for text in warnings(authority.certificate))


def test_envoy_takes_an_ed25519_authority_as_its_warning_says(engine: Engine) -> None:
    assert is_let_in(engine, ROOT.intermediate("Edwards", key=new_ed25519_key()).client("alice"))
