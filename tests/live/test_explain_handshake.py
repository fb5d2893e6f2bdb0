"""What we say the engine will do at the handshake is what a real Envoy does: whoever shows whatever, and with the same code.

Where the two part, it is here by name and with the reason. Nobody is ever said to be let in whom Envoy refuses.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.clock import now
from ostiary.envoy.failures import handshake_code
from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Invalid
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from ostiary.pki import chain
from ostiary.pki.door import Handshake, Mode, judge_handshake
from support import crooked, pkits, strange
from support.certs import (
    DAY,
    NO_EKU,
    Authority,
    Leaf,
    Updates,
    Validity,
    name,
    new_ed25519_key,
    new_key,
    self_signed_client,
    usage,
)
from support.desired import listener
from support.ports import free_port
from support.shown import Witness, own_address, refusal, show
from support.tiny_ads import Engine
from support.tls_clients import TLSClient

pytestmark = pytest.mark.live

SEED, CHAINS, MUTATIONS = 4, 200, 1000

# On TLS 1.3 a key usage without digitalSignature is told before the path is looked at, on TLS 1.2 after it. We tell it as on 1.3
# (the last test has a client of it); whoever is shown here speaks 1.2, and is refused for the other thing that is wrong.
TOLD_FIRST = "digitalSignature"


# What libraries say of octets that are no certificate or no key.
UNREADABLE = ("ASN.1_encoding_routines", "elliptic_curve_routines", "public_key_routines", "X.509_certificate_routines")


@dataclass(frozen=True)
class Door:
    """A listener's trust, on a port of its own."""

    certificates: str
    lists: str = ""
    mode: Mode = "MANDATORY"
    port: int = field(default_factory=free_port)

    @property
    def trust(self) -> Trust:
        rehearsed = self.mode == "REHEARSAL"
        return Trust(name=f"trust/{self.port}", certificates=self.certificates, crls=self.lists, rehearsed=rehearsed)


Case = tuple[str, Door, Sequence[bytes]]  # what it is about, where, what is shown


@contextmanager
def gateway(folder: Path, doors: Iterable[Door]) -> Iterator[Witness]:
    """An Envoy with these doors open."""
    opened = {door.port: door for door in doors}
    listeners = tuple(
        listener(f"l{port}", protocol_port=port, client_authentication=door.mode, trust=door.trust)
        for port, door in opened.items()
    )
    with Engine(folder) as engine:
        witness = Witness(engine.folder)
        assert engine.apply(snapshot(Desired(listeners=listeners))) == {}
        engine.listens_on(*opened)
        yield witness


def explained(door: Door, shown: Sequence[bytes]) -> Handshake:
    text = "".join(strange.pem("CERTIFICATE", der) for der in shown)
    return judge_handshake(text or None, door.trust, door.mode, now())


def disagreements(witness: Witness, cases: Sequence[Case]) -> list[str]:
    """Where what Envoy did is not what we say: whether it let somebody in, the code, and who it found to have signed."""
    records = witness.connections(*(show(door.port, shown) for _, door, shown in cases))
    found = []
    for (about, door, shown), record in zip(cases, records, strict=True):
        said, words = explained(door, shown), refusal(record)
        seen = (words is None, _coded(words) if words else None)
        issuer = record.get("issuer_fingerprint") if said.would_be is None else said.issuer_fingerprint_sha256
        same = seen == (said.allowed, said.code) and issuer == said.issuer_fingerprint_sha256
        if not same and not (words and not said.allowed and TOLD_FIRST in said.detail):
            found.append(f"{about}: we say {said.code} ({said.detail}); it says {words}")
    return found


def _coded(words: str) -> str:
    """Envoy's words for what cannot be read name the library that could not, of which there are many."""
    code = handshake_code(words)
    return "malformed" if code == "tls_failed" and any(each in words for each in UNREADABLE) else code


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


ROOT = Authority.root("root", key=ec.derive_private_key(5, ec.SECP256R1()))  # the same each time, as its certificates are
ISSUING = ROOT.intermediate("issuing", path_length=None)
BELOW = ISSUING.intermediate("below")
OTHER = Authority.root("other")
PAST = Validity(not_before=now() - 9 * DAY, not_after=now() - DAY)
ENDED = Updates(last_update=now() - 9 * DAY, next_update=now() - DAY)
TO_COME = Updates(last_update=now() + DAY, next_update=now() + 9 * DAY)
REVOKED = ISSUING.client("revoked")
TRUSTED_ITSELF = ROOT.client("trusted itself")
SELF_SIGNED = self_signed_client()
DEEP = [ROOT]
for level in range(12):
    DEEP.append(DEEP[-1].intermediate(f"level {level}", path_length=None))

DOORS = {
    "root": Door(ROOT.cert_pem),
    "root and issuing": Door(ROOT.cert_pem + ISSUING.cert_pem),
    "issuing": Door(ISSUING.cert_pem),
    "several": Door(OTHER.cert_pem + Authority.root("Edwards", key=new_ed25519_key()).cert_pem + ROOT.cert_pem),
    "the holder": Door(TRUSTED_ITSELF.cert_pem),
    "one that signed itself": Door(SELF_SIGNED.cert_pem),
    "root, its list": Door(ROOT.cert_pem, ROOT.crl()),
    "root, both lists": Door(ROOT.cert_pem, ROOT.crl() + ISSUING.crl([REVOKED])),
    "root, all lists": Door(ROOT.cert_pem, ROOT.crl() + ISSUING.crl() + BELOW.crl()),
    "root, issuing revoked": Door(ROOT.cert_pem, ROOT.crl([ISSUING.certificate]) + ISSUING.crl()),
    "root, a list ended": Door(ROOT.cert_pem, ROOT.crl() + ISSUING.crl(**ENDED)),
    "root, a list to come": Door(ROOT.cert_pem, ROOT.crl() + ISSUING.crl(**TO_COME)),
    "issuing, its list": Door(ISSUING.cert_pem, ISSUING.crl([REVOKED])),
    "root, another's list": Door(ROOT.cert_pem, OTHER.crl()),
}
HOLDERS: dict[str, Leaf] = {
    "of root": ROOT.client(),
    "of issuing": ISSUING.client(),
    "of below": BELOW.client(),
    "of another": OTHER.client(),
    "revoked": REVOKED,
    "expired": ISSUING.expired_client(),
    "not valid yet": ISSUING.future_client(),
    "below an expired one": ISSUING.intermediate("gone", **PAST).client(),
    "for servers": ISSUING.server_only_client(),
    "for servers, and expired": ISSUING.client(eku=(ExtendedKeyUsageOID.SERVER_AUTH,), **PAST),
    "for any purpose": ROOT.client(eku=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
    "for no purpose": ROOT.client(eku=NO_EKU),
    "trusted itself": TRUSTED_ITSELF,
    "signed by itself": SELF_SIGNED,
    **{f"{depth} deep": DEEP[depth].client() for depth in (9, 10, 11, 12)},
}


def ways(leaf: Leaf) -> Iterator[tuple[str, list[bytes]]]:
    """With the whole chain, without its root, alone, and the wrong way round."""
    whole = [der(leaf.certificate), *map(der, leaf.authorities)]
    yield from (
        ("whole", whole),
        ("without root", whole[:-1] or whole),
        ("alone", whole[:1]),
        ("reversed", whole[:1] + whole[:0:-1]),
    )


def test_who_is_let_in_where_is_foreseen(tmp_path: Path) -> None:
    cases = [
        (f"{holder}, {way}, at {place}", door, shown)
        for place, door in DOORS.items()
        for holder, leaf in HOLDERS.items()
        for way, shown in ways(leaf)
    ]
    with gateway(tmp_path, DOORS.values()) as witness:
        assert disagreements(witness, cases) == []


def test_chains_that_are_wrong_in_any_way_are_foreseen(tmp_path: Path) -> None:
    chains = [crooked.chain(strange.seeded(SEED * 100_000 + number)) for number in range(CHAINS)]
    doors = [Door(each.trusted, each.lists) for each in chains]
    cases = [(f"{', '.join(each.crooks)}", door, each.shown) for each, door in zip(chains, doors, strict=True)]
    with gateway(tmp_path, doors) as witness:
        assert disagreements(witness, cases) == []
    codes = {explained(door, shown).code for _, door, shown in cases}
    assert len(codes) >= 10, codes  # or the chains would not ask enough


def _pkits(case: pkits.Case) -> Door | None:
    """All authorities of a path with all its lists; None where our import takes them not."""
    certificates = "".join(pkits.pem("CERTIFICATE", each) for each in (pkits.trust_anchor(), *case.authorities))
    lists = "".join(pkits.pem("X509 CRL", each) for each in case.lists)
    try:
        authorities = chain.read_client_ca(certificates.encode(), now(), "client_ca_tls_container_ref")
        crls = chain.read_crls(lists.encode(), authorities, now(), "client_crl_container_ref")
    except Invalid:
        return None
    return Door(chain.to_pem(authorities), chain.to_pem(crls))


def test_the_paths_of_pkits_are_foreseen(tmp_path: Path) -> None:
    anchor = Door(pkits.pem("CERTIFICATE", pkits.trust_anchor()))
    cases: list[Case] = []
    for each in pkits.cases():
        shown = [each.end_entity, *each.authorities]
        cases.append((f"{each.number} by its root", anchor, shown))
        if (all_of_them := _pkits(each)) is not None:
            cases += [(each.number, all_of_them, shown), (f"{each.number} alone", all_of_them, shown[:1])]
    with gateway(tmp_path, [door for _, door, _ in cases]) as witness:
        assert disagreements(witness, cases) == []


def _rsa(bits: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    """Of any size at once: nobody needs the private half."""
    return rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) | 0xF00D_CAFE_0001).public_key()


HOLDER = name("holder")


def _of(key: object, *extensions: tuple[x509.ExtensionType, bool], subject: x509.Name = HOLDER) -> bytes:
    """A certificate of the root's for any key at all; the same each time but for its signature."""
    return strange.certificate(
        strange.seeded(1),
        subject=subject.public_bytes(),
        issuer=ROOT.certificate.subject.public_bytes(),
        serial=7,
        extensions=[strange.extension(held.oid.dotted_string, held.public_bytes(), critical=crit) for held, crit in extensions],
        spki=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),  # type: ignore[attr-defined]  # of any kind
        sign=_by_the_root,
    )


def _by_the_root(content: bytes) -> bytes:
    return ROOT.key.sign(content, ec.ECDSA(hashes.SHA256()))  # type: ignore[arg-type,call-arg]  # an EC key


KEYS: dict[str, object] = {
    "P-256": new_key().public_key(),
    "P-224": ec.generate_private_key(ec.SECP224R1()).public_key(),
    "P-384": ec.generate_private_key(ec.SECP384R1()).public_key(),
    "P-521": ec.generate_private_key(ec.SECP521R1()).public_key(),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()).public_key(),
    "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate().public_key(),
    "Ed448": ed448.Ed448PrivateKey.generate().public_key(),
    "X25519": x25519.X25519PrivateKey.generate().public_key(),
    "DSA": dsa.generate_private_key(1024).public_key(),  # noqa: S505 (it is to be refused)
    "RSA 1024": _rsa(1024),
    "RSA 16384": _rsa(16384),
    "RSA 16385": _rsa(16385),
    "RSA, exponent 17": _rsa(2048, 17),
    "RSA, a long exponent": _rsa(2048, 2**33 + 1),
}


def _below(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> list[bytes]:
    """A holder below an authority with this key, as shown."""
    extensions = [(x509.BasicConstraints(ca=True, path_length=None), True)]
    middle = Authority(ROOT.sign(name("middle"), key, extensions), key)
    return [der(middle.client().certificate), der(middle.certificate)]


@pytest.mark.parametrize("mode", ["MANDATORY", "OPTIONAL", "REHEARSAL"])
def test_keys_forms_and_modes_are_foreseen(tmp_path: Path, mode: Mode) -> None:
    door = Door(ROOT.cert_pem, mode=mode)
    good = _of(KEYS["P-256"])
    cases: list[Case] = [(kind, door, [_of(key)]) for kind, key in KEYS.items()]
    cases += [
        (f"usage {bit}", door, [_of(KEYS["P-256"], (usage(bit), True))])
        for bit in ("digital_signature", "key_agreement", "key_encipherment", "key_cert_sign")
    ]
    cases += [
        (f"an authority on {curve.name}", door, _below(ec.generate_private_key(curve)))
        for curve in (ec.SECP224R1(), ec.SECP256R1(), ec.SECP256K1())
    ]
    cases += [
        ("cut short", door, [good[:-1]]),
        ("with more behind", door, [good + b"\x00"]),
        ("damaged", door, [good[:-3] + bytes(3)]),
        ("no DER", door, [b"garbage"]),
        ("with much else", door, [good, *[der(ROOT.certificate)] * 90]),
        ("nothing", door, []),
    ]
    cases += [(kind, door, shown) for kind, leaf in HOLDERS.items() for _, shown in ways(leaf)]
    if mode == "OPTIONAL":
        cases += [("a signature by a hash that is not known", door, [_unknown_hash()])]
    with gateway(tmp_path, [door]) as witness:
        assert disagreements(witness, cases) == []


def _mutated(number: int) -> bytes:
    """A sound certificate of which one or two octets were changed before it was signed."""
    rng = strange.seeded(SEED * 100_000 + number)
    octets = bytearray(strange.first(strange.inside(SOUND[number % len(SOUND)])))
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(4, len(octets))
        octets[place] = rng.choice((rng.randrange(256), octets[place] ^ (1 << rng.randrange(8)), 0, 0xFF, 0x30, 0x80))
    return strange.tlv(0x30, bytes(octets), strange.ECDSA_SHA256, strange.tlv(0x03, b"\x00", _by_the_root(bytes(octets))))


ALL_NAMES = x509.SubjectAlternativeName(
    [
        x509.DNSName("a.test"),
        x509.RFC822Name("a@a.test"),
        x509.UniformResourceIdentifier("urn:a"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.DirectoryName(name("a", O="Acme")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ]
)
POINT = x509.DistributionPoint([x509.UniformResourceIdentifier("http://a.test/")], None, None, [x509.DirectoryName(name("a"))])
NAMED_KEY = x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT.key.public_key())
POLICIES = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), ["http://a.test"])])
KEY = ec.derive_private_key(7, ec.SECP256R1()).public_key()
SOUND = (
    _of(KEY, (NAMED_KEY, False), (usage("digital_signature"), True), subject=name("alice", O="Acme", C="NO")),
    _of(KEY, (ALL_NAMES, False)),
    _of(KEY, (x509.CRLDistributionPoints([POINT]), False), (x509.PolicyConstraints(1, 1), True), (NAMED_KEY, False)),
    _of(KEY, (POLICIES, False), (x509.NameConstraints([x509.DNSName("a.test")], None), True)),
    _of(KEY, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False), (x509.BasicConstraints(True, 3), True)),
)


def test_certificates_that_were_damaged_before_they_were_signed_are_foreseen(tmp_path: Path) -> None:
    door = Door(ROOT.cert_pem)
    cases: list[Case] = [(shown.hex(), door, [shown]) for shown in map(_mutated, range(MUTATIONS))]
    with gateway(tmp_path, [door]) as witness:
        assert disagreements(witness, cases) == []


def _unknown_hash() -> bytes:
    builder = x509.CertificateBuilder().subject_name(name("x")).issuer_name(ROOT.certificate.subject).serial_number(7)
    builder = builder.public_key(new_key().public_key()).not_valid_before(now() - DAY).not_valid_after(now() + DAY)
    return der(builder.sign(ROOT.key, hashes.SHA3_256()))


def test_among_many_namesakes_nobody_is_said_to_be_let_in_who_is_refused(tmp_path: Path) -> None:
    """Which of several certificates of one authority BoringSSL takes is its sorting's affair once it trusts many."""
    others = [Authority.root(f"other {number}").cert_pem for number in range(60)]
    again = Authority.root("root", key=ROOT.key).cert_pem
    gone = Authority.root("root", key=ROOT.key, **PAST).cert_pem
    rng = strange.seeded(SEED)
    doors = []
    for number in range(12):
        bundle = [ROOT.cert_pem, again, gone, *others[: 5 * number]]
        rng.shuffle(bundle)
        doors.append(Door("".join(bundle)))
    shown = [der(ROOT.client().certificate)]
    with gateway(tmp_path, doors) as witness:
        records = witness.connections(*(show(door.port, shown) for door in doors))
    for door, record in zip(doors, records, strict=True):
        assert not (explained(door, shown).allowed and refusal(record))


def test_what_envoys_words_have_no_code_for_is_malformed(tmp_path: Path) -> None:
    door = Door(ROOT.cert_pem)
    good = _of(KEYS["P-256"])
    unnamed = {"garbage in the chain": [good, b"garbage"], "too much at once": [good, *[der(ROOT.certificate)] * 400]}
    with gateway(tmp_path, [door]) as witness:
        records = witness.connections(*(show(door.port, shown) for shown in unnamed.values()))
    for shown, record in zip(unnamed.values(), records, strict=True):
        assert refusal(record) is not None
        assert handshake_code(record["failure"]) in ("malformed", "tls_failed")
        assert explained(door, shown).code == "malformed"


def test_a_usage_without_signatures_is_told_first_on_tls_1_3(tmp_path: Path) -> None:
    door, key = Door(ROOT.cert_pem), new_key()
    gone = Leaf(ROOT.sign(name("gone"), key, [(usage("key_agreement"), True)], **PAST), key)
    paths = gone.write(tmp_path)
    client, address = TLSClient(door.port, cert=paths.cert, key=paths.key, version="TLSv1.3"), own_address()
    with gateway(tmp_path, [door]) as witness:
        with socket.create_connection(("127.0.0.1", door.port), source_address=(address, 0)) as raw:
            shaken = client.context().wrap_socket(raw)  # on TLS 1.3 a client is done before it is judged
            with contextlib.suppress(OSError):
                shaken.recv(1)
            shaken.close()
        (record,) = witness.connections(address)
    assert handshake_code(record["failure"]) == explained(door, [der(gone.certificate)]).code == "wrong_purpose"
