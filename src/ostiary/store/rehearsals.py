"""What rehearsals found, in SQL: one row for what is alike, and never more rows than there is room for."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from ostiary.model.access import AccessRule
from ostiary.model.denial import Example, Refusals
from ostiary.model.listener import Listener
from ostiary.model.rehearsal import OF_A_LISTENER, Reason, Scene, Totals, WouldBe
from ostiary.model.told import ADDRESSES
from ostiary.store import tables
from ostiary.store.kinds import ACCESS_RULE, LISTENER
from ostiary.store.rows import from_row
from ostiary.store.store import Reader, Transaction
from ostiary.store.summed import Sums, parts

_ROWS: Final = tables.rehearsed
_CERTIFICATES: Final = tables.certificates
_SERVED: Final = ("allowed", "exempt")
_IS_REFUSED: Final = _ROWS.c.code.not_in(_SERVED)

Room = tuple[str, int, bool]


def merge(transaction: Transaction, told: Sequence[Refusals], of_a_listener: int = OF_A_LISTENER) -> None:
    """Add these to what is known."""
    _SUMS.merge(transaction, told, _left(transaction, set(map(_room, told)), of_a_listener))


def reasons_of(reader: Reader, listener_id: str, trust_revision: int, who: Iterable[str], but: Iterable[str]) -> dict[str, str]:
    """Why the handshake would refuse these clients, of those whose certificates were looked at before; `but` these codes."""
    found: dict[str, str] = {}
    for some in parts(sorted(who)):
        statement = select(_ROWS.c.who, _ROWS.c.code, _ROWS.c.document).where(
            _ROWS.c.listener_id == listener_id,
            _ROWS.c.trust_revision == trust_revision,
            _ROWS.c.who.in_(some),
            _ROWS.c.code.not_in(tuple(but)),
            _IS_REFUSED,
        )
        rows = reader.connection.execute(statement.order_by(_ROWS.c.last)).mappings()
        found.update((row["who"], row["code"]) for row in rows if row["document"]["certificate"])
    return found


def totals(reader: Reader, scene: Scene, since: datetime | None = None, served: Sequence[str] = ()) -> Totals:
    """How much there was; with `since`, of those clients only that came at that time or later.

    Codes in `served` count as no refusal.
    """
    statement = select(*_sums((*_SERVED, *served))).where(*_of(scene, since))
    return _totals(reader.connection.execute(statement).one())


def _sums(served: Sequence[str]) -> tuple[ColumnElement[Any], ...]:
    is_refused = _ROWS.c.code.not_in(tuple(served))
    counted = case((_ROWS.c.who != "", _ROWS.c.who))
    return (
        func.count(counted.distinct()),
        func.count(case((is_refused, counted)).distinct()),
        func.coalesce(func.sum(_ROWS.c.count), 0),
        func.coalesce(func.sum(case((is_refused, _ROWS.c.count), else_=0)), 0),
        func.coalesce(func.sum(case((_ROWS.c.who == "", _ROWS.c.count), else_=0)), 0),
        func.max(case((is_refused, _ROWS.c.last)), type_=tables.UTCDateTime()),
    )


def _totals(sums: Sequence[Any]) -> Totals:
    clients, refused, requests, refused_requests, unnamed, last = sums
    return Totals(
        clients=clients,
        refused_clients=refused,
        requests=int(requests),
        refused_requests=int(refused_requests),
        unnamed=int(unnamed),
        last_refused=last,
    )


def totals_of(reader: Reader, scenes: Sequence[Scene], since: datetime | None = None) -> dict[str, Totals]:
    """The totals of several listeners, by their ids; those are left out to which nobody came."""
    if not scenes:
        return {}
    statement = select(_ROWS.c.listener_id, *_sums(_SERVED)).where(or_(*(and_(*_of(scene, since)) for scene in scenes)))
    rows = reader.connection.execute(statement.group_by(_ROWS.c.listener_id))
    return {listener_id: _totals(sums) for listener_id, *sums in rows}


def begun(reader: Reader, trust_revisions: Iterable[int]) -> dict[int, datetime]:
    """When each of these was set; those are left out that are not known."""
    table = tables.revisions
    statement = select(table.c.number, table.c.at).where(table.c.number.in_(tuple(trust_revisions)))
    return {int(number): at for number, at in reader.connection.execute(statement)}


def rehearsing(reader: Reader, with_rules: Iterable[str]) -> tuple[Listener, ...]:
    """The listeners that rehearse, as a whole, or because they are among those with such rules."""
    mode: Any = tables.listeners.c.document["client_authentication"].as_string()
    of_rules = and_(tables.listeners.c.id.in_(tuple(with_rules)), mode != "NONE")
    rows = reader.connection.execute(select(tables.listeners).where(or_(mode == "REHEARSAL", of_rules))).mappings()
    return tuple(from_row(LISTENER, row) for row in rows)


def shadow_rules(reader: Reader) -> dict[str, tuple[AccessRule, ...]]:
    """The rules that are only rehearsed, by listener, each in order."""
    table = tables.access_rules
    statement = select(table).where(table.c.document["shadow"].as_boolean()).order_by(table.c.position)
    found: dict[str, tuple[AccessRule, ...]] = {}
    for row in reader.connection.execute(statement).mappings():
        rule = from_row(ACCESS_RULE, row)
        found[rule.listener_id] = (*found.get(rule.listener_id, ()), rule)
    return found


def reasons(reader: Reader, scene: Scene) -> tuple[Reason, ...]:
    """How much there was by code and rule, the most clients first."""
    clients = func.count(case((_ROWS.c.who != "", _ROWS.c.who)).distinct())
    statement = (
        select(_ROWS.c.code, _ROWS.c.rule_id, clients, func.sum(_ROWS.c.count), func.max(_ROWS.c.last))
        .where(*_of(scene))
        .group_by(_ROWS.c.code, _ROWS.c.rule_id)
        .order_by(clients.desc(), _ROWS.c.code, _ROWS.c.rule_id)
    )
    return tuple(
        Reason(code=code, rule_id=rule_id or None, clients=count, requests=int(requests), last=last)
        for code, rule_id, count, requests, last in reader.connection.execute(statement)
    )


def refused(
    reader: Reader,
    scene: Scene,
    limit: int,
    since: datetime | None = None,
    served: Sequence[str] = (),
    marker: tuple[datetime, str] | None = None,
) -> tuple[tuple[WouldBe, ...], bool]:
    """Who would have been refused, the last first, and whether there are more. `marker` is the last one of the page before."""
    ours = _ROWS.c.fingerprint_sha256 == _CERTIFICATES.c.fingerprint_sha256
    statement = (
        select(_ROWS, _CERTIFICATES.c.id.label("certificate_id"))
        .select_from(_ROWS.outerjoin(_CERTIFICATES, ours))
        .where(*_of(scene, since), _ROWS.c.code.not_in((*_SERVED, *served)), *_beyond(marker))
        .order_by(_ROWS.c.last.desc(), _ROWS.c.id)
        .limit(limit + 1)
    )
    found = tuple(_would_be(row) for row in reader.connection.execute(statement).mappings())
    return found[:limit], len(found) > limit


def _beyond(marker: tuple[datetime, str] | None) -> Iterator[ColumnElement[bool]]:
    if marker is not None:
        at, row_id = marker
        yield or_(_ROWS.c.last < at, and_(_ROWS.c.last == at, _ROWS.c.id > row_id))


def prune(transaction: Transaction, before: datetime, most: int) -> int:
    """Remove rows that are too old, and the oldest where there are more than `most`. How many were removed."""
    return _SUMS.prune(transaction, before, most)


def _of(scene: Scene, since: datetime | None = None) -> Iterator[ColumnElement[bool]]:
    yield _ROWS.c.listener_id == scene.listener_id
    yield _ROWS.c.trust_revision == scene.trust_revision
    if since is not None:
        yield _ROWS.c.last >= since
    if not scene.trust_revision:
        yield _ROWS.c.last >= scene.since


def _left(transaction: Transaction, rooms: set[Room], of_a_listener: int) -> Counter[Room]:
    """For how many more clients there is a row of their own."""
    left = Counter(dict.fromkeys(rooms, of_a_listener))
    for room in rooms:
        listener_id, trust_revision, is_refused = room
        which = (_ROWS.c.listener_id == listener_id, _ROWS.c.trust_revision == trust_revision)
        statement = select(func.count()).select_from(_ROWS).where(*which, _IS_REFUSED if is_refused else ~_IS_REFUSED)
        left[room] -= int(transaction.connection.execute(statement).scalar_one())
    return left


def _room(one: Refusals) -> Room:
    return (one.listener_id, one.trust_revision, one.code not in _SERVED)


def _id(one: Refusals, who: str) -> str:
    alike = [one.listener_id, one.trust_revision, one.code, one.rule_id, who]
    return hashlib.sha256(json.dumps(alike).encode()).hexdigest()


def _empty(one: Refusals, who: str) -> dict[str, Any]:
    return {
        "id": _id(one, who),
        **one.model_dump(include={"listener_id", "trust_revision", "code", "rule_id", "first", "last"}),
        "who": who,
        "count": 0,
        "fingerprint_sha256": None,
        "document": {"addresses": [], "example": None, "certificate": None},
    }


def _joined(row: Mapping[str, Any], one: Refusals) -> dict[str, Any]:
    """The row with these added."""
    joined = {
        **row,
        "first": min(row["first"], one.first),
        "last": max(row["last"], one.last),
        "count": row["count"] + one.count,
    }
    if row["who"]:
        document = row["document"]
        joined["fingerprint_sha256"] = one.example.fingerprint_sha256 or None
        joined["document"] = {
            "addresses": list(dict.fromkeys((*one.addresses, *document["addresses"])))[:ADDRESSES],
            "example": one.example.model_dump(mode="json"),
            "certificate": one.certificate or document["certificate"],
        }
    return joined


_SUMS: Final = Sums(_ROWS, _id, _room, _empty, _joined)


def _would_be(row: Mapping[Any, Any]) -> WouldBe:
    document = row["document"]
    example = document["example"]
    return WouldBe(
        **{name: row[name] for name in ("id", "code", "first", "last", "count", "certificate_id")},
        rule_id=row["rule_id"] or None,
        addresses=tuple(document["addresses"]),
        example=None if example is None else Example.model_validate(example, strict=False),
        certificate=document["certificate"],
    )
