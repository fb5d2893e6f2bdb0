"""What this control plane counts of its own work since it started, for a monitoring system (`ops.measures` tells it)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ostiary.measuring import Spread, Tally
from ostiary.ops.effects import EFFECT_SECONDS
from ostiary.store.store import Change


@dataclass(frozen=True)
class Meters:
    """Labels are ours alone: templates of routes, names of actions and types, ids of gateways. Nothing that a client wrote."""

    requests: Tally = field(default_factory=lambda: Tally("door", "method", "route", "status"))
    request_seconds: Spread = field(default_factory=lambda: Spread("door", "method", "route"))
    changes: Tally = field(default_factory=lambda: Tally("kind", "action"))
    issued: Tally = field(default_factory=lambda: Tally("how"))
    revoked: Tally = field(default_factory=lambda: Tally("reason"))
    lists_signed: Tally = field(default_factory=Tally)
    build_seconds: Spread = field(default_factory=Spread)
    publish_seconds: Spread = field(default_factory=Spread)
    answers: Tally = field(default_factory=lambda: Tally("gateway", "type", "answer"))
    effect_seconds: Spread = field(default_factory=lambda: Spread("gateway", "change", bounds=EFFECT_SECONDS))
    spans_sent: Tally = field(default_factory=Tally)
    spans_dropped: Tally = field(default_factory=Tally)
    chores_failed: Tally = field(default_factory=lambda: Tally("chore"))

    def answered(self, door: str, method: str, route: str, status: str, seconds: float | None) -> None:
        """A request was answered, in so many seconds where it was no stream."""
        self.requests.add(door, method, route, status)
        if seconds is not None:
            self.request_seconds.add(seconds, door, method, route)

    def recorded(self, action: str, changes: Iterable[Change]) -> None:
        """These are committed and on record, under that name."""
        for one in changes:
            self.changes.add(one.kind, action)
            if one.kind == "certificate" and one.after is not None:
                self._certificate(action, one.before, one.after)

    def _certificate(self, action: str, before: dict[str, object] | None, after: dict[str, object]) -> None:
        reason = after.get("revocation_reason")
        if before is None:
            self.issued.add(action.partition(":")[2])
        elif reason is not None and reason != before.get("revocation_reason"):
            self.revoked.add(str(reason))
