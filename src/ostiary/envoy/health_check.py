"""How members are asked whether they can serve."""

from typing import Any, Final

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.type.v3 import http_pb2, range_pb2
from google.protobuf import struct_pb2

from ostiary.envoy import wire
from ostiary.model.health import HealthMonitor, status_ranges
from ostiary.model.pool import Pool

# Picks the TLS transport socket that `cluster` offers under this mark, for monitors of type HTTPS on a pool without TLS.
TLS_MARK: Final = "ostiary.tls_monitor"


def health_check(monitor: HealthMonitor, pool: Pool) -> Any:
    """The monitor's message (HealthCheck)."""
    message = health_check_pb2.HealthCheck(
        interval=wire.seconds(monitor.delay),
        # Envoy asks a pool without traffic once a minute only, unless told.
        no_traffic_interval=wire.seconds(monitor.delay),
        timeout=wire.seconds(monitor.timeout),
        healthy_threshold=wire.number(monitor.max_retries),
        unhealthy_threshold=wire.number(monitor.max_retries_down),
    )
    if monitor.type == "TCP":
        message.tcp_health_check.SetInParent()
    else:
        message.http_health_check.CopyFrom(_http(monitor))
    if needs_own_tls(monitor, pool):
        message.transport_socket_match_criteria.CopyFrom(mark())
    return message


def needs_own_tls(monitor: HealthMonitor | None, pool: Pool) -> bool:
    """Whether members are asked over TLS although their traffic is not."""
    return monitor is not None and monitor.type == "HTTPS" and not pool.tls_enabled


def mark() -> Any:
    """What a health check says, and the TLS transport socket answers to."""
    return struct_pb2.Struct(fields={TLS_MARK: struct_pb2.Value(bool_value=True)})


def _http(monitor: HealthMonitor) -> Any:
    return health_check_pb2.HealthCheck.HttpHealthCheck(
        host=monitor.domain_name or "",
        path=monitor.url_path,
        method=base_pb2.RequestMethod.Value(monitor.http_method),
        expected_statuses=[range_pb2.Int64Range(start=first, end=end) for first, end in status_ranges(monitor.expected_codes)],
        codec_client_type=http_pb2.HTTP1,
    )
