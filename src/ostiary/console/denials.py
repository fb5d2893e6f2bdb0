"""Refusals: who was refused, where, why, and what to do about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from ostiary.access.words import HANDSHAKE_CODES, REQUEST_CODES
from ostiary.console import marked, which
from ostiary.console.visit import Visit, page, url
from ostiary.model.denial import Denial, DenialQuery, Example
from ostiary.ops import denials
from ostiary.web.words import _

FILTERS: Final = ("q", "listener_id", "listener", "code", "stage", "since", "address")
CODES: Final = tuple(sorted({*HANDSHAKE_CODES, *REQUEST_CODES, denials.TLS_FAILED}))
STAGES: Final = {"handshake": _("Handshake"), "request": _("Request")}
_REFERENCE_MAX: Final = 2**53
_DIGITS: Final = 16


@dataclass(frozen=True)
class Step:
    """A page that helps against it, and what its link says."""

    text: str
    place: str


def listed(visit: Visit) -> Response:
    """What was refused, the last first; or the one that a client's reference leads to."""
    reference, wrong = _reference(visit)
    chosen = which.which(visit)
    query = _query(visit, chosen.id, reference)
    page_found = denials.find(visit.system, visit.caller, query)
    if reference is not None and len(page_found.items) == 1 and reference in page_found.items[0].references:
        return visit.see(url(f"/console/denials/{page_found.items[0].id}", reference=reference))
    found = marked.marked(visit, page_found, lambda one: f"{one.last.isoformat()}|{one.id}")
    summary = denials.summary(visit.system, visit.caller, query.model_copy(update={"limit": 1, "marker": None}))
    return visit.page(
        "denials.html",
        422 if wrong else 200,
        found=found,
        summary=summary,
        counted=sum(one.count for one in summary.counts),
        which=chosen,
        stages={name: visit.say(title) for name, title in STAGES.items()},
        stage_choices=[("", visit.say(_("Any"))), *((name, visit.say(title)) for name, title in STAGES.items())],
        code_choices=[("", visit.say(_("Any"))), *((code, code) for code in CODES)],
        spans=marked.spans(visit),
        is_filtered=marked.filtered(visit, FILTERS),
        reference=visit.query.get("reference", "")[:64],
        wrong=wrong,
        by_code=lambda code: _by_code(visit, code),
    )


def details(visit: Visit) -> Response:
    """One of them, with what to do."""
    one = denials.get(visit.system, visit.caller, visit.path["denial_id"])
    return visit.page(
        "denial.html",
        one=one,
        fix=visit.say(denials.fix(one.code)),
        stage=visit.say(STAGES.get(one.stage, one.stage)),
        steps=list(_steps(visit, one)),
        reference=visit.query.get("reference", "")[:_DIGITS],
    )


def _query(visit: Visit, listener_id: str, reference: int | None) -> DenialQuery:
    mark = marked.mark_of(visit)
    typed = {name: visit.query.get(name, "").strip()[:64] for name in ("code", "stage", "address")}
    return DenialQuery(
        listener_id=listener_id or None,
        code=typed["code"] or None,
        stage=typed["stage"] or None,
        client=typed["address"] or None,
        search=marked.words(visit, "q"),
        reference=reference,
        since=marked.since(visit),
        limit=marked.PAGE,
        marker=(mark[0], mark[1][0]) if mark is not None and len(mark[1]) == 1 else None,
    )


def _reference(visit: Visit) -> tuple[int | None, str]:
    """What a client was shown, and what is wrong with it."""
    text = visit.query.get("reference", "").strip()
    if not text:
        return None, ""
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) < _REFERENCE_MAX:
        return int(text), ""
    return None, visit.say(_("is not a reference: those are numbers, such as 1795631990709"))


def _by_code(visit: Visit, code: str) -> str:
    kept = {name: text for name, text in visit.query.items() if name in FILTERS}
    return url("/console/denials", **{**kept, "code": code})


def explain_place(one: Denial) -> str:
    """Where the same request is judged as things are now; by what was shown, where that is known."""
    example = one.example
    if example is None:
        return ""
    shown = f"id:{one.certificate_id}" if one.certificate_id else f"sha256:{example.fingerprint_sha256}"
    return url(
        "/console/explain",
        listener_id=one.listener_id,
        certificate=shown if example.fingerprint_sha256 or one.certificate_id else "none",
        host=example.host,
        path=example.path,
        method=example.method,
        source=example.client,
    )


def _steps(visit: Visit, one: Denial) -> Iterator[Step]:
    """What helps, the likeliest first; what a role may not do is not offered."""
    places = _places(one)
    for text, action, place in _HELP.get(one.code, ()):
        if visit.can(action) and _is_there(one, place):
            yield Step(visit.say(text), place.format_map(places))
    if one.listener_name is not None and visit.can("access-rule:read") and (place := explain_place(one)):
        yield Step(visit.say(_("Explain: would it be refused now?")), place)


def _is_there(one: Denial, place: str) -> bool:
    needs: Mapping[str, Any] = {
        "{certificate_id}": one.certificate_id,
        "{rule_id}": one.rule_id,
        "{listener_id}": one.listener_name is not None,
        "{rule}": one.listener_name is not None,
        "{exception}": one.listener_name is not None,
    }
    return all(value for name, value in needs.items() if name in place)


def _places(one: Denial) -> dict[str, str]:
    """What stands in the addresses of pages that help."""
    example = one.example or Example()
    rule = {"listener_id": one.listener_id, "certificate.fingerprints_sha256": example.fingerprint_sha256}
    rule |= {"hosts": example.host.partition(":")[0], "paths": example.path, "methods": example.method}
    return {
        "certificate_id": one.certificate_id or "",
        "rule_id": quote(one.rule_id or "", safe=""),
        "listener_id": quote(one.listener_id, safe=""),
        "rule": url("", **rule),
        "exception": url("", listener_id=one.listener_id, paths=example.path),
    }


_ISSUE: Final = (_("Issue a certificate"), "certificate:issue", "/console/certificates/create")
_CERTIFICATE: Final = (_("See the certificate"), "certificate:read", "/console/certificates/{certificate_id}")
_RENEW: Final = (_("Renew the certificate"), "certificate:renew", "/console/certificates/{certificate_id}/renew")
_CHOOSE_CA: Final = (_("Choose the Client CA of the listener"), "listener:update", "/console/listeners/{listener_id}/edit")
_IMPORT_CA: Final = (_("Import the CA that signed it"), "authority:import", "/console/authorities/import")
_AUTHORITIES: Final = (_("See the CA certificates and their revocation lists"), "authority:read", "/console/authorities")
_ADD_RULE: Final = (_("Add a rule for this certificate"), "access-rule:create", "/console/access/create{rule}")
_RULES: Final = (_("See the rules of the listener"), "access-rule:read", "/console/access?listener_id={listener_id}")
_EDIT_RULE: Final = (_("Change the rule that decided"), "access-rule:update", "/console/access/{rule_id}/edit")
_ADD_EXCEPTION: Final = (
    _("Add an exception for requests without a certificate"),
    "access-exception:create",
    "/console/access/exceptions/create{exception}",
)
_LISTENER: Final = (_("Change the listener"), "listener:update", "/console/listeners/{listener_id}/edit")

# Code → what helps: what its link says, what one has to be allowed to do, where it is.
_HELP: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "no_certificate": (_ISSUE, _ADD_EXCEPTION),
    "unknown_authority": (_CHOOSE_CA, _IMPORT_CA),
    "expired": (_RENEW, _CERTIFICATE, _ISSUE),
    "not_yet_valid": (_CERTIFICATE,),
    "revoked": (_CERTIFICATE, _ISSUE),
    "wrong_purpose": (_ISSUE, _CERTIFICATE),
    "bad_signature": (_ISSUE,),
    "weak_key": (_ISSUE,),
    "chain_too_long": (_CHOOSE_CA,),
    "name_constraint": (_ISSUE, _AUTHORITIES),
    "status_unknown": (_AUTHORITIES, _LISTENER),
    "malformed": (_ISSUE, _CERTIFICATE),
    "authority_removed": (_ISSUE, _CHOOSE_CA),
    "certificate_required": (_ADD_EXCEPTION, _ISSUE),
    "no_rule_allows": (_ADD_RULE, _RULES),
    "denied_by_rule": (_EDIT_RULE, _RULES),
    "source_not_allowed": (_EDIT_RULE, _LISTENER),
}

ROUTES: Final = (
    page("/console/denials", listed, may="denial:read", current="denials"),
    page("/console/denials/{denial_id}", details, may="denial:read", current="denials"),
)
