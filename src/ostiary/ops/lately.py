"""Who came to listeners in the last 24 hours, in two numbers: to be seen before one is changed or deleted."""

from collections.abc import Sequence
from dataclasses import dataclass

from ostiary.model.rehearsal import LATELY
from ostiary.ops.caller import Caller
from ostiary.ops.denials import TLS_FAILED
from ostiary.ops.system import System
from ostiary.store import denials, visitors


@dataclass(frozen=True)
class Lately:
    """`clients` are certificates that were let in; `refused` is how often somebody was refused."""

    clients: int
    refused: int


def at_listeners(system: System, caller: Caller, listener_ids: Sequence[str]) -> Lately:
    """All of these together; a client of several of them counts once."""
    caller.must("client:read")
    caller.must("denial:read")
    since = system.clock() - LATELY
    with system.store.read() as reader:
        return Lately(
            clients=visitors.count_of_all(reader, listener_ids, since),
            refused=denials.count(reader, listener_ids, since, (TLS_FAILED,)),
        )
