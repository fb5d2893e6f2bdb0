"""What pages have in common on which somebody decides: the words that go with it, and how it is told when that is not taken."""

from typing import Final

from ostiary.console.visit import Visit
from ostiary.errors import Conflict, Denied, Invalid, Refusal

_REASON_MAX: Final = 255
_STATUSES: Final = ((Invalid, 422), (Conflict, 409), (Denied, 403))


def reason(visit: Visit, field: str = "reason") -> str:
    """What was typed there. Raises `Invalid` for what is too long."""
    typed = visit.form.text(field)
    if len(typed) > _REASON_MAX:
        raise Invalid(field, f"must not be longer than {_REASON_MAX} characters")
    return typed


def status(error: Refusal | None) -> int:
    """That of the page which says so."""
    return next((code for kind, code in _STATUSES if isinstance(error, kind)), 200)


def words(visit: Visit, error: Refusal | None) -> str:
    """Why it was not taken, in the reader's words; the field it is about is beside it anyway."""
    if error is None:
        return ""
    return visit.say(error.message if isinstance(error, Invalid | Conflict) else str(error))
