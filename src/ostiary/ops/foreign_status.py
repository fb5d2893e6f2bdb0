"""What became of certificates that imported authorities signed and gateways were shown: their lists know, or their responders.

Whoever is not good is refused request by request, so also on connections that are open, and where no list stands guard at the
handshake (`store.revocations.revoked_elsewhere`).
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from ostiary import fetch
from ostiary.errors import Refusal
from ostiary.model.authority import Authority
from ostiary.model.revocation import RevocationList
from ostiary.model.status_check import REFUSED, ForeignStatus, ForeignStatusWord, StatusCheck
from ostiary.ops import seen
from ostiary.ops.caller import SYSTEM
from ostiary.ops.facts import record
from ostiary.ops.record import entry
from ostiary.ops.signing import parsed
from ostiary.ops.status_fetch import networks
from ostiary.ops.system import System
from ostiary.pki import foreign_lists, ocsp_client
from ostiary.pki.crl_rules import CRL
from ostiary.store import foreign, revocations
from ostiary.store.foreign import Seen
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Change, Facts, Reader

ASK_SECONDS: Final = 10.0
ASKED_AT_ONCE: Final = 200  # of one round; the others have their turn in the next
_LONGEST_WAIT: Final = timedelta(minutes=15)
_ALL_AGAIN: Final = timedelta(minutes=1)  # between looking at all who are in use; meanwhile only at those who are new
_OVERLAP: Final = timedelta(minutes=2)  # what gateways tell comes late
_SOON: Final = timedelta(minutes=1)
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{1,64}")
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(source="status")


@dataclass(frozen=True)
class _One:
    """A certificate that was seen, whose it is, and what is known of it."""

    seen: Seen
    authority: Authority
    known: ForeignStatus | None

    @property
    def serial(self) -> int:
        return int(self.seen.serial, 16)

    @property
    def check(self) -> StatusCheck:
        return self.authority.status_check


def learn_due(system: System) -> int:
    """Look up whoever is in use on their authority's list, ask its responder where that is due, and note what changed."""
    at = system.clock()
    with system.store.read() as reader:
        authorities = [one for one in reader.all(AUTHORITY) if _is_checked(one)]
        known = foreign.statuses(reader)
        lists = _lists(reader, authorities)
        ones = _in_use(system, reader, authorities, lists, known, at) if authorities else []
        serials = {one.authority.id: _serials(system, reader, lists, one.authority) for one in ones}
        gone = [*foreign.expired(reader, at)] if known else []
    ids = {one.id for one in authorities}
    gone += [status.fingerprint_sha256 for status in known.values() if status.authority_id not in ids]
    news: list[ForeignStatus] = []
    due: list[_One] = []
    for one in ones:
        if one.serial in serials[one.authority.id]:
            if one.known is None or one.known.status != "listed":
                news.append(_status(one, "listed", at))
        elif one.known is not None and one.known.status == "listed" and not one.check.by_ocsp:
            gone.append(one.seen.fingerprint_sha256)
        elif one.check.by_ocsp and (one.known is None or one.known.status == "listed" or _due_at(one) <= at):
            due.append(one)
    news += _asked(system, due[:ASKED_AT_ONCE])
    return _note(system, known, news, gone)


def _is_checked(authority: Authority) -> bool:
    check = authority.status_check
    return authority.kind == "imported" and not authority.has_key and (check.by_list or check.by_ocsp)


def _lists(reader: Reader, authorities: Sequence[Authority]) -> dict[str, RevocationList]:
    """The list of each that is checked by lists, the one set aside too: whom it names is still refused."""
    by_list = [one.id for one in authorities if one.status_check.by_list]
    return {authority_id: held for (authority_id, _), held in revocations.lists_without_content(reader, by_list).items()}


def _in_use(
    system: System,
    reader: Reader,
    authorities: Sequence[Authority],
    lists: Mapping[str, RevocationList],
    known: Mapping[str, ForeignStatus],
    at: datetime,
) -> list[_One]:
    """The certificates to look at: all in use each minute and when anything changed, meanwhile those that are new."""
    aside = any(held.kind == "set_aside" for held in lists.values())
    key = "".join(f"{one.id}{one.revision}{lists[one.id].sequence if one.id in lists else ''}" for one in authorities)
    since = system.watch.looked_since(f"{key}{aside}", at, _ALL_AGAIN)
    if since is None:
        # Where no list stands guard, whoever was ever seen may come back and get past the handshake.
        since = _LONG_AGO if aside else at - seen.IN_USE
    signers = seen.Signers(system, authorities)
    found = []
    for one in foreign.seen_since(reader, since - _OVERLAP if since != _LONG_AGO else since, at):
        authority = signers.find(reader, one)
        if authority is not None and _HEXADECIMAL.fullmatch(one.serial):
            found.append(_One(one, authority, known.get(one.fingerprint_sha256)))
    return found


def _serials(system: System, reader: Reader, lists: Mapping[str, RevocationList], authority: Authority) -> frozenset[int]:
    held = lists.get(authority.id)
    if held is None:
        return frozenset()
    name = f"{authority.id}/{held.number}/{held.sequence}"
    found: frozenset[int] | None = system.watch.serials.get(name)
    if found is None:
        whole = revocations.current_list(reader, authority.id, held.kind)
        found = foreign_lists.revoked_serials(whole.der) if whole else frozenset()
        system.watch.serials.keep(name, found)
    return found


def _due_at(one: _One) -> datetime:
    """When to ask its responder again: half-way to the end of what it said, and as often as the operator wants at least."""
    changed_at = one.authority.updated_at
    if one.known is None or (changed_at is not None and one.known.checked_at < changed_at):
        return _LONG_AGO
    checked_at, ends = one.known.checked_at, one.known.next_update
    again = checked_at + timedelta(minutes=one.check.refresh_minutes)
    if one.known.error is not None:
        return min(again, checked_at + _SOON)  # how often a responder is asked at all is limited apart (`Watch`)
    return again if ends is None else min(again, checked_at + (ends - checked_at) / 2)


def _asked(system: System, due: Sequence[_One]) -> list[ForeignStatus]:
    """What the responders say of these."""
    found = []
    for one in due:
        at = system.clock()
        with system.store.read() as reader:
            urls = one.check.ocsp_urls or seen.urls(reader, one.seen).ocsp
            held = revocations.current_list(reader, one.authority.id)
        crl = foreign_lists.crl_of(held.der) if held is not None and held.fresh(at) else None
        answer: ocsp_client.Answer | None = None
        problem = "no address of a responder is known of it; give ocsp_urls"
        for url in urls:
            attempt = system.watch.attempt(url)
            if attempt is not None and attempt.failures and attempt.next_at > at:
                problem = attempt.errors[url]
                continue
            try:
                answer = _answer(system, one, url, crl)
            except Refusal as refusal:
                problem = str(refusal)
                system.watch.failed(url, at, {url: problem}, _LONGEST_WAIT)
                continue
            system.watch.went_well(url, at, at)
            break
        found.append(_without_news(one, problem, at) if answer is None else _with_news(one, answer, at))
    return found


def _answer(system: System, one: _One, url: str, crl: CRL | None) -> ocsp_client.Answer:
    asked = ocsp_client.question(parsed(one.authority), one.serial, secrets.token_bytes(ocsp_client.NONCE_OCTETS))
    limits = fetch.Limits(ocsp_client.ANSWER_LIMIT, ASK_SECONDS, one.check.fetch_ports)
    post = fetch.Post(asked.der, ocsp_client.REQUEST_TYPE)
    got = system.watch.fetch(url, limits=limits, allow=networks(one.check), post=post)
    return ocsp_client.answer(got.body or b"", asked, system.clock(), crl)


def _with_news(one: _One, answer: ocsp_client.Answer, at: datetime) -> ForeignStatus:
    if answer.status == "unknown":
        return _without_news(one, "its responder does not know this certificate", at)
    return replace(_status(one, answer.status, at), revoked_at=answer.revoked_at, next_update=answer.next_update)


def _without_news(one: _One, problem: str, at: datetime) -> ForeignStatus:
    """What to make of a certificate of which there is no current news. Never better than it was: revoked stays revoked."""
    known, check = one.known, one.check
    if known is not None and known.status == "revoked":
        return replace(known, checked_at=at, error=problem)
    if known is not None and known.status == "good" and known.next_update is not None and known.next_update > at:
        return replace(known, checked_at=at, error=problem)
    if check.stale_status == "REFUSE":
        return replace(_status(one, "withheld", at), error=problem)
    # From when on it is let in without news: since the last ended, or since it was first asked after in vain.
    if known is not None and known.status in {"unknown", "withheld"} and known.next_update is not None:
        until = known.next_update
    else:
        ended = known.next_update if known is not None and known.next_update is not None else at
        until = ended + timedelta(hours=check.stale_allow_hours)
    is_let_in = check.stale_status == "ALARM" or at < until
    return replace(_status(one, "unknown" if is_let_in else "withheld", at), next_update=until, error=problem)


def _status(one: _One, status: ForeignStatusWord, at: datetime) -> ForeignStatus:
    return ForeignStatus(one.seen.fingerprint_sha256, one.authority.id, one.seen.serial, status, at)


def _note(system: System, known: Mapping[str, ForeignStatus], news: Sequence[ForeignStatus], gone: Sequence[str]) -> int:
    """Keep what changed; the gateways hear of it, and it is on record, where it changes who is refused."""
    if not news and not gone:
        return 0
    words: dict[str, str | None] = {**{one.fingerprint_sha256: one.status for one in news}, **dict.fromkeys(gone)}
    before = {name: known[name].status if name in known else None for name in words}
    turned = [name for name, word in words.items() if (word in REFUSED) != (before[name] in REFUSED)]

    def work(facts: Facts) -> None:
        foreign.put_statuses(facts, news)
        foreign.forget_statuses(facts, gone)
        if turned:
            facts.move_status()
        for name in turned:
            told = Change("foreign_certificate", name, _told(before[name]), _told(words[name]))
            facts.append_audit(entry(SYSTEM, "authority:learn", told, None))

    record(system, SYSTEM, "authority:learn", work)
    for one in news:
        if one.error is not None and (known.get(one.fingerprint_sha256) is None or known[one.fingerprint_sha256].error is None):
            log.warning(
                "there is no current status of a certificate in use",
                fingerprint=one.fingerprint_sha256,
                authority_id=one.authority_id,
                taken_as=one.status,
                problem=one.error,
            )
    return len(turned)


def _told(status: str | None) -> dict[str, str] | None:
    return None if status is None else {"status": status}
