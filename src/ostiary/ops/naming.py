"""What people call things of which only the ids are at hand, many at once."""

from collections.abc import Iterable

from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import names
from ostiary.store.kinds import AUTHORITY, LISTENER, POOL


def listeners(system: System, caller: Caller, ids: Iterable[str]) -> dict[str, str | None]:
    """By id; the id itself for one without a name, None for one that is not there any more."""
    caller.must("listener:read")
    with system.store.read() as reader:
        return names.of(reader, LISTENER, ids)


def authorities(system: System, caller: Caller, ids: Iterable[str]) -> dict[str, str | None]:
    """Likewise."""
    caller.must("authority:read")
    with system.store.read() as reader:
        return names.of(reader, AUTHORITY, ids)


def pools(system: System, caller: Caller, ids: Iterable[str]) -> dict[str, str | None]:
    """Likewise."""
    caller.must("pool:read")
    with system.store.read() as reader:
        return names.of(reader, POOL, ids)
