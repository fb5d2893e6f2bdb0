"""The answer to what becomes of a client at a listener: each check in its turn, from what is known and nothing else."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from ostiary.access import patterns, reasons, words
from ostiary.access.conditions import Check, Decision
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import Outcome, Verdict, judge
from ostiary.access.plain_path import plain
from ostiary.access.policy import Policy, Stages, may_knock_without, policy
from ostiary.envoy import stale
from ostiary.envoy.downstream_tls import client_trust
from ostiary.errors import Invalid
from ostiary.model.desired import Desired, DesiredListener
from ostiary.model.explanation import (
    CERTIFICATE_MAX,
    ExplainedCertificate,
    ExplainedCheck,
    ExplainRequest,
    Explanation,
    Judged,
    Result,
    ShownCertificate,
    Stage,
)
from ostiary.pki import as_printed, engine_certificate, engine_name, list_ends, pem
from ostiary.pki.door import Handshake, judge_handshake
from ostiary.pki.name_rules import visible

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_LABELS: Final = ("CERTIFICATE", "X509 CERTIFICATE")
# As `envoy.http_filters` refuses them.
_SEPARATING: Final = {
    tag: patterns.SEPARATING[kind].encode()
    for kind, tag in (("uri", engine_name.URI), ("dns", engine_name.DNS), ("email", engine_name.EMAIL))
}
_RESULTS: Final[dict[bool | None, Result]] = {True: "passed", False: "failed", None: "not reached"}


@dataclass(frozen=True)
class Known:
    """All that an answer follows from, but for the question. `entry` is what the certificate is a member of."""

    desired: Desired
    door: DesiredListener
    certificate: str | None
    entry: str


def answer(known: Known, asked: ExplainRequest, now: datetime) -> Explanation:
    """What becomes of whom is asked about, at the time that is asked about."""
    at = asked.at or now
    handshake = _handshake(known, at, now)
    request = _request(known, asked, handshake, at)
    its = policy(known.door, known.desired.denied, known.desired.retired)
    before = (_network(known.door, asked), _door_part(handshake, known, rehearsed=False), _path(asked))
    enforced = _judged(_Case(known, request, its, before, rehearsed=False))
    would_be = None
    if its.rehearsed is not None:
        before = (before[0], _door_part(handshake, known, rehearsed=True), before[2])
        would_be = _judged(_Case(known, request, its, before, rehearsed=True))
    return Explanation(
        **dict(enforced),
        listener_id=known.door.listener.id,
        revision=known.desired.revision,
        path=plain(asked.path),
        certificate=_described(known.certificate, handshake),
        would_be=would_be,
    )


# What is known of the client.


def first_of(certificate_pem: str) -> engine_certificate.EngineCertificate | None:
    """The certificate that stands first; None when the engine cannot read it either. Raises `Invalid` for what is no PEM."""
    octets = certificate_pem.encode("utf-8", "surrogateescape")
    (der, *_) = pem.ders(octets, _LABELS, "certificate", "certificate", limit=CERTIFICATE_MAX)
    try:
        return engine_certificate.read(der)
    except ValueError:
        return None


def shown(certificate_pem: str) -> tuple[ShownCertificate, ...]:
    """What a client shows, one certificate after the other, as the engine reads them. Raises `Invalid` for what is no PEM."""
    octets = certificate_pem.encode("utf-8", "surrogateescape")
    ders = pem.ders(octets, _LABELS, "certificate", "certificate", limit=CERTIFICATE_MAX)
    return tuple(map(_shown, ders))


def _shown(der: bytes) -> ShownCertificate:
    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        read = engine_certificate.read(der)
    except ValueError:
        return ShownCertificate(fingerprint_sha256=fingerprint)
    return ShownCertificate(
        subject=visible(read.subject.printed()),
        issuer=visible(read.issuer.printed()),
        not_before=read.not_before,
        not_after=read.not_after,
        fingerprint_sha256=fingerprint,
    )


def noted(certificate_pem: str, issuer_fingerprint: str | None, entry: str, *, verified: bool = True) -> Holder | None:
    """What the engine notes of a certificate after the handshake. `entry` is what it is a member of (`members.entry`)."""
    certificate = first_of(certificate_pem)
    return None if certificate is None else holder(certificate, issuer_fingerprint, entry, verified=verified)


def holder(
    certificate: engine_certificate.EngineCertificate, issuer_fingerprint: str | None, entry: str, *, verified: bool = True
) -> Holder:
    """The same of one that was read."""
    texts = as_printed.printed(certificate)
    names = certificate.alternatives or ()
    return Holder(
        fingerprint=texts.fingerprint_sha256,
        issuer_fingerprint=issuer_fingerprint or "",
        serial=texts.serial,
        subject=texts.subject,
        not_after=certificate.not_after or _NEVER,
        dns=texts.dns,
        uri=texts.uri,
        email=texts.email,
        entry=entry,
        is_verified=verified,
        is_unclean=any(sign in name.content for name in names for sign in _SEPARATING.get(name.tag, b"")),
    )


def _handshake(known: Known, at: datetime, now: datetime) -> Handshake:
    """What becomes of the connection, also where revocation lists have ended by then."""
    trust, mode = client_trust(known.door), known.door.listener.client_authentication
    if known.certificate is None and mode == "MANDATORY" and may_knock_without(known.door):
        mode = "OPTIONAL"  # for some requests need none
    found = judge_handshake(known.certificate, trust, mode, at)
    end = list_ends.earliest(trust.crls) if trust is not None and "status_unknown" in {found.code, found.would_be} else None
    if trust is None or end is None or at < end:
        return found
    if now < end:  # By then there will be newer ones: whom they name is what these say, the rest is as of then.
        by_lists = judge_handshake(known.certificate, trust, mode, now)
        if {by_lists.code, by_lists.would_be} & {"revoked", "status_unknown"}:
            return by_lists
        return judge_handshake(known.certificate, trust.model_copy(update={"crls": ""}), mode, at)
    longer = stale.allowed(trust.name)
    if longer is not None and at <= end + longer:
        return judge_handshake(known.certificate, trust, mode, end - timedelta(seconds=1))  # it then looks at no time
    return found


def _request(known: Known, asked: ExplainRequest, handshake: Handshake, at: datetime) -> Request:
    holder = None
    if known.certificate is not None and known.door.trust is not None and handshake.allowed:
        verified = handshake.would_be is None
        holder = noted(known.certificate, handshake.issuer_fingerprint_sha256, known.entry, verified=verified)
    return Request(
        host=asked.host,
        at=at,
        path=plain(asked.path) or "",
        method=asked.method,
        source=asked.source or "",
        sni=_server_name(asked) if known.door.listener.is_tls else "",
        holder=holder,
        headers=asked.headers,
    )


def _server_name(asked: ExplainRequest) -> str:
    """What the client names in the handshake: in small letters, and never an address (RFC 6066 3)."""
    if asked.sni is not None:
        return asked.sni.lower()
    name = asked.host.lower()
    if name.startswith("["):
        return ""
    name = name.partition(":")[0].removesuffix(".")
    try:
        ip_address(name)
    except ValueError:
        return name
    return ""


def _described(certificate_pem: str | None, handshake: Handshake) -> ExplainedCertificate | None:
    holder = noted(certificate_pem, handshake.issuer_fingerprint_sha256, "") if certificate_pem is not None else None
    if holder is None:
        return None
    return ExplainedCertificate(
        subject=reasons.shown(holder.subject),
        serial=holder.serial,
        fingerprint_sha256=holder.fingerprint,
        issuer_fingerprint_sha256=holder.issuer_fingerprint or None,
        dns=reasons.shown(holder.dns),
        uri=reasons.shown(holder.uri),
        email=reasons.shown(holder.email),
    )


# What is looked at before any rule is asked.


@dataclass(frozen=True)
class _Part:
    """Some checks, and the code and the words by which they refuse, where they do."""

    stage: Stage
    checks: tuple[ExplainedCheck, ...]
    refusal: tuple[str, str] | None = None


def _network(door: DesiredListener, asked: ExplainRequest) -> _Part:
    """The connection is closed before it begins where the client comes from a network that is not allowed."""
    networks = door.listener.networks
    if not networks:
        return _Part("handshake", ())
    address = ip_address(_needed(asked.source))
    if any(address in ip_network(one) for one in networks):
        return _Part("handshake", (_check("handshake", "network", "passed", f"the client comes from {address}"),))
    detail = f"The client comes from {address}, which is in none of the networks that the listener allows."
    return _Part("handshake", (_check("handshake", "network", "failed", detail),), ("source_not_allowed", detail))


def _door_part(handshake: Handshake, known: Known, *, rehearsed: bool) -> _Part:
    checks = tuple(_check("handshake", one.name, _RESULTS[one.passed], one.detail) for one in handshake.checks)
    # Of who shows none, the rehearsal's own list of checks decides: there may be exceptions.
    code = handshake.code or (handshake.would_be if rehearsed and known.certificate is not None else None)
    return _Part("handshake", checks, (code, handshake.detail) if code else None)


def _path(asked: ExplainRequest) -> _Part:
    found = plain(asked.path)
    if found is not None:
        seen = f"rules and members see {visible(found)}" if found != asked.path else "as it was given"
        return _Part("request", (_check("request", "path", "passed", seen),))
    detail = "The engine answers 400 before any rule is asked: the path holds #, %2F, %5C or %00, which members read differently."
    return _Part("request", (_check("request", "path", "failed", detail),), ("malformed", detail))


def _needed(source: str | None) -> str:
    if not source:
        raise Invalid("source", "is needed: the answer hangs on the network that the client comes from")
    return source


def _check(stage: Stage, name: str, result: Result, detail: str) -> ExplainedCheck:
    return ExplainedCheck(stage=stage, name=name, result=result, detail=detail if result != "not reached" else "")


# What the rules say.


@dataclass(frozen=True)
class _Case:
    """A request before the listener's rules: those in force, or with those that are rehearsed. `before` is what comes first."""

    known: Known
    request: Request
    its: Policy
    before: tuple[_Part, ...]
    rehearsed: bool

    @property
    def stages(self) -> Stages | None:
        return self.its.rehearsed if self.rehearsed else self.its.enforced

    @property
    def steps(self) -> tuple[Check, ...]:
        """The checks that are the listener's own."""
        if self.stages is None:
            return ()
        holder = self.request.holder  # none also where the handshake refuses the certificate
        is_anybody = not holder.is_verified if holder is not None else self.known.certificate is None
        return (self.stages.anybody if is_anybody else self.stages.holder).steps

    @property
    def verdict(self) -> Verdict:
        try:
            return judge(self.its, self.request, rehearsed=self.rehearsed)
        except ValueError:
            _needed(self.request.source)  # a network was asked for
            raise


def _judged(case: _Case) -> Judged:
    """The first part that refuses decides; what comes after it is not reached."""
    checks: list[ExplainedCheck] = []
    decided: tuple[Stage, str, str] | None = None
    for part in case.before:
        if decided:
            checks += [_check(one.stage, one.name, "not reached", "") for one in part.checks]
            continue
        checks += part.checks
        decided = (part.stage, *part.refusal) if part.refusal else None
    if decided:
        rest = [_check("request", step.about, "not reached", "") for step in case.steps]
        stage, code, detail = decided
        return _told(Decision(allowed=False, code=code), stage, detail, (*checks, *rest))
    verdict = case.verdict
    decision = verdict.decision
    stage = "handshake" if decision.code == "no_certificate" or not case.known.door.listener.is_http else "request"
    return _told(decision, stage, _said(decision, case), (*checks, *_outcomes(verdict, case)))


def _told(decision: Decision, stage: Stage, detail: str, checks: tuple[ExplainedCheck, ...]) -> Judged:
    is_exempt = decision.code == words.EXEMPT
    return Judged(
        decision="ALLOW" if decision.allowed else "DENY",
        stage=stage,
        reason=decision.code,
        detail=detail,
        fix="" if decision.allowed else words.FIXES.get(decision.code, ""),
        access_rule_id=None if is_exempt else decision.rule_id,
        access_exception_id=decision.rule_id if is_exempt else None,
        checks=checks,
    )


def _outcomes(verdict: Verdict, case: _Case) -> Iterator[ExplainedCheck]:
    """The engine's own checks come first, then the listener's."""
    own = len(verdict.outcomes) - len(case.steps)
    for outcome in verdict.outcomes[:own]:
        yield _check("request", outcome.about, _result(outcome), "")
    for outcome, step in zip(verdict.outcomes[own:], case.steps, strict=True):
        detail = "it fits" if outcome.held else reasons.why_not(step.when, case.request) if outcome.held is False else ""
        yield _check("request", outcome.about, _result(outcome), detail if step.then.rule_id or outcome.held else "")


def _result(outcome: Outcome) -> Result:
    decision = outcome.decision
    if outcome.held is None or decision is None:
        return "not reached"
    if outcome.held:
        return "passed" if decision.allowed else "failed"
    return "no match" if decision.rule_id else "passed"


def _said(decision: Decision, case: _Case) -> str:
    """Why, in a sentence."""
    if decision.code == words.ALLOWED and decision.rule_id is None:
        return _nothing_refuses(case)
    request, access = case.request, case.known.door.access
    named = {one.id: one.name for one in (*access.rules, *access.exceptions)}
    return _SENTENCES.get(decision.code, "").format(
        by=f"'{visible(named.get(decision.rule_id or '', ''))}'",
        source=request.source,
        sni=visible(request.sni),
        host=visible(request.host) or "none",
        until=f"{request.holder.not_after:%Y-%m-%dT%H:%M:%SZ}" if request.holder else "",
    )


_SENTENCES: Final = {
    words.ALLOWED: "Rule {by} allows it.",
    words.EXEMPT: "Exception {by} lets it in, with or without a certificate.",
    "denied_by_rule": "Rule {by} denies it.",
    "no_rule_allows": "The listener has access rules, and none of them allows this request.",
    "source_not_allowed": "Rule {by} would allow it, but not from {source}.",
    "misdirected": "The connection was opened for {sni}, and the request asks for {host}.",
    "expired": "The certificate's time was over at {until}.",
    "no_certificate": "The client shows no certificate.",
    "certificate_required": "The client shows no certificate, and without one nothing here allows this request.",
    "revoked": "The certificate was revoked, or is on hold: gateways refuse its requests.",
    "authority_removed": "The authority that signed the certificate was revoked, or was taken off the listener.",
    "malformed": "A name in the certificate, or the path, could be read as several.",
}


def _nothing_refuses(case: _Case) -> str:
    door = case.known.door
    if door.listener.client_authentication == "NONE":
        return "The listener asks nobody for a certificate." if door.listener.is_tls else "The listener knows no certificates."
    if door.listener.client_authentication == "REHEARSAL" and not case.rehearsed:
        return "A rehearsal lets everybody in."
    if case.request.holder is None:
        return "The listener serves those without a certificate too."
    return "The listener has no access rules: whoever holds a certificate that it accepts is served."
