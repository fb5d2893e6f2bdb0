"""Gateways: each Envoy as last heard of, and whether we are ready to serve."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import isfinite
from typing import Any, Final

from ostiary.errors import NotFound, Unavailable
from ostiary.ops.caller import Caller
from ostiary.ops.fleet import Gateway, Wanted
from ostiary.ops.system import System
from ostiary.room import MIB

_MOST_ACTIONS: Final = 20
_LONGEST_ACTION: Final = 64
_LONGEST_UPTIME: Final = 10_000_000_000  # seconds; what is more is no uptime


@dataclass(frozen=True)
class StaleLists:
    """Revocation lists that have ended on a gateway: since when, and until when clients are let in (None: they are refused)."""

    listener_ids: tuple[str, ...]
    since: datetime
    allowed_until: datetime | None


@dataclass(frozen=True)
class LongStreams:
    """Requests that go on for long: how many there are, how many were ended by reason, and why none can be, if so."""

    open: int
    ended: Mapping[str, int]
    unable: str | None


@dataclass(frozen=True)
class Memory:
    """What an Envoy may take and takes, in octets; what it does against more (`envoy.overload`), each in hundredths."""

    limit: int
    used: int
    acting: Mapping[str, int]

    @property
    def limit_mib(self) -> int:
        """For people."""
        return self.limit // MIB

    @property
    def used_mib(self) -> int:
        """For people."""
        return self.used // MIB

    @property
    def is_short(self) -> bool:
        """Whether clients can notice; giving free memory back they cannot."""
        return bool(self.acting.keys() - {"shrink_heap"})


@dataclass(frozen=True)
class RecordExport:
    """Where a gateway sends its access record: how many entries were sent and dropped since that began.

    `waiting_since` is the time of the oldest entry that is not sent yet, `failing_since` since when it cannot be, `error` why.
    """

    target: str
    sent: int
    dropped: int
    waiting_since: datetime | None
    failing_since: datetime | None
    error: str | None


@dataclass(frozen=True)
class GatewayState:
    """One Envoy. `applied_revision` is None until it has accepted all it should have; `last_error` is in its own words.

    `wanted_revision` is what it should have: None until the configuration was translated for the first time since start.
    """

    id: str
    connected: bool
    last_contact: datetime | None
    version: str | None
    applied_revision: int | None
    last_error: str | None
    stale: tuple[StaleLists, ...] = ()
    streams: LongStreams | None = None
    wanted_revision: int | None = None
    uptime: timedelta | None = None
    counters: Mapping[str, int] = field(default_factory=dict)  # of all its listeners together, since it started
    exports: tuple[RecordExport, ...] = ()
    memory: Memory | None = None
    recording_error: str | None = None  # why it does not follow what was said about its access record


@dataclass(frozen=True)
class Readiness:
    """Whether the database answers, and how many gateways are connected."""

    database: bool
    gateways: int


def find(system: System, caller: Caller) -> tuple[GatewayState, ...]:
    """All gateways heard of since start."""
    caller.must("gateway:read")
    return tuple(_state(gateway, system.fleet.wanted) for gateway in system.fleet.gateways())


def get(system: System, caller: Caller, gateway_id: str) -> GatewayState:
    """One gateway. Raises `NotFound`."""
    for gateway in find(system, caller):
        if gateway.id == gateway_id:
            return gateway
    raise NotFound("Gateway", gateway_id)


def ready(system: System) -> Readiness:
    """Asks the database; needs no caller, as it tells nothing of what is stored."""
    try:
        with system.store.read() as reader:
            reader.revision()
    except Unavailable:
        return Readiness(database=False, gateways=len(system.fleet.live()))
    return Readiness(database=True, gateways=len(system.fleet.live()))


def _state(gateway: Gateway, wanted: Wanted | None) -> GatewayState:
    version = gateway.report.get("version")
    return GatewayState(
        id=gateway.id,
        connected=gateway.connected,
        last_contact=gateway.last_contact,
        version=None if version is None else str(version),
        applied_revision=wanted.snapshot.revision if wanted is not None and _has_all(gateway, wanted) else None,
        last_error=_last_error(gateway),
        stale=tuple(_stale(gateway.report.get("stale"))),
        streams=_streams(gateway.report.get("streams")),
        wanted_revision=wanted.snapshot.revision if wanted is not None else None,
        uptime=_uptime(gateway.report.get("uptime")),
        counters=_counters(gateway.report.get("listeners")),
        exports=tuple(_exports(gateway.report.get("exports"))),
        memory=memory(gateway.report.get("memory")),
        recording_error=None if (error := gateway.report.get("recording_error")) is None else str(error),
    )


def _uptime(told: Any) -> timedelta | None:
    return timedelta(seconds=told) if isinstance(told, int | float) and 0 <= told < _LONGEST_UPTIME else None


def _counters(told: Any) -> dict[str, int]:
    """Summed over its listeners; what is no number is left out."""
    summed: Counter[str] = Counter()
    for counted in told.values() if isinstance(told, Mapping) else ():
        if isinstance(counted, Mapping):
            # The message it comes in knows one kind of numbers.
            summed.update(
                {str(name): int(count) for name, count in counted.items() if isinstance(count, int | float) and isfinite(count)}
            )
    return dict(summed)


def _stale(told: Any) -> Iterator[StaleLists]:
    """What the keeper told of it. What cannot be read is left out: an older or newer keeper may say it in other words."""
    for one in told if isinstance(told, list) else ():
        try:
            until = one["until"]
            yield StaleLists(
                listener_ids=tuple(map(str, one["listeners"])),
                since=datetime.fromisoformat(one["since"]),
                allowed_until=None if until is None else datetime.fromisoformat(until),
            )
        except (KeyError, TypeError, ValueError):
            continue


def _exports(told: Any) -> Iterator[RecordExport]:
    """What the keeper told of them, likewise."""
    for one in told if isinstance(told, list) else ():
        try:
            yield RecordExport(
                target=str(one["target"]),
                sent=int(one["sent"]),
                dropped=int(one["dropped"]),
                waiting_since=_moment(one["waiting_since"]),
                failing_since=_moment(one["failing_since"]),
                error=None if one["error"] is None else str(one["error"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            continue


def _moment(told: Any) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told).astimezone(UTC)


def _streams(told: Any) -> LongStreams | None:
    """What the keeper told of them, likewise."""
    try:
        ended = {str(reason): int(count) for reason, count in told["ended"].items()}
        return LongStreams(int(told["open"]), ended, None if told["unable"] is None else str(told["unable"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def memory(told: Any) -> Memory | None:
    """What the keeper told of it, likewise; None where nothing bounds that Envoy."""
    try:
        acting = {str(what)[:_LONGEST_ACTION]: int(share) for what, share in islice(told["acting"].items(), _MOST_ACTIONS)}
        return Memory(int(told["limit"]), int(told["used"]), acting)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _has_all(gateway: Gateway, wanted: Wanted) -> bool:
    return all(gateway.accepted.get(key) == resource.version for key, resource in wanted.snapshot.resources.items())


def _last_error(gateway: Gateway) -> str | None:
    return "; ".join(dict.fromkeys(words for _, words in gateway.rejected.values())) or None
