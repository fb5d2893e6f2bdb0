"""Ports as clients find them: what is spoken there, who may connect, when they open and close, and when they cannot."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import pytest

from support.backend import Backend, TCPEcho
from support.plain_client import ask_once, visiting
from support.ports import free_port
from support.stack import LB, Door, Ostiary
from support.tls_clients import LIMIT, Answer, Refused, TLSClient, s_client
from support.wait import eventually, eventually_passes

pytestmark = pytest.mark.live

ELSEWHERE: Final = ["192.0.2.0/24"]
HERE: Final = ["127.0.0.0/8"]


def plain_door(house: Ostiary, backend: Backend | TCPEcho, protocol: str = "HTTP", **fields: Any) -> Door:
    pool = {"protocol": "TCP"} if protocol == "TCP" else {}
    return house.door(backend.port, pool=pool, protocol=protocol, **fields)


@contextmanager
def connected(port: int, source: str = "127.0.0.1", address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection((address, port), LIMIT, (source, 0)) as connection:
        yield connection


def echoed(connection: socket.socket, sent: bytes = b"hello") -> bytes:
    """What comes back; less than was sent when the other side closes."""
    try:
        connection.sendall(sent)
        heard = b""
        while len(heard) < len(sent) and (piece := connection.recv(65_536)):
            heard += piece
    except ConnectionError:
        return b""
    return heard


def is_closed(connection: socket.socket) -> bool:
    """Wait for a word of the other side: whether that is its goodbye."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def is_open(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        return probe.connect_ex((address, port)) == 0


def _equal(found: object, expected: object) -> None:
    assert found == expected


# What is spoken.


def test_tcp_passes_every_byte_both_ways(house: Ostiary, tcp_echo: TCPEcho) -> None:
    door = plain_door(house, tcp_echo, "TCP")
    with connected(door.port) as one, connected(door.port) as two:
        assert [echoed(one, b"\0\xff first"), echoed(two), echoed(one, b"again")] == [b"\0\xff first", b"hello", b"again"]


def test_tcp_passes_the_end_of_one_direction(house: Ostiary, tcp_echo: TCPEcho) -> None:
    door = plain_door(house, tcp_echo, "TCP")
    with connected(door.port) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            assert stream.read() == b"last words"


def test_tcp_before_http_members_leaves_http_to_them(house: Ostiary, backend: Backend) -> None:
    door = house.door(backend.port, protocol="TCP")
    paths = ["/a/../b", "/a//b", "/a%2Fb"]
    with visiting(door.port) as ask:
        assert [ask(path).json()["path"] for path in paths] == paths


def test_http_is_spoken_in_clear(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    assert ask_once(door.port, "/here").json()["path"] == "/here"
    with pytest.raises(ssl.SSLError):
        TLSClient(door.port).get("/")


def test_a_tls_listener_does_not_answer_in_clear(house: Ostiary, backend: Backend) -> None:
    door = house.door(backend.port)
    with connected(door.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert is_closed(connection)
    assert backend.asked == []


@pytest.mark.parametrize(("protocol", "forwarded"), [("HTTP", "http"), ("TERMINATED_HTTPS", "https")])
def test_members_are_told_who_asked_where_and_how(house: Ostiary, backend: Backend, protocol: str, forwarded: str) -> None:
    headers = dict.fromkeys(("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-IP"), "true")
    door = house.door(backend.port, protocol=protocol, insert_headers=headers)
    forged = {"X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "1", "X-Real-IP": "203.0.113.9"}
    if protocol == "HTTP":
        seen = ask_once(door.port, headers=forged).json()["headers"]
    else:
        seen = TLSClient(door.port, ca=house.server_ca).get("/", forged).json()["headers"]
    told = {name: seen[name.lower()] for name in headers}
    assert told == {
        "X-Forwarded-For": ["127.0.0.1"],
        "X-Forwarded-Port": [str(door.port)],
        "X-Forwarded-Proto": [forwarded],
        "X-Real-IP": ["127.0.0.1"],
    }


def test_ipv6_is_served(house: Ostiary, backend: Backend) -> None:
    try:
        free_port_of_ipv6 = _free_port_of_ipv6()
    except OSError:
        pytest.skip("this machine has no ::1")
    balancer = house.balancer(vip_address="::1")
    pool = house.pool(balancer, backend.port)
    listener = house.listener(
        balancer,
        protocol="HTTP",
        protocol_port=free_port_of_ipv6,
        default_pool_id=pool,
        allowed_cidrs=["::1/128"],
        insert_headers={"X-Forwarded-For": "true"},
    )
    answer = ask_once(free_port_of_ipv6, address="::1")
    assert answer.json()["headers"]["x-forwarded-for"] == ["::1"]
    house.change(listener["id"], allowed_cidrs=["2001:db8::/32", *HERE])
    eventually(lambda: _is_turned_away(free_port_of_ipv6, address="::1", source="::1"))


def _free_port_of_ipv6() -> int:
    port = free_port()
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", port))
    return port


def test_only_the_tls_versions_and_http_versions_of_the_listener_are_spoken(house: Ostiary, backend: Backend) -> None:
    door = house.door(backend.port, tls_versions=["TLSv1.3"], alpn_protocols=["http/1.1"])
    offer = TLSClient(door.port, ca=house.server_ca, alpn=("h2", "http/1.1"))
    with offer.connect() as connection:
        assert (connection.version, connection.tls.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    with pytest.raises(Refused):
        TLSClient(door.port, ca=house.server_ca, version="TLSv1.2").get("/")
    house.change(
        door.id, tls_versions=["TLSv1.2"], alpn_protocols=["h2", "http/1.1"], tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"
    )

    def spoken() -> tuple[str | None, str | None, str]:
        with offer.connect() as connection:
            cipher = connection.tls.cipher()
            assert cipher is not None
            return connection.version, connection.tls.selected_alpn_protocol(), cipher[0]

    eventually_passes(lambda: _equal(spoken(), ("TLSv1.2", "h2", "ECDHE-ECDSA-AES256-GCM-SHA384")))


def test_browsers_are_told_to_stay_with_https_where_that_is_wanted(house: Ostiary, backend: Backend) -> None:
    door = house.door(backend.port)
    client = TLSClient(door.port, ca=house.server_ca)
    assert "strict-transport-security" not in client.get("/").headers
    house.change(door.id, hsts_max_age=31536000, hsts_include_subdomains=True)
    told = {"strict-transport-security": "max-age=31536000; includeSubDomains"}
    eventually(lambda: told.items() <= dict(client.get("/").headers).items())


# Who may connect.


def _is_turned_away(port: int, source: str = "127.0.0.1", address: str = "127.0.0.1") -> bool:
    """The connection is closed and not a byte is said."""
    with connected(port, source, address) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except ConnectionError:
            return True
        return is_closed(connection)


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_only_the_allowed_networks_may_connect(house: Ostiary, protocol: str) -> None:
    with Backend() if protocol == "HTTP" else TCPEcho() as member:
        door = plain_door(house, member, protocol, allowed_cidrs=["127.0.0.7/32", "192.0.2.0/24"])
        assert _is_turned_away(door.port, "127.0.0.8")
        assert not _is_turned_away(door.port, "127.0.0.7")
        house.change(door.id, allowed_cidrs=HERE)
        eventually(lambda: not _is_turned_away(door.port, "127.0.0.8"))
        house.change(door.id, allowed_cidrs=ELSEWHERE)
        eventually(lambda: _is_turned_away(door.port, "127.0.0.7"))
        house.change(door.id, allowed_cidrs=None)
        eventually(lambda: not _is_turned_away(door.port, "127.0.0.7"))


def test_who_may_not_connect_is_not_even_shown_a_certificate(house: Ostiary, backend: Backend) -> None:
    door = house.door(backend.port, allowed_cidrs=ELSEWHERE)
    shown = s_client(door.port).output
    assert "no peer certificate available" in shown
    assert "handshake has read 0 bytes" in shown
    with pytest.raises(Refused):
        TLSClient(door.port, ca=house.server_ca).get("/")
    house.change(door.id, allowed_cidrs=[*ELSEWHERE, *HERE])
    eventually(lambda: _answers(TLSClient(door.port, ca=house.server_ca)))


def _answers(client: TLSClient) -> bool:
    try:
        return client.get("/").status == 200
    except Refused:
        return False


def test_an_open_connection_of_a_network_that_is_shut_out_ends(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    with visiting(door.port) as ask:
        assert ask().status == 200
        house.change(door.id, allowed_cidrs=ELSEWHERE)

        def turned_away() -> bool:
            try:
                return not ask().status
            except (ConnectionError, OSError) as error:
                return bool(str(error))

        eventually(turned_away)


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_no_more_connections_than_the_limit(house: Ostiary, protocol: str) -> None:
    with Backend() if protocol == "HTTP" else TCPEcho() as member:
        door = plain_door(house, member, protocol, connection_limit=2)
        with connected(door.port) as one:
            with connected(door.port) as two:
                for connection in (one, two):
                    assert _talks(connection)
                assert _is_turned_away(door.port)
                assert all(map(_talks, (one, two)))
            # Room again as soon as one has left.
            eventually(lambda: not _is_turned_away(door.port))
        house.change(door.id, connection_limit=None)
        with ExitStack() as many:
            connections = [many.enter_context(connected(door.port)) for _ in range(5)]
            assert all(map(_talks, connections))


def _talks(connection: socket.socket) -> bool:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return bool(connection.recv(65_536))


def test_who_says_nothing_is_not_kept(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend, timeout_client_data=300)
    with connected(door.port) as connection:
        assert is_closed(connection)


# Nobody behind it.


@pytest.mark.parametrize("protocol", ["HTTP", "TERMINATED_HTTPS"])
def test_without_a_pool_there_is_a_503(house: Ostiary, protocol: str) -> None:
    listener = house.listener(house.balancer(), protocol=protocol)
    port = listener["protocol_port"]
    answer = ask_once(port) if protocol == "HTTP" else TLSClient(port, ca=house.server_ca).get("/")
    assert (answer.status, answer.body) == (503, b"No server is assigned to this address.\n")


def test_tcp_without_a_pool_is_closed(house: Ostiary) -> None:
    listener = house.listener(house.balancer(), protocol="TCP")
    with connected(listener["protocol_port"]) as connection:
        assert is_closed(connection)


# Open and closed.


@pytest.mark.parametrize("what", ["listener", "loadbalancer"])
def test_out_of_service_the_port_is_closed(house: Ostiary, backend: Backend, what: str) -> None:
    door = plain_door(house, backend)
    path = f"{LB}/listeners/{door.id}" if what == "listener" else f"{LB}/loadbalancers/{door.balancer_id}"
    for up in (False, True, False, True):
        house.call("PUT", path, {what: {"admin_state_up": up}})
        eventually(lambda up=up: is_open(door.port) is up)  # type: ignore[misc]  # the default binds now
        assert (house.call("GET", path)[what]["operating_status"] == "OFFLINE") is not up
    eventually(lambda: ask_once(door.port).status == 200)


def test_an_open_connection_ends_when_its_listener_goes(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    with visiting(door.port) as ask:
        assert ask().status == 200
        house.call("DELETE", f"{LB}/listeners/{door.id}")
        eventually(lambda: not is_open(door.port))
        assert ask().closes  # What comes over it is still answered, with a goodbye.
        with pytest.raises(ConnectionRefusedError):
            ask()


def test_a_deleted_load_balancer_closes_all_its_ports(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    other = house.listener(door.balancer_id, protocol="HTTP", default_pool_id=door.pool_id)["protocol_port"]
    assert is_open(door.port)
    assert is_open(other)
    house.call("DELETE", f"{LB}/loadbalancers/{door.balancer_id}?cascade=true")
    eventually(lambda: not is_open(door.port) and not is_open(other))


def test_a_port_can_be_given_to_another_listener_at_once(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    house.call("DELETE", f"{LB}/listeners/{door.id}")
    wanted = {
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": door.port,
        "loadbalancer_id": door.balancer_id,
        "default_pool_id": door.pool_id,
    }
    made = house.call("POST", f"{LB}/listeners", {"listener": wanted})["listener"]
    eventually(lambda: house.read(made["id"])["provisioning_status"] == "ACTIVE")
    assert TLSClient(door.port, ca=house.server_ca).get("/").status == 200


def test_a_port_can_be_given_once(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    elsewhere, everywhere = house.balancer(vip_address="127.0.0.3"), house.balancer(vip_address="0.0.0.0")
    for balancer in (door.balancer_id, house.balancer(), everywhere):
        wanted = {"protocol": "TCP", "protocol_port": door.port, "loadbalancer_id": balancer}
        refused = house.request("POST", f"{LB}/listeners", {"listener": wanted})
        assert refused.status_code == 409
        assert f"protocol_port: port {door.port}" in refused.json()["faultstring"]
        assert door.id in refused.json()["faultstring"]
    # At another address it is another port.
    house.listener(elsewhere, protocol="HTTP", protocol_port=door.port)
    assert ask_once(door.port, address="127.0.0.3").status == 503
    assert ask_once(door.port).status == 200


# Taken by somebody else.


@contextmanager
def taken() -> Iterator[tuple[int, Callable[[], None]]]:
    """A port that another program listens on, until it is let go."""
    with closing(socket.create_server(("127.0.0.1", free_port()))) as other:
        yield other.getsockname()[1], other.close


def test_a_taken_port_is_told_others_go_on_and_it_is_used_once_free(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    with taken() as (port, let_go):
        wanted = {"protocol": "HTTP", "protocol_port": port, "loadbalancer_id": door.balancer_id, "default_pool_id": door.pool_id}
        late = house.call("POST", f"{LB}/listeners", {"listener": wanted})["listener"]
        eventually(lambda: house.read(late["id"])["provisioning_status"] == "ERROR")
        found = house.read(late["id"])
        assert f"127.0.0.1:{port}" in found["provisioning_error"]
        assert "Address already in use" in found["provisioning_error"]
        assert found["operating_status"] == "ERROR"
        # The others serve, and can be changed.
        assert house.read(door.id)["provisioning_status"] == "ACTIVE"
        house.change(door.id, insert_headers={"X-Forwarded-Port": "true"})
        eventually(lambda: "x-forwarded-port" in ask_once(door.port).json()["headers"])
        let_go()
    eventually(lambda: house.read(late["id"])["provisioning_status"] == "ACTIVE", within=60)
    assert house.read(late["id"])["provisioning_error"] is None
    assert ask_once(port).status == 200


def test_a_listener_on_a_taken_port_can_be_deleted(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    with taken() as (port, _):
        wanted = {"protocol": "HTTP", "protocol_port": port, "loadbalancer_id": door.balancer_id}
        stuck = house.call("POST", f"{LB}/listeners", {"listener": wanted})["listener"]
        eventually(lambda: house.read(stuck["id"])["provisioning_status"] == "ERROR")
        house.call("DELETE", f"{LB}/listeners/{stuck['id']}")
        house.change(door.id, description="changed after it")
        house.settle(door.balancer_id)
    assert not is_open(port)


def test_an_address_of_another_machine_is_told(house: Ostiary) -> None:
    balancer = house.balancer(vip_address="192.0.2.1")
    wanted = {"protocol": "HTTP", "protocol_port": free_port(), "loadbalancer_id": balancer}
    made = house.call("POST", f"{LB}/listeners", {"listener": wanted})["listener"]
    eventually(lambda: house.read(made["id"])["provisioning_status"] == "ERROR")
    assert f"192.0.2.1:{wanted['protocol_port']}" in house.read(made["id"])["provisioning_error"]
    house.call("DELETE", f"{LB}/loadbalancers/{balancer}?cascade=true")


# What is shown of it.


def test_the_status_tree_holds_all_of_a_load_balancer(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    monitor = house.monitor(door.pool_id, type="TCP")
    bare = house.listener(door.balancer_id, protocol="HTTP")

    def healthy() -> dict[str, Any]:
        tree = house.settle(door.balancer_id)
        assert tree["pools"][0]["operating_status"] == "ONLINE"
        return tree

    tree = eventually(healthy)
    (member,) = house.call("GET", f"{LB}/pools/{door.pool_id}/members")["members"]
    well: dict[str, Any] = {"provisioning_status": "ACTIVE", "operating_status": "ONLINE"}
    pool = {
        "id": door.pool_id,
        "name": "",
        **well,
        "health_monitor": well | {"id": monitor, "name": "", "type": "TCP"},
        "members": [well | {"id": member["id"], "name": "", "address": "127.0.0.1", "protocol_port": backend.port}],
    }
    assert tree == {
        "id": door.balancer_id,
        "name": "test",
        **well,
        "listeners": [
            {"id": door.id, "name": "door", **well, "pools": [pool]},
            {"id": bare["id"], "name": "door", **well, "pools": []},
        ],
        "pools": [pool],
    }


@pytest.mark.parametrize("protocol", ["HTTP", "TCP", "TERMINATED_HTTPS"])
def test_counters_move_with_traffic(house: Ostiary, backend: Backend, protocol: str) -> None:
    door = house.door(backend.port, protocol=protocol)

    def counters(path: str = f"listeners/{door.id}") -> dict[str, int]:
        return dict(house.call("GET", f"{LB}/{path}/stats")["stats"])

    assert set(counters().values()) == {0}
    with ExitStack() as kept:
        if protocol == "TERMINATED_HTTPS":
            ask: Callable[[str], Answer] = kept.enter_context(TLSClient(door.port, ca=house.server_ca).connect()).get
        else:
            ask = kept.enter_context(visiting(door.port))
        for path in ("/", "/status/404", "/status/500"):
            ask(path)
        eventually_passes(lambda: _equal((counters()["active_connections"], counters()["total_connections"]), (1, 1)))
    expected = {"active_connections": 0, "total_connections": 1, "request_errors": 0 if protocol == "TCP" else 2}
    eventually_passes(lambda: _equal({name: counters()[name] for name in expected}, expected))
    # Bytes of a TCP connection are counted when it has ended.
    eventually(lambda: counters()["bytes_in"] > 50 and counters()["bytes_out"] > 200)
    assert counters(f"loadbalancers/{door.balancer_id}") == counters()


# Back.


def test_going_back_to_a_revision_is_in_force_on_the_wire(house: Ostiary, backend: Backend) -> None:
    door = plain_door(house, backend)
    before = house.revision()
    house.change(door.id, allowed_cidrs=ELSEWHERE)
    eventually(lambda: _is_turned_away(door.port))
    house.call("POST", f"/v1/revisions/{before}/revert")
    house.until_active(door.id)
    eventually(lambda: not _is_turned_away(door.port))
    assert house.read(door.id)["allowed_cidrs"] == []


def test_going_back_brings_back_what_was_deleted(house: Ostiary, backend: Backend) -> None:
    door = house.door(backend.port)
    before = house.revision()
    house.call("DELETE", f"{LB}/loadbalancers/{door.balancer_id}?cascade=true")
    eventually(lambda: not is_open(door.port))
    house.call("POST", f"/v1/revisions/{before}/revert")
    house.until_active(door.id)
    eventually(lambda: _answers(TLSClient(door.port, ca=house.server_ca)))


@pytest.mark.parametrize("cookie", ["ostiary-session=os_1", "a=b; __Secure-ostiary-session=os_1", "a=b;ostiary-session=x; c=d"])
@pytest.mark.parametrize("protocol", ["HTTP", "TERMINATED_HTTPS"])
def test_a_session_of_the_console_is_handed_to_no_member(house: Ostiary, inside: Backend, protocol: str, cookie: str) -> None:
    """Browsers send a host's cookies to each of its ports: whoever answers at another one would be signed in as the admin."""
    door = plain_door(house, inside, protocol)
    before = len(inside.asked)
    if protocol == "HTTP":
        answer = ask_once(door.port, "/console", headers={"Cookie": cookie})
        assert ask_once(door.port, "/console", headers={"Cookie": "a=b"}).status == 200
    else:
        answer = TLSClient(door.port, ca=house.server_ca).get("/console", headers={"Cookie": cookie})
        (over_h2,) = TLSClient(door.port, ca=house.server_ca).get_h2("/console", headers={"cookie": cookie})
        assert over_h2.status == 400
        assert TLSClient(door.port, ca=house.server_ca).get("/console", headers={"Cookie": "a=b"}).status == 200
    assert answer.status == 400
    assert b"another host name" in answer.body
    assert len(inside.asked) == before + 1
