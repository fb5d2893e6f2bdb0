"""What the backend is told about a client comes from the handshake alone, whatever the client writes and however it is named."""

import base64
import hashlib
import http.client
import io
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ostiary.model.listener import InsertableHeader
from support.backend import Backend, Recorder
from support.certs import Authority, Leaf, name
from support.raw_http import Pairs, exchanged, over_http1, over_http2
from support.stack import Ostiary
from support.tls_clients import Answer, TLSClient

pytestmark = pytest.mark.live

INSERTABLE: Final[tuple[str, ...]] = get_args(InsertableHeader)
OF_CONNECTION: Final = tuple(header for header in INSERTABLE if not header.startswith(("X-SSL-", "Client-Cert")))
Heard = dict[str, list[str]]
Ask = Callable[[socket.socket, Pairs], Answer]
PROTOCOLS: Final[Mapping[str, Ask]] = {"HTTP/1.1": over_http1, "HTTP/2": over_http2}

ROOT: Final = Authority.root("Identity root")
ISSUING: Final = ROOT.intermediate("Identity issuing")


@dataclass(frozen=True)
class Door:
    """A port, what it speaks, and what a client shows there."""

    port: int
    tls: TLSClient | None
    listener_id: str = ""

    @contextmanager
    def opened(self, protocol: str) -> Iterator[socket.socket]:
        """A connection ready for requests in this protocol."""
        if self.tls is None:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                yield connection
            return
        with replace(self.tls, alpn=("h2" if protocol == "HTTP/2" else "http/1.1",), _context=[]).connect() as connection:
            yield connection.tls

    def asked(self, headers: Pairs = (), protocol: str = "HTTP/1.1") -> Answer:
        """The answer to one request with these headers."""
        with self.opened(protocol) as connection:
            return PROTOCOLS[protocol](connection, headers)

    def heard(self, headers: Pairs = (), protocol: str = "HTTP/1.1") -> Heard:
        """Which headers reach the backend when these are sent."""
        answer = self.asked(headers, protocol)
        assert answer.status == 200
        return dict(answer.json()["headers"])

    def showing(self, leaf: Leaf, folder: Path) -> "Door":
        """The same door for somebody with this certificate."""
        assert self.tls is not None
        paths = leaf.write(folder, "shown")
        return replace(self, tls=replace(self.tls, cert=paths.chain, key=paths.key, _context=[]))


@pytest.fixture(scope="module")
def alice() -> Leaf:
    sans = ("URI:spiffe://test/alice", "URI:https://alice.test/", "DNS:alice.test", "DNS:www.alice.test", "email:alice@test")
    return ISSUING.client(subject=name("alice", C="DE", O="Acme", OU="Sales"), sans=sans)


DOORS: Final = ("HTTP", "NONE", "OPTIONAL", "OPTIONAL, nobody", "MANDATORY", "MANDATORY, nothing asked for")


@pytest.fixture(scope="module")
def doors(house: Ostiary, inside: Backend, alice: Leaf, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Door]:
    """A door of each kind. All but one ask for every header they may; alice is the one who knocks unless said otherwise."""
    balancer = house.balancer()
    pool = house.pool(balancer, inside.port)
    ca = house.secret(ROOT.cert_pem)
    paths = alice.write(tmp_path_factory.mktemp("alice"))

    def made(headers: tuple[str, ...], **fields: Any) -> Door:
        listener = house.listener(balancer, default_pool_id=pool, insert_headers=dict.fromkeys(headers, "true"), **fields)
        return Door(listener["protocol_port"], None, listener["id"])

    def tls(mode: str, headers: tuple[str, ...] = INSERTABLE) -> Door:
        door = made(headers, client_authentication=mode, client_ca_tls_container_ref=ca)
        return replace(door, tls=TLSClient(door.port, ca=house.server_ca, cert=paths.chain, key=paths.key))

    optional = tls("OPTIONAL")
    assert optional.tls is not None
    return {
        "HTTP": made(OF_CONNECTION, protocol="HTTP"),
        "NONE": tls("NONE"),
        "OPTIONAL": optional,
        "OPTIONAL, nobody": replace(optional, tls=optional.tls.without_certificate()),
        "MANDATORY": tls("MANDATORY"),
        "MANDATORY, nothing asked for": tls("MANDATORY", ()),
    }


# What is told.


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def byte_sequences(value: str) -> list[bytes]:
    """A list of byte sequences: RFC 8941 3.1 and 3.3.5."""
    items = [item.strip() for item in value.split(",")]
    assert all(item.startswith(":") and item.endswith(":") for item in items)
    return [base64.b64decode(item[1:-1], validate=True) for item in items]


def of_client(heard: Heard) -> set[str]:
    """The names of those headers that speak of a client certificate."""
    return {header for header in heard if "ssl" in header or "cert" in header}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mode", ["OPTIONAL", "MANDATORY"])
def test_the_backend_is_told_of_a_verified_certificate_in_every_form_asked_for(
    doors: dict[str, Door], alice: Leaf, mode: str, protocol: str
) -> None:
    door, certificate = doors[mode], alice.certificate
    heard = door.heard(protocol=protocol)
    told = {header.lower(): heard[header.lower()] for header in INSERTABLE}
    (shown,), (rest,) = told.pop("client-cert"), told.pop("client-cert-chain")
    assert byte_sequences(shown) == [der(certificate)]
    assert byte_sequences(rest) == [der(ISSUING.certificate)]
    assert told == {
        "x-forwarded-for": ["127.0.0.1"],
        "x-forwarded-port": [str(door.port)],
        "x-forwarded-proto": ["https"],
        "x-forwarded-ip": ["127.0.0.1"],
        "x-client-ip": ["127.0.0.1"],
        "x-real-ip": ["127.0.0.1"],
        "x-ssl-client-verify": ["0"],
        "x-ssl-client-has-cert": ["true"],
        "x-ssl-client-dn": [certificate.subject.rfc4514_string()],
        "x-ssl-client-cn": ["alice"],
        "x-ssl-issuer": [certificate.issuer.rfc4514_string()],
        "x-ssl-client-sha1": [hashlib.sha1(der(certificate)).hexdigest()],  # noqa: S324 (what the header is named for)
        "x-ssl-client-not-before": [f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%S}.000Z"],
        "x-ssl-client-not-after": [f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%S}.000Z"],
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("door", ["OPTIONAL", "MANDATORY", "MANDATORY, nothing asked for"])
def test_the_forwarded_certificate_has_its_fingerprint_subject_and_names(
    doors: dict[str, Door], alice: Leaf, door: str, protocol: str
) -> None:
    (value,) = doors[door].heard(protocol=protocol)["x-forwarded-client-cert"]
    (only,) = forwarded(value)
    assert only == {
        "Hash": [hashlib.sha256(der(alice.certificate)).hexdigest()],
        "Subject": [alice.certificate.subject.rfc4514_string()],
        "URI": ["spiffe://test/alice", "https://alice.test/"],
        "DNS": ["alice.test", "www.alice.test"],
    }


def test_what_is_not_asked_for_is_not_told(doors: dict[str, Door]) -> None:
    heard = doors["MANDATORY, nothing asked for"].heard()
    assert heard.keys() == {"host", "x-forwarded-proto", "x-forwarded-client-cert"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("door", "told"), [("HTTP", set()), ("NONE", {"x-ssl-client-has-cert"}), ("OPTIONAL, nobody", {"x-ssl-client-has-cert"})]
)
def test_nothing_is_told_of_a_certificate_that_was_not_verified(
    doors: dict[str, Door], door: str, told: set[str], protocol: str
) -> None:
    """At NONE alice has one, but is not asked for it."""
    heard = doors[door].heard(protocol=protocol)
    assert of_client(heard) == told
    assert heard.get("x-ssl-client-has-cert", ["false"]) == ["false"]
    assert heard["x-forwarded-for"] == heard["x-real-ip"] == ["127.0.0.1"]


# What a client writes.

# Left of ours, what a client writes in X-Forwarded-For stays: that is what it is for.
GUARDED: Final = (
    *(header for header in INSERTABLE if header != "X-Forwarded-For"),
    "X-Forwarded-Client-Cert",
    "X-SSL-Client-Serial",
    "X-SSL-Client-Cert",
    "SSL-Client-Cert",
    "SSL-Client-Verify",
    "SSL-Client-Subject-DN",
    "X-Client-Cert",
    "X-Client-DN",
    "X-Client-Verify",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-ARR-ClientCert",
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Amzn-Mtls-Clientcert-Issuer",
    "X-Amzn-Mtls-Clientcert-Serial-Number",
    "X-Amzn-Mtls-Clientcert-Validity",
    "X-Goog-Client-Cert-Present",
    "CF-Connecting-IP",
    "True-Client-IP",
)
FORGED: Final = "forged"
MANY: Final = 30  # Envoy refuses a request with more than 100 headers.
WRITTEN: Final[Mapping[str, Callable[[str], Pairs]]] = {
    "as it is": lambda header: [(header.lower(), FORGED)],
    "several times": lambda header: [(header.lower(), FORGED), (header.lower(), ""), (header.lower(), f"{FORGED}, {FORGED}")],
    "with dots": lambda header: [(header.lower().replace("-", "."), FORGED)],
    "with one dot": lambda header: [(header.lower().replace("-", ".", 1), FORGED)],
}
WRITTEN_IN_HTTP1: Final[Mapping[str, Callable[[str], Pairs]]] = {
    "with capitals": lambda header: [(header, FORGED)],
    "in capitals": lambda header: [(header.upper(), FORGED)],
    "oddly": lambda header: [(header.lower().replace("x", "X").replace("c", "C"), FORGED)],
    "with white space": lambda header: [(header, f" \t {FORGED} \t ")],
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("door", DOORS)
def test_what_a_client_writes_about_itself_changes_nothing(
    doors: dict[str, Door], door: str, protocol: str, written: str
) -> None:
    _changes_nothing(doors[door], WRITTEN[written], protocol)


@pytest.mark.parametrize("written", WRITTEN_IN_HTTP1)
@pytest.mark.parametrize("door", DOORS)
def test_however_it_is_written(doors: dict[str, Door], door: str, written: str) -> None:
    _changes_nothing(doors[door], WRITTEN_IN_HTTP1[written], "HTTP/1.1")


def _changes_nothing(door: Door, written: Callable[[str], Pairs], protocol: str) -> None:
    nothing = door.heard(protocol=protocol)
    for start in range(0, len(GUARDED), MANY):
        forged = [pair for header in GUARDED[start : start + MANY] for pair in written(header)]
        assert door.heard(forged, protocol) == nothing


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("header", GUARDED)
def test_underscores_are_refused(doors: dict[str, Door], inside: Backend, header: str, protocol: str) -> None:
    """CGI and WSGI read X_SSL_Client_DN and X-SSL-Client-DN as one."""
    for door in doors.values():
        before = len(inside.asked)
        assert door.asked([(header.lower().replace("-", "_"), FORGED)], protocol).status in {400, 0}
        assert len(inside.asked) == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("door", ["HTTP", "NONE", "OPTIONAL", "MANDATORY"])
def test_the_true_address_is_the_last(doors: dict[str, Door], door: str, protocol: str) -> None:
    forged = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2, 192.0.2.3")]
    otherwise = [("x.forwarded.for", FORGED), ("x-forwarded.for", FORGED), ("x.forwarded-for", FORGED)]
    heard = doors[door].heard([*forged, *otherwise], protocol)
    values = heard["x-forwarded-for"]
    assert FORGED not in str(heard)
    assert ",".join(values).replace(" ", "").split(",") == ["192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"]


@pytest.mark.parametrize("with_it", ["", "keep-alive, ", "close, ", "TE, "])
@pytest.mark.parametrize("door", DOORS)
def test_no_client_has_ours_taken_off_as_hop_by_hop(doors: dict[str, Door], door: str, with_it: str) -> None:
    """RFC 9110 7.6.1: what Connection names is for the next hop only. What we add is not the client's to name."""
    expected = doors[door].heard()
    for header in (*GUARDED, "X-Forwarded-For"):
        answer = doors[door].asked([("Connection", with_it + header), ("TE", "trailers")])
        # Envoy refuses some of them outright: those that it acts on itself.
        assert answer.status == 400 or {**answer.json()["headers"], "te": None} == {**expected, "te": None}, header


@pytest.mark.parametrize("named", ["Upgrade, {}", "{}, upgrade", "UPGRADE,{},keep-alive"])
def test_nor_while_upgrading(house: Ostiary, doors: dict[str, Door], named: str) -> None:
    """Connection itself has to reach the member then, which may be a proxy that does as it says."""
    door = doors["MANDATORY"]
    assert door.tls is not None
    with Recorder() as member:
        asked = house.read(door.listener_id)
        settings = {name: asked[name] for name in ("client_authentication", "client_ca_tls_container_ref", "insert_headers")}
        port = house.door(member.port, **settings).port
        for header in GUARDED:
            sent = [("Connection", named.format(header)), ("Upgrade", "websocket"), (header, FORGED)]
            door_to_member = replace(door, port=port, tls=replace(door.tls, port=port, _context=[]))
            if door_to_member.asked(sent).status == 400:
                continue
            heard = http.client.parse_headers(io.BytesIO(member.heard[-1].partition(b"\r\n")[2]))
            assert heard["Connection"] == "Upgrade"
            assert FORGED not in str(heard)
            assert heard["X-SSL-Client-CN"] == "alice"
            assert heard["X-Forwarded-Client-Cert"].startswith("Hash=")


def test_an_upgrade_that_is_meant_passes(doors: dict[str, Door]) -> None:
    for door in doors.values():
        if door.tls is not None:
            with door.tls.connect() as connection:
                assert connection.echo_over_websocket("hello") == "hello"


@pytest.mark.parametrize("door", DOORS)
def test_nor_over_http2_where_there_are_no_hops(doors: dict[str, Door], door: str) -> None:
    answer = doors[door].asked([("connection", "x-ssl-client-cn, x-forwarded-client-cert")], "HTTP/2")
    assert answer.status in {0, 400} or answer.json()["headers"] == doors[door].heard(protocol="HTTP/2")


def test_capitals_are_no_way_around_in_http2(doors: dict[str, Door], inside: Backend) -> None:
    """RFC 9113 8.2: a name in capitals is malformed."""
    for door in (doors["HTTP"], doors["MANDATORY"]):
        before = len(inside.asked)
        assert door.asked([("X-SSL-Client-CN", FORGED)], "HTTP/2").status in {0, 400}
        assert len(inside.asked) == before


SMUGGLED: Final = {
    "white space before the colon": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-SSL-Client-CN : forged\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n X-SSL-Client-CN: forged\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\nX-SSL-Client-CN: forged\r\n\r\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-SSL-Client-CN: forged\r\n\r\n",
    "a NUL in the name": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-SSL-Client-CN\0: forged\r\n\r\n",
    "a NUL in a value": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\0\r\nX-SSL-Client-CN: forged\r\n\r\n",
    "another letter": "GET / HTTP/1.1\r\nHost: localhost\r\nX-SSL-Client-\u0421N: forged\r\n\r\n".encode(),
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 60\r\n\r\n"
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-SSL-Client-CN: forged\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET / HTTP/1.1\r\nX-SSL-Client-CN: forged\r\n\r\n",
    "odd chunks": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n"
    b"0\r\n\r\nGET / HTTP/1.1\r\nX-SSL-Client-CN: forged\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", SMUGGLED.values(), ids=SMUGGLED)
@pytest.mark.parametrize("door", DOORS)
def test_what_can_be_read_in_two_ways_gets_nothing_past(doors: dict[str, Door], door: str, request_bytes: bytes) -> None:
    with doors[door].opened("HTTP/1.1") as connection:
        answer = exchanged(connection, request_bytes)
    if answer.status == 200:
        assert doors[door].heard() == {name: value for name, value in answer.json()["headers"].items() if name != "x-a"}
    else:
        assert answer.status in {0, 400, 501}


# What a certificate says. Its names were approved by somebody's CA, which need not have our headers in mind.


def forwarded(value: str) -> list[dict[str, list[str]]]:
    """X-Forwarded-Client-Cert, read as Envoy describes it: elements by comma, fields by semicolon, quotes with backslashes."""
    elements: list[dict[str, list[str]]] = []
    for element in _split(value, ","):
        fields: dict[str, list[str]] = {}
        for part in _split(element, ";"):
            key, _, text = part.partition("=")
            fields.setdefault(key, []).append(_unquoted(text))
        elements.append(fields)
    return elements


def _split(text: str, at: str) -> list[str]:
    parts, quoted, escaped = [""], False, False
    for sign in text:
        if sign == at and not quoted:
            parts.append("")
            continue
        parts[-1] += sign
        if escaped:
            escaped = False
        elif sign == "\\" and quoted:
            escaped = True
        elif sign == '"':
            quoted = not quoted
    assert not quoted, "a quote that never ends"
    return parts


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return text[1:-1].replace('\\"', '"')


SUBJECTS: Final = {
    "a comma": name("admin,CN=root", O="Acme, Inc"),
    "quotes": name('al"ice";Hash=00;Subject="CN=admin', O='"Acme"'),
    "a quote escaped": name('al\\";URI=spiffe://test/admin;X="'),
    "a semicolon": name("alice;URI=spiffe://test/admin;DNS=admin.test"),
    "another element": name('alice",Hash=00;Subject="CN=admin"'),
    "an end of line": name("alice\r\nX-SSL-Client-CN: admin\r\nX-Admin: yes"),
    "a bare line feed": name("alice\nX-Admin: yes", O="Acme\n"),
    "a NUL": name("alice\0admin"),
    "other scripts": name("Ἀλίκη", O="Àcmé", OU="\U0001f600"),
    "a colon and equals": name("alice: =admin=", O="#04"),
    "spaces around": name("  alice  ", O=" "),
    "two common names": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in ("alice", "admin")]),
    "backslashes": name("alice\\", O="\\\\"),
    "escapes of its own": name("alice\\0D\\0AX-Admin: yes%0D%0AX-Admin: yes"),
    "nothing": x509.Name([]),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_no_subject_writes_fields_or_headers_of_its_own(
    doors: dict[str, Door], tmp_path: Path, subject: x509.Name, protocol: str
) -> None:
    leaf = ISSUING.client(subject=subject, sans=("URI:spiffe://test/true",))
    heard = doors["MANDATORY"].showing(leaf, tmp_path).heard(protocol=protocol)
    (only,) = forwarded(",".join(heard["x-forwarded-client-cert"]))
    assert only.keys() <= {"Hash", "Subject", "URI", "DNS"}
    assert (only["Hash"], only["URI"]) == ([hashlib.sha256(der(leaf.certificate)).hexdigest()], ["spiffe://test/true"])
    assert len(only["Subject"]) == 1
    assert heard.keys() - {"x-ssl-client-cn", "x-ssl-client-dn"} == doors["MANDATORY"].heard().keys() - {
        "x-ssl-client-cn",
        "x-ssl-client-dn",
    }
    assert byte_sequences(*heard["client-cert"]) == [der(leaf.certificate)]
    assert all(len(values) == 1 and values[0].isascii() and values[0].isprintable() for values in heard.values())


NAMES: Final = {
    "another URI": x509.UniformResourceIdentifier("spiffe://test/a;URI=spiffe://test/admin"),
    "another element": x509.UniformResourceIdentifier("spiffe://test/a,Hash=00"),
    "a quote": x509.UniformResourceIdentifier('spiffe://test/a"'),
    "an end of line in a URI": x509.UniformResourceIdentifier("spiffe://test/a\r\nX-Admin: yes"),
    "a URI in a DNS name": x509.DNSName("a.test;URI=spiffe://test/admin"),
    "an element in a DNS name": x509.DNSName("a.test,Hash=00"),
    "an end of line in a DNS name": x509.DNSName("a.test\nX-Admin: yes"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("unclean", NAMES.values(), ids=NAMES)
def test_a_certificate_whose_names_could_write_others_is_refused(
    doors: dict[str, Door], inside: Backend, tmp_path: Path, unclean: x509.GeneralName, protocol: str
) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("clean.test"), unclean])
    leaf = ISSUING.client("alice", extensions=[(names, False)])
    for door in ("OPTIONAL", "MANDATORY", "MANDATORY, nothing asked for"):
        before = len(inside.asked)
        assert doors[door].showing(leaf, tmp_path).asked(protocol=protocol).status == 403
        assert len(inside.asked) == before


def test_the_chain_is_what_was_shown_above_the_certificate(doors: dict[str, Door], tmp_path: Path) -> None:
    """RFC 9440 2.3: without the client's own certificate; absent when there is nothing above it."""
    far = ROOT.intermediate("First", path_length=1).intermediate("Second").client("far")
    heard = doors["MANDATORY"].showing(far, tmp_path).heard()
    assert byte_sequences(*heard["client-cert-chain"]) == [der(above) for above in far.authorities[:-1]]
    assert "client-cert-chain" not in doors["MANDATORY"].showing(ROOT.client("near"), tmp_path).heard()
