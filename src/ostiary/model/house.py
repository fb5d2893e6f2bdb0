"""What people decide about this ostiary as a whole while it runs. How it is started is in `ostiary.settings`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from ostiary.model.approval import ChosenKind
from ostiary.model.fields import Text, setting
from ostiary.model.resource import Resource


def _falling(days: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(days), reverse=True))


def _each_once(kinds: tuple[ChosenKind, ...]) -> tuple[ChosenKind, ...]:
    return tuple(dict.fromkeys(kinds))


class HouseSettings(Resource):
    """There is one. Each field is in its form, its command and its API by its own metadata."""

    name: Text = setting("settings", "A name for people.", derived=True)
    project_id: Text = setting("", "The project that owns it.", derived=True)
    audit_retention_days: int = setting(
        400,
        "Older entries are removed from the audit record; that nothing else is missing stays provable. Standards ask for a year.",
        label="The audit record is kept for",
        group="record",
        unit="days",
        ge=30,
        le=36_500,
    )
    approval_needed_for: Annotated[tuple[ChosenKind, ...], AfterValidator(_each_once)] = setting(
        (),
        "What is done only when another person has agreed: CLIENT_CA, LOWER_PROTECTION, MASS_REVOCATION, KEY_EXPORT, NEW_PERSON. "
        "To take one away again needs that too.",
        label="Another person must agree to",
        group="approvals",
        max_length=5,
    )
    mass_revocation_threshold: int = setting(
        10,
        "Another person must agree to more revocations than this, at once or by one person within an hour.",
        label="Mass revocation is more than",
        group="approvals",
        unit="certificates",
        ge=1,
        le=100_000,
    )
    warn_days: Annotated[tuple[Annotated[int, Field(ge=1, le=400)], ...], AfterValidator(_falling)] = setting(
        (60, 30, 14, 7, 1),
        "So many days before something ends people are warned: once at each, and when it has ended.",
        label="Warn before something ends",
        group="watch",
        unit="days",
        min_length=1,
        max_length=10,
    )
