"""Reviews: sign off that one looked at who has access, who was refused, or what is excepted; and when the next is due.

A review is a fact. It is written once, with what there was to be looked at and where the record stood then; nothing here changes
or deletes one.
"""

from datetime import datetime

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.query import Page, Query
from ostiary.model.review import LONGEST_PERIOD, QUARTER, SUBJECTS, Due, NewReview, Review, Seen, Subject
from ostiary.ops.caller import Caller
from ostiary.ops.facts import record
from ostiary.ops.system import System
from ostiary.store import evidence
from ostiary.store.kinds import ACCESS_EXCEPTION, ACCESS_RULE, LISTENER, REVIEW, USER
from ostiary.store.store import Facts, Reader


def create(system: System, caller: Caller, wanted: NewReview) -> Review:
    """Sign a review off, as the caller. Raises `Invalid` for a period that is none, or is not over."""

    def work(facts: Facts) -> Review:
        _check(wanted, facts.at)
        sequence, digest = facts.audit_head()
        signed = Review(
            id=new_id(),
            name=f"{wanted.subject} {wanted.since:%Y-%m-%d}/{wanted.until:%Y-%m-%d}",
            subject=wanted.subject,
            since=wanted.since,
            until=wanted.until,
            note=wanted.note,
            findings=wanted.findings,
            reviewed_by=caller.name,
            role=caller.role,
            at_revision=facts.revision(),
            at_entry=sequence,
            at_hash=digest,
            seen=_seen(facts, wanted.since, wanted.until, facts.at),
        )
        return facts.insert(REVIEW, signed)

    return record(system, caller, "review:create", work)


def get(system: System, caller: Caller, review_id: str) -> Review:
    """One review. Raises `NotFound`."""
    caller.must("review:read")
    with system.store.read() as reader:
        return reader.require(REVIEW, review_id)


def find(system: System, caller: Caller, query: Query) -> Page[Review]:
    """Reviews that match."""
    caller.must("review:read")
    with system.store.read() as reader:
        return reader.find(REVIEW, query)


def due(system: System, caller: Caller) -> tuple[Due, ...]:
    """Of each subject the last review, and whether that is longer ago than a quarter."""
    caller.must("review:read")
    at = system.clock()
    with system.store.read() as reader:
        return tuple(_due(subject, last_before(reader, subject, at), at) for subject in SUBJECTS)


def look(system: System, caller: Caller, since: datetime, until: datetime) -> Seen:
    """How much there is to be looked at now, and how many were refused in that time, as far as that is kept."""
    caller.must("review:read")
    with system.store.read() as reader:
        return _seen(reader, since, until, system.clock())


def last_before(reader: Reader, subject: Subject, at: datetime) -> Review | None:
    """The last one that had been signed off by this time."""
    return evidence.last_made(reader, REVIEW, at, subject=subject)


def _due(subject: Subject, last: Review | None, at: datetime) -> Due:
    signed = None if last is None else last.created_at
    return Due(subject=subject, last=last, is_due=signed is None or at - signed > QUARTER)


def _check(wanted: NewReview, at: datetime) -> None:
    if wanted.until <= wanted.since:
        raise Invalid("until", "must be later than the beginning")
    if wanted.until > at:
        raise Invalid("until", "must not be in the future: what has not happened yet, nobody has looked at")
    if wanted.until - wanted.since > LONGEST_PERIOD:
        raise Invalid("since", "is more than ten years before the end")


def _seen(reader: Reader, since: datetime, until: datetime, at: datetime) -> Seen:
    return Seen(
        certificates=evidence.certificates_in_force(reader, at),
        listeners=reader.count(LISTENER),
        access_rules=reader.count(ACCESS_RULE),
        access_exceptions=reader.count(ACCESS_EXCEPTION),
        users=reader.count(USER),
        access_tokens=evidence.access_tokens(reader, at),
        refusals=evidence.refused(reader, since, until),
    )
