"""Take certificates back: one for good or for a while, or all that match, once somebody has seen how many those are."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from starlette.responses import Response

from ostiary.console import certificates, forms
from ostiary.console.forms import Filled, Wrong
from ostiary.console.visit import Form, Visit, action, page
from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Certificate
from ostiary.model.revocation import HOLD, RELEASED, Matching, Reason, Revoke
from ostiary.ops import profiles, revocation
from ostiary.web.words import _

_MANY: Final = ("authority_id", "owner", "group", "profile", "issued_after", "issued_before")
_SHOWN: Final = 20
_REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


def ask_revoke(visit: Visit) -> Response:
    """Why it is to be revoked; and what that will do."""
    return _revoke(visit, _revoke_form(visit))


def revoke(visit: Visit) -> Response:
    """Take it back."""
    form = _revoke_form(visit)
    try:
        reason = _reason(visit)
        values = forms.decoded(visit, Revoke, form, visit.form)
        since = values["invalidity_date"] if reason == "keyCompromise" else None
        done = revocation.revoke(
            visit.system, visit.caller, visit.path["certificate_id"], Revoke(reason=reason, invalidity_date=since)
        )
    except (Invalid, Conflict, Wrong) as error:
        return _revoke(visit, forms.typed(form, visit.form, forms.wrong(visit, error)), chosen=visit.form.text("reason"))
    return visit.see(f"/console/certificates/{done.id}", visit.say(_("%(name)s was revoked."), name=certificates.title(done)))


def ask_hold(visit: Visit) -> Response:
    """Whether it is to be refused for a while."""
    return visit.page("certificate_hold.html", **certificates.around(visit), error="")


def hold(visit: Visit) -> Response:
    """Refuse it until it is released."""
    return _said(visit, HOLD, _("%(name)s is on hold."))


def ask_release(visit: Visit) -> Response:
    """Whether it is to be let in again."""
    return visit.page("certificate_release.html", **certificates.around(visit), error="")


def release(visit: Visit) -> Response:
    """Let it in again."""
    return _said(visit, RELEASED, _("%(name)s was released."))


def ask_many(visit: Visit) -> Response:
    """Which certificates are to be revoked together; once that is said, how many they are."""
    form = _many_form(visit, dict(visit.query))
    if "count" not in visit.query:
        return _many(visit, form)
    try:
        which = _matching(visit, form, visit.query)
        count, some = revocation.preview(visit.system, visit.caller, which, show=_SHOWN)
    except (Invalid, Wrong) as error:
        return _many(visit, replace(form, errors=_of_many(visit, error)), 422)
    return _many(visit, form, counted=(count, some))


def many(visit: Visit) -> Response:
    """Revoke them, when as many as were counted match, and the number was typed."""
    sent = {name: visit.form.text(name) for name in _MANY}
    form = _many_form(visit, sent)
    try:
        which = _matching(visit, form, sent)
    except Wrong as error:
        return _many(visit, replace(form, errors=error.errors), 422)
    try:
        reason, expected = forms.every(lambda: {"reason": _reason(visit)}, lambda: {"expected": _expected(visit)})
        done = revocation.revoke_matching(
            visit.system, visit.caller, which, Revoke(reason=reason["reason"]), expected["expected"]
        )
    except (Invalid, Conflict, Wrong) as error:
        counted = revocation.preview(visit.system, visit.caller, which, show=_SHOWN)
        told = replace(form, errors=_of_many(visit, error))
        return _many(visit, told, 422, counted=counted, chosen=visit.form.text("reason"))
    said = visit.say_many("%(count)s certificate was revoked.", "%(count)s certificates were revoked.", done)
    return visit.see("/console/certificates?status=REVOKED", said)


def _reason(visit: Visit) -> Reason:
    """The reason that was chosen. Raises `Wrong`."""
    for known in _REASONS:
        if known in certificates.REASONS and known == visit.form.text("reason"):
            return known
    raise Wrong({"reason": visit.say(_("Choose why."))})


def _expected(visit: Visit) -> int:
    """How many were counted, once somebody has typed just that. Raises `Wrong`."""
    expected = visit.form.text("expected")
    typed = "".join(one for one in visit.form.text("confirm") if one not in ",. \u00a0")  # as numbers are written
    if not (expected.isascii() and expected.isdigit() and len(expected) < 10) or typed != expected:
        raise Wrong({"confirm": visit.say(_("Type the number of certificates, to show that so many are meant."))})
    return int(expected)


def _revoke_form(visit: Visit) -> Filled:
    return forms.made(visit, Revoke, ("invalidity_date",), {})


def _revoke(visit: Visit, form: Filled, chosen: str = "") -> Response:
    its = certificates.around(visit)
    return visit.page(
        "certificate_revoke.html",
        422 if form.errors else 200,
        form=form,
        chosen=chosen or "unspecified",
        reasons=_reasons(visit),
        **its,
    )


def _reasons(visit: Visit) -> list[tuple[str, str, str]]:
    return [(name, visit.say(words), visit.say(meaning)) for name, (words, meaning) in certificates.REASONS.items()]


def _said(visit: Visit, what: Any, sentence: str) -> Response:
    try:
        done = revocation.revoke(visit.system, visit.caller, visit.path["certificate_id"], Revoke(reason=what))
    except Conflict as error:
        template = "certificate_hold.html" if what == HOLD else "certificate_release.html"
        return visit.page(template, 409, **certificates.around(visit), error=visit.say(error.message))
    return visit.see(f"/console/certificates/{done.id}", visit.say(sentence, name=certificates.title(done)))


def _many_form(visit: Visit, typed: Mapping[str, str]) -> Filled:
    nothing = [("", visit.say(_("Any")))]
    chosen = typed.get("authority_id", "")
    kinds = [known.profile.name for known in profiles.find(visit.system, visit.caller)]
    form = forms.made(
        visit,
        Matching,
        _MANY,
        {},
        authority_id=[*nothing, *certificates.authority_choices(visit, chosen)],
        profile=[*nothing, *((name, name) for name in kinds)],
    )
    filled = {name: replace(one, value=typed.get(name, "")[:255]) for name, one in form.controls.items()}
    return Filled(filled)


def _matching(visit: Visit, form: Filled, typed: Mapping[str, str]) -> Matching:
    sent = Form({name: (typed.get(name, ""),) for name in _MANY})
    given = forms.given(forms.decoded(visit, Matching, form, sent))
    if not given:
        raise Wrong({"": visit.say(_("Say which: choose at least one."))})
    return Matching(**given)


def _of_many(visit: Visit, error: Invalid | Conflict | Wrong) -> dict[str, str]:
    return {"" if name in {"matching", "expected"} else name: why for name, why in forms.wrong(visit, error).items()}


def _many(
    visit: Visit,
    form: Filled,
    status: int = 200,
    *,
    counted: tuple[int, tuple[Certificate, ...]] | None = None,
    chosen: str = "",
) -> Response:
    told = {name: replace(one, error=form.errors.get(name, "")) for name, one in form.controls.items()}
    return visit.page(
        "certificates_revoke.html",
        status,
        form=Filled(told, form.errors),
        counted=counted,
        rows=certificates.rows(visit, counted[1]) if counted else [],
        reasons=_reasons(visit),
        chosen=chosen or "unspecified",
        **certificates.section(visit),
    )


ROUTES: Final = (
    page("/console/certificates/revoke", ask_many, may="certificate:revoke", current="certificates"),
    action("/console/certificates/revoke", many, may="certificate:revoke", current="certificates"),
    page("/console/certificates/{certificate_id}/revoke", ask_revoke, may="certificate:revoke", current="certificates"),
    action("/console/certificates/{certificate_id}/revoke", revoke, may="certificate:revoke", current="certificates"),
    page("/console/certificates/{certificate_id}/hold", ask_hold, may="certificate:revoke", current="certificates"),
    action("/console/certificates/{certificate_id}/hold", hold, may="certificate:revoke", current="certificates"),
    page("/console/certificates/{certificate_id}/release", ask_release, may="certificate:revoke", current="certificates"),
    action("/console/certificates/{certificate_id}/release", release, may="certificate:revoke", current="certificates"),
)
