"""Server certificates: see them with what is in them and until when, bring them, renew them where they are, delete them."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, lists
from ostiary.console.attempts import Attempt, attempt
from ostiary.console.forms import Control, Filled
from ostiary.console.status import Shown
from ostiary.console.visit import Visit, action, page
from ostiary.model.authority import TrustedAuthority
from ostiary.model.secret import Container
from ostiary.ops import imported, naming, served, uploading
from ostiary.ops.served import ServerCertificate
from ostiary.ops.uploading import Brought
from ostiary.pki.presented import Presented
from ostiary.web.words import _

SOON: Final = timedelta(days=30)
_SERVER, _CA = "TLS/SSL", "CA"  # as vLB calls both kinds
# What is not shown again when something else is wrong: it would stand in the page.
_SECRET: Final = frozenset({"private_key", "passphrase"})
_HELPS: Final = {
    "certificate": _("PEM, beginning with -----BEGIN CERTIFICATE-----. Its expiry and its names are read from it."),
    "private_key": _("PEM. It is stored encrypted, and without its passphrase."),
    "intermediates": _("The certificates between it and the root, in any order; those that ostiary knows can be left out."),
    "pkcs12": _("Certificate, key and chain in one file (.p12, .pfx), in place of the three above."),
    "passphrase": _("Of the private key or of the PKCS#12 file. It is used once and not kept."),
}
_LABELS: Final = {
    "certificate": _("Certificate"),
    "private_key": _("Private key"),
    "intermediates": _("Certificate chain"),
    "pkcs12": _("PKCS#12 file"),
    "passphrase": _("Passphrase"),
}


def home(visit: Visit) -> Response:
    """All of them, by name."""
    found = lists.listed(visit, lambda query: served.find(visit.system, visit.caller, query))
    rows = [{"one": one, "title": title(visit, one), "state": ending(visit, one.content)} for one in found.items]
    return visit.page("server_certificates.html", found=found, rows=rows)


def details(visit: Visit) -> Response:
    """What is in one, and who uses it."""
    return visit.page("server_certificate.html", **_around(visit))


def ask_upload(visit: Visit) -> Response:
    """The form of a new one."""
    return _upload_page(visit, _form(visit))


def upload(visit: Visit) -> Response:
    """Take in a server certificate with its key, or an authority that others are to be trusted by."""
    if visit.form.text("type") == _CA:
        done = attempt(visit, "container", lambda: _import(visit))
        place = "/console/authorities/{}"
    else:
        done = attempt(visit, "container", lambda: uploading.upload(visit.system, visit.caller, _brought(visit)))
        place = "/console/server-certificates/{}"
    if not done.is_done:
        return _upload_page(visit, _again(visit, done), done.status)
    return visit.see(place.format(done.made.id), visit.say(_("%(name)s was uploaded."), name=done.made.name or done.made.id))


def ask_renew(visit: Visit) -> Response:
    """The form of what takes its place."""
    return visit.page("server_certificate_renew.html", form=_form(visit), **_around(visit))


def renew(visit: Visit) -> Response:
    """Put another in its place; listeners use it from the next moment on."""
    certificate_id = visit.path["certificate_id"]
    done = attempt(visit, "container", lambda: uploading.renew(visit.system, visit.caller, certificate_id, _brought(visit)))
    if not done.is_done:
        return visit.page("server_certificate_renew.html", done.status, form=_again(visit, done), **_around(visit))
    said = visit.say(_("%(name)s was renewed."), name=title(visit, done.made))
    return visit.see(f"/console/server-certificates/{done.made.id}", said)


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant; or why not, where somebody uses it."""
    return visit.page("server_certificate_delete.html", **_around(visit))


def delete(visit: Visit) -> Response:
    """Remove it with its key."""
    one = served.get(visit.system, visit.caller, visit.path["certificate_id"])
    done = attempt(visit, "container", lambda: uploading.delete(visit.system, visit.caller, one.id))
    if not done.is_done:
        return visit.page("server_certificate_delete.html", 409, why=done.errors.get("", ""), **_around(visit))
    return visit.see("/console/server-certificates", visit.say(_("%(name)s was deleted."), name=title(visit, one)))


def ending(visit: Visit, content: Presented | None) -> Shown:
    """How long it still is good for, in a word and a colour."""
    if content is None:
        return Shown(visit.say(_("Cannot be read")), "bad")
    if content.ends <= visit.at:
        return Shown(visit.say(_("Expired")), "bad")
    if content.not_before > visit.at:
        return Shown(visit.say(_("Not valid yet")), "busy")
    if content.ends - visit.at <= SOON:
        days = max((content.ends - visit.at).days, 1)
        return Shown(visit.say_many(_("%(count)s day left"), _("%(count)s days left"), days), "busy")
    return Shown(visit.say(_("Valid")), "good")


def title(visit: Visit, one: ServerCertificate) -> str:
    """What it is called; one that ostiary issued is called by what it is for."""
    hosts = ", ".join(one.content.hosts[:3]) if one.content is not None else ""
    if one.origin == "door":
        return visit.say(_("Of the door %(address)s"), address=one.made_for)
    if one.origin == "listener":
        return visit.say(_("Issued by ostiary for %(names)s"), names=hosts or one.made_for)
    return one.name or hosts or one.id


def _around(visit: Visit) -> dict[str, Any]:
    one = served.get(visit.system, visit.caller, visit.path["certificate_id"])
    its_listener = naming.listeners(visit.system, visit.caller, [one.made_for]) if one.origin == "listener" else {}
    return {
        "one": one,
        "title": title(visit, one),
        "state": ending(visit, one.content),
        "made_for": its_listener.get(one.made_for),
        "is_ours": one.origin == "door" or (one.origin == "listener" and bool(one.users)),
        "back": f"/console/server-certificates/{one.id}",
    }


def _form(visit: Visit) -> Filled:
    name = forms.made(visit, Container, ["name"], {})["name"]
    types = [(_SERVER, visit.say(_("TLS/SSL: for listeners, with its private key")))]
    if visit.can("authority:import"):
        types.append((_CA, visit.say(_("CA: to be trusted, whose key is elsewhere"))))
    kinds: dict[str, forms.Kind] = {"pkcs12": "text", "passphrase": "text"}
    controls = [
        Control("name", "text", visit.say(_("Friendly Name")), visit.say(_("Made up from its names if left empty.")), name.value),
        Control("type", "choice", visit.say(_("Certificate Type")), value=_SERVER, choices=tuple(types)),
        *(Control(one, kinds.get(one, "lines"), visit.say(label), visit.say(_HELPS[one])) for one, label in _LABELS.items()),
        Control("is_whole", "tick", visit.say(_("The CA that signed it is a root that clients have: nothing is between"))),
        Control("may_lose_names", "tick", visit.say(_("Clients do not ask for the names that are lost any more"))),
    ]
    return Filled({one.name: one for one in controls})


def _again(visit: Visit, done: Attempt) -> Filled:
    """As it was sent, what came in files as well; without what is secret."""
    filled = forms.typed(_form(visit), visit.form, done.errors)
    controls = dict(filled.controls)
    for name in ("certificate", "intermediates"):
        controls[name] = replace(controls[name], value=_text(visit, name))
    for name in _SECRET:
        controls[name] = replace(controls[name], value="")
    return Filled(controls, filled.errors)


def _upload_page(visit: Visit, form: Filled, status: int = 200) -> Response:
    return visit.page("server_certificate_upload.html", status, form=form)


def _brought(visit: Visit) -> Brought:
    sent = visit.form
    name = forms.decoded(visit, Container, forms.only(_form(visit), ["name"]), sent)["name"]
    return Brought(
        name=name or "",
        certificate=_bytes(visit, "certificate"),
        private_key=_bytes(visit, "private_key"),
        intermediates=_bytes(visit, "intermediates"),
        pkcs12=sent.file("pkcs12"),
        # Spaces around it may be meant.
        passphrase=sent.texts.get("passphrase", ("",))[-1].encode() or None,
        is_whole=sent.ticked("is_whole"),
        may_lose_names=sent.ticked("may_lose_names"),
    )


def _import(visit: Visit) -> object:
    name = forms.decoded(visit, Container, forms.only(_form(visit), ["name"]), visit.form)["name"]
    text = _bytes(visit, "certificate").decode("utf-8", "replace")
    return imported.import_bundle(visit.system, visit.caller, TrustedAuthority(name=name or "", certificate=text))


def _bytes(visit: Visit, name: str) -> bytes:
    """What was pasted, or the file that was chosen; a certificate also in DER."""
    data = visit.form.file(f"{name}_file") or visit.form.text(name).encode()
    if name != "private_key" and data[:1] == b"\x30":  # DER begins so: a sequence
        return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"
    return data


def _text(visit: Visit, name: str) -> str:
    return _bytes(visit, name).decode("utf-8", "replace")


_ALL: Final = "/console/server-certificates"
_ONE: Final = f"{_ALL}/{{certificate_id}}"

ROUTES: Final = (
    page(_ALL, home, may="container:read", current="server-certificates"),
    page(f"{_ALL}/upload", ask_upload, may="container:create", current="server-certificates"),
    action(f"{_ALL}/upload", upload, may="container:create", current="server-certificates"),
    page(_ONE, details, may="container:read", current="server-certificates"),
    page(f"{_ONE}/renew", ask_renew, may="container:renew", current="server-certificates"),
    action(f"{_ONE}/renew", renew, may="container:renew", current="server-certificates"),
    page(f"{_ONE}/delete", ask_delete, may="container:delete", current="server-certificates"),
    action(f"{_ONE}/delete", delete, may="container:delete", current="server-certificates"),
)
