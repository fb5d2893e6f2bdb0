"""A review: somebody looked at who has access, or at who was refused, or at what is excepted, and signed that off."""

from datetime import timedelta
from typing import Annotated, Final, Literal, get_args

from pydantic import AwareDatetime, StringConstraints

from ostiary.model.fields import Data, Text, setting
from ostiary.model.resource import Resource

Subject = Literal["access", "refusals", "exceptions"]
SUBJECTS: Final[tuple[Subject, ...]] = get_args(Subject)
# Standards ask for a review each quarter (COMPLIANCE.md): the longest of them has 92 days.
QUARTER: Final = timedelta(days=92)
LONGEST_PERIOD: Final = timedelta(days=3660)

Words = Annotated[str, StringConstraints(max_length=10_000)]


class Seen(Data):
    """What there was to be looked at when a review was signed off: how many of each."""

    certificates: int
    listeners: int
    access_rules: int
    access_exceptions: int
    users: int
    access_tokens: int
    refusals: int


class Review(Resource):
    """What was looked at, by whom, and what was found. It is a fact: nobody changes or deletes it, and the record has it too."""

    subject: Subject = setting(
        description="What was looked at: who has access, who was refused, or what is excepted.", derived=True
    )
    since: AwareDatetime = setting(description="The beginning of the time that was looked at.", derived=True, label="From")
    until: AwareDatetime = setting(description="Its end.", derived=True, label="Until")
    note: Words = setting("", "What was looked at and how.", derived=True)
    findings: Words = setting("", "What was found, and what follows from it.", derived=True, label="Findings")
    reviewed_by: Text = setting(description="Who signed it off.", derived=True, label="Signed off by")
    role: Text = setting("", "What they were allowed to do.", derived=True)
    at_revision: int = setting(
        0, "The revision of the configuration that they looked at.", derived=True, label="Looked at revision"
    )
    at_entry: int = setting(0, "The last entry of the record at that time.", derived=True, label="Last entry of the record then")
    at_hash: str = setting("", "The hash of that entry.", derived=True, label="Hash of that entry")
    seen: Seen = setting(description="What there was to be looked at.", derived=True, label="What there was")


class NewReview(Data):
    """What a caller says to sign a review off. Who they are, and what there was to be looked at, is not theirs to say."""

    subject: Subject = setting("access", "Who has access, who was refused, or what is excepted.", label="What was looked at")
    since: AwareDatetime = setting(description="The beginning of the time that was looked at.", label="From")
    until: AwareDatetime = setting(description="Its end.", label="Until")
    note: Words = setting("", "What was looked at and how: which lists, with whom.", label="Note")
    findings: Words = setting(
        "", "What was found, and what follows from it; leave it empty where all is in order.", label="Findings"
    )


class Due(Data):
    """How it stands with the reviews of one subject. `is_due`: the last one is longer ago than a quarter, or there was none."""

    subject: Subject
    last: Review | None
    is_due: bool
