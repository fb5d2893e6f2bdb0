"""What a keeper tells of its Envoy's numbers, as a test wants it."""

from collections.abc import Mapping
from typing import Any

from ostiary.model.numbers import COUNTERS, GAUGES
from ostiary.ops import gateway_numbers
from ostiary.ops.system import System


def message(listeners: Mapping[str, Mapping[str, float]], run: int = 1, **fields: Any) -> dict[str, Any]:
    """By listener, the counters and gauges that are not 0; `run` is Envoy's process."""
    keeper = {"pid": 9, "restarts": 0, "streams_ended": {}, **fields.pop("keeper", {})}
    whole = {"records_dropped": 0, "listeners_draining": 0, **fields.pop("whole", {})}
    told = {
        one: [[its.get(name, 0) for name in COUNTERS], [its.get(name, 0) for name in GAUGES]] for one, its in listeners.items()
    }
    usual = {"run": run, "uptime": 1.0, "counters": list(COUNTERS), "gauges": list(GAUGES), "gone": []}
    return {**usual, "whole": whole, "keeper": keeper, "listeners": told, **fields}


def told_numbers(
    system: System, gateway_id: str, listeners: Mapping[str, Mapping[str, float]], run: int = 1, **fields: Any
) -> None:
    """A keeper tells this."""
    gateway_numbers.told(system, gateway_id, message(listeners, run, **fields))
