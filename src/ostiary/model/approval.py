"""What another person has to agree to before it is done, and what an administrator does without that in an emergency."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from ostiary.model.fields import Data, Text, setting
from ostiary.model.resource import Resource

# APPROVALS are these decisions themselves: whoever could end them alone would need nobody.
ApprovalKind = Literal["CLIENT_CA", "LOWER_PROTECTION", "MASS_REVOCATION", "KEY_EXPORT", "NEW_PERSON", "APPROVALS"]
# What may be chosen in the settings; the last kind of above goes with any of them.
ChosenKind = Literal["CLIENT_CA", "LOWER_PROTECTION", "MASS_REVOCATION", "KEY_EXPORT", "NEW_PERSON"]
ApprovalStatus = Literal["PENDING", "GRANTED", "DONE", "REFUSED", "WITHDRAWN", "LAPSED", "OVERTAKEN"]
BreakGlassState = Literal["OPEN", "ENDED", "REVIEWED"]

WAITS: Final = timedelta(days=7)  # for somebody to decide
GRANT: Final = timedelta(hours=24)  # for whoever asked to send once more what nobody else can send for them
LONGEST_BREAK: Final = timedelta(hours=4)
CHANGES_SHOWN: Final = 200  # changes of one approval that are kept to be looked at; its fingerprint covers all

Justification = Annotated[Text, StringConstraints(strip_whitespace=True)]


class ChangedThing(Data):
    """One resource before and after, as the record would tell it."""

    kind: str
    resource_id: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class Why(Data):
    """One reason why another person has to agree: which kind of thing it is, and about what."""

    kind: ApprovalKind
    code: str
    about: str = ""
    more: str = ""
    listener_id: str = ""
    count: int | None = None


class Approval(Resource):
    """Somebody asked for something that another person has to agree to. Nothing of it is done before."""

    status: ApprovalStatus = setting("PENDING", "Whether it waits, or how it ended.", derived=True)
    kinds: tuple[ApprovalKind, ...] = setting((), "Why another person has to agree.", derived=True, label="Because of")
    action: Text = setting(description="What was asked for, as the record calls it.", derived=True)
    deed: Text = setting(description="The use case, as it is called.", derived=True)
    arguments: dict[str, Any] = setting({}, "What was asked for exactly; what is secret is not in it.", derived=True)
    digest: str = setting(
        "", "SHA-256 of action, arguments and of what it would change, hexadecimal.", derived=True, label="SHA-256 of the request"
    )
    fingerprint: str = setting("", "SHA-256 of what it would change, hexadecimal.", derived=True)
    base_revision: int = setting(0, "The revision that whoever asked had before them.", derived=True, label="Asked at revision")
    repeats: bool = setting(
        False,
        "Whether whoever asked sends it once more when it is granted, because only they may have the answer, or know what is "
        "secret in it.",
        derived=True,
        label="To be sent once more",
    )
    reasons: tuple[Why, ...] = setting((), "Why, one by one.", derived=True)
    changes: tuple[ChangedThing, ...] = setting((), "What it would change.", derived=True)
    more_changes: int = setting(0, "How many more things it would change.", derived=True)

    requested_by: Text = setting(description="Who asked.", derived=True, label="Asked for by")
    requested_role: Text = setting(description="Their role.", derived=True, label="Role")
    source: Text = setting("", "The address they came from.", derived=True, label="From")
    hands: tuple[Text, ...] = setting((), "Who let them in: none of these may decide.", derived=True, label="Let in by")
    justification: Justification = setting("", "Why it is needed.", derived=True)
    expires_at: datetime = setting(description="When it lapses.", derived=True, label="Lapses")

    decided_by: Text = setting("", "Who decided.", derived=True, label="Decided by")
    decided_at: datetime | None = setting(None, "When.", derived=True, label="Decided")
    reason: str = setting("", "What they said of it, or what was in the way.", derived=True, max_length=2000)


class BreakGlass(Resource):
    """An emergency: one administrator does without others' approval, for a bounded time, and everybody is told."""

    state: BreakGlassState = setting("OPEN", "Whether it is open, ended, or ended and looked at.", derived=True)
    begun_by: Text = setting(description="Who began it, and whom alone it lets do things.", derived=True, label="Begun by")
    source: Text = setting("", "The address they came from.", derived=True, label="From")
    reason: Annotated[Text, StringConstraints(min_length=1)] = setting(description="Why.", derived=True)
    hands: tuple[Text, ...] = setting((), "Who let them in: none of these may sign it off.", derived=True, label="Let in by")
    begun_at: datetime = setting(description="When it began.", derived=True, label="Begun")
    ends_at: datetime = setting(description="When it ends by itself.", derived=True, label="Ends")
    ended_at: datetime | None = setting(None, "When it ended.", derived=True, label="Ended")
    ended_by: Text = setting("", "Who ended it.", derived=True, label="Ended by")
    uses: int = setting(0, "How many things were done under it.", derived=True, label="Times used")
    reviewed_by: Text = setting("", "Who looked at it afterwards.", derived=True, label="Signed off by")
    reviewed_at: datetime | None = setting(None, "When.", derived=True, label="Signed off")
    review: Text = setting("", "What they said of it.", derived=True, label="What they said")


class DecideApproval(Data):
    """What a caller says to approve, refuse or withdraw."""

    reason: Justification = setting("", "Why; needed to refuse.", label="Reason")


class Justify(Data):
    """What whoever asked says of why it is needed."""

    justification: Annotated[Justification, StringConstraints(min_length=1)] = setting(
        description="Why it is needed.", label="Why it is needed"
    )


class NewBreakGlass(Data):
    """What a caller says to do without approvals."""

    reason: Annotated[Justification, StringConstraints(min_length=1)] = setting(
        description="Why it cannot wait. Everybody reads it, and it stays on record.", label="Why it cannot wait"
    )
    minutes: Annotated[int, Field(ge=1, le=LONGEST_BREAK // timedelta(minutes=1))] = setting(
        30, "After how long it ends by itself.", unit="min", label="Ends after"
    )


class ReviewBreakGlass(Data):
    """What a caller says to sign it off."""

    review: Annotated[Justification, StringConstraints(min_length=1)] = setting(
        description="What was done, and whether it was right.", label="What you found"
    )
