"""CA certificates: see them, make them, import them, say how their news is learned, take them out of use."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import certificates, forms, lists
from ostiary.console.forms import Control, Filled, Wrong
from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Invalid, Unavailable
from ostiary.model.authority import (
    Authority,
    ConstrainedNames,
    NameConstraints,
    NewAuthority,
    SubjectName,
    TrustedAuthority,
)
from ostiary.model.cross_sign import CrossSign
from ostiary.model.revocation import Revoke
from ostiary.model.status_check import StatusCheck
from ostiary.ops import (
    authorities,
    authority_view,
    cross_signing,
    handout,
    imported,
    revocation,
    series,
    status_fetch,
)
from ostiary.ops.authority_view import Details, Overview
from ostiary.ops.server_certificates import AUTHORITY_NAME
from ostiary.web.words import _

SOON: Final = timedelta(days=60)
BUNDLE_MAX: Final = 65_536
PERMITTED: Final = "name_constraints.permitted."
EXCLUDED: Final = "name_constraints.excluded."
SUBJECT: Final = "subject."
CHECK: Final = "status_check."
_NEW: Final = ("name", "kind", "parent_id", "key", "lifetime_days", "path_length", "custody")
_PARTS: Final = tuple(SubjectName.model_fields)
_KINDS_OF_NAMES: Final = tuple(ConstrainedNames.model_fields)

KINDS: Final = {
    "root": _("Root"),
    "intermediate": _("Intermediate"),
    "imported": _("Imported"),
}
PLACES: Final = {
    "here": _("here, encrypted"),
    "token": _("in a PKCS#11 token"),
    "elsewhere": _("elsewhere"),
}
_KEYS: Final = {
    "EC-P256": _("EC P-256: taken by everything, and fast"),
    "EC-P384": "EC P-384",
    "ED25519": _("Ed25519: not taken by browsers"),
    "RSA-3072": _("RSA 3072: for old systems"),
    "RSA-4096": _("RSA 4096: for old systems, slow"),
}
_CUSTODIES: Final = {"file": _("Here, encrypted"), "pkcs11": _("In a PKCS#11 token, which never lets it out")}
_CHECKS: Final = {
    "NONE": _("Not at all: nobody is refused for being revoked"),
    "CRL": _("By its revocation lists, at the handshake"),
    "OCSP": _("By its OCSP responder, of those that were seen"),
    "CRL_AND_OCSP": _("By both"),
}
_STALE: Final = {
    "REFUSE": _("Refuse all its clients"),
    "ALLOW": _("Let them in for some hours, then refuse"),
    "ALARM": _("Let them in, and raise the alarm"),
}
NEWS: Final[dict[str, tuple[str, Tone]]] = {
    "NOT_CHECKED": (_("Not checked"), "off"),
    "FRESH": (_("Current"), "good"),
    "ENDING": (_("Ends soon without news"), "busy"),
    "STALE_REFUSED": (_("Out of date: its clients are refused"), "bad"),
    "STALE_ALLOWED": (_("Out of date: its clients are let in"), "bad"),
    "MISSING": (_("Missing"), "bad"),
}
REASONS: Final = ("unspecified", "cACompromise", "superseded", "cessationOfOperation", "affiliationChanged", "privilegeWithdrawn")
_FORMATS: Final = ("pem", "der", "mobileconfig")


def home(visit: Visit) -> Response:
    """All CA certificates: one row for all that work under one name."""
    found = lists.listed(visit, lambda query: authority_view.find(visit.system, visit.caller, query))
    return visit.page("authorities.html", found=found, rows=rows(visit, found.items))


def rows(visit: Visit, found: Sequence[Authority]) -> list[dict[str, Any]]:
    """Authorities as rows."""
    return [_row(visit, one) for one in authority_view.overviews(visit.system, visit.caller, found)]


def details(visit: Visit) -> Response:
    """All about one."""
    return visit.page("authority.html", **around(visit))


def around(visit: Visit) -> dict[str, Any]:
    """All that the details page shows, also behind a pop-up."""
    its: Details = authority_view.details(visit.system, visit.caller, visit.path["authority_id"])
    authority = its.authority
    word, tone = NEWS[its.news.state]
    return {
        "its": its,
        "authority": authority,
        "title": authority.name or authority.subject,
        "state": state(visit, authority),
        "kind": visit.say(KINDS[authority.kind]),
        "place": visit.say(PLACES[its.place]),
        "news": Shown(visit.say(word), tone),
        "check": visit.say(_CHECKS[authority.status_check.revocation_check]),
        "reason": visit.say(certificates.REASONS.get(authority.revocation_reason or "", ("", ""))[0]),
        "is_ours": authority.kind != "imported",
        "is_checked": authority.kind == "imported" and not authority.has_key,
        "is_first": authority.id == authority.series_id,
        "can_roll": authority.kind == "intermediate" and its.place != "elsewhere" and authority.cross_of is None,
        "public": visit.system.public_url or visit.base,
        "back": f"/console/authorities/{authority.id}",
        "state_of": lambda one: state(visit, one),
        "soon": authority.not_after < visit.at + SOON,
    }


def download(visit: Visit) -> Response:
    """Its certificate as a file."""
    file = handout.authority_file(visit.system, visit.caller, visit.path["authority_id"], visit.query.get("format", "pem"))
    return certificates.saved(file.name, file.media_type, file.content)


def ask_create(visit: Visit) -> Response:
    """A new one; an intermediate below the first root, once there is one."""
    roots = _parents(visit)
    wanted = visit.query.get("parent", "")
    parent = next((one.id for one in roots if one.id == wanted), roots[0].id if roots else None)
    kind = "intermediate" if roots else "root"
    return _create(visit, _create_form(visit, {"kind": kind, "parent_id": parent}))


def create(visit: Visit) -> Response:
    """Make it."""
    form = _create_form(visit, {})
    try:
        values, subject, permitted, excluded = forms.every(
            lambda: forms.decoded(visit, NewAuthority, form, visit.form),
            lambda: forms.decoded(visit, SubjectName, form, visit.form, path=SUBJECT),
            lambda: forms.decoded(visit, ConstrainedNames, form, visit.form, path=PERMITTED),
            lambda: forms.decoded(visit, ConstrainedNames, form, visit.form, path=EXCLUDED),
        )
        if values["kind"] != "intermediate":  # the choice of a parent stands in the form all the same
            values["parent_id"] = None
        new = NewAuthority(
            **forms.given(values), subject=SubjectName(**forms.given(subject)), name_constraints=_constraints(permitted, excluded)
        )
        made = authorities.create(visit.system, visit.caller, new)
    except (Invalid, Conflict, Wrong, Unavailable) as error:
        return _create(visit, forms.typed(form, visit.form, _errors(visit, error)), 422)
    return visit.see(f"/console/authorities/{made.id}", visit.say(_("%(name)s was created."), name=made.name))


def ask_import(visit: Visit) -> Response:
    """One whose key is elsewhere, or a bundle of many."""
    return _import(visit, _import_form(visit))


def take_in(visit: Visit) -> Response:
    """Trust them from now on, where somebody chooses them."""
    form = _import_form(visit)
    try:
        text, values = forms.every(
            lambda: {"certificate": pasted(visit, "certificate", "CERTIFICATE")},
            lambda: forms.decoded(visit, TrustedAuthority, _but(form, "certificate"), visit.form),
        )
        made = imported.import_bundle(visit.system, visit.caller, TrustedAuthority(**text, **forms.given(values)))
    except (Invalid, Conflict, Wrong) as error:
        return _import(visit, forms.typed(form, visit.form, _errors(visit, error)), 422)
    said = visit.say(_("%(name)s was imported. Say now how its revocations are learned."), name=made.name or made.subject)
    return visit.see(f"/console/authorities/{made.id}/edit", said)


def pasted(visit: Visit, name: str, label: str) -> str:
    """PEM that was pasted, or chosen as a file, PEM or DER. Raises `Wrong` when there is none, or it is too long."""
    data = visit.form.file(f"{name}_file") or visit.form.text(name).encode()
    if not data:
        raise Wrong({name: visit.say(_("Paste it, or choose the file that holds it."))})
    if len(data) > BUNDLE_MAX:
        raise Wrong({name: visit.say(_("is longer than %(most)s bytes, the most that is read."), most=BUNDLE_MAX)})
    if data[:1] == b"\x30":  # DER begins so: a sequence
        return f"-----BEGIN {label}-----\n{base64.encodebytes(data).decode('ascii')}-----END {label}-----\n"
    return data.decode("utf-8", "replace")


def ask_edit(visit: Visit) -> Response:
    """What it is called; of an imported one, how its revocations are learned."""
    its = around(visit)
    return visit.page("authority_edit.html", form=_edit_form(visit, its["authority"]), **its)


def edit(visit: Visit) -> Response:
    """Take what was sent."""
    authority = authorities.get(visit.system, visit.caller, visit.path["authority_id"])
    form = _edit_form(visit, authority)
    sent = forms.completed(form, visit.form)  # what was not shown stays as it is
    try:
        values, check = forms.every(
            lambda: forms.decoded(visit, Authority, form, sent),
            lambda: forms.decoded(visit, StatusCheck, form, sent, path=CHECK),
        )
        if check:
            values["status_check"] = StatusCheck(**forms.given(check))
        status_fetch.update(visit.system, visit.caller, authority.id, values)
    except (Invalid, Conflict, Wrong) as error:
        told = forms.typed(form, visit.form, _errors(visit, error))
        return visit.page("authority_edit.html", 422, form=told, **around(visit))
    return visit.see(_place(authority), visit.say(_("%(name)s was saved."), name=authority.name or authority.subject))


def ask_upload(visit: Visit) -> Response:
    """A revocation list from elsewhere."""
    return visit.page("authority_upload.html", form=_upload_form(visit), **around(visit))


def upload(visit: Visit) -> Response:
    """Take it, if it is newer than the one held, or that one is to be replaced all the same."""
    authority_id = visit.path["authority_id"]
    data = visit.form.file("crl_file") or visit.form.text("crl").encode()
    try:
        if not data:
            raise Wrong({"crl": visit.say(_("Paste it, or choose the file that holds it."))})  # noqa: TRY301 (told as the others)
        after = imported.upload(visit.system, visit.caller, authority_id, data, force=visit.form.ticked("force"))
    except (Invalid, Conflict, Wrong) as error:
        told = forms.typed(_upload_form(visit), visit.form, _errors(visit, error))
        return visit.page("authority_upload.html", 422, form=told, **around(visit))
    return visit.see(_place(after), visit.say(_("The revocation list was taken.")))


def fetch(visit: Visit) -> Response:
    """Ask for its lists now."""
    after = status_fetch.fetch_now(visit.system, visit.caller, visit.path["authority_id"])
    return visit.see(_place(after), visit.say(_("Its revocation lists were asked for. What came of it stands below.")))


def ask_revoke(visit: Visit) -> Response:
    """Whether an intermediate is to be revoked by its parent; and whom that would hit."""
    return _revoke(visit, Filled({}))


def revoke(visit: Visit) -> Response:
    """Take it back: all its clients are refused."""
    reason = next((one for one in REASONS if one == visit.form.text("reason")), "")
    try:
        if not reason:
            raise Wrong({"reason": visit.say(_("Choose why."))})  # noqa: TRY301 (told as the others)
        wanted = Revoke(reason=reason)  # type: ignore[arg-type]  # one of the table
        gone = revocation.revoke_authority(visit.system, visit.caller, visit.path["authority_id"], wanted)
    except (Invalid, Conflict, Wrong) as error:
        return _revoke(visit, Filled({}, {_beside(name): why for name, why in _errors(visit, error).items()}))
    return visit.see(_place(gone), visit.say(_("%(name)s was revoked."), name=gone.name))


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant."""
    return visit.page("authority_delete.html", **around(visit), error="")


def delete(visit: Visit) -> Response:
    """Remove it; or say why it is needed."""
    its = around(visit)
    try:
        authorities.delete(visit.system, visit.caller, its["authority"].id)
    except Conflict as error:
        return visit.page("authority_delete.html", 409, **its, error=visit.say(error.message))
    return visit.see("/console/authorities", visit.say(_("%(name)s was deleted."), name=its["title"]))


def ask_roll(visit: Visit) -> Response:
    """Whether another issuing CA is to take over under the same name."""
    return visit.page("authority_roll.html", **around(visit), error="")


def roll(visit: Visit) -> Response:
    """Have it take over."""
    try:
        made = series.roll(visit.system, visit.caller, visit.path["authority_id"])
    except (Invalid, Conflict, Unavailable) as error:
        why = str(error) if isinstance(error, Unavailable) else error.message
        return visit.page("authority_roll.html", 409, **around(visit), error=visit.say(why))
    return visit.see(_place(made), visit.say(_("%(name)s signs from now on."), name=made.subject))


def ask_cross_sign(visit: Visit) -> Response:
    """By which other parent it is to be signed too."""
    return visit.page("authority_cross.html", form=_cross_form(visit), **around(visit))


def cross_sign(visit: Visit) -> Response:
    """Have it signed by another parent as well."""
    form = _cross_form(visit)
    try:
        wanted = CrossSign(**forms.given(forms.decoded(visit, CrossSign, form, visit.form)))
        made = cross_signing.cross_sign(visit.system, visit.caller, visit.path["authority_id"], wanted)
    except (Invalid, Conflict, Wrong, Unavailable) as error:
        told = forms.typed(form, visit.form, {_beside(name): why for name, why in _errors(visit, error).items()})
        return visit.page("authority_cross.html", 422, form=told, **around(visit))
    return visit.see(_place(made), visit.say(_("%(name)s was created."), name=made.name))


def state(visit: Visit, authority: Authority) -> Shown:
    """Whether it is good now."""
    if authority.revoked_at is not None:
        return Shown(visit.say(_("Revoked")), "bad")
    if authority.not_after <= visit.at:
        return Shown(visit.say(_("Expired")), "off")
    return Shown(visit.say(_("Valid")), "good")


def _row(visit: Visit, one: Overview) -> dict[str, Any]:
    return {
        "its": one,
        "authority": one.authority,
        "title": one.authority.name or one.authority.subject,
        "kind": visit.say(KINDS[one.authority.kind]),
        "place": visit.say(PLACES[one.place]),
        "state": state(visit, one.authority),
        "soon": not one.is_over and one.authority.not_after < visit.at + SOON,
        "is_of_servers": one.authority.name == AUTHORITY_NAME,
    }


def _parents(visit: Visit) -> tuple[Authority, ...]:
    """Those that can sign another, roots first."""
    able = authority_view.able(visit.system, visit.caller)
    fitting = [one for one in able if one.name != AUTHORITY_NAME and (one.kind == "root" or one.path_length != 0)]
    return tuple(sorted(fitting, key=lambda one: one.kind != "root"))


def _create_form(visit: Visit, values: Mapping[str, Any]) -> Filled:
    kinds = (("root", visit.say(_("Root: it signs itself"))), ("intermediate", visit.say(_("Intermediate: another CA signs it"))))
    parents = [("", visit.say(_("None"))), *((one.id, one.name or one.subject) for one in _parents(visit))]
    main = forms.made(
        visit,
        NewAuthority,
        _NEW,
        values,
        kind=kinds,
        parent_id=parents,
        key=[(name, visit.say(text)) for name, text in _KEYS.items()],
        custody=[(name, visit.say(text)) for name, text in _CUSTODIES.items()],
    )
    subject = forms.made(visit, SubjectName, _PARTS, {})
    names = forms.made(visit, ConstrainedNames, _KINDS_OF_NAMES, {})
    return forms.together(main, *(forms.under(*one) for one in ((subject, SUBJECT), (names, PERMITTED), (names, EXCLUDED))))


def _create(visit: Visit, form: Filled, status: int = 200) -> Response:
    return visit.page(
        "authority_create.html",
        status,
        form=form,
        subject=form.part(SUBJECT),
        permitted=form.part(PERMITTED),
        excluded=form.part(EXCLUDED),
        has_parent=bool(_parents(visit)),
    )


def _constraints(permitted: Mapping[str, Any], excluded: Mapping[str, Any]) -> NameConstraints | None:
    told = [{name: names for name, names in one.items() if names} for one in (permitted, excluded)]
    if not any(told):
        return None
    return NameConstraints(permitted=ConstrainedNames(**told[0]), excluded=ConstrainedNames(**told[1]))


def _import_form(visit: Visit) -> Filled:
    name = forms.made(visit, TrustedAuthority, ("name",), {})
    label = visit.say(_("CA certificate, or a bundle of many"))
    text = Control("certificate", "lines", label, visit.say(_("In PEM form; each begins with -----BEGIN CERTIFICATE-----.")))
    return forms.together(name, Filled({text.name: replace(text, is_needed=True)}))


def _import(visit: Visit, form: Filled, status: int = 200) -> Response:
    return visit.page("authority_import.html", status, form=form)


def _edit_form(visit: Visit, authority: Authority) -> Filled:
    name = forms.made(visit, Authority, ("name",), dict(authority))
    if authority.kind != "imported" or authority.has_key:
        return name
    check = forms.made(
        visit,
        StatusCheck,
        tuple(StatusCheck.model_fields),
        dict(authority.status_check),
        revocation_check=[(value, visit.say(text)) for value, text in _CHECKS.items()],
        stale_status=[(value, visit.say(text)) for value, text in _STALE.items()],
    )
    return forms.together(name, forms.under(check, CHECK))


def _upload_form(visit: Visit) -> Filled:
    text = Control("crl", "lines", visit.say(_("Revocation list")), visit.say(_("In PEM form; a file may be DER too.")))
    return Filled({text.name: text})


def _cross_form(visit: Visit) -> Filled:
    parents = [(one.id, one.name or one.subject) for one in _parents(visit) if one.id != visit.path["authority_id"]]
    return forms.made(visit, CrossSign, ("parent_id", "name", "lifetime_days", "path_length"), {}, parent_id=parents)


def _revoke(visit: Visit, form: Filled) -> Response:
    return visit.page(
        "authority_revoke.html",
        422 if form.errors else 200,
        form=form,
        reasons=[(name, visit.say(certificates.REASONS[name][0]), "") for name in REASONS],
        chosen=visit.form.text("reason") or "unspecified",
        **around(visit),
    )


def _but(form: Filled, left_out: str) -> Filled:
    return Filled({name: one for name, one in form.controls.items() if name != left_out}, form.errors)


def _errors(visit: Visit, error: Invalid | Conflict | Wrong | Unavailable) -> dict[str, str]:
    """What is wrong, by field; what is said of the whole name stands beside the part of it that is always there."""
    if isinstance(error, Unavailable):
        return {"": visit.say(str(error))}
    return {{"subject": "subject.CN"}.get(name, name): why for name, why in forms.wrong(visit, error).items()}


def _beside(name: str) -> str:
    return "" if name == "authority_id" else name


def _place(authority: Authority) -> str:
    return f"/console/authorities/{authority.id}"


_A: Final = "/console/authorities"
_ONE: Final = "/console/authorities/{authority_id}"

ROUTES: Final = (
    page(_A, home, may="authority:read", current="authorities"),
    page(f"{_A}/create", ask_create, may="authority:create", current="authorities"),
    action(f"{_A}/create", create, may="authority:create", current="authorities"),
    page(f"{_A}/import", ask_import, may="authority:import", current="authorities"),
    action(f"{_A}/import", take_in, may="authority:import", current="authorities"),
    page(_ONE, details, may="authority:read", current="authorities"),
    page(f"{_ONE}/download", download, may="authority:read"),
    page(f"{_ONE}/edit", ask_edit, may="authority:update", current="authorities"),
    action(f"{_ONE}/edit", edit, may="authority:update", current="authorities"),
    page(f"{_ONE}/upload", ask_upload, may="authority:upload", current="authorities"),
    action(f"{_ONE}/upload", upload, may="authority:upload", current="authorities"),
    action(f"{_ONE}/fetch", fetch, may="authority:fetch", current="authorities"),
    page(f"{_ONE}/revoke", ask_revoke, may="authority:revoke", current="authorities"),
    action(f"{_ONE}/revoke", revoke, may="authority:revoke", current="authorities"),
    page(f"{_ONE}/delete", ask_delete, may="authority:delete", current="authorities"),
    action(f"{_ONE}/delete", delete, may="authority:delete", current="authorities"),
    page(f"{_ONE}/roll", ask_roll, may="authority:roll", current="authorities"),
    action(f"{_ONE}/roll", roll, may="authority:roll", current="authorities"),
    page(f"{_ONE}/cross-sign", ask_cross_sign, may="authority:cross-sign", current="authorities"),
    action(f"{_ONE}/cross-sign", cross_sign, may="authority:cross-sign", current="authorities"),
)
