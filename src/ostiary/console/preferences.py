"""How a reader wants to read: in which language, in which time zone. Kept by their browser, and by nobody else."""

from typing import Final
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from ostiary.console.visit import Route, Visit
from ostiary.errors import Invalid
from ostiary.web.formats import zone
from ostiary.web.words import CHOSEN, LANGUAGES

ZONE: Final = "ostiary-zone"
_A_YEAR: Final = 365 * 86_400


def choose(visit: Visit) -> Response:
    """Remember a language, a zone, or both, and go back to where they were chosen."""
    back = visit.form.text("back")
    reply = RedirectResponse(back if back.startswith("/console/") and "//" not in back and "\\" not in back else "/console", 303)
    language, zone_name = visit.form.text("language"), visit.form.text("zone")
    if language:
        if language not in LANGUAGES:
            raise Invalid("language", f"is one of {', '.join(LANGUAGES)}")
        _keep(reply, CHOSEN, language)
    if zone_name:
        if len(zone_name) > 64 or (zone(zone_name).tzname(None) == "UTC" and zone_name != "UTC"):
            raise Invalid("zone", "is not the name of a time zone, such as Asia/Ho_Chi_Minh")
        _keep(reply, ZONE, zone_name)
    return reply


def _keep(reply: Response, name: str, value: str) -> None:
    # Scripts may write the zone, so that nobody has to choose it; neither is a secret.
    reply.set_cookie(name, quote(value, safe=""), max_age=_A_YEAR, path="/", samesite="strict")


ROUTES: Final = (Route("POST", "/console/preferences", choose, may="", public=True),)
