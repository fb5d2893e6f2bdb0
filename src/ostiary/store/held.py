"""What a configuration is made of, decoded and kept from one look to the next: only what changed since is read and decoded."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from ostiary.store.kinds import REVISED, Kind
from ostiary.store.rows import from_row
from ostiary.store.store import Reader

_NEVER: Final = -1


class Held:
    """All things of the kinds that come with a revision (`kinds.REVISED`), as of the last look. Not for several threads at once.

    Only for committed states: within a transaction that is undone, a revision means something that it never becomes.
    """

    def __init__(self) -> None:
        self._revision = _NEVER
        self._things: dict[str, dict[str, Any]] = {kind.name: {} for kind in REVISED}
        self._whole: dict[str, tuple[Any, ...]] = {kind.name: () for kind in REVISED}

    def lend(self, reader: Reader) -> None:
        """Bring it to the state that this reader sees, and let the reader have all of it."""
        revision = reader.revision()
        if revision < self._revision:
            self.__init__()  # type: ignore[misc]  # the database is another, such as one that was restored
        if revision != self._revision:
            for kind in REVISED:
                self._catch_up(reader, kind)
            self._revision = revision
        for kind in REVISED:
            reader.lend(kind, self._whole[kind.name], self._things[kind.name])

    def _catch_up(self, reader: Reader, kind: Kind[Any]) -> None:
        things, columns = self._things[kind.name], kind.table.c
        statement = select(kind.table).where(columns.revision > self._revision).order_by(columns.created_at, columns.id)
        newer = [from_row(kind, row) for row in reader.connection.execute(statement).mappings()]
        for one in newer:
            if one.id in things and things[one.id].created_at != one.created_at:
                del things[one.id]  # deleted, and made anew under its old name
        last = next(reversed(things.values()), None)
        added = [one for one in newer if one.id not in things]
        things.update((one.id, one) for one in newer)
        gone = len(things) != reader.count(kind)
        if gone:
            left = set(reader.ids(kind))
            for thing_id in [thing_id for thing_id in things if thing_id not in left]:
                del things[thing_id]
        if last is not None and added and _age(added[0]) < _age(last):
            # A clock was put back, or is another machine's: oldest first, all the same.
            self._things[kind.name] = things = dict(sorted(things.items(), key=lambda item: _age(item[1])))
        if newer or gone:
            self._whole[kind.name] = tuple(things.values())


def _age(thing: Any) -> tuple[datetime, str]:
    return thing.created_at, thing.id
