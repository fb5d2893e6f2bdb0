"""A keeper, its real Envoy and a small control plane: what is published is served, whoever dies."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import grpc_service_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from google.protobuf import json_format

from ostiary.envoy import wire
from ostiary.envoy.resources import CLUSTER, ENDPOINT, LISTENER, SECRET, Resource, pack
from ostiary.gateway import client, lock, pids
from ostiary.gateway.client import Adopted, Started
from ostiary.paths import Paths
from ostiary.xds.stream import Rejection
from support.control_plane import ControlPlane
from support.ports import free_port
from support.processes import Running
from support.wait import eventually, eventually_passes

pytestmark = pytest.mark.live

StartProcess = Callable[..., Running]
ADS = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def saying(words: str, port: int, name: str = "listener/one", **more: Any) -> Resource:
    """A listener that answers every request with these words."""
    manager = hcm_pb2.HttpConnectionManager()
    reply = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": words}}}
    hosts = [{"name": "all", "domains": ["*"], "routes": [reply]}]
    router = {"@type": f"type.googleapis.com/{router_pb2.Router.DESCRIPTOR.full_name}"}
    json_format.ParseDict(
        {
            "stat_prefix": name,
            "route_config": {"virtual_hosts": hosts},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        },
        manager,
    )
    return listener(manager, port, name, **more)


def forwarding(to: str, port: int, name: str = "listener/one") -> Resource:
    """A listener that hands every request to a cluster."""
    manager = hcm_pb2.HttpConnectionManager()
    router = {"@type": f"type.googleapis.com/{router_pb2.Router.DESCRIPTOR.full_name}"}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": to}}]
    json_format.ParseDict(
        {
            "stat_prefix": name,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        },
        manager,
    )
    return listener(manager, port, name)


def listener(manager: Any, port: int, name: str, **more: Any) -> Resource:
    chain: dict[str, Any] = {"filters": [{"name": "envoy.filters.network.http_connection_manager"}], **more}
    message = json_format.ParseDict(
        {
            "name": name,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [chain],
            "enable_reuse_port": False,
        },
        listener_pb2.Listener(),
    )
    message.filter_chains[0].filters[0].typed_config.Pack(manager, deterministic=True)
    return pack(LISTENER, name, message)


def cluster(timeout: str, name: str = "pool/one") -> Resource:
    source = {"type": "EDS", "eds_cluster_config": {"eds_config": ADS}, "connect_timeout": timeout}
    return pack(CLUSTER, name, json_format.ParseDict({"name": name, **source}, cluster_pb2.Cluster()))


def endpoints(port: int, name: str = "pool/one") -> Resource:
    place = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    given = {"cluster_name": name, "endpoints": [{"lb_endpoints": [place]}]}
    return pack(ENDPOINT, name, json_format.ParseDict(given, endpoint_pb2.ClusterLoadAssignment()))


def said(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except http.client.HTTPException as err:
        raise ConnectionError(str(err)) from err
    finally:
        connection.close()


def says(port: int, words: str) -> Callable[[], bool]:
    return lambda: said(port) == words


def refusal(control: ControlPlane, resource: Resource) -> Rejection:
    eventually(lambda: resource.key in control.rejected)
    return control.rejected[resource.key]


def envoy_pid(paths: Paths) -> int:
    return int(json.loads(paths.envoy_pid.read_text())["pid"])


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """A data directory; whatever still runs on it is stopped afterwards."""
    found = Paths(tmp_path / "data")
    found.prepare()
    yield found
    client.stop(found.data_dir)
    if found.envoy_pid.exists():
        pid = envoy_pid(found)
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def control(paths: Paths) -> Iterator[ControlPlane]:
    with ControlPlane(paths.control_socket) as running:
        yield running


@pytest.fixture
def keep(paths: Paths, start_process: StartProcess) -> Callable[[], Running]:
    def start() -> Running:
        return start_process(
            sys.executable, "-m", "ostiary.gateway", "--data-dir", paths.data_dir, "--drain-seconds", 2, name="keeper"
        )

    return start


def test_what_is_published_is_served_and_so_is_a_change(control: ControlPlane, keep: Callable[[], Running]) -> None:
    port = free_port()
    control.publish(saying("one", port))
    keep()
    eventually(says(port, "one"))
    control.publish(saying("two", port))
    eventually(says(port, "two"))
    eventually(lambda: control.has([saying("two", port)]))


def test_a_listener_that_is_taken_away_is_gone(control: ControlPlane, keep: Callable[[], Running]) -> None:
    kept, gone = free_port(), free_port()
    control.publish(saying("kept", kept, "listener/kept"), saying("gone", gone, "listener/gone"))
    keep()
    eventually(says(gone, "gone"))
    control.publish(saying("kept", kept, "listener/kept"))
    eventually(lambda: control.has([saying("kept", kept, "listener/kept")]))

    def refused() -> bool:
        try:
            said(gone)
        except ConnectionError:
            return True
        return False

    eventually(refused)
    assert said(kept) == "kept"


def test_a_listener_that_envoy_rejects_says_why_and_the_old_one_goes_on(
    control: ControlPlane, keep: Callable[[], Running]
) -> None:
    port = free_port()
    control.publish(saying("good", port))
    keep()
    eventually(says(port, "good"))
    eventually(lambda: control.has([saying("good", port)]))  # else the refusal may overtake the news that this was accepted
    bad = saying("bad", port, filter_chain_match={"address_suffix": "10.0.0.0", "suffix_len": 8})
    control.publish(bad)
    words = refusal(control, bad)
    assert words.version == bad.version
    assert "listener/one" in words.message
    assert "unimplemented" in words.message
    assert said(port) == "good"
    assert control.accepted == {bad.key: saying("good", port).version}


def test_a_port_that_is_taken_is_named_and_used_once_it_is_free(control: ControlPlane, keep: Callable[[], Running]) -> None:
    port, other = free_port(), free_port()
    wanted = saying("mine now", port)
    with socket.create_server(("127.0.0.1", port)):
        control.publish(wanted, saying("other", other, "listener/other"))
        keep()
        words = refusal(control, wanted)
        assert f"127.0.0.1:{port}" in words.message
        assert "in use" in words.message
        eventually(says(other, "other"))
    eventually(says(port, "mine now"))
    eventually(lambda: not control.rejected and control.has([wanted, saying("other", other, "listener/other")]))


def test_a_port_that_is_taken_while_envoy_is_down_is_told(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    port = free_port()
    wanted = saying("mine", port)
    control.publish(wanted)
    keeper = keep()
    eventually(says(port, "mine"))
    eventually(lambda: control.has([wanted]))
    keeper.process.send_signal(signal.SIGSTOP)  # so that the port is surely taken before Envoy is started again
    os.kill(envoy_pid(paths), signal.SIGKILL)
    with eventually(lambda: socket.create_server(("127.0.0.1", port))):
        keeper.process.send_signal(signal.SIGCONT)
        assert "in use" in refusal(control, wanted).message
    eventually(says(port, "mine"))
    eventually(lambda: control.has([wanted]) and not control.rejected)


def test_an_envoy_that_is_killed_serves_again(control: ControlPlane, keep: Callable[[], Running], paths: Paths) -> None:
    port = free_port()
    control.publish(saying("steady", port))
    keep()
    eventually(says(port, "steady"))
    eventually(lambda: control.has([saying("steady", port)]))
    kill_envoy_and_see(port, "steady", paths)
    control.stop()
    kill_envoy_and_see(port, "steady", paths)


def kill_envoy_and_see(port: int, words: str, paths: Paths) -> None:
    before = envoy_pid(paths)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: envoy_pid(paths) != before and said(port) == words)


def test_a_keeper_and_envoy_that_are_killed_come_back_without_a_control_plane(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    port = free_port()
    control.publish(saying("kept on disk", port))
    keeper = keep()
    eventually(says(port, "kept on disk"))
    eventually(lambda: control.has([saying("kept on disk", port)]))
    control.stop()
    keeper.kill()
    os.kill(envoy_pid(paths), signal.SIGKILL)
    assert b"kept on disk" not in paths.last_good.read_bytes()
    keep()
    eventually(says(port, "kept on disk"))


def test_a_keeper_that_is_killed_is_not_noticed_and_its_envoy_is_adopted(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    port = free_port()
    control.publish(saying("before", port))
    keeper = keep()
    eventually(says(port, "before"))
    eventually(lambda: control.has([saying("before", port)]))
    pid = envoy_pid(paths)
    keeper.kill()
    eventually(lambda: not control.connected)
    assert said(port) == "before"
    keep()
    eventually(lambda: control.has([saying("before", port)]))
    assert envoy_pid(paths) == pid
    control.publish(saying("after", port))
    eventually(says(port, "after"))
    assert envoy_pid(paths) == pid
    assert psutil.pid_exists(pid)


def test_an_adopted_envoy_keeps_its_configuration_when_what_was_kept_is_lost(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    port = free_port()
    control.publish(saying("still here", port))
    keeper = keep()
    eventually(lambda: control.has([saying("still here", port)]))
    control.stop()
    keeper.kill()
    paths.last_good.write_bytes(b"damaged")
    again = keep()
    again.says("adopted Envoy")
    again.says("cannot be read")
    assert said(port) == "still here"
    with ControlPlane(paths.control_socket) as back:
        back.publish(saying("still here", port))
        eventually(lambda: back.has([saying("still here", port)]))
        back.publish()
        eventually(lambda: back.has([]))


def test_an_envoy_that_was_started_elsewhere_is_drained_and_started_anew_where_it_can_tell_of_requests(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    """As by a version that told of them in another way: its successor's listeners would have it write to no file of ours."""
    port = free_port()
    control.publish(saying("one", port))
    keeper = keep()
    eventually(says(port, "one"))
    ours = psutil.Process(envoy_pid(paths))
    words = ours.cmdline()
    keeper.kill()
    ours.kill()
    eventually(lambda: not psutil.pid_exists(ours.pid) or ours.status() == psutil.STATUS_ZOMBIE)
    with paths.envoy_log.open("ab") as log, subprocess.Popen(words, cwd="/", stdout=log, stderr=log) as elsewhere:
        pids.write(paths.envoy_pid, elsewhere.pid)
        try:
            eventually(paths.admin_socket.exists)
            again = keep()
            again.says("it is drained and started anew")
            eventually(says(port, "one"))
            assert elsewhere.wait(20) == 0
            assert Path(f"/proc/{envoy_pid(paths)}/cwd").samefile(paths.gateway)
        finally:
            elsewhere.kill()


def test_a_last_good_configuration_that_tells_of_requests_as_before_is_served_and_what_nobody_hears_is_said(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    """Its listeners name a cluster that is no longer spoken to."""
    port = free_port()
    before = logs_service_pb2.OpenTelemetryAccessLogConfig()
    grpc_service = grpc_service_pb2.GrpcService(envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name="access-log"))
    before.MergeFromString(wire.field(9, grpc_service))  # `grpc_service`, which xds-protos does not know yet
    one = saying("one", port)
    message = listener_pb2.Listener.FromString(one.body)
    log = message.access_log.add(name="envoy.access_loggers.open_telemetry")
    log.typed_config.Pack(before)
    control.publish(pack(LISTENER, one.name, message))
    keeper = keep()
    eventually(says(port, "one"))
    assert not control.rejected
    control.stop()
    keeper.kill()
    os.kill(envoy_pid(paths), signal.SIGKILL)
    keep()
    eventually(says(port, "one"))
    eventually(lambda: '"ostiary.lost.count"' in paths.access_log.read_text())


def test_a_control_plane_that_comes_back_sends_nothing_again(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    port = free_port()
    control.publish(saying("same", port))
    keeper = keep()
    eventually(lambda: control.has([saying("same", port)]))
    control.stop()
    keeper.says("the control plane is gone")
    assert said(port) == "same"
    with ControlPlane(paths.control_socket) as back:
        # It has not published yet: that must not be taken for "nothing is wanted".
        eventually(lambda: back.connected)
        back.publish(saying("same", port))
        eventually(lambda: back.has([saying("same", port)]))
        assert back.sent == []
        back.publish(saying("next", port))
        eventually(says(port, "next"))
        assert len(back.sent) == 1


def test_what_was_taken_away_while_the_keeper_was_alone_is_taken_away_later(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    one, two = free_port(), free_port()
    control.publish(saying("one", one, "listener/one"), saying("two", two, "listener/two"))
    keep()
    eventually(lambda: len(control.accepted) == 2)
    control.stop()
    with ControlPlane(paths.control_socket) as back:
        back.publish(saying("two", two, "listener/two"))
        eventually(lambda: back.has([saying("two", two, "listener/two")]))
        with pytest.raises(ConnectionError):
            said(one)


def test_a_cluster_that_changes_keeps_its_members(control: ControlPlane, keep: Callable[[], Running], backend: Any) -> None:
    port = free_port()
    control.publish(cluster("1s"), endpoints(backend.port), forwarding("pool/one", port))
    keep()
    eventually(lambda: len(control.accepted) == 3)
    eventually(lambda: said(port) != "no healthy upstream" and said(port))
    changed = [cluster("2s"), endpoints(backend.port), forwarding("pool/one", port)]
    control.publish(*changed)
    eventually(lambda: control.has(changed))
    assert "no healthy upstream" not in said(port)


def test_a_secret_that_envoy_rejects_does_not_show_its_key(
    control: ControlPlane, keep: Callable[[], Running], paths: Paths
) -> None:
    port = free_port()
    key = b"-----BEGIN PRIVATE KEY-----\nVERYSECRET\n-----END PRIVATE KEY-----\n"
    secret = secret_pb2.Secret(name="identity/one")
    secret.tls_certificate.certificate_chain.inline_bytes = b"no certificate"
    secret.tls_certificate.private_key.inline_bytes = key
    secret.tls_certificate.ocsp_staple.inline_bytes = b"x"
    secret.tls_certificate.signed_certificate_timestamp.add().environment_variable = ""  # breaks a rule of the message
    broken = pack(SECRET, "identity/one", secret)
    context = tls_pb2.DownstreamTlsContext()
    one = json_format.ParseDict({"name": "identity/one", "sds_config": ADS}, secret_pb2.SdsSecretConfig())
    context.common_tls_context.tls_certificate_sds_secret_configs.append(one)
    message = listener_pb2.Listener.FromString(saying("tls", port).body)
    message.filter_chains[0].transport_socket.name = "envoy.transport_sockets.tls"
    message.filter_chains[0].transport_socket.typed_config.Pack(context)
    control.publish(broken, pack(LISTENER, "listener/one", message))
    keeper = keep()
    words = refusal(control, broken)
    assert words.message
    assert "VERYSECRET" not in words.message
    assert "SignedCertificateTimestamp" in words.message
    keeper.says("refused by the gateway")
    assert "VERYSECRET" not in keeper.output()
    assert "VERYSECRET" not in paths.envoy_log.read_text()


def test_members_and_counters_are_reported(
    control: ControlPlane, keep: Callable[[], Running], backend: Any, paths: Paths
) -> None:
    port = free_port()
    control.publish(cluster("1s"), endpoints(backend.port), forwarding("pool/one", port))
    keep()
    eventually(lambda: len(control.accepted) == 3)
    said(port)

    def told() -> None:
        report = control.reports[-1]
        assert report.get("version") == "1.40.0"  # the first report may be from before Envoy answered
        assert report["pid"] == envoy_pid(paths)
        assert report["restarts"] == 0
        assert report["members"] == {"pool/one": {f"127.0.0.1:{backend.port}": "healthy"}}
        counted = report["listeners"]["listener/one"]
        assert counted["total_connections"] >= 1
        assert counted["bytes_out"] > 0

    eventually(lambda: control.reports)
    eventually_passes(told)


def test_stopping_drains_and_leaves_nothing_behind(control: ControlPlane, keep: Callable[[], Running], paths: Paths) -> None:
    port = free_port()
    control.publish(saying("bye", port))
    keeper = keep()
    eventually(says(port, "bye"))
    pid = envoy_pid(paths)
    held = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    held.request("GET", "/")
    held.getresponse().read()
    keeper.process.send_signal(signal.SIGTERM)
    keeper.says("stopping")
    eventually(lambda: asked_to_close(held))
    held.close()
    assert keeper.wait() == 0
    assert not psutil.pid_exists(pid)
    assert not lock.is_held(paths)
    assert not paths.envoy_pid.exists()
    assert not paths.keeper_pid.exists()


def asked_to_close(held: http.client.HTTPConnection) -> bool:
    held.request("GET", "/")
    answer = held.getresponse()
    assert answer.read() == b"bye"
    return answer.getheader("connection") == "close"


def test_a_second_keeper_refuses(control: ControlPlane, keep: Callable[[], Running]) -> None:
    control.publish()
    first = keep()
    first.says("started Envoy")
    second = keep()
    assert second.wait() == 1
    assert "a gateway already runs on" in second.output()
    assert f"process {first.pid}" in second.output()
    assert first.is_alive


def test_the_client_starts_adopts_and_stops(control: ControlPlane, paths: Paths) -> None:
    port = free_port()
    control.publish(saying("detached", port))
    assert not client.alive(paths.data_dir)
    started = client.ensure_running(paths.data_dir, drain_seconds=1, workers=3)
    assert isinstance(started, Started)
    assert client.ensure_running(paths.data_dir) == Adopted(started.pid)
    assert client.alive(paths.data_dir)
    eventually(says(port, "detached"))
    pid = envoy_pid(paths)
    threads = [thread.read_text() for thread in Path(f"/proc/{pid}/task").glob("*/comm")]
    assert sum(name.startswith("wrk:worker_") for name in threads) == 3
    assert client.stop(paths.data_dir)
    assert not client.alive(paths.data_dir)
    assert not client.stop(paths.data_dir)
    assert not psutil.pid_exists(pid)
    assert subprocess.run(["pgrep", "-f", str(paths.data_dir)], capture_output=True, check=False).stdout == b""


def test_only_the_owner_reaches_sockets_and_files(control: ControlPlane, keep: Callable[[], Running], paths: Paths) -> None:
    control.publish(saying("private", free_port()))
    keep()
    eventually(lambda: control.accepted and paths.last_good.exists())
    for folder in (paths.run, paths.gateway, paths.logs):
        assert folder.stat().st_mode & 0o777 == 0o700
    for file in (paths.control_socket, paths.keeper_socket, paths.admin_socket, paths.gateway_key, paths.last_good):
        assert file.stat().st_mode & 0o777 == 0o600
