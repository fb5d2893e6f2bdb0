"""Rehearsals: who would have been refused, why, since when; and whom a change would shut out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from ostiary.access.words import FIXES, UNVERIFIED
from ostiary.errors import Conflict, Invalid, Refusal
from ostiary.model.access import AccessRule
from ostiary.model.denial import Refusals
from ostiary.model.listener import Listener
from ostiary.model.query import Page
from ostiary.model.rehearsal import (
    LATELY,
    LONGEST_KEPT,
    MOST,
    Lately,
    Preview,
    Reason,
    Rehearsal,
    RehearsedRule,
    Report,
    Scene,
    Totals,
)
from ostiary.model.tls import Trust
from ostiary.ops import batches
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki.door import judge_handshake
from ostiary.pki.names import name_text
from ostiary.store import marks, visitors
from ostiary.store import rehearsals as stored
from ostiary.store.desired import desired
from ostiary.store.kinds import ACCESS_RULE, AUTHORITY, LISTENER
from ostiary.store.store import Reader

_SHOWN: Final = 10
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of what nobody knows when it was made

# Certificates of one batch that are looked into; whose turn does not come is looked into when it is told of again.
_LOOKED_INTO: Final = 20
# Longer revocation lists take too long to read for each: a certificate that all but the lists let pass stands on one of them.
_LONG_LISTS: Final = 1024 * 1024
_CHAIN_MAX: Final = 10
# What time or news may change, with the certificate and the trust as they are.
_PASSING: Final = (UNVERIFIED, "not_yet_valid", "status_unknown")
# Whom OPTIONAL serves all the same.
_WITHOUT: Final = ("no_certificate", "certificate_required")
_FIXES: Final[Mapping[str, str]] = {
    **FIXES,
    UNVERIFIED: "The handshake would refuse this certificate. Why, is looked into when the client comes again.",
}


def rehearsed(system: System, gateway_id: str, told: Mapping[str, Any]) -> int:
    """Put a batch of a gateway on record; one that is told again changes nothing. Returns how many entries made no sense.

    A batch is `sequence`, a number that grows, and is the same when the batch is told again, and `denials` (`Refusals`), which
    were none. Raises `Invalid` for what is no batch. Nobody did anything, so the record of changes (audit) says nothing of it.
    """
    sequence, entries = batches.number(told), batches.listed(told, "denials", list)
    now = system.clock()
    heard = batches.refusals(entries, now)
    known = _with_reasons(system, heard, now)
    batches.once(system, gateway_id, marks.REHEARSED, sequence, lambda facts: stored.merge(facts, known))
    return len(entries) - len(heard)


def find(system: System, caller: Caller) -> tuple[Rehearsal, ...]:
    """What is rehearsed: whole listeners, and those with rules that are."""
    caller.must("rehearsal:read")
    with system.store.read() as reader:
        rules = reader.all(ACCESS_RULE)
        found = []
        for listener in reader.all(LISTENER):
            its = tuple(rule for rule in rules if rule.listener_id == listener.id)
            if (scene := _scene(reader, listener, its)) is not None:
                found.append(_rehearsal(reader, listener, scene, system.clock()))
    return tuple(found)


def page(system: System, caller: Caller, *, limit: int, after: str = "", search: Sequence[str] = ()) -> Page[Rehearsal]:
    """Some of them, by name of the listener, without naming anybody who would be refused; `after` is the last one before.

    `search` are words, each of which is in the listener's name.
    """
    caller.must("rehearsal:read")
    words = [one.casefold() for one in search]
    with system.store.read() as reader:
        at = system.clock()
        its = stored.shadow_rules(reader)
        known = {one.id: one for one in stored.rehearsing(reader, its)}
        inorder = sorted((one for one in known.values() if all(word in one.name.casefold() for word in words)), key=_by_name)
        mark = _by_name(known[after]) if after in known else ("", "")
        some = [one for one in inorder if _by_name(one) > mark][: limit + 1]
        begun = stored.begun(reader, {one.trust_revision for one in some})
        scenes = [
            scene
            for one in some[:limit]
            if (scene := _scene_of(one, its.get(one.id, ()), begun.get(one.trust_revision))) is not None
        ]
        ever, lately = stored.totals_of(reader, scenes), stored.totals_of(reader, scenes, at - LATELY)
    found = tuple(
        Rehearsal(
            listener_id=scene.listener_id,
            listener_name=known[scene.listener_id].name,
            scope="LISTENER" if scene.trust_revision else "RULES",
            since=scene.since,
            totals=ever.get(scene.listener_id, Totals()),
            lately=Lately(since=max(at - LATELY, scene.since), totals=lately.get(scene.listener_id, Totals()), some=()),
        )
        for scene in scenes
    )
    return Page(found, len(some) > limit)


def _by_name(listener: Listener) -> tuple[str, str]:
    return listener.name.casefold(), listener.id


def report(
    system: System, caller: Caller, listener_id: str, limit: int = 100, marker: tuple[datetime, str] | None = None
) -> Report:
    """All that a listener's rehearsal found; of who would be refused, so many after `marker`, the last one before.

    Raises `NotFound`, and `Conflict` where nothing is rehearsed.
    """
    caller.must("rehearsal:read")
    with system.store.read() as reader:
        listener = reader.require(LISTENER, listener_id)
        rules = reader.all(ACCESS_RULE, listener_id=listener_id)
        scene = _scene(reader, listener, rules)
        if scene is None:
            raise Conflict(
                "nothing is rehearsed at this listener: set client_authentication to REHEARSAL, or `shadow` of an access rule",
                "listener_id",
            )
        reasons = stored.reasons(reader, scene)
        refused, more = stored.refused(reader, scene, limit, marker=marker)
        rehearsal = _rehearsal(reader, listener, scene, system.clock())
    in_question = sorted((rule for rule in rules if scene.trust_revision or rule.shadow), key=lambda rule: rule.position or 0)
    return Report(
        rehearsal=rehearsal,
        reasons=tuple(one for one in reasons if _is_refusal(one.code)),
        rules=tuple(_of_rule(rule, reasons) for rule in in_question),
        refused=refused,
        more=more,
        names=_names(rules),
    )


def preview(
    system: System,
    caller: Caller,
    listener_id: str,
    *,
    client_authentication: str | None = None,
    client_ca: str | None = None,
    access_rule_id: str | None = None,
) -> Preview:
    """Whom it would shut out to set `client_authentication` (and `client_ca`), or to enforce a rule that is rehearsed."""
    caller.must("rehearsal:read")
    if (client_authentication is None) == (access_rule_id is None):
        raise Invalid("client_authentication", "say what is to change: this or access_rule_id")
    with system.store.read() as reader:
        listener = reader.require(LISTENER, listener_id)
        rules = reader.all(ACCESS_RULE, listener_id=listener_id)
        if access_rule_id is not None:
            return _of_enforcing(reader, listener, rules, access_rule_id, system.clock())
        return _of_demanding(reader, listener, rules, str(client_authentication), client_ca, system.clock())


def fix(code: str) -> str:
    """What to do about it, in words for the operator."""
    return _FIXES.get(code, "This control plane does not know the reason; a newer gateway told it. Update it.")


def forget_old(system: System) -> int:
    """Remove what is too old or too much. How many rows that were."""
    before = system.clock() - LONGEST_KEPT
    return system.store.record(lambda facts: stored.prune(facts, before, MOST))


def _scene(reader: Reader, listener: Listener, rules: Sequence[AccessRule]) -> Scene | None:
    """What is rehearsed there; None for nothing."""
    revision = listener.trust_revision if listener.client_authentication == "REHEARSAL" else None
    return _scene_of(listener, rules, None if revision is None else stored.begun(reader, (revision,)).get(revision))


def _scene_of(listener: Listener, rules: Sequence[AccessRule], begun: datetime | None) -> Scene | None:
    """Likewise; `begun` is when its trust was set, where that is known."""
    if listener.client_authentication == "REHEARSAL":
        since = begun or listener.created_at or EPOCH
        return Scene(listener_id=listener.id, trust_revision=listener.trust_revision, since=since)
    made = [rule.created_at or EPOCH for rule in rules if rule.shadow]
    if listener.client_authentication == "NONE" or not made:
        return None
    return Scene(listener_id=listener.id, trust_revision=0, since=min(made))


def _rehearsal(reader: Reader, listener: Listener, scene: Scene, at: datetime) -> Rehearsal:
    return Rehearsal(
        listener_id=listener.id,
        listener_name=listener.name,
        scope="LISTENER" if scene.trust_revision else "RULES",
        since=scene.since,
        totals=stored.totals(reader, scene),
        lately=_lately(reader, scene, at),
    )


def _lately(reader: Reader, scene: Scene, at: datetime, served: Sequence[str] = ()) -> Lately:
    since = max(at - LATELY, scene.since)
    some, _ = stored.refused(reader, scene, _SHOWN, at - LATELY, served)
    return Lately(since=since, totals=stored.totals(reader, scene, at - LATELY, served), some=some)


def _of_rule(rule: AccessRule, reasons: Sequence[Reason]) -> RehearsedRule:
    its = [one for one in reasons if one.rule_id == rule.id]
    return RehearsedRule(
        rule_id=rule.id,
        name=rule.name,
        action=rule.action,
        shadow=rule.shadow,
        since=rule.created_at or EPOCH,
        refused=next((one for one in its if _is_refusal(one.code)), None),
        allowed=next((one for one in its if not _is_refusal(one.code)), None),
    )


def _of_enforcing(reader: Reader, listener: Listener, rules: Sequence[AccessRule], rule_id: str, at: datetime) -> Preview:
    rule = next((one for one in rules if one.id == rule_id), None)
    if rule is None:
        raise Invalid("access_rule_id", f"the listener has no rule {rule_id}")
    scene = _scene(reader, listener, rules)
    if scene is None or not rule.shadow:
        return _nobody(at, "The rule is in force already." if not rule.shadow else "The listener asks nobody for a certificate.")
    if scene.trust_revision:
        return _nobody(at, "The listener is rehearsed as a whole, and serves everybody until it demands certificates.")
    others = [one.name for one in rules if one.shadow and one.id != rule_id]
    together = f"Other rules are rehearsed too ({', '.join(others)}); counted is what all of them together would do."
    return _counted(reader, scene, rules, at, [together] if others else [])


def _of_demanding(
    reader: Reader, listener: Listener, rules: Sequence[AccessRule], mode: str, client_ca: str | None, at: datetime
) -> Preview:
    before = listener.client_authentication
    same_ca = client_ca is None or _id_in(client_ca) == _id_in(listener.client_ca_tls_container_ref or "")
    if mode not in {"NONE", "OPTIONAL", "MANDATORY", "REHEARSAL"}:
        raise Invalid("client_authentication", "is one of NONE, OPTIONAL, MANDATORY, REHEARSAL")
    if mode in {"NONE", "REHEARSAL"} or (mode == before and same_ca) or (before == "MANDATORY" and same_ca):
        return _nobody(at, "This shuts out nobody who is let in now.")
    scene = _scene(reader, listener, rules)
    if before == "REHEARSAL" and scene is not None:
        served = _WITHOUT if mode == "OPTIONAL" else ()
        return _counted(reader, scene, rules, at, list(_reservations(rules, mode, same_ca=same_ca)), served)
    if not same_ca and before != "NONE":
        return _unknown(reader, listener, at, "Whom another Client CA would refuse is not known. Rehearse it first.")
    if mode == "OPTIONAL":
        return _unknown(reader, listener, at, "How many show a certificate that is not valid is not known. Rehearse it first.")
    if before == "NONE":
        why = "How many come without a certificate is not known, for nobody is asked for one. Rehearse it first."
        return _unknown(reader, listener, at, why)
    return _unknown(reader, listener, at, "How many come without a certificate is not known. Rehearse it first.")


def _reservations(rules: Sequence[AccessRule], mode: str, *, same_ca: bool) -> Iterator[str]:
    if not same_ca:
        yield "Counted is by the Client CA that is rehearsed; whom another would refuse is not known."
    if rehearsed_too := ", ".join(rule.name for rule in rules if rule.shadow):
        yield f"Rules that are rehearsed stay so; counted is as if they were in force: {rehearsed_too}."
    if mode == "OPTIONAL" and rules:
        yield "What rules say of clients without a certificate is not counted."


def _id_in(reference: str) -> str:
    return reference.rstrip("/").rpartition("/")[2]


def _counted(
    reader: Reader, scene: Scene, rules: Sequence[AccessRule], at: datetime, notes: list[str], served: Sequence[str] = ()
) -> Preview:
    lately = _lately(reader, scene, at, served)
    if lately.totals.unnamed:
        notes.append(f"{lately.totals.unnamed} more requests came from clients that were too many to tell them apart.")
    return Preview(
        since=lately.since,
        clients=lately.totals.clients,
        refused=lately.totals.refused_clients,
        some=lately.some,
        notes=tuple(notes),
        names=_names(rules),
    )


def _nobody(at: datetime, why: str) -> Preview:
    return Preview(since=at - LATELY, clients=None, refused=0, some=(), notes=(why,), names={})


def _unknown(reader: Reader, listener: Listener, at: datetime, why: str) -> Preview:
    """Of a listener that does not rehearse, only those are known who showed a valid certificate."""
    asked = listener.client_authentication != "NONE"
    clients = visitors.count(reader, listener.id, at - LATELY) if asked else None
    return Preview(since=at - LATELY, clients=clients, refused=None, some=(), notes=(why,), names={})


def _names(rules: Sequence[AccessRule]) -> dict[str, str]:
    return {rule.id: rule.name for rule in rules}


def _is_refusal(code: str) -> bool:
    return code not in {"allowed", "exempt"}


def _with_reasons(system: System, told: Sequence[Refusals], at: datetime) -> list[Refusals]:
    """With the reason why the handshake would refuse, in place of `unverified`."""
    unclear = [one for one in told if one.code == UNVERIFIED]
    if not unclear:
        return list(told)
    found: dict[tuple[str, int, str], str] = {}
    with system.store.read() as reader:
        for listener_id, revision in {(one.listener_id, one.trust_revision) for one in unclear}:
            its = {one.who: one for one in unclear if (one.listener_id, one.trust_revision) == (listener_id, revision)}
            known = stored.reasons_of(reader, listener_id, revision, its, but=_PASSING)
            known |= _judged(system, reader, [one for who, one in its.items() if who not in known], at)
            found |= {(listener_id, revision, who): code for who, code in known.items()}
    keys = [(one.listener_id, one.trust_revision, one.who) for one in told]
    return [
        one.model_copy(update={"code": found[key]}) if one.code == UNVERIFIED and key in found else one
        for key, one in zip(keys, told, strict=True)
    ]


def _judged(system: System, reader: Reader, told: Sequence[Refusals], at: datetime) -> dict[str, str]:
    """Why the handshake would refuse these clients of one listener, as many as there is time to look into."""
    trust = _trust(system, reader, told[0].listener_id, at) if told else None
    if trust is None:
        return {}
    shown = [one for one in told if one.certificate][:_LOOKED_INTO]
    issuers = {_subject(one.certificate): one.certificate for one in reader.all(AUTHORITY)} if shown else {}
    return {one.who: _reason(one.certificate, issuers, trust, one.last) for one in shown}


def _trust(system: System, reader: Reader, listener_id: str, at: datetime) -> Trust | None:
    wanted = system.fleet.wanted
    whole = wanted.desired if wanted is not None else desired(reader, system.sealer, at)
    return next((one.trust for one in whole.listeners if one.listener.id == listener_id), None)


def _reason(certificate: str, issuers: Mapping[str, str], trust: Trust, at: datetime) -> str:
    """The code. Of what the client sent, the gateway told the first certificate only: authorities that we know stand in."""
    short = trust if len(trust.crls) <= _LONG_LISTS else trust.model_copy(update={"crls": ""})
    try:
        judged = judge_handshake(certificate + "".join(_above(certificate, issuers)), short, "REHEARSAL", at)
    except Refusal:
        return "malformed"
    # With our copies of the intermediates it would pass: the client left them out.
    return judged.would_be or judged.code or ("unknown_authority" if short is trust else "revoked")


def _above(certificate: str, issuers: Mapping[str, str]) -> Iterator[str]:
    for _ in range(_CHAIN_MAX):
        above = issuers.get(_issuer(certificate))
        if above is None or above == certificate:
            return
        yield above
        certificate = above


def _subject(certificate: str) -> str:
    return name_text(x509.load_pem_x509_certificate(certificate.encode()).subject)


def _issuer(certificate: str) -> str:
    try:
        return name_text(x509.load_pem_x509_certificate(certificate.encode()).issuer)
    except ValueError:
        return ""
