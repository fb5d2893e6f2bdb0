"""Traffic: how many came through the doors, and how many were turned away and why, minute by minute and then hour by hour."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import add, sub
from typing import Final, NamedTuple

from ostiary.model.fields import Data

MINUTES_KEPT: Final = timedelta(hours=48)  # then their hours
HOURS_KEPT: Final = timedelta(days=400)
ALL: Final = ""  # in place of a listener's id: all listeners together


class Counts(NamedTuple):
    """What a listener's own counters say. What speaks TCP has connections in place of requests."""

    handshakes: int = 0
    failed_handshakes: int = 0
    requests: int = 0
    admitted: int = 0  # of the requests: those that passed every check

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*map(add, self, other))

    def minus(self, other: "Counts") -> "Counts":
        """What is left."""
        return Counts(*map(sub, self, other))


class Refused(NamedTuple):
    """Where refusals are counted: a minute (since 1970), a listener, a code."""

    minute: int
    listener_id: str
    code: str


class Bucket(Data):
    """What happened in one step of time, from `at` on. `seconds` is how much of it is over, to reckon what came in a second."""

    at: datetime
    seconds: float
    handshakes: int = 0
    failed_handshakes: int = 0
    requests: int = 0
    admitted: int = 0
    refused: Mapping[str, int] = {}

    def in_a_second(self, count: int) -> float:
        """How many that are in a second, of a number that was counted in this time."""
        return count / max(self.seconds, 1.0)


class Traffic(Data):
    """Equal steps of time, in order, without gaps: the first holds `since`, the last ends at `until` or after."""

    since: datetime
    until: datetime
    step: timedelta
    buckets: tuple[Bucket, ...]

    @property
    def admitted(self) -> int:
        """Requests that passed every check."""
        return sum(one.admitted for one in self.buckets)

    @property
    def refused(self) -> Mapping[str, int]:
        """Refusals by code, the most frequent first."""
        summed: Counter[str] = Counter()
        for one in self.buckets:
            summed.update(one.refused)
        return dict(sorted(summed.items(), key=lambda item: (-item[1], item[0])))
