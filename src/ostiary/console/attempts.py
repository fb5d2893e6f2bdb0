"""To change something; and what its form shows where that cannot be done as it was sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary.console import differences, forms
from ostiary.console.differences import Change
from ostiary.console.forms import Wrong
from ostiary.console.visit import Visit
from ostiary.errors import Conflict, Invalid, Overtaken
from ostiary.model.resource import Resource


@dataclass(frozen=True)
class Attempt:
    """How it went: `status` of the page, what was made, by field what is wrong, and what somebody else changed meanwhile."""

    status: int = 200
    made: Any = None
    errors: Mapping[str, str] = field(default_factory=dict)
    meanwhile: Mapping[str, Any] | None = None

    @property
    def is_done(self) -> bool:
        """Whether it was done."""
        return self.status == 200

    def seen(self, visit: Visit, thing: Resource) -> int:
        """The revision that the form is of when it is shown once more: what is wrong with it hides nothing that others did."""
        return thing.revision if self.meanwhile is not None else visit.form.seen(thing.revision)


NOT_YET: Final = Attempt()  # of a form that was not sent


def attempt(visit: Visit, kind: str, do: Callable[[], object]) -> Attempt:
    """Do it. Of what others changed in the meantime, the settings are named as those of this kind of thing."""
    try:
        return Attempt(made=do())
    except Overtaken as overtaken:
        # The page knows then what they did: sent once more, it is a decision and not an accident.
        return Attempt(409, meanwhile=told(visit, kind, overtaken))
    except (Invalid, Conflict, Wrong) as error:
        return Attempt(422, errors=forms.wrong(visit, error))


def told(visit: Visit, kind: str, overtaken: Overtaken) -> dict[str, Any]:
    """Who it was, and each setting as people call it, as it was and as it is."""
    before = {name: was for name, (was, _now) in overtaken.changes.items()}
    after = {name: now for name, (_was, now) in overtaken.changes.items()}
    (it,) = differences.told(visit, [Change(kind, "", before, after)])
    return {"actor": overtaken.actor, "rows": it.rows}
