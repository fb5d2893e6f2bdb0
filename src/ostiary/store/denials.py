"""Who was refused, in SQL: one row for what is alike within an hour, and never more rows than there is room for.

Whatever is pruned stays counted: `totals` holds all refusals there ever were.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select

from ostiary.model.denial import OF_A_KIND, REFERENCES, SPAN, Denial, DenialQuery, Example, Refusals, Total
from ostiary.model.told import ADDRESSES
from ostiary.store import tables
from ostiary.store.queries import holds, named
from ostiary.store.store import Reader, Transaction
from ostiary.store.summed import Sums

_DENIED: Final = tables.denials
_TOTALS: Final = tables.denial_totals
_LISTENERS: Final = tables.listeners
_CERTIFICATES: Final = tables.certificates
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Kind = tuple[datetime, str, str, str]


def merge(transaction: Transaction, refusals: Sequence[Refusals], of_a_kind: int = OF_A_KIND) -> None:
    """Add these to what is known. Of one kind, what is more than so many within an hour is one sum without names."""
    _SUMS.merge(transaction, refusals, _left(transaction, set(map(_kind, refusals)), of_a_kind))
    _count(transaction, refusals)


def one_denial(reader: Reader, denial_id: str) -> Denial | None:
    """One row, by its id."""
    row = reader.connection.execute(_shown().where(_DENIED.c.id == denial_id)).mappings().first()
    return None if row is None else _denial(row)


def find(reader: Reader, query: DenialQuery, apart: Iterable[str]) -> tuple[tuple[Denial, ...], bool]:
    """One page, the last first, and whether more follow. Codes that are kept `apart` only when asked for by name."""
    asked = (*_asked(query), *(() if query.code else (_DENIED.c.code.not_in(tuple(apart)),)))
    statement = _shown().where(*asked).order_by(_DENIED.c.last.desc(), _DENIED.c.id).limit(query.limit + 1)
    found = tuple(_denial(row) for row in reader.connection.execute(statement).mappings())
    return found[: query.limit], len(found) > query.limit


def by_code(reader: Reader, query: DenialQuery) -> tuple[tuple[Any, ...], ...]:
    """By stage and code: how many there were, how many of them without names, and when the last was."""
    unnamed = func.sum(_DENIED.c.count).filter(_DENIED.c.named.is_(False))
    statement = (
        select(_DENIED.c.stage, _DENIED.c.code, func.sum(_DENIED.c.count), func.coalesce(unnamed, 0), func.max(_DENIED.c.last))
        .where(*_asked(query))
        .group_by(_DENIED.c.stage, _DENIED.c.code)
        .order_by(func.sum(_DENIED.c.count).desc(), _DENIED.c.stage, _DENIED.c.code)
    )
    return tuple(tuple(row) for row in reader.connection.execute(statement))


def count(reader: Reader, listener_ids: Sequence[str], since: datetime, apart: Iterable[str]) -> int:
    """How many there were at any of these listeners, as far as that is kept, without codes that are kept `apart`."""
    asked = (_DENIED.c.listener_id.in_(listener_ids), _DENIED.c.last >= since, _DENIED.c.code.not_in(tuple(apart)))
    return int(reader.connection.execute(select(func.coalesce(func.sum(_DENIED.c.count), 0)).where(*asked)).scalar_one())


def totals(reader: Reader) -> tuple[Total, ...]:
    """All refusals there ever were."""
    rows = reader.connection.execute(select(_TOTALS).order_by(_TOTALS.c.listener_id, _TOTALS.c.stage, _TOTALS.c.code)).mappings()
    return tuple(Total(**row) for row in rows)


def kept(reader: Reader) -> int:
    """How many of them are on record in rows."""
    return int(reader.connection.execute(select(func.coalesce(func.sum(_DENIED.c.count), 0))).scalar_one())


def prune(transaction: Transaction, before: datetime, most: int) -> int:
    """Remove rows that are too old, and the oldest where there are more than `most`. How many were removed."""
    return _SUMS.prune(transaction, before, most)


def _left(transaction: Transaction, kinds: set[Kind], of_a_kind: int) -> Counter[Kind]:
    """For how many more clients there is a row of their own."""
    left = Counter(dict.fromkeys(kinds, of_a_kind))
    for kind in kinds:
        span, listener_id, stage, code = kind
        which = and_(
            _DENIED.c.span == span, _DENIED.c.listener_id == listener_id, _DENIED.c.stage == stage, _DENIED.c.code == code
        )
        left[kind] -= int(transaction.connection.execute(select(func.count()).select_from(_DENIED).where(which)).scalar_one())
    return left


def _kind(one: Refusals) -> Kind:
    return (_span(one.last), one.listener_id, one.stage, one.code)


def _span(at: datetime) -> datetime:
    return at - (at - _EPOCH) % SPAN


def _id(one: Refusals, who: str) -> str:
    alike = [_span(one.last).isoformat(), one.listener_id, one.stage, one.code, one.rule_id, who]
    return hashlib.sha256(json.dumps(alike).encode()).hexdigest()[:32]


def _empty(one: Refusals, who: str) -> dict[str, Any]:
    return {
        "id": _id(one, who),
        "span": _span(one.last),
        **one.model_dump(include={"listener_id", "stage", "code", "rule_id", "first", "last"}),
        "named": bool(who),
        "count": 0,
        "fingerprint_sha256": None,
        "serial": None,
        "addresses": (),
        "certificate": None,
        "document": {"references": [], "example": None},
    }


def _joined(row: Mapping[str, Any], one: Refusals) -> dict[str, Any]:
    """The row with these refusals added."""
    references = sorted({*row["document"]["references"], *one.references})[-REFERENCES:]
    joined = {
        **row,
        "first": min(row["first"], one.first),
        "last": max(row["last"], one.last),
        "count": row["count"] + one.count,
        "document": {"references": references, "example": row["document"]["example"]},
    }
    if row["named"]:
        joined["document"]["example"] = one.example.model_dump(mode="json")
        joined["fingerprint_sha256"] = one.example.fingerprint_sha256 or None
        joined["serial"] = one.example.serial or None
        joined["addresses"] = tuple(dict.fromkeys((*one.addresses, *row["addresses"])))[:ADDRESSES]
        joined["certificate"] = one.certificate or row["certificate"]
    return joined


_SUMS: Final = Sums(_DENIED, _id, _kind, _empty, _joined)


def _count(transaction: Transaction, refusals: Iterable[Refusals]) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in refusals:
        counts[one.listener_id, one.stage, one.code] += one.count
    for (listener_id, stage, code), count in counts.items():
        which = and_(_TOTALS.c.listener_id == listener_id, _TOTALS.c.stage == stage, _TOTALS.c.code == code)
        done = transaction.connection.execute(_TOTALS.update().where(which).values(count=_TOTALS.c.count + count))
        if not done.rowcount:
            transaction.connection.execute(_TOTALS.insert().values(listener_id=listener_id, stage=stage, code=code, count=count))


def _shown() -> Any:
    ours = _DENIED.c.fingerprint_sha256 == _CERTIFICATES.c.fingerprint_sha256
    return select(_DENIED, _LISTENERS.c.name.label("listener_name"), _CERTIFICATES.c.id.label("certificate_id")).select_from(
        _DENIED.outerjoin(_LISTENERS, _DENIED.c.listener_id == _LISTENERS.c.id).outerjoin(_CERTIFICATES, ours)
    )


def _denial(row: Mapping[Any, Any]) -> Denial:
    example = row["document"]["example"]
    names = ("id", "listener_id", "listener_name", "stage", "code", "first", "last", "count", "certificate_id", "certificate")
    return Denial(
        **{name: row[name] for name in names},
        rule_id=row["rule_id"] or None,
        addresses=row["addresses"],
        references=tuple(row["document"]["references"]),
        example=None if example is None else Example.model_validate(example, strict=False),
    )


def _asked(query: DenialQuery) -> Iterator[ColumnElement[bool]]:
    for name in ("listener_id", "code", "stage", "rule_id", "fingerprint_sha256", "serial"):
        if (value := getattr(query, name)) is not None:
            yield _DENIED.c[name] == value
    if query.client is not None:
        yield holds(_DENIED.c.addresses, query.client)
    for word in query.search:
        yield named(_DENIED, _DENIED.c.document["example"]["subject"].as_string(), word)
    if query.reference is not None:
        at = _EPOCH + timedelta(milliseconds=query.reference)
        yield and_(_DENIED.c.first < at + timedelta(milliseconds=1), _DENIED.c.last >= at, _DENIED.c.stage == "request")
    if query.since is not None:
        yield _DENIED.c.last >= query.since
    if query.until is not None:
        yield _DENIED.c.last < query.until
    if query.marker is not None:
        at, denial_id = query.marker
        yield or_(_DENIED.c.last < at, and_(_DENIED.c.last == at, _DENIED.c.id > denial_id))
