"""Rehearsals: what is tried out before anybody is refused by it, who would be, and the step to enforce it."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import marked
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.visit import Visit, action, page, url
from ostiary.errors import Conflict
from ostiary.model.listener import Listener
from ostiary.model.query import Page
from ostiary.model.rehearsal import Preview, WouldBe
from ostiary.ops import listeners, rehearsals
from ostiary.web.words import _

MODES: Final = {
    "MANDATORY": _("Mandatory: nobody without a valid certificate"),
    "OPTIONAL": _("Optional: checked when shown"),
}
_MODE: Final = "client_authentication"
_WORDS: Final = 10


def listed(visit: Visit) -> Response:
    """What is rehearsed, by name of the listener."""
    search = visit.query.get("q", "")[:200].strip()
    after = visit.query.get("after", "")[:64]
    found = rehearsals.page(visit.system, visit.caller, limit=marked.PAGE, after=after, search=tuple(search.split()[:_WORDS]))
    return visit.page(
        "rehearsals.html", found=marked.marked(visit, found, lambda one: one.listener_id), search=search, is_first=not after
    )


def report(visit: Visit) -> Response:
    """All that one of them found."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    around = _around(visit, listener)
    return visit.page("rehearsal.html" if around else "rehearsal_none.html", listener=listener, **around)


def ask_enforce(visit: Visit) -> Response:
    """Whom it would shut out, one way and the other, before it does."""
    return _ask_enforce(visit, listeners.get(visit.system, visit.caller, visit.path["listener_id"]))


def enforce(visit: Visit) -> Response:
    """Demand certificates from now on."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    mode = visit.form.text(_MODE)
    if mode not in MODES:
        return _ask_enforce(visit, listener, Attempt(422, errors={_MODE: visit.say(_("Choose how it is to be enforced."))}))
    done = attempt(visit, "listener", lambda: _set(visit, listener, mode))
    if not done.is_done:
        return _ask_enforce(visit, listeners.get(visit.system, visit.caller, listener.id), done)
    return visit.see(_back(listener), visit.say(_("%(name)s asks for certificates from now on."), name=_name(listener)))


def ask_stop(visit: Visit) -> Response:
    """What ends with it."""
    return _ask_stop(visit, listeners.get(visit.system, visit.caller, visit.path["listener_id"]))


def stop(visit: Visit) -> Response:
    """Ask nobody for a certificate any more."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    done = attempt(visit, "listener", lambda: _set(visit, listener, "NONE"))
    if not done.is_done:
        return _ask_stop(visit, listeners.get(visit.system, visit.caller, listener.id), done)
    said = visit.say(_("%(name)s rehearses no more, and asks nobody for a certificate."), name=_name(listener))
    return visit.see(_back(listener), said)


def _set(visit: Visit, listener: Listener, mode: str) -> None:
    if listener.client_authentication != "REHEARSAL":
        # A form that was left open must not switch off what is in force by now.
        raise Conflict("The listener as a whole does not rehearse.")
    listeners.update(visit.system, visit.caller, listener.id, {_MODE: mode}, since=visit.form.seen(listener.revision))


def _ask_enforce(visit: Visit, listener: Listener, done: Attempt = NOT_YET) -> Response:
    its = {
        "previews": {mode: _preview(visit, listener, mode) for mode in MODES},
        "modes": {mode: visit.say(text) for mode, text in MODES.items()},
        "chosen": visit.form.text(_MODE) or visit.query.get("mode", "MANDATORY"),
    }
    return _ask(visit, "rehearsal_enforce.html", listener, done, **its)


def _ask_stop(visit: Visit, listener: Listener, done: Attempt = NOT_YET) -> Response:
    return _ask(visit, "rehearsal_stop.html", listener, done)


def _ask(visit: Visit, template: str, listener: Listener, done: Attempt, **its: Any) -> Response:
    if listener.client_authentication != "REHEARSAL":
        return visit.page("rehearsal_none.html", done.status, listener=listener)
    its |= {"revision": done.seen(visit, listener), "errors": done.errors, "meanwhile": done.meanwhile}
    return visit.page(template, done.status, listener=listener, **its)


def _preview(visit: Visit, listener: Listener, mode: str) -> Preview:
    return rehearsals.preview(visit.system, visit.caller, listener.id, client_authentication=mode)


def _around(visit: Visit, listener: Listener) -> dict[str, Any]:
    """All that the report shows; empty where nothing is rehearsed."""
    mark = marked.mark_of(visit)
    marker = (mark[0], mark[1][0]) if mark is not None and len(mark[1]) == 1 else None
    try:
        found = rehearsals.report(visit.system, visit.caller, listener.id, marked.PAGE, marker)
    except Conflict:
        return {}
    return {
        "report": found,
        "found": marked.marked(visit, Page(found.refused, found.more), lambda one: f"{one.last.isoformat()}|{one.id}"),
        "fix": lambda code: visit.say(rehearsals.fix(code)),
        "explain": lambda one: _explain(listener, one),
    }


def _explain(listener: Listener, one: WouldBe) -> str:
    example = one.example
    if example is None:
        return ""
    shown = f"id:{one.certificate_id}" if one.certificate_id else f"sha256:{example.fingerprint_sha256}"
    return url(
        "/console/explain",
        listener_id=listener.id,
        certificate=shown if example.fingerprint_sha256 else "none",
        host=example.host,
        path=example.path,
        method=example.method,
        source=example.client,
    )


def _back(listener: Listener) -> str:
    return url(f"/console/balancers/{listener.loadbalancer_id}", tab="listener")


def _name(listener: Listener) -> str:
    return listener.name or listener.id


ROUTES: Final = (
    page("/console/rehearsals", listed, may="rehearsal:read", current="rehearsals"),
    page("/console/rehearsals/{listener_id}", report, may="rehearsal:read", current="rehearsals"),
    page("/console/rehearsals/{listener_id}/enforce", ask_enforce, may="listener:update", current="rehearsals"),
    action("/console/rehearsals/{listener_id}/enforce", enforce, may="listener:update", current="rehearsals"),
    page("/console/rehearsals/{listener_id}/stop", ask_stop, may="listener:update", current="rehearsals"),
    action("/console/rehearsals/{listener_id}/stop", stop, may="listener:update", current="rehearsals"),
)
