"""How commands ask the API: everything on the way is said in one line, and the token goes nowhere else."""

import io
from collections.abc import Callable, Iterator

import pytest

from ostiary.cli.client import Client, Failed
from support.site import Page, Site

TOKEN = "of-the-test"
Send = Callable[[bytes], object]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def client_of(site: Site, path: str = "") -> Client:
    return Client(site.url(path), TOKEN)


def json_page(body: bytes, status: int = 200) -> Page:
    return Page(body, status, headers=(("Content-Type", "application/json"),))


def test_what_is_asked_arrives_as_it_was_meant(site: Site) -> None:
    path = "/below/v1/things/a%2Fb?name=%C4%91%C3%A2y+l%C3%A0&yes=true&limit=3"
    site.pages[path] = json_page(b'{"thing": "\\u0111"}')
    done = client_of(site, "/below").call("PUT", "/v1/things/a%2Fb", {"thing": "đây"}, name="đây là", yes=True, no=None, limit=3)
    assert done == {"thing": "đ"}
    (asked,) = site.asked
    assert (asked.method, asked.path) == ("PUT", path)
    assert asked.headers["x-auth-token"] == TOKEN
    assert asked.headers["content-type"] == "application/json"
    assert asked.body.decode("unicode_escape") == '{"thing": "đây"}'


def test_a_file_is_sent_as_it_is(site: Site) -> None:
    site.pages["/list"] = Page(b"", 204)
    assert client_of(site).send("/list", b"\x00\xff") is None
    (asked,) = site.asked
    assert (asked.body, asked.headers.get("content-type")) == (b"\x00\xff", None)


def test_a_name_from_outside_cannot_add_to_the_request(site: Site) -> None:
    site.pages["/v1/a%20b%0D%0AX-Evil:%201"] = json_page(b"{}")
    assert client_of(site).call("GET", "/v1/a b\r\nX-Evil: 1") == {}
    assert "x-evil" not in site.asked[0].headers


def test_no_redirect_is_followed_and_no_proxy_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with Site() as other:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url())
        site.pages["/moved"] = Page(b"", 302, headers=(("Location", other.url("/")),))
        with pytest.raises(Failed, match="302"):
            client_of(site).call("GET", "/moved")
        assert other.asked == []


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
        b"HTTP/9 what\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_breaks_off_is_said(site: Site, broken: bytes) -> None:
    def hang_up(send: Send) -> None:
        send(broken)

    site.pages["/file"] = Page(misbehave=hang_up)
    asked = client_of(site)
    for ask in (lambda: asked.call("GET", "/file"), lambda: asked.fetch("/file")):
        with pytest.raises(Failed, match=r"^cannot reach ostiary at http://127"):
            ask()


def test_where_a_file_cannot_be_written_it_is_not_the_api_that_is_blamed(site: Site) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    site.pages["/file"] = Page(b"content")
    with pytest.raises(OSError, match="No space left"):
        client_of(site).stream("/file", Full())


def test_a_long_file_is_written_as_it_comes(site: Site) -> None:
    content = bytes(range(256)) * 4096
    site.pages["/file"] = Page(content)
    assert client_of(site).fetch("/file") == content


def test_a_refusal_is_said_in_the_words_of_the_api(site: Site) -> None:
    site.pages["/no"] = json_page(b'{"title": "Conflict", "detail": "it is in use"}', 409)
    site.pages["/odd"] = json_page(b"{}", 503)
    for path, words in (("/no", "^it is in use$"), ("/odd", "^503 Service Unavailable$")):
        with pytest.raises(Failed, match=words):
            client_of(site).call("GET", path)
        with pytest.raises(Failed, match=words):
            client_of(site).fetch(path)
