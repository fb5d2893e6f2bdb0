"""What ends, and when people should know of it: things go in, warnings come out. Pure; what time it is has to be said."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, cast, get_args

from ostiary.model.fields import Data

WarningKind = Literal[
    "CLIENT_CERTIFICATE",
    "SERVER_CERTIFICATE",
    "AUTHORITY",
    "REVOCATION_LIST",
    "OCSP_SIGNER",
    "ACCESS_EXCEPTION",
    "ACCESS_TOKEN",
    "GATEWAY",
    "LISTENER",
    "APPROVAL",
    "BREAK_GLASS",
    "NOTIFICATION_TARGET",
]
Topic = Literal["EXPIRY", "FRESHNESS", "GATEWAYS", "BREAK_GLASS", "APPROVALS", "NOTIFICATIONS"]
Severity = Literal["INFO", "WARNING", "CRITICAL"]
# DAYS: it ends within so many days. HALF_LIFE: a revocation list should have been followed by the next. NOW: it is so.
Stage = Literal["DAYS", "HALF_LIFE", "ENDED", "NOW"]

KINDS: Final[tuple[WarningKind, ...]] = get_args(WarningKind)
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # from the least to the most

TOPIC_OF: Final[Mapping[WarningKind, Topic]] = {
    "CLIENT_CERTIFICATE": "EXPIRY",
    "SERVER_CERTIFICATE": "EXPIRY",
    "AUTHORITY": "EXPIRY",
    "REVOCATION_LIST": "FRESHNESS",
    "OCSP_SIGNER": "FRESHNESS",
    "ACCESS_EXCEPTION": "EXPIRY",
    "ACCESS_TOKEN": "EXPIRY",
    "GATEWAY": "GATEWAYS",
    "LISTENER": "GATEWAYS",
    "APPROVAL": "APPROVALS",
    "BREAK_GLASS": "BREAK_GLASS",
    "NOTIFICATION_TARGET": "NOTIFICATIONS",
}

CRITICAL_DAYS: Final = 1
WARNING_DAYS: Final = 14
# From the latest to the earliest: less is more urgent. Days stand for themselves.
_ENDED: Final = -1
_NOW: Final = 0
_HALF_LIFE: Final = 1_000_000


class Thing(Data):
    """Something that ends, or with no `ends_at` something that is so now.

    A threshold that lies before `counts_from` is none: it was passed already when the thing was made, or whoever renews it has
    not begun to. What passes no threshold in all of its life, and `ends_quietly`, is replaced by a machine: its end is no news.
    What has a `half_life` is not counted by days: it is renewed at half of its life, or something is wrong.
    `way` names what to do (`ops.warning_words`), `command` is how, and `place` is where in the console.
    """

    kind: WarningKind
    id: str
    name: str
    ends_at: datetime | None = None
    counts_from: datetime | None = None
    ends_quietly: bool = False
    half_life: datetime | None = None
    owner: str = ""
    last_seen: datetime | None = None
    listeners: tuple[str, ...] = ()  # their names
    severity: Severity = "CRITICAL"  # of what is so now
    way: str = ""
    command: str = ""
    place: str = ""
    detail: str = ""  # what others said, such as an engine


class Notice(Data):
    """A thing that somebody should see to. The same thing with the same end has the same `id`, whichever threshold it passed."""

    id: str
    kind: WarningKind
    topic: Topic
    severity: Severity
    stage: Stage
    within_days: int | None = None
    thing_id: str
    name: str
    ends_at: datetime | None = None
    owner: str = ""
    last_seen: datetime | None = None
    listeners: tuple[str, ...] = ()
    way: str = ""
    command: str = ""
    place: str = ""
    detail: str = ""

    @property
    def rank(self) -> int:
        """How late it is: less is later."""
        if self.stage == "DAYS":
            return self.within_days or _NOW
        return {"ENDED": _ENDED, "NOW": _NOW, "HALF_LIFE": _HALF_LIFE}[self.stage]


@dataclass(frozen=True)
class News:
    """What to tell: warnings that were not told, or not of this threshold; and the ids of those told that are none any more."""

    raised: tuple[Notice, ...]
    resolved: tuple[str, ...]


def judged(things: Iterable[Thing], days: Sequence[int], at: datetime) -> tuple[Notice, ...]:
    """What of these people should see to, the most urgent first. `days` before the end are thresholds, in any order."""
    found = (_judged(one, sorted(set(days)), at) for one in things)
    return tuple(sorted((one for one in found if one is not None), key=_urgency))


def news(warnings: Iterable[Notice], told: Mapping[str, int], unknown: Iterable[WarningKind] = ()) -> News:
    """What differs from what was told: the rank by id. Of kinds of which nothing is `unknown` now, none counts as resolved.

    A threshold is told once: whoever was told of one is told again only of a later one.
    """
    every = tuple(warnings)
    raised = tuple(one for one in every if one.id not in told or one.rank < told[one.id])
    hidden = set(unknown)
    there = {one.id for one in every}
    resolved = tuple(one for one in told if one not in there and kind_of(one) not in hidden)
    return News(raised, resolved)


def identity(kind: WarningKind, thing_id: str, ends_at: datetime | None) -> str:
    """The same for the same thing with the same end: what was renewed is another."""
    text = f"{kind}\n{thing_id}\n{ends_at.isoformat() if ends_at is not None else ''}"
    return f"{kind}.{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def kind_of(warning_id: str) -> WarningKind:
    """The kind that an `identity` is of."""
    return cast("WarningKind", warning_id.partition(".")[0])


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether it is as severe as that."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


def _judged(thing: Thing, days: Sequence[int], at: datetime) -> Notice | None:
    if thing.ends_at is None:
        return _warning(thing, "NOW", None, thing.severity)
    if thing.ends_at <= at:
        return None if _is_quiet(thing, days) else _warning(thing, "ENDED", None, "CRITICAL")
    if thing.half_life is not None:
        return _warning(thing, "HALF_LIFE", None, "WARNING") if thing.half_life <= at else None
    passed = next((one for one in days if _counts(thing, thing.ends_at - timedelta(days=one), at)), None)
    return None if passed is None else _warning(thing, "DAYS", passed, _severity(passed))


def _counts(thing: Thing, moment: datetime, at: datetime) -> bool:
    return moment <= at and (thing.counts_from is None or moment > thing.counts_from)


def _is_quiet(thing: Thing, days: Sequence[int]) -> bool:
    if not thing.ends_quietly or thing.ends_at is None:
        return False
    return not any(_counts(thing, thing.ends_at - timedelta(days=one), thing.ends_at) for one in days)


def _severity(days: int) -> Severity:
    if days <= CRITICAL_DAYS:
        return "CRITICAL"
    return "WARNING" if days <= WARNING_DAYS else "INFO"


def _warning(thing: Thing, stage: Stage, within_days: int | None, severity: Severity) -> Notice:
    return Notice(
        id=identity(thing.kind, thing.id, thing.ends_at),
        kind=thing.kind,
        topic=TOPIC_OF[thing.kind],
        severity=severity,
        stage=stage,
        within_days=within_days,
        thing_id=thing.id,
        **{
            name: getattr(thing, name)
            for name in ("name", "ends_at", "owner", "last_seen", "listeners", "way", "command", "place", "detail")
        },
    )


def _urgency(warning: Notice) -> tuple[int, float, str, str]:
    """The most severe first, then what ends first."""
    ends = warning.ends_at.timestamp() if warning.ends_at is not None else 0.0
    return -SEVERITIES.index(warning.severity), ends, warning.kind, warning.id
