"""The demo's backend shows who was let in."""

import http.client
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ostiary.demo.backend import Backend
from ostiary.demo.forwarded import clients

IDENTITY = 'Hash=ab12;Subject="CN=alice,O=\\"Acme\\"";URI=spiffe://acme/alice;URI=spiffe://acme/a;DNS=alice.test'


@pytest.fixture
def connection() -> Iterator[http.client.HTTPConnection]:
    backend = Backend()
    backend.start()
    connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=20)
    yield connection
    connection.close()
    backend.stop()


def ask(door: http.client.HTTPConnection, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, str]:
    door.request(method, "/path", body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = door.getresponse()
    return response.status, response.read().decode()


def test_an_identity_is_shown_as_text(connection: http.client.HTTPConnection) -> None:
    status, text = ask(connection, X_Forwarded_Client_Cert=IDENTITY, X_SSL_Client_CN="alice")
    assert (status, text.splitlines()) == (
        200,
        [
            "The demo backend got GET /path",
            "from the holder of a client certificate that the door has verified:",
            "  hash:    ab12",
            '  subject: CN=alice,O=\\"Acme\\"',
            "  uri:     spiffe://acme/alice, spiffe://acme/a",
            "  dns:     alice.test",
            "  X-SSL-Client-CN: alice",
        ],
    )


def test_an_identity_is_shown_as_json_to_who_asks_for_it(connection: http.client.HTTPConnection) -> None:
    _, text = ask(connection, X_Forwarded_Client_Cert=IDENTITY, Accept="application/json")
    assert '"dns": [\n      "alice.test"' in text


def test_without_an_identity_it_says_so(connection: http.client.HTTPConnection) -> None:
    assert "without a verified certificate" in ask(connection)[1]


def test_a_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    assert [ask(connection)[0], ask(connection, "HEAD"), ask(connection, "POST", b"x" * 100_000)[0]] == [200, (200, ""), 200]
    local = connection.sock.getsockname()
    ask(connection)
    assert connection.sock.getsockname() == local


def test_the_nearest_proxy_comes_last() -> None:
    assert clients("Hash=1;Subject=,Hash=2;Cert=x") == [{"hash": "1"}, {"hash": "2"}]


@given(some.lists(some.text(some.characters(exclude_categories=["C"]), min_size=1), max_size=4))
def test_any_names_come_through_whole(names: list[str]) -> None:
    escaped = [name.replace("\\", "\\\\").replace('"', '\\"') for name in names]
    header = "Hash=1" + "".join(f';URI="{name}"' for name in escaped)
    assert clients(header) == [{"hash": "1", "uri": escaped} if names else {"hash": "1"}]


def test_what_cannot_be_read_ends_the_list() -> None:
    assert clients('Hash=1,Subject="never closed') == [{"hash": "1"}]
