"""Tokens: a grant to enrol one certificate or a few, and a key to the API for one person or program."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from ostiary.model.authority import RequestedNames
from ostiary.model.fields import Data, Text, setting
from ostiary.model.resource import Resource

TokenKind = Literal["enrolment", "access"]
Role = Literal["admin", "operator", "auditor"]
TokenRole = Literal["admin", "operator", "auditor", "monitor"]  # the last is a program's: it reads the metrics and nothing else
Lifetime = Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=366))]

# How long a token is good for when nobody says: a grant is handed over and used, access is renewed with the seasons.
GRANT_LIFETIME: Final = timedelta(hours=1)
ACCESS_LIFETIME: Final = timedelta(days=90)


class Use(Data):
    """One certificate that a grant was used for, and the key that is in it."""

    key_sha256: str = setting(label="SHA-256 of the key")
    certificate_id: str


class Token(Resource):
    """What is known of a token. Its secret was shown once and is not here; the store finds the token by the secret's SHA-256."""

    kind: TokenKind = setting("enrolment", "Whether it enrols certificates or opens the API.", derived=True)
    created_by: Text = setting("", "Who made it.", derived=True)
    expires_at: datetime = setting(description="Until when it is good.", derived=True, label="Expires")

    role: TokenRole | None = setting(None, "What may be done with it; of access only.", derived=True)

    authority_id: str | None = setting(None, "The authority that is to sign.", derived=True)
    profile: Text = setting("", "What kind of certificate it is good for.", derived=True)
    names: RequestedNames | None = setting(None, "The names of the certificate, whatever the request says.", derived=True)
    owner: Text = setting("", "Who will hold the certificate.", derived=True)
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it is to belong to.", derived=True)
    lifetime: timedelta | None = setting(
        None, "How long the certificate is to be valid; null is the profile's own.", derived=True
    )
    uses: int = setting(0, "How many certificates it is good for.", derived=True, label="How many certificates")
    let_in_by: tuple[Text, ...] = setting((), "Whoever made it, and who let them in.", derived=True, label="Let in by")
    break_glass_id: str | None = setting(None, "The emergency in which it was made.", derived=True, label="Made in an emergency")
    used_for: tuple[Use, ...] = setting((), "The certificates it was used for.", derived=True, label="Used for")

    @property
    def uses_left(self) -> int:
        """How many certificates may still be had with it."""
        return max(0, self.uses - len(self.used_for))


class NewToken(Data):
    """What a caller says to have a token made: a grant to enrol, or with `role` a key to the API."""

    name: Text = setting("", "A name for people; of access, who or what it is for, as the record will call them.")
    project_id: Text = setting("", "The project that owns it.")
    role: TokenRole | None = setting(None, "Makes it a key to the API: admin, operator, auditor or monitor.")
    expires_in: Lifetime | None = setting(
        None,
        "How long it is good, an ISO 8601 duration such as PT1H; empty is an hour for a grant and 90 days for access.",
        label="Good for",
    )
    authority_id: Annotated[str, Field(max_length=255)] = setting("", "The authority that is to sign.", label="Signed by")
    profile: Text = setting("device", "What kind of certificate it is good for.")
    names: RequestedNames | None = setting(None, "The names of the certificate; those of the request are not looked at.")
    owner: Text = setting("", "Who will hold the certificate; empty is its first name.", label="Holder")
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it is to belong to.")
    lifetime: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=36_500))] | None = setting(
        None, "How long the certificate is to be valid; empty is the profile's own."
    )
    uses: Annotated[int, Field(ge=1, le=1000)] = setting(
        1, "How many certificates it is good for.", label="Number of certificates"
    )

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> "NewToken":
        of_grants = {"authority_id", "profile", "names", "owner", "groups", "lifetime", "uses"} & self.model_fields_set
        if self.role is not None and of_grants:
            raise ValueError(f"a token with a role opens the API and enrols nothing; leave out {', '.join(sorted(of_grants))}")
        return self
