"""What people call the things that the record speaks of."""

from collections import defaultdict
from collections.abc import Iterable

from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import revisions
from ostiary.store.kinds import BY_NAME


def named(system: System, caller: Caller, things: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Of these (kind, id), those that there are, with their names; one look for each kind, however many there are."""
    caller.must("revision:read")
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for kind, resource_id in things:
        if kind in BY_NAME:
            ids[kind].add(resource_id)
    with system.store.read() as reader:
        return {
            (kind, one): name for kind, its in ids.items() for one, name in revisions.called(reader, BY_NAME[kind], its).items()
        }
