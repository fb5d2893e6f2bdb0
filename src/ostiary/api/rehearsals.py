"""/v1/rehearsals: who would have been refused, and whom a change would shut out."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import zulu_time
from ostiary.api.queries import RECORD_LIMIT_MAX, page_limit, parameters
from ostiary.model.fields import Data
from ostiary.model.rehearsal import Lately, Preview, Reason, Rehearsal, RehearsedRule, Report, Totals, WouldBe
from ostiary.ops import rehearsals

_LIMIT: Final = {"limit": f"Most clients that would have been refused, the last first, at most {RECORD_LIMIT_MAX}."}
_CHANGE: Final = {
    "client_authentication": "What it is to be set to, such as MANDATORY.",
    "client_ca_tls_container_ref": "The Client CA that goes with it, where it is another.",
    "access_rule_id": "Instead: the rule that is rehearsed and is to be enforced.",
}


class RehearsedCertificate(Data):
    """What the client showed. Nobody verified its names where the handshake would refuse it. `certificate_id`: issued here."""

    subject: str
    sans: tuple[str, ...]
    serial: str
    fingerprint_sha256: str
    certificate_id: str | None
    pem: str | None


class RehearsedRequest(Data):
    """One of the requests, the last that is known; the path without its query."""

    host: str
    method: str
    path: str


class WouldBeItem(Data):
    """A client that would have been refused for one reason. Its address where it showed no certificate.

    `summed` is true where there were too many clients to tell each.
    """

    code: str
    fix: str
    access_rule_id: str | None
    access_rule_name: str | None
    first: str
    last: str
    count: int
    client: str | None
    addresses: tuple[str, ...]
    certificate: RehearsedCertificate | None
    example: RehearsedRequest | None
    summed: bool


class CountItem(Data):
    """How many clients, and how many requests of theirs."""

    clients: int
    requests: int


class LatelyItem(Data):
    """The last 24 hours, or since the rehearsal began where that is later. `some` of those who would be refused."""

    since: str
    clients: int
    requests: int
    would_be_admitted: int
    would_be_refused: int
    some: tuple[WouldBeItem, ...]


class RehearsalItem(Data):
    """What goes on at a listener. A client that would be refused anything counts as one that would be refused.

    `scope`: LISTENER where all of it is rehearsed, RULES where only access rules are. `requests_not_told_apart` came from
    clients that were too many to tell them apart.
    """

    listener_id: str
    listener_name: str
    scope: str
    since: str
    clients: int
    requests: int
    requests_not_told_apart: int
    would_be_admitted: CountItem
    would_be_refused: CountItem
    last_would_be_refusal: str | None
    last_24_hours: LatelyItem


class ReasonItem(Data):
    """How much would have been refused for one reason."""

    code: str
    fix: str
    access_rule_id: str | None
    access_rule_name: str | None
    clients: int
    requests: int
    last: str


class RuleItem(Data):
    """What one access rule would have refused or admitted; `shadow` where it is rehearsed by itself."""

    access_rule_id: str
    name: str
    action: str
    shadow: bool
    since: str
    would_refuse: CountItem
    would_admit: CountItem
    last_would_be_refusal: str | None
    last_would_be_admission: str | None


class WholeRehearsal(RehearsalItem):
    """All that a rehearsal found. `refusals` are the last ones; `more_refusals` says whether there are others."""

    reasons: tuple[ReasonItem, ...]
    rules: tuple[RuleItem, ...]
    refusals: tuple[WouldBeItem, ...]
    more_refusals: bool


class RehearsalReply(Data):
    """The reply that holds one."""

    rehearsal: WholeRehearsal


class RehearsalList(Data):
    """The reply that lists what is rehearsed."""

    rehearsals: tuple[RehearsalItem, ...]


class RehearsalPreviewItem(Data):
    """Whom a change would shut out, of those who came since then. Null is what nobody knows; `notes` say why."""

    listener_id: str
    since: str
    clients: int | None
    would_be_refused: int | None
    some: tuple[WouldBeItem, ...]
    notes: tuple[str, ...]


class RehearsalPreviewReply(Data):
    """The reply that holds a preview."""

    preview: RehearsalPreviewItem


router = APIRouter(prefix="/v1/rehearsals", tags=["rehearsals"])


@router.get("", dependencies=[may("rehearsal:read")], **described(200, answers=RehearsalList))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List the listeners that rehearse, all of what they ask or single access rules."""
    parameters(request, ())
    return JSONResponse({"rehearsals": [_shown(one) for one in rehearsals.find(system, caller)]})


@router.get("/{listener_id}", dependencies=[may("rehearsal:read")], **described(200, answers=RehearsalReply, query=_LIMIT))
def get(listener_id: str, request: Request, system: Sys, caller: Who) -> JSONResponse:
    """Show who would have been refused at a listener since its rehearsal began, by name and reason."""
    report = rehearsals.report(system, caller, listener_id, page_limit(parameters(request, _LIMIT)))
    return JSONResponse({"rehearsal": _whole(report)})


@router.get(
    "/{listener_id}/preview", dependencies=[may("rehearsal:read")], **described(200, answers=RehearsalPreviewReply, query=_CHANGE)
)
def preview(listener_id: str, request: Request, system: Sys, caller: Who) -> JSONResponse:
    """Say whom a change would shut out, of those who came within 24 hours. Nothing is changed."""
    words = {name: values[0] for name, values in parameters(request, _CHANGE).items()}
    made = rehearsals.preview(
        system,
        caller,
        listener_id,
        client_authentication=words.get("client_authentication"),
        client_ca=words.get("client_ca_tls_container_ref"),
        access_rule_id=words.get("access_rule_id"),
    )
    return JSONResponse({"preview": _previewed(listener_id, made)})


def _whole(report: Report) -> dict[str, Any]:
    return {
        **_shown(report.rehearsal, report.names),
        "reasons": [_reason(one, report.names) for one in report.reasons],
        "rules": [_rule(one) for one in report.rules],
        "refusals": [_would_be(one, report.names) for one in report.refused],
        "more_refusals": report.more,
    }


def _shown(one: Rehearsal, names: dict[str, str] | None = None) -> dict[str, Any]:
    totals = one.totals
    return {
        "listener_id": one.listener_id,
        "listener_name": one.listener_name,
        "scope": one.scope,
        "since": zulu_time(one.since),
        "clients": totals.clients,
        "requests": totals.requests,
        "requests_not_told_apart": totals.unnamed,
        "would_be_admitted": {"clients": _admitted(totals), "requests": totals.requests - totals.refused_requests},
        "would_be_refused": {"clients": totals.refused_clients, "requests": totals.refused_requests},
        "last_would_be_refusal": zulu_time(totals.last_refused) if totals.last_refused else None,
        "last_24_hours": _lately(one.lately, names or {}),
    }


def _lately(lately: Lately, names: dict[str, str]) -> dict[str, Any]:
    return {
        "since": zulu_time(lately.since),
        "clients": lately.totals.clients,
        "requests": lately.totals.requests,
        "would_be_admitted": _admitted(lately.totals),
        "would_be_refused": lately.totals.refused_clients,
        "some": [_would_be(one, names) for one in lately.some],
    }


def _admitted(totals: Totals) -> int:
    return totals.clients - totals.refused_clients


def _reason(one: Reason, names: dict[str, str]) -> dict[str, Any]:
    return {
        "code": one.code,
        "fix": rehearsals.fix(one.code),
        "access_rule_id": one.rule_id,
        "access_rule_name": names.get(one.rule_id or ""),
        "clients": one.clients,
        "requests": one.requests,
        "last": zulu_time(one.last),
    }


def _rule(one: RehearsedRule) -> dict[str, Any]:
    return {
        "access_rule_id": one.rule_id,
        "name": one.name,
        "action": one.action,
        "shadow": one.shadow,
        "since": zulu_time(one.since),
        "would_refuse": _count(one.refused),
        "would_admit": _count(one.allowed),
        "last_would_be_refusal": zulu_time(one.refused.last) if one.refused else None,
        "last_would_be_admission": zulu_time(one.allowed.last) if one.allowed else None,
    }


def _count(one: Reason | None) -> dict[str, int]:
    return {"clients": one.clients if one else 0, "requests": one.requests if one else 0}


def _would_be(one: WouldBe, names: dict[str, str]) -> dict[str, Any]:
    example = one.example
    return {
        "code": one.code,
        "fix": rehearsals.fix(one.code),
        "access_rule_id": one.rule_id,
        "access_rule_name": names.get(one.rule_id or ""),
        "first": zulu_time(one.first),
        "last": zulu_time(one.last),
        "count": one.count,
        "client": example.client or None if example else None,
        "addresses": one.addresses,
        "certificate": _certificate(one) if example is not None and example.fingerprint_sha256 else None,
        "example": example.model_dump(include={"host", "method", "path"}) if example else None,
        "summed": example is None,
    }


def _certificate(one: WouldBe) -> dict[str, Any]:
    known = {"subject", "sans", "serial", "fingerprint_sha256"}
    shown = one.example.model_dump(include=known, mode="json") if one.example else {}
    return {**shown, "certificate_id": one.certificate_id, "pem": one.certificate}


def _previewed(listener_id: str, made: Preview) -> dict[str, Any]:
    return {
        "listener_id": listener_id,
        "since": zulu_time(made.since),
        "clients": made.clients,
        "would_be_refused": made.refused,
        "some": [_would_be(one, made.names) for one in made.some],
        "notes": made.notes,
    }
