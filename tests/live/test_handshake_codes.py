"""Each way in which a handshake can fail has its code, in Envoy's own words, on both versions of TLS."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ostiary.clock import now
from ostiary.envoy.failures import connection_code
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.certs import DAY, Authority, Leaf, name, new_key, new_rsa_key, self_signed_client, usage
from support.desired import listener
from support.ports import free_port
from support.shown import Witness, own_address, show
from support.tiny_ads import Engine
from support.tls_clients import Version

pytestmark = pytest.mark.live

ROOT = Authority.root("root", key=new_rsa_key())
REVOKED = ROOT.client("revoked")
ENDED, TO_COME = Authority.root("its list has ended"), Authority.root("its list is to come")


def below(depth: int) -> Authority:
    """An authority so many levels below the root, none of which says how many may follow."""
    authority = ROOT
    for level in range(depth):
        authority = authority.intermediate(f"level {level}", path_length=None)
    return authority


def constrained() -> Authority:
    """It may name hosts in ok.test only."""
    key = new_key()
    extensions = (
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (usage("key_cert_sign", "crl_sign"), True),
        (x509.NameConstraints([x509.DNSName("ok.test")], None), True),
    )
    return Authority(ROOT.sign(name("constrained"), key, extensions), key, (ROOT.certificate,))


def damaged(leaf: Leaf) -> Leaf:
    """One bit of its signature is another."""
    der = bytearray(octets(leaf))
    der[-5] ^= 1
    return replace(leaf, certificate=x509.load_der_x509_certificate(bytes(der)))


def octets(leaf: Leaf) -> bytes:
    return leaf.certificate.public_bytes(serialization.Encoding.DER)


def for_signing_certificates() -> Leaf:
    """Its key is for nothing else."""
    key = new_key()
    extensions = ((x509.BasicConstraints(ca=False, path_length=None), True), (usage("key_cert_sign"), True))
    return Leaf(ROOT.sign(name("no signatures"), key, extensions), key, (ROOT.certificate,))


def incomplete() -> Leaf:
    """Its chain lacks the intermediate."""
    leaf = ROOT.intermediate("left out").client()
    return replace(leaf, authorities=leaf.authorities[:1])


UNKNOWN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

PLAIN, LISTED = "without lists", "with lists"
SHOWN: dict[str, tuple[str, Leaf | None, str | None]] = {
    "a good one": (PLAIN, ROOT.client(), None),
    "one that its list does not name": (LISTED, ROOT.client(), None),
    "none": (PLAIN, None, "no_certificate"),
    "of another authority": (PLAIN, Authority.root("other").client(), "unknown_authority"),
    "signed by itself": (PLAIN, self_signed_client(), "unknown_authority"),
    "its intermediate left out": (PLAIN, incomplete(), "unknown_authority"),
    "signed by what is no authority": (
        PLAIN,
        Authority(REVOKED.certificate, REVOKED.key, (ROOT.certificate,)).client(),
        "unknown_authority",
    ),
    "expired": (PLAIN, ROOT.expired_client(), "expired"),
    "of an expired authority": (
        PLAIN,
        ROOT.intermediate("old", not_before=now() - 9 * DAY, not_after=now() - DAY).client(),
        "expired",
    ),
    "not yet valid": (PLAIN, ROOT.future_client(), "not_yet_valid"),
    "revoked": (LISTED, REVOKED, "revoked"),
    "for servers": (PLAIN, ROOT.server_only_client(), "wrong_purpose"),
    "its key not for signatures": (PLAIN, for_signing_certificates(), "wrong_purpose"),
    "damaged": (PLAIN, damaged(ROOT.client()), "bad_signature"),
    "too deep for an authority above": (
        PLAIN,
        ROOT.intermediate("no more below").intermediate("below all the same").client(),
        "chain_too_long",
    ),
    "too deep for the listener": (PLAIN, below(12).client(), "chain_too_long"),
    "a name not permitted": (PLAIN, constrained().client(sans=("DNS:bad.test",)), "name_constraint"),
    "of an authority without a list": (LISTED, ROOT.intermediate("no list").client(), "status_unknown"),
    "of an authority whose list has ended": ("ended", ENDED.client(), "status_unknown"),
    "of an authority whose list is to come": ("to come", TO_COME.client(), "status_unknown"),
    "with an unknown critical extension": (PLAIN, ROOT.client(extensions=((UNKNOWN_EXTENSION, True),)), "malformed"),
}
DOORS = {door: free_port() for door in (PLAIN, LISTED, "ended", "to come", "not for us", "not for us, TCP")}


@dataclass(frozen=True)
class Doors:
    """Listeners, and what their Envoy tells of connections."""

    folder: Path
    witness: Witness

    def code(self, address: str) -> str | None:
        (record,) = self.witness.connections(address)
        return connection_code(record)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("envoy")
    ended = ENDED.crl(last_update=now() - 9 * DAY, next_update=now() - DAY)
    to_come = TO_COME.crl(last_update=now() + DAY, next_update=now() + 9 * DAY)
    trusts = {
        PLAIN: Trust(name="plain", certificates=ROOT.cert_pem),
        LISTED: Trust(name="listed", certificates=ROOT.cert_pem, crls=ROOT.crl([REVOKED])),
        "ended": Trust(name="ended", certificates=ENDED.cert_pem, crls=ended),
        "to come": Trust(name="to come", certificates=TO_COME.cert_pem, crls=to_come),
    }
    listeners = [
        listener(f"l{DOORS[door]}", protocol_port=DOORS[door], client_authentication="MANDATORY", trust=trust)
        for door, trust in trusts.items()
    ]
    nobody = ("192.0.2.0/24",)
    listeners.append(listener("tls", protocol_port=DOORS["not for us"], allowed_cidrs=nobody))
    listeners.append(listener("tcp", protocol_port=DOORS["not for us, TCP"], protocol="TCP", allowed_cidrs=nobody))
    with Engine(folder) as engine:
        witness = Witness(engine.folder)
        assert engine.apply(snapshot(Desired(listeners=tuple(listeners)))) == {}
        engine.listens_on(*DOORS.values())
        yield Doors(folder, witness)


def knock(door: str, leaf: Leaf | None, folder: Path, change: Callable[[ssl.SSLContext], None]) -> str:
    """Come from an address of its own, with or without a certificate, and ask for something; returns the address."""
    address = own_address()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # Only what the server makes of this client is asked.
    if leaf is not None:
        paths = leaf.write(folder, "shown")
        context.load_cert_chain(paths.chain, paths.key)
    change(context)
    raw = socket.create_connection(("127.0.0.1", DOORS[door]), 20, source_address=(address, 0))
    try:
        with raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while tls.recv(4096):
                pass
    except OSError:  # ssl.SSLError is one
        pass  # What became of it, Envoy tells.
    return address


def only(version: Version) -> Callable[[ssl.SSLContext], None]:
    number = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}[version]

    def change(context: ssl.SSLContext) -> None:
        context.minimum_version = context.maximum_version = number

    return change


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("what", SHOWN)
def test_what_is_wrong_with_a_certificate_has_its_code(doors: Doors, what: str, version: Version) -> None:
    door, leaf, code = SHOWN[what]
    assert doors.code(knock(door, leaf, doors.folder, only(version))) == code


UNREADABLE = {
    "of another's key": (octets(ROOT.client()), "bad_signature"),
    "of a weak curve": (octets(ROOT.client(key=ec.generate_private_key(ec.SECP224R1()))), "weak_key"),
    "of an unknown curve": (octets(ROOT.client(key=ec.generate_private_key(ec.SECP256K1()))), "weak_key"),
    "cut off": (octets(ROOT.client())[:-10], "malformed"),
    "empty": (b"", "malformed"),
    "no certificate at all": (bytes(500), "malformed"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_no_well_behaved_client_shows_has_its_code(doors: Doors, what: str) -> None:
    der, code = UNREADABLE[what]
    assert doors.code(show(DOORS[PLAIN], [der])) == code


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_certificate_signed_by_a_broken_hash_is_weak(doors: Doors, tmp_path: Path, version: Version) -> None:
    for file, text in {"ca.pem": ROOT.cert_pem, "ca.key": ROOT.key_pem}.items():
        (tmp_path / file).write_text(text)
    for command in (
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -subj /CN=md5 -out csr",
        "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -md5 -days 9 -CAcreateserial -out pem",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    certificate = x509.load_pem_x509_certificate((tmp_path / "pem").read_bytes())
    key = serialization.load_pem_private_key((tmp_path / "key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    leaf = Leaf(certificate, key, (ROOT.certificate,))
    address = own_address()
    paths = leaf.write(doors.folder, "shown")
    # Python refuses to show such a certificate.
    words = f"openssl s_client -connect 127.0.0.1:{DOORS[PLAIN]} -bind {address}:0 -cipher ALL:@SECLEVEL=0 -cert {paths.cert}"
    flag = "-tls1_2" if version == "TLSv1.2" else "-tls1_3"
    subprocess.run([*words.split(), "-key", str(paths.key), flag], input=b"", capture_output=True, check=False, timeout=20)
    assert doors.code(address) == "weak_key"


def distrusts(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED


def old(context: ssl.SSLContext) -> None:
    only("TLSv1.2")(context)
    distrusts(context)


def with_other_ciphers(context: ssl.SSLContext) -> None:
    only("TLSv1.2")(context)
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")


@pytest.mark.parametrize("change", [distrusts, old, with_other_ciphers])
def test_a_client_that_does_not_want_us_was_refused_nothing(doors: Doors, change: Callable[[ssl.SSLContext], None]) -> None:
    assert doors.code(knock(PLAIN, None, doors.folder, change)) == "tls_failed"


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", b"\x8f" * 300, b"SSH-2.0-scanner\r\n"])
def test_who_speaks_no_tls_was_refused_nothing(doors: Doors, said: bytes) -> None:
    address = own_address()
    with socket.create_connection(("127.0.0.1", DOORS[PLAIN]), 20, source_address=(address, 0)) as raw:
        raw.sendall(said)
        try:
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass
    assert doors.code(address) == "tls_failed"


def test_who_hangs_up_within_the_handshake_was_refused_nothing(doors: Doors) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    address = own_address()
    with socket.create_connection(("127.0.0.1", DOORS[PLAIN]), 20, source_address=(address, 0)) as raw:
        raw.sendall(outgoing.read())
        assert raw.recv(100)  # and leaves the rest unread, so that the kernel resets the connection
    assert doors.code(address) in (None, "tls_failed")


def test_who_hangs_up_before_a_word_was_refused_nothing(doors: Doors) -> None:
    address = own_address()
    socket.create_connection(("127.0.0.1", DOORS[PLAIN]), 20, source_address=(address, 0)).close()
    assert doors.code(address) is None


@pytest.mark.parametrize("door", ["not for us", "not for us, TCP"])
def test_who_comes_from_a_network_that_is_not_allowed_is_told_as_that(doors: Doors, door: str) -> None:
    assert doors.code(knock(door, None, doors.folder, distrusts)) == "source_not_allowed"
