"""What people should see to: what ends, lists that are not fresh, what is wrong; the most urgent first, each with the way out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit, page, url
from ostiary.model.warning import KINDS, SEVERITIES, Notice, Severity
from ostiary.ops import notification_targets, warning_words, watching
from ostiary.web.words import _

SHOWN: Final = 50
_TONES: Final[dict[Severity, Tone]] = {"INFO": "off", "WARNING": "busy", "CRITICAL": "bad"}
_ROUTE: Final = "/console/warnings"


@dataclass(frozen=True)
class Row:
    """A warning as it stands in a table. `place` is where it is mended; empty where the reader may not go there."""

    notice: Notice
    severity: Shown
    kind: str
    says: str
    way: str
    place: str


def home(visit: Visit) -> Response:
    """All of them, or those of a kind or as severe as is asked for."""
    every = watching.warnings(visit.system, visit.caller)
    severity, kind = visit.query.get("severity", ""), visit.query.get("kind", "")
    found = [one for one in every if severity in {"", one.severity} and kind in {"", one.kind}]
    first = _first(visit, len(found))
    return visit.page(
        "warnings.html",
        rows=rows(visit, found[first : first + SHOWN]),
        total=len(found),
        counts=[(one, visit.say(warning_words.SEVERITIES[one]), _count(every, one)) for one in reversed(SEVERITIES)],
        every=len(every),
        kinds=[(one, visit.say(warning_words.KINDS[one])) for one in KINDS if any(each.kind == one for each in every)],
        severity=severity,
        kind=kind,
        found=_beside(visit, first, len(found)),
        targets=_targets(visit),
    )


def urgent(visit: Visit, most: int) -> dict[str, Any]:
    """The most urgent ones, for a page that is about something else; none for who may not see them."""
    if not visit.can("warning:read"):
        return {"warnings": (), "warnings_count": 0}
    every = watching.lately(visit.system, visit.caller)
    return {"warnings": rows(visit, every[:most]), "warnings_count": len(every)}


def tile(visit: Visit) -> dict[str, int]:
    """How many there are, by how severe they are, for the overview."""
    every = watching.lately(visit.system, visit.caller) if visit.can("warning:read") else ()
    return {severity: _count(every, severity) for severity in SEVERITIES}


def rows(visit: Visit, found: Sequence[Notice]) -> tuple[Row, ...]:
    """As they stand in a table."""
    return tuple(
        Row(
            notice=one,
            severity=Shown(visit.say(warning_words.SEVERITIES[one.severity]), _TONES[one.severity]),
            kind=visit.say(warning_words.KINDS[one.kind]),
            says=_says(visit, one),
            way=warning_words.way(one, visit.language),
            place=one.place if visit.can(_MAY.get(one.kind, "warning:read")) else "",
        )
        for one in found
    )


def _says(visit: Visit, one: Notice) -> str:
    """How it stands, beside when it ends."""
    return {
        "DAYS": "",
        "ENDED": visit.say(_("Has ended")),
        "HALF_LIFE": visit.say(_("Past half of its life")),
        "NOW": visit.say(_("Now")),
    }[one.stage]


def _count(every: Sequence[Notice], severity: Severity) -> int:
    return sum(one.severity == severity for one in every)


def _first(visit: Visit, count: int) -> int:
    text = visit.query.get("from", "0")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return min(number, max(0, count - 1)) // SHOWN * SHOWN


def _beside(visit: Visit, first: int, count: int) -> dict[str, str]:
    """The addresses of the pages before and after."""
    kept = {name: visit.query.get(name, "") for name in ("severity", "kind")}
    before = url(_ROUTE, **kept, **{"from": first - SHOWN or ""}) if first else ""
    return {"before": before, "after": url(_ROUTE, **kept, **{"from": first + SHOWN}) if first + SHOWN < count else ""}


def _targets(visit: Visit) -> int | None:
    """How many are told; None for who may not know."""
    if not visit.can("notification-target:read"):
        return None
    return len(notification_targets.standings(visit.system, visit.caller))


# What one must be allowed to look at the place where it is mended.
_MAY: Final = {
    "CLIENT_CERTIFICATE": "certificate:read",
    "SERVER_CERTIFICATE": "container:read",
    "AUTHORITY": "authority:read",
    "REVOCATION_LIST": "authority:read",
    "OCSP_SIGNER": "authority:read",
    "ACCESS_EXCEPTION": "access-exception:read",
    "ACCESS_TOKEN": "token:read",
    "GATEWAY": "gateway:read",
    "LISTENER": "listener:read",
    "NOTIFICATION_TARGET": "notification-target:read",
}

ROUTES: Final = (page(_ROUTE, home, may="warning:read", current="warnings"),)
