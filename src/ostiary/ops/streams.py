"""Long streams that are open at gateways: which of them may not go on, by the same rules as a new request."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from ostiary.model.desired import Desired
from ostiary.ops.system import System

_MALFORMED: Final = "malformed"

Told = Annotated[str, StringConstraints(max_length=1024)]


class Stream(BaseModel):
    """A request that goes on, as its gateway tells of it; what newer gateways tell besides is left out."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    listener: Annotated[str, StringConstraints(max_length=36)]
    fingerprint: Told = ""
    not_after: datetime | None = None


def to_end(system: System, told: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """Which of these may not go on, each with its reason code. One that makes no sense may not."""
    wanted = system.fleet.wanted
    if wanted is None:
        return {}
    at = system.clock()
    why = {number: _refused(one, wanted.desired, at) for number, one in told.items()}
    return {number: reason for number, reason in why.items() if reason is not None}


def _refused(told: Mapping[str, Any], desired: Desired, at: datetime) -> str | None:
    try:
        stream = Stream.model_validate(told)
    except ValidationError:
        return _MALFORMED
    return refused(stream, desired, at)


def refused(stream: Stream, desired: Desired, at: datetime) -> str | None:
    """Why a stream may not go on; None if it may."""
    if stream.fingerprint in desired.denied:
        return "revoked"
    if stream.not_after is not None and at > stream.not_after:
        return "expired"
    return None
