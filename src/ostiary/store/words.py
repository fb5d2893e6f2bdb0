"""Which certificates a word stands in, found by its trigrams: an index beside the table, kept by the database itself.

SQLite has FTS5 for it. A document there is a moment (microseconds since 1970) and holds what people call all that was made at
it: in the order of lists, which an id is not, and true whatever becomes of rowids. It is an index and no copy: a name that was
changed may still lead to its certificate, so what is found is always compared with what stands in the table.

To write into it takes about as long for a hundred certificates as for ten, so it is done for many together. What was made since
(`store.newer`), and what a trigger noted as renamed, every search looks at besides.

PostgreSQL has `pg_trgm` for it and sees to the rest itself. Where a database has neither, all certificates are looked at.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ostiary.store import ends
from ostiary.store.newer import NEWER, WRITTEN

SHORTEST: Final = 3  # characters: what is shorter has no trigram
INDEX: Final = "ix_certificates_words"  # PostgreSQL's
_TRIGRAMS_SINCE: Final = (3, 34)  # of SQLite
_MUCH: Final = 10_000
_AT_ONCE: Final = 100_000  # certificates between two words of how far the index has come

_SANS: Final = "json_extract(document, '$.sans')"


def _moment(created_at: str) -> str:
    """As a number, from the text that times are kept as in SQLite."""
    return f"CAST(strftime('%s', {created_at}) AS INTEGER) * 1000000 + CAST(substr({created_at}, 21, 6) AS INTEGER)"


_AS_TIME: Final = "strftime('%Y-%m-%d %H:%M:%S', moment / 1000000, 'unixepoch') || printf('.%06d', moment % 1000000)"


@dataclass(frozen=True)
class Index:
    """What is looked for together, and so apart from everything else: a word that all groups have is none that all names have."""

    table: str
    columns: Mapping[str, str]  # each with what it is made of

    def making(self) -> str:
        """The statement that makes it. With detail=full, the default, it finds words, not only what has the same trigrams."""
        settings = "content='', columnsize=0, tokenize='trigram'"
        return f"CREATE VIRTUAL TABLE {self.table} USING fts5({', '.join(self.columns)}, {settings})"

    def writing(self, which: str) -> str:
        """The statement that writes down which certificates say what, beginning with the oldest.

        All that was made at the same moment is one document: of two under one number, only the newer one's words would be found.
        """
        said = ", ".join(f"group_concat({what}, char(10))" for what in self.columns.values())
        return (
            f"INSERT INTO {self.table} (rowid, {', '.join(self.columns)}) "  # noqa: S608 (ours)
            f"SELECT {_moment('created_at')}, {said} FROM certificates WHERE {which} GROUP BY created_at"
        )


WORDS: Final = Index("certificate_words", {"subject": "subject", "owner": "owner", "name": "name", "sans": _SANS})
GROUPS: Final = Index("certificate_groups", {"groups": '"groups"'})
_INDICES: Final = (WORDS, GROUPS)
RENAMED: Final = "certificate_words_renamed"  # moments
_TRIGGER: Final = "certificate_words_changed"
_DIFFERS: Final = " OR ".join(
    [
        *(f"new.{name} IS NOT old.{name}" for name in ("subject", "owner", "name", "groups")),
        f"{_SANS.replace('document', 'new.document')} IS NOT {_SANS.replace('document', 'old.document')}",
    ]
)
_NOTING: Final = f"""
    CREATE TRIGGER {_TRIGGER} AFTER UPDATE OF subject, owner, name, groups, document ON certificates WHEN {_DIFFERS}
    BEGIN INSERT INTO {RENAMED} (created_at) VALUES (new.created_at); END
"""  # noqa: S608
_SERVERS_OWN: Final = f"""
    CREATE INDEX {INDEX} ON certificates USING gin
    (subject gin_trgm_ops, owner gin_trgm_ops, name gin_trgm_ops, (document ->> 'sans') gin_trgm_ops, groups gin_trgm_ops)
"""


_TRIGGERS: Final = (_TRIGGER, ends.TRIGGER)
_TABLES: Final = (RENAMED, WRITTEN, ends.TABLE, *(index.table for index in _INDICES))
_PARTS: Final = (*_TRIGGERS, *_TABLES)
_KEPT: Final = text(f"SELECT count(*) FROM sqlite_master WHERE name IN {_PARTS!r}")  # noqa: S608 (ours)


class Moments(NamedTuple):
    """When certificates were made in which a word stands: how many moments, all of them as a JSON list, and the last.

    `waiting`: how many certificates are not written yet, up to 10,000; whatever it stands in besides is one of those.
    """

    how_many: int
    listed: str
    last: str
    waiting: int


def keep(connection: Connection) -> None:
    """See to it that the index is there, made if it is not; within the transaction that this connection is in.

    A database that cannot have one goes without.
    """
    if connection.dialect.name == "sqlite":
        _keep_ours(connection)
    else:
        _keep_servers_own(connection)


def is_kept(connection: Connection) -> bool:
    """Whether an index of SQLite's is there and true."""
    if connection.dialect.name != "sqlite":
        return False
    return connection.execute(_KEPT).scalar() == len(_PARTS)


def phrase(word: str) -> str:
    """A word as FTS5 is asked for it: between quotes nothing means anything but itself."""
    return '"' + word.replace('"', '""') + '"'


def can_find(word: str) -> bool:
    """Whether the index knows of it: it has a trigram, and no NUL, at which SQLite would stop reading it."""
    return len(word) >= SHORTEST and "\0" not in word


def moments(
    connection: Connection, index: Index, asked: str, most: int, *, since: str | None = None, newest_first: bool = False
) -> Moments:
    """The first so many moments at which something was made that FTS5 finds; `since`: the id of the certificate to begin at."""
    order, beyond, last = ("DESC", "<=", "min") if newest_first else ("ASC", ">=", "max")
    begin = f"SELECT {_moment('created_at')} FROM certificates WHERE id = :since"  # noqa: S608 (ours, as below)
    only = "" if since is None else f"AND rowid {beyond} ({begin})"
    matching = f"FROM {index.table} WHERE {index.table} MATCH :asked {only} ORDER BY rowid {order} LIMIT :most"
    times = f"SELECT {_AS_TIME} AS made_at FROM (SELECT rowid AS moment {matching})"  # noqa: S608
    late = f"SELECT 1 FROM {RENAMED} UNION ALL SELECT 1 FROM certificates WHERE {NEWER}"  # noqa: S608
    waiting = f"SELECT count(*) FROM ({late} LIMIT {_MUCH})"  # noqa: S608
    listed = text(f"SELECT count(*), json_group_array(made_at), {last}(made_at), ({waiting}) FROM ({times})")  # noqa: S608
    given: dict[str, Any] = {"asked": asked, "most": most} | ({} if since is None else {"since": since})
    found = connection.execute(listed, given).one()
    return Moments(int(found[0]), str(found[1]), str(found[2]), int(found[3]))


def settle(connection: Connection) -> None:
    """Write into the index what is not there yet."""
    if is_kept(connection):
        late = f"SELECT created_at FROM {RENAMED} UNION ALL SELECT created_at FROM certificates WHERE {NEWER}"  # noqa: S608 (ours)
        for index in _INDICES:
            connection.exec_driver_sql(index.writing(f"created_at IN ({late})"))
        ends.add(connection, NEWER)
        _is_written(connection)


def _is_written(connection: Connection) -> None:
    connection.exec_driver_sql(f"DELETE FROM {RENAMED}")  # noqa: S608 (ours, as below)
    connection.exec_driver_sql(f"UPDATE {WRITTEN} SET upto = (SELECT coalesce(max(rowid), 0) FROM certificates)")  # noqa: S608


def _keep_ours(connection: Connection) -> None:
    modules = text("SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'")
    if sqlite3.sqlite_version_info < _TRIGRAMS_SINCE or not connection.execute(modules).scalar():
        _drop_triggers(connection)  # it is not kept any more
        _log().warning("this SQLite has no FTS5 with trigrams; a search for a word looks at every certificate")
        return
    if is_kept(connection):
        late = f"SELECT count(*) FROM (SELECT 1 FROM certificates WHERE {NEWER} LIMIT {_AT_ONCE})"  # noqa: S608 (ours)
        if int(connection.exec_driver_sql(late).scalar_one()) < _AT_ONCE:
            settle(connection)
            return
    _drop_triggers(connection)
    for table in _TABLES:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    for index in _INDICES:
        connection.exec_driver_sql(index.making())
    connection.exec_driver_sql(f"CREATE TABLE {RENAMED} (created_at DATETIME NOT NULL)")
    connection.exec_driver_sql(f"CREATE TABLE {WRITTEN} (upto INTEGER NOT NULL)")
    connection.exec_driver_sql(f"INSERT INTO {WRITTEN} VALUES (0)")  # noqa: S608 (ours)
    ends.make(connection)
    ends.add(connection, "true")
    _fill(connection)
    _is_written(connection)
    connection.exec_driver_sql(_NOTING)


def _drop_triggers(connection: Connection) -> None:
    for trigger in _TRIGGERS:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")


def _fill(connection: Connection) -> None:
    """Oldest first, so that each part of the index is written once."""
    count = int(connection.exec_driver_sql("SELECT count(*) FROM certificates").scalar_one())
    last = "SELECT max(created_at) FROM (SELECT created_at FROM certificates WHERE created_at > ? ORDER BY created_at LIMIT ?)"
    begin, done = "", 0
    while (end := connection.exec_driver_sql(last, (begin, _AT_ONCE)).scalar()) is not None:
        for index in _INDICES:
            connection.exec_driver_sql(index.writing("created_at > ? AND created_at <= ?"), (begin, end))
        begin, done = end, min(done + _AT_ONCE, count)
        if count > _AT_ONCE:
            _log().info("an index of the words in certificates is being made", done=done, of=count)
    if count > _AT_ONCE:
        for index in _INDICES:
            connection.exec_driver_sql(f"INSERT INTO {index.table} ({index.table}) VALUES ('optimize')")  # noqa: S608 (ours)


def _keep_servers_own(connection: Connection) -> None:
    if connection.execute(text("SELECT to_regclass(:index)"), {"index": INDEX}).scalar() is not None:
        return
    there = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")
    why = "" if connection.execute(there).scalar() else "it is not installed"
    if not why:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                connection.exec_driver_sql(_SERVERS_OWN)
        except DBAPIError as error:
            why = str(error.orig).strip().partition("\n")[0]
    if why:
        _log().warning("PostgreSQL's extension pg_trgm cannot be had; a search for a word looks at every certificate", why=why)


def _log() -> Any:
    import structlog  # noqa: PLC0415 (slow to load, and most starts have nothing to say)

    return structlog.get_logger(source="ostiary")
