"""What would become of a request, and of those who came within a day, if a listener's rules were others. Nothing is changed."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ostiary.access import members
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import Verdict, judge
from ostiary.access.plain_path import plain
from ostiary.access.policy import Policy, may_knock_without, policy
from ostiary.errors import Invalid, Refusal
from ostiary.ids import new_id
from ostiary.model.access import AccessRule
from ostiary.model.authority import Certificate
from ostiary.model.desired import Desired, DesiredListener
from ostiary.model.what_if import Trial, Visitor, WhatIf
from ostiary.ops import access
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki import as_printed, engine_certificate, engine_name, pem
from ostiary.pki.door import Handshake, Mode, judge_handshake
from ostiary.store import visitors
from ostiary.store.access import fingerprints
from ostiary.store.desired import desired
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.material import Materials
from ostiary.store.store import Reader

LATELY: Final = timedelta(hours=24)
LOOKED_AT: Final = 2000
_OF_REQUESTS: Final = ("hosts", "paths", "methods", "sources")
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_PEM_OCTETS_MAX: Final = 256 * 1024
# As `envoy.http_filters` refuses them: signs that separate names where they are handed on, or where rules read them.
_SEPARATING: Final = {engine_name.URI: b',;"\r\n', engine_name.DNS: b',;"\r\n', engine_name.EMAIL: b",\r\n"}


@dataclass(frozen=True)
class Tried:
    """What would become of it: at the handshake, of the request (None where it does not get there), and by what is rehearsed.

    `names` are those of rules and exceptions by id, also of the rule that was only to be tried: its id is `on_trial`.
    """

    handshake: Handshake
    verdict: Verdict | None
    rehearsed: Verdict | None
    names: dict[str, str]
    on_trial: str | None


@dataclass(frozen=True)
class Shut:
    """Who could ask for nothing any more. `clients` came within a day, `looked_at` of them were judged."""

    clients: int
    looked_at: int
    refused: tuple[tuple[Visitor, str], ...]  # each with the reason code


def test(system: System, caller: Caller, asked: WhatIf) -> Tried:
    """Decide about a request that nobody made, as the engine would."""
    caller.must("access-rule:read")
    path = plain(asked.path)
    if path is None:
        raise Invalid("path", "no rule is asked about it: such a path is answered with 400")
    with system.store.read() as reader:
        at = asked.at or system.clock()
        shown = _shown(reader, asked)
        whole, listener = _desired(reader, system, asked.listener_id, at)
        tried, on_trial = _with_rules(reader, system, listener, asked, at)
        handshake = judge_handshake(shown, tried.trust, _mode(tried), at)
        named = {one.id: one.name for one in (*tried.access.rules, *tried.access.exceptions)}
        if not handshake.allowed:
            return Tried(handshake, None, None, named, on_trial)
        holder = _holder(reader, shown, handshake) if shown is not None and tried.trust is not None else None
    request = _request(asked, path, holder, at)
    checks = policy(tried, whole.denied, whole.retired)
    rehearsed = judge(checks, request, rehearsed=True) if checks.rehearsed is not None else None
    return Tried(handshake, judge(checks, request), rehearsed, named, on_trial)


def shut_out(system: System, caller: Caller, trial: Trial) -> Shut:
    """Whom these rules would leave nothing to ask for, of those who came to the listener within a day and are served now."""
    caller.must("access-rule:read")
    caller.must("client:read")
    with system.store.read() as reader:
        at = system.clock()
        whole, listener = _desired(reader, system, trial.listener_id, at)
        tried, _ = _with_rules(reader, system, listener, trial, at)
        came = visitors.lately(reader, trial.listener_id, at - LATELY, LOOKED_AT)
        clients = visitors.count(reader, trial.listener_id, at - LATELY)
    before, after = (policy(_of_clients_alone(one), whole.denied, whole.retired) for one in (listener, tried))
    holders = [(one, holder) for one in came if (holder := _as_noted(one, tried, at)) is not None]
    refused = tuple(_refused(before, after, holders, at))
    return Shut(clients, len(holders), refused)


def _refused(
    before: Policy, after: Policy, holders: Sequence[tuple[Visitor, Holder]], at: datetime
) -> Iterator[tuple[Visitor, str]]:
    for visitor, holder in holders:
        request = Request(host="", at=at, holder=holder)
        verdict = judge(after, request)
        if not verdict.decision.allowed and judge(before, request).decision.allowed:
            yield visitor, verdict.decision.code


def _desired(reader: Reader, system: System, listener_id: str, at: datetime) -> tuple[Desired, DesiredListener]:
    access.listener_of(reader, listener_id)
    whole = desired(reader, system.sealer, at)
    for one in whole.listeners:
        if one.listener.id == listener_id:
            return whole, one
    raise Invalid("listener_id", f"listener {listener_id} or its load balancer is out of service (admin_state_up)")


def _with_rules(
    reader: Reader, system: System, listener: DesiredListener, trial: Trial, at: datetime
) -> tuple[DesiredListener, str | None]:
    """The listener with the rules that are to be tried, and the id under which the one more is among them."""
    new = [*(trial.rules or ()), *([trial.rule] if trial.rule is not None else [])]
    for rule in new:
        access.check(reader, rule, at)
    given = listener.access.rules if trial.rules is None else tuple(_numbered(trial.rules))
    unknown = set(trial.without) - {rule.id for rule in given}
    if unknown:
        raise Invalid("without", f"the listener has no rule {min(unknown)}")
    rules = [rule for rule in given if rule.id not in trial.without]
    on_trial = None
    if trial.rule is not None:
        on_trial = new_id()
        place = len(rules) if trial.rule.position is None else trial.rule.position - 1
        rules.insert(place, trial.rule.model_copy(update={"id": on_trial}))
    named = {one for rule in rules for one in rule.certificate.authority_ids} - listener.access.authorities.keys()
    materials = Materials(reader, system.sealer)
    known = {one: fingerprints(materials.anchors(one, "certificate.authority_ids").pem.decode()) for one in named}
    its = {"rules": tuple(rules), "authorities": {**listener.access.authorities, **known}}
    return listener.model_copy(update={"access": listener.access.model_copy(update=its)}), on_trial


def _numbered(rules: Sequence[AccessRule]) -> Iterator[AccessRule]:
    for number, rule in enumerate(rules, start=1):
        yield rule.model_copy(update={"id": f"rules.{number - 1}", "position": number})


def _of_clients_alone(listener: DesiredListener) -> DesiredListener:
    """With rules that ask nothing of requests, so that a client is refused only where no request of it would be served."""
    rules = tuple(_of_any_request(rule) for rule in listener.access.rules)
    its = listener.access.model_copy(update={"rules": rules, "exceptions": ()})
    return listener.model_copy(update={"access": its})


def _of_any_request(rule: AccessRule) -> AccessRule:
    if rule.action == "DENY" and any(getattr(rule, name) for name in _OF_REQUESTS):
        return rule.model_copy(update={"not_after": _LONG_AGO})  # it leaves something to ask for
    return rule.model_copy(update=dict.fromkeys(_OF_REQUESTS, ()))


def _mode(listener: DesiredListener) -> Mode:
    """How the handshake is held: where exceptions are, it demands nothing, and the request is refused instead."""
    mode = listener.listener.client_authentication
    return "OPTIONAL" if mode == "MANDATORY" and may_knock_without(listener) else mode


def _shown(reader: Reader, asked: WhatIf) -> str | None:
    if asked.certificate is not None and asked.certificate_id is not None:
        raise Invalid("certificate_id", "there is a certificate too; give one of them")
    if asked.certificate_id is None:
        return asked.certificate
    found = reader.get(CERTIFICATE, asked.certificate_id)
    if found is None:
        raise Invalid("certificate_id", f"there is no certificate {asked.certificate_id}")
    return found.certificate + found.chain


def _holder(reader: Reader, shown: str, handshake: Handshake) -> Holder:
    """What the handshake notes of a certificate; what it is a member of, as it is on record."""
    verified = handshake.would_be is None
    issuer = handshake.issuer_fingerprint_sha256
    known: tuple[Certificate, ...] = reader.all(CERTIFICATE, fingerprint_sha256=handshake.fingerprint_sha256 or "")
    entry = members.entry(known[0].groups, known[0].profile) if known else members.entry((), "")
    return _noted(shown, issuer, entry, verified=verified)


def _as_noted(visitor: Visitor, listener: DesiredListener, at: datetime) -> Holder | None:
    """The same of somebody who was there; None where nobody told us the certificate."""
    if not visitor.certificate:
        return None
    entry = members.entry(visitor.groups, visitor.profile)
    try:
        handshake = judge_handshake(visitor.certificate, listener.trust, "OPTIONAL", at)
        return _noted(visitor.certificate, handshake.issuer_fingerprint_sha256, entry)
    except Refusal:
        return None


def _noted(certificate_pem: str, issuer_fingerprint: str | None, entry: str, *, verified: bool = True) -> Holder:
    octets = certificate_pem.encode("utf-8", "surrogateescape")
    (der, *_) = pem.ders(octets, ("CERTIFICATE", "X509 CERTIFICATE"), "certificate", "certificate", limit=_PEM_OCTETS_MAX)
    certificate = engine_certificate.read(der)
    texts = as_printed.printed(certificate)
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
        is_unclean=any(
            sign in name.content for name in certificate.alternatives or () for sign in _SEPARATING.get(name.tag, b"")
        ),
    )


def _request(asked: WhatIf, path: str, holder: Holder | None, at: datetime) -> Request:
    return Request(
        host=asked.host,
        at=at,
        path=path,
        method=asked.method,
        source=asked.source,
        sni=_server_name(asked.host),
        holder=holder,
        headers=dict(asked.headers),
    )


def _server_name(host: str) -> str:
    """What the client names in the handshake: the host without port; no address is named there (RFC 6066 3)."""
    name = host.partition(":")[0].rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "" if host.startswith("[") else name
    return ""
