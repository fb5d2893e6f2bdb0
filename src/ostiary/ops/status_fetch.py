"""The revocation lists of imported authorities: fetched in time, and what is done when they end without a new one.

Level-triggered: each round looks at what is due and does it.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from ostiary import fetch
from ostiary.errors import Invalid, Refusal
from ostiary.model.authority import Authority
from ostiary.model.revocation import RevocationList
from ostiary.model.status_check import StatusCheck, StatusCheckState, StatusState
from ostiary.ops import imported, seen
from ostiary.ops.asking import asks
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.edit import edited
from ostiary.ops.facts import record
from ostiary.ops.series import members
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.ops.watch import Version, jittered
from ostiary.pki.foreign_lists import SIZE_MAX, ForeignList, read_lists
from ostiary.pki.status_urls import status_urls
from ostiary.store import foreign, revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Facts, Reader

FETCH_SECONDS: Final = 20.0
# Lists that end are set aside a little before, so that no engine refuses in between where clients are to be let in.
SET_ASIDE_SECONDS: Final = 120.0
_SOONEST: Final = timedelta(minutes=1)
_URLS_MAX: Final = 20
# How much of a list's life is left when people are told that it ends: more when asking for the next one fails, or nobody asks.
_LEFT_AT_ALARM: Final = 1 / 8
_LEFT_AT_ALARM_UPLOADED: Final = 1 / 4
_LEFT_AT_ALARM_FAILING: Final = 1 / 2

log = structlog.get_logger(source="status")
Held = Mapping[tuple[str, str], RevocationList]


@dataclass(frozen=True)
class Looked:
    """What asking for lists brought: lists with the address each is from, what went wrong where, and whose lists were there."""

    lists: tuple[tuple[ForeignList, str], ...]
    problems: Mapping[str, str]
    there: frozenset[str]


@asks(changes=Authority)
def update(system: System, caller: Caller, authority_id: str, changes: Mapping[str, Any]) -> Authority:
    """Change an authority; where it is to be checked by lists, they are fetched at once with the new settings.

    Raises `Invalid`, with what went wrong at each address, when lists are to be checked from now on and one is missing.
    """
    caller.must("authority:update")
    with system.store.read() as reader:
        authority = reader.require(AUTHORITY, authority_id)
        held = members(reader, authority.series_id)
    check = edited(authority, changes).status_check
    if check == authority.status_check or not check.by_list:
        return imported.update(system, caller, authority_id, changes)
    imported.refuse_with_key(authority)
    looked = look(system, held, check, conditional=False)
    try:
        after = imported.update(system, caller, authority_id, changes, looked.lists)
    except Invalid as refusal:
        why = "; ".join(looked.problems.values())
        raise Invalid(refusal.field, f"{refusal.message} ({why})" if why else refusal.message) from None
    _note(system, held, check, looked)
    return after


def fetch_now(system: System, caller: Caller, authority_id: str) -> Authority:
    """Ask for an imported authority's lists now. What came of it is in its state."""
    caller.must("authority:fetch")
    with system.store.read() as reader:
        authority = reader.require(AUTHORITY, authority_id)
        held = members(reader, authority.series_id)
    imported.refuse_with_key(authority)
    _fetch(system, caller, held)
    return authority


def fetch_due(system: System) -> int:
    """Ask for the lists that are due, see to those that end, and tell people before they do. How many lists came."""
    at = system.clock()
    with system.store.read() as reader:
        watched = _watched(reader)
        lists = revocations.lists_without_content(reader)
    count = sum(_fetch(system, SYSTEM, held) for held in watched if _due_at(system, held, lists, at) <= at)
    with system.store.read() as reader:
        lists = revocations.lists_without_content(reader)
    for held in watched:
        _settle(system, held, lists)
        _tell(system, held, lists, at)
    return count


def state(system: System, reader: Reader, authority: Authority) -> StatusCheckState:
    """How it stands with the news of an authority."""
    return states(system, reader, (authority,))[0]


def states(system: System, reader: Reader, held: Sequence[Authority]) -> tuple[StatusCheckState, ...]:
    """How it stands with the news of each of these authorities."""
    lists, at = revocations.lists_without_content(reader, [one.id for one in held]), system.clock()
    return tuple(_state(system, one, lists, at) for one in held)


def look(system: System, held: Sequence[Authority], check: StatusCheck, *, conditional: bool = True) -> Looked:
    """Fetch what is at the addresses of these authorities' lists. With `conditional`, only what changed since."""
    certificates = {one.id: parsed(one) for one in held}
    limits, allow = fetch.Limits(SIZE_MAX, FETCH_SECONDS, check.fetch_ports), networks(check)
    lists: list[tuple[ForeignList, str]] = []
    problems: dict[str, str] = {}
    there: set[str] = set()
    for url in check.crl_urls or _discovered(system, held):
        known = system.watch.version(url) if conditional else None
        etag, last_modified = (known.etag, known.last_modified) if known else (None, None)
        try:
            got = system.watch.fetch(url, limits=limits, allow=allow, etag=etag, last_modified=last_modified)
            if got.body is None and known is not None:
                there |= known.authority_ids
                continue
            found = read_lists(got.body or b"", [*certificates.values()], system.clock(), f"what is at {url}")
        except Refusal as refusal:
            problems[url] = str(refusal)
            continue
        lists += [(one, url) for one in found]
        whose = frozenset(name for name, its in certificates.items() if any(its in one.signers for one in found))
        there |= whose
        system.watch.note_version(url, Version(got.etag, got.last_modified, whose))
    return Looked(tuple(lists), problems, frozenset(there))


def networks(check: StatusCheck) -> tuple[fetch.Network, ...]:
    """Where an authority's operator lets us ask besides the open Internet."""
    return tuple(map(ipaddress.ip_network, check.fetch_private_networks))


def _discovered(system: System, held: Sequence[Authority]) -> tuple[str, ...]:
    """Where certificates themselves say that lists are: those of the bundle, and those it signed that were seen lately."""
    found = [url for one in held for url in status_urls(parsed(one)).crl]
    signers, at = seen.Signers(system, held), system.clock()
    with system.store.read() as reader:
        for one in foreign.seen_since(reader, at - seen.IN_USE, at):
            if len(found) >= _URLS_MAX:
                break
            if one.is_whole and signers.find(reader, one) is not None:
                found += [url for url in seen.urls(reader, one).crl if url not in found]
    return tuple(dict.fromkeys(found))[:_URLS_MAX]


def _watched(reader: Reader) -> tuple[tuple[Authority, ...], ...]:
    """The imported authorities that are checked by lists, those imported together together."""
    series: dict[str, list[Authority]] = {}
    for one in reader.all(AUTHORITY):
        if one.kind == "imported" and not one.has_key and one.status_check.by_list:
            series.setdefault(one.series_id, []).append(one)
    return tuple(tuple(held) for held in series.values())


def _due_at(system: System, held: Sequence[Authority], lists: Held, at: datetime) -> datetime:
    """When to ask next; what was never asked since this process began is asked now."""
    attempt = system.watch.attempt(held[0].series_id)
    if attempt is None:
        return at
    if attempt.failures:
        return attempt.next_at
    halves = [current.half_life for one in held if (current := lists.get((one.id, "complete")))]
    # A list past its half was looked for then; until there is a new one, `next_at` alone says when to look again.
    return min([attempt.next_at, *(half for half in halves if half > attempt.at)])


def _fetch(system: System, caller: Caller, held: Sequence[Authority]) -> int:
    """Ask for the lists of authorities that were imported together; how many were news."""
    check = held[0].status_check
    with system.store.read() as reader:
        is_complete = not imported.without_list(reader, held, system.clock())
    looked = look(system, held, check, conditional=is_complete)

    def work(facts: Facts) -> int:
        count = imported.keep(facts, caller, held, looked.lists, "fetched")
        imported.settle(facts, held, check, SET_ASIDE_SECONDS)
        return count

    count = record(system, caller, "authority:fetch", work)
    _note(system, held, check, looked)
    return count


def _note(system: System, held: Sequence[Authority], check: StatusCheck, looked: Looked) -> None:
    """Remember how it went, and when to ask again."""
    at, refresh = system.clock(), timedelta(minutes=check.refresh_minutes)
    errors = _errors(system, held, looked, at)
    if errors:
        system.watch.failed(held[0].series_id, at, errors, refresh)
        return
    hints = [one.next_publish for one, _ in looked.lists if one.next_publish is not None and one.next_publish > at]
    next_at = min([at + jittered(refresh), *(hint + jittered(_SOONEST) for hint in hints)])
    system.watch.went_well(held[0].series_id, at, next_at)


def _errors(system: System, held: Sequence[Authority], looked: Looked, at: datetime) -> dict[str, str]:
    """Why there is no better news, by authority. One address that fails is no matter where another had the list."""
    why = "; ".join(looked.problems.values())
    with system.store.read() as reader:
        lacking = {one.id for one in imported.without_list(reader, held, at)}
        lists = revocations.lists_without_content(reader, [one.id for one in held])
    found = {one.id: why or "there is no list of it at any address" for one in held if one.id in lacking - looked.there}
    found |= {one.id: why for one in held if why and one.id not in looked.there}
    for one in held:
        current = lists.get((one.id, "complete"))
        for there, url in looked.lists:
            if current is not None and parsed(one) in there.signers and there.this_update < current.this_update:
                found[one.id] = f"the list at {url} is older than the one that is held; the authority may be under attack"
    return found


def _settle(system: System, held: Sequence[Authority], lists: Held) -> None:
    """See to lists that end, where nothing new came; asked without the write lock first."""
    at, check = system.clock(), held[0].status_check
    if not any(imported.is_unsettled(check, lists, one, at, SET_ASIDE_SECONDS) for one in held):
        return

    def work(facts: Facts) -> None:
        imported.settle(facts, held, check, SET_ASIDE_SECONDS)

    record(system, SYSTEM, "authority:fetch", work)


def _tell(system: System, held: Iterable[Authority], lists: Held, at: datetime) -> None:
    """Alarm people: well before a list ends, when it did, and when all is well again."""
    for authority in held:
        found = _state(system, authority, lists, at)
        before = system.watch.news(authority.id, found.state, at)
        if before is None:
            continue
        tell = log.info if found.state == "FRESH" else log.warning
        tell(
            _WORDS[found.state],
            authority=authority.name,
            authority_id=authority.id,
            next_update=found.next_update.isoformat() if found.next_update else None,
            problem=found.last_error,
        )


_WORDS: Final[Mapping[StatusState, str]] = {
    "NOT_CHECKED": "the revocation lists of an imported authority are not checked",
    "FRESH": "the revocation list of an imported authority is current again",
    "ENDING": "the revocation list of an imported authority ends soon and there is no newer one",
    "STALE_REFUSED": "the revocation list of an imported authority has ended: its clients are refused",
    "STALE_ALLOWED": "the revocation list of an imported authority has ended: its clients are let in without it",
    "MISSING": "there is no revocation list of an imported authority: its clients are refused",
}


def _state(system: System, authority: Authority, lists: Held, at: datetime) -> StatusCheckState:
    current, aside = lists.get((authority.id, "complete")), lists.get((authority.id, "set_aside"))
    attempt = system.watch.attempt(authority.series_id)
    error = attempt.errors.get(authority.id) if attempt else None
    held = current or aside
    found = StatusCheckState(
        state=_word(authority.status_check, current, aside, at, is_failing=error is not None),
        last_fetched=attempt.at if attempt else None,
        last_error=error,
    )
    if held is None or held.source == "signed":
        return found
    told = {name: getattr(held, name) for name in ("number", "entries", "this_update", "next_update", "source")}
    return found.model_copy(update=told)


def _word(
    check: StatusCheck, current: RevocationList | None, aside: RevocationList | None, at: datetime, *, is_failing: bool
) -> StatusState:
    if not check.by_list:
        return "NOT_CHECKED"
    if current is None:
        return "MISSING" if aside is None else "STALE_ALLOWED"
    if not current.fresh(at):
        return "STALE_REFUSED"
    left = (current.next_update - at) / (current.next_update - current.this_update)
    if is_failing:
        return "ENDING" if left <= _LEFT_AT_ALARM_FAILING else "FRESH"
    return "ENDING" if left <= (_LEFT_AT_ALARM_UPLOADED if current.source == "uploaded" else _LEFT_AT_ALARM) else "FRESH"
