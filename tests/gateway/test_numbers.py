"""What a keeper reads of its Envoy's numbers, and that it tells no more of them than what is new."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ostiary.gateway import numbers
from ostiary.gateway.numbers import Numbers, Told
from ostiary.model.numbers import COUNTERS, GAUGES, MOST_LISTENERS

# As Envoy 1.40 writes it.
LATENCY = """\
# TYPE envoy_http_downstream_rq_time histogram
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="admin",le="0.5"} 15
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="listener/a",le="0.5"} 3
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="listener/a",le="60000"} 7
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="listener/a",le="3600000"} 8
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="listener/a",le="+Inf"} 8
envoy_http_downstream_rq_time_sum{envoy_http_conn_manager_prefix="listener/a"} 8.1935987509758003710658158524893
envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="listener/a"} 8
envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="listener/b"} 1e+06
"""
COUNTED = {
    "listener.127.0.0.1_8443.downstream_cx_active": 2,
    "listener.127.0.0.1_8443.downstream_cx_total": 7,
    "listener.127.0.0.1_8443.ssl.handshake": 6,
    "listener.127.0.0.1_8443.ssl.fail_verify_no_cert": 4,
    "listener.127.0.0.1_8443.ssl.certificate.identity/x.expiration_unix_time_seconds": 2_000_000_000,
    "listener.127.0.0.1_8443.ssl.certificate.identity/y.expiration_unix_time_seconds": 1_900_000_000,
    "http.listener/a.downstream_cx_rx_bytes_total": 10,
    "http.listener/a.downstream_cx_tx_bytes_total": 20,
    "http.listener/a.downstream_cx_drain_close": 1,
    "http.listener/a.downstream_rq_total": 9,
    "http.listener/a.downstream_rq_2xx": 5,
    "http.listener/a.downstream_rq_5xx": 2,
    "http.listener/a.rq_total": 5,
    "connection_limit.listener/a.limited_connections": 3,
    "tcp.listener/b.downstream_cx_total": 4,
    "tcp.listener/b.downstream_cx_rx_bytes_total": 5,
    "listener_manager.total_listeners_draining": 1,
    "access_logs.open_telemetry_access_log.logs_dropped": 0,
}
# Trusted certificates end too, but are not the listener's own; and workers count what the listener does.
OTHERS = (
    "listener.127.0.0.1_8443.ssl.certificate.trust/x.expiration_unix_time_seconds",
    "listener.127.0.0.1_8443.worker_0.downstream_cx_total_x",
    "http.admin.downstream_rq_total",
    "http.listener/a.rds.route/a.update_success",
    "cluster.pool/x.upstream_rq_2xx",
)


def test_a_listener_has_what_its_address_and_its_traffic_count() -> None:
    listening = {
        "listener_statuses": [
            {"name": "listener/a", "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 8443}}},
            {"name": "listener/b", "local_address": {"socket_address": {"address": "::1", "port_value": 80}}},
            {"name": "inside", "local_address": {"pipe": {"path": "/run/x"}}},
        ]
    }
    found = numbers.of_listeners(listening, COUNTED, numbers.read_latency(LATENCY))
    a, b = ({name: value for name, value in zip(COUNTERS, found[one][0], strict=True) if value} for one in "ab")
    assert a == {
        "connections": 7,
        "connections_limited": 3,
        "connections_drained": 1,
        "received_bytes": 10,
        "sent_bytes": 20,
        "handshakes": 6,
        "failed_fail_verify_no_cert": 4,
        "requests": 9,
        "admitted": 5,
        "responses_2xx": 5,
        "responses_5xx": 2,
        "latency_0.5": 3,
        "latency_60000": 7,
        "latency_count": 8,
        "latency_sum": 8.1935987509758,
    }
    assert b == {"requests": 4, "admitted": 4, "received_bytes": 5, "latency_count": 1_000_000}
    assert dict(zip(GAUGES, found["a"][1], strict=True)) == {"connections_active": 2, "certificate_ends": 1_900_000_000}
    assert found.keys() == {"a", "b"}


def test_what_was_let_go_of_is_told_of_all_listeners_of_clients_together() -> None:
    counted = {
        "envoy.overload_actions.reset_high_memory_stream.count": 7,
        "http.listener/a.downstream_rq_overload_close": 2,
        "http.listener/b.downstream_rq_overload_close": 3,
        "listener.0.0.0.0_443.downstream_global_cx_overflow": 4,
        "listener.admin.downstream_global_cx_overflow": 100,
    }
    assert numbers.shed(counted) == {"streams_reset": 7, "requests_refused": 5, "connections_refused": 4}
    assert numbers.shed({}) == {"streams_reset": 0, "requests_refused": 0, "connections_refused": 0}


def test_only_what_is_read_is_asked_for() -> None:
    assert [name for name in COUNTED if not re.search(numbers._FILTER, name)] == []
    assert [name for name in OTHERS if re.search(numbers._FILTER, name)] == []


def counts(value: float) -> Told:
    return (value,) * len(COUNTERS), (value,) * len(GAUGES)


def heard(messages: list[dict[str, Any]], known: dict[str, Told]) -> dict[str, Told]:
    """What the other side knows after these."""
    for one in messages:
        known = {**known, **one["listeners"]}
        known = {name: told for name, told in known.items() if name not in one["gone"]}
    return known


@given(
    rounds=st.lists(
        st.tuples(st.booleans(), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4), st.booleans()),
        max_size=12,
    )
)
def test_the_other_side_always_knows_what_is_counted_and_hears_nothing_twice(rounds: list[tuple[bool, Any, bool]]) -> None:
    book, known, run, last = Numbers(), dict[str, Told](), 1, 0
    for is_another, told, arrives in rounds:
        run += is_another
        counted = {name: counts(value) for name, value in told.items()}
        messages = list(book.news(run, 1.0, counted))
        assert messages
        if not arrives:
            continue
        if run != last:
            known, last = {}, run  # another Envoy's numbers say nothing about those of this one
        assert all(known.get(name) != value for one in messages for name, value in one["listeners"].items())
        for one in messages:
            book.taken(one)
        known = heard(messages, known)
        assert known == counted


def test_many_are_told_in_several_messages() -> None:
    counted = {f"l{number}": counts(1) for number in range(MOST_LISTENERS + 1)}
    messages = list(Numbers().news(1, 1.0, counted))
    assert [len(one["listeners"]) for one in messages] == [MOST_LISTENERS, 1]
    assert heard(messages, {}) == counted
