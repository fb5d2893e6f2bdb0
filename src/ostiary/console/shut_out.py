"""The question before rules become others: whom would they shut out? Asked once more only if what is to be done is another."""

import hashlib
from dataclasses import dataclass
from typing import Final

from ostiary.console.visit import Visit
from ostiary.errors import Invalid
from ostiary.model.what_if import Trial
from ostiary.ops import what_if
from ostiary.ops.what_if import Shut

SURE: Final = "sure"


@dataclass(frozen=True)
class Gate:
    """Whom it would shut out, None where that cannot be known; `seal` is what a form sends back that was shown it."""

    shut: Shut | None
    seal: str
    is_open: bool


def gate(visit: Visit, trial: Trial) -> Gate:
    """Open where it shuts out nobody who is known, and for who was shown whom it does. Raises `Invalid` for what cannot be."""
    seal = hashlib.sha256(trial.model_dump_json().encode()).hexdigest()
    shut = _shut(visit, trial)
    return Gate(shut, seal, not (shut and shut.refused) or visit.form.text(SURE) == seal)


def _shut(visit: Visit, trial: Trial) -> Shut | None:
    if not visit.can("client:read"):
        return None
    try:
        return what_if.shut_out(visit.system, visit.caller, trial)
    except Invalid as error:
        if error.field == "listener_id":
            return None  # out of service: it serves nobody now
        raise
