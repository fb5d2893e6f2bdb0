"""To decide about this ostiary as a whole: one thing, which is there from the beginning.

Going back to an earlier revision leaves it as it is: it says who must agree to what and what is kept, and nobody gets around
that by going back.
"""

from collections.abc import Mapping
from typing import Any

from ostiary.model.house import HouseSettings
from ostiary.ops import apart
from ostiary.ops.asking import asks
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.change import change
from ostiary.ops.edit import edited
from ostiary.ops.house import read
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.store.kinds import HOUSE_SETTINGS


def get(system: System, caller: Caller) -> HouseSettings:
    """As they are in force."""
    caller.must("settings:read")
    with system.store.read() as reader:
        return read(reader)


@asks(changes=HouseSettings)
def update(system: System, caller: Caller, changes: Mapping[str, Any], *, since: int | None = None) -> HouseSettings:
    """Change them; None puts a field back. With `since`, raises `Overtaken` if others changed the same after that revision."""
    with change(system, caller, "settings:update") as transaction:
        before = read(transaction)
        refuse_if_overtaken(transaction, HOUSE_SETTINGS, before, since)
        after = edited(before, changes)
        if after.approval_needed_for and not before.approval_needed_for and caller is not SYSTEM:
            apart.refuse_alone(transaction, transaction.at)
        if before.created_at is not None:
            return transaction.replace(HOUSE_SETTINGS, before, after)
        return before if after == before else transaction.insert(HOUSE_SETTINGS, after)
