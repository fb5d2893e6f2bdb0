"""An address that somebody else chose is asked with care: never inwards, never for long, never for much."""

import gzip
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ostiary.fetch import WEB_PORTS, Fetched, Limits, Network, NotFetched, Post, fetch
from support.certs import Authority
from support.ports import free_port
from support.site import Page, Site, Wire

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
PATIENT = 20.0


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        running.pages["/list"] = Page(b"a list", etag='"one"')
        yield running


def limits(*sites: Site, size: int = 1000, seconds: float = PATIENT) -> Limits:
    return Limits(size, seconds, (*WEB_PORTS, *(one.port for one in sites)))


def ask(site: Site, path: str = "/list", **options: object) -> Fetched:
    return fetch(site.url(path), **{"limits": limits(site), "allow": LOOPBACK, **options})  # type: ignore[arg-type]  # as given


def refusal(url: str, *, allow: Sequence[Network] = (), **options: object) -> str:
    with pytest.raises(NotFetched) as refused:
        fetch(url, **{"limits": Limits(1000, PATIENT), "allow": allow, **options})  # type: ignore[arg-type]  # as given
    return str(refused.value)


def test_what_is_published_is_fetched_and_then_only_when_it_changed(site: Site) -> None:
    first = ask(site)
    assert (first.body, first.etag, first.final_url) == (b"a list", '"one"', site.url("/list"))
    assert ask(site, etag=first.etag).body is None
    site.pages["/list"] = Page(b"a new list", etag='"two"')
    assert ask(site, etag=first.etag).body == b"a new list"
    assert {asked.headers["accept-encoding"] for asked in site.asked} == {"identity"}


def test_a_question_is_posted(site: Site) -> None:
    site.pages["/ocsp"] = lambda asked: Page(asked.method.encode() + asked.headers["content-type"].encode() + asked.body)
    assert ask(site, "/ocsp", post=Post(b"?", "application/ocsp-request")).body == b"POSTapplication/ocsp-request?"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ldap://directory.test/cn=ca?certificateRevocationList", "LDAP"),
        ("file:///etc/passwd", "neither an http nor an https"),
        ("gopher://a.test/", "neither an http nor an https"),
        ("//a.test/", "neither an http nor an https"),
        ("http://user:word@a.test/", "user name or password"),
        ("http://a.test@b.test/", "user name or password"),
        ("http://a.test\\@b.test/", "not a URL"),
        ("http://a.test/\r\nHost: b.test", "not a URL"),
        ("http://ä.test/", "xn--"),
        ("http:///list", "no host name"),
        ("http://[fe80::1%25eth0]/", "no host name"),
        ("http://[::1/", "that can be read"),
        ("http://a.test:99999/", "that can be read"),
        ("http://a.test:22/", "only ports 80, 443"),
        ("http://a.test:0/", "only ports 80, 443"),
        (f"http://a.test/{'x' * 2048}", "at most 2048"),
    ],
)
def test_only_plain_web_addresses_are_asked(url: str, why: str) -> None:
    message = refusal(url, resolve=lambda *_: pytest.fail("it was resolved"))
    assert why in message
    assert "word" not in message.replace("password", "")


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "this machine"),
        ("127.255.1.2", "this machine"),
        ("0.0.0.0", "this machine"),
        ("::1", "this machine"),
        ("::", "this machine"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.0.1", "private"),
        ("fd12::1", "private"),
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("100.64.0.1", "carrier's NAT"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("::ffff:127.0.0.1", "in disguise"),
        ("::ffff:8.8.8.8", "in disguise"),
        ("::7f00:1", "in disguise"),
        ("64:ff9b::7f00:1", "in disguise"),
        ("64:ff9b:1::a00:1", "in disguise"),
        ("2002:7f00:1::", "in disguise"),
        ("2001:0:7f00:1::", "in disguise"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "reserved"),
        ("192.0.2.1", "examples"),
        ("2001:db8::1", "examples"),
        ("4000::1", "outside the open Internet"),
    ],
)
def test_an_address_that_is_not_on_the_open_internet_is_refused(address: str, what: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    assert what in refusal(f"http://{literal}/")
    assert what in refusal("http://name.test/", resolve=lambda *_: [address])
    assert what in refusal("http://name.test/", resolve=lambda *_: ["8.8.8.8", address])


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost"])
def test_other_ways_to_write_this_machine_are_seen_through(host: str) -> None:
    assert "this machine" in refusal(f"http://{host}/")


def test_a_network_that_is_allowed_does_not_allow_its_disguises() -> None:
    assert "in disguise" in refusal("http://[::ffff:127.0.0.1]/", allow=LOOPBACK)


def test_what_was_judged_is_what_is_connected_to_whatever_the_name_says_next() -> None:
    answers = iter((["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]))
    with Site() as judged:
        judged.pages["/list"] = Page(b"from where was judged")
        asked_for: list[str] = []

        def rebinding(host: str, _port: int) -> Sequence[str]:
            asked_for.append(host)
            return next(answers)

        got = fetch(
            f"http://rebinding.test:{judged.port}/list",
            limits=limits(judged),
            allow=(ipaddress.ip_network("127.0.0.1/32"),),
            resolve=rebinding,
        )
    assert got.body == b"from where was judged"
    assert asked_for == ["rebinding.test"]
    assert judged.asked[0].headers["host"] == f"rebinding.test:{judged.port}"


def test_a_name_whose_first_address_does_not_answer_is_asked_at_the_next(site: Site) -> None:
    with Site() as elsewhere:
        port = elsewhere.port  # nobody listens there on 127.0.0.2
        elsewhere.pages["/list"] = Page(b"here")
        got = fetch(
            f"http://two.test:{port}/list",
            limits=limits(elsewhere),
            allow=LOOPBACK,
            resolve=lambda *_: ["127.0.0.2", "127.0.0.1"],
        )
    assert got.body == b"here"
    assert site.asked == []


def test_a_redirect_is_followed_to_where_it_may_lead(site: Site) -> None:
    site.pages |= {
        "/old": Page(status=301, headers=(("Location", "/older"),)),
        "/older": Page(status=302, headers=(("Location", site.url("/list")),)),
    }
    assert ask(site, "/old").final_url == site.url("/list")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inwards_is_refused_like_the_address_itself(site: Site, status: int) -> None:
    site.pages["/"] = Page(status=status, headers=(("Location", "http://10.0.0.1/"),))
    site.pages["/metadata"] = Page(status=status, headers=(("Location", "http://metadata.test/latest"),))
    names = {"127.0.0.1": ["127.0.0.1"], "10.0.0.1": ["10.0.0.1"], "metadata.test": ["169.254.169.254"]}
    with pytest.raises(NotFetched, match="a private address"):
        ask(site, "/")
    with pytest.raises(NotFetched, match="metadata service"):
        ask(site, "/metadata", resolve=lambda host, _: names[host])


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("ftp://a.test/", "neither an http"),
        ("ldap://a.test/", "LDAP"),
        ("http://127.0.0.1:22/", "only ports"),
        ("http://u:p@127.0.0.1/", "user name or password"),
        ("http://[", "not a URL"),
        ("http://a.test:x/", "not a URL"),
    ],
)
def test_a_redirect_to_what_is_no_plain_web_address_is_refused(site: Site, location: str, why: str) -> None:
    site.pages["/"] = Page(status=302, headers=(("Location", location),))
    with pytest.raises(NotFetched, match=why):
        ask(site, "/")


def test_redirects_come_to_an_end(site: Site) -> None:
    site.pages["/"] = Page(status=302, headers=(("Location", "/"),))
    with pytest.raises(NotFetched, match="more than 5 redirects"):
        ask(site, "/")
    assert len(site.asked) == 6


def test_a_question_is_not_sent_on_to_where_a_redirect_would_make_it_another(site: Site) -> None:
    site.pages |= {
        "/moved": Page(status=302, headers=(("Location", "/ocsp"),)),
        "/kept": Page(status=307, headers=(("Location", "/ocsp"),)),
        "/ocsp": lambda asked: Page(asked.body),
    }
    with pytest.raises(NotFetched, match="redirects a question"):
        ask(site, "/moved", post=Post(b"?"))
    assert ask(site, "/kept", post=Post(b"?")).body == b"?"


@pytest.mark.parametrize("declared", [True, False])
def test_more_than_the_limit_is_not_read(site: Site, declared: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    def endless(write: Wire) -> None:
        length = b"Content-Length: 1000000000\r\n" if declared else b""
        write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            write(b"x" * 65_536)

    site.pages["/"] = Page(misbehave=endless)
    with pytest.raises(NotFetched, match="more than 0 KiB"):
        ask(site, "/")
    site.pages["/"] = Page(b"x" * 1000)
    assert ask(site, "/").body == b"x" * 1000


def test_headers_without_end_are_not_read(site: Site) -> None:
    def endless(write: Wire) -> None:
        write(b"HTTP/1.1 200 OK\r\n")
        while True:
            write(b"X-More: of this\r\n" * 1000)

    site.pages["/"] = Page(misbehave=endless)
    with pytest.raises(NotFetched, match="not HTTP"):
        ask(site, "/")


def test_packed_content_is_refused_for_it_could_unpack_into_anything(site: Site) -> None:
    site.pages["/"] = Page(gzip.compress(b"x" * 10_000_000)[:900], headers=(("Content-Encoding", "gzip"),))
    with pytest.raises(NotFetched, match="packed content"):
        ask(site, "/")


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-"])
def test_a_server_that_drips_is_left_when_the_time_is_up(site: Site, part: bytes) -> None:
    done = threading.Event()

    def drip(write: Wire) -> None:
        write(part)
        while not done.wait(0.01):
            write(b"x")

    site.pages["/"] = Page(misbehave=drip)
    try:
        with pytest.raises(NotFetched, match=r"did not answer within 0.3 seconds"):
            ask(site, "/", limits=limits(site, size=1_000_000, seconds=0.3))
    finally:
        done.set()


def test_nothing_the_server_said_is_told_on(site: Site) -> None:
    site.pages["/"] = Page(b"internal words", status=500, headers=(("X-Secret", "internal words"),))
    with pytest.raises(NotFetched) as refused:
        ask(site, "/?token=of-ours")
    assert str(refused.value) == f"http://127.0.0.1:{site.port} answered with status 404."
    with pytest.raises(NotFetched) as refused:
        ask(site, "/")
    assert str(refused.value) == f"http://127.0.0.1:{site.port} answered with status 500."


def test_nothing_is_asked_of_a_proxy_that_the_environment_names(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert ask(site).body == b"a list"


def test_a_server_that_is_gone_or_speaks_otherwise_is_told_of_in_plain_words(site: Site) -> None:
    port = free_port()
    gone = refusal(f"http://127.0.0.1:{port}/", allow=LOOPBACK, limits=Limits(1000, PATIENT, (port,)))
    assert "no connection (Connection refused)" in gone
    site.pages["/"] = Page(misbehave=lambda write: write(b"220 smtp ready\r\n\r\n"))
    with pytest.raises(NotFetched, match="not HTTP"):
        ask(site, "/")
    site.is_down = True
    with pytest.raises(NotFetched, match=r"not HTTP|broke|no connection"):
        ask(site, "/")
    assert "cannot be resolved" in refusal("http://nowhere.invalid/", resolve=_fails)
    assert "no address" in refusal("http://nowhere.invalid/", resolve=lambda *_: [])


def _fails(*_: object) -> Sequence[str]:
    raise OSError("no such name")


def test_https_holds_the_server_to_its_name_not_to_its_address(tmp_path: Path) -> None:
    ca = Authority.root("Web root")
    paths = ca.server("list.test").write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths.chain, paths.key)
    trusting = ssl.create_default_context(cadata=ca.cert_pem)
    with Site(tls=context) as site:
        site.pages["/list"] = Page(b"a list")
        site.pages["/down"] = Page(status=302, headers=(("Location", "http://list.test/list"),))

        def named(host: str, path: str = "/list", tls: ssl.SSLContext | None = trusting) -> Fetched:
            url = f"https://{host}:{site.port}{path}"
            return fetch(url, limits=limits(site), allow=LOOPBACK, resolve=lambda *_: ["127.0.0.1"], tls=tls)

        assert named("list.test").body == b"a list"
        with pytest.raises(NotFetched, match="certificate is not trusted"):
            named("other.test")
        with pytest.raises(NotFetched, match="certificate is not trusted"):
            named("list.test", tls=None)
        with pytest.raises(NotFetched, match="redirects to plain http"):
            named("list.test", "/down")
