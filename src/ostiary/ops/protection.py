"""Whether a change lets in whom it did not, or by other authorities: why another person may have to agree to it.

It is told from how things are before and after, not from what was called: so it holds for whatever leads there, a form, a
single call that makes everything, going back to an earlier revision, or a rotation. What is not in service is looked at as if it
were: to put it into service later is then nothing new.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509

from ostiary.errors import Refusal
from ostiary.model.access import AccessException, AccessRule
from ostiary.model.approval import ApprovalKind, Why
from ostiary.model.asking import RANKS, asks_less
from ostiary.model.authority import Authority
from ostiary.model.house import HouseSettings
from ostiary.model.listener import Listener
from ostiary.ops.narrowing import takes_all_of
from ostiary.pki.names import fingerprint_sha256, subject_text
from ostiary.pki.sealing import Sealer
from ostiary.store.kinds import (
    ACCESS_EXCEPTION,
    ACCESS_RULE,
    AUTHORITY,
    CERTIFICATE,
    CONTAINER,
    HOUSE_SETTINGS,
    LISTENER,
    MEMBER,
    POOL,
    ROTATION,
    SECRET,
)
from ostiary.store.material import Materials
from ostiary.store.store import Change, Reader

_STALE: Final = {"REFUSE": 0, "ALLOW": 1, "ALARM": 1}
_TRUSTING: Final = {LISTENER.name, AUTHORITY.name, ROTATION.name, SECRET.name, CONTAINER.name}
_LEADING: Final = {LISTENER.name, POOL.name, MEMBER.name}
_NO_REFERENCE: Final = ""
_NAMED: Final = 10  # CA certificates that a reason names


@dataclass(frozen=True)
class Two:
    """How things are before and after a change, which is not committed yet."""

    before: Reader
    after: Reader
    changed: Sequence[Change]
    sealer: Sealer
    at: datetime

    def touches(self, kinds: Iterable[str]) -> bool:
        """Whether anything of these kinds is another."""
        return not {one.kind for one in self.changed}.isdisjoint(kinds)


def reasons(two: Two, settings: HouseSettings) -> tuple[Why, ...]:
    """Why another person has to agree, by the settings that were in force before."""
    wanted = set(settings.approval_needed_for)
    found: list[Why] = []
    if "CLIENT_CA" in wanted and two.touches(_TRUSTING):
        found += _of_trust(two)
    if "LOWER_PROTECTION" in wanted:
        found += _of_listeners(two)
        found += _of_access(two)
        found += _of_status(two)
        if two.touches(_LEADING):
            found += _of_servers(two)
    if "MASS_REVOCATION" in wanted:
        found += _of_revoked(two, settings)
    if wanted:
        found += _of_settings(two, settings)
    return tuple(dict.fromkeys(found))


# Who may have signed.


def _of_trust(two: Two) -> Iterator[Why]:
    before, after = _listeners(two.before), _listeners(two.after)
    old, new = _anchors(two.before, before.values(), two.sealer), _anchors(two.after, after.values(), two.sealer)
    for listener in after.values():
        was = before.get(listener.id)
        had = (was.client_ca_tls_container_ref if was is not None else None) or _NO_REFERENCE
        has = listener.client_ca_tls_container_ref or _NO_REFERENCE
        if has != had:
            code = "ca_changed" if had and has else "ca_added" if has else "ca_removed"
            yield _about("CLIENT_CA", code, listener, _called(new[has]))
        elif has and old[had] != new[has]:
            if gone := old[had].keys() - new[has].keys():
                yield _about("CLIENT_CA", "ca_shrunk", listener, _called({one: old[had][one] for one in gone}))
            if come := new[has].keys() - old[had].keys():
                yield _about("CLIENT_CA", "ca_grown", listener, _called({one: new[has][one] for one in come}))


def _anchors(reader: Reader, listeners: Iterable[Listener], sealer: Sealer) -> dict[str, dict[str, str]]:
    """By reference, the names of its CA certificates by their fingerprints; none where it lets nobody in.

    All that belongs to an authority is among them: who asks for one may have put others beside or below it before.
    """
    materials = Materials(reader, sealer, all_at_once=True)
    found: dict[str, dict[str, str]] = {_NO_REFERENCE: {}}
    for text in {one.client_ca_tls_container_ref for one in listeners if one.client_ca_tls_container_ref}:
        found[text] = dict(_behind(materials, text))
    return found


def _behind(materials: Materials, text: str) -> Iterator[tuple[str, str]]:
    try:
        anchors = materials.anchors(text, "client_ca_tls_container_ref")
    except Refusal:  # of a listener out of service: what can be read later is another thing then
        yield text, text
        return
    if not anchors.closed:
        try:
            yield from ((fingerprint_sha256(one), subject_text(one)) for one in x509.load_pem_x509_certificates(anchors.pem))
        except ValueError:
            yield hashlib.sha256(anchors.pem).hexdigest(), text


def _called(certificates: Mapping[str, str]) -> str:
    names = sorted(set(certificates.values()))
    return ", ".join(names[:_NAMED]) + (f" (+{len(names) - _NAMED})" if len(names) > _NAMED else "")


# What listeners ask.


def _of_listeners(two: Two) -> Iterator[Why]:
    before, after = _changed_listeners(two)
    for listener_id in dict.fromkeys((*before, *after)):
        was, now = before.get(listener_id), after.get(listener_id)
        if was is None and now is not None:
            if RANKS[now.client_authentication] < RANKS["MANDATORY"]:
                yield _about("LOWER_PROTECTION", "open_listener", now)
        elif now is None and was is not None:
            if RANKS[was.client_authentication]:
                yield _about("LOWER_PROTECTION", "listener_deleted", was)
        elif was is not None and now is not None:
            yield from (_about("LOWER_PROTECTION", code, now) for code in asks_less(was, now))


def _changed_listeners(two: Two) -> tuple[dict[str, Listener], dict[str, Listener]]:
    ids = dict.fromkeys(one.resource_id for one in two.changed if one.kind == LISTENER.name)
    before = {one.id: one for key in ids if (one := two.before.get(LISTENER, key)) is not None}
    after = {one.id: one for key in ids if (one := two.after.get(LISTENER, key)) is not None}
    return before, after


# Rules and exceptions.


def _of_access(two: Two) -> Iterator[Why]:
    """Of listeners that stay. One that asks nobody has nothing to lose."""
    kinds = {ACCESS_RULE.name, ACCESS_EXCEPTION.name}
    documents = [one.after or one.before or {} for one in two.changed if one.kind in kinds]
    for listener_id in dict.fromkeys(str(document["listener_id"]) for document in documents):
        listener, was = two.after.get(LISTENER, listener_id), two.before.get(LISTENER, listener_id)
        if listener is None or was is None or not RANKS[was.client_authentication]:
            continue
        yield from _of_rules(listener, *(_in_force(reader, listener_id, two.at) for reader in (two.before, two.after)))
        old, new = (_exceptions(reader, listener_id, two.at) for reader in (two.before, two.after))
        for one in new:
            if not any(_exempts_all_of(other, one) for other in old):
                yield _about("LOWER_PROTECTION", "exception", listener, one.name)


def _of_rules(listener: Listener, old: Sequence[AccessRule], new: Sequence[AccessRule]) -> Iterator[Why]:
    if old and not new:
        yield _about("LOWER_PROTECTION", "no_rules", listener)
        return
    for place, deny in enumerate(old):
        if deny.action == "DENY" and not any(
            other.action == "DENY" and takes_all_of(other, deny) and _no_more_allowed(old[:place], new[:where])
            for where, other in enumerate(new)
        ):
            yield _about("LOWER_PROTECTION", "deny_weakened", listener, deny.name)
    for one in new:
        allows_all = one.action == "ALLOW" and one.certificate.anybody
        opens = _asks_nothing(one) or listener.client_authentication == "OPTIONAL"
        if old and allows_all and opens and not any(other.action == "ALLOW" and takes_all_of(other, one) for other in old):
            yield _about("LOWER_PROTECTION", "everybody_allowed", listener, one.name)


def _no_more_allowed(old: Sequence[AccessRule], new: Sequence[AccessRule]) -> bool:
    """Whether what is allowed before a rule that denies was allowed before it already."""
    allowed = [one for one in old if one.action == "ALLOW"]
    return all(any(takes_all_of(other, one) for other in allowed) for one in new if one.action == "ALLOW")


def _asks_nothing(rule: AccessRule) -> bool:
    return not (rule.hosts or rule.paths or rule.methods or rule.sources)


def _in_force(reader: Reader, listener_id: str, at: datetime) -> tuple[AccessRule, ...]:
    rules = sorted(reader.all(ACCESS_RULE, listener_id=listener_id), key=lambda rule: rule.position or 0)
    return tuple(one for one in rules if not one.shadow and (one.not_after is None or one.not_after > at))


def _exceptions(reader: Reader, listener_id: str, at: datetime) -> tuple[AccessException, ...]:
    return tuple(one for one in reader.all(ACCESS_EXCEPTION, listener_id=listener_id) if one.not_after > at)


def _exempts_all_of(wide: AccessException, one: AccessException) -> bool:
    if wide.kind != one.kind or one.not_after > wide.not_after:
        return False
    # Without paths, a health check is of two, and a preflight of all: these are neither more nor fewer than some that are named.
    paths = set(one.paths) == set(wide.paths) or bool(one.paths and set(one.paths) <= set(wide.paths))
    sources = not wide.sources or bool(one.sources and set(one.sources) <= set(wide.sources))
    return paths and sources


# How revocation is learned.


def _of_status(two: Two) -> Iterator[Why]:
    for one in two.changed:
        if one.kind != AUTHORITY.name or one.before is None or one.after is None:
            continue
        was, now = two.before.get(AUTHORITY, one.resource_id), two.after.get(AUTHORITY, one.resource_id)
        if was is not None and now is not None and _is_checked_less(was, now):
            yield Why(kind="LOWER_PROTECTION", code="checked_less", about=now.name or now.subject)


def _is_checked_less(was: Authority, now: Authority) -> bool:
    old, new = was.status_check, now.status_check
    if (old.by_list and not new.by_list) or (old.by_ocsp and not new.by_ocsp):
        return True
    if _STALE[new.stale_status] > _STALE[old.stale_status] or (old.stale_status, new.stale_status) == ("ALLOW", "ALARM"):
        return True
    return new.stale_status == "ALLOW" and new.stale_allow_hours > old.stale_allow_hours


# What is behind.


def _of_servers(two: Two) -> Iterator[Why]:
    """Servers that a listener leads to which asks less than any that led to them."""
    old, new = _weakest(two.before), _weakest(two.after)
    new_here = {one.id for one in _listeners(two.after).values()} - {one.id for one in _listeners(two.before).values()}
    for place, (rank, listener) in new.items():
        if place in old and rank < old[place][0] and listener.id not in new_here:
            was = two.before.get(LISTENER, listener.id)
            if was is not None and RANKS[was.client_authentication] <= rank:  # else its mode was lowered, which is said already
                yield _about("LOWER_PROTECTION", "another_way", listener, f"{place[0]}:{place[1]}")


def _weakest(reader: Reader) -> dict[tuple[str, int], tuple[int, Listener]]:
    """By address and port of a server, the least that any listener asks which leads to it, and that listener."""
    leading: dict[str, Listener] = {}
    for listener in reader.all(LISTENER):
        pool_id = listener.default_pool_id
        if pool_id is not None and (pool_id not in leading or _rank(listener) < _rank(leading[pool_id])):
            leading[pool_id] = listener
    found: dict[tuple[str, int], tuple[int, Listener]] = {}
    for member in reader.all(MEMBER):
        by = leading.get(member.pool_id)
        place = (member.address, member.protocol_port)
        if by is not None and (place not in found or _rank(by) < found[place][0]):
            found[place] = (_rank(by), by)
    return found


def _rank(listener: Listener) -> int:
    return RANKS[listener.client_authentication]


# Revocation, and the settings themselves.


def _of_revoked(two: Two, settings: HouseSettings) -> Iterator[Why]:
    """An authority that is revoked takes all with it that it issued."""
    for one in two.changed:
        if one.kind == AUTHORITY.name and one.before is not None and _came(one, "revoked_at"):
            count = two.before.count(CERTIFICATE, authority_id=one.resource_id, revoked_at=None)
            if count > settings.mass_revocation_threshold:
                name = str((one.after or {}).get("name") or one.resource_id)
                yield Why(kind="MASS_REVOCATION", code="authority_revoked", about=name, count=count)


def _of_settings(two: Two, settings: HouseSettings) -> Iterator[Why]:
    for one in two.changed:
        if one.kind != HOUSE_SETTINGS.name:
            continue
        after = one.after or {}
        for gone in settings.approval_needed_for:
            if gone not in after.get("approval_needed_for", ()):
                yield Why(kind="APPROVALS", code="approval_off", about=gone)
        is_on = "MASS_REVOCATION" in settings.approval_needed_for
        if is_on and after.get("mass_revocation_threshold", 0) > settings.mass_revocation_threshold:
            yield Why(kind="APPROVALS", code="threshold_raised", count=after["mass_revocation_threshold"])
        days = after.get("audit_retention_days", settings.audit_retention_days)
        if days < settings.audit_retention_days:  # with the record goes what others would have found in it
            yield Why(kind="APPROVALS", code="kept_shorter", count=days)


def _came(one: Change, field: str) -> bool:
    return (one.before or {}).get(field) is None and (one.after or {}).get(field) is not None


def _listeners(reader: Reader) -> dict[str, Listener]:
    return {one.id: one for one in reader.all(LISTENER)}


def _about(kind: ApprovalKind, code: str, listener: Listener, more: str = "") -> Why:
    name: Any = listener.name or f"{listener.protocol} {listener.protocol_port}"
    return Why(kind=kind, code=code, about=name, more=more, listener_id=listener.id)
