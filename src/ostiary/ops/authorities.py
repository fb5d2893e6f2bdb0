"""Authorities: make a root or intermediate, read, delete. For those whose key is elsewhere see `imported`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ostiary.errors import Conflict
from ostiary.model.authority import Authority, NewAuthority
from ostiary.model.query import Page, Query
from ostiary.model.status_check import StatusCheckState
from ostiary.ops import status_fetch
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.secrets import refuse_if_held
from ostiary.ops.series import members
from ostiary.ops.signing import make_authority, new_key
from ostiary.ops.system import System
from ostiary.store import authority_list, revocations
from ostiary.store.kinds import AUTHORITY, CERTIFICATE, ROTATION
from ostiary.store.store import Transaction


@asks()
def create(system: System, caller: Caller, wanted: NewAuthority) -> Authority:
    """Make an authority with a key that stays here, encrypted, or in a token."""
    caller.must("authority:create")
    key = new_key(system, wanted)  # before the lock: RSA and tokens take their time
    with change(system, caller, "authority:create") as transaction:
        return make_authority(transaction, system, wanted, key)


def get(system: System, caller: Caller, authority_id: str) -> Authority:
    """One authority. Raises `NotFound`."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return reader.require(AUTHORITY, authority_id)


def find(system: System, caller: Caller, query: Query) -> Page[Authority]:
    """Authorities that match."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return reader.find(AUTHORITY, query)


@dataclass(frozen=True)
class Around:
    """What is around an authority: the ids of those that trust it, those of its series, and the news of its certificates."""

    in_use_by: tuple[str, ...]
    series: tuple[str, ...]
    news: StatusCheckState


def around(system: System, caller: Caller, held: Sequence[Authority]) -> tuple[Around, ...]:
    """What is around each of these, asked for all of them together."""
    caller.must("authority:read")
    with system.store.read() as reader:
        users = authority_list.users(reader, (one.id for one in held))
        together = authority_list.together(reader, {one.series_id for one in held})
        news = status_fetch.states(system, reader, held)
    return tuple(
        Around(users.get(one.id, ()), together.get(one.series_id, ()), state) for one, state in zip(held, news, strict=True)
    )


@asks()
def delete(system: System, caller: Caller, authority_id: str) -> None:
    """Remove an authority that nothing trusts and that has signed nothing still on record; with those it was imported with."""
    with change(system, caller, "authority:delete") as transaction:
        authority = transaction.require(AUTHORITY, authority_id)
        together = members(transaction, authority.series_id) if authority.kind == "imported" else (authority,)
        ids = {one.id for one in together}
        for one in reversed(together):  # what is below comes after what signed it
            _refuse_needed(transaction, one, ids)
            revocations.forget_authority(transaction, one.id)
            transaction.delete(AUTHORITY, one)
    system.custody.forget(authority_id)


def _refuse_needed(transaction: Transaction, authority: Authority, together: set[str]) -> None:
    """`Conflict` for one that something trusts or that has signed something, but for what goes together with it."""
    refuse_if_held(transaction, AUTHORITY, authority)
    below = [one for one in transaction.all(AUTHORITY, parent_id=authority.id) if one.id not in together]
    if below:
        raise Conflict(f"Authority {authority.id} has signed authority {below[0].id} ({below[0].name}); delete that first.")
    crossed = [one for one in transaction.all(AUTHORITY) if one.cross_of == authority.id and one.id not in together]
    if crossed:
        raise Conflict(f"Authority {authority.id} is cross-signed as {crossed[0].id} ({crossed[0].name}); delete that first.")
    for rotation in transaction.all(ROTATION, state="UNDER_WAY"):
        if authority.series_id in {rotation.from_series_id, rotation.to_series_id}:
            raise Conflict(f"Authority {authority.id} is part of rotation {rotation.id}; finish or undo that first.")
    issued = transaction.count(CERTIFICATE, authority_id=authority.id)
    if issued:
        raise Conflict(f"Authority {authority.id} has issued {issued} certificates that are on record; it cannot be deleted.")
