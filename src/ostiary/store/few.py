"""Where to look for certificates when few can be meant: SQLite keeps no count of what a condition would leave, so it is told.

It walks the order of a list until the page is full, which is best where many match and looks at a million where none do. So what
an index can tell is asked first, and no further than to a number beyond which the walk is taken. Nothing is decided here: whoever
asks adds all conditions again. PostgreSQL keeps such counts and needs none of this.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, TextClause, bindparam, text

from ostiary.model.inventory import Wanted
from ostiary.store import words
from ostiary.store.newer import NEWER
from ostiary.store.store import Reader
from ostiary.store.tables import UTCDateTime

# To look at so many takes about as long as a walk that finds a page among certificates of which one in a hundred matches.
MOST: Final = 2000
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Places:
    """Where to look. `is_all`: nothing that matches is elsewhere; if not, what is elsewhere comes later in the list."""

    where: ColumnElement[bool]
    is_all: bool


def places(reader: Reader, wanted: Wanted) -> Iterator[Places]:
    """Where it is worth to look, best first; none where everything has to be looked at."""
    if reader.connection.dialect.name != "sqlite" or not wanted.query.limit:
        return
    for found, given in (*_by_time(wanted), *_by_value(wanted)):
        count = text(f"SELECT count(*) FROM ({found} LIMIT :most)")  # noqa: S608 (ours)
        if reader.connection.execute(_bound(count, {**given, "most": MOST + 1})).scalar_one() <= MOST:
            yield Places(_condition(f"certificates.rowid IN ({found})", given), is_all=True)
            return
    if reader.keeps_words:
        for index, asked, begun in _phrases(wanted):
            yield from _with(reader, wanted, index, asked, begun)


def digits(word: str) -> str | None:
    """The word as the beginning of a serial number or fingerprint; None when it is none."""
    found = word.lower().replace(":", "")
    return found if found and set(found) <= _HEXADECIMAL else None


def escaped_as_json(word: str) -> str:
    """As it stands within a string of a list in the document."""
    return json.dumps(word, ensure_ascii=False)[1:-1]


def _by_time(wanted: Wanted) -> Iterator[tuple[str, dict[str, Any]]]:
    """All that can match, by what an index alone tells, one thing at a time: statements, and what they are given."""
    at = wanted.at
    after = max((one for one in (wanted.expires_after, at if wanted.status == "VALID" else None) if one), default=None)
    before = min((one for one in (wanted.expires_before, at if wanted.status == "EXPIRED" else None) if one), default=None)
    if wanted.status == "NOT_YET_VALID":
        yield _where("json_extract(document, '$.not_before') > :begin"), {"begin": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if wanted.status in {"REVOKED", "ON_HOLD"}:
        yield _where("revoked_at IS NOT NULL"), {}
    if after is not None and before is not None:
        yield _where("not_after >= :after AND not_after < :before"), {"after": after, "before": before}
    elif after is not None:
        yield _where("not_after >= :after"), {"after": after}
    elif before is not None:
        yield _where("not_after < :before"), {"before": before}
    if wanted.seen_after is not None:
        yield _where("last_seen >= :seen"), {"seen": wanted.seen_after}


def _by_value(wanted: Wanted) -> Iterator[tuple[str, dict[str, Any]]]:
    """Likewise."""
    for name, value in wanted.query.filters:
        if name == "revocation_reason":
            yield _where("json_extract(document, '$.revocation_reason') = :value AND revoked_at IS NOT NULL"), {"value": value}
        if name == "project_id" and value:
            yield _where("project_id = :value AND project_id != ''"), {"value": value}
        if name == "profile":
            # Each by an index of its own: those that are in force are counted in theirs, too.
            live, revoked = (_where(f"profile = :value AND revoked_at IS {what}") for what in ("NULL", "NOT NULL"))
            yield f"{live} UNION ALL {revoked}", {"value": value}


def _where(condition: str) -> str:
    return f"SELECT rowid FROM certificates WHERE {condition}"  # noqa: S608 (ours)


def _phrases(wanted: Wanted) -> Iterator[tuple[words.Index, str, list[str]]]:
    """What to ask which index of words; with what may begin a serial number or fingerprint instead, of which it knows nothing."""
    known = [word for word in wanted.search if words.can_find(word)]
    asked = [" OR ".join(sorted({words.phrase(word), words.phrase(escaped_as_json(word))})) for word in known]
    for name, value in wanted.query.filters:
        if name == "subject" and words.can_find(value):
            asked.append(words.phrase(value))
        if name == "groups" and words.can_find(f'"{value}"'):
            yield words.GROUPS, words.phrase(f'"{escaped_as_json(value)}"'), []
    if asked:
        yield (
            words.WORDS,
            " AND ".join(f"({one})" for one in asked),
            [begun for word in known if (begun := digits(word)) is not None],
        )


def _with(reader: Reader, wanted: Wanted, index: words.Index, asked: str, begun: list[str]) -> Iterator[Places]:
    query = wanted.query
    is_by_age = not query.sort or query.sort[0][0] == "created_at"
    newest_first = is_by_age and query.reverse != bool(query.sort and query.sort[0][1])
    since = query.marker if is_by_age else None
    # Where all come in order, a page is full after a few of them; only where they are not what is asked, more are looked at.
    for most in sorted({min(2 * query.limit, MOST), MOST} if is_by_age else {MOST}):
        found = words.moments(reader.connection, index, asked, most + 1, since=since, newest_first=newest_first)
        is_all = found.how_many <= most
        if found.waiting <= MOST and (is_all or is_by_age):
            yield from _at(reader, found, begun, is_all=is_all, newest_first=newest_first)
        if is_all:
            return


def _at(reader: Reader, found: words.Moments, begun: list[str], *, is_all: bool, newest_first: bool) -> Iterator[Places]:
    """What was made at these moments, or is not in the index yet, or begins so."""
    told = f"SELECT value FROM json_each(:moments) UNION ALL SELECT created_at FROM {words.RENAMED}"  # noqa: S608 (ours)
    looked_at = [_where(f"created_at IN ({told})"), _where(NEWER)]
    beginnings: dict[str, Any] = {}
    for number, digits_begun in enumerate(begun):
        beginnings |= {f"begun{number}": digits_begun, f"ended{number}": f"{digits_begun}g"}
        looked_at += [
            _where(f"{column} >= :begun{number} AND {column} < :ended{number}") for column in ("serial", "fingerprint_sha256")
        ]
    if begun:
        count = text(f"SELECT count(*) FROM ({' UNION ALL '.join(looked_at[2:])} LIMIT :most)")  # noqa: S608 (ours)
        if reader.connection.execute(count, {**beginnings, "most": MOST + 1}).scalar_one() > MOST:
            return
    where = f"certificates.rowid IN ({' UNION ALL '.join(looked_at)})"
    given = {"moments": found.listed, **beginnings}
    if not is_all:
        where += f" AND certificates.created_at {'>=' if newest_first else '<='} :last"
        given["last"] = found.last
    yield Places(_condition(where, given), is_all)


def _condition(where: str, given: dict[str, Any]) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", _bound(text(where), given))


def _bound(statement: TextClause, given: dict[str, Any]) -> TextClause:
    times = [bindparam(name, value, type_=UTCDateTime()) for name, value in given.items() if not isinstance(value, str | int)]
    return statement.bindparams(*times, **{name: value for name, value in given.items() if isinstance(value, str | int)})
