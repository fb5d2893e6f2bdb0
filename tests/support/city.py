"""A town that grew: as many of everything as one installation may come to hold, written straight into the database.

    with a_city(tmp_path) as city:      # 10,000 certificates, 500 listeners, 100,000 entries in the record, 10,000 refusals, …
        city.system

What is there is copied, with another identity and other times: whatever reads it finds rows as the use cases write them.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select, update

from ostiary.ids import new_id
from ostiary.store import tables
from ostiary.store.store import link
from support.town import NOW, Town, a_town

Row = dict[str, Any]
_AT_ONCE: Final = 5000
_PER_BALANCER: Final = 250  # listeners of the largest; the others share the rest
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True)
class Size:
    """How many of each there are to be."""

    certificates: int = 10_000
    listeners: int = 500
    balancers: int = 60
    entries: int = 100_000
    denials: int = 10_000
    authorities: int = 200
    rules: int = 200
    few: int = 100  # of tokens, users, requests, sessions, revisions, containers
    profiles: int = 20
    hours: int = 48  # of traffic, minute by minute


@contextmanager
def a_city(folder: Path, size: Size | None = None) -> Iterator[Town]:
    """The town, with so many more of everything, and a gateway that has accepted it all."""
    with a_town(folder) as town:
        with town.system.store._writer.begin() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            _grow(town, connection, size or Size())
        town.system.store.commits += 1  # whoever keeps what they read sees that it is another now
        town.accept()
        yield town


def _grow(town: Town, connection: Connection, size: Size) -> None:
    certificates = _certificates(connection, size)
    listeners = _balancers(town, connection, size)
    _denials(connection, size, listeners)
    _sightings(connection, certificates, listeners)
    _record(connection, size)
    _few(connection, size)
    _traffic(connection, size, listeners)


def _like(connection: Connection, table: Table, **where: Any) -> Row:
    """A row that is there."""
    statement = select(table)
    for name, value in where.items():
        statement = statement.where(table.c[name] == value)
    return dict(connection.execute(statement).mappings().first() or {})


def _copied(connection: Connection, table: Table, like: Row, count: int, change: Callable[[int], Row]) -> list[Row]:
    """Write so many like it, each changed in its own way; the rows."""
    rows = [{**like, **change(number)} for number in range(count)]
    _write(connection, table, rows)
    return rows


def _write(connection: Connection, table: Table, rows: list[Row]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(insert(table), rows[start : start + _AT_ONCE])


def _certificates(connection: Connection, size: Size) -> list[Row]:
    like = _like(connection, tables.certificates, profile="client")
    staff = _like(connection, tables.authorities, name="Staff")["id"]
    owners = [f"Shop {number}" for number in range(400)]

    def other(number: int) -> Row:
        revoked = NOW - timedelta(hours=number) if number % 20 == 0 else None
        reason = "keyCompromise" if number % 40 == 0 else "certificateHold"
        return {
            **_identity("terminal", number),
            "authority_id": staff if number % 5 == 0 else like["authority_id"],
            "serial": secrets.token_hex(20),
            "fingerprint_sha256": secrets.token_hex(32),
            "key_sha256": secrets.token_hex(32),
            "subject": f"CN=terminal-{10_000 + number},O=Hoa Sen Payments",
            "owner": owners[number % len(owners)],
            "groups": ("terminals", f"region-{number % 7}"),
            "not_after": NOW + timedelta(hours=number % 4000 - 200),
            "revoked_at": revoked,
            "document": {**like["document"], "revocation_reason": reason if revoked else None},
        }

    _copied(
        connection,
        tables.authorities,
        _like(connection, tables.authorities, name="Staff 2027"),
        size.authorities,
        lambda number: {**_identity("Region CA", number), "series_id": new_id(), "fingerprint_sha256": secrets.token_hex(32)},
    )
    return _copied(connection, tables.certificates, like, size.certificates, other)


def _balancers(town: Town, connection: Connection, size: Size) -> list[Row]:
    balancer = _like(connection, tables.load_balancers, id=town.its["balancer"])
    made = _copied(
        connection,
        tables.load_balancers,
        balancer,
        size.balancers,
        lambda number: {**_identity("shops", number), "vip_address": f"10.30.{number // 250}.{number % 250 + 1}"},
    )
    homes = [balancer, *made]

    def at(number: int) -> Row:
        home = balancer if number < _PER_BALANCER else homes[1 + number % size.balancers]
        return {"loadbalancer_id": home["id"], "address": home["vip_address"], "protocol_port": 20_000 + number}

    pool = _like(connection, tables.pools, id=town.its["pool"])
    pools = _copied(
        connection,
        tables.pools,
        pool,
        size.listeners,
        lambda number: {**_identity("pool", number), "loadbalancer_id": at(number)["loadbalancer_id"]},
    )
    member = _like(connection, tables.members, id=town.its["member"])
    _copied(
        connection,
        tables.members,
        member,
        2 * size.listeners,
        lambda number: {
            **_identity("member", number),
            "pool_id": pools[number // 2]["id"],
            "address": f"10.40.{number // 250}.{number % 250 + 1}",
        },
    )
    listener = _like(connection, tables.listeners, id=town.its["listener"])
    listeners = _copied(
        connection,
        tables.listeners,
        listener,
        size.listeners,
        lambda number: {**_identity("door", number), **at(number), "default_pool_id": pools[number]["id"]},
    )
    uses = connection.execute(select(tables.material_uses).where(tables.material_uses.c.holder_id == listener["id"])).mappings()
    rows = [{**use, "holder_id": one["id"]} for use in map(dict, uses) for one in listeners]
    _write(connection, tables.material_uses, rows)
    rule = _like(connection, tables.access_rules, id=town.its["rule"])
    _copied(
        connection,
        tables.access_rules,
        rule,
        size.rules,
        lambda number: {**_identity("rule", number), "position": 10 + number},
    )
    return [listener, *listeners]


def _denials(connection: Connection, size: Size, listeners: list[Row]) -> None:
    like = _like(connection, tables.denials, code="revoked")
    codes = ("no_certificate", "revoked", "expired", "unknown_authority", "no_rule_allows")

    def other(number: int) -> Row:
        last = NOW - timedelta(minutes=4 * number % (60 * 24 * 29))
        return {
            "id": secrets.token_hex(16),
            "listener_id": listeners[number % len(listeners)]["id"],
            "code": codes[number % len(codes)],
            "stage": "request" if number % len(codes) == 4 else "handshake",
            "span": last.replace(minute=0, second=0, microsecond=0),
            "first": last,
            "last": last,
            "count": 1 + number % 9,
            "fingerprint_sha256": secrets.token_hex(32),
            "serial": secrets.token_hex(20),
        }

    _copied(connection, tables.denials, like, size.denials, other)
    rehearsed = _like(connection, tables.rehearsed, code="expired")
    _copied(
        connection,
        tables.rehearsed,
        rehearsed,
        size.denials // 5,
        lambda number: {
            "id": secrets.token_hex(16),
            "who": secrets.token_hex(32),
            "fingerprint_sha256": secrets.token_hex(32),
            "last": NOW - timedelta(minutes=number),
        },
    )


def _sightings(connection: Connection, certificates: list[Row], listeners: list[Row]) -> None:
    like = _like(connection, tables.sightings)

    def other(number: int) -> Row:
        one, last = certificates[number], NOW - timedelta(minutes=number % 20_000)
        return {
            "fingerprint_sha256": one["fingerprint_sha256"],
            "listener_id": listeners[number % len(listeners)]["id"],
            "serial": one["serial"],
            "subject": one["subject"],
            "last_seen": last,
            "first_seen": last - _WEEK,
            "crowded_at": last if number % 500 == 0 else None,
        }

    _copied(connection, tables.sightings, like, len(certificates), other)


def _record(connection: Connection, size: Size) -> None:
    """The chain goes on: it can be verified to its end."""
    sequence, last = connection.execute(select(tables.head.c.audit_sequence, tables.head.c.audit_hash)).one()
    like = _like(connection, tables.audit, sequence=sequence)
    parts = {"sequence": "@1", "at": "@2", "resource_id": "@3"}
    said = json.dumps({**json.loads(like["entry"]), **parts}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    rows = []
    for number in range(sequence + 1, sequence + 1 + size.entries):
        at, resource = NOW - timedelta(minutes=size.entries + sequence - number), f"{number:036x}"
        text = said.replace('"@1"', str(number)).replace("@2", at.isoformat()).replace("@3", resource)
        previous, last = last, link(last, text)
        hashes = {"entry": text, "previous_hash": previous, "hash": last}
        rows.append({**like, **hashes, "sequence": number, "at": at, "resource_id": resource})
    _write(connection, tables.audit, rows)
    connection.execute(update(tables.head).values(audit_sequence=sequence + size.entries, audit_hash=last))


def _few(connection: Connection, size: Size) -> None:
    """Of what there is not so much."""

    def named(name: str) -> Callable[[int], Row]:
        return lambda number: _identity(name, number)

    def secret(name: str) -> Callable[[int], Row]:
        return lambda number: {**_identity(name, number), "secret_sha256": secrets.token_hex(32)}

    for table, count, change in (
        (tables.tokens, size.few, secret("pipeline")),
        (tables.sessions, size.few, secret("")),
        (tables.users, size.few, named("person")),
        (tables.profiles, size.profiles, named("profile")),
        (tables.certificate_requests, size.few, named("request")),
        (tables.containers, size.few, named("server")),
        (tables.access_exceptions, size.few, named("exception")),
    ):
        _copied(connection, table, _like(connection, table), count, change)
    newest = connection.execute(select(tables.head.c.revision)).scalar_one()
    revision = _like(connection, tables.revisions, number=newest)
    its = _like(connection, tables.changes, revision=newest)
    numbers = range(newest + 1, newest + 1 + size.few)
    connection.execute(insert(tables.revisions), [{**revision, "number": number, "at": NOW} for number in numbers])
    connection.execute(insert(tables.changes), [{**its, "revision": number} for number in numbers])
    connection.execute(update(tables.head).values(revision=numbers[-1]))


def _traffic(connection: Connection, size: Size, listeners: list[Row]) -> None:
    like, minute = _like(connection, tables.traffic, span=1), int(NOW.timestamp()) // 60
    ids = [one["id"] for one in listeners[1:6]]
    rows = [
        {**like, "listener_id": listener, "minute": minute - ago, "span": 1, "requests": 100 + ago % 60}
        for listener in ids
        for ago in range(size.hours * 60)
    ]
    _write(connection, tables.traffic, rows)


def _identity(name: str, number: int) -> Row:
    made = NOW - timedelta(minutes=number, days=1)
    return {"id": new_id(), "name": f"{name}-{number}" if name else "", "created_at": made, "updated_at": None}
