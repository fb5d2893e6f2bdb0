"""Nothing that dies takes traffic or acknowledged changes with it: control plane, keeper, Envoy, one at a time and together."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ostiary.gateway import client as gateway
from support.backend import Backend
from support.certs import Authority, Leaf
from support.ports import free_port, is_free
from support.processes import Running
from support.stack import LB, PROGRAM, Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.traffic import Traffic
from support.wait import eventually

pytestmark = pytest.mark.live

StartProcess = Callable[..., Running]


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Survival root")


@pytest.fixture(scope="module")
def alice(ca: Authority) -> Leaf:
    return ca.client("alice")


@pytest.fixture
def ostiary(tmp_path: Path, start_process: StartProcess) -> Iterator[Ostiary]:
    with Ostiary(tmp_path, start_process) as running:
        yield running


@pytest.fixture
def door(ostiary: Ostiary, backend: Backend, ca: Authority) -> Door:
    return ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem))


@pytest.fixture
def client(ostiary: Ostiary, door: Door, alice: Leaf, tmp_path: Path) -> TLSClient:
    paths = alice.write(tmp_path, "alice")
    return TLSClient(door.port, ca=ostiary.server_ca, cert=paths.chain, key=paths.key)


def pid_in(file: Path) -> int:
    """The process a pid file names."""
    return int(json.loads(file.read_text())["pid"])


def test_a_control_plane_that_is_killed_fails_no_request_and_goes_on_where_it_was(
    ostiary: Ostiary, door: Door, client: TLSClient
) -> None:
    envoy = pid_in(ostiary.data_dir / "run" / "envoy.pid")
    with Traffic(client) as traffic:
        assert ostiary.process is not None
        ostiary.process.kill()
        traffic.goes_on()
        ostiary.start()
        traffic.goes_on()
        # Adopted, not started anew; and the next change is applied.
        assert pid_in(ostiary.data_dir / "run" / "envoy.pid") == envoy
        ostiary.change(door.id, insert_headers={"X-Forwarded-Port": "true"})
        eventually(lambda: "x-forwarded-port" in _seen(client))
        traffic.goes_on()
    assert traffic.failures == []
    with pytest.raises(Refused):
        client.without_certificate().get("/")


def test_a_killed_envoy_is_back_with_the_same_configuration(ostiary: Ostiary, client: TLSClient) -> None:
    file = ostiary.data_dir / "run" / "envoy.pid"
    before = pid_in(file)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pid_in(file) != before)  # A killed process may still answer once before it is gone.
    eventually(lambda: _admits(client))
    with pytest.raises(Refused):
        client.without_certificate().get("/")


def test_a_killed_envoy_is_back_also_while_the_control_plane_is_down(ostiary: Ostiary, door: Door, client: TLSClient) -> None:
    assert ostiary.process is not None
    ostiary.process.kill()
    file = ostiary.data_dir / "run" / "envoy.pid"
    before = pid_in(file)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pid_in(file) != before)
    eventually(lambda: _admits(client))
    with pytest.raises(Refused):
        client.without_certificate().get("/")
    ostiary.start()
    ostiary.change(door.id, client_authentication="NONE")
    eventually(lambda: client.without_certificate().get("/").status == 200)


def test_everything_killed_at_once_comes_back_from_disk_alone(ostiary: Ostiary, client: TLSClient, tmp_path: Path) -> None:
    """Keeper and Envoy gone, control plane gone: a keeper alone serves the last accepted configuration."""
    assert ostiary.process is not None
    run = ostiary.data_dir / "run"
    keeper, envoy = psutil.Process(pid_in(run / "keeper.pid")), psutil.Process(pid_in(run / "envoy.pid"))
    ostiary.process.kill()
    for process in (keeper, envoy):
        process.kill()
        eventually(lambda gone=process: not gone.is_running() or gone.status() == psutil.STATUS_ZOMBIE)  # type: ignore[misc]
    eventually(lambda: is_free(client.port))  # The kernel takes a moment to close what all its threads held.
    alone = ostiary.launch(
        PROGRAM.with_name("python"), "-m", "ostiary.gateway", "--data-dir", ostiary.data_dir, folder=tmp_path, name="keeper"
    )
    eventually(lambda: _admits(client))
    with pytest.raises(Refused):
        client.without_certificate().get("/")
    assert alone.is_alive
    ostiary.start()
    assert alone.is_alive  # adopted


def test_a_killed_keeper_is_replaced_without_a_failed_request(ostiary: Ostiary, door: Door, client: TLSClient) -> None:
    run = ostiary.data_dir / "run"
    envoy, keeper = pid_in(run / "envoy.pid"), pid_in(run / "keeper.pid")
    with Traffic(client) as traffic:
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: pid_in(run / "keeper.pid") != keeper)
        ostiary.change(door.id, insert_headers={"X-Forwarded-Port": "true"})
        eventually(lambda: "x-forwarded-port" in _seen(client))
        assert pid_in(run / "envoy.pid") == envoy
        traffic.goes_on()
    assert traffic.failures == []


def test_stopping_leaves_no_process_and_no_open_port(ostiary: Ostiary, client: TLSClient) -> None:
    run = ostiary.data_dir / "run"
    ours = [psutil.Process(pid_in(run / name)) for name in ("keeper.pid", "envoy.pid")]
    assert ostiary.process is not None
    assert ostiary.process.stop() == 0
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in ours)
    with pytest.raises(ConnectionRefusedError):
        client.get("/")


def test_a_gateway_that_is_left_serves_through_a_restart_and_ends_when_told(
    tmp_path: Path, start_process: StartProcess, backend: Backend, ca: Authority, alice: Leaf
) -> None:
    def leaving(*words: object, **options: Any) -> Running:
        return start_process(*words, "--leave-gateway", **options)

    with Ostiary(tmp_path, leaving) as ostiary:
        door = ostiary.door(
            backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem)
        )
        paths = alice.write(tmp_path, "alice")
        client = TLSClient(door.port, ca=ostiary.server_ca, cert=paths.chain, key=paths.key)
        with Traffic(client) as traffic:
            ostiary.stop()
            traffic.goes_on()
            ostiary.start()
            traffic.goes_on()
        assert traffic.failures == []
        down = start_process(PROGRAM, "down", "--data-dir", ostiary.data_dir, name="down")
        assert down.wait(60) == 0
        assert "Stopped the control plane and the gateway." in down.output()
        with pytest.raises(ConnectionRefusedError):
            client.get("/")
        again = start_process(PROGRAM, "down", "--data-dir", ostiary.data_dir, name="again")
        assert again.wait(60) == 0
        assert "Nothing runs" in again.output()


def test_a_second_ostiary_on_the_same_folder_is_refused_with_a_clear_line(ostiary: Ostiary, start_process: StartProcess) -> None:
    second = start_process(PROGRAM, "up", "--data-dir", ostiary.data_dir, "--listen", "127.0.0.1:0", name="second")
    assert second.wait() == 1
    (line,) = second.output().strip().splitlines()
    assert "another ostiary" in line
    assert str(ostiary.data_dir) in line
    assert ostiary.call("GET", "/healthz")


@pytest.mark.parametrize("after", [3, 17, 40])
def test_killed_while_writing_everything_acknowledged_is_there_and_the_record_is_whole(
    ostiary: Ostiary, tmp_path: Path, after: int
) -> None:
    """SIGKILL after so many acknowledged writes, while more are under way from several clients."""
    acknowledged: set[str] = set()
    stop = threading.Event()

    def write(client: int) -> None:
        token = (ostiary.data_dir / "admin.token").read_text()
        with httpx.Client(base_url=f"http://{ostiary.listen}", headers={"X-Auth-Token": token}, trust_env=False) as api:
            for number in range(10_000):
                if stop.is_set():
                    return
                name = f"writer-{client}-{number}"
                body: dict[str, Any] = {"loadbalancer": {"name": name, "vip_address": "127.0.0.1"}}
                try:
                    if api.post(f"{LB}/loadbalancers", json=body).status_code == 201:
                        acknowledged.add(name)
                except httpx.TransportError:
                    return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    eventually(lambda: len(acknowledged) >= after)
    assert ostiary.process is not None
    ostiary.process.kill()
    stop.set()
    for writer in writers:
        writer.join()
    ostiary.start()
    names = {balancer["name"] for balancer in ostiary.call("GET", f"{LB}/loadbalancers?limit=0")["loadbalancers"]}
    assert acknowledged <= names
    verification = ostiary.call("GET", "/v1/audit/verify")["verification"]
    assert verification["problem"] is None
    assert ostiary.revision() == len(names)
    on_record = ostiary.call("GET", "/v1/audit?action=loadbalancer:create&limit=1000")["audit"]
    assert len(on_record) == len(names)
    assert tmp_path.exists()


def _admits(client: TLSClient) -> bool:
    try:
        return client.get("/").status == 200
    except Refused:
        return False


def _seen(client: TLSClient) -> dict[str, Any]:
    """The headers the backend was sent, in small letters."""
    return dict(client.get("/").json()["headers"])


def test_when_the_data_directory_is_taken_away_the_control_plane_stops_and_starts_no_other_gateway(tmp_path: Path) -> None:
    house = Ostiary(tmp_path).start()
    process = house.process
    assert process is not None
    moved = tmp_path / "moved"
    house.data_dir.rename(moved)
    try:
        eventually(lambda: not process.is_alive)
        assert "was removed or replaced while we ran on it" in process.output()
        assert not house.data_dir.exists()
    finally:
        assert gateway.stop(moved)  # which serves on


def start_that_fails(data_dir: Path, start_process: StartProcess) -> Running:
    """An ostiary that finds a folder where its socket belongs: when it comes to that, a gateway was started for it."""
    (data_dir / "run" / "api.sock").mkdir(parents=True, exist_ok=True)
    door = ("--enroll-listen", f"127.0.0.1:{free_port()}", "--enroll-name", "door.example")
    return start_process(PROGRAM, "up", "--data-dir", data_dir, "--listen", f"127.0.0.1:{free_port()}", *door)


def test_a_start_that_fails_leaves_no_gateway_behind(tmp_path: Path, start_process: StartProcess) -> None:
    process = start_that_fails(tmp_path / "data", start_process)
    assert process.wait() == 1
    assert (tmp_path / "data" / "logs" / "keeper.log").exists()  # It had been started.
    assert not gateway.alive(tmp_path / "data")


def test_a_start_that_fails_leaves_the_gateway_alone_that_was_there(tmp_path: Path, start_process: StartProcess) -> None:
    gateway.ensure_running(tmp_path / "data")
    try:
        assert start_that_fails(tmp_path / "data", start_process).wait() == 1
        assert gateway.alive(tmp_path / "data")
    finally:
        assert gateway.stop(tmp_path / "data")
