"""Issue a client certificate: for a request, as a file with a key of its own, or as a link by which a device makes its key."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from ostiary.console import certificates, forms
from ostiary.console.forms import Control, Filled, Wrong
from ostiary.console.visit import Visit, action, page, url
from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.ids import new_id
from ostiary.model.authority import Authority, Certificate, NewCertificate, RequestedNames
from ostiary.model.handout import NewIdentity
from ostiary.model.request import CertificateRequest
from ostiary.model.token import NewToken
from ostiary.ops import authority_view, certificate_view, enrolling, handout, identities, profiles, tokens
from ostiary.ops import certificates as issued
from ostiary.ops.idempotency import Once
from ostiary.ops.profiles import Known
from ostiary.pki.bundle import new_passphrase
from ostiary.web.enrolment import Steps
from ostiary.web.words import _

CSR_MAX: Final = 65_536
WAYS: Final = {
    "file": _("A file with key and certificate"),
    "csr": _("For a certificate request"),
    "grant": _("A link for the device"),
}
PKCS12: Final = "application/x-pkcs12"
_NAMES: Final = "names."
_WANTED: Final = tuple(RequestedNames.model_fields)
_ONCE: Final = "once"
_PASSPHRASE: Final = "passphrase"  # noqa: S105 (the name of a field)
# What says nothing of which certificate is meant, and what is not even to be digested.
_NOT_SAID: Final = frozenset({"csrf", _ONCE, _PASSPHRASE, "noted", forms.PRESENT})
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "csr": ("authority_id", "profile", "owner", "groups", "name", "lifetime", "justification"),
    "file": ("authority_id", "profile", "owner", "groups", "name", "lifetime", "key_type", "pkcs12_form", "include_root"),
    "grant": ("authority_id", "profile", "owner", "groups", "lifetime", "expires_in", "uses"),
}
_MAIN: Final = ("authority_id", "profile", "owner", "groups", "pkcs12_form")
_APPLE: Final = "apple"
_FORMS: Final = (
    ("modern", _("For current systems (AES-256)")),
    ("compatible", _("For Apple's systems, Android up to 13, Windows Server 2016")),
    (_APPLE, _("As an Apple profile, for iPhone, iPad and Mac")),
)


def ask(visit: Visit) -> Response:
    """The form, for one of the ways."""
    way = visit.query.get("how", "file")
    way = way if way in WAYS else "file"
    return _page(visit, way, _shown(visit, way, _form(visit, way, _like(visit))))


def make(visit: Visit) -> Response:
    """Issue it in the way that was chosen."""
    way = visit.query.get("how", "")
    if way not in WAYS:
        raise Invalid("how", f"is one of {', '.join(WAYS)}")
    form = _form(visit, way)
    try:
        return {"csr": _by_request, "file": _by_file, "grant": _by_grant}[way](visit, form)
    except (Invalid, Conflict, Wrong) as error:
        return _page(visit, way, forms.typed(_shown(visit, way, form), visit.form, _errors(visit, error)), 422)


def _by_request(visit: Visit, form: Filled) -> Response:
    """Sign what a request asks for; or put it before others, where the profile says so."""
    csr, values, names = forms.every(
        lambda: {"csr": csr_text(visit)},
        lambda: forms.decoded(visit, NewCertificate, form, visit.form),
        lambda: forms.decoded(visit, RequestedNames, form, visit.form, path=_NAMES),
    )
    said = _said(names)
    new = NewCertificate(**csr, **forms.given(values), names=RequestedNames(**said) if said else None)
    made = issued.ask(visit.system, visit.caller, new, _once(visit))
    if isinstance(made, CertificateRequest):
        sentence = _("It is not issued yet: somebody else has to agree first.")
        return visit.see(f"/console/requests/{made.id}", visit.say(sentence))
    return visit.see(f"/console/certificates/{made.id}", visit.say(_("%(name)s was issued."), name=certificates.title(made)))


def _by_file(visit: Visit, form: Filled) -> Response:
    """Make key and certificate, and answer with the file that holds both: the key is kept nowhere."""
    values, names, passphrase, kind = forms.every(
        lambda: forms.decoded(visit, NewIdentity, _but(form, "pkcs12_form"), visit.form),
        lambda: forms.decoded(visit, RequestedNames, form, visit.form, path=_NAMES),
        lambda: {_PASSPHRASE: _passphrase(visit)},
        lambda: _file_form(visit),
    )
    new = NewIdentity(key="generate", names=RequestedNames(**_said(names)), **forms.given(values), **passphrase, **kind)
    handed = identities.issue_with_key(visit.system, visit.caller, new, _once(visit))
    name = certificates.title(handed.certificate)
    if handed.mobileconfig is not None:
        return certificates.saved(handout.file_name(name, ".mobileconfig"), handout.MOBILECONFIG, bytes(handed.mobileconfig))
    return certificates.saved(handout.file_name(name, ".p12"), PKCS12, bytes(handed.pkcs12))


def _by_grant(visit: Visit, form: Filled) -> Response:
    """Make a grant, and show this once how it is used."""
    values, names = forms.every(
        lambda: forms.decoded(visit, NewToken, form, visit.form),
        lambda: forms.decoded(visit, RequestedNames, form, visit.form, path=_NAMES),
    )
    door = visit.system.door("enrolment")
    if door is None:
        raise Conflict("There is no door to enrolment, so nobody could use it; start ostiary with --enroll-listen.")
    known_by = enrolling.server_authority(visit.system).fingerprint_sha256
    new = NewToken(**forms.given(values), names=RequestedNames(**_said(names)))
    token, secret = tokens.create(visit.system, visit.caller, new)
    steps = Steps(door.url, bytes(secret).decode(), known_by)
    return visit.page(
        "certificate_grant.html", token=token, steps=steps, picture=picture(steps.url), **certificates.section(visit)
    )


def ask_renew(visit: Visit) -> Response:
    """The form for the request with the new key."""
    return _renewal(visit)


def renew(visit: Visit) -> Response:
    """Issue the successor: the same names, a new key, a new time."""
    try:
        csr = csr_text(visit)
        made = issued.renew(visit.system, visit.caller, visit.path["certificate_id"], csr, _once(visit))
    except (Invalid, Conflict, Wrong) as error:
        return _renewal(visit, forms.wrong(visit, error))
    return visit.see(f"/console/certificates/{made.id}", visit.say(_("This is the successor of the certificate it renewed.")))


def csr_text(visit: Visit, name: str = "csr") -> str:
    """The request that was pasted, or chosen as a file, PEM or DER. Raises `Wrong` when there is none, or it is too long."""
    data = visit.form.file(f"{name}_file") or visit.form.text(name).encode()
    if not data:
        raise Wrong({name: visit.say(_("Paste the certificate request, or choose the file that holds it."))})
    if len(data) > CSR_MAX:
        raise Wrong({name: visit.say(_("is longer than %(most)s bytes, the most that is read."), most=CSR_MAX)})
    if data[:1] == b"\x30":  # DER begins so: a sequence
        body = base64.encodebytes(data).decode("ascii")
        return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    return data.decode("utf-8", "replace")


def picture(text: str) -> Markup:
    """A QR code as SVG, to stand in a page; black on white, also by night, for cameras read nothing else."""
    import segno  # noqa: PLC0415 (only here)

    svg = segno.make(text, error="m", micro=False).svg_inline(scale=4, border=4, light="#fff", dark="#000", omitsize=True)
    return Markup(svg)  # noqa: S704 (made of a matrix of squares, and nothing that anybody wrote)


def _form(visit: Visit, way: str, values: Mapping[str, Any] | None = None) -> Filled:
    given = values or {}
    choices: dict[str, forms.Choices] = {
        "authority_id": [(one.id, one.name or one.subject) for one in _authorities(visit)],
        "profile": [(one.profile.name, _of_profile(visit, one)) for one in _profiles(visit, way)],
        "pkcs12_form": [(name, visit.say(text)) for name, text in _FORMS],
    }
    wanted = {name: choices[name] for name in _FIELDS[way] if name in choices}
    start = {"authority_id": visit.query.get("authority", ""), **given}
    if way == "file":
        its = forms.made(visit, NewIdentity, _FIELDS[way], start, **wanted)
    elif way == "csr":
        its = forms.made(visit, NewCertificate, _FIELDS[way], start, **wanted)
    else:
        its = forms.made(visit, NewToken, _FIELDS[way], start, **wanted)
    names = forms.made(visit, RequestedNames, _WANTED, given.get("names") or {})
    return forms.together(its, forms.under(names, _NAMES))


def _shown(visit: Visit, way: str, form: Filled) -> Filled:
    """With what is no field of a model: the request itself, the passphrase."""
    help_text = _("In PEM form, it begins with -----BEGIN CERTIFICATE REQUEST-----.")
    more = {
        "csr": Control("csr", "lines", visit.say(_("Certificate request")), visit.say(help_text), is_needed=True),
        "file": Control(_PASSPHRASE, "text", visit.say(_("Passphrase of the file")), is_needed=True),
    }
    return forms.together(form, Filled({more[way].name: more[way]})) if way in more else form


def _but(form: Filled, left_out: str) -> Filled:
    return Filled({name: one for name, one in form.controls.items() if name != left_out}, form.errors)


def _file_form(visit: Visit) -> dict[str, Any]:
    """Which form the file is to have. Raises `Wrong`."""
    chosen = visit.form.text("pkcs12_form", "modern")
    if chosen not in dict(_FORMS):
        raise Wrong({"pkcs12_form": visit.say(_("is not one of the choices"))})
    return {"pkcs12_form": "compatible", "mobileconfig": True} if chosen == _APPLE else {"pkcs12_form": chosen}


def _authorities(visit: Visit) -> tuple[Authority, ...]:
    return authority_view.able(visit.system, visit.caller)


def _profiles(visit: Visit, way: str) -> list[Known]:
    """Those for clients before those for servers; a key that is made here, and a grant, can wait for nobody."""
    found = [one for one in profiles.find(visit.system, visit.caller) if way == "csr" or one.profile.approval == "automatic"]
    return sorted(found, key=lambda one: "clientAuth" not in one.profile.extended_key_usages)


def _of_profile(visit: Visit, one: Known) -> str:
    description = visit.say(one.profile.description) if one.profile.description else ""
    return f"{one.profile.name}: {description}" if description else one.profile.name


def _like(visit: Visit) -> dict[str, Any]:
    """What is known of the certificate that the new one is to be like."""
    like = visit.query.get("like", "")
    if not like:
        return {}
    try:
        one: Certificate = issued.get(visit.system, visit.caller, like)
    except NotFound:
        return {}
    names = asdict(certificate_view.names_of(one))
    return {**{name: getattr(one, name) for name in ("profile", "owner", "groups", "name")}, "names": names}


def _said(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if value}


def _passphrase(visit: Visit) -> str:
    given = visit.form.text(_PASSPHRASE)
    if not given:
        raise Wrong({_PASSPHRASE: visit.say(_("is needed"))})
    return given


def _once(visit: Visit) -> Once | None:
    """So that the same form, sent twice, makes one certificate: bound to this page and to what was typed into it."""
    page_id = visit.form.text(_ONCE)[:64]
    if not (page_id and page_id.isascii() and page_id.isprintable()):
        return None
    digest = hashlib.sha256(visit.place.encode())
    for name in sorted(visit.form.texts.keys() - _NOT_SAID):
        digest.update("\0".join(("", name, *visit.form.all(name))).encode())
    for name in sorted(visit.form.files):
        digest.update(b"\0" + name.encode() + b"\0" + visit.form.files[name])
    said = digest.hexdigest()
    return Once(key=f"console-{page_id}-{said[:32]}", request_sha256=said)


def _errors(visit: Visit, error: Invalid | Conflict | Wrong) -> dict[str, str]:
    """What is wrong, beside the field it is wrong in; names that are missing altogether, beside the first of them."""
    found = forms.wrong(visit, error)
    return {{"names": "names.common_name", "Idempotency-Key": ""}.get(name, name): why for name, why in found.items()}


def _page(visit: Visit, way: str, form: Filled, status: int = 200) -> Response:
    is_sent = bool(visit.form.texts)
    first = [name for name in _MAIN if name in form]
    return visit.page(
        "certificate_create.html",
        status,
        form=form,
        way=way,
        ways={
            name: (visit.say(title), url("/console/certificates/create", how=name, **_kept(visit)))
            for name, title in WAYS.items()
        },
        main=[form[name] for name in first],
        names=form.part(_NAMES),
        others=[
            one
            for one in form.controls.values()
            if one.name not in {*first, "csr", _PASSPHRASE} and not one.name.startswith(_NAMES)
        ],
        once=(visit.form.text(_ONCE)[:64] if is_sent else "") or new_id(),
        passphrase=(visit.form.text(_PASSPHRASE) if is_sent else "") or new_passphrase(),
        noted=visit.form.ticked("noted"),
        door=visit.system.door("enrolment"),
        has_authority=bool(_authorities(visit)),
        **certificates.section(visit),
    )


def _kept(visit: Visit) -> dict[str, str]:
    return {name: visit.query[name] for name in ("authority", "like") if name in visit.query}


def _renewal(visit: Visit, errors: Mapping[str, str] | None = None) -> Response:
    return visit.page(
        "certificate_renew.html",
        422 if errors else 200,
        form=forms.typed(_shown(visit, "csr", Filled({})), visit.form, errors),
        once=visit.form.text(_ONCE)[:64] or new_id(),
        **certificates.around(visit),
    )


ROUTES: Final = (
    page("/console/certificates/create", ask, may="certificate:issue", current="certificates"),
    action("/console/certificates/create", make, may="certificate:issue", current="certificates"),
    page("/console/certificates/{certificate_id}/renew", ask_renew, may="certificate:renew", current="certificates"),
    action("/console/certificates/{certificate_id}/renew", renew, may="certificate:renew", current="certificates"),
)
