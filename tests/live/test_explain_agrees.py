"""What we say becomes of a request is what a real Envoy makes of it: the same decision, code and rule, enforced and rehearsed.

Generated from one seed: certificates with odd names, rules and exceptions of every kind, groups, revocations, hosts, paths.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from random import Random  # noqa: TID251 (nothing secret comes of it, and the same again is wanted)
from types import MappingProxyType
from typing import Any, Final, get_args

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from ostiary.access import members, words
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import judge
from ostiary.access.plain_path import plain
from ostiary.access.policy import Policy, may_knock_without, policy
from ostiary.clock import now
from ostiary.envoy.records import Record
from ostiary.envoy.snapshot import snapshot
from ostiary.model.access import AccessException, AccessRule, ExceptionKind, Holders
from ostiary.model.desired import Desired, DesiredAccess, DesiredListener
from ostiary.model.explanation import ExplainRequest, Explanation, Judged
from ostiary.model.listener import Listener
from ostiary.model.roster import Roster, Table
from ostiary.model.tls import Trust
from ostiary.ops.explained import Known, answer, noted
from ostiary.pki.names import fingerprint_sha256
from support import strange
from support.certs import Authority, Leaf, self_signed_client
from support.desired import listener
from support.feed import Tail
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import LIMIT, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

SEED: Final = 20261125
LISTENERS, CONNECTIONS, REQUESTS = 24, 9, 6

# Who signs: two roots, an authority below the first, one that is revoked, and one that nobody trusts.
ROOT, OTHER, RETIRED, STRANGER = (Authority.root(name) for name in ("Root", "Other", "Retired", "Stranger"))
ISSUING: Final = ROOT.intermediate("Issuing")
TRUSTED: Final = (ROOT, ISSUING, OTHER, RETIRED)


def fingerprint(one: Authority | Leaf) -> str:
    return fingerprint_sha256(one.certificate)


BELOW: Final = {
    "root": (fingerprint(ROOT), fingerprint(ISSUING)),
    "issuing": (fingerprint(ISSUING),),
    "other": (fingerprint(OTHER),),
}


@dataclass(frozen=True)
class Shown:
    """A certificate that somebody shows, and what is known of it."""

    leaf: Leaf
    issuer: str = ""  # the verified one's fingerprint
    groups: tuple[str, ...] = ()
    profile: str = ""

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.leaf)

    @cached_property
    def serial(self) -> str:
        return self.noted.serial

    @cached_property
    def noted(self) -> Holder:
        entry = members.entry(self.groups, self.profile)
        found = noted(self.leaf.cert_pem, self.issuer or None, entry, verified=bool(self.issuer))
        assert found is not None
        return found


def name(*parts: tuple[x509.ObjectIdentifier, str], together: bool = False) -> x509.Name:
    attributes = [x509.NameAttribute(kind, text) for kind, text in parts]
    return x509.Name([x509.RelativeDistinguishedName(attributes)] if together else attributes)


def raw(*names: tuple[int, bytes]) -> tuple[x509.ExtensionType, bool]:
    """Alternative names, octet by octet: 0x81 e-mail, 0x82 DNS, 0x86 URI."""
    value = strange.tlv(0x30, *(strange.tlv(tag, octets) for tag, octets in names))
    return x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, value), False


CN, OU, O = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741 (its name)
NAMES: Final = ("alice", "door-7", "a,b+c", "#1", " x ", '"q"', "a\\b", "<x>;y=z", "æøå", "日本", "ops,CN=admin", "*")
LISTED: Final = (
    ("DNS:a.test", "URI:spiffe://a.test/x", "email:ann@a.test"),
    ("DNS:x.a.test", "DNS:b.test", "URI:spiffe://a.test/x/y"),
    ("DNS:y.x.a.test", "email:Bob@B.Test", "URI:https://a.test/x"),
    ("DNS:*.a.test", "URI:spiffe://a.test/x", "URI:spiffe://b.test/x"),
    ("DNS:A.TEST", "email:ann+x@a.test", "IP:127.0.0.1"),
)
UNREADABLE: Final = (
    raw((0x82, b"a,b.test")),
    raw((0x86, b"spiffe://a.test;URI=spiffe://a.test/x")),
    raw((0x86, b'spiffe://a.test/"x')),
    raw((0x81, b"bob@b.test,ann@a.test")),
    raw((0x81, b"ann;x@a.test"), (0x82, b"b.test")),
    raw((0x82, "ä.test".encode()), (0x86, b"spiffe://a.test/x")),
    raw((0x82, b"\xff\xfe"), (0x82, b"a.test")),
    raw((0x82, b"x.test\na.test")),
    raw((0x82, b"a.test\x00.evil"), (0x86, b"x")),
)


def good_ones() -> list[Shown]:
    """Certificates that the handshake takes."""
    leaves: list[tuple[Authority, Leaf]] = []
    for place, text in enumerate(NAMES):
        signer = TRUSTED[place % 3]
        parts = [(OU, "Field"), (CN, text)] if place % 2 else [(CN, text), (OU, "Sales, EU"), (O, "CN=admin")]
        sans = LISTED[place % len(LISTED)] if place % 4 else ()
        leaves.append((signer, signer.client(subject=name(*parts, together=place % 5 == 4), sans=sans)))
    leaves += [
        (signer, signer.client(extensions=[extension])) for signer, extension in zip(TRUSTED * 3, UNREADABLE, strict=False)
    ]
    leaves.append((ISSUING, ISSUING.client(subject=x509.Name([]), sans=("DNS:a.test",))))
    leaves.append((RETIRED, RETIRED.client("left")))
    return [
        Shown(leaf, fingerprint(signer), GROUPS[place % len(GROUPS)], PROFILES[place % len(PROFILES)])
        for place, (signer, leaf) in enumerate(leaves)
    ]


def bad_ones() -> list[Shown]:
    """Certificates that only a rehearsal lets in."""
    return [
        Shown(STRANGER.client("alice", sans=LISTED[0])),
        Shown(self_signed_client("door-7", sans=LISTED[1])),
        Shown(ROOT.expired_client()),
        Shown(STRANGER.client(extensions=[UNREADABLE[0]])),
        Shown(OTHER.server_only_client("alice")),
    ]


GROUPS: Final = ((), ("field",), ("ops", "été"), ("field", "ops"))
PROFILES: Final = ("client", "device", "")
GOOD: Final = good_ones()
BAD: Final = bad_ones()
# Of whom the table of recent changes says something other than the long one.
MOVED: Final = {one.fingerprint: groups for one, groups in zip(GOOD[::3], ((), ("ops",), ("field",)) * 9, strict=False)}
CLEAN: Final = [one for one in GOOD if not one.noted.is_unclean]
UNCLEAN: Final = [one for one in GOOD if one.noted.is_unclean]
KNOWN: Final = [replace(one, groups=MOVED.get(one.fingerprint, one.groups)) for one in GOOD]
ROSTER: Final = Roster(
    Table({one.fingerprint: members.entry(one.groups, one.profile) for one in GOOD}),
    MappingProxyType({one.fingerprint: members.entry(one.groups, one.profile) for one in KNOWN if one.fingerprint in MOVED}),
)
DENIED: Final = frozenset({GOOD[3].fingerprint, GOOD[7].fingerprint, BAD[0].fingerprint, BAD[2].fingerprint})

HOSTS: Final = ("a.test", "A.Test", "a.test:8443", "a.test.", "a.test.:443", "b.test", "x.a.test", "y.x.a.test", "127.0.0.1")
SERVER_NAMES: Final = ("a.test", "a.test", "b.test", "x.a.test", "A.Test", "")
METHODS: Final = ("GET", "GET", "GET", "POST", "OPTIONS", "HEAD", "PUT", "PROPFIND")
PATHS: Final = (
    *("/", "/open", "/open/", "/open/x", "/Open/x", "/openly", "/open;v=1", "/open;v/x", "/admin", "/admin/x?y=/open"),
    *("/admin/../open", "/open/../admin", "/open/..;/admin", "/open/%2e%2e;/admin", "/open/..%3b/admin", "//open//x"),
    *("/%6fpen/x", "/op%65n", "/a!b", "/a%21b", "/A!bc", "/x%20y", "/x%20y/z", "/a%C3%A4", "/a%c3%a4", "/open\\x"),
    *("/open%2Fx", "/open%5Cx", "/open/%00", "/health", "/healthz?x", "/open?x#y", "/open/%%32%65%%32%65/x", "/open/.;/x"),
)
ORIGINS: Final[tuple[dict[str, str], ...]] = (
    *({}, {}, {"origin": "https://a.test"}),
    {"origin": "https://a.test", "access-control-request-method": "PUT"},
)
NETWORKS: Final = ("127.16.0.0/16", "127.17.0.5/32", "127.0.0.0/8", "10.0.0.0/8", "::/0")
ADDRESSES: Final = ("127.16.0.1", "127.16.1.1", "127.17.0.5", "127.17.0.6")
LONG: Final = timedelta(days=300)


def chosen(rng: Random, values: tuple[str, ...], most: int = 2) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rng.choice(values) for _ in range(rng.randrange(1, most + 1))))


def holders(rng: Random) -> Holders:
    """Any few things asked of a certificate, mostly such that some certificate has them."""
    some: dict[str, tuple[str, ...]] = {
        "groups": ("field", "ops", "été", "nobody"),
        "profiles": ("client", "device"),
        "authority_ids": ("root", "issuing", "other", "gone"),
        "fingerprints_sha256": tuple(one.fingerprint for one in GOOD),
        "serials": tuple(one.serial for one in GOOD),
        "subject_cn": (*(text for text in NAMES if "*" not in text), "a*", "*e", "*", "door-*", "*+c", "CN=*", "*CN=admin"),
        "subject_ou": ("Field", "Sales, EU", "Sales*", "*EU", "F"),
        "san_dns": ("a.test", "*.a.test", "**.a.test", "b.test"),
        "san_uri": ("spiffe://a.test/x", "spiffe://a.test/*", "*/x", "*", "https://a.test/*"),
        "san_email": ("ann@a.test", "*@a.test", "bob@b.test"),
        "spiffe_ids": ("spiffe://a.test/x", "spiffe://a.test/*"),
    }
    kinds = sorted(rng.sample(sorted(some), rng.choice((0, 0, 1, 1, 1, 2))))
    return Holders(**{kind: chosen(rng, some[kind], 4) for kind in kinds})


def rule(rng: Random, number: int, listener_id: str) -> AccessRule:
    """Any rule."""
    at = now()
    return AccessRule(
        id=f"r{number}",
        name=f"rule {number}",
        listener_id=listener_id,
        position=number + 1,
        action=rng.choice(("ALLOW", "ALLOW", "DENY")),
        certificate=holders(rng),
        hosts=chosen(rng, ("a.test", "*.a.test", "**.a.test", "b.test", "127.0.0.1")) if rng.random() < 0.3 else (),
        paths=chosen(rng, ("/open", "/open/*", "/open*", "/admin/*", "/", "/*", "/a!b", "/A!b*", "/x%20y/*", "/a%C3%A4"))
        if rng.random() < 0.5
        else (),
        methods=chosen(rng, ("GET", "POST", "OPTIONS", "M-SEARCH")) if rng.random() < 0.2 else (),
        sources=chosen(rng, NETWORKS) if rng.random() < 0.25 else (),
        not_before=rng.choice((None, None, None, None, at - LONG, at + LONG)),
        not_after=rng.choice((None, None, None, None, at + LONG, at - LONG)),
        shadow=rng.random() < 0.2,
    )


def exception(rng: Random, number: int, listener_id: str) -> AccessException:
    """Any exception."""
    kind: ExceptionKind = rng.choice(get_args(ExceptionKind))
    paths = chosen(rng, ("/open/*", "/health", "/a!b")) if kind == "PATHS" or rng.random() < 0.3 else ()
    return AccessException(
        id=f"e{number}",
        name=f"exception {number}",
        listener_id=listener_id,
        kind=kind,
        paths=paths,
        sources=chosen(rng, NETWORKS) if rng.random() < 0.3 else (),
        owner="ann",
        not_after=now() + rng.choice((LONG, LONG, LONG, -LONG)),
    )


def door(rng: Random, listener_id: str, port: int, mode: str) -> DesiredListener:
    """A listener in this mode, with any rules."""
    rules = tuple(rule(rng, number, listener_id) for number in range(rng.choice((0, 1, 2, 3, 5, 8, 12))))
    exceptions = tuple(exception(rng, number, listener_id) for number in range(rng.choice((0, 0, 1, 2))))
    trusted = tuple(map(fingerprint, TRUSTED if rng.random() < 0.5 else TRUSTED[:2]))
    certificates = "".join(one.cert_pem for one in TRUSTED)
    return listener(
        listener_id,
        trust=Trust(name=f"trust/{mode}", certificates=certificates, rehearsed=mode == "REHEARSAL") if mode != "NONE" else None,
        access=DesiredAccess(rules=rules, exceptions=exceptions, authorities=BELOW, trusted=trusted),
        client_authentication=mode,
        protocol_port=port,
        trust_revision=rng.choice((0, 7)),
        alpn_protocols=("h2", "http/1.1"),
    )


class Told:
    """Reads what an Envoy tells of requests."""

    def __init__(self, folder: Path) -> None:
        self._tail = Tail(folder)

    def of(self, listener: Listener, client: tuple[str, int], how_many: int) -> list[Record]:
        """What was told of the requests of one connection, in order; waits for so many."""
        # Its port too: other listeners had this id before, and clients may have had this port with them.
        wanted = listener.id, f"127.0.0.1:{listener.protocol_port}", client[0], str(client[1])

        def found() -> list[Record]:
            its = (
                one.record
                for one in self._tail.told("request")
                if (one.listener_id, *(one.record[name] for name in ("local", "client", "client_port"))) == wanted
            )
            return some if len(some := list(its)) >= how_many else []

        return eventually(found)


@dataclass
class Talk:
    """A connection that somebody opened, what was asked on it, and what was answered."""

    tls: ssl.SSLSocket
    desired: DesiredListener
    shown: Shown | None
    sni: str
    source: str
    trust_revision: int | None = None
    client: tuple[str, int] = ("", 0)
    asked: list[tuple[Request, int]] = field(default_factory=list)  # with the status
    _h2: Any = None

    def __post_init__(self) -> None:
        self.client = self.tls.getsockname()
        if self.tls.selected_alpn_protocol() == "h2":
            self._h2 = h2.connection.H2Connection(
                h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
            )
            self._h2.initiate_connection()

    @property
    def speaks_http2(self) -> bool:
        return self._h2 is not None

    def ask(self, request: Request) -> bool:
        """Send it; whether the connection is good for another."""
        status, goes_on = self._over_http2(request) if self._h2 else self._over_http1(request)
        self.asked.append((request, status))
        return goes_on

    def _over_http1(self, request: Request) -> tuple[int, bool]:
        lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {request.host}"]
        lines += [f"{key}: {value}" for key, value in request.headers.items()]
        self.tls.sendall("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        response = http.client.HTTPResponse(self.tls, method=request.method)
        try:
            response.begin()
            response.read()
        except http.client.BadStatusLine:
            return 0, False
        finally:
            response.close()
        return response.status, not response.will_close

    def _over_http2(self, request: Request) -> tuple[int, bool]:
        stream = self._h2.get_next_available_stream_id()
        pseudo = [(":method", request.method), (":scheme", "https"), (":authority", request.host), (":path", request.path)]
        self._h2.send_headers(stream, [*pseudo, *request.headers.items()], end_stream=True)
        status = 0
        while True:
            self.tls.sendall(self._h2.data_to_send())
            received = self.tls.recv(65_536)
            if not received:
                return status, False
            for event in self._h2.receive_data(received):
                match event:
                    case h2.events.ResponseReceived():
                        status = int({str(key): str(value) for key, value in event.headers}[":status"])
                    case h2.events.StreamEnded():
                        return status, True
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                        return status, False


class House:
    """The listeners of one configuration, on a real Envoy, and who talks to them."""

    def __init__(self, engine: Engine, told: Told, folder: Path) -> None:
        self.engine, self.told, self.folder = engine, told, folder
        self.doors: dict[str, DesiredListener] = {}
        self.wanted = Desired()
        self._files = count()
        self._contexts: dict[tuple[str, str], TLSClient] = {}

    def apply(self, *doors: DesiredListener) -> None:
        self.doors = {one.listener.id: one for one in doors}
        retired = frozenset({fingerprint(RETIRED)})
        self.wanted = Desired(revision=1, listeners=doors, denied=DENIED, retired=retired, roster=ROSTER)
        assert self.engine.apply(snapshot(self.wanted)) == {}
        self.engine.listens_on(*(one.listener.protocol_port for one in doors))

    def policy(self, desired: DesiredListener) -> Policy:
        return policy(self.doors[desired.listener.id], DENIED, frozenset({fingerprint(RETIRED)}))

    def visits(self, rng: Random, desired: DesiredListener) -> Iterator[Talk]:
        """Some connections, one after the other, each with some requests."""
        mode = desired.listener.client_authentication
        known = [*CLEAN, *CLEAN, *UNCLEAN, *(BAD if mode == "REHEARSAL" else ())]
        for number in range(CONNECTIONS):
            is_anybody = may_knock_without(desired) and number % 4 == 0
            talk = self.open(rng, desired, None if mode == "NONE" or is_anybody else rng.choice(known))
            for _ in range(REQUESTS):
                if not talk.ask(self.request(rng, talk)):
                    break
            talk.tls.close()
            yield talk

    def open(self, rng: Random, desired: DesiredListener, shown: Shown | None, sni: str | None = None) -> Talk:
        source, name = rng.choice(ADDRESSES), rng.choice(SERVER_NAMES) if sni is None else sni
        context = self._client(shown, rng.choice(("h2", "http/1.1"))).context()
        raw = socket.create_connection(("127.0.0.1", desired.listener.protocol_port), LIMIT, source_address=(source, 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = context.wrap_socket(raw, server_hostname=name or None)
        revision = desired.listener.trust_revision if desired.listener.client_authentication != "NONE" else None
        return Talk(tls, desired, shown, name.lower(), source, revision)

    def _client(self, shown: Shown | None, alpn: str) -> TLSClient:
        key = (shown.fingerprint if shown else "", alpn)
        if key not in self._contexts:
            client = TLSClient(0, alpn=(alpn,))
            if shown is not None:
                paths = shown.leaf.write(self.folder, str(next(self._files)))
                client = replace(client, cert=paths.chain, key=paths.key)
            self._contexts[key] = client
        return self._contexts[key]

    def request(self, rng: Random, talk: Talk) -> Request:
        """Anything that may be asked on this connection."""
        path = rng.choice(PATHS)
        host = talk.sni if talk.sni and rng.random() < 0.6 else rng.choice(HOSTS)
        return Request(
            host=host,
            at=now(),
            path=path,
            method="M-SEARCH" if talk.speaks_http2 and rng.random() < 0.1 else rng.choice(METHODS),
            source=talk.source,
            sni=talk.sni,
            holder=held(talk.shown),
            headers=dict(rng.choice(ORIGINS)),
            trust_revision=talk.trust_revision,
        )

    def judged(self, talk: Talk) -> Iterator[tuple[Request, str, str]]:
        """Of each request on it: what Envoy made of it, and what we say."""
        its = self.policy(talk.desired)
        told = self.told.of(talk.desired.listener, talk.client, len(talk.asked))
        assert len(told) == len(talk.asked)
        for (request, status), record in zip(talk.asked, told, strict=True):
            yield request, engine_says(record, status), we_say(its, replace(request, at=now()))

    def explained(self, talk: Talk, request: Request) -> Explanation:
        """The whole answer, handshake and all."""
        known = Known(
            self.wanted,
            talk.desired,
            talk.shown.leaf.chain_pem if talk.shown is not None else None,
            request.holder.entry if request.holder is not None else ",",
        )
        asked = ExplainRequest(
            listener_id=talk.desired.listener.id,
            host=request.host,
            path=request.path,
            method=request.method,
            source=request.source,
            sni=request.sni,
            headers=request.headers,
        )
        return answer(known, asked, now())


def held(shown: Shown | None) -> Holder | None:
    return replace(next((one for one in KNOWN if one.fingerprint == shown.fingerprint), shown).noted) if shown else None


def engine_says(record: Record, status: int) -> str:
    """Decision, code and rule, then those of the rehearsal."""
    refusal = record.get("details", "").partition("rbac_access_denied_matched_policy[")[2].removesuffix("]")
    if status in {400, 0} and not refusal:
        return "400"
    assert status in ({403, 421} if refusal else {503}), (status, record)
    rehearsed = [one for one in record.get("rehearsed", "").split("|") if one not in {"", "-"}]
    return f"{refusal or 'served'} {rehearsed[0] if rehearsed else '-'}"


def we_say(its: Policy, request: Request) -> str:
    path = plain(request.path)
    if path is None:
        return "400"
    asked = replace(request, path=path)
    verdict, rehearsed = judge(its, asked), judge(its, asked, rehearsed=True)
    decided_before = any(one.held for one in verdict.outcomes if one.about in BEFORE)
    would_be = rehearsed.decision.name if its.rehearsed and not decided_before else "-"
    return f"{'served' if verdict.decision.allowed else verdict.decision.name} {would_be}"


def as_engine_says(found: Explanation, talk: Talk) -> str:
    """An explanation as `engine_says` puts it. Of who would be refused at the handshake the engine knows no more than that."""
    if found.path is None:
        assert (found.decision, found.reason) == ("DENY", "malformed")
        return "400"
    return f"{_named(found) if found.decision == 'DENY' else 'served'} {_would_be(found, talk)}"


def _would_be(found: Explanation, talk: Talk) -> str:
    if found.would_be is None or any(one.name in BEFORE and one.result == "failed" for one in found.checks):
        return "-"
    if found.would_be.stage == "handshake" and talk.shown is not None:
        assert talk.shown in BAD
        return words.UNVERIFIED
    return _named(found.would_be)


def _named(judged: Judged) -> str:
    rule = judged.access_rule_id or judged.access_exception_id
    return f"{judged.reason}:{rule}" if rule else judged.reason


BEFORE: Final = (
    "neither revoked nor on hold",
    "names read in one way only",
    "not expired",
    "the host of this connection",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("envoy")
    told = Told(folder)
    with Engine(folder) as engine:
        yield House(engine, told, folder)


MODES: Final = ("OPTIONAL", "MANDATORY", "REHEARSAL", "OPTIONAL", "MANDATORY", "REHEARSAL", "NONE")
# All that a request can be refused for, but for the certificate's time: that has a test of its own.
CODES: Final = {*words.REQUEST_CODES, "no_certificate", words.UNVERIFIED, words.ALLOWED, words.EXEMPT} - {"expired"}


def test_real_envoy_and_we_agree_on_every_request(house: House) -> None:
    rng = strange.seeded(SEED)
    doors = [door(rng, f"l{number}", free_port(), MODES[number % len(MODES)]) for number in range(LISTENERS)]
    house.apply(*doors)
    talks = [talk for desired in doors for talk in house.visits(rng, desired)]
    compared = [(talk, *one) for talk in talks for one in house.judged(talk)]
    assert [one for one in compared if one[2] != one[3]] == []
    for talk, request, theirs, _ in compared:
        ours = as_engine_says(house.explained(talk, request), talk)
        # Of such a certificate the engine's own checks may be told in a rehearsal; a handshake would not come so far.
        is_bad = talk.shown in BAD and theirs.split()[-1] in {"revoked", "misdirected", "expired", "exempt"}
        assert ours == (f"served {words.UNVERIFIED}" if is_bad else theirs), (talk, request)
    assert len(compared) > LISTENERS * CONNECTIONS * REQUESTS * 0.7
    seen = " ".join(theirs for _, _, theirs, _ in compared)
    assert [code for code in sorted(CODES) if code not in seen] == []


def test_connections_that_were_opened_before_are_judged_by_what_holds_now(house: House) -> None:
    rng = strange.seeded(SEED + 1)
    ports = [free_port() for _ in range(LISTENERS)]
    before = [door(rng, f"b{number}", port, MODES[number % len(MODES)]) for number, port in enumerate(ports)]
    before = [trusting(desired, at=5) for desired in before]
    house.apply(*before)
    # Whoever has an unclean name is refused by the chain that the connection was opened with, not by what holds now.
    talks = [
        house.open(rng, desired, shown if desired.listener.client_authentication != "NONE" else None)
        for desired in before
        for shown in (
            *rng.sample(CLEAN, 4),
            *(rng.sample(BAD[:3], 2) if desired.listener.client_authentication == "REHEARSAL" else ()),
        )
    ]
    after = [door(rng, f"b{number}", port, rng.choice(MODES[:2])) for number, port in enumerate(ports)]
    house.apply(*(trusting(desired, at=rng.choice((5, 7))) for desired in after))
    for talk in talks:
        talk.ask(house.request(rng, talk))
        talk.tls.close()
    compared = [(talk, *one) for talk in talks for one in house.judged(talk)]
    assert [one for one in compared if one[2].split()[0] != one[3].split()[0]] == []
    seen = " ".join(theirs for _, _, theirs, _ in compared)
    assert [code for code in ("authority_removed", "certificate_required", "revoked", "served") if code not in seen] == []


def trusting(desired: DesiredListener, *, at: int) -> DesiredListener:
    """The same, whose trust was last changed at this revision."""
    listener = desired.listener.model_copy(update={"trust_revision": at})
    return desired.model_copy(update={"listener": listener})


def test_a_certificate_that_expires_is_refused_on_its_open_connection(house: House) -> None:
    rng = strange.seeded(SEED)
    desired = listener("brief", trust=Trust(name="trust", certificates=ROOT.cert_pem), client_authentication="MANDATORY")
    desired = with_port(desired, free_port())
    house.apply(desired)
    brief = Shown(ROOT.client("brief", not_after=now() + timedelta(seconds=5)), fingerprint(ROOT))
    talk = house.open(rng, desired, brief, sni="a.test")
    asked = Request(host="a.test", at=now(), sni="a.test", holder=held(brief), source=talk.source)
    talk.ask(asked)
    (first,) = house.judged(talk)
    assert first[1:] == ("served -", "served -")
    # The engine asks the kernel's coarse clock (time(2)), which is some milliseconds late.
    eventually(lambda: now() > brief.noted.not_after + timedelta(seconds=0.1))
    talk.ask(asked)
    talk.tls.close()
    assert [theirs for _, theirs, _ in house.judged(talk)][1:] == ["expired -"]
    assert judge(house.policy(desired), replace(asked, at=now())).decision.name == "expired"


def test_a_rule_finds_a_serial_number_however_many_digits_it_has(house: House) -> None:
    rng = strange.seeded(SEED)
    odd = next(leaf for leaf in (ROOT.client("odd") for _ in count()) if len(f"{leaf.certificate.serial_number:x}") % 2)
    shown = Shown(odd, fingerprint(ROOT))
    its = AccessRule(
        id="r0", name="odd", listener_id="odd", position=1, certificate=Holders(serials=(f"{odd.certificate.serial_number:X}",))
    )
    desired = with_port(
        listener(
            "odd",
            trust=Trust(name="trust", certificates=ROOT.cert_pem),
            access=DesiredAccess(rules=(its,)),
            client_authentication="MANDATORY",
        ),
        free_port(),
    )
    house.apply(desired)
    talk = house.open(rng, desired, shown, sni="a.test")
    talk.ask(Request(host="a.test", at=now(), sni="a.test", holder=held(shown), source=talk.source))
    talk.tls.close()
    assert [one[1:] for one in house.judged(talk)] == [("served -", "served -")]


@pytest.mark.parametrize("path", ["/open/%2e%2e;/admin", "/open/%2E.;x/admin", "/open/..%3b/admin", "/open/b\\..;/admin"])
def test_a_path_that_members_would_resolve_further_slips_past_no_rule(house: House, path: str) -> None:
    """Of `/open/%2e%2e;/admin` the engine makes `/open/..;/admin`, and Tomcat `/admin`."""
    rng = strange.seeded(SEED)
    access = DesiredAccess(
        rules=(AccessRule(id="r0", name="open", listener_id="open", position=1, paths=("/open/*",)),),
        exceptions=(
            AccessException(
                id="e0", name="open", listener_id="open", kind="PATHS", paths=("/open/*",), owner="ann", not_after=now() + LONG
            ),
        ),
    )
    trust = Trust(name="trust", certificates=ROOT.cert_pem)
    desired = with_port(listener("open", trust=trust, access=access, client_authentication="MANDATORY"), free_port())
    house.apply(desired)
    for shown in (next(one for one in CLEAN if one.issuer == fingerprint(ROOT)), None):
        talk = house.open(rng, desired, shown, sni="a.test")
        for asked in ("/open/x", path):
            talk.ask(Request(host="a.test", at=now(), path=asked, sni="a.test", holder=held(shown), source=talk.source))
        talk.tls.close()
        assert [one[1:] for one in house.judged(talk)] == [("served -", "served -"), ("malformed -", "malformed -")]


def with_port(desired: DesiredListener, port: int) -> DesiredListener:
    return desired.model_copy(update={"listener": desired.listener.model_copy(update={"protocol_port": port})})
