"""Client certificates: search them, see all about one, say anew whose it is. Taking them back is in `revoking`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from ostiary.console import forms, lists
from ostiary.console.forms import Filled, Wrong
from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit, action, live, page, url
from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Certificate
from ostiary.model.inventory import STATUSES, Status, Wanted
from ostiary.model.query import Page, Query
from ostiary.model.revocation import HOLD
from ostiary.ops import authority_view, certificate_view, certificates, effects_kept, handout, inventory, naming, requests
from ostiary.web.spreadsheet import MEDIA_TYPE, line
from ostiary.web.words import _

SOON: Final = timedelta(days=30)
_WORDS_MAX: Final = 8
_DAYS_MAX: Final = 36_500
_SORTS: Final[dict[str, tuple[tuple[str, bool], ...]]] = {
    "issued": (("created_at", True),),
    "expires": (("not_after", False),),
    "seen": (("last_seen", True),),
    "name": (("name", False), ("subject", False)),
}
STATES: Final[dict[str, tuple[str, Tone]]] = {
    "VALID": (_("Valid"), "good"),
    "EXPIRED": (_("Expired"), "off"),
    "NOT_YET_VALID": (_("Not valid yet"), "busy"),
    "REVOKED": (_("Revoked"), "bad"),
    "ON_HOLD": (_("On hold"), "busy"),
}
SORTS: Final = {
    "issued": _("Issued last"),
    "expires": _("First to expire"),
    "seen": _("Seen last"),
    "name": _("Name"),
}
# Why a certificate is revoked, as RFC 5280 names it: in a few words, and what it means here.
REASONS: Final[dict[str, tuple[str, str]]] = {
    "unspecified": (_("No particular reason"), _("Nothing is said of why.")),
    "keyCompromise": (
        _("The key is in other hands"),
        _("A device was lost or stolen, or the key was copied. This key never gets a certificate again."),
    ),
    "superseded": (_("Replaced"), _("Its holder has another certificate in its place.")),
    "cessationOfOperation": (_("No longer needed"), _("The device or service that held it is gone.")),
    "affiliationChanged": (_("The holder has moved"), _("They belong to another department or company, or have another name.")),
    "privilegeWithdrawn": (_("The holder may no longer come in"), _("What it permitted was taken from them.")),
    "cACompromise": (
        _("The key of an authority is in other hands"),
        _("It belongs to something that signs certificates. This key never gets a certificate again."),
    ),
    "aACompromise": (
        _("The key of an attribute authority is in other hands"),
        _("It belongs to something that signs what holders may do. This key never gets a certificate again."),
    ),
}
HELD: Final = (_("On hold"), _("It is refused until it is released."))
# What a table of certificates holds, in the order of the columns; as `GET /v1/certificates?format=csv` has it.
_COLUMNS: Final = (
    "id",
    "name",
    "status",
    "subject",
    "sans",
    "owner",
    "groups",
    "profile",
    "authority_id",
    "serial",
    "fingerprint_sha256",
    "not_before",
    "not_after",
    "revoked_at",
    "revocation_reason",
    "last_seen",
    "created_at",
)


FORMATS: Final = {
    "pem": "PEM",
    "fullchain": _("PEM with chain"),
    "chain": _("Chain"),
    "der": "DER",
    "p7b": "PKCS#7",
    "mobileconfig": _("Apple profile"),
}


@dataclass(frozen=True)
class Filters:
    """What the list is asked for, as it was typed; `errors` are about what makes no sense, which then is not asked."""

    typed: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def is_any(self) -> bool:
        """Whether anything is asked for."""
        return any(text for name, text in self.typed.items() if name != "sort")


def home(visit: Visit) -> Response:
    """All client certificates, searched and filtered."""
    filters = _filters(visit)

    def find(query: Query) -> Page[Certificate]:
        return inventory.find(visit.system, visit.caller, _wanted(visit, filters, query))

    found = lists.listed(visit, find, sort=_SORTS.get(filters.typed["sort"], _SORTS["issued"]))
    return visit.page(
        "certificates.html",
        found=found,
        rows=rows(visit, found.items),
        filters=filters,
        statuses={name: visit.say(word) for name, (word, _tone) in STATES.items()},
        sorts={name: visit.say(word) for name, word in SORTS.items()},
        authorities=authority_choices(visit, filters.typed["authority"]),
        table=url("/console/certificates.csv", **_asked(visit)),
        **section(visit),
    )


def table(visit: Visit) -> Response:
    """All that match, for a spreadsheet; sent as it is read."""
    wanted = _wanted(visit, _filters(visit), Query(sort=_SORTS["issued"], search=tuple(visit.query.get("q", "")[:200].split())))
    pages = inventory.each_page(visit.system, visit.caller, wanted)
    first = next(pages)  # what is refused is refused before anything is sent

    def lines() -> Iterator[str]:
        yield line(_COLUMNS)
        for some in (first, *pages):
            yield "".join(line(_cells(visit, one)) for one in some)

    headers = {"content-disposition": 'attachment; filename="certificates.csv"'}
    return StreamingResponse(lines(), media_type=MEDIA_TYPE, headers=headers)


def details(visit: Visit) -> Response:
    """All about one."""
    return visit.page("certificate.html", **around(visit))


def details_live(visit: Visit) -> str:
    """How it stands, and how far its revocation has come."""
    found = certificates.get(visit.system, visit.caller, visit.path["certificate_id"])
    effects = effects_kept.of_certificate(visit.system, visit.caller, found)
    return visit.part("certificate_live.html", effects=effects, **_standing(visit, found))


def around(visit: Visit) -> dict[str, Any]:
    """All that the details page shows, also behind a pop-up."""
    found = certificate_view.around(visit.system, visit.caller, visit.path["certificate_id"])
    return {
        **_standing(visit, found.certificate),
        "around": found,
        "effects": found.effects,
        "title": title(found.certificate),
        "can_renew": found.certificate.revoked_at is None and visit.at < found.certificate.not_after,
        "formats": FORMATS,
        "back": f"/console/certificates/{found.certificate.id}",
        "state_of": lambda one: state(visit, one),
        **section(visit),
    }


def _standing(visit: Visit, certificate: Certificate) -> dict[str, Any]:
    """How it stands."""
    reason = certificate.revocation_reason
    return {
        "certificate": certificate,
        "state": state(visit, certificate),
        "reason": "" if reason is None else visit.say(HELD[0] if reason == HOLD else REASONS.get(reason, (reason, ""))[0]),
        "is_held": reason == HOLD,
    }


def download(visit: Visit) -> Response:
    """The certificate as a file. Its key is not here."""
    file = handout.certificate_file(visit.system, visit.caller, visit.path["certificate_id"], visit.query.get("format", "pem"))
    return saved(file.name, file.media_type, file.content)


def saved(name: str, media_type: str, content: bytes) -> Response:
    """A reply that is saved under that name, which is plain ASCII (`handout.file_name`)."""
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)


def ask_edit(visit: Visit) -> Response:
    """What it is called, who holds it, in which groups it is."""
    return _edit(visit)


def edit(visit: Visit) -> Response:
    """Take what was sent."""
    found = certificates.get(visit.system, visit.caller, visit.path["certificate_id"])
    form = _edit_form(visit, found)
    try:
        values = forms.decoded(visit, Certificate, form, forms.completed(form, visit.form))
        certificates.update(visit.system, visit.caller, found.id, values)
    except (Invalid, Conflict, Wrong) as error:
        return _edit(visit, forms.typed(form, visit.form, forms.wrong(visit, error)))
    return visit.see(f"/console/certificates/{found.id}", visit.say(_("%(name)s was saved."), name=title(found)))


def section(visit: Visit) -> dict[str, Any]:
    """What the pages of this section have in common: how many requests wait, for the tab that leads to them."""
    return {"waiting": requests.waiting(visit.system, visit.caller)}


def rows(visit: Visit, found: tuple[Certificate, ...]) -> list[dict[str, Any]]:
    """Certificates as rows."""
    issuers = naming.authorities(visit.system, visit.caller, {one.authority_id for one in found})
    return [
        {
            "certificate": one,
            "title": title(one),
            "state": state(visit, one),
            "issuer": issuers[one.authority_id] or one.authority_id,
            "days": (one.not_after - visit.at).days,
            "soon": one.revoked_at is None and visit.at <= one.not_after < visit.at + SOON,
        }
        for one in found
    ]


def state(visit: Visit, certificate: Certificate) -> Shown:
    """Whether it is good now."""
    word, tone = STATES[certificates.status(visit.system, certificate)]
    return Shown(visit.say(word), tone)


def title(certificate: Certificate) -> str:
    """What people call it: its name, or the first that stands in it."""
    common = next((part.removeprefix("CN=") for part in certificate.subject.split(",") if part.startswith("CN=")), "")
    return certificate.name or common or next(iter(certificate.sans), "") or certificate.serial


def _filters(visit: Visit) -> Filters:
    typed = {name: visit.query.get(name, "").strip()[:255] for name in ("status", "authority", "owner", "group", "profile")}
    typed |= {name: visit.query.get(name, "").strip()[:10] for name in ("expires", "unseen", "seen", "sort")}
    errors = {}
    for name in ("expires", "unseen", "seen"):
        text = typed[name]
        if text and not (text.isascii() and text.isdigit() and int(text) <= _DAYS_MAX):
            errors[name] = visit.say(_("must be a number of days, at most %(most)s"), most=_DAYS_MAX)
    if typed["status"] not in {"", *STATUSES}:
        typed["status"] = ""
    return Filters(typed, errors)


def _wanted(visit: Visit, filters: Filters, query: Query) -> Wanted:
    def days(name: str) -> timedelta | None:
        return timedelta(days=int(filters.typed[name])) if filters.typed[name] and name not in filters.errors else None

    typed = filters.typed
    equal = (("owner", typed["owner"]), ("groups", typed["group"]), ("profile", typed["profile"]))
    status: Status | None = next((one for one in STATUSES if one == typed["status"]), None)
    expires, unseen, seen = days("expires"), days("unseen"), days("seen")
    at = visit.at
    return Wanted(
        replace(query, filters=tuple((name, text) for name, text in equal if text), search=()),
        at,
        status=status or ("VALID" if expires is not None else None),
        search=query.search[:_WORDS_MAX],
        authority_id=typed["authority"] or None,
        expires_before=None if expires is None else at + expires,
        seen_before=None if unseen is None else at - unseen,
        seen_after=None if seen is None else at - seen,
    )


def _asked(visit: Visit) -> dict[str, str]:
    return {name: text for name, text in visit.query.items() if name not in {"after", "before"}}


def authority_choices(visit: Visit, chosen: str) -> list[tuple[str, str]]:
    found = [(one.id, one.name or one.subject) for one in authority_view.choices(visit.system, visit.caller)]
    if chosen and all(one != chosen for one, _text in found):
        names = naming.authorities(visit.system, visit.caller, [chosen])
        found += [(one, name) for one, name in names.items() if name is not None]
    return found


def _cells(visit: Visit, one: Certificate) -> list[Any]:
    return [certificates.status(visit.system, one) if name == "status" else getattr(one, name) for name in _COLUMNS]


def _edit_form(visit: Visit, found: Certificate) -> Filled:
    return forms.made(visit, Certificate, ("name", "owner", "groups"), dict(found))


def _edit(visit: Visit, form: Filled | None = None) -> Response:
    its = around(visit)
    return visit.page(
        "certificate_edit.html", 200 if form is None else 422, form=form or _edit_form(visit, its["certificate"]), **its
    )


ROUTES: Final = (
    page("/console/certificates", home, may="certificate:read", current="certificates"),
    page("/console/certificates.csv", table, may="certificate:read"),
    page("/console/certificates/{certificate_id}", details, may="certificate:read", current="certificates"),
    live("/console/certificates/{certificate_id}/live", details_live, may="certificate:read"),
    page("/console/certificates/{certificate_id}/download", download, may="certificate:read"),
    page("/console/certificates/{certificate_id}/edit", ask_edit, may="certificate:update", current="certificates"),
    action("/console/certificates/{certificate_id}/edit", edit, may="certificate:update", current="certificates"),
)
