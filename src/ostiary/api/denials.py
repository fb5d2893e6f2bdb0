"""/v1/denials: who was refused, why, and what to do about it."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import Link, zulu_time
from ostiary.api.queries import RECORD_LIMIT_MAX, moment, page_limit, page_link, parameters, whole_number
from ostiary.model.denial import Denial, DenialQuery
from ostiary.model.fields import Data
from ostiary.ops import denials

_WHEN: Final = {
    "listener_id": "Only those of this listener.",
    "since": "Only what was last refused at this time or later.",
    "until": "Only what was last refused before this time.",
}
_QUERY: Final = {
    **_WHEN,
    "code": "Only those with this code; tls_failed lists the failures that no certificate is to blame for.",
    "stage": "handshake or request.",
    "rule_id": "Only what this access rule decided.",
    "fingerprint_sha256": "Only this certificate.",
    "serial": "Only certificates with this serial number.",
    "client": "Only those that came from this address.",
    "reference": "What a refused client was shown: leads to that request.",
    "limit": f"Most items in one page, at most {RECORD_LIMIT_MAX}.",
    "marker": "Where the page before ended, from its link.",
}
_WORDS: Final = ("listener_id", "code", "stage", "rule_id", "fingerprint_sha256", "serial", "client")


class DeniedCertificate(Data):
    """What the client showed. `certificate_id` is null when it was not issued here."""

    subject: str
    sans: tuple[str, ...]
    serial: str
    fingerprint_sha256: str
    certificate_id: str | None


class DeniedRequest(Data):
    """One of the requests, the last that is known; the path without its query. Empty texts where the handshake failed."""

    host: str
    method: str
    path: str
    reference: str | None


class DenialItem(Data):
    """Refusals of one kind to one client within an hour. `fix` says what to do.

    `certificate` is null when none was shown. `summed` is true where there were too many clients to tell each.
    """

    id: str
    listener_id: str
    listener_name: str | None
    stage: str
    code: str
    fix: str
    access_rule_id: str | None
    first: str
    last: str
    count: int
    client: str | None
    addresses: tuple[str, ...]
    certificate: DeniedCertificate | None
    example: DeniedRequest | None
    summed: bool


class DenialList(Data):
    """The reply that lists denials, the last first."""

    denials: tuple[DenialItem, ...]
    denials_links: tuple[Link, ...]


class OneDenial(DenialItem):
    """One denial, with the certificate as PEM, where the handshake told it."""

    pem: str | None


class DenialReply(Data):
    """The reply that holds one."""

    denial: OneDenial


class DenialCount(Data):
    """How many refusals there were of one code; `unnamed` of them are on record without who it was."""

    stage: str
    code: str
    count: int
    unnamed: int
    last: str
    fix: str


class DenialSummary(Data):
    """Refusals by code. Of all there ever were, `total`, `forgotten` are counted only: they were pruned."""

    counts: tuple[DenialCount, ...]
    total: int
    forgotten: int


class DenialSummaryReply(Data):
    """The reply that holds a summary."""

    summary: DenialSummary


router = APIRouter(prefix="/v1/denials", tags=["denials"])


@router.get("", dependencies=[may("denial:read")], **described(200, answers=DenialList, query=_QUERY))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List who was refused and why, the last first."""
    given = parameters(request, _QUERY)
    words = {name: values[0] for name, values in given.items()}
    told: dict[str, Any] = {name: words.get(name) for name in _WORDS}
    query = DenialQuery(
        **told,
        since=_moment(words, "since"),
        until=_moment(words, "until"),
        reference=whole_number(given, "reference", 0) % 2**53 if "reference" in given else None,
        limit=page_limit(given),
        marker=_marker(words),
    )
    page = denials.find(system, caller, query)
    links = [{"rel": "next", "href": page_link(request, {"marker": _mark(page.items[-1])})}] if page.more else []
    return JSONResponse({"denials": [_shown(one) for one in page.items], "denials_links": links})


@router.get("/summary", dependencies=[may("denial:read")], **described(200, answers=DenialSummaryReply, query=_WHEN))
def summary(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """Count refusals by code."""
    words = {name: values[0] for name, values in parameters(request, _WHEN).items()}
    when = DenialQuery(listener_id=words.get("listener_id"), since=_moment(words, "since"), until=_moment(words, "until"))
    made = denials.summary(system, caller, when)
    counts = [{**one.model_dump(mode="json"), "last": zulu_time(one.last)} for one in made.counts]
    return JSONResponse({"summary": {**made.model_dump(mode="json"), "counts": counts}})


@router.get("/{denial_id}", dependencies=[may("denial:read")], **described(200, answers=DenialReply))
def get(denial_id: str, request: Request, system: Sys, caller: Who) -> JSONResponse:
    """Show one denial, with the certificate itself where that was told."""
    parameters(request, ())
    one = denials.get(system, caller, denial_id)
    return JSONResponse({"denial": {**_shown(one), "pem": one.certificate}})


def _shown(one: Denial) -> dict[str, Any]:
    example = one.example
    reference = str(one.references[-1]) if one.references else None
    shown_certificate = example is not None and bool(example.fingerprint_sha256)
    return {
        "id": one.id,
        "listener_id": one.listener_id,
        "listener_name": one.listener_name,
        "stage": one.stage,
        "code": one.code,
        "fix": denials.fix(one.code),
        "access_rule_id": one.rule_id,
        "first": zulu_time(one.first),
        "last": zulu_time(one.last),
        "count": one.count,
        "client": example.client or None if example else None,
        "addresses": one.addresses,
        "certificate": _certificate(one) if shown_certificate else None,
        "example": {**example.model_dump(include={"host", "method", "path"}), "reference": reference} if example else None,
        "summed": example is None,
    }


def _certificate(one: Denial) -> dict[str, Any]:
    names = {"subject", "sans", "serial", "fingerprint_sha256"}
    known = one.example.model_dump(include=names, mode="json") if one.example else {}
    return {**known, "certificate_id": one.certificate_id}


def _moment(words: dict[str, str], name: str) -> datetime | None:
    return moment(words[name], name) if name in words else None


def _mark(one: Denial) -> str:
    return f"{one.last.isoformat()}|{one.id}"


def _marker(words: dict[str, str]) -> tuple[datetime, str] | None:
    if "marker" not in words:
        return None
    at, _, denial_id = words["marker"].partition("|")
    return moment(at, "marker"), denial_id
