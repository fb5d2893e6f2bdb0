"""What a monitoring system is told of the whole: refusals, clients, gateways, and how far the configuration has come."""

from dataclasses import dataclass
from typing import Final

from ostiary.model.denial import Total
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import denials, sightings

MOST_KINDS: Final = 1000  # of refusals that are told apart; a monitoring system keeps a series of each
ELSEWHERE: Final = "other"  # in place of the listener, for all that are more


@dataclass(frozen=True)
class Measures:
    """One moment's numbers. `denials` never shrink; `forgotten` of them are only counted any more."""

    revision: int
    status_sequence: int
    gateways: int
    connected: int
    clients: int
    crowded: int
    denials: tuple[Total, ...]
    forgotten: int


def measures(system: System, caller: Caller) -> Measures:
    """All of it, as of one moment."""
    caller.must("metrics:read")
    with system.store.read() as reader:
        totals = denials.totals(reader)
        clients, crowded = sightings.count(reader, system.clock())
        return Measures(
            revision=reader.revision(),
            status_sequence=reader.status_sequence(),
            gateways=len(system.fleet.gateways()),
            connected=len(system.fleet.live()),
            clients=clients,
            crowded=crowded,
            denials=_few(totals),
            forgotten=sum(one.count for one in totals) - denials.kept(reader),
        )


def _few(totals: tuple[Total, ...]) -> tuple[Total, ...]:
    """The kinds as they are; what is more than so many listeners' by stage and code alone."""
    joined: dict[tuple[str, str], int] = {}
    for one in totals[MOST_KINDS:]:
        joined[one.stage, one.code] = joined.get((one.stage, one.code), 0) + one.count
    rest = (Total(listener_id=ELSEWHERE, stage=stage, code=code, count=count) for (stage, code), count in joined.items())
    return (*totals[:MOST_KINDS], *rest)
