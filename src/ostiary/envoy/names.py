"""What resources are called on the wire."""

from typing import Final, get_args

from ostiary.model.house_door import HouseDoorKind

# In place of a listener's id: doors of our own are none of the operator's listeners (`model.house_door`).
HOUSE: Final[tuple[str, ...]] = get_args(HouseDoorKind)


def house(door: str) -> str:
    """Of the cluster of what is ours behind such a door."""
    return f"house/{door}"


def listener(listener_id: str) -> str:
    """Of a listener (LDS)."""
    return f"listener/{listener_id}"


def route(listener_id: str) -> str:
    """Of a listener's routes (RDS).

    Not `route/…`, as before decision 0033: chains from before look for the denied in their routes, and Envoy lets them keep
    those that they had.
    """
    return f"routes/{listener_id}"


def pool(pool_id: str) -> str:
    """Of a pool's cluster (CDS) and of its members (EDS)."""
    return f"pool/{pool_id}"


def members(listener_id: str) -> str:
    """Of the filter that knows who is in which group (ECDS)."""
    return f"members/{listener_id}"


def denied(*, rehearsed: bool) -> str:
    """Of the filter that refuses who is denied (ECDS), one for all listeners; of what it would do, where that is rehearsed."""
    return "denied/rehearsed" if rehearsed else "denied"


def stat(listener_id: str) -> str:
    """Of a listener's statistics."""
    return f"listener/{listener_id}"
