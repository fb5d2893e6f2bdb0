"""Who could administer ostiary, who signed in, who was refused, and which reviews were signed off."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ostiary.model.access import Holders
from ostiary.model.review import QUARTER, SUBJECTS
from ostiary.ops import reviews
from ostiary.ops.evidence.section import WHO, Column, Row, Rows, Scope, Section, earlier, link, paged, said, some, who
from ostiary.store import evidence
from ostiary.store.evidence import Link
from ostiary.store.kinds import REVIEW, TOKEN, USER, Kind
from ostiary.store.rows import public
from ostiary.store.store import AuditRow, Reader

_MAY: Final = {
    "admin": "everything",
    "operator": "what happens from day to day: not CAs, profiles, keys, tokens to the API or users",
    "auditor": "look at everything, the record too, and change nothing",
}
_GONE: Final = ("user:delete", "token:delete", "token:forget")


def _people(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        rows = [
            Row(
                {
                    "kind": "built in",
                    "name": "admin",
                    "role": "admin",
                    "may": _MAY["admin"],
                    "how": "the token in the data directory",
                }
            ),
            *(_user(one, links) for one, links in _then(reader, USER, scope)),
            *(_token(one, links) for one, links in _then(reader, TOKEN, scope) if one.get("kind") == "access"),
        ]
    yield from paged(rows)


def _then(reader: Reader, kind: Kind[Any], scope: Scope) -> Iterator[tuple[dict[str, Any], tuple[Link, ...]]]:
    """Users or tokens as they were at the end of the period, those that are gone since too."""
    for page in _now(reader, kind, scope):
        entries = evidence.about(reader, [one["id"] for one in page], upto=scope.head.sequence)
        for one in page:
            its = entries.get(one["id"], [])
            later = [row for row in its if row.sequence > scope.end.sequence]
            yield earlier(one, later), some(link(row) for row in its if row.sequence <= scope.end.sequence)


def _now(reader: Reader, kind: Kind[Any], scope: Scope) -> Iterator[list[dict[str, Any]]]:
    last: tuple[datetime, str] | None = None
    while page := evidence.things(reader, kind, scope.until, last):
        yield [public(one) for one in page]
        last = page[-1].created_at, page[-1].id
    reached = scope.end.sequence
    while gone := evidence.entries(reader, reached, scope.head.sequence, actions=_GONE):
        reached = gone[-1].sequence
        found = [before for row in gone if (entry := said(row)).get("kind") == kind.name and (before := entry.get("before"))]
        yield [one for one in found if datetime.fromisoformat(one["created_at"]) < scope.until]


def _user(one: Mapping[str, Any], links: tuple[Link, ...]) -> Row:
    holders = Holders.model_validate(one["certificate"], strict=False)
    how = [f"{name.replace('_', ' ')}: {', '.join(values)}" for name, values in holders.model_dump().items() if values]
    values = {"kind": "user", "name": one["name"], "role": one["role"], "may": _MAY.get(one["role"], ""), "id": one["id"]}
    return Row({**values, "how": ("signs in with a client certificate", *how), "since": one["created_at"]}, links)


def _token(one: Mapping[str, Any], links: tuple[Link, ...]) -> Row:
    values = {"kind": "access token", "name": one["name"], "role": one["role"], "may": _MAY.get(one["role"], ""), "id": one["id"]}
    made = {"created_by": one.get("created_by", ""), "since": one["created_at"], "ends": one["expires_at"]}
    return Row({**values, "how": "a secret that was shown once", **made}, links)


def _sign_ins(scope: Scope) -> Rows:
    for page in scope.entries(groups=("session", "caller", "sign-in-link")):
        rows = [_signed_in(row, entry) for row in page if (entry := said(row))]
        if rows:
            yield tuple(rows)


def _signed_in(row: AuditRow, entry: Mapping[str, Any]) -> Row:
    told = entry.get("after") or entry.get("before") or {}
    names = ("how", "name", "fingerprint_sha256", "refused", "by", "sources", "action", "method", "path", "permission")
    about = tuple(f"{name.replace('_', ' ')}: {_in_words(told[name])}" for name in names if told.get(name))
    return Row({**who(entry), "action": entry["action"], "about": about, "resource_id": entry["resource_id"]}, (link(row),))


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _reviews(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        for subject in SUBJECTS:
            last = reviews.last_before(reader, subject, scope.until)
            yield (Row(_standing(subject, last, scope)),)
    told: set[str] = set()
    for page in scope.entries(actions=("review:create",)):
        told |= {str(said(row).get("resource_id")) for row in page}
        yield tuple(_review(row, said(row)) for row in page)
    yield from paged(_no_longer_on_record(scope, told))


def _no_longer_on_record(scope: Scope, told: set[str]) -> Iterator[Row]:
    """Those whose entries were removed for their age: the database has them still."""
    last: tuple[datetime, str] = scope.since, ""
    while True:
        with scope.system.store.read() as reader:
            page = evidence.things(reader, REVIEW, scope.until, last)
        if not page:
            return
        for one in page:
            if one.id not in told:
                known = {"at": one.created_at, "actor": one.reviewed_by, "role": one.role}
                yield Row({**_of(public(one)), **known})
        last = page[-1].created_at or scope.until, page[-1].id


def _standing(subject: str, last: Any, scope: Scope) -> dict[str, Any]:
    if last is None:
        told = "nobody has ever signed one off"
    else:
        late = scope.until - last.created_at > QUARTER
        told = f"the last was signed off {last.created_at:%Y-%m-%d} by {last.reviewed_by}" + (
            ": longer than a quarter ago" if late else ""
        )
    return {"subject": subject, "note": f"at the end of the period: {told}"}


def _review(row: AuditRow, entry: Mapping[str, Any]) -> Row:
    return Row({**who(entry), **_of(entry.get("after") or {})}, (link(row),))


def _of(review: Mapping[str, Any]) -> dict[str, Any]:
    names = ("subject", "since", "until", "note", "findings", "at_revision", "at_entry", "at_hash", "id")
    seen = tuple(f"{name.replace('_', ' ')}: {count}" for name, count in (review.get("seen") or {}).items())
    return {**{name: review.get(name, "") for name in names}, "seen": seen}


PEOPLE: Final = Section(
    "people",
    "Who could administer",
    "Users and access tokens as they were at the end of the period, and what their roles let them do. Whether a name is one "
    "person is yours to see to. A certificate is one factor, something one has: signing in with it is not multi-factor "
    "authentication by itself.",
    "The database, taken back to the end of the period by the entries of the record about each.",
    (
        Column("kind", "Kind"),
        Column("name", "Name"),
        Column("role", "Role"),
        Column("may", "May"),
        Column("how", "How they come in"),
        Column("created_by", "Made by"),
        Column("since", "Since"),
        Column("ends", "Ends"),
        Column("id", "Id", wide=True),
    ),
    _people,
)
SIGN_INS: Final = Section(
    "sign-ins",
    "Sign-ins, and refused ones",
    "Who signed in to the console and out again, how, and what was refused: sign-ins are summed up each minute, so that nobody "
    "can fill the record. Calls of the API with a token are on record by what they changed.",
    "The record.",
    (*WHO, Column("action", "What"), Column("about", "About"), Column("resource_id", "Id", wide=True)),
    _sign_ins,
)
REVIEWS: Final = Section(
    "reviews",
    "Reviews that were signed off",
    "Who looked at the access, the refusals or the exceptions of which time, what they found, and what there was to be looked at "
    "then. Standards ask for one each quarter. A sign-off is somebody's word: how carefully they looked, it cannot show.",
    "The record. A review cannot be changed or deleted afterwards.",
    (
        *WHO,
        Column("subject", "Of"),
        Column("since", "From"),
        Column("until", "Until"),
        Column("note", "Note"),
        Column("findings", "Findings"),
        Column("seen", "What there was"),
        Column("at_revision", "At revision", wide=True),
        Column("at_entry", "After entry", wide=True),
        Column("at_hash", "Hash of that entry", wide=True),
        Column("id", "Id", wide=True),
    ),
    _reviews,
)
