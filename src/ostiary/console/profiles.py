"""Profiles: what each kind of certificate may hold, in words; and their settings."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, get_args

from starlette.responses import Response

from ostiary.console import certificates, forms
from ostiary.console.forms import Control, Filled, Wrong
from ostiary.console.visit import Form, Visit, action, page
from ostiary.errors import Conflict, Invalid
from ostiary.model.profile import Approval, KeyUsage, NameKind, Profile, Purpose
from ostiary.ops import profiles
from ostiary.ops.profiles import ADJUSTABLE, Known
from ostiary.web.words import _

PATTERNS: Final = "name_patterns"
NAMES: Final[dict[str, str]] = {
    "common_name": _("Common name"),
    "organization": _("Organization"),
    "organizational_unit": _("Organizational unit"),
    "serial_number": _("Serial number of the device"),
    "dns": _("DNS names"),
    "ip": _("IP addresses"),
    "uri": _("URIs"),
    "email": _("E-mail addresses"),
}
PURPOSES: Final[dict[str, str]] = {
    "clientAuth": _("to be let in as a client"),
    "serverAuth": _("to be known as a server"),
    "emailProtection": _("to sign and encrypt e-mail"),
    "ipsecIKE": _("for IPsec"),
    "smartcardLogon": _("to sign in to Windows with a smart card"),
}
USAGES: Final[dict[str, str]] = {
    "digitalSignature": _("sign (digitalSignature)"),
    "contentCommitment": _("commit to content (contentCommitment)"),
    "keyEncipherment": _("encipher keys (keyEncipherment)"),
    "keyAgreement": _("agree on keys (keyAgreement)"),
}
APPROVALS: Final[dict[str, str]] = {
    "automatic": _("Nobody else has to agree"),
    "one": _("One other person has to agree"),
    "two": _("Two other people have to agree"),
}
# What those that are built in are for, as `pki.profile` says it; here so that it can be translated.
BUILT_IN: Final = (
    _("Whoever holds it is let in: people, services, machines."),
    _("A machine with an identity of its own: known by its name or serial number, and seldom touched."),
    _("A person, known by an e-mail address."),
    _("A name or address that clients connect to."),
)
_MAIN: Final = ("description", "default_lifetime", "max_lifetime", "approval", "names_allowed", "names_required")


def home(visit: Visit) -> Response:
    """All of them, those that are built in first."""
    found = profiles.find(visit.system, visit.caller)
    return visit.page("profiles.html", rows=[_told(visit, one) for one in found], **certificates.section(visit))


def details(visit: Visit) -> Response:
    """One of them, limit by limit."""
    return visit.page("profile.html", **_around(visit))


def ask_create(visit: Visit) -> Response:
    """A kind of one's own."""
    return _create(visit, _form(visit, Profile(name="x"), new=True))


def create(visit: Visit) -> Response:
    """Add it."""
    form = _form(visit, Profile(name="x"), new=True)
    try:
        values = _decoded(visit, form, visit.form)
        made = profiles.create(visit.system, visit.caller, Profile(**forms.given(values)))
    except (Invalid, Conflict, Wrong) as error:
        return _create(visit, forms.typed(form, visit.form, forms.wrong(visit, error)), 422)
    name = made.profile.name
    return visit.see(f"/console/profiles/{name}", visit.say(_("%(name)s was created."), name=name))


def ask_edit(visit: Visit) -> Response:
    """What may be changed of it."""
    known = profiles.get(visit.system, visit.caller, visit.path["profile_name"])
    return _edit(visit, _form(visit, known.profile, built_in=known.built_in))


def edit(visit: Visit) -> Response:
    """Take what was sent. Certificates that were issued before stay as they are."""
    known = profiles.get(visit.system, visit.caller, visit.path["profile_name"])
    form = _form(visit, known.profile, built_in=known.built_in)
    try:
        values = _decoded(visit, form, forms.completed(form, visit.form))
        profiles.update(visit.system, visit.caller, known.profile.name, values)
    except (Invalid, Conflict, Wrong) as error:
        return _edit(visit, forms.typed(form, visit.form, forms.wrong(visit, error)), 422)
    name = known.profile.name
    return visit.see(f"/console/profiles/{name}", visit.say(_("%(name)s was saved."), name=name))


def ask_delete(visit: Visit) -> Response:
    """Whether it is to go; or, where it is built in, to be as it was."""
    return visit.page("profile_delete.html", **_around(visit), error="")


def delete(visit: Visit) -> Response:
    """Remove it, or put it back."""
    its = _around(visit)
    name, is_built_in = its["name"], its["known"].built_in
    try:
        profiles.delete(visit.system, visit.caller, name)
    except Conflict as error:
        return visit.page("profile_delete.html", 409, **its, error=visit.say(error.message))
    if is_built_in:
        return visit.see(f"/console/profiles/{name}", visit.say(_("%(name)s is as it was built in."), name=name))
    return visit.see("/console/profiles", visit.say(_("%(name)s was deleted."), name=name))


def _around(visit: Visit) -> dict[str, Any]:
    known = profiles.get(visit.system, visit.caller, visit.path["profile_name"])
    labels = forms.made(visit, Profile, [*ADJUSTABLE, *known.rules], {}).controls
    return {
        **_told(visit, known),
        "label": {name: one.label for name, one in labels.items()},
        "back": f"/console/profiles/{known.profile.name}",
        **certificates.section(visit),
    }


def _told(visit: Visit, known: Known) -> dict[str, Any]:
    """A profile in words."""
    one = known.profile
    return {
        "known": known,
        "profile": one,
        "name": one.name,
        "description": visit.say(one.description) if one.description else "",
        "purposes": [visit.say(PURPOSES[name]) for name in one.extended_key_usages],
        "usages": [visit.say(USAGES[name]) for name in one.key_usages],
        "rsa_usages": [visit.say(USAGES[name]) for name in one.rsa_key_usages],
        "allowed": [visit.say(NAMES[name]) for name in one.names_allowed],
        "required": [visit.say(NAMES[name]) for name in one.names_required],
        "patterns": [(visit.say(NAMES[name]), patterns) for name, patterns in one.name_patterns.items()],
        "approval": visit.say(APPROVALS[one.approval]),
        "lifetime": _length(visit, one.default_lifetime),
        "longest": _length(visit, one.max_lifetime),
        "backdate": _length(visit, one.backdate),
    }


def _length(visit: Visit, of: timedelta) -> str:
    """A length of time to the day, where it is one of days: "12 months" would not say which."""
    return visit.say_many("%(count)s day", "%(count)s days", of.days) if of.days and not of.seconds else forms.length(of)


def _form(visit: Visit, profile: Profile, *, built_in: bool = False, new: bool = False) -> Filled:
    names = [name for name in forms.settable(Profile, later=not new) if name not in {PATTERNS, "project_id"}]
    if built_in:
        names = [name for name in names if name in ADJUSTABLE]
    values = {} if new else dict(profile)
    words: Mapping[str, tuple[Any, Mapping[str, str]]] = {
        "extended_key_usages": (Purpose, PURPOSES),
        "key_usages": (KeyUsage, USAGES),
        "rsa_key_usages": (KeyUsage, USAGES),
        "names_allowed": (NameKind, NAMES),
        "names_required": (NameKind, NAMES),
        "approval": (Approval, APPROVALS),
    }
    choices = {name: [(one, visit.say(said[one])) for one in get_args(kind)] for name, (kind, said) in words.items()}
    form = forms.made(visit, Profile, names, values, **{name: choices[name] for name in names if name in choices})
    kinds = [kind for kind in NAMES if not built_in or kind in profile.names_allowed]
    patterns = [
        Control(
            f"{PATTERNS}.{kind}",
            "lines",
            visit.say(NAMES[kind]),
            value="\n".join(values.get(PATTERNS, {}).get(kind, ())),
        )
        for kind in kinds
    ]
    return forms.together(form, Filled({one.name: one for one in patterns}))


def _decoded(visit: Visit, form: Filled, sent: Form) -> dict[str, Any]:
    values = forms.decoded(visit, Profile, form, sent)
    kinds = [name.removeprefix(f"{PATTERNS}.") for name in form.controls if name.startswith(f"{PATTERNS}.")]
    values[PATTERNS] = {kind: lines for kind in kinds if (lines := sent.lines(f"{PATTERNS}.{kind}"))}
    return values


def _create(visit: Visit, form: Filled, status: int = 200) -> Response:
    return visit.page("profile_create.html", status, **_parts(form), **certificates.section(visit))


def _edit(visit: Visit, form: Filled, status: int = 200) -> Response:
    return visit.page("profile_edit.html", status, **_around(visit), **_parts(form))


def _parts(form: Filled) -> dict[str, Any]:
    shown = {name: replace(one, is_needed=one.is_needed and name == "name") for name, one in form.controls.items()}
    patterns = [one for name, one in shown.items() if name.startswith(f"{PATTERNS}.")]
    return {
        "form": Filled(shown, form.errors),
        "main": [shown[name] for name in ("name", *_MAIN) if name in shown],
        "patterns_of": patterns,
        "others": [one for name, one in shown.items() if name not in {"name", *_MAIN} and one not in patterns],
    }


_ONE: Final = "/console/profiles/{profile_name}"

ROUTES: Final = (
    page("/console/profiles", home, may="profile:read", current="certificates"),
    page("/console/profiles/create", ask_create, may="profile:create", current="certificates"),
    action("/console/profiles/create", create, may="profile:create", current="certificates"),
    page(_ONE, details, may="profile:read", current="certificates"),
    page(f"{_ONE}/edit", ask_edit, may="profile:update", current="certificates"),
    action(f"{_ONE}/edit", edit, may="profile:update", current="certificates"),
    page(f"{_ONE}/delete", ask_delete, may="profile:delete", current="certificates"),
    action(f"{_ONE}/delete", delete, may="profile:delete", current="certificates"),
)
