"""Explain: whether a client would be let in, why, and every check. Nothing is changed, and no traffic is touched."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, judged, question, which
from ostiary.console.forms import Wrong
from ostiary.console.visit import Form, Visit, action, page, url
from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.model.explanation import ExplainRequest
from ostiary.ops import certificates, explained, explaining
from ostiary.web.words import _

_LOOK: Final = "look"  # not to be answered yet: only to look for a certificate or a listener


def ask(visit: Visit) -> Response:
    """The question, and its answer where an address holds all of it."""
    return _page(visit, question.sent(visit))


def answer(visit: Visit) -> Response:
    """The answer; by an address that leads to it again, but for a certificate that was pasted."""
    given = visit.form
    if question.is_pasted(given):
        return _page(visit, given)
    kept = {name: given.text(name)[:255] for name in ("listener_id", "listener", _LOOK)}
    return visit.see(url("/console/explain", **{**kept, **question.address(given)}))


def _page(visit: Visit, given: Form) -> Response:
    chosen = which.which(visit)
    is_asked = bool(chosen.id) and not given.ticked(_LOOK)
    found: dict[str, Any] = {}
    errors: dict[str, str] = {}
    if chosen.gone:
        errors = {"listener_id": visit.say(_("There is no such listener any more."))}
    elif is_asked:
        try:
            found = _answer(visit, given, chosen.id)
        except (Invalid, Conflict, Wrong) as error:
            errors = forms.wrong(visit, error)
        except NotFound as error:
            errors = {"certificate": visit.say(str(error))}
    return visit.page(
        "explain.html",
        422 if errors else 200,
        which=chosen,
        asked=question.question(visit, given, chosen.id, errors=errors),
        **(found or {"told": None}),
    )


def _answer(visit: Visit, given: Form, listener_id: str) -> dict[str, Any]:
    fields = question.asked(visit, given, listener_id)
    request = question.built(visit, ExplainRequest, {"listener_id": listener_id, **fields})
    told = explaining.explain(visit.system, visit.caller, request)
    shown = request.certificate
    if request.certificate_id is not None:
        held = certificates.get(visit.system, visit.caller, request.certificate_id)
        shown = held.certificate + held.chain
    return {**judged.verdicts(visit, told, judged.names(visit, told)), "chain": explained.shown(shown) if shown else ()}


ROUTES: Final = (
    page("/console/explain", ask, may="access-rule:read", current="explain"),
    action("/console/explain", answer, may="access-rule:read", current="explain"),
)
