"""What cannot wait, as of now: known without asking the database, so that every page can say it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ostiary.model.approval import BreakGlass
from ostiary.ops import break_glass, gateways
from ostiary.ops.caller import Caller
from ostiary.ops.gateways import RecordExport
from ostiary.ops.system import System

_PATIENCE: Final = timedelta(minutes=10)  # a collector may be started anew


@dataclass(frozen=True)
class RefusedListener:
    """A listener that an engine would not take, and its words."""

    listener_id: str
    name: str
    why: str


@dataclass(frozen=True)
class Alarms:
    """`refusing`: ids of listeners whose clients are refused because revocation lists have ended; `allowing`: let in still.

    `emergencies`: somebody does without others' approval. `unsent`: where an access record could not be sent for a while.
    `short_of_memory`: gateways whose Envoy ends and refuses requests, lest it take more memory than it may.
    """

    no_gateway: bool = False
    refusing: tuple[str, ...] = ()
    allowing: tuple[str, ...] = ()
    refused: tuple[RefusedListener, ...] = ()
    emergencies: tuple[BreakGlass, ...] = ()
    unsent: tuple[RecordExport, ...] = ()
    short_of_memory: tuple[str, ...] = ()


def raised(system: System, caller: Caller) -> Alarms:
    """Those that there are."""
    live = tuple(one for one in gateways.find(system, caller) if one.connected)
    stale = tuple(lists for gateway in live for lists in gateway.stale)
    refusing = {one for lists in stale if lists.allowed_until is None for one in lists.listener_ids}
    allowing = {one for lists in stale if lists.allowed_until is not None for one in lists.listener_ids}
    return Alarms(
        no_gateway=not live,
        refusing=tuple(sorted(refusing)),
        allowing=tuple(sorted(allowing - refusing)),
        refused=_refused(system),
        emergencies=break_glass.open_now(system),
        unsent=tuple(one for gateway in live for one in gateway.exports if _is_late(one, system.clock())),
        short_of_memory=tuple(gateway.id for gateway in live if gateway.memory is not None and gateway.memory.is_short),
    )


def _is_late(one: RecordExport, at: datetime) -> bool:
    return one.failing_since is not None and at - one.failing_since > _PATIENCE


def _refused(system: System) -> tuple[RefusedListener, ...]:
    wanted = system.fleet.wanted
    if wanted is None:
        return ()
    words: dict[str, str] = {}
    for gateway in system.fleet.live():
        for key, (version, why) in gateway.rejected.items():
            resource = wanted.snapshot.resources.get(key)
            if resource is not None and resource.version == version:
                words.update(dict.fromkeys(resource.owners, why))
    if not words:
        return ()
    its = (entry.listener for entry in wanted.desired.listeners if entry.listener.id in words)
    return tuple(RefusedListener(one.id, one.name or one.id, words[one.id]) for one in its)
