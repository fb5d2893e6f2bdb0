"""What targets were told and what waits to be sent to them, in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, delete, func, or_, select, update

from ostiary.model.notification import Message, Standing
from ostiary.model.warning import Notice
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_TOLD: Final = tables.told_warnings
_MESSAGES: Final = tables.notifications
_MARKS: Final = tables.notification_marks
_AUDIT: Final = tables.audit
_EMERGENCIES: Final = 500


def target_context(target_id: str) -> str:
    """What the secret of a target is bound to when encrypted."""
    return f"notification-target:{target_id}"


def told(reader: Reader, target_id: str) -> dict[str, int]:
    """The rank of each warning that the target was told of and that it has not been told to be over."""
    statement = select(_TOLD.c.warning_id, _TOLD.c.rank).where(_TOLD.c.target_id == target_id)
    return {name: int(rank) for name, rank in reader.connection.execute(statement)}


def told_as(reader: Reader, target_id: str, ids: Sequence[str]) -> tuple[Notice, ...]:
    """These warnings as the target was told of them."""
    found: dict[str, Notice] = {}
    for start in range(0, len(ids), 500):
        statement = select(_TOLD.c.warning_id, _TOLD.c.document).where(
            _TOLD.c.target_id == target_id, _TOLD.c.warning_id.in_(ids[start : start + 500])
        )
        found |= {name: Notice.model_validate(kept, strict=False) for name, kept in reader.connection.execute(statement)}
    return tuple(found[one] for one in ids if one in found)


def note_told(transaction: Transaction, target_id: str, raised: Iterable[Notice], resolved: Iterable[str]) -> None:
    """Remember that it was told of these, and that those are over."""
    every = tuple(raised)
    gone = [*(one.id for one in every), *resolved]
    for start in range(0, len(gone), 500):
        some = gone[start : start + 500]
        transaction.connection.execute(delete(_TOLD).where(_TOLD.c.target_id == target_id, _TOLD.c.warning_id.in_(some)))
    rows = [
        {
            "target_id": target_id,
            "warning_id": one.id,
            "rank": one.rank,
            "at": transaction.at,
            "document": one.model_dump(mode="json"),
        }
        for one in every
    ]
    if rows:
        transaction.connection.execute(_TOLD.insert(), rows)


def begin(transaction: Transaction, target_id: str, audit_sequence: int) -> None:
    """A target is new: it hears nothing of what was on record before it."""
    new = {"target_id": target_id, "digest_at": None, "audit_sequence": audit_sequence, "failing_since": None, "given_up": 0}
    transaction.connection.execute(_MARKS.insert(), new)


def forget_target(transaction: Transaction, target_id: str) -> None:
    """Delete what is kept for a target that itself is about to be deleted."""
    for table in (_TOLD, _MESSAGES, _MARKS):
        transaction.connection.execute(delete(table).where(table.c.target_id == target_id))


def marks(reader: Reader, target_id: str) -> tuple[datetime | None, int]:
    """When it was last told what was gathered, and up to where in the record it was told of."""
    row = reader.connection.execute(
        select(_MARKS.c.digest_at, _MARKS.c.audit_sequence).where(_MARKS.c.target_id == target_id)
    ).first()
    return (None, reader.audit_head()[0]) if row is None else (row[0], int(row[1]))


def move_marks(transaction: Transaction, target_id: str, **news: Any) -> None:
    """Change some of them: `digest_at`, `audit_sequence`, `failing_since`."""
    transaction.connection.execute(update(_MARKS).where(_MARKS.c.target_id == target_id).values(**news))


def note_failing(transaction: Transaction, target_id: str) -> None:
    """Nothing gets through to it; since when is kept if that is known already."""
    first = and_(_MARKS.c.target_id == target_id, _MARKS.c.failing_since.is_(None))
    transaction.connection.execute(update(_MARKS).where(first).values(failing_since=transaction.at))


def emergencies_on_record(reader: Reader, after: int, since: datetime, most: int) -> tuple[tuple[int, str], ...]:
    """Entries of the record after this one about emergencies that are open, or were changed since then: number and text."""
    glass = tables.break_glasses
    lately = select(glass.c.id).where(or_(glass.c.state == "OPEN", glass.c.updated_at >= since, glass.c.created_at >= since))
    ids = tuple(reader.connection.execute(lately.order_by(glass.c.created_at.desc()).limit(_EMERGENCIES)).scalars())
    statement = (
        select(_AUDIT.c.sequence, _AUDIT.c.entry)
        .where(_AUDIT.c.resource_id.in_(ids), _AUDIT.c.sequence > after)
        .order_by(_AUDIT.c.sequence)
        .limit(most)
    )
    return tuple((int(row[0]), str(row[1])) for row in reader.connection.execute(statement)) if ids else ()


def put(transaction: Transaction, message: Message) -> Message:
    """Have it sent, after all that waits for this target already."""
    last = select(func.max(_MESSAGES.c.sequence)).where(_MESSAGES.c.target_id == message.target_id)
    placed = replace(message, sequence=int(transaction.connection.execute(last).scalar() or 0) + 1)
    transaction.connection.execute(_MESSAGES.insert(), asdict(placed))
    return placed


def message(reader: Reader, message_id: str) -> Message | None:
    """One message."""
    found = reader.connection.execute(select(_MESSAGES).where(_MESSAGES.c.id == message_id)).mappings().first()
    return None if found is None else Message(**found)


def waiting(reader: Reader, target_id: str, most: int) -> tuple[Message, ...]:
    """What waits for a target, the oldest first."""
    statement = (
        select(_MESSAGES)
        .where(_MESSAGES.c.state == "WAITING", _MESSAGES.c.target_id == target_id)
        .order_by(_MESSAGES.c.sequence)
        .limit(most)
    )
    return tuple(Message(**row) for row in reader.connection.execute(statement).mappings())


def targets_with_mail(reader: Reader) -> tuple[str, ...]:
    """The ids of targets for which something waits."""
    statement = select(_MESSAGES.c.target_id).where(_MESSAGES.c.state == "WAITING").distinct()
    return tuple(reader.connection.execute(statement).scalars())


def messages(reader: Reader, target_id: str, most: int) -> tuple[Message, ...]:
    """The last ones for a target, the newest first."""
    statement = select(_MESSAGES).where(_MESSAGES.c.target_id == target_id).order_by(_MESSAGES.c.sequence.desc()).limit(most)
    return tuple(Message(**row) for row in reader.connection.execute(statement).mappings())


def change(transaction: Transaction, message: Message) -> None:
    """Write down how it went with one. One that was deleted meanwhile stays deleted."""
    names = ("state", "next_at", "attempts", "refused", "error", "finished_at")
    transaction.connection.execute(
        update(_MESSAGES).where(_MESSAGES.c.id == message.id).values({name: getattr(message, name) for name in names})
    )


def wake(transaction: Transaction, target_id: str) -> None:
    """Try at once what waits for a target: it was changed, or it works."""
    waits = and_(_MESSAGES.c.target_id == target_id, _MESSAGES.c.state == "WAITING")
    transaction.connection.execute(update(_MESSAGES).where(waits).values(next_at=transaction.at))


def give_up_oldest(transaction: Transaction, target_id: str, most: int, why: str) -> int:
    """Give up the oldest that wait for a target beyond so many; how many."""
    waits = (_MESSAGES.c.target_id == target_id, _MESSAGES.c.state == "WAITING")
    over = select(_MESSAGES.c.id).where(*waits).order_by(_MESSAGES.c.sequence.desc()).offset(most)
    gone = tuple(transaction.connection.execute(over).scalars())
    if gone:
        news = {"state": "DEAD", "error": why, "finished_at": transaction.at}
        transaction.connection.execute(update(_MESSAGES).where(_MESSAGES.c.id.in_(gone)).values(news))
        count_given_up(transaction, target_id, len(gone))
    return len(gone)


def count_given_up(transaction: Transaction, target_id: str, count: int) -> None:
    """So many were given up: what is deleted later stays counted."""
    its = _MARKS.c.target_id == target_id
    transaction.connection.execute(update(_MARKS).where(its).values(given_up=_MARKS.c.given_up + count))


def forget_old(transaction: Transaction, before: datetime) -> int:
    """Delete what was sent or given up before this time; how many."""
    done = delete(_MESSAGES).where(_MESSAGES.c.state != "WAITING", _MESSAGES.c.finished_at < before)
    return int(transaction.connection.execute(done).rowcount)


def has_old(reader: Reader, before: datetime) -> bool:
    """Whether there is any such."""
    statement = select(_MESSAGES.c.id).where(_MESSAGES.c.state != "WAITING", _MESSAGES.c.finished_at < before).limit(1)
    return reader.connection.execute(statement).first() is not None


def standings(reader: Reader) -> Mapping[str, Standing]:
    """How it stands with each target."""
    columns = _MESSAGES.c
    counted = select(columns.target_id, columns.state, func.count(), func.max(columns.finished_at)).group_by(
        columns.target_id, columns.state
    )
    found: dict[str, Standing] = {
        row.target_id: Standing(failing_since=row.failing_since, given_up=row.given_up)
        for row in reader.connection.execute(select(_MARKS.c.target_id, _MARKS.c.failing_since, _MARKS.c.given_up))
    }
    for target_id, state, count, finished_at in reader.connection.execute(counted):
        known = found.get(target_id, Standing())
        if state == "SENT":
            found[target_id] = replace(known, sent=count, last_sent_at=finished_at)
        else:
            found[target_id] = replace(known, **{"waiting" if state == "WAITING" else "dead": count})
    return {target_id: replace(one, last_error=_last_error(reader, target_id)) for target_id, one in found.items()}


def _last_error(reader: Reader, target_id: str) -> str:
    statement = (
        select(_MESSAGES.c.error)
        .where(_MESSAGES.c.target_id == target_id, _MESSAGES.c.state != "SENT", _MESSAGES.c.error.is_not(None))
        .order_by(_MESSAGES.c.sequence.desc())
        .limit(1)
    )
    return str(reader.connection.execute(statement).scalar() or "")
