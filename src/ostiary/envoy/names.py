"""What resources are called on the wire."""

from typing import Final

# In place of a listener's id: the door to enrolment is none of the operator's listeners.
ENROLMENT: Final = "enrolment"
# The cluster of the API behind that door.
API: Final = "api"


def listener(listener_id: str) -> str:
    """Of a listener (LDS)."""
    return f"listener/{listener_id}"


def route(listener_id: str) -> str:
    """Of a listener's routes (RDS)."""
    return f"route/{listener_id}"


def pool(pool_id: str) -> str:
    """Of a pool's cluster (CDS) and of its members (EDS)."""
    return f"pool/{pool_id}"


def members(listener_id: str) -> str:
    """Of the filter that knows who is in which group (ECDS)."""
    return f"members/{listener_id}"


def stat(listener_id: str) -> str:
    """Of a listener's statistics."""
    return f"listener/{listener_id}"
