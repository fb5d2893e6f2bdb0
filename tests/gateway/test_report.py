"""What a keeper reports, from what Envoy's admin interface says."""

import re
from typing import Any

import pytest

from ostiary.gateway import report


def host(address: str, port: int, **health: Any) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": address, "port_value": port}}, "health_status": health}


@pytest.mark.parametrize(
    ("health", "told"),
    [
        ({"eds_health_status": "HEALTHY"}, "healthy"),
        ({"eds_health_status": "HEALTHY", "failed_active_health_check": True}, "unhealthy"),
        ({"eds_health_status": "HEALTHY", "failed_active_health_check": True, "pending_active_hc": True}, "pending"),
        ({"eds_health_status": "HEALTHY", "failed_outlier_check": True}, "unhealthy"),
        ({"eds_health_status": "DRAINING"}, "draining"),
    ],
)
def test_how_a_member_is(health: dict[str, Any], told: str) -> None:
    clusters = [
        {"name": "pool/a", "host_statuses": [host("10.0.0.1", 80, **health), host("::1", 81, **health)]},
        {"name": "keeper"},
    ]
    assert report.members({"cluster_statuses": clusters}) == {"pool/a": {"10.0.0.1:80": told, "[::1]:81": told}}


def test_a_listener_counts_what_its_address_and_its_traffic_count() -> None:
    listening = {
        "listener_statuses": [
            {"name": "listener/a", "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 8443}}},
            {"name": "listener/b", "local_address": {"socket_address": {"address": "::1", "port_value": 80}}},
        ]
    }
    counted = {
        "listener.127.0.0.1_8443.downstream_cx_active": 2,
        "listener.127.0.0.1_8443.downstream_cx_total": 7,
        "http.listener/a.downstream_cx_rx_bytes_total": 10,
        "http.listener/a.downstream_cx_tx_bytes_total": 20,
        "http.listener/a.downstream_rq_4xx": 1,
        "http.listener/a.downstream_rq_5xx": 2,
        "listener.[__1]_80.downstream_cx_total": 3,
        "tcp.listener/b.downstream_cx_rx_bytes_total": 5,
        "tcp.listener/b.downstream_cx_total": 3,
        "listener.127.0.0.1_8443.ssl.handshake": 6,
        "listener.127.0.0.1_8443.ssl.connection_error": 1,
        "listener.127.0.0.1_8443.ssl.fail_verify_error": 2,
        "listener.127.0.0.1_8443.ssl.fail_verify_no_cert": 4,
        "http.listener/a.downstream_rq_total": 9,
        "http.listener/a.rq_total": 5,
    }
    octavia = ("active_connections", "total_connections", "bytes_in", "bytes_out", "request_errors")
    names = (*octavia, "handshakes", "failed_handshakes", "requests", "admitted")
    assert all(re.match(report.COUNTED, name) for name in counted)
    assert report.listeners(listening, counted) == {
        "listener/a": dict(zip(names, (2, 7, 10, 20, 3, 6, 7, 9, 5), strict=True)),
        "listener/b": dict(zip(names, (0, 3, 5, 0, 0, 0, 0, 3, 3), strict=True)),
    }


@pytest.mark.parametrize(("said", "seconds"), [("4s", 4.0), ("0.5s", 0.5), (None, None), ("later", None)])
def test_how_long_envoy_has_run(said: str | None, seconds: float | None) -> None:
    assert report.seconds(said) == seconds


def test_memory_is_told_with_its_bound_and_what_is_done_against_more() -> None:
    counted = {
        "server.memory_allocated": 900,
        "overload.envoy.overload_actions.reset_high_memory_stream.scale_percent": 15,
        "overload.envoy.overload_actions.stop_accepting_requests.scale_percent": 0,
    }
    assert report.memory(counted, 1000) == {"limit": 1000, "used": 900, "acting": {"reset_high_memory_stream": 15}}
    assert report.memory(counted, None) is None, "an Envoy that was started before there were bounds"
