"""What would become of a request, and of those who came within a day, if a listener's rules were others. Nothing is changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from ostiary.access import members
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import judge
from ostiary.access.policy import Policy, policy
from ostiary.errors import Invalid, Refusal
from ostiary.ids import new_id
from ostiary.model.access import AccessRule
from ostiary.model.desired import Desired, DesiredListener
from ostiary.model.explanation import ExplainRequest, Explanation
from ostiary.model.rehearsal import LATELY
from ostiary.model.tls import Trust
from ostiary.model.what_if import Trial, Visitor, WhatIf
from ostiary.ops import access
from ostiary.ops.caller import Caller
from ostiary.ops.explained import Known, answer, first_of, holder
from ostiary.ops.explaining import entry_on_record
from ostiary.ops.system import System
from ostiary.pki.door import signer
from ostiary.store import visitors
from ostiary.store.access import signers
from ostiary.store.desired import NEWEST, desired
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.lists import Lists, Unread
from ostiary.store.material import Materials
from ostiary.store.store import Reader

LOOKED_AT: Final = 2000
_OF_REQUESTS: Final = ("hosts", "paths", "methods", "sources")
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Tried:
    """What would become of it. `names` are those of rules and exceptions by id; `on_trial` is the id of the one more."""

    explanation: Explanation
    names: dict[str, str]
    on_trial: str | None


@dataclass(frozen=True)
class Shut:
    """Who could ask for nothing any more. `clients` came within a day, `looked_at` of them were judged."""

    clients: int
    looked_at: int
    refused: tuple[tuple[Visitor, str], ...]  # each with the reason code


def test(system: System, caller: Caller, asked: WhatIf) -> Tried:
    """Decide about a request that nobody made, as Explain does, but by the rules that are to be tried."""
    caller.must("access-rule:read")
    if asked.certificate is not None and asked.certificate_id is not None:
        raise Invalid("certificate_id", "give a certificate or the id of one, not both")
    first = first_of(asked.certificate) if asked.certificate is not None else None  # read before a transaction is open
    with system.store.read() as reader:
        now = system.clock()
        whole, listener = _desired(reader, system, asked.listener_id, now, asked.at)
        tried, on_trial = _with_rules(reader, system, listener, asked, now)
        certificate, fingerprint = asked.certificate, first.fingerprint_sha256 if first is not None else ""
        if asked.certificate_id is not None:
            held = reader.require(CERTIFICATE, asked.certificate_id)
            certificate, fingerprint = held.certificate + held.chain, held.fingerprint_sha256
        entry = entry_on_record(reader, fingerprint)
    question = ExplainRequest(**{name: getattr(asked, name) for name in ExplainRequest.model_fields})
    names = {one.id: one.name for one in (*tried.access.rules, *tried.access.exceptions)}
    return Tried(answer(Known(whole, tried, certificate, entry), question, now), names, on_trial)


def shut_out(system: System, caller: Caller, trial: Trial) -> Shut:
    """Whom these rules would leave nothing to ask for, of those who came to the listener within a day and are served now."""
    caller.must("access-rule:read")
    caller.must("client:read")
    with system.store.read() as reader:
        at = system.clock()
        whole, listener = _desired(reader, system, trial.listener_id, at, lists=Unread())
        tried, _ = _with_rules(reader, system, listener, trial, at)
        came = visitors.lately(reader, trial.listener_id, at - LATELY, LOOKED_AT)
        clients = visitors.count(reader, trial.listener_id, at - LATELY)
    before, after = (policy(_of_clients_alone(one), whole.denied, whole.retired) for one in (listener, tried))
    # They came in: of the handshake, only who signed is asked.
    holders = [(one, held) for one in came if (held := _as_noted(one, tried.trust)) is not None]
    refused = tuple(_refused(before, after, holders, at))
    return Shut(clients, len(holders), refused)


def _refused(
    before: Policy, after: Policy, holders: Sequence[tuple[Visitor, Holder]], at: datetime
) -> Iterator[tuple[Visitor, str]]:
    for visitor, held in holders:
        request = Request(host="", at=at, holder=held)
        verdict = judge(after, request)
        if not verdict.decision.allowed and judge(before, request).decision.allowed:
            yield visitor, verdict.decision.code


def _desired(
    reader: Reader, system: System, listener_id: str, now: datetime, at: datetime | None = None, lists: Lists = NEWEST
) -> tuple[Desired, DesiredListener]:
    """All there is and the listener, as it is now, or will be at another time."""
    access.listener_of(reader, listener_id)
    published = system.fleet.wanted.desired if system.fleet.wanted is not None else None
    if at is None and published is not None and published.revision == reader.revision():
        whole = published  # put together once already, for the gateways
    else:
        whole = desired(reader, system.sealer, at or now, lists=lists)
    for one in whole.listeners:
        if one.listener.id == listener_id:
            return whole, one
    raise Invalid("listener_id", f"listener {listener_id} or its load balancer is out of service (admin_state_up)")


def _with_rules(
    reader: Reader, system: System, listener: DesiredListener, trial: Trial, at: datetime
) -> tuple[DesiredListener, str | None]:
    """The listener with the rules that are to be tried, and the id under which the one more is among them."""
    new = [*(trial.rules or ()), *([trial.rule] if trial.rule is not None else [])]
    had = {rule.id: rule for rule in listener.access.rules}
    for rule in new:
        access.check(reader, rule, at, had.get(rule.id))  # what a rule says that is there already may say still
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
    known = {one: signers(materials, one) for one in named}
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


def _as_noted(visitor: Visitor, trust: Trust | None) -> Holder | None:
    """What the engine notes of somebody who was there; None where nobody told us the certificate."""
    if not visitor.certificate or trust is None:
        return None
    read = _read(visitor.certificate, trust.certificates)
    return None if read is None else replace(read, entry=members.entry(visitor.groups, visitor.profile))


@lru_cache(maxsize=2 * LOOKED_AT)  # the same come again, and are asked about again as a rule is being written
def _read(certificate_pem: str, authorities_pem: str) -> Holder | None:
    """What stands in a certificate, and who signed it. That was so when it was made: whether it has expired, rules ask."""
    try:
        certificate = first_of(certificate_pem)
        if certificate is None or certificate.not_before is None:
            return None
        trust = Trust(name="", certificates=authorities_pem)
        return holder(certificate, signer(certificate, trust, certificate.not_before), "")
    except Refusal:
        return None
