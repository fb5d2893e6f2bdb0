"""A decision as people read it: let in or refused, at which point, by which code, and every check in its turn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit
from ostiary.model.explanation import ExplainedCheck, Explanation, Judged, Result
from ostiary.ops import access, exceptions
from ostiary.web.words import _

STAGES: Final = {"handshake": _("Handshake"), "request": _("Request")}
_RESULTS: Final[Mapping[Result, tuple[str, Tone]]] = {
    "passed": (_("passed"), "good"),
    "failed": (_("failed"), "bad"),
    "no match": (_("does not fit"), "off"),
    "not reached": (_("not reached"), "off"),
}
# What checks of the handshake are called; those of requests say it themselves.
_NAMES: Final = {
    "presented": _("A certificate is shown"),
    "readable": _("It can be read"),
    "key": _("Its key"),
    "issuer": _("An authority that is trusted"),
    "extensions": _("Extensions"),
    "purpose": _("Made for clients"),
    "path_length": _("Length of the chain"),
    "revocation": _("Not revoked"),
    "signature": _("Signatures"),
    "validity": _("Within its time"),
    "names": _("Names that its authority may sign"),
    "policies": _("Policies"),
    "network": _("The network it comes from"),
    "path": _("The path"),
}
_MOST: Final = 20  # rows that tell of what does not fit: of hundreds of rules, all would say the same


@dataclass(frozen=True)
class Row:
    """A check. `skipped` is a number of checks that are left out here instead."""

    stage: str = ""
    name: str = ""
    result: Shown | None = None
    detail: str = ""
    skipped: int = 0


@dataclass(frozen=True)
class Verdict:
    """A decision in the reader's words. `by` is the rule or exception that decided: its name, and where to see it."""

    is_allowed: bool
    stage: str
    code: str
    detail: str
    fix: str
    by: str
    place: str
    rows: tuple[Row, ...]


def verdicts(visit: Visit, told: Explanation, names: Mapping[str, str], on_trial: str | None = None) -> dict[str, Any]:
    """The decision, and what would become of it if what is rehearsed were in force."""
    return {
        "told": told,
        "verdict": _verdict(visit, told, names, on_trial),
        "would_be": None if told.would_be is None else _verdict(visit, told.would_be, names, on_trial),
    }


def names(visit: Visit, told: Explanation) -> dict[str, str]:
    """What the rules and exceptions are called that decided."""
    found: dict[str, str] = {}
    for one in (told, told.would_be):
        if one is not None and one.access_rule_id:
            found[one.access_rule_id] = access.get(visit.system, visit.caller, one.access_rule_id).name
        if one is not None and one.access_exception_id:
            found[one.access_exception_id] = exceptions.get(visit.system, visit.caller, one.access_exception_id).name
    return found


def _verdict(visit: Visit, judged: Judged, names: Mapping[str, str], on_trial: str | None) -> Verdict:
    rule, exception = judged.access_rule_id, judged.access_exception_id
    place = f"/console/access/{rule}/edit" if rule and rule != on_trial else ""
    if exception:
        place = f"/console/access/exceptions/{exception}/edit"
    return Verdict(
        is_allowed=judged.decision == "ALLOW",
        stage=visit.say(STAGES[judged.stage]),
        code=judged.reason,
        detail=_detail(visit, judged),
        fix=visit.say(judged.fix) if judged.fix else "",
        by=names.get(rule or exception or "", ""),
        place=place,
        rows=tuple(_rows(visit, judged.checks)),
    )


def _detail(visit: Visit, judged: Judged) -> str:
    """Why, in a sentence. Where that is what a check saw, with a capital and a full stop, it is said as the check says it."""
    for one in judged.checks:
        if one.result != "failed" or not one.detail:
            continue
        before, seen, after = judged.detail.partition(f"{one.detail[0].upper()}{one.detail[1:]}.")
        if seen:
            said = visit.say(one.detail)
            parts = (visit.say(before.strip()), f"{said[0].upper()}{said[1:]}.", visit.say(after.strip()))
            return " ".join(filter(None, parts))
    return visit.say(judged.detail)


def _rows(visit: Visit, checks: Sequence[ExplainedCheck]) -> Iterator[Row]:
    """The checks; of many that do not fit, and of all but one that were not reached, only how many there were."""
    plain = [number for number, one in enumerate(checks) if one.result == "no match"]
    left_out = set(plain[_MOST // 2 : -_MOST // 2]) if len(plain) > _MOST else set()
    left_out |= set([number for number, one in enumerate(checks) if one.result == "not reached"][1:])
    skipped = 0
    for number, one in enumerate(checks):
        if number in left_out:
            skipped += 1
            continue
        if skipped:
            yield Row(skipped=skipped)
            skipped = 0
        word, tone = _RESULTS[one.result]
        name = _NAMES.get(one.name, one.name) if one.stage == "handshake" or one.name == "path" else one.name
        yield Row(visit.say(STAGES[one.stage]), visit.say(name), Shown(visit.say(word), tone), visit.say(one.detail))
    if skipped:
        yield Row(skipped=skipped)
