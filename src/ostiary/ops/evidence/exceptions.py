"""Exceptions of the period, each with who answers for it and when it ends; and what makes the rest fail closed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ostiary.model.access import AccessException
from ostiary.model.authority import Authority
from ostiary.model.listener import Listener
from ostiary.ops.evidence.section import Column, Row, Rows, Scope, Section, link, paged, said, some, who
from ostiary.store import evidence
from ostiary.store.evidence import Link
from ostiary.store.kinds import ACCESS_EXCEPTION, ACCESS_RULE, AUTHORITY, LISTENER, Kind
from ostiary.store.store import AuditRow, Reader
from ostiary.store.then import Then

_LENIENT_MODES: Final = ("OPTIONAL", "REHEARSAL", "NONE")
_SET: Final[tuple[Kind[Any], ...]] = (LISTENER, AUTHORITY, ACCESS_RULE)
_NO_END: Final = "no end is set"
Entries = Mapping[str, list[AuditRow]]


def _exceptions(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        end, start = Then(reader, scope.end), Then(reader, scope.start)
        names = {one.id: one.name or one.id for then in (start, end) for one in then.all(LISTENER)}
        ids = [one.id for then in (start, end) for kind in _SET for one in then.all(kind)]
        entries = evidence.about(reader, ids, upto=scope.end.sequence)
        rows = [
            *_of_listeners(start, end, entries, scope),
            *_of_authorities(end, entries),
            *_of_rules(end, names, entries),
            *_without_certificate(reader, start, end, names, scope),
        ]
    yield from paged(rows)
    yield from paged(_meanwhile(scope, names, entries))


def _of_listeners(start: Then, end: Then, entries: Entries, scope: Scope) -> Iterator[Row]:
    for then, when in ((end, "at the end"), (start, "at the beginning")):
        for one in then.all(LISTENER):
            if not one.is_tls or not one.admin_state_up:
                continue
            other = start.get(LISTENER, one.id)
            if then is start and (now := end.get(LISTENER, one.id)) is not None and now.lenient == one.lenient:
                continue
            both = (
                "at the beginning and at the end" if then is end and other is not None and other.lenient == one.lenient else when
            )
            for field, what in one.lenient.items():
                yield _by_setting(
                    "listener", one.name or one.id, what, both, field, entries.get(one.id, []), scope if then is start else None
                )


def _of_authorities(end: Then, entries: Entries) -> Iterator[Row]:
    trusted = {(one.client_ca_tls_container_ref or "").rpartition("/")[2] for one in end.all(LISTENER)}
    for one in end.all(AUTHORITY):
        if one.kind == "imported" and one.revoked_at is None:
            for what in _unchecked(one, trusted=one.id in trusted):
                yield _by_setting(
                    "imported CA", one.name or one.subject, what, "at the end", "status_check", entries.get(one.id, []), None
                )


def _unchecked(one: Authority, *, trusted: bool) -> Iterator[str]:
    check, where = one.status_check, "" if trusted else "; no listener trusted it"
    if check.revocation_check == "NONE":
        yield f"whether its certificates are revoked is not asked{where}"
    elif check.stale_status == "ALLOW":
        yield f"its clients are let in for {check.stale_allow_hours} h without current news of who is revoked{where}"
    elif check.stale_status == "ALARM":
        yield f"its clients are let in without current news of who is revoked; there is only an alarm{where}"


def _of_rules(end: Then, names: Mapping[str, str], entries: Entries) -> Iterator[Row]:
    for one in end.all(ACCESS_RULE):
        if one.shadow:
            place = f"{names.get(one.listener_id, one.listener_id)}, rule {one.name}"
            what = "the rule is rehearsed: what it would refuse is served"
            yield _by_setting("access rule", place, what, "at the end", "shadow", entries.get(one.id, []), None)


def _by_setting(kind: str, place: str, what: str, when: str, field: str, entries: list[AuditRow], before: Scope | None) -> Row:
    """Settings have no owner and no end of their own: who last set it so answers for it, and nothing ends it by itself."""
    upto = before.start.sequence if before is not None else None
    told = [
        (row, entry)
        for row in entries
        if (upto is None or row.sequence <= upto) and field in ((entry := said(row)).get("after") or {})
    ]
    last = told[-1] if told else None
    values = {
        "kind": kind,
        "place": place,
        "what": what,
        "when": when,
        "owner": f"{last[1]['actor']}, who set it so" if last else "not on record any more",
        "since": last[1]["at"] if last else "",
        "ends": _ended(last[0], entries, field) if last and before is not None else _NO_END,
        "id": last[1]["resource_id"] if last else "",
    }
    return Row(values, (link(last[0]),) if last else ())


def _without_certificate(reader: Reader, start: Then, end: Then, names: Mapping[str, str], scope: Scope) -> Iterator[Row]:
    """Access exceptions that were there at any time in the period: they have an owner and an end."""
    every: dict[str, AccessException] = {one.id: one for one in start.all(ACCESS_EXCEPTION) if one.not_after > scope.since}
    for row in _made_in(reader, scope):
        after = said(row).get("after") or {}
        if after.get("id"):
            one = AccessException.model_validate(after, strict=False)
            every[one.id] = one
    every |= {one.id: one for one in end.all(ACCESS_EXCEPTION) if one.not_after > scope.since}
    links = evidence.links(reader, every, scope.end.sequence)
    for one in every.values():
        is_there = end.get(ACCESS_EXCEPTION, one.id) is not None and one.not_after > scope.until
        yield Row(
            {
                "kind": "access exception",
                "place": names.get(one.listener_id, one.listener_id),
                "what": f"{one.name}: {one.kind}, served without a certificate ({_asked(one)})",
                "when": "at the end" if is_there else "ended in the period",
                "owner": one.owner,
                "since": one.created_at,
                "ends": one.not_after,
                "id": one.id,
            },
            some(links.get(one.id, ())),
        )


def _made_in(reader: Reader, scope: Scope) -> Iterator[AuditRow]:
    reached = scope.start.sequence
    while page := evidence.entries(reader, reached, scope.end.sequence, actions=("access-exception:create",)):
        yield from page
        reached = page[-1].sequence


def _asked(one: AccessException) -> str:
    paths = ", ".join(one.paths) or "the usual paths of its kind"
    return f"{paths}, from {', '.join(one.sources) or 'everywhere'}"


def _meanwhile(scope: Scope, names: Mapping[str, str], entries: Entries) -> Iterator[Row]:
    """What was lenient for a time within the period, and what broke the glass."""
    for page in scope.entries(groups=("listener", "revision", "break-glass")):
        for row in page:
            entry = said(row)
            mode = (entry.get("after") or {}).get("client_authentication")
            if entry.get("kind") == "listener" and entry.get("before") is not None and mode in _LENIENT_MODES:
                what = f"client certificate set to {mode} (was {entry['before'].get('client_authentication')})"
                ends = _ended(row, entries.get(entry["resource_id"], []))
                yield _noted("listener", names.get(entry["resource_id"], entry["resource_id"]), what, row, entry, ends)
            elif entry.get("action") == "break-glass:begin":
                after = entry.get("after") or {}
                what = f"changes without another person's agreement: {after.get('reason', '')}"
                yield _noted("break-glass", str(after.get("begun_by", "")), what, row, entry, after.get("ends_at", ""))


def _ended(row: AuditRow, entries: Iterable[AuditRow], field: str = "client_authentication") -> str:
    """When it was set otherwise again, within the period."""
    for later in entries:
        entry = said(later)
        if later.sequence > row.sequence and field in (entry.get("after") or {}):
            return str(entry["at"])
    return f"not in the period; {_NO_END}"


def _noted(kind: str, place: str, what: str, row: AuditRow, entry: Mapping[str, Any], ends: str) -> Row:
    deed = who(entry)
    values = {
        "kind": kind,
        "place": place,
        "what": what,
        "when": "within the period",
        "owner": deed["actor"],
        "since": deed["at"],
    }
    return Row({**values, "ends": ends, "id": entry.get("resource_id", "")}, (link(row),))


# What fails closed.

_BUILT_IN: Final = (
    ("A listener that asks for certificates cannot be without a CA", "refused when it is saved", "docs/decisions/0002"),
    ("A change that the gateway could not carry out", "is refused before anything of it is committed", "docs/architecture.md"),
    ("A request that no rule allows, where there are rules", "is refused (no_rule_allows)", "docs/access.md"),
    ("A certificate, path or name that could be read in two ways", "is refused (malformed)", "docs/decisions/0018"),
    ("A connection older than a revocation or a removed CA", "is decided anew at each request", "docs/decisions/0013"),
    (
        "A gateway without a control plane",
        "goes on with the last configuration it accepted; its revocation lists end",
        "docs/decisions/0003",
    ),
    (
        "What is stored and cannot be read or does not fit its form",
        "is an error: nothing is left out or guessed at",
        "docs/architecture.md",
    ),
)


def _fail_closed(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        then = Then(reader, scope.end)
        listeners = [one for one in then.all(LISTENER) if one.is_tls]
        imported = [one for one in then.all(AUTHORITY) if one.kind == "imported" and one.revoked_at is None]
        links = evidence.links(reader, [one.id for one in (*listeners, *imported)], scope.end.sequence)
    yield from paged(
        (
            *(row for one in listeners for row in _of_listener(one, links.get(one.id, ()))),
            *(row for one in imported for row in _of_imported(one, links.get(one.id, ()))),
            *(
                Row({"place": "built in", "case": case, "then": then_, "closed": True, "shown": shown})
                for case, then_, shown in _BUILT_IN
            ),
        )
    )


def _of_listener(one: Listener, links: tuple[Link, ...]) -> Iterator[Row]:
    mode = one.client_authentication
    place = f"listener {one.name or one.id}"
    answers = {
        "NONE": ("is served: the listener asks for none", False),
        "OPTIONAL": ("is served, where no rule asks for more", False),
        "REHEARSAL": ("is served, and noted", False),
        "MANDATORY": ("is refused", True),
    }
    then, closed = answers[mode]
    yield _case(place, "A client without a certificate", then, f"client_authentication: {mode}", links, closed=closed)
    if mode == "NONE":
        return
    refused = mode != "REHEARSAL"
    then = "is refused at the handshake" if refused else "is served, and noted"
    yield _case(place, "A certificate that is not valid", then, f"client_authentication: {mode}", links, closed=refused)
    allow = one.when_lists_ended == "ALLOW"
    then = f"known revoked are refused, others let in for {one.stale_allow_hours} h" if allow else "everybody is refused"
    then = then if refused else "is served, and noted"
    case, setting = (
        "Revocation lists have ended, and there are no newer",
        f"when revocation lists have ended: {one.when_lists_ended}",
    )
    yield _case(place, case, then, setting, links, closed=refused and not allow)


def _of_imported(one: Authority, links: tuple[Link, ...]) -> Iterator[Row]:
    check = one.status_check
    if check.revocation_check == "NONE":
        then, closed = "is let in: nobody asks whether it is revoked", False
    else:
        then, closed = {
            "REFUSE": ("is refused", True),
            "ALLOW": (f"is let in for {check.stale_allow_hours} h", False),
            "ALARM": ("is let in, with an alarm", False),
        }[check.stale_status]
    setting = f"revocation_check: {check.revocation_check}, stale_status: {check.stale_status}"
    yield _case(
        f"imported CA {one.name or one.subject}",
        "A client of it, without current news of who is revoked",
        then,
        setting,
        links,
        closed=closed,
    )


def _case(place: str, case: str, then: str, setting: str, links: tuple[Link, ...], *, closed: bool) -> Row:
    return Row({"place": place, "case": case, "then": then, "closed": closed, "shown": setting}, some(links))


EXCEPTIONS: Final = Section(
    "exceptions",
    "Exceptions",
    "Whatever in the period let somebody in whom the usual settings would refuse: listeners whose client certificate is optional "
    "or rehearsed, lists that may be out of date, imported CAs that are not checked, requests served without a certificate, "
    "rules that are only rehearsed, and broken glass. Access exceptions have an owner and an end. A setting has neither: "
    "whoever set it so is named, and that nothing ends it is said.",
    "The history of the configuration at both ends of the period, and the record of what was between.",
    (
        Column("kind", "Kind"),
        Column("place", "Where"),
        Column("what", "What"),
        Column("when", "When"),
        Column("owner", "Owner"),
        Column("since", "Since"),
        Column("ends", "Ends"),
        Column("id", "Id", wide=True),
    ),
    _exceptions,
)
FAIL_CLOSED: Final = Section(
    "fail-closed",
    "What happens when something is missing",
    "For each listener and each imported CA, what the settings of the end of the period do when something is missing or out of "
    "date; and what is built in and cannot be set otherwise. It shows the settings, not a test on this installation: `ostiary "
    "explain` answers for one client, and the product's own tests (tests/live) refuse real clients.",
    "The history of the configuration, taken back to the end of the period.",
    (
        Column("place", "Where"),
        Column("case", "When"),
        Column("then", "Then the client"),
        Column("closed", "Fails closed"),
        Column("shown", "By this setting, or described in"),
    ),
    _fail_closed,
)
