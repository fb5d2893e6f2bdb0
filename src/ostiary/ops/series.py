"""Several issuing CAs under one name, one after the other, so that none of their revocation lists grows long.

An engine reads the whole list of an issuer at each full handshake. With `LARGEST` entries that costs a sixth more than with none,
with 20,000 three quarters (docs/decisions/0016-lists-that-end.md). After `LARGEST` certificates the next issuing CA takes over;
the old one keeps its list. Much fewer would not do either: the names of all issuing CAs are told in each handshake.
"""

from dataclasses import asdict
from typing import Final

from ostiary.errors import Invalid
from ostiary.model.authority import Authority, NewAuthority, SubjectName
from ostiary.ops.asking import asks
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.change import change
from ostiary.ops.signing import make_authority, parsed
from ostiary.ops.system import System
from ostiary.pki.names import fields_of
from ostiary.store.kinds import AUTHORITY, CERTIFICATE, ROTATION
from ostiary.store.store import Reader, Transaction

LARGEST: Final = 5_000


def members(reader: Reader, series_id: str) -> tuple[Authority, ...]:
    """The issuing CAs of a series, the first first."""
    return tuple(sorted(reader.all(AUTHORITY, series_id=series_id), key=lambda one: one.generation))


def issuing(reader: Reader, authority: Authority) -> Authority:
    """Who signs now for this authority: the newest of its series that can, or of the one that takes its place (`ops.rotations`).

    Raises `Invalid` when none can.
    """
    # The newest rotation decides: an authority may have been rotated away, and later be rotated back to.
    ends = [
        (rotation.from_series_id, rotation.to_series_id)
        for rotation in reader.all(ROTATION)
        if rotation.state != "UNDONE" and authority.series_id in {rotation.from_series_id, rotation.to_series_id}
    ]
    successor = reader.get(AUTHORITY, ends[-1][1]) if ends and ends[-1][0] == authority.series_id else None
    if successor is not None:
        return issuing(reader, successor)
    able = [one for one in members(reader, authority.series_id) if one.may_sign and not _is_below_revoked(reader, one)]
    if able:
        return able[-1]
    revoked = authority.revoked_at or _is_below_revoked(reader, authority)
    why = "was revoked, or one above it was" if revoked else "has no key here (it was imported without, or its key is offline)"
    raise Invalid("authority_id", f"authority {authority.id} {why}, so it cannot issue; choose another")


def _is_below_revoked(reader: Reader, authority: Authority) -> bool:
    """Whether an authority above it was revoked: nobody that checks the whole chain believes what it signs."""
    parent = reader.get(AUTHORITY, authority.parent_id) if authority.parent_id else None
    return parent is not None and (parent.revoked_at is not None or _is_below_revoked(reader, parent))


@asks()
def roll(system: System, caller: Caller, authority_id: str) -> Authority:
    """Have a new issuing CA take over under the same name. Raises `Invalid` when nobody here can sign it."""
    with change(system, caller, "authority:roll") as transaction:
        return _next(transaction, system, transaction.require(AUTHORITY, authority_id))


def roll_due(system: System) -> int:
    """Roll each series whose issuing CA has signed its share and whose parent's key is here. Returns how many."""
    with system.store.read() as reader:
        every = {one.id: one for one in reader.all(AUTHORITY)}
        newest: dict[str, Authority] = {}
        for one in sorted(every.values(), key=lambda one: one.generation):
            newest[one.series_id] = one
        due = [one.id for one in newest.values() if _is_due(reader, one, every.get(one.parent_id or ""))]
    for authority_id in due:
        roll(system, SYSTEM, authority_id)
    return len(due)


def _is_due(reader: Reader, newest: Authority, parent: Authority | None) -> bool:
    # A root signs what is below it seldom, and its list is as long as it is; only who signs leaves is rolled.
    if newest.kind != "intermediate" or not newest.may_sign or newest.cross_of is not None:
        return False
    able = parent is not None and parent.may_sign
    return able and reader.count(CERTIFICATE, authority_id=newest.id) >= LARGEST


def _next(transaction: Transaction, system: System, authority: Authority) -> Authority:
    latest = members(transaction, authority.series_id)[-1]
    if latest.kind != "intermediate" or latest.parent_id is None or latest.cross_of is not None:
        raise Invalid(
            "authority_id", "only an intermediate is followed by another of its name; make an intermediate below this root"
        )
    generation = latest.generation + 1
    parent = transaction.require(AUTHORITY, latest.parent_id)
    first = transaction.require(AUTHORITY, authority.series_id)
    subject = asdict(fields_of(parsed(first).subject))
    wanted = NewAuthority(
        name=first.name,
        project_id=first.project_id,
        kind="intermediate",
        parent_id=latest.parent_id,
        key=latest.key or "EC-P256",
        custody=latest.custody,
        lifetime_days=max(1, min(latest.not_after - latest.not_before, parent.not_after - transaction.at).days),
        # A name of its own: which of two revocation lists is whose is then told by the name alone, in every engine.
        subject=SubjectName(**{**subject, "CN": f"{subject['CN'][:57]} G{generation}"}),
        path_length=latest.path_length,
        name_constraints=latest.name_constraints,
    )
    return make_authority(transaction, system, wanted, series_id=authority.series_id, generation=generation)
