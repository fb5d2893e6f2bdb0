"""How much an Envoy may take on, and what it lets go of, in which order, when that becomes too much.

Those who hold most lose it first, then those who do nothing, then those who come anew (docs/decisions/0035-a-bound-on-memory.md).
No check is skipped for it: whatever is let through was judged as always, and the rest is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

from envoy.config.overload.v3 import overload_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2
from envoy.extensions.resource_monitors.fixed_heap.v3 import fixed_heap_pb2

from ostiary.envoy import wire

HEAP: Final = "envoy.resource_monitors.fixed_heap"
CONNECTIONS: Final = "envoy.resource_monitors.global_downstream_max_connections"
ACTION: Final = "envoy.overload_actions."

# Envoy looks so often (its own: each second). At 1 GB/s, a quarter of a GB more than the bound may be there before it acts. What
# it costs a request, with the accounts of what streams hold, could not be told from the noise (0.99 to 1.03 times).
_LOOK: Final = 250  # milliseconds
# Envoy resets at most 50 streams of a worker each time the share changes, and the share ends at 1: above that, it would stand
# still at 1 and reset nobody any more. So Envoy is told of twice as much, and all shares are halved.
_TOLD: Final = 2

# Each action, and from which share of the heap it begins; up to which it grows, for those that do.
_RESET: Final = (0.70, 2.00)  # the streams that hold most: the only thing that helps against many that nobody reads
_SHORTEN: Final = (0.75, 0.95)  # timeouts of those who do nothing, over HTTP/1.1 too, where no stream can be reset
_THRESHOLDS: Final = {
    "shrink_heap": 0.75,  # what is free goes back to the system
    "disable_http_keepalive": 0.90,  # connections end when they have nothing to do
    "stop_accepting_requests": 0.95,  # 503
    "stop_accepting_connections": 0.98,  # they wait in the kernel
}
# Streams are sorted by what they hold, into eight classes from this power of two on; the highest, from 2 to the power of this and
# seven more, is eligible as soon as anybody is. A stream that nobody reads holds 0.2 MiB or more, and so is in it.
_SMALLEST_CLASS: Final = 10
_SHORTEST: Final = {
    "HTTP_DOWNSTREAM_CONNECTION_IDLE": 2,
    "HTTP_DOWNSTREAM_STREAM_IDLE": 5,
    "HTTP_DOWNSTREAM_STREAM_FLUSH": 5,
    "TRANSPORT_SOCKET_CONNECT": 5,
}  # seconds

_Manager: Final = overload_pb2.OverloadManager
_Action: Final = overload_pb2.OverloadAction
_Timers: Final = overload_pb2.ScaleTimersOverloadActionConfig


def overload_manager(max_heap: int, max_connections: int) -> Any:
    """OverloadManager. `max_heap` in octets; `max_connections` of clients, over all listeners together."""
    return _Manager(
        refresh_interval=wire.milliseconds(_LOOK),
        resource_monitors=[
            _monitor(HEAP, fixed_heap_pb2.FixedHeapConfig(max_heap_size_bytes=max_heap * _TOLD)),
            _monitor(
                CONNECTIONS,
                downstream_connections_pb2.DownstreamConnectionsConfig(max_active_downstream_connections=max_connections),
            ),
        ],
        actions=[
            _Action(name=f"{ACTION}reset_high_memory_stream", triggers=[_growing(*_RESET)]),
            _Action(name=f"{ACTION}reduce_timeouts", triggers=[_growing(*_SHORTEN)], typed_config=wire.packed(_timers())),
            *(_Action(name=ACTION + name, triggers=[_from(share)]) for name, share in _THRESHOLDS.items()),
        ],
        buffer_factory_config=overload_pb2.BufferFactoryConfig(minimum_account_to_track_power_of_two=_SMALLEST_CLASS),
    )


def max_heap(bootstrap: Mapping[str, Any]) -> int | None:
    """The bound that an Envoy was started with, in octets, from its start-up configuration; None where it has none."""
    for monitor in bootstrap.get("overload_manager", {}).get("resource_monitors", []):
        if monitor.get("name") == HEAP:
            return int(monitor["typed_config"]["max_heap_size_bytes"]) // _TOLD
    return None


def _monitor(name: str, config: Any) -> Any:
    return overload_pb2.ResourceMonitor(name=name, typed_config=wire.packed(config))


def _from(share: float) -> Any:
    return overload_pb2.Trigger(name=HEAP, threshold=overload_pb2.ThresholdTrigger(value=share / _TOLD))


def _growing(share: float, saturated: float) -> Any:
    scaled = overload_pb2.ScaledTrigger(scaling_threshold=share / _TOLD, saturation_threshold=saturated / _TOLD)
    return overload_pb2.Trigger(name=HEAP, scaled=scaled)


def _timers() -> Any:
    return _Timers(
        timer_scale_factors=[
            _Timers.ScaleTimer(timer=_Timers.TimerType.Value(name), min_timeout=wire.seconds(least))
            for name, least in _SHORTEST.items()
        ]
    )
