"""Who answers a request: shares, weights, stickiness, backups, health, and that nothing is lost or cut on the way."""

import base64
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any, Final

import pytest

from support import websocket
from support.backend import TLS, Backend, Recorder
from support.certs import Authority
from support.plain_client import ask_once, visiting
from support.ports import free_port
from support.stack import LB, Door, Ostiary
from support.tls_clients import Answer, TLSClient, curl
from support.wait import eventually, eventually_passes

pytestmark = pytest.mark.live

HTTP: Final = {"protocol": "HTTP"}
LARGE: Final = 8 * 2**20
Backends = list[Backend]
Start = Callable[[str], Backend]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start backends by name; all end with the test."""
    with ExitStack() as running:
        yield lambda name: running.enter_context(Backend(name))


@pytest.fixture
def two(start: Start) -> Backends:
    return [start("a"), start("b")]


@pytest.fixture
def three(start: Start) -> Backends:
    return [start("a"), start("b"), start("c")]


def served(port: int, requests: int = 20, source: str | None = None) -> Counter[str]:
    """Who answered so many requests, one after the other on one connection: on one connection turns are taken strictly."""
    with visiting(port, source=source) as ask:
        return Counter(_name(ask()) for _ in range(requests))


def _name(answer: Answer) -> str:
    assert answer.status == 200, answer
    return str(answer.json()["name"])


def served_by_only(door: Door, name: str) -> None:
    """Wait until nobody else answers."""
    eventually_passes(lambda: _equal(served(door.port), {name: 20}))


def _equal(found: object, expected: object) -> None:
    assert found == expected


def asked(backend: Backend) -> list[str]:
    """What clients asked it; health checks left out."""
    return [path for _, path in backend.asked if not path.startswith(("/health", "/status"))]


def ports(backends: Backends) -> list[int]:
    return [backend.port for backend in backends]


def make(house: Ostiary, backends: Backends, *, pool: dict[str, Any] | None = None, **fields: Any) -> Door:
    return house.door(*ports(backends), pool=pool, **{**HTTP, **fields})


def change_member(house: Ostiary, door: Door, backend: Backend, **fields: Any) -> str:
    """Change the member that stands for a backend and wait until that is in force; its id."""
    members = house.call("GET", f"{LB}/pools/{door.pool_id}/members?protocol_port={backend.port}")["members"]
    house.call("PUT", f"{LB}/pools/{door.pool_id}/members/{members[0]['id']}", {"member": fields})
    house.settle(door.balancer_id)
    return str(members[0]["id"])


def states(house: Ostiary, door: Door) -> dict[str, str]:
    """Operating status of the load balancer, listener, pool and each member, by port."""
    tree = house.call("GET", f"{LB}/loadbalancers/{door.balancer_id}/status")["statuses"]["loadbalancer"]
    (listener,) = tree["listeners"]
    (pool,) = tree["pools"]
    return {
        "balancer": tree["operating_status"],
        "listener": listener["operating_status"],
        "pool": pool["operating_status"],
        **{str(member["protocol_port"]): member["operating_status"] for member in pool["members"]},
    }


def until_states(house: Ostiary, door: Door, backends: Backends, members: str, *, pool: str, above: str) -> None:
    """Wait for these operating statuses; `members` in the order of the backends."""
    expected = {"balancer": above, "listener": above, "pool": pool}
    expected |= dict(zip(map(str, ports(backends)), members.split(), strict=True))
    eventually_passes(lambda: _equal(states(house, door), expected))


# Shares.


def test_round_robin_gives_each_member_its_turn(house: Ostiary, three: Backends) -> None:
    door = make(house, three)
    eventually_passes(
        lambda: _equal(served(door.port, 30), {"a": 10, "b": 10, "c": 10})
    )  # A worker that hears of a change meanwhile begins the round anew.


def test_round_robin_spreads_new_connections_too(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    counted: Counter[str] = sum((served(door.port, 1) for _ in range(100)), Counter())
    assert min(counted["a"], counted["b"]) > 20


def test_a_weight_is_a_share(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    change_member(house, door, two[0], weight=3)
    eventually_passes(lambda: _equal(75 - 3 <= served(door.port, 100)["a"] <= 75 + 3, True))


def test_a_member_of_weight_0_drains(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    change_member(house, door, two[0], weight=0)
    served_by_only(door, "b")
    assert states(house, door)[str(two[0].port)] == "DRAINING"
    change_member(house, door, two[0], weight=1)
    eventually_passes(lambda: _equal(served(door.port), {"a": 10, "b": 10}))


def test_all_members_of_weight_0_serve_nobody(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    for backend in two:
        change_member(house, door, backend, weight=0)
    eventually(lambda: ask_once(door.port).status == 503)


def test_a_member_that_is_taken_out_of_service_gets_nothing(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    change_member(house, door, two[1], admin_state_up=False)
    served_by_only(door, "a")
    assert states(house, door)[str(two[1].port)] == "OFFLINE"
    change_member(house, door, two[1], admin_state_up=True)
    eventually_passes(lambda: _equal(served(door.port), {"a": 10, "b": 10}))


def test_a_pool_that_is_taken_out_of_service_answers_503_until_it_is_back(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    house.call("PUT", f"{LB}/pools/{door.pool_id}", {"pool": {"admin_state_up": False}})
    eventually(lambda: ask_once(door.port).status == 503)
    assert states(house, door)["pool"] == "OFFLINE"
    house.call("PUT", f"{LB}/pools/{door.pool_id}", {"pool": {"admin_state_up": True}})
    eventually_passes(lambda: _equal(served(door.port), {"a": 10, "b": 10}))


def test_least_connections_spares_the_member_that_is_busy(house: Ostiary, two: Backends) -> None:
    busy, idle = two
    door = make(house, [busy], pool={"lb_algorithm": "LEAST_CONNECTIONS"})
    holding = [threading.Thread(target=lambda: ask_once(door.port, "/hold")) for _ in range(5)]
    for thread in holding:
        thread.start()
    eventually(lambda: len(busy.asked) == 5)
    house.member(door.pool_id, idle.port)
    house.settle(door.balancer_id)
    eventually(lambda: served(door.port, 1)["b"])
    counted = served(door.port, 200)
    busy.release()
    for thread in holding:
        thread.join()
    # Two members are drawn and the less busy one is taken: the busy one is left only where it is drawn twice.
    assert counted["b"] > 1.5 * counted["a"]


# Stickiness.


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param({"lb_algorithm": "SOURCE_IP"}, id="SOURCE_IP algorithm"),
        pytest.param({"session_persistence": {"type": "SOURCE_IP"}}, id="SOURCE_IP persistence"),
    ],
)
def test_one_address_stays_with_one_member(house: Ostiary, three: Backends, pool: dict[str, Any]) -> None:
    door = make(house, three, pool=pool)
    homes = {}
    for last in range(2, 32):
        source = f"127.0.0.{last}"
        (homes[source],) = served(door.port, 3, source)  # All three by one.
        assert set(served(door.port, 1, source)) == {homes[source]}  # Over another connection too.
    assert set(homes.values()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("persistence", "name"),
    [
        ({"type": "HTTP_COOKIE"}, "SRV"),
        ({"type": "HTTP_COOKIE", "cookie_name": "where"}, "where"),
        ({"type": "APP_COOKIE", "cookie_name": "JSESSIONID"}, "JSESSIONID-SRV"),
    ],
)
def test_a_cookie_keeps_a_client_with_one_member(house: Ostiary, three: Backends, persistence: dict[str, str], name: str) -> None:
    door = make(house, three, pool={"session_persistence": persistence})
    homes = Counter[str]()
    for _ in range(30):
        first, cookie = _first_visit(door, name)
        jar = {"Cookie": f"JSESSIONID=app; {name}={cookie.value}"}
        again = [ask_once(door.port, headers=jar) for _ in range(3)]
        assert {answer.json()["name"] for answer in again} == {first}
        assert not any("set-cookie" in answer.headers for answer in again)
        homes[first] += 1
    assert set(homes) == {"a", "b", "c"}


def _first_visit(door: Door, name: str) -> tuple[str, "Morsel[str]"]:
    answer = ask_once(door.port)
    cookies = SimpleCookie(answer.headers["set-cookie"])
    assert list(cookies) == [name]
    return answer.json()["name"], cookies[name]


def test_the_cookie_is_for_nobody_else_and_tells_no_address(house: Ostiary, two: Backends) -> None:
    door = make(house, two, pool={"session_persistence": {"type": "HTTP_COOKIE"}})
    _, cookie = _first_visit(door, "SRV")
    assert (cookie["httponly"], cookie["path"], cookie["samesite"]) == (True, "/", "Lax")
    assert cookie["max-age"] == cookie["expires"] == ""  # The browser's session.
    padded = cookie.value + "=" * (-len(cookie.value) % 4)
    for shown in (cookie.value.encode(), base64.b64decode(padded, altchars=b"-_")):
        assert not any(text in shown for text in (b"127.0.0.1", *(str(port).encode() for port in ports(two))))
        assert socket.inet_aton("127.0.0.1") not in shown


@pytest.mark.parametrize(("protocol", "secure"), [("HTTP", False), ("TERMINATED_HTTPS", True)])
def test_the_cookie_is_secure_where_there_is_tls(house: Ostiary, two: Backends, protocol: str, *, secure: bool) -> None:
    door = make(house, two, pool={"session_persistence": {"type": "HTTP_COOKIE"}}, protocol=protocol)
    if secure:
        header = TLSClient(door.port, ca=house.server_ca).get("/").headers["set-cookie"]
    else:
        header = ask_once(door.port).headers["set-cookie"]
    assert bool(SimpleCookie(header)["SRV"]["secure"]) is secure


def test_a_client_whose_member_goes_is_served_by_another(house: Ostiary, two: Backends) -> None:
    door = make(house, two, pool={"session_persistence": {"type": "HTTP_COOKIE"}})
    home, cookie = _first_visit(door, "SRV")
    gone, left = two if home == "a" else reversed(two)
    change_member(house, door, gone, admin_state_up=False)
    jar = {"Cookie": f"SRV={cookie.value}"}
    eventually_passes(lambda: _equal(_name(ask_once(door.port, headers=jar)), left.name))


# Health.


def test_a_sick_member_gets_nothing_and_every_status_follows(house: Ostiary, two: Backends) -> None:
    a, b = two
    door = make(house, two)
    until_states(house, door, two, "NO_MONITOR NO_MONITOR", pool="NO_MONITOR", above="ONLINE")
    house.monitor(door.pool_id, url_path="/health")
    until_states(house, door, two, "ONLINE ONLINE", pool="ONLINE", above="ONLINE")
    a.healthy = False
    until_states(house, door, two, "ERROR ONLINE", pool="DEGRADED", above="DEGRADED")
    before = len(asked(a))
    assert served(door.port, 50) == {"b": 50}
    b.healthy = False
    until_states(house, door, two, "ERROR ERROR", pool="ERROR", above="DEGRADED")
    # Nobody is left: the client is told so at once, and no request goes to a member known to be down.
    received = [len(asked(backend)) for backend in two]
    with visiting(door.port) as ask:
        assert {ask().status for _ in range(20)} == {503}
    assert [len(asked(backend)) for backend in two] == received
    assert received[0] == before
    a.healthy = b.healthy = True
    until_states(house, door, two, "ONLINE ONLINE", pool="ONLINE", above="ONLINE")
    eventually_passes(
        lambda: _equal(served(door.port), {"a": 10, "b": 10})
    )  # A worker that hears of a change meanwhile begins the round anew.


def test_backups_serve_only_while_no_primary_can(house: Ostiary, three: Backends) -> None:
    a, b, _ = three
    door = make(house, three)
    change_member(house, door, three[2], backup=True)
    house.monitor(door.pool_id, url_path="/health")
    until_states(house, door, three, "ONLINE ONLINE ONLINE", pool="ONLINE", above="ONLINE")
    eventually_passes(
        lambda: _equal(served(door.port), {"a": 10, "b": 10})
    )  # A worker that hears of a change meanwhile begins the round anew.
    a.healthy = False
    until_states(house, door, three, "ERROR ONLINE ONLINE", pool="DEGRADED", above="DEGRADED")
    assert served(door.port, 50) == {"b": 50}  # One primary of two is enough: not a request for the backup.
    b.healthy = False
    until_states(house, door, three, "ERROR ERROR ONLINE", pool="DEGRADED", above="DEGRADED")
    assert served(door.port, 50) == {"c": 50}
    b.healthy = True
    until_states(house, door, three, "ERROR ONLINE ONLINE", pool="DEGRADED", above="DEGRADED")
    assert served(door.port, 50) == {"b": 50}


@pytest.mark.parametrize(
    ("expected", "path"),
    [("202", "/status/202"), ("200,404", "/status/404"), ("200-299", "/status/226")],
)
def test_the_monitor_takes_the_statuses_it_is_told(house: Ostiary, two: Backends, expected: str, path: str) -> None:
    door = make(house, two[:1])
    monitor = house.monitor(door.pool_id, url_path=path, expected_codes=expected)
    until_states(house, door, two[:1], "ONLINE", pool="ONLINE", above="ONLINE")
    house.call("PUT", f"{LB}/healthmonitors/{monitor}", {"healthmonitor": {"expected_codes": "418"}})
    until_states(house, door, two[:1], "ERROR", pool="ERROR", above="DEGRADED")


def test_the_monitor_asks_as_it_is_told(house: Ostiary) -> None:
    with Recorder() as member:
        pool_id = house.pool(house.balancer(), member.port)
        house.monitor(pool_id, http_method="HEAD", url_path="/are/you?well", domain_name="members.test")
        question = eventually(lambda: member.heard)[0].decode()
    assert question.startswith("HEAD /are/you?well HTTP/1.1\r\n")
    assert "\r\nhost: members.test\r\n" in question


def test_the_monitor_can_ask_elsewhere(house: Ostiary, two: Backends) -> None:
    serving, telling = two
    door = make(house, [serving])
    change_member(house, door, serving, monitor_port=telling.port)
    house.monitor(door.pool_id, url_path="/health")
    until_states(house, door, [serving], "ONLINE", pool="ONLINE", above="ONLINE")
    telling.healthy = False
    until_states(house, door, [serving], "ERROR", pool="ERROR", above="DEGRADED")
    assert not any(path == "/health" for _, path in serving.asked)


def test_a_monitor_of_type_tcp_asks_for_a_connection(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    house.monitor(door.pool_id, type="TCP")
    two[0].healthy = False  # What it says over HTTP does not matter.
    until_states(house, door, two, "ONLINE ONLINE", pool="ONLINE", above="ONLINE")
    two[0].stop()
    until_states(house, door, two, "ERROR ONLINE", pool="DEGRADED", above="DEGRADED")
    assert served(door.port) == {"b": 20}
    two[0].restart()
    until_states(house, door, two, "ONLINE ONLINE", pool="ONLINE", above="ONLINE")


def test_a_monitor_of_type_https_asks_over_tls(house: Ostiary, two: Backends, tmp_path: Path) -> None:
    """The members serve in clear, and tell their health over TLS at another port; a certificate is not looked at."""
    paths = Authority.root("Of the members").server().write(tmp_path)
    with Backend("tells", tls=TLS(paths.cert, paths.key)) as telling:
        door = make(house, two)
        change_member(house, door, two[0], monitor_port=telling.port)
        house.monitor(door.pool_id, type="HTTPS", url_path="/health")
        until_states(house, door, two, "ONLINE ERROR", pool="DEGRADED", above="DEGRADED")  # b speaks no TLS.
        assert served(door.port) == {"a": 20}
        telling.healthy = False
        until_states(house, door, two, "ERROR ERROR", pool="ERROR", above="DEGRADED")


def test_without_its_monitor_a_pool_takes_all_members_to_be_well(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    monitor = house.monitor(door.pool_id, url_path="/health")
    two[0].healthy = False
    until_states(house, door, two, "ERROR ONLINE", pool="DEGRADED", above="DEGRADED")
    house.call("DELETE", f"{LB}/healthmonitors/{monitor}")
    until_states(house, door, two, "NO_MONITOR NO_MONITOR", pool="NO_MONITOR", above="ONLINE")
    eventually_passes(lambda: _equal(served(door.port), {"a": 10, "b": 10}))


# What can go wrong with a member.


def test_a_member_that_says_nothing_is_given_up_on(house: Ostiary, two: Backends) -> None:
    door = make(house, two[:1], timeout_member_data=300)
    with visiting(door.port) as ask:
        assert ask("/hold").status == 504
        two[0].release()
        assert ask().status == 200


@pytest.mark.parametrize("protocol", ["HTTP", "TERMINATED_HTTPS"])
def test_a_member_that_is_not_there_is_a_503(house: Ostiary, protocol: str) -> None:
    door = house.door(free_port(), protocol=protocol)
    answer = ask_once(door.port) if protocol == "HTTP" else TLSClient(door.port, ca=house.server_ca).get("/")
    assert answer.status == 503


def test_a_pool_without_members_is_a_503(house: Ostiary) -> None:
    door = house.door(protocol="HTTP")
    assert ask_once(door.port).status == 503


def test_another_member_answers_for_one_that_cannot_be_reached(house: Ostiary, two: Backends) -> None:
    door = make(house, two)
    two[0].stop()
    assert served(door.port, 50) == {"b": 50}


def test_a_member_that_hangs_up_costs_one_request_and_is_not_asked_twice(house: Ostiary, two: Backends) -> None:
    """What a member may have acted on is not sent again: only the client knows whether that is safe."""
    door = make(house, two[:1])
    answers: list[int] = []
    with visiting(door.port) as ask:
        asking = threading.Thread(target=lambda: answers.append(ask("/hold", "POST").status))
        asking.start()
        eventually(lambda: ("POST", "/hold") in two[0].asked)
        two[0].hang_up()
        asking.join()
        assert answers == [503]
        assert two[0].asked.count(("POST", "/hold")) == 1
        assert ask().status == 200


# Nothing is lost or cut.


@contextmanager
def traffic(port: int) -> Iterator[Counter[int]]:
    """Requests without end on three kept connections; what they were answered is there when the block has ended."""
    stop, total, each = threading.Event(), Counter[int](), [Counter[int]() for _ in range(3)]

    def ask_on(counted: Counter[int]) -> None:
        with visiting(port) as ask:
            while not stop.is_set():
                counted[ask().status] += 1

    asking = [threading.Thread(target=ask_on, args=(counted,)) for counted in each]
    for thread in asking:
        thread.start()
    try:
        eventually(lambda: all(each))
        yield total
    finally:
        stop.set()
        for thread in asking:
            thread.join()
        for counted in each:
            total.update(counted)


def test_members_come_and_go_without_a_lost_request(house: Ostiary, three: Backends) -> None:
    door = make(house, three)
    a, b, c = ({"address": "127.0.0.1", "protocol_port": port} for port in ports(three))
    with traffic(door.port) as statuses:
        for members in [[a, b], [b, c], [c, a], [a], [{**b, "weight": 5}, c], [a, b, c]] * 2:
            house.call("PUT", f"{LB}/pools/{door.pool_id}/members", {"members": members})
            house.settle(door.balancer_id)
    assert set(statuses) == {200}
    eventually_passes(lambda: _equal(served(door.port, 30), {"a": 10, "b": 10, "c": 10}))


def test_a_new_default_pool_takes_over_without_a_lost_request(house: Ostiary, two: Backends) -> None:
    door = make(house, two[:1])
    with traffic(door.port) as statuses:
        for _ in range(3):
            pool_id = house.pool(door.balancer_id, two[1].port)
            house.change(door.id, default_pool_id=pool_id)
            served_by_only(door, "b")
            house.change(door.id, default_pool_id=door.pool_id)
            house.call("DELETE", f"{LB}/pools/{pool_id}")
            served_by_only(door, "a")
    assert set(statuses) == {200}


def test_a_request_under_way_is_finished_though_its_member_is_removed(house: Ostiary, two: Backends) -> None:
    door = make(house, two[:1])
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(_name(ask_once(door.port, "/hold"))))
    asking.start()
    eventually(lambda: two[0].asked)
    members = [{"address": "127.0.0.1", "protocol_port": two[1].port}]
    house.call("PUT", f"{LB}/pools/{door.pool_id}/members", {"members": members})
    served_by_only(door, "b")
    two[0].release()
    asking.join()
    assert answers == ["a"]


def test_websockets_pass(house: Ostiary, two: Backends) -> None:
    plain = make(house, two)
    assert echo_over_websocket(plain.port, "through HTTP") == "through HTTP"
    tls = make(house, two, protocol="TERMINATED_HTTPS")
    with TLSClient(tls.port, ca=house.server_ca).connect() as connection:
        assert connection.echo_over_websocket("through HTTPS") == "through HTTPS"


def echo_over_websocket(port: int, text: str) -> str:
    key = websocket.new_key()
    words = ("GET /ws HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}")
    with socket.create_connection(("127.0.0.1", port), 30) as raw, raw.makefile("rb") as stream:
        raw.sendall("\r\n".join((*words, "Sec-WebSocket-Version: 13", "", "")).encode())
        assert b" 101 " in stream.readline()
        while stream.readline().strip():
            continue  # Headers.
        raw.sendall(websocket.frame(text.encode(), masked=True))
        opcode, payload = websocket.read_frame(stream.read)
        assert opcode == websocket.TEXT
        return payload.decode()


def test_a_long_answer_is_not_cut_while_it_flows(house: Ostiary, two: Backends) -> None:
    """It takes several times as long as anyone may be silent."""
    door = make(house, two, timeout_member_data=500, timeout_client_data=500)
    with visiting(door.port) as ask:
        assert ask("/slow?pieces=40").body.decode().splitlines() == [f"piece {number}" for number in range(1, 41)]


@pytest.mark.parametrize("options", [["--http1.1"], ["--http1.1", "-H", "Transfer-Encoding: chunked"], ["--http2"]])
def test_large_bodies_pass_both_ways(house: Ostiary, two: Backends, tmp_path: Path, options: list[str]) -> None:
    door = make(house, two, protocol="TERMINATED_HTTPS")
    body = tmp_path / "body"
    body.write_bytes(b"0123456789abcdef" * (LARGE // 16))
    done = curl(f"https://localhost:{door.port}/", *options, "--data-binary", f"@{body}", ca=house.server_ca)
    assert (done.exit_code, done.status) == (0, 200)
    assert done.json()["body"].encode() == body.read_bytes()


def test_http2_carries_many_requests_at_once(house: Ostiary, two: Backends) -> None:
    door = make(house, two, protocol="TERMINATED_HTTPS")
    paths = [f"/{number}" for number in range(40)]
    answers = TLSClient(door.port, ca=house.server_ca).get_h2(*paths)
    assert [answer.json()["path"] for answer in answers] == paths
    assert {answer.json()["version"] for answer in answers} == {"HTTP/1.1"}
    assert {answer.json()["name"] for answer in answers} == {"a", "b"}


def test_a_connection_serves_many_requests(house: Ostiary, two: Backends) -> None:
    door = make(house, two, protocol="TERMINATED_HTTPS")
    with TLSClient(door.port, ca=house.server_ca).connect() as connection:
        assert [connection.get(f"/{number}").json()["path"] for number in range(50)] == [f"/{number}" for number in range(50)]
