"""What an attacker tries: each row of the attack table in FACTS.md, and every way around a rule that we could think of.

Whoever is refused here is let in once the reason is gone, or somebody else with the same request is: so none of these tests
passes because nothing works. docs/decisions/0018-no-way-around.md tells what was found.
"""

import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from ostiary.access import members
from ostiary.clock import now
from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Invalid
from ostiary.model.access import AccessException, AccessRule, Action, Holders
from ostiary.model.desired import Desired, DesiredAccess, DesiredListener
from ostiary.model.roster import Roster, Table
from ostiary.model.tls import Trust
from ostiary.pki.names import fingerprint_sha256
from support import attacker, strange
from support.backend import Backend
from support.certs import CLIENT_AUTH, Authority, Leaf, Paths, new_key
from support.desired import listener, member, pool
from support.ports import free_port
from support.raw_http import Pairs, exchanged
from support.tiny_ads import Engine
from support.tls_clients import LIMIT, Answer, Refused, TLSClient, Version, s_client
from support.wait import eventually

pytestmark = pytest.mark.live

ROOT, OTHER = Authority.root("Root"), Authority.root("Other root")
ISSUING: Final = ROOT.intermediate("Issuing")
NAMESAKE: Final = OTHER.intermediate("Issuing")  # the same name, another key, under another root that is trusted too
TRUSTED: Final = (ROOT, ISSUING, OTHER)


def fingerprint(one: Authority | Leaf) -> str:
    return fingerprint_sha256(one.certificate)


ALICE, BOB = ISSUING.client("alice", sans=("URI:spiffe://a/alice",)), ISSUING.client("bob")
OPS: Final = members.entry(("ops",), "")


def rule(door: str, place: int, action: Action, **fields: Any) -> AccessRule:
    return AccessRule(id=f"{door}-{place}", listener_id=door, name=f"{door} {place}", position=place, action=action, **fields)


def rules(door: str, *wanted: tuple[Action, dict[str, Any]]) -> DesiredAccess:
    return DesiredAccess(
        rules=tuple(rule(door, place, action, **fields) for place, (action, fields) in enumerate(wanted, 1)),
        authorities={"issuing": (fingerprint(ISSUING),)},
        trusted=tuple(map(fingerprint, TRUSTED)),
    )


def holders(**fields: Any) -> dict[str, Any]:
    return {"certificate": Holders(**fields)}


def exempt(door: str, *paths: str) -> DesiredAccess:
    exception = AccessException(
        id="e", listener_id=door, name="public", kind="PATHS", paths=paths, owner="ann", not_after=now() + timedelta(days=1)
    )
    return DesiredAccess(exceptions=(exception,))


ANYBODY: Final[tuple[Action, dict[str, Any]]] = ("ALLOW", {})
ACCESS: Final = {
    "plain": DesiredAccess(),
    "two trusts": DesiredAccess(),
    "denies a path": rules("denies a path", ("DENY", {"paths": ("/admin/*",)}), ("DENY", {"paths": ("/a/b",)}), ANYBODY),
    "allows a path": rules("allows a path", ("ALLOW", {"paths": ("/public/*",)})),
    "denies a host": rules("denies a host", ("DENY", {"hosts": ("evil.test",)}), ANYBODY),
    "allows a host": rules("allows a host", ("ALLOW", {"hosts": ("a.test",)})),
    "denies a method": rules("denies a method", ("DENY", {"methods": ("DELETE",)}), ANYBODY),
    "excepts a path": exempt("excepts a path", "/public/*"),
    "common name": rules("common name", ("ALLOW", holders(subject_cn=("admin",)))),
    "unit": rules("unit", ("ALLOW", holders(subject_ou=("ops",)))),
    "dns": rules("dns", ("ALLOW", holders(san_dns=("admin.test", "*.ops.test")))),
    "uri": rules("uri", ("ALLOW", holders(san_uri=("spiffe://a/admin",)))),
    "spiffe": rules("spiffe", ("ALLOW", holders(spiffe_ids=("spiffe://a/admin",)))),
    "email": rules("email", ("ALLOW", holders(san_email=("*@ops.test",)))),
    "denies a uri": rules("denies a uri", ("DENY", holders(san_uri=("spiffe://a/denied",))), ANYBODY),
    "authority": rules("authority", ("ALLOW", holders(authority_ids=("issuing",)))),
    "group": rules("group", ("ALLOW", holders(groups=("ops",)))),
}
MODES: Final = ("NONE", "OPTIONAL", "MANDATORY", "REHEARSAL")
PORTS: Final = {door: free_port() for door in (*ACCESS, *MODES)}


def trust(mode: str = "MANDATORY") -> Trust:
    made = Trust(name="trust/clients", certificates="".join(one.cert_pem for one in TRUSTED))
    return made.model_copy(update={"name": "trust/rehearsed", "rehearsed": True}) if mode == "REHEARSAL" else made


def door(called: str, mode: str = "MANDATORY", **fields: Any) -> DesiredListener:
    settings: dict[str, Any] = {
        "trust": None if mode == "NONE" else trust(mode),
        "access": ACCESS.get(called, DesiredAccess()),
        "client_authentication": mode,
        "protocol_port": PORTS[called],
        "default_pool_id": "p1",
    }
    return listener(called, **(settings | fields))


@dataclass(frozen=True)
class House:
    """An Envoy with all these doors, and who stands behind them."""

    engine: Engine
    backend: Backend
    folder: Path

    def shown(self, leaf: Leaf, chain: str | None = None) -> Paths:
        paths = leaf.write(self.folder / fingerprint(leaf)[:12])
        if chain is not None:
            paths.chain.write_text(chain)
        return paths

    def http1(self, called: str, request: bytes, leaf: Leaf | None = ALICE, sni: str | None = "a.test") -> Answer:
        with attacker.opened(PORTS[called], self.shown(leaf) if leaf else None, sni=sni) as tls:
            return exchanged(tls, request)

    def http2(self, called: str, *requests: Pairs, leaf: Leaf | None = ALICE, sni: str | None = "a.test") -> list[Answer]:
        with attacker.opened(PORTS[called], self.shown(leaf) if leaf else None, sni=sni, alpn="h2") as tls:
            return attacker.http2(tls, *requests)

    def knock(self, called: str, leaf: Leaf | None, chain: str | None = None) -> int | str:
        """The status, or the alert of a refused handshake."""
        shown = self.shown(leaf, chain) if leaf else None
        client = TLSClient(
            PORTS[called], cert=shown.chain if shown else None, key=shown.key if shown else None, server_name="a.test"
        )
        try:
            return client.get("/").status
        except Refused as refused:
            return refused.reason


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, inside: Backend) -> Iterator[House]:
    with Engine(tmp_path_factory.mktemp("envoy")) as engine:
        doors = (*(door(called) for called in ACCESS), *(door(mode, mode) for mode in MODES))
        roster = Roster(settled=Table({fingerprint(ALICE): OPS}))
        wanted = Desired(listeners=doors, pools=(pool("p1", member("m1", inside.port)),), roster=roster)
        assert engine.apply(snapshot(wanted)) == {}
        engine.listens_on(*PORTS.values())
        yield House(engine, inside, tmp_path_factory.mktemp("shown"))


def get(path: str = "/", host: str = "a.test", *more: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", f"Host: {host}", *more, "", "")).encode("latin-1")


def stream(path: str = "/", authority: str = "a.test", method: str = "GET", *more: tuple[str, str]) -> Pairs:
    return [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path), *more]


# Another host than the connection was opened for.


HOSTS_THAT_ARE_THE_SAME: Final = ("a.test", "A.TEST", "a.test:443", "a.test.", "a.test.:8443", "A.tEsT:1", "a.test:")
HOSTS_THAT_ARE_OTHERS: Final = (
    "b.test",
    "",
    "a.test.evil.test",
    "xa.test",
    "a.test:443@b.test",
    "a.test@b.test",
    "a.test:b.test",
    "a.test:443,b.test",
    "a.test..",
    "[::1]",
    "127.0.0.1",
)


@pytest.mark.parametrize("called", ["plain", "OPTIONAL", "denies a path", "excepts a path"])
@pytest.mark.parametrize("host", HOSTS_THAT_ARE_OTHERS)
def test_a_connection_opened_for_one_host_serves_no_other(house: House, called: str, host: str) -> None:
    """Domain fronting: Contour #5240, Gateway API GEP-3567."""
    path, before = "/public/x", len(house.backend.asked)
    one, two = house.http1(called, get(path, host)), house.http2(called, stream(path, host))[0]
    assert one.status in {421, 400}
    assert two.status in {421, 400, 0}
    assert len(house.backend.asked) == before
    if one.status == 421:
        assert house.http1(called, get(path, host), sni=None).status == 200


@pytest.mark.parametrize("host", HOSTS_THAT_ARE_THE_SAME)
def test_a_host_is_itself_with_a_port_a_dot_and_in_any_case(house: House, host: str) -> None:
    assert house.http1("plain", get("/", host)).status == 200
    assert house.http2("plain", stream("/", host))[0].status == 200


def test_a_host_that_is_no_text_is_nobodys(house: House) -> None:
    for host in (b"a.test\xff", b"\xffa.test", b"b.test\xc3\x28", b"a.te\xc3\x9ft"):
        for sni in ("a.test", None):
            assert house.http1("denies a host", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", sni=sni).status in {
                400,
                403,
                421,
            }


def test_one_connection_of_http2_is_not_shared_among_hosts(house: House) -> None:
    """Coalescing: each request is looked at, not only the first."""
    answers = house.http2(
        "plain", stream(), stream(authority="b.test"), stream(authority="A.test:443"), stream(authority="c.test")
    )
    assert [one.status for one in answers] == [200, 421, 200, 421]


def test_two_hosts_are_no_host(house: House, inside: Backend) -> None:
    before = len(inside.asked)
    for first, second in (
        ("a.test", "b.test"),
        ("b.test", "a.test"),
        ("a.test:80", "b.test"),
        ("a.test", "a.test"),
        ("", "b.test"),
    ):
        twice = f"GET / HTTP/1.1\r\nHost: {first}\r\nHost: {second}\r\n\r\n".encode()
        assert house.http1("plain", twice).status in {400, 421}
        assert house.http1("denies a host", twice.replace(b"b.test", b"evil.test"), sni=None).status in {400, 403}
    assert len(inside.asked) == before
    nothing = house.http1("plain", b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: \r\n\r\n")
    assert nothing.status in {400, 421} or nothing.json()["headers"]["host"] == ["a.test"]


def test_the_target_of_a_request_is_believed_and_not_its_host_beside_it(house: House) -> None:
    """Absolute form (RFC 9112 3.2.2)."""
    assert house.http1("plain", get("https://b.test/", "a.test")).status == 421
    assert house.http1("plain", get("http://a.test@b.test/", "a.test")).status in {400, 421}
    answer = house.http1("plain", get("https://a.test/x", "b.test"))
    assert (answer.status, answer.json()["headers"]["host"], answer.json()["path"]) == (200, ["a.test"], "/x")
    assert house.http1("denies a path", get("https://a.test/admin/x", "a.test")).status == 403
    assert house.http1("denies a host", get("https://evil.test/", "a.test"), sni=None).status == 403


def test_the_authority_of_http2_is_believed_and_not_its_host_beside_it(house: House) -> None:
    (answer,) = house.http2("plain", stream("/", "a.test", "GET", ("host", "b.test")))
    assert answer.status in {0, 400} or answer.json()["headers"]["host"] == ["a.test"]
    only_host = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "b.test")]
    assert house.http2("plain", only_host)[0].status in {0, 400, 421}
    twice = [*stream(), (":authority", "b.test")]
    assert house.http2("plain", twice)[0].status in {0, 400, 421}


HOSTS_THAT_ARE_DENIED: Final = (
    "evil.test",
    "EVIL.Test",
    "evil.test.",
    "evil.test:443",
    "evil.test:",
    "evil.test.:",
    "x@evil.test",
    "a.test:1@evil.test",
    "evil.test,a.test",
    "evil.test..",
    "%65vil.test",
    "evil.test/",
    "",
)


@pytest.mark.parametrize("host", HOSTS_THAT_ARE_DENIED)
def test_a_host_that_is_denied_is_so_however_it_is_written(house: House, host: str) -> None:
    before = len(house.backend.asked)
    assert house.http1("denies a host", get("/", host), sni=None).status in {400, 403}
    assert house.http2("denies a host", stream("/", host), sni=None)[0].status in {0, 400, 403}
    assert len(house.backend.asked) == before
    assert house.http1("denies a host", get("/", "a.test"), sni=None).status == 200
    assert house.http1("allows a host", get("/", host), sni=None).status in {400, 403}


# The name in the handshake.


CUTS: Final[dict[str, Callable[[bytes], list[bytes]]]] = {
    "one octet a segment": attacker.segments(1),
    "segments": attacker.segments(60),
    "records": attacker.records(50),
    "records of an octet": attacker.records(1),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_client_hello_in_pieces_changes_nothing(house: House, cut: Callable[[bytes], list[bytes]]) -> None:
    """CVE-2026-32305 (Traefik): a fragmented ClientHello lost its name, and got the settings of nobody."""

    def status(leaf: Leaf | None, request: bytes) -> int | None:
        try:
            answer = attacker.in_pieces(PORTS["plain"], house.shown(leaf) if leaf else None, cut, request)
        except (ssl.SSLError, ConnectionError):
            return None  # refused in the handshake
        return int(answer.split()[1])

    assert status(None, get()) is None
    assert status(ROOT.expired_client(), get()) is None
    assert status(ALICE, get("/", "b.test")) in {None, 421}
    assert status(ALICE, get()) in {None, 200}


@pytest.mark.parametrize("called", ["plain", "common name", "excepts a path"])
def test_a_client_hello_without_a_name_has_no_more_rights(house: House, called: str) -> None:
    leaf = ISSUING.client("admin")
    before = len(house.backend.asked)
    try:
        assert house.http1(called, get("/admin"), None, sni=None).status == (403 if called == "excepts a path" else 0)
    except ssl.SSLError:
        assert called != "excepts a path"
    assert len(house.backend.asked) == before
    assert house.http1(called, get("/admin"), leaf, sni=None).status == 200
    assert house.http1(called, get("/admin"), leaf, sni="unknown.test").status == 421


# Paths and methods.


DENIED_PATHS: Final = (
    "/admin/x",
    "/admin",
    "/ADMIN/x",
    "/Admin/X",
    "//admin/x",
    "/./admin/x",
    "/x/../admin/x",
    "/%61dmin/x",
    "/%2e/admin/x",
    "/x/%2e%2e/admin/x",
    "/x/.%2e/admin/x",
    "/admin%2fx",
    "/admin%2Fx",
    "/admin%5cx",
    "\\admin\\x",
    "/x\\..\\admin\\x",
    "/admin;x=1/x",
    "/admin;/x",
    "/;x=1/admin/x",
    "/;/admin/x",
    "/%3Bx/admin/x",
    "/x/..;/admin/x",
    "/x/..;a=b/admin/x",
    "/x/%2e%2e;/admin/x",
    "/x/..%3b/admin/x",
    "/admin/",
    "/admin//",
    "/admin.",
    "/admin%20",
    "/admin./x",
    "/%2561dmin/x",
    "/x/%252e%252e/admin/x",
    "/x%252f..%252fadmin/x",
    "/%c1%a1dmin/x",
    "/x/..%c0%af/admin/x",
    "/x/%c0%ae%c0%ae/admin/x",
    "/%e0%81%a1dmin/x",
    "/%u0061dmin/x",
    "/%zadmin/x",
    "/admin%00/x",
    "/admin%00",
    "/x/..%00/admin/x",
    "/x/..%09/admin/x",
    "/\xe4/../admin/x",
    "/admin/x?/../y",
    "/admin/x#/../../y",
    "/x#/../admin/x",
    "/a/b",
    "/a/;x/b",
    "/a;x/b",
    "/a;x/;y/b;z",
    "/a//b/",
    "/A/%62",
    "/a/./b;",
)


@pytest.mark.parametrize("path", DENIED_PATHS)
def test_a_path_that_is_denied_is_so_however_it_is_written(house: House, path: str) -> None:
    before = len(house.backend.asked)
    assert house.http1("denies a path", get(path)).status in {400, 403, 404}
    assert house.http2("denies a path", stream(path))[0].status in {0, 400, 403, 404}
    assert len(house.backend.asked) == before


@pytest.mark.parametrize(
    "path", ["/", "/x", "/administration", "/x/admin", "/a", "/a/bc", "/x?/admin/x", "/caf%C3%A9", "/100%25", "/.x"]
)
def test_a_path_that_is_not_denied_is_served(house: House, path: str) -> None:
    assert house.http1("denies a path", get(path)).status == 200
    assert house.http2("denies a path", stream(path))[0].status == 200


NOT_ALLOWED_PATHS: Final = (
    "/admin",
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/..;/admin",
    "/public/%2e%2e;/admin",
    "/public/..%3b/admin",
    "/public/..%2fadmin",
    "/public/..%5cadmin",
    "/public\\..\\admin",
    "/public/%252e%252e/admin",
    "/public/..%252fadmin",
    "/public/..%c0%afadmin",
    "/public/%c0%ae%c0%ae/admin",
    "/public/..%00/admin",
    "/public/..%20/admin",
    "/public/%u002e%u002e/admin",
    "/public%00",
    "/PUBLIC/x",
    "/publicx",
    "/public;x",
    "/;x/public/x",
    "/admin?/public/",
    "/admin#/public/",
    "*",
    "public/x",
    "",
)


@pytest.mark.parametrize("called", ["allows a path", "excepts a path"])
@pytest.mark.parametrize("path", NOT_ALLOWED_PATHS)
def test_what_is_allowed_leads_nowhere_else(house: House, called: str, path: str) -> None:
    leaf = None if called == "excepts a path" else ALICE
    before = len(house.backend.asked)
    assert house.http1(called, get(path), leaf).status in {400, 403, 404}
    assert house.http2(called, stream(path), leaf=leaf)[0].status in {0, 400, 403, 404}
    assert len(house.backend.asked) == before
    assert house.http1(called, get("/public/x?/../"), leaf).status == 200
    assert house.http1(called, get("//public/./y/../x"), leaf).json()["path"] == "/public/x"


@pytest.mark.parametrize("method", ["DELETE", "delete", "Delete"])
def test_a_method_that_is_denied_is_so_in_any_case(house: House, method: str) -> None:
    before = len(house.backend.asked)
    assert house.http1("denies a method", get().replace(b"GET", method.encode())).status in {400, 403}
    assert house.http2("denies a method", stream(method=method))[0].status in {0, 400, 403}
    assert len(house.backend.asked) == before
    assert house.http1("denies a method", get()).status == 200


@pytest.mark.parametrize("called", ["plain", "allows a path", "excepts a path"])
def test_requests_that_are_for_no_path_reach_nobody(house: House, called: str) -> None:
    before = len(house.backend.asked)
    for line in (b"OPTIONS *", b"CONNECT a.test:443", b"CONNECT a.test", b"GET *", b"CONNECT /public/x"):
        assert house.http1(called, line + b" HTTP/1.1\r\nHost: a.test\r\n\r\n").status in {400, 403, 404, 421}
    assert house.http1(called, b"GET / HTTP/1.0\r\n\r\n").status in {400, 426}
    assert house.http1(called, b"GET / HTTP/1.1\r\n\r\n").status in {400, 421}
    assert house.http2(called, [(":method", "CONNECT"), (":authority", "a.test")])[0].status in {0, 400, 403, 404}
    assert house.http2(called, stream("/public/x", "a.test", "CONNECT", (":protocol", "websocket")))[0].status in {
        0,
        400,
        403,
        404,
    }
    assert len(house.backend.asked) == before


def test_websockets_over_http2_are_not_offered(house: House) -> None:
    with attacker.opened(PORTS["plain"], house.shown(ALICE), alpn="h2") as tls:
        assert not attacker.allows_extended_connect(tls)


def test_an_upgrade_is_judged_as_any_request(house: House) -> None:
    asking = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    assert house.http1("denies a path", get("/admin/ws", "a.test", *asking)).status == 403
    assert house.http1("plain", get("/ws", "b.test", *asking)).status == 421
    with attacker.opened(PORTS["denies a path"], house.shown(ALICE)) as tls:
        tls.sendall(get("/ws", "a.test", *asking))
        assert b" 101 " in tls.recv(65_536)
    assert house.http1(
        "denies a path", get("/admin/x", "a.test", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings")
    ).status in {400, 403}


OTHER_READINGS: Final = (
    *("X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-URI", "X-Forwarded-Path", "X-Forwarded-Prefix"),
    *("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"),
    *("Forwarded", "X-Forwarded-Host", "X-Host", "X-Original-Host"),
)


@pytest.mark.parametrize("header", OTHER_READINGS)
def test_no_member_hears_of_another_request_than_was_judged(house: House, header: str) -> None:
    for called, leaf in (("denies a path", ALICE), ("excepts a path", None)):
        answers = (
            house.http1(called, get("/public/x", "a.test", f"{header}: /admin/x", "X-Other: kept"), leaf),
            house.http2(called, stream("/public/x", "a.test", "GET", (header.lower(), "/admin"), ("x-other", "kept")), leaf=leaf)[
                0
            ],
        )
        for answer in answers:
            assert header.lower() not in answer.json()["headers"]
            assert answer.json()["headers"]["x-other"] == ["kept"]


# Who says what about a client.


FORGED: Final = (
    "X-SSL-Client-DN",
    "X-SSL-Client-CN",
    "X-Forwarded-Client-Cert",
    "Client-Cert",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Client-DN",
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("header", FORGED)
def test_identity_headers_of_a_client_are_believed_nowhere(house: House, mode: str, header: str) -> None:
    """CVE-2026-46579 (OpenShift router): X-SSL-* of clients were trusted."""
    for leaf in (ALICE, None):
        if mode == "MANDATORY" and leaf is None:
            continue
        for answer in (
            house.http1(mode, get("/", "a.test", f"{header}: CN=admin"), leaf),
            house.http2(mode, stream("/", "a.test", "GET", (header.lower(), "CN=admin")), leaf=leaf)[0],
        ):
            assert answer.status == 200
            assert "admin" not in json.dumps(answer.json()["headers"])


@pytest.mark.parametrize("called", ["group", "common name", "authority"])
def test_no_header_tells_a_rule_who_somebody_is(house: House, called: str) -> None:
    leaf = OTHER.client("nobody")
    keys = ("ostiary.fingerprint", "ostiary.subject", "ostiary_members_shadow_effective_policy_id", "envoy.filters.http.rbac")
    forged = [(key, value) for key in keys for value in (fingerprint(ALICE), "CN=admin", OPS)]
    assert (
        house.http1(called, get("/", "a.test", *(f"{key}: {value}" for key, value in forged if "_" not in key)), leaf).status
        == 403
    )
    assert (
        house.http2(called, stream("/", "a.test", "GET", *((k.replace("_", "-"), v) for k, v in forged)), leaf=leaf)[0].status
        == 403
    )
    member_of_all = {"group": ALICE, "common name": OTHER.client("admin"), "authority": BOB}[called]
    assert house.http1(called, get(), member_of_all).status == 200


# What a certificate says. Somebody's authority approved these names, which need not have had our rules in mind.


CN, OU, O = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741 (its name)


def subject(*parts: tuple[x509.ObjectIdentifier, str], together: bool = False) -> Leaf:
    attributes = [x509.NameAttribute(kind, text) for kind, text in parts]
    return ISSUING.client(subject=x509.Name([x509.RelativeDistinguishedName(attributes)] if together else attributes))


def named(*names: tuple[int, bytes]) -> Leaf:
    """A certificate with alternative names octet by octet: 0xA0 other, 0x81 e-mail, 0x82 DNS, 0x86 URI."""
    value = strange.tlv(0x30, *(strange.tlv(tag, octets) for tag, octets in names))
    return ISSUING.client("x", extensions=[(x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, value), False)])


OTHER_NAME: Final = strange.oid("1.3.6.1.4.1.311.20.2.3") + strange.tlv(0xA0, strange.text(0x0C, "spiffe://a/admin\0admin.test"))

IMPOSTORS: Final[dict[str, tuple[str, Leaf]]] = {
    "a common name in an organization": ("common name", subject((O, "x,CN=admin"), (CN, "y"))),
    "behind an escaped comma": ("common name", subject((O, "x\\,CN=admin"), (CN, "y"))),
    "behind two backslashes": ("common name", subject((O, "x\\\\,CN=admin"), (CN, "y"))),
    "in a unit": ("common name", subject((OU, "CN=admin"), (CN, "y"))),
    "behind a plus": ("common name", subject((O, "x+CN=admin"), (CN, "y"))),
    "in quotes": ("common name", subject((O, '"x",CN=admin'), (CN, "y"))),
    "behind an end of line": ("common name", subject((O, "x\nCN=admin"), (CN, "y"))),
    "with a NUL": ("common name", subject((CN, "admin\0.x"))),
    "with a blank": ("common name", subject((CN, "admin "))),
    "with another letter": ("common name", subject((CN, "\u0430dmin"))),
    "in another case": ("common name", subject((CN, "Admin"))),
    "with more after it": ("common name", subject((CN, "admin,OU=x"))),
    "in wide letters": ("common name", subject((CN, "\uff41dmin"))),
    "a unit in a common name": ("unit", subject((CN, "x,OU=ops"))),
    "a unit with more": ("unit", subject((OU, "ops+CN=x"), (CN, "x"))),
    "a unit of several parts": ("unit", subject((CN, "OU=ops"), (O, "OU=ops"), together=True)),
    "a DNS name with a comma": ("dns", named((0x82, b"x.test,admin.test"))),
    "a DNS name with a NUL": ("dns", named((0x82, b"admin.test\0.x.test"))),
    "a DNS name and a NUL": ("dns", named((0x82, b"x\0"), (0x82, b"admin.test"))),
    "a DNS name of two labels": ("dns", named((0x82, b"a.b.ops.test"))),
    "a DNS name in a URI": ("dns", named((0x86, b"admin.test"))),
    "a DNS name in an address": ("dns", named((0x81, b"admin.test"))),
    "a DNS name in another name": ("dns", named((0xA0, OTHER_NAME))),
    "a DNS name as a common name": ("dns", subject((CN, "admin.test"))),
    "a URI with a comma": ("uri", named((0x86, b"https://x/,spiffe://a/admin"))),
    "a URI with a NUL": ("uri", named((0x86, b"spiffe://a/admin\0x"))),
    "a URI in a DNS name": ("uri", named((0x82, b"spiffe://a/admin"))),
    "a URI in an address": ("uri", named((0x81, b"spiffe://a/admin"))),
    "a URI in another name": ("uri", named((0xA0, OTHER_NAME))),
    "a SPIFFE id among others": ("spiffe", named((0x86, b"spiffe://a/admin"), (0x86, b"spiffe://b/x"))),
    "a SPIFFE id in a DNS name": ("spiffe", named((0x82, b"spiffe://a/admin"))),
    "an address with a comma": ("email", named((0x81, b"x@x.test,ann@ops.test"))),
    "an address with a NUL": ("email", named((0x81, b"ann@ops.test\0.x.test"))),
    "an address within another": ("email", named((0x81, b"ann@ops.test@x.test"))),
    "an address in a common name": ("email", subject((CN, "ann@ops.test"))),
    "an address with bytes": ("email", named((0x81, b"\xff\xfe"), (0x81, b"ann@ops.test"))),
}
GENUINE: Final[dict[str, Leaf]] = {
    "common name": subject((O, "x,y"), (CN, "admin")),
    "unit": subject((OU, "ops"), (CN, "x"), together=True),
    "dns": named((0x82, b"x.ops.test")),
    "uri": named((0x86, b"spiffe://a/admin")),
    "spiffe": named((0x86, b"spiffe://a/admin")),
    "email": named((0x81, b"ann@ops.test")),
}


@pytest.mark.parametrize("impostor", IMPOSTORS)
def test_no_name_passes_for_another(house: House, impostor: str) -> None:
    """SAN type confusion, and a NUL in an OTHERNAME: CVE-2022-21656, CVE-2025-66220 (Envoy)."""
    called, leaf = IMPOSTORS[impostor]
    before = len(house.backend.asked)
    refused = house.knock(called, leaf)
    assert refused == 403 or isinstance(refused, str)
    assert len(house.backend.asked) == before
    assert house.knock(called, GENUINE[called]) == 200


DENIED_URI: Final = b"spiffe://a/denied"
HIDDEN: Final = {
    "nothing beside it": named((0x86, DENIED_URI)),
    "bytes before it": named((0x86, b"\xff\xfe"), (0x86, DENIED_URI)),
    "bytes after it": named((0x86, DENIED_URI), (0x86, b"\xff\xfe")),
    "an end of line before it": named((0x86, b"x\n"), (0x86, DENIED_URI)),
    "a NUL before it": named((0x86, b"x\0"), (0x86, DENIED_URI)),
    "bytes in a DNS name": named((0x82, b"\xff"), (0x86, DENIED_URI)),
    "a comma before it": named((0x86, b"x,"), (0x86, DENIED_URI)),
    "an empty one before it": named((0x86, b""), (0x86, DENIED_URI)),
    "another script before it": named((0x86, "https://ä.test/".encode()), (0x86, DENIED_URI)),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_no_name_hides_a_denied_one_beside_it(house: House, hidden: Leaf) -> None:
    refused = house.knock("denies a uri", hidden)
    assert refused == 403 or isinstance(refused, str)
    assert house.knock("denies a uri", ALICE) == 200


# Who signed.


def test_an_authority_is_told_by_its_certificate_and_not_by_its_name(house: House) -> None:
    impostor = NAMESAKE.client("bob")
    assert impostor.certificate.issuer == BOB.certificate.issuer
    assert house.knock("two trusts", impostor) == 200  # trusted as such …
    fake, real = NAMESAKE.cert_pem, ISSUING.cert_pem
    for chain in ((fake,), (real, fake), (fake, real), (real, fake, OTHER.cert_pem), (OTHER.cert_pem, real, fake, ROOT.cert_pem)):
        refused = house.knock("authority", impostor, impostor.cert_pem + "".join(chain))
        assert refused == 403 or isinstance(refused, str), chain
    for sent in ("", real, fake + real, OTHER.cert_pem + fake + real):
        assert house.knock("authority", BOB, BOB.cert_pem + sent) == 200


def test_who_is_signed_by_nobody_or_by_a_client_gets_in_nowhere(house: House) -> None:
    stranger = Authority.root("Issuing").client("bob")
    by_a_client = Authority(BOB.certificate, BOB.key, (ISSUING.certificate, ROOT.certificate)).client("admin")
    for called in ("plain", "OPTIONAL", "authority", "common name", "excepts a path"):
        for leaf in (stranger, by_a_client):
            assert isinstance(house.knock(called, leaf), str)


def test_a_certificate_for_servers_is_none_for_clients(house: House) -> None:
    """The purpose was not looked at: CVE-2022-21657 (Envoy)."""
    for called in ("plain", "OPTIONAL", "excepts a path"):
        assert isinstance(house.knock(called, ISSUING.server_only_client("bob")), str)
        assert house.knock(called, ISSUING.client("bob", eku=(CLIENT_AUTH,))) in {200, 403}
    assert house.knock("plain", ISSUING.client("bob")) == 200


def test_who_looks_like_a_member_of_a_group_is_none(house: House) -> None:
    """The same subject and names, also the same serial number: the table knows certificates by their fingerprint."""
    twin = ISSUING.client("alice", sans=("URI:spiffe://a/alice",))
    key = new_key()
    copied = (
        x509.CertificateBuilder()
        .subject_name(ALICE.certificate.subject)
        .issuer_name(ALICE.certificate.issuer)
        .public_key(key.public_key())
        .serial_number(ALICE.certificate.serial_number)
        .not_valid_before(ALICE.certificate.not_valid_before_utc)
        .not_valid_after(ALICE.certificate.not_valid_after_utc)
    )
    for extension in ALICE.certificate.extensions:
        copied = copied.add_extension(extension.value, critical=extension.critical)
    assert isinstance(ISSUING.key, type(key))
    forged = Leaf(copied.sign(ISSUING.key, hashes.SHA256()), key, ALICE.authorities)
    assert forged.certificate.serial_number == ALICE.certificate.serial_number
    assert [house.knock("group", one) for one in (twin, forged, ALICE)] == [403, 403, 200]


# Sessions.


def session_of(client: TLSClient) -> ssl.SSLSession | None:
    with client.connect() as connection:
        connection.get("/")
        return connection.session


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("opened_at", ["NONE", "OPTIONAL", "MANDATORY", "plain"])
def test_a_session_of_one_door_is_no_use_at_another(house: House, opened_at: str, version: Version) -> None:
    """CVE-2025-23419 (nginx), CVE-2025-23048 (Apache): a ticket of host A resumed at host B and skipped client authentication."""
    shown = house.shown(ALICE)
    client = TLSClient(PORTS[opened_at], cert=shown.chain, key=shown.key, version=version, server_name="a.test")
    session = session_of(client)
    context = client.context()
    for called in ("MANDATORY", "OPTIONAL", "plain", "common name"):
        there = TLSClient(PORTS[called], server_name="a.test", version=version, _context=[context])
        with there.connect(session) as connection:
            assert not connection.is_resumed
            assert connection.get("/").status == (403 if called == "common name" else 200)


def test_there_are_no_tickets_where_certificates_count(house: House) -> None:
    shown = house.shown(ALICE)
    for called in ("MANDATORY", "OPTIONAL", "excepts a path", "REHEARSAL"):
        tellings: tuple[tuple[Version, str], ...] = (
            ("TLSv1.2", "TLS session ticket:"),
            ("TLSv1.3", "Post-Handshake New Session Ticket"),
        )
        for version, told in tellings:
            answer = s_client(PORTS[called], cert=shown.chain, key=shown.key, version=version, server_name="a.test")
            assert answer.status is not None
            assert told not in answer.output
            assert "Reused, TLS" not in answer.output


def test_nothing_is_taken_before_the_handshake_is_done(house: House, tmp_path: Path) -> None:
    """0-RTT: no session allows any, not even where no certificate is asked for."""
    session = tmp_path / "session"
    early = tmp_path / "early"
    early.write_bytes(get("/early"))
    first = s_client(PORTS["NONE"], "-sess_out", str(session), version="TLSv1.3", server_name="a.test")
    assert first.status == 200
    assert "Max Early Data: 0" in first.output or "Max Early Data" not in first.output
    if session.exists():
        again = s_client(
            PORTS["NONE"], "-sess_in", str(session), "-early_data", str(early), version="TLSv1.3", server_name="a.test"
        )
        assert "Early data was accepted" not in again.output
    assert ("GET", "/early") not in house.backend.asked


def test_nobody_renegotiates(house: House) -> None:
    """In TLS 1.2, as TLS 1.3 has none: by it, a client could become somebody else on the way."""
    shown = house.shown(ALICE)
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{PORTS['plain']}", "-servername", "a.test", "-tls1_2"]
    asking = subprocess.Popen(
        [*argv, "-cert", shown.chain, "-key", shown.key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    out, _ = asking.communicate(b"R\n" + get("/renegotiated"), LIMIT)  # a line that is R asks for it
    assert b"RENEGOTIATING" in out
    assert ("GET", "/renegotiated") not in house.backend.asked
    assert s_client(PORTS["plain"], cert=shown.chain, key=shown.key, version="TLSv1.2", server_name="a.test").status == 200


# Other ways in.


def test_there_is_no_http3_that_skips_the_settings(house: House) -> None:
    """GHSA-9cr8-q42q-g8m7 (Traefik)."""
    for called in MODES:
        assert "alt-svc" not in house.http1(called, get()).headers
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(10)
            udp.connect(("127.0.0.1", PORTS[called]))
            udp.send(b"\xc0" + bytes(1199))
            with pytest.raises(ConnectionRefusedError):
                udp.recv(1500)


@pytest.mark.parametrize("mode", ["MANDATORY", "OPTIONAL", "REHEARSAL"])
@pytest.mark.parametrize("missing", [None, Trust(name="trust/nobody", certificates=" \n")])
def test_without_a_client_ca_there_is_no_door(mode: str, missing: Trust | None) -> None:
    """CVE-2026-27586 (Caddy): a CA file that was missing let everybody in. tests/live/test_door.py asks a whole ostiary."""
    with pytest.raises(Invalid, match="without one, every certificate would do"):
        snapshot(Desired(listeners=(door("plain", mode, trust=missing),)))
    assert snapshot(Desired(listeners=(door("plain", mode, trust=trust(mode)),))).resources


def test_the_engine_is_steered_by_no_client(house: House) -> None:
    """Its own interfaces are sockets of the file system, in a folder of their owner's; CVE-2019-17134 (Octavia) had one open."""
    text = (house.engine.folder / "bootstrap.json").read_text()
    assert "socketAddress" not in text
    assert "socket_address" not in text
    for header in ("x-envoy-upstream-rq-timeout-ms", "x-envoy-original-dst-host", "x-envoy-original-path", "x-envoy-internal"):
        answer = house.http1("denies a path", get("/x", "a.test", f"{header}: 127.0.0.1:1"))
        assert answer.status == 200
        assert header not in answer.json()["headers"]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_no_session_outlives_another_mode_authority_or_list(tmp_path: Path, version: Version) -> None:
    """CVE-2025-68121 (Go), CVE-2022-21654 (Envoy): sessions resumed after the CA, the list or the mode had changed."""
    port = free_port()
    paths = ALICE.write(tmp_path, "alice")
    first, second = (
        Trust(name=f"trust/{one.certificate.serial_number}", certificates=one.cert_pem, crls=one.crl()) for one in (ROOT, OTHER)
    )
    both = first.model_copy(update={"certificates": ROOT.cert_pem + ISSUING.cert_pem, "crls": ROOT.crl() + ISSUING.crl()})
    revoked = both.model_copy(update={"crls": ROOT.crl() + ISSUING.crl([ALICE], number=2)})
    with Engine(tmp_path) as engine:
        client = TLSClient(port, cert=paths.chain, key=paths.key, version=version, server_name="a.test")

        def becomes(mode: str, trusted: Trust | None) -> None:
            made = listener(client_authentication=mode, trust=trusted, protocol_port=port)
            assert engine.apply(snapshot(Desired(listeners=(made,)))) == {}
            engine.listens_on(port)

        def knock(session: ssl.SSLSession | None) -> int | str:
            try:
                with client.connect(session) as connection:
                    assert not connection.is_resumed
                    return connection.get("/").status
            except Refused:
                return "refused"

        def is_answered(session: ssl.SSLSession | None, expected: int | str) -> bool:
            return knock(session) == expected

        becomes("NONE", None)
        session = session_of(client)
        assert session is not None
        for mode, trusted, expected in (
            ("MANDATORY", both, 503),  # nobody stands behind this door: whoever gets in reads that
            ("MANDATORY", second, "refused"),
            ("MANDATORY", both, 503),
            ("MANDATORY", revoked, "refused"),
            ("OPTIONAL", revoked, "refused"),
            ("MANDATORY", both, 503),
        ):
            becomes(mode, trusted)
            eventually(partial(is_answered, session, expected))
