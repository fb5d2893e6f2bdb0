"""Evidence packs: for which standards, about which time, and what goes into one."""

import hashlib
import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

from ostiary.errors import Invalid, TooMany
from ostiary.model.review import LONGEST_PERIOD
from ostiary.ops import audit
from ostiary.ops.caller import Caller
from ostiary.ops.chain import Verification
from ostiary.ops.evidence import changes, exceptions, inventory, issuance, keys, people, reach, refusals, revocations
from ostiary.ops.evidence.controls import FRAMEWORKS, Framework
from ostiary.ops.evidence.integrity import section as record_section
from ostiary.ops.evidence.pack import SHOWN, Archive, Summary, Written, cell, written
from ostiary.ops.evidence.section import Scope, Section
from ostiary.ops.record import note
from ostiary.ops.system import System
from ostiary.store import evidence, heads
from ostiary.store.evidence import Position
from ostiary.web.pages import render

FORMAT: Final = "ostiary evidence pack 1"
# In the order in which an auditor asks for them.
SECTIONS: Final[tuple[Section, ...]] = (
    inventory.CERTIFICATES,
    inventory.AUTHORITIES,
    inventory.SERVER_CERTIFICATES,
    issuance.ISSUANCE,
    issuance.REQUESTS,
    revocations.REVOCATIONS,
    reach.LISTENERS,
    reach.RULES,
    reach.REACH,
    exceptions.EXCEPTIONS,
    exceptions.FAIL_CLOSED,
    refusals.BY_REASON,
    refusals.REFUSALS,
    refusals.SHARED,
    changes.CHANGES,
    changes.APPROVALS,
    keys.KEYS,
    keys.KEY_EVENTS,
    reach.CIPHERS,
    people.PEOPLE,
    people.SIGN_INS,
    people.REVIEWS,
)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_AT_ONCE: Final = 2  # packs that are made at the same time: each reads much
_making: Final = threading.BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True)
class Wanted:
    """What a caller asks for: for which standards, and the period, whose end is not in it. `record`: the record comes along."""

    frameworks: tuple[str, ...]
    since: datetime
    until: datetime
    record: bool = True


def make(system: System, caller: Caller, wanted: Wanted) -> Iterator[bytes]:
    """A pack as a ZIP file, in pieces. That it was asked for is on record before any of it is handed out.

    Raises `Invalid`, and `TooMany` while others are being made. What goes wrong later breaks the file off: it has no manifest.
    """
    caller.must("audit:report")
    frameworks = _frameworks(wanted.frameworks)
    now = system.clock()
    _check(wanted, now)
    if not _making.acquire(blocking=False):
        raise TooMany("Other evidence packs are being made; try again in a while.")
    pieces = _released(system, caller, wanted, frameworks, now)
    return itertools.chain((next(pieces),), pieces)  # begun here, so that it ends whatever becomes of whoever asked


def asked(frameworks: Iterable[str], since: str, until: str, *, record: bool = True) -> Wanted:
    """What is asked for, as people write it. Raises `Invalid`."""
    return Wanted(tuple(frameworks), _moment(since, "from"), _moment(until, "to", whole_day=True), record)


def name_of(wanted: Wanted) -> str:
    """What the pack is called."""
    return f"ostiary-evidence-{wanted.since:%Y%m%d}-{wanted.until - timedelta(microseconds=1):%Y%m%d}"


def _moment(text: str, field: str, *, whole_day: bool = False) -> datetime:
    """A time, UTC where it does not say; a day is its beginning, or its end where the `whole_day` is meant."""
    try:
        if _DAY.fullmatch(text):
            begin = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return begin + timedelta(days=1) if whole_day else begin
        at = datetime.fromisoformat(text.replace(" ", "+"))  # A '+' that was not escaped arrives as a space.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(field, "is not a day such as 2026-10-01, nor a time such as 2026-10-01T12:00:00Z") from None


def _frameworks(names: Iterable[str]) -> tuple[Framework, ...]:
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        raise Invalid("framework", f"say for which: {', '.join(FRAMEWORKS)}")
    for name in wanted:
        if name not in FRAMEWORKS:
            raise Invalid("framework", f"there is none of that name; it is one of {', '.join(FRAMEWORKS)}")
    return tuple(FRAMEWORKS[name] for name in wanted)


def _check(wanted: Wanted, now: datetime) -> None:
    if wanted.since >= min(wanted.until, now):
        raise Invalid("from", "must be before the end of the period, and before now")
    if wanted.until - wanted.since > LONGEST_PERIOD:
        raise Invalid("from", "is more than ten years before the end")


def _released(
    system: System, caller: Caller, wanted: Wanted, frameworks: tuple[Framework, ...], now: datetime
) -> Iterator[bytes]:
    try:
        note(system.store, caller, "audit:report", "audit", "", _asked(wanted, frameworks))
        yield from _made(_scope(system, caller, wanted, now), wanted, frameworks)
    finally:
        _making.release()


def _asked(wanted: Wanted, frameworks: tuple[Framework, ...]) -> dict[str, Any]:
    period = {"from": wanted.since.isoformat(), "to": wanted.until.isoformat()}
    return {"frameworks": [one.name for one in frameworks], **period, "record": wanted.record}


def _scope(system: System, caller: Caller, wanted: Wanted, now: datetime) -> Scope:
    until = min(wanted.until, now)
    with system.store.read() as reader:
        sequence, digest = reader.audit_head()
        return Scope(
            system=system,
            caller=caller,
            since=wanted.since,
            until=until,
            made_at=now,
            start=evidence.position(reader, wanted.since),
            end=evidence.position(reader, until),
            head=Position(now, sequence, digest, reader.revision()),
            pruned=heads.begins_after(reader)[0],
        )


def _made(scope: Scope, wanted: Wanted, frameworks: tuple[Framework, ...]) -> Iterator[bytes]:
    archive = Archive(scope.made_at)
    yield from archive.add("README.txt", [_readme(scope).encode()])
    if wanted.record:
        yield from archive.add("record/audit.jsonl", audit.export(scope.system, scope.caller))
    chain = audit.verify(scope.system, scope.caller)
    summaries = []
    for section in (*SECTIONS, record_section(chain)):
        summaries.append(Summary(section))
        yield from written(archive, scope, section, summaries[-1])
    yield from archive.add("index.html", [_page(scope, frameworks, summaries, archive.files, chain).encode()])
    manifest = json.dumps(_manifest(scope, wanted, frameworks, summaries, archive, chain), ensure_ascii=False, indent=1).encode()
    # On record before it is handed out, so that nobody can hand out another one for it.
    told = {"manifest_sha256": hashlib.sha256(manifest).hexdigest(), **_asked(wanted, frameworks)}
    note(scope.system.store, scope.caller, "audit:report", "audit", "", told)
    yield from archive.add("manifest.json", [manifest])
    yield from archive.add("SHA256SUMS", ["".join(f"{one.sha256}  {one.name}\n" for one in archive.files).encode()])
    yield from archive.close()


def _manifest(
    scope: Scope,
    wanted: Wanted,
    frameworks: tuple[Framework, ...],
    summaries: Iterable[Summary],
    archive: Archive,
    chain: Verification,
) -> dict[str, Any]:
    places = {"from": scope.start, "to": scope.end, "made": scope.head}
    return {
        "format": FORMAT,
        "made_at": _time(scope.made_at),
        "made_by": scope.caller.name,
        "ostiary": version("ostiary"),
        "period": {"from": _time(scope.since), "to": _time(scope.until), "asked_until": _time(wanted.until)},
        "frameworks": [one.name for one in frameworks],
        "chain": {
            **{name: {"sequence": one.sequence, "hash": one.hash, "revision": one.revision} for name, one in places.items()},
            "removed_for_age_up_to": scope.pruned,
            "holds": chain.problem is None,
            "problem": chain.problem,
            "signed_until": chain.signed_until,
            "signed_head": _signed_head(scope),
        },
        "sections": [{"name": one.section.name, "title": one.section.title, "rows": one.count} for one in summaries],
        "files": [asdict(one) for one in archive.files],
    }


def _signed_head(scope: Scope) -> dict[str, Any] | None:
    """The newest head that was signed."""
    with scope.system.store.read() as reader:
        head = heads.last(reader)
    return None if head is None else {**asdict(head), "at": _time(head.at)}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _page(
    scope: Scope,
    frameworks: tuple[Framework, ...],
    summaries: list[Summary],
    files: list[Written],
    chain: Verification,
) -> str:
    return render(
        "report/index.html",
        scope=scope,
        frameworks=frameworks,
        summaries=summaries,
        titles={one.section.name: one.section.title for one in summaries},
        counts={one.section.name: one.count for one in summaries},
        files=files,
        chain=chain,
        cell=cell,
        shown=SHOWN,
        version=version("ostiary"),
    )


def _readme(scope: Scope) -> str:
    return f"""Evidence pack of ostiary, {cell(scope.since)} to {cell(scope.until)} (the end is not in it).

index.html     the page to begin with; it needs no network and no script, and prints
sections/      each list of the page whole, as CSV and as JSON
record/        the audit record as JSON lines, with its hashes and signed heads
manifest.json  what there is, with SHA-256 of each file, and where the record stood
SHA256SUMS     the same for: sha256sum --check SHA256SUMS

Each row names the entries of the record that it follows from, by number and hash (audit_sequences, audit_hashes). Each entry's
hash covers the entry and, through the one before, all that went before. The record has an entry audit:report with the SHA-256 of
manifest.json of this pack. To check the record itself, see "Check it yourself" on the page.
"""
