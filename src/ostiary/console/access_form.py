"""The pop-ups in which an access rule is added and edited. A rule can be tried as it is typed, before it is saved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import access as rules_page
from ostiary.console import forms, question, which
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled, Wrong
from ostiary.console.shut_out import Gate, gate
from ostiary.console.visit import Form, Visit, action, page
from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.model.access import AccessRule, Holders
from ostiary.model.listener import Listener
from ostiary.model.what_if import Trial
from ostiary.ops import access, authority_view, listeners, profiles
from ostiary.web.words import _

PREFIX: Final = "certificate."
TRY: Final = "try."
MAIN: Final = ("name", "action", "shadow")
REQUEST: Final = ("hosts", "paths", "methods", "sources")
TIMES: Final = ("not_before", "not_after")
HOLDERS: Final = tuple(Holders.model_fields)
# What most rules speak of; the others are behind a fold.
COMMON: Final = tuple(f"{PREFIX}{name}" for name in ("groups", "profiles", "authority_ids", "subject_cn"))
ACTIONS: Final = (("ALLOW", _("Allow what fits")), ("DENY", _("Deny what fits")))
# In these a comma is part of what is meant: a name may have one.
_BY_LINE: Final = frozenset(f"{PREFIX}{name}" for name in ("groups", "profiles", "subject_cn", "subject_ou", "san_uri"))


@dataclass(frozen=True)
class RuleForm(Form):
    """What was sent, with those texts taken line by line in which a comma is part of a name."""

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines that say something, or their parts between commas."""
        if name in _BY_LINE:
            return tuple(line.strip() for line in self.text(name).splitlines() if line.strip())
        return super().lines(name)


@dataclass(frozen=True)
class Popup:
    """What the pop-up is about. `rule` is None for one that is to be added; `tried` is what came of trying it."""

    listener: Listener
    rule: AccessRule | None
    done: Attempt = NOT_YET
    asked: Gate | None = None
    tried: Mapping[str, Any] = field(default_factory=dict)


def ask_create(visit: Visit) -> Response:
    """An empty form, or with what the page before has put into it (`?hosts=…`)."""
    chosen = which.which(visit)
    if chosen.chosen is None:
        raise NotFound("Listener", chosen.gone)
    return _popup(visit, Popup(chosen.chosen, None))


def create(visit: Visit) -> Response:
    """Add it; after saying whom it would shut out."""
    listener = listeners.get(visit.system, visit.caller, visit.form.text("listener_id"))
    return _save(visit, Popup(listener, None))


def ask_edit(visit: Visit) -> Response:
    """The rule as it is."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    return _popup(visit, Popup(listeners.get(visit.system, visit.caller, rule.listener_id), rule))


def edit(visit: Visit) -> Response:
    """Change it; after saying whom that would shut out."""
    rule = access.get(visit.system, visit.caller, visit.path["rule_id"])
    return _save(visit, Popup(listeners.get(visit.system, visit.caller, rule.listener_id), rule))


def _save(visit: Visit, popup: Popup) -> Response:
    if look := visit.form.text("look"):
        return _popup(visit, _tried(visit, popup) if look == "try" else popup)
    found: list[Gate] = []

    def do() -> None:
        wanted = _wanted(visit, popup)
        asked = gate(visit, _trial(popup, wanted))
        if not asked.is_open:
            found.append(asked)
        elif popup.rule is None:
            access.create(visit.system, visit.caller, wanted)
        else:
            _update(visit, popup.rule, wanted)

    done = attempt(visit, "access_rule", do)
    if found:
        return _popup(visit, Popup(popup.listener, popup.rule, Attempt(409), found[0]))
    if not done.is_done:
        newest = access.get(visit.system, visit.caller, popup.rule.id) if popup.rule and done.meanwhile else popup.rule
        return _popup(visit, Popup(popup.listener, newest, done))
    return visit.see(rules_page.back(popup.listener), visit.say(_("%(name)s was saved."), name=visit.form.text("name")))


def _update(visit: Visit, rule: AccessRule, wanted: AccessRule) -> None:
    changes = {name: getattr(wanted, name) for name in (*MAIN, *REQUEST, *TIMES, "certificate")}
    changes = {name: value for name, value in changes.items() if value != getattr(rule, name)}
    access.update(visit.system, visit.caller, rule.id, changes, since=visit.form.seen(rule.revision))


def _wanted(visit: Visit, popup: Popup) -> AccessRule:
    """The rule as it was typed. Raises `Wrong`."""
    form, filled = _sent(visit), _form(visit, popup)
    names = (*MAIN, *REQUEST, *TIMES, *(("position",) if popup.rule is None else ()))
    values, holders = forms.every(
        lambda: forms.decoded(visit, AccessRule, forms.only(filled, names), form),
        lambda: forms.decoded(visit, Holders, filled, form, path=PREFIX),
    )
    kept = {} if popup.rule is None else {name: getattr(popup.rule, name) for name in _untouched(filled, form)}
    its = {**forms.given(values), "certificate": Holders(**forms.given(holders)), **kept}
    if popup.rule is None:
        return AccessRule(listener_id=popup.listener.id, **its)
    whole = {**dict(popup.rule), **{name: its.get(name, _default(name)) for name in (*MAIN, *REQUEST, *TIMES, "certificate")}}
    return AccessRule(**whole)


def _untouched(filled: Filled, form: Form) -> list[str]:
    """Times that stand as they were shown: a form shows no seconds, and would lose them."""
    return [name for name in TIMES if form.text(name) == filled[name].value and filled[name].value]


def _default(name: str) -> Any:
    return AccessRule.model_fields[name].get_default(call_default_factory=True)


def _trial(popup: Popup, wanted: AccessRule) -> Trial:
    without = () if popup.rule is None else (popup.rule.id,)
    return Trial(listener_id=popup.listener.id, rule=wanted, without=without)


def _tried(visit: Visit, popup: Popup) -> Popup:
    """With what would become of a request, and of those who came lately, if the rule were as it is typed."""
    found: dict[str, Any] = {}

    def do() -> None:
        trial = _trial(popup, _wanted(visit, popup))
        found["shut"] = gate(visit, trial).shut
        try:
            found.update(rules_page.answer(visit, visit.form, trial, TRY))
        except (Invalid, Conflict) as error:
            of_the_request = error.field in {"source", "host", "path", "method", "sni", "at", "headers", "certificate"}
            raise Wrong({f"{TRY if of_the_request else ''}{error.field or ''}": visit.say(error.message)}) from None

    done = attempt(visit, "access_rule", do)
    return Popup(popup.listener, popup.rule, done, tried=found)


def _sent(visit: Visit) -> RuleForm:
    return RuleForm(visit.form.texts, visit.form.files)


def _form(visit: Visit, popup: Popup) -> Filled:
    """The rule's own fields, and those of its certificates."""
    rule = popup.rule
    values: dict[str, Any] = {} if rule is None else dict(rule)
    names = (*MAIN, *REQUEST, *TIMES, *(("position",) if rule is None else ()))
    actions = [(value, visit.say(text)) for value, text in ACTIONS]
    of_rule = forms.made(visit, AccessRule, names, values, action=actions)
    held = rule.certificate if rule is not None else Holders()
    of_holders = forms.made(visit, Holders, HOLDERS, dict(held), **_choices(visit, held))
    return forms.together(of_rule, forms.under(of_holders, PREFIX))


def _choices(visit: Visit, held: Holders) -> dict[str, forms.Choices]:
    """The authorities and profiles there are; what is chosen stays among them."""
    authorities = {one.id: one.name or one.subject for one in authority_view.choices(visit.system, visit.caller)}
    known = {one.profile.name: one.profile.name for one in profiles.find(visit.system, visit.caller)}
    return {
        "authority_ids": [*authorities.items(), *((one, one) for one in held.authority_ids if one not in authorities)],
        "profiles": [*known.items(), *((one, one) for one in held.profiles if one not in known)],
    }


def _popup(visit: Visit, popup: Popup) -> Response:
    form = _form(visit, popup)
    is_sent = bool(visit.form.texts)
    given = _sent(visit) if is_sent else _prefilled(visit, form)
    shown = forms.typed(form, given, popup.done.errors)
    asked = question.question(visit, given, popup.listener.id, TRY, dict(popup.done.errors))
    rest = [one for one in shown.part(PREFIX) if one.name not in COMMON]
    return visit.page(
        "access_edit.html",
        popup.done.status,
        **{**rules_page.around(visit.within(form=Form()), popup.listener), "told": None, "shut": None, **popup.tried},
        rule=popup.rule,
        form=forms.together(shown, asked.form),
        asked=asked,
        common=[shown[name] for name in COMMON],
        rest=rest,
        is_tried=bool(popup.tried),
        gate=popup.asked,
        revision=popup.done.seen(visit, popup.rule) if popup.rule is not None else 0,
        meanwhile=popup.done.meanwhile,
        back=rules_page.back(popup.listener),
    )


def _prefilled(visit: Visit, form: Filled) -> Form:
    """What the page before says in the address."""
    return RuleForm({name: (visit.query[name][:1000],) for name in form.controls if name in visit.query})


ROUTES: Final = (
    page("/console/access/create", ask_create, may="access-rule:create", current="access"),
    action("/console/access/create", create, may="access-rule:create", current="access"),
    page("/console/access/{rule_id}", ask_edit, may="access-rule:read", current="access"),
    page("/console/access/{rule_id}/edit", ask_edit, may="access-rule:read", current="access"),
    action("/console/access/{rule_id}/edit", edit, may="access-rule:update", current="access"),
)
