"""Whom a Client CA lets in: the table of docs/decisions/0002-client-ca-trust.md, asked of a real Envoy."""

from collections.abc import Iterator

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.certs import NO_EKU, Authority, Leaf, new_ed25519_key, new_rsa_key, self_signed_client
from support.desired import listener
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient, Version

pytestmark = pytest.mark.live

ROOT = Authority.root("root")
ISSUING = ROOT.intermediate("issuing", path_length=None)
BELOW = ISSUING.intermediate("below")
OTHER = Authority.root("other")

LISTS = {
    "none": "",
    "root's": ROOT.crl(),
    "issuing's": ISSUING.crl(),
    "both": ROOT.crl() + ISSUING.crl(),
    "both, issuing revoked": ROOT.crl([ISSUING.certificate]) + ISSUING.crl(),
}
TRUSTS = {
    "root": ROOT.cert_pem,
    "root and issuing": ROOT.cert_pem + ISSUING.cert_pem,
    "issuing": ISSUING.cert_pem,
}
DOORS = {(trusted, lists): free_port() for trusted in TRUSTS for lists in LISTS}
OPTIONAL = free_port()

LEAVES: dict[str, Leaf] = {
    "of issuing": ISSUING.client("alice"),
    "of root": ROOT.client("bob"),
    "of below": BELOW.client("carol"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("envoy")) as running:
        doors = [
            listener(
                f"l{port}",
                protocol_port=port,
                client_authentication="MANDATORY",
                trust=Trust(name=f"trust/{port}", certificates=TRUSTS[trusted], crls=LISTS[lists]),
            )
            for (trusted, lists), port in DOORS.items()
        ]
        optional = listener(
            "optional",
            protocol_port=OPTIONAL,
            client_authentication="OPTIONAL",
            trust=Trust(name="trust/optional", certificates=ROOT.cert_pem),
        )
        assert running.apply(snapshot(Desired(listeners=(*doors, optional)))) == {}
        running.listens_on(*DOORS.values(), OPTIONAL)
        yield running


def verdict(engine: Engine, port: int, leaf: Leaf | None, version: Version = "TLSv1.2") -> str:
    """`in`, or the alert: TLS 1.2 always tells."""
    client = TLSClient(port, version=version)
    if leaf:
        paths = leaf.write(engine.folder, "shown")
        client = TLSClient(port, cert=paths.chain, key=paths.key, version=version)
    try:
        # Behind these doors is no pool: whoever gets in is answered 503.
        answer = client.get()
    except Refused as refused:
        return refused.reason
    return "in" if answer.status == 503 else str(answer.status)


IN, UNKNOWN, REVOKED = "in", "unknown_ca", "certificate_revoked"


@pytest.mark.parametrize(
    ("trusted", "lists", "of_issuing", "of_root", "of_below"),
    [
        ("root", "none", IN, IN, IN),
        ("root", "root's", UNKNOWN, IN, UNKNOWN),
        ("root", "issuing's", UNKNOWN, UNKNOWN, UNKNOWN),
        ("root", "both", IN, IN, UNKNOWN),
        ("root", "both, issuing revoked", REVOKED, IN, UNKNOWN),
        ("root and issuing", "none", IN, IN, IN),
        ("root and issuing", "root's", UNKNOWN, IN, UNKNOWN),
        ("root and issuing", "issuing's", UNKNOWN, UNKNOWN, UNKNOWN),
        ("root and issuing", "both", IN, IN, UNKNOWN),
        ("root and issuing", "both, issuing revoked", REVOKED, IN, UNKNOWN),
        ("issuing", "none", IN, UNKNOWN, IN),
        ("issuing", "root's", UNKNOWN, UNKNOWN, UNKNOWN),
        ("issuing", "issuing's", IN, UNKNOWN, UNKNOWN),
        ("issuing", "both", IN, UNKNOWN, UNKNOWN),
        ("issuing", "both, issuing revoked", IN, UNKNOWN, UNKNOWN),
    ],
)
def test_who_gets_in(engine: Engine, trusted: str, lists: str, of_issuing: str, of_root: str, of_below: str) -> None:
    port = DOORS[trusted, lists]
    seen = tuple(verdict(engine, port, leaf) for leaf in LEAVES.values())
    assert seen == (of_issuing, of_root, of_below)


CERTIFICATES: dict[str, tuple[Leaf, str]] = {
    "good": (ROOT.client(), IN),
    "no purpose given": (ROOT.client(eku=NO_EKU), IN),
    "any purpose": (ROOT.client(eku=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)), "unsupported_certificate"),
    "server only": (ROOT.server_only_client(), "unsupported_certificate"),
    "expired": (ROOT.expired_client(), "certificate_expired"),
    "not yet valid": (ROOT.future_client(), "certificate_expired"),
    "self-signed": (self_signed_client(), UNKNOWN),
    "of another CA": (OTHER.client(), UNKNOWN),
    "RSA": (ROOT.client(key=new_rsa_key()), IN),
    "Ed25519": (ROOT.client(key=new_ed25519_key()), IN),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_what_is_shown_is_verified_whether_or_not_it_had_to_be_shown(engine: Engine, kind: str) -> None:
    leaf, expected = CERTIFICATES[kind]
    assert verdict(engine, DOORS["root", "none"], leaf) == expected
    assert verdict(engine, OPTIONAL, leaf) == expected


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_nobody_gets_in_without_a_certificate_where_one_is_demanded(engine: Engine, version: Version) -> None:
    assert verdict(engine, DOORS["root", "none"], None, version) != IN
    assert verdict(engine, OPTIONAL, None, version) == IN
