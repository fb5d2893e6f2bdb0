"""Access rules: a listener's, in the order in which they are tried; moved, enforced, deleted; and what-if beside them."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, judged, lists, question, rule_words, which
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Wrong
from ostiary.console.shut_out import Gate, gate
from ostiary.console.visit import Form, Visit, action, page, url
from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.model.access import AccessRule
from ostiary.model.listener import Listener
from ostiary.model.rehearsal import Preview
from ostiary.model.what_if import Trial, WhatIf
from ostiary.ops import access, listeners, naming, rehearsals, what_if
from ostiary.web.words import _

TRY: Final = "try"
TLS: Final = (("protocol", "TERMINATED_HTTPS"),)
_DIGITS: Final = 3


def home(visit: Visit) -> Response:
    """The rules of the listener that is chosen; which there are where none is."""
    chosen = which.which(visit)
    if chosen.chosen is None:
        return _choose(visit, gone=chosen.gone)
    return visit.page("access.html", **around(visit, chosen.chosen, box=True))


def try_out(visit: Visit) -> Response:
    """What-if: the answer by an address that leads to it again, but for a certificate that was pasted."""
    listener = listeners.get(visit.system, visit.caller, visit.form.text("listener_id"))
    if question.is_pasted(visit.form):
        return visit.page("access.html", **around(visit, listener, box=True))
    kept = {"listener_id": listener.id, "look": visit.form.text("look")[:20], TRY: "true"}
    return visit.see(f"{url('/console/access', **{**kept, **question.address(visit.form)})}#what-if")


def around(visit: Visit, listener: Listener, *, box: bool = False) -> dict[str, Any]:
    """All that the page shows, also behind a pop-up; `box` is what-if, which is not there behind one."""
    found = lists.listed(
        visit,
        lambda query: access.find(visit.system, visit.caller, query),
        filters=(("listener_id", listener.id),),
        sort=(("position", False),),
    )
    beside = access.beside(visit.system, found.items)
    authorities = authority_names(visit, found.items)
    counts = access.counts(visit.system, visit.caller, [listener.id]).get(listener.id, (0, 0))
    rows = [
        {
            "rule": rule,
            "whom": rule_words.whom(visit, rule.certificate, authorities),
            "what": rule_words.what(visit, rule),
            "warnings": [visit.say(one) for one in beside[rule.id].warnings],
            "is_over": rule.not_after is not None and rule.not_after <= visit.at,
            "is_to_come": rule.not_before is not None and rule.not_before > visit.at,
        }
        for rule in found.items
    ]
    its = {"listener": listener, "found": found, "rows": rows, "rule_count": counts[0], "exception_count": counts[1]}
    return {**its, "which": which.which(visit, search="", chosen=listener.id), **(_what_if(visit, listener) if box else {})}


def authority_names(visit: Visit, rules: tuple[AccessRule, ...]) -> dict[str, str | None]:
    """What the authorities are called that these rules speak of."""
    return naming.authorities(visit.system, visit.caller, [one for rule in rules for one in rule.certificate.authority_ids])


def move(visit: Visit) -> Response:
    """One up or one down, as a button beside it says."""
    up, down = visit.form.text("up"), visit.form.text("down")
    rule = access.get(visit.system, visit.caller, (up or down)[:64])
    return _move(visit, rule, max(1, (rule.position or 1) + (-1 if up else 1)))


def ask_move(visit: Visit) -> Response:
    """To which place."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    return _ask_move(visit, rule, str(rule.position))


def move_to(visit: Visit) -> Response:
    """To the place that was typed."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    text = visit.form.text("position")
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) > 0):
        return _ask_move(visit, rule, text, {"position": visit.say(_("must be a whole number, 1 or more"))})
    return _move(visit, rule, int(text))


def ask_delete(visit: Visit) -> Response:
    """Whom it would shut out, before it does."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    listener = listeners.get(visit.system, visit.caller, rule.listener_id)
    shut = gate(visit, Trial(listener_id=listener.id, without=(rule.id,))).shut
    return visit.page("access_delete.html", rule=rule, shut=shut, back=back(listener), **around(visit, listener))


def delete(visit: Visit) -> Response:
    """Remove it."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    access.delete(visit.system, visit.caller, rule.id)
    return visit.see(_place(rule), visit.say(_("%(name)s was deleted."), name=rule.name))


def ask_enforce(visit: Visit, done: Attempt = NOT_YET) -> Response:
    """Whom it would shut out to put a rule in force that is only rehearsed."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    if not rule.shadow:
        return visit.see(_place(rule), visit.say(_("%(name)s is in force already."), name=rule.name))
    listener = listeners.get(visit.system, visit.caller, rule.listener_id)
    in_force = rule.model_copy(update={"shadow": False})
    shut = gate(visit, Trial(listener_id=listener.id, rule=in_force, without=(rule.id,))).shut
    its: dict[str, Any] = {"rule": rule, "shut": shut, "preview": _preview(visit, rule), "back": back(listener)}
    its |= {"done": done, "revision": done.seen(visit, rule)}
    return visit.page("access_enforce.html", done.status, **its, **around(visit, listener))


def enforce(visit: Visit) -> Response:
    """Put it in force."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    since, in_force = visit.form.seen(rule.revision), {"shadow": False}
    done = attempt(visit, "access_rule", lambda: access.update(visit.system, visit.caller, rule.id, in_force, since=since))
    if not done.is_done:
        return ask_enforce(visit, done)
    return visit.see(_place(rule), visit.say(_("%(name)s is in force."), name=rule.name))


def back(listener: Listener) -> str:
    """The page of its rules."""
    return url("/console/access", listener_id=listener.id)


def _place(rule: AccessRule) -> str:
    return f"{url('/console/access', listener_id=rule.listener_id)}#rule-{rule.id}"


def _choose(visit: Visit, gone: str) -> Response:
    found = lists.listed(visit, lambda query: listeners.find(visit.system, visit.caller, query), filters=TLS)
    counts = access.counts(visit.system, visit.caller, [one.id for one in found.items])
    return visit.page("access_choose.html", 404 if gone else 200, found=found, counts=counts, gone=gone)


def _preview(visit: Visit, rule: AccessRule) -> Preview | None:
    """By requests, as far as they were told since it is rehearsed."""
    if not visit.can("rehearsal:read"):
        return None
    return rehearsals.preview(visit.system, visit.caller, rule.listener_id, access_rule_id=rule.id)


def _move(visit: Visit, rule: AccessRule, position: int) -> Response:
    moved = rule.model_copy(update={"position": position})
    asked = gate(visit, Trial(listener_id=rule.listener_id, rule=moved, without=(rule.id,)))
    if not asked.is_open:
        return _ask_move(visit, rule, str(position), asked=asked)
    try:
        access.update(visit.system, visit.caller, rule.id, {"position": position})
    except Invalid as error:
        return _ask_move(visit, rule, str(position), {error.field: visit.say(error.message)})
    return visit.see(_place(rule))


def _ask_move(
    visit: Visit, rule: AccessRule, position: str, errors: Mapping[str, str] | None = None, asked: Gate | None = None
) -> Response:
    listener = listeners.get(visit.system, visit.caller, rule.listener_id)
    status = 422 if errors else 409 if asked else 200
    its = {"rule": rule, "position": position[:20], "errors": errors or {}, "asked": asked, "back": back(listener)}
    return visit.page("access_move.html", status, **its, **around(visit, listener))


def _what_if(visit: Visit, listener: Listener) -> dict[str, Any]:
    """The box on the page: what is asked, and the answer."""
    given = question.sent(visit)
    is_of_the_box = given.ticked(TRY)
    if not is_of_the_box:
        given = Form()
    errors: dict[str, str] = {}
    found: dict[str, Any] = {"told": None}
    if is_of_the_box and not given.ticked("look"):
        try:
            found = answer(visit, given, Trial(listener_id=listener.id))
        except (Invalid, Conflict, Wrong) as error:
            errors = forms.wrong(visit, error)
        except NotFound as error:
            errors = {"certificate": visit.say(str(error))}
    return {"asked_if": question.question(visit, given, listener.id, errors=errors), **found}


def answer(visit: Visit, given: Form, trial: Trial, prefix: str = "") -> dict[str, Any]:
    """What would become of what is asked, by the rules that are to be tried. Raises `Wrong`, and what `ops.what_if` does."""
    fields = question.asked(visit, given, trial.listener_id, prefix)
    asked = question.built(visit, WhatIf, {**dict(trial), **fields}, prefix)
    tried = what_if.test(visit.system, visit.caller, asked)
    return judged.verdicts(visit, tried.explanation, tried.names, tried.on_trial)


ROUTES: Final = (
    page("/console/access", home, may="access-rule:read", current="access"),
    action("/console/access/test", try_out, may="access-rule:read", current="access"),
    action("/console/access/move", move, may="access-rule:update", current="access"),
    page("/console/access/{rule_id}/move", ask_move, may="access-rule:update", current="access"),
    action("/console/access/{rule_id}/move", move_to, may="access-rule:update", current="access"),
    page("/console/access/{rule_id}/delete", ask_delete, may="access-rule:delete", current="access"),
    action("/console/access/{rule_id}/delete", delete, may="access-rule:delete", current="access"),
    page("/console/access/{rule_id}/enforce", ask_enforce, may="access-rule:update", current="access"),
    action("/console/access/{rule_id}/enforce", enforce, may="access-rule:update", current="access"),
)
