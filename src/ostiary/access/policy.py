"""From a listener's settings, rules and exceptions: who is refused what, as ordered checks for the engine and for ourselves."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary.access import members, patterns, words
from ostiary.access.conditions import (
    Check,
    Checks,
    Condition,
    Decision,
    During,
    Every,
    Is,
    Matches,
    Member,
    No,
    Some,
    Within,
)
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.desired import DesiredListener

ALLOWED: Final = Decision(allowed=True, code=words.ALLOWED)
EXEMPT: Final = Decision(allowed=True, code=words.EXEMPT)
_HEALTH: Final = ("/health", "/healthz")


@dataclass(frozen=True)
class Stages:
    """The checks of a request on a connection with a verified certificate, and of one without."""

    holder: Checks
    anybody: Checks


@dataclass(frozen=True)
class Policy:
    """What a listener does with requests. `enforced` is None where everybody is served; `rehearsed` where nothing is rehearsed.

    `denied` are certificates that are refused whatever they ask for, by fingerprint.
    """

    enforced: Stages | None
    rehearsed: Stages | None
    denied: frozenset[str] = frozenset()


def policy(desired: DesiredListener, denied: frozenset[str], retired: frozenset[str]) -> Policy:
    """The listener's checks. `retired`: SHA-256 fingerprints of authorities that were revoked."""
    mode, rules = desired.listener.client_authentication, desired.access.rules
    if mode == "NONE":
        return Policy(None, None)
    if mode == "REHEARSAL":
        return Policy(None, _stages(desired, retired, rules), denied)
    in_force = tuple(rule for rule in rules if not rule.shadow)
    rehearsed = _stages(desired, retired, rules) if len(in_force) < len(rules) else None
    return Policy(_stages(desired, retired, in_force), rehearsed, denied)


def may_knock_without(desired: DesiredListener) -> bool:
    """Whether the handshake has to let those in who show no certificate, for some requests need none."""
    return desired.listener.client_authentication != "MANDATORY" or bool(desired.access.exceptions)


def fits(holders: Holders, authorities: Mapping[str, tuple[str, ...]]) -> Condition:
    """Whether a certificate is one of these, by itself and not for a request; a name that reads in two ways fits nothing."""
    plain = Every(tuple(Matches(kind, patterns.printable()) for kind in ("dns", "uri", "email")))
    return Every((plain, *_Conditions(authorities).certificate(holders)))


def uses_members(desired: DesiredListener) -> bool:
    """Whether any rule asks for groups or profiles."""
    asked = desired.listener.client_authentication != "NONE"
    return asked and any(rule.certificate.groups or rule.certificate.profiles for rule in desired.access.rules)


def _stages(desired: DesiredListener, retired: frozenset[str], rules: tuple[AccessRule, ...]) -> Stages:
    exceptions = tuple(_exception(one) for one in desired.access.exceptions)
    conditions = _Conditions(desired.access.authorities)
    steps = tuple(conditions.step(rule) for rule in rules)
    authority = tuple(_authority(desired, retired))
    crooked = _crooked(exceptions, rules) if rules else ()
    holder = Checks(
        (*_names(rules), *authority, *crooked, *exceptions, *steps, *_elsewhere(rules, conditions)),
        _refused("no_rule_allows") if rules else ALLOWED,
    )
    return Stages(holder, _without(desired, exceptions, rules, conditions))


def _without(
    desired: DesiredListener, exceptions: tuple[Check, ...], rules: tuple[AccessRule, ...], conditions: "_Conditions"
) -> Checks:
    """Of requests without a certificate, or with one that the handshake would have refused."""
    shown = Check("a certificate the handshake accepts", Matches("fingerprint", ".+"), _refused(words.UNVERIFIED))
    exempt = (*_crooked(exceptions, ()), *exceptions)
    if desired.listener.client_authentication == "REHEARSAL":
        code = "certificate_required" if exceptions else "no_certificate"
        return Checks((shown, *exempt), _refused(code))  # one that is shown is verified, exceptions or not
    if desired.listener.client_authentication == "MANDATORY":
        return Checks(exempt, _refused("certificate_required"))
    open_to_all = tuple(rule for rule in rules if rule.certificate.anybody)
    if not rules:
        return Checks(exempt, ALLOWED)
    steps = tuple(conditions.step(rule) for rule in open_to_all)
    would_help = any(rule.action == "ALLOW" and not rule.certificate.anybody for rule in rules)
    code = "certificate_required" if would_help else "no_rule_allows"
    before = (*_crooked(exceptions, open_to_all), *exceptions)
    return Checks((*before, *steps, *_elsewhere(open_to_all, conditions)), _refused(code))


def _names(rules: tuple[AccessRule, ...]) -> Iterator[Check]:
    """No name may be one that a rule's pattern stops at."""
    if any(rule.certificate.san_dns or rule.certificate.san_uri or rule.certificate.san_email for rule in rules):
        plain = Every(tuple(Matches(kind, patterns.printable()) for kind in ("dns", "uri", "email")))
        yield Check("alternative names in plain ASCII", No(plain), _refused("malformed"))


def _crooked(exceptions: tuple[Check, ...], rules: tuple[AccessRule, ...]) -> tuple[Check, ...]:
    """No path may be one that some members resolve further than the engine does: to them, it is another one than was judged.

    Nor may a host be one that some read as another.
    """
    path = Check("a path read in one way only", Matches("path", patterns.crooked()), _refused("malformed"))
    host = Check("a host read in one way only", No(Matches("host", patterns.plain_host())), _refused("malformed"))
    asks_for_path = bool(exceptions) or any(rule.paths for rule in rules)
    return (*((host,) if any(rule.hosts for rule in rules) else ()), *((path,) if asks_for_path else ()))


def _authority(desired: DesiredListener, retired: frozenset[str]) -> Iterator[Check]:
    """Whoever signed the certificate is trusted still, also where the connection is older than that decision."""
    if desired.listener.trust_revision:
        trusted = Some(tuple(Is("issuer_fingerprint", one) for one in desired.access.trusted))
        older = Matches("trust_revision", patterns.less_than(desired.listener.trust_revision))
        yield Check("the authority still on the listener", Every((older, No(trusted))), _refused("authority_removed"))
    if retired:
        gone = Some(tuple(Is("issuer_fingerprint", one) for one in sorted(retired)))
        yield Check("the authority not revoked", gone, _refused("authority_removed"))


def _exception(one: AccessException) -> Check:
    paths = one.paths or (_HEALTH if one.kind == "HEALTH_CHECK" else ())
    asked: list[Condition] = [During(None, one.not_after)]
    if one.kind == "CORS_PREFLIGHT":
        asked += [Is("method", "OPTIONS"), Matches("origin", ".+"), Matches("access-control-request-method", ".+")]
    if one.kind == "HEALTH_CHECK":
        asked.append(Some((Is("method", "GET"), Is("method", "HEAD"))))
    if paths:
        asked.append(Some(tuple(Matches("path", patterns.path(path, wide=False)) for path in paths)))
    if one.sources:
        asked.append(Within(one.sources))
    return Check(f"exception {one.name}", Every(tuple(asked)), Decision(allowed=True, code=words.EXEMPT, rule_id=one.id))


def _elsewhere(rules: tuple[AccessRule, ...], conditions: "_Conditions") -> Iterator[Check]:
    """Nothing allows it; this tells where that is only because of the network the client comes from."""
    for rule in rules:
        if rule.action == "ALLOW" and rule.sources:
            yield Check(
                f"rule {rule.name}, but for the network",
                conditions.of(rule, sources=False),
                Decision(allowed=False, code="source_not_allowed", rule_id=rule.id),
            )


@dataclass(frozen=True)
class _Conditions:
    """What rules ask. `authorities`: fingerprints of an authority and of those below it, by its id."""

    authorities: Mapping[str, tuple[str, ...]]

    def step(self, rule: AccessRule) -> Check:
        allows = rule.action == "ALLOW"
        code = words.ALLOWED if allows else "denied_by_rule"
        return Check(f"rule {rule.name}", self.of(rule), Decision(allowed=allows, code=code, rule_id=rule.id))

    def of(self, rule: AccessRule, *, sources: bool = True) -> Condition:
        """All that a rule asks, cheapest first; with `sources` false, of anybody anywhere."""
        wide = rule.action == "DENY"
        asked: list[Condition] = []
        if rule.not_before or rule.not_after:
            asked.append(During(rule.not_before, rule.not_after))
        if rule.methods:
            asked.append(Some(tuple(Matches("method", patterns.method(one, wide=wide)) for one in rule.methods)))
        if rule.hosts:
            asked.append(Some(tuple(Matches("host", patterns.host(one)) for one in rule.hosts)))
        if rule.paths:
            asked.append(Some(tuple(Matches("path", patterns.path(one, wide=wide)) for one in rule.paths)))
        if rule.sources and sources:
            asked.append(Within(rule.sources))
        asked += self.certificate(rule.certificate)
        return Every(tuple(asked))

    def certificate(self, holders: Holders) -> Iterator[Condition]:
        """All that is asked of the certificate."""
        for values, ask in self._questions(holders):
            if values:
                yield Some(tuple(ask(value) for value in values))

    def _questions(self, holders: Holders) -> Iterator[tuple[tuple[str, ...], Callable[[str], Condition]]]:
        signers = tuple(one for each in holders.authority_ids for one in self.authorities.get(each, ("unknown",)))
        yield holders.fingerprints_sha256, lambda value: Is("fingerprint", value)
        yield signers, lambda value: Is("issuer_fingerprint", value)
        yield holders.serials, lambda value: Is("serial", patterns.serial(value))
        yield holders.groups, lambda value: Member(members.token("group", value))
        yield holders.profiles, lambda value: Member(members.token("profile", value))
        yield holders.subject_cn, lambda value: Matches("subject", patterns.in_subject("CN", value))
        yield holders.subject_ou, lambda value: Matches("subject", patterns.in_subject("OU", value))
        yield holders.san_dns, lambda value: Matches("dns", patterns.dns(value))
        yield holders.san_uri, lambda value: Matches("uri", patterns.uri(value))
        yield holders.san_email, lambda value: Matches("email", patterns.email(value))
        yield holders.spiffe_ids, lambda value: Matches("uri", patterns.spiffe(value))


def _refused(code: str) -> Decision:
    return Decision(allowed=False, code=code)
