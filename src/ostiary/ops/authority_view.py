"""CA certificates as people look at them: a page of them with what hangs on each, and all about one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from ostiary.model.authority import Authority
from ostiary.model.query import Page, Query
from ostiary.model.revocation import RevocationList
from ostiary.model.rotation import Rotation
from ostiary.model.status_check import StatusCheckState
from ostiary.ops import series, status_fetch
from ostiary.ops.caller import Caller
from ostiary.ops.client_cas import key_of
from ostiary.ops.handout import above
from ostiary.ops.server_certificates import AUTHORITY_NAME
from ostiary.ops.system import System
from ostiary.store import authority_list, authority_use, names, revocations
from ostiary.store.authority_use import Use
from ostiary.store.kinds import AUTHORITY, BY_NAME, LISTENER, POOL, ROTATION
from ostiary.store.store import Reader

_SHOWN: Final = 50

# Where the key is that signs now: here, encrypted; in a PKCS#11 token; or nowhere that we know of.
Place = Literal["here", "token", "elsewhere"]


@dataclass(frozen=True)
class Holder:
    """Something that refers to an authority: a listener, a pool, an access rule."""

    kind: str
    id: str
    name: str


@dataclass(frozen=True)
class Overview:
    """An authority in a list. It stands for all that work under its name; `trusted_by` are the listeners and pools."""

    authority: Authority
    key: str
    place: Place
    use: Use
    trusted_by: int
    members: int
    is_over: bool


@dataclass(frozen=True)
class Details:
    """All about one authority. `above` is nearest first; `lists` are its own, without their content."""

    authority: Authority
    key: str
    place: Place
    use: Use
    members: tuple[Authority, ...]
    above: tuple[Authority, ...]
    below: tuple[Authority, ...]
    crossed: tuple[Authority, ...]
    holders: tuple[Holder, ...]
    held_by: int  # of which `holders` are the first
    complete: RevocationList | None
    delta: RevocationList | None
    news: StatusCheckState
    rotation: Rotation | None  # the last one that it takes part in
    is_over: bool

    @property
    def signs_lists(self) -> bool:
        """Whether its revocation lists are ours; one whose key is offline left a list behind."""
        return self.authority.has_key or self.authority.kind != "imported"


def find(system: System, caller: Caller, query: Query) -> Page[Authority]:
    """The first of each series; words are looked for in names, subjects and fingerprints of all of them."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return authority_list.page(reader, query)


def overviews(system: System, caller: Caller, found: Sequence[Authority]) -> tuple[Overview, ...]:
    """What one wants to know of each of these, asked for all of them at once."""
    caller.must("authority:read")
    at = system.clock()
    series_ids = [one.series_id for one in found]
    with system.store.read() as reader:
        uses = authority_use.of_series(reader, series_ids, at)
        sizes = authority_list.sizes(reader, series_ids)
        holders = authority_list.holders(reader, series_ids)
    return tuple(
        Overview(
            authority=one,
            key=key_of(one.certificate),
            place=_place(one),
            use=uses.get(one.series_id, Use()),
            trusted_by=sum(kind in {LISTENER.name, POOL.name} for kind, _ in holders.get(one.series_id, ())),
            members=sizes.get(one.series_id, 1),
            is_over=_is_over(one, at),
        )
        for one in found
    )


def able(system: System, caller: Caller, limit: int = 200) -> tuple[Authority, ...]:
    """Authorities that certificates of clients can be asked of: not that of our own servers, unless there is no other."""
    caller.must("authority:read")
    with system.store.read() as reader:
        found = authority_list.able(reader, system.clock(), limit)
    return tuple(one for one in found if one.name != AUTHORITY_NAME) or found


def choices(system: System, caller: Caller, limit: int = 200) -> tuple[Authority, ...]:
    """Authorities to choose from where one is looked for, by name."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return authority_list.page(reader, Query(limit=limit, sort=(("name", False),))).items


def ending(system: System, caller: Caller, within: timedelta) -> tuple[Overview, ...]:
    """Those in force that end soon, the first to end first; the first fifty."""
    caller.must("authority:read")
    now = system.clock()
    with system.store.read() as reader:
        found = authority_list.ending(reader, now, now + within, _SHOWN)
    return overviews(system, caller, found)


def details(system: System, caller: Caller, authority_id: str) -> Details:
    """All about one. Raises `NotFound`."""
    caller.must("authority:read")
    at = system.clock()
    with system.store.read() as reader:
        authority = reader.require(AUTHORITY, authority_id)
        members = series.members(reader, authority.series_id)
        its = [authority.cross_of or authority.id]
        holders = authority_list.holders(reader, [authority.series_id]).get(authority.series_id, ())
        lists = revocations.lists_without_content(reader, its)
        return Details(
            authority=authority,
            key=key_of(authority.certificate),
            place=_place(authority),
            use=authority_use.of_series(reader, [authority.series_id], at).get(authority.series_id, Use()),
            members=members,
            above=tuple(above(reader, authority)),
            below=authority_list.below(reader, [authority.id], _SHOWN),
            crossed=authority_list.crossed(reader, [authority.id], _SHOWN),
            holders=_named(reader, holders[:_SHOWN]),
            held_by=len(holders),
            complete=lists.get((its[0], "complete")),
            delta=lists.get((its[0], "delta")),
            news=status_fetch.state(system, reader, authority),
            rotation=_rotation(reader, authority.series_id),
            is_over=_is_over(authority, at),
        )


def _named(reader: Reader, holders: Sequence[tuple[str, str]]) -> tuple[Holder, ...]:
    by_kind = {
        kind: names.of(reader, BY_NAME[kind], [one for each, one in holders if each == kind])
        for kind in {kind for kind, _ in holders}
        if kind in BY_NAME
    }
    return tuple(Holder(kind, one, by_kind.get(kind, {}).get(one) or one) for kind, one in holders)


def _rotation(reader: Reader, series_id: str) -> Rotation | None:
    """The last that was not undone, from it or to it; there are few in all."""
    found = [one for one in reader.all(ROTATION) if series_id in {one.from_series_id, one.to_series_id} and one.state != "UNDONE"]
    return found[-1] if found else None


def _place(authority: Authority) -> Place:
    if not authority.has_key:
        return "elsewhere"
    return "token" if authority.custody == "pkcs11" else "here"


def _is_over(authority: Authority, at: datetime) -> bool:
    return authority.revoked_at is not None or authority.not_after <= at
