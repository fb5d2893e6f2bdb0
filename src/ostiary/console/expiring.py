"""What ends soon: certificates of clients that are in use first, those that nobody has shown for long, CA certificates."""

from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import authorities, certificates, warnings
from ostiary.console.visit import Visit, page, url
from ostiary.model.inventory import Wanted
from ostiary.model.query import Query
from ostiary.ops import authority_view, inventory
from ostiary.ops.watched import IN_USE

DAYS: Final = (60, 30, 14, 7, 1)
_SHOWN: Final = 25
_URGENT: Final = 5  # warnings, of all kinds


def home(visit: Visit) -> Response:
    """What ends within so many days."""
    asked = visit.query.get("days", "30")
    days = next((one for one in DAYS if str(one) == asked), 30)
    counts = inventory.ending(visit.system, visit.caller, [timedelta(days=one) for one in DAYS])
    return visit.page(
        "expiring.html",
        days=days,
        spans=list(zip(DAYS, counts, strict=True)),
        total=dict(zip(DAYS, counts, strict=True))[days],
        used=_some(visit, days, in_use=True),
        unused=_some(visit, days, in_use=False),
        authorities=authorities.rows(
            visit, [one.authority for one in authority_view.ending(visit.system, visit.caller, timedelta(days=days))]
        ),
        in_use_days=IN_USE.days,
        **warnings.urgent(visit, _URGENT),
        **certificates.section(visit),
    )


def _some(visit: Visit, days: int, *, in_use: bool) -> dict[str, Any]:
    """The first of those that are in use, or of the others; and where all of them are."""
    since = visit.at - IN_USE
    wanted = Wanted(
        Query(limit=_SHOWN, sort=(("not_after", False),)),
        visit.at,
        status="VALID",
        expires_before=visit.at + timedelta(days=days),
        seen_after=since if in_use else None,
        seen_before=None if in_use else since,
    )
    found = inventory.find(visit.system, visit.caller, wanted)
    seen = {"seen": IN_USE.days} if in_use else {"unseen": IN_USE.days}
    return {
        "rows": certificates.rows(visit, found.items),
        "more": found.more,
        "all": url("/console/certificates", expires=days, sort="expires", **seen),
    }


ROUTES: Final = (page("/console/expiring", home, may="certificate:read", current="expiring"),)
