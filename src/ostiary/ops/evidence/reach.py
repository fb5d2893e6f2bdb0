"""Who could reach what at the end of the period: doors, rules in their order, and the certificates that they let in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ostiary.access import members
from ostiary.access.conditions import Condition
from ostiary.access.facts import Request
from ostiary.access.judge import holds
from ostiary.access.policy import fits
from ostiary.model.access import AccessRule, Holders
from ostiary.model.listener import Listener
from ostiary.model.tls import TLS12_CIPHERS, TLS13_CIPHERS, Trust
from ostiary.ops.evidence.inventory import each_certificate, names_of_authorities, status
from ostiary.ops.evidence.section import Column, Row, Rows, Scope, Section, link, paged, some
from ostiary.ops.explained import first_of, holder
from ostiary.pki import door as handshakes
from ostiary.store import evidence
from ostiary.store.evidence import Link
from ostiary.store.kinds import ACCESS_RULE, AUTHORITY, LISTENER, LOAD_BALANCER
from ostiary.store.store import AuditRow
from ostiary.store.then import Door, Then

_ENFORCED: Final = ("MANDATORY", "OPTIONAL")


def _listeners(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        then, before = Then(reader, scope.end), Then(reader, scope.start)
        links = evidence.links(reader, [one.id for one in then.all(LISTENER)], scope.end.sequence)
        authorities = {one.id: one.subject for one in then.all(AUTHORITY)}
        balancers = {one.id: one for one in then.all(LOAD_BALANCER)}
        rows = []
        for door in then.doors(scope.system.sealer):
            one, was = door.listener, before.get(LISTENER, door.listener.id)
            balancer = balancers.get(one.loadbalancer_id)
            values = {
                "name": one.name or one.id,
                "address": f"{balancer.vip_address if balancer else ''}:{one.protocol_port}",
                "in_service": door.in_service,
                "protocol": one.protocol,
                "mode": one.client_authentication if one.is_tls else "no TLS here",
                "mode_at_start": was.client_authentication if was is not None and was.is_tls else "",
                "client_ca": _client_ca(one, authorities),
                "trusted": len(door.desired.access.trusted) if door.desired is not None else "",
                "rules": len(door.desired.access.rules) if door.desired is not None else "",
                "networks": one.networks,
                "problem": door.problem,
                "id": one.id,
            }
            rows.append(Row(values, some(links.get(one.id, ()))))
    yield from paged(rows)


def _client_ca(one: Listener, authorities: Mapping[str, str]) -> str:
    text = one.client_ca_tls_container_ref
    if text is None or not one.is_tls:
        return ""
    return authorities.get(text.rpartition("/")[2], text)


def _rules(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        then = Then(reader, scope.end)
        names = {one.id: one.name or one.id for one in then.all(LISTENER)}
        authorities = {one.id: one.name or one.subject for one in then.all(AUTHORITY)}
        every = sorted(
            then.all(ACCESS_RULE), key=lambda one: (names.get(one.listener_id, ""), one.listener_id, one.position or 0)
        )
        links = evidence.links(reader, [one.id for one in every], scope.end.sequence)
    yield from paged(
        Row(
            {
                "listener": names.get(one.listener_id, one.listener_id),
                "position": one.position,
                "action": one.action,
                "name": one.name,
                "whose": _whose(one.certificate, authorities),
                **{part: getattr(one, part) for part in ("hosts", "paths", "methods", "sources", "not_before", "not_after")},
                "enforced": "rehearsed only" if one.shadow else "in force",
                "id": one.id,
            },
            some(links.get(one.id, ())),
        )
        for one in every
    )


def _whose(holders: Holders, authorities: Mapping[str, str]) -> tuple[str, ...]:
    """Whose certificates a rule is about, in words."""
    if holders.anybody:
        return ("everybody",)
    named = holders.model_dump()
    named["authority_ids"] = tuple(authorities.get(one, one) for one in holders.authority_ids)
    return tuple(f"{name.replace('_', ' ')}: {', '.join(values)}" for name, values in named.items() if values)


@dataclass(frozen=True)
class _Judge:
    """A listener that asks for certificates, and the conditions of its rules that are in force, made once."""

    door: Door
    trust: Trust
    rules: tuple[tuple[AccessRule, Condition], ...]


def _judges(scope: Scope) -> tuple[tuple[_Judge, ...], frozenset[str]]:
    with scope.system.store.read() as reader:
        then = Then(reader, scope.end)
        retired = then.retired()
        return tuple(_judge(door) for door in then.doors(scope.system.sealer) if _asks(door)), retired


def _asks(door: Door) -> bool:
    return door.in_service and door.desired is not None and door.desired.trust is not None


def _judge(door: Door) -> _Judge:
    assert door.desired is not None and door.desired.trust is not None  # noqa: S101, PT018 (`_asks` has asked)
    access = door.desired.access
    in_force = tuple((rule, fits(rule.certificate, access.authorities)) for rule in access.rules if not rule.shadow)
    return _Judge(door, door.desired.trust, in_force)


def _reach(scope: Scope) -> Rows:
    judges, retired = _judges(scope)
    issuers = {one: its.fingerprint_sha256 for one, its in names_of_authorities(scope).items()}
    if not judges:
        return
    for page in each_certificate(scope):
        rows = [
            row
            for document, entries in page
            if status(document, scope.until) == "VALID" and issuers.get(document["authority_id"]) not in retired
            for row in _reached(scope, judges, document, entries)
        ]
        if rows:
            yield tuple(rows)


def _reached(scope: Scope, judges: Sequence[_Judge], document: Mapping[str, Any], entries: Sequence[AuditRow]) -> Iterator[Row]:
    certificate = first_of(document["certificate"])
    if certificate is None:
        return
    links: tuple[Link, ...] = some(link(one) for one in entries if one.sequence <= scope.end.sequence)
    for judge in judges:
        signer = handshakes.signer(certificate, judge.trust, scope.until)
        if signer is None:
            continue
        held = holder(certificate, signer, members.entry(document["groups"], document["profile"]))
        verdict, named = _verdict(judge, Request(host="", at=scope.until, holder=held), scope.until)
        if verdict:
            values = {
                "listener": judge.door.listener.name or judge.door.listener.id,
                "reach": verdict,
                "rules": named,
                **{name: document.get(name) for name in ("subject", "owner", "groups", "profile", "serial", "not_after", "id")},
                "listener_id": judge.door.listener.id,
            }
            yield Row(values, links)


def _verdict(judge: _Judge, request: Request, at: datetime) -> tuple[str, tuple[str, ...]]:
    """What the holder of a certificate may do there, by the rules in their order; empty for nothing."""
    mode = judge.door.listener.client_authentication
    if mode not in _ENFORCED:
        return "everything: nobody is refused there (rehearsal)", ()
    if not judge.rules:
        return "everything: there is no rule", ()
    named, allowed, refused = [], False, False
    for rule, condition in judge.rules:
        if not _holds_then(rule, at) or not holds(condition, request):
            continue
        named.append(f"{rule.action} {rule.name}")
        if not (rule.hosts or rule.paths or rule.methods or rule.sources):
            if rule.action == "ALLOW":
                return ("all that the rules before do not refuse" if refused else "everything"), tuple(named)
            break
        allowed, refused = allowed or rule.action == "ALLOW", refused or rule.action == "DENY"
    return ("some requests" if allowed else ""), tuple(named)


def _holds_then(rule: AccessRule, at: datetime) -> bool:
    return (rule.not_before is None or rule.not_before <= at) and (rule.not_after is None or at <= rule.not_after)


def _ciphers(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        then = Then(reader, scope.end)
        listeners = [one for one in then.all(LISTENER) if one.is_tls]
        links = evidence.links(reader, [one.id for one in listeners], scope.end.sequence)
    yield from paged(
        Row(
            {
                "listener": one.name or one.id,
                "port": one.protocol_port,
                "in_service": one.admin_state_up,
                "versions": one.tls_versions,
                "tls12": _tls12(one),
                "tls13": TLS13_CIPHERS if "TLSv1.3" in one.tls_versions else (),
                "alpn": one.alpn_protocols,
                "id": one.id,
            },
            some(links.get(one.id, ())),
        )
        for one in listeners
    )


def _tls12(one: Listener) -> tuple[str, ...]:
    if "TLSv1.2" not in one.tls_versions:
        return ()
    chosen = TLS12_CIPHERS if one.tls_ciphers is None else one.tls_ciphers.split(":")
    return tuple(name for name in chosen if name in TLS12_CIPHERS)


LISTENERS: Final = Section(
    "listeners",
    "Listeners",
    "Every listener as it was at the end of the period: whether it asked for a client certificate, of which CA, and from which "
    "networks one could connect at all.",
    "The history of the configuration, taken back to the end of the period.",
    (
        Column("name", "Listener"),
        Column("address", "Address"),
        Column("in_service", "In service"),
        Column("protocol", "Protocol"),
        Column("mode", "Client certificate"),
        Column("mode_at_start", "At the beginning"),
        Column("client_ca", "Client CA"),
        Column("trusted", "CA certificates trusted"),
        Column("rules", "Access rules"),
        Column("networks", "Networks"),
        Column("problem", "Not known any more"),
        Column("id", "Id", wide=True),
    ),
    _listeners,
)
RULES: Final = Section(
    "access-rules",
    "Access rules",
    "The rules of each listener as they were at the end of the period, in the order in which they were tried; the first that "
    "fitted decided, and what no rule allowed was refused. A listener without rules serves whoever holds a certificate it "
    "accepts.",
    "The history of the configuration, taken back to the end of the period.",
    (
        Column("listener", "Listener"),
        Column("position", "Place"),
        Column("action", "Action"),
        Column("name", "Rule"),
        Column("whose", "Whose certificates"),
        Column("hosts", "Hosts"),
        Column("paths", "Paths"),
        Column("methods", "Methods"),
        Column("sources", "Networks"),
        Column("not_before", "From", wide=True),
        Column("not_after", "Until"),
        Column("enforced", "State"),
        Column("id", "Id", wide=True),
    ),
    _rules,
)
REACH: Final = Section(
    "reach",
    "Who could reach what",
    "For each listener that asked for certificates at the end of the period: every certificate issued here that it accepted, "
    "and what the rules let its holder do. It is judged by the very code that gateways are configured from: the signature up to "
    "a trusted CA, purpose, time, revocation and hold, then the rules in order. Certificates of imported CAs are issued "
    "elsewhere, so which there are is not known here; those that were seen are under “Certificates used from several addresses” "
    "and in the console. What the applications behind the listener let somebody do is theirs to show.",
    "Certificates with their groups, and the rules, as of the end of the period.",
    (
        Column("listener", "Listener"),
        Column("subject", "Subject"),
        Column("owner", "Holder"),
        Column("groups", "Groups"),
        Column("profile", "Profile", wide=True),
        Column("reach", "May reach"),
        Column("rules", "By these rules"),
        Column("serial", "Serial", wide=True),
        Column("not_after", "Expires", wide=True),
        Column("id", "Id", wide=True),
        Column("listener_id", "Listener's id", wide=True),
    ),
    _reach,
)
CIPHERS: Final = Section(
    "ciphers",
    "Protocols and cipher suites",
    "What each TLS listener offered at the end of the period. Suites of TLS 1.3 cannot be chosen in the engine and are always "
    "on. Whether a suite is still held to be strong is for the yearly review to say.",
    "The history of the configuration, taken back to the end of the period.",
    (
        Column("listener", "Listener"),
        Column("port", "Port"),
        Column("in_service", "In service"),
        Column("versions", "TLS versions"),
        Column("tls12", "Suites of TLS 1.2"),
        Column("tls13", "Suites of TLS 1.3"),
        Column("alpn", "ALPN"),
        Column("id", "Id", wide=True),
    ),
    _ciphers,
)
