"""Revocation: why a certificate is no longer good, and the lists that say so."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from ostiary.model.fields import Data, Text, setting

# RFC 5280 5.3.1. `removeFromCRL` is not among them: it releases what was on hold.
Reason = Literal[
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
    "aACompromise",
]
HOLD: Final = "certificateHold"
RELEASED: Final = "removeFromCRL"

# A list that was set aside has ended, and its authority's clients are let in without one (model.status_check): no engine gets it.
ListKind = Literal["complete", "delta", "set_aside"]
ListSource = Literal["signed", "uploaded", "fetched"]


class Revoke(Data):
    """What a caller says to revoke a certificate, put it on hold (`certificateHold`) or release it (`removeFromCRL`)."""

    reason: Reason | Literal["removeFromCRL"] = setting("unspecified", "Why, as RFC 5280 names it.")
    invalidity_date: datetime | None = setting(
        None, "Since when its key is not to be trusted, where that is known.", label="Key not to be trusted since"
    )


class Matching(Data):
    """Which certificates to revoke together. At least one must be given."""

    authority_id: Annotated[str, Field(max_length=255)] | None = setting(None, "Those of this authority.", label="CA certificate")
    owner: Text | None = setting(None, "Those of this owner.", label="Holder")
    group: Text | None = setting(None, "Those in this group.")
    profile: Text | None = setting(None, "Those of this profile.")
    issued_after: datetime | None = setting(None, "Those issued at this time or later.")
    issued_before: datetime | None = setting(None, "Those issued before this time.")


@dataclass(frozen=True)
class Revocation:
    """One certificate that its authority no longer stands by. `entry` is how a revocation list writes it, DER."""

    authority_id: str
    serial: str
    sequence: int
    fingerprint_sha256: str
    revoked_at: datetime
    reason: str
    invalidity_date: datetime | None
    expires_at: datetime
    entry: bytes


@dataclass(frozen=True)
class RevocationList:
    """A list as it was signed, uploaded or fetched. `sequence` is the last revocation it takes account of."""

    authority_id: str
    kind: ListKind
    number: int
    this_update: datetime
    next_update: datetime
    sequence: int
    entries: int
    source: ListSource
    der: bytes
    url: str | None = None
    base_number: int | None = None
    base_sequence: int | None = None

    @property
    def half_life(self) -> datetime:
        """When it should be replaced: long before it ends."""
        return self.this_update + (self.next_update - self.this_update) / 2

    def fresh(self, at: datetime, margin: timedelta = timedelta(0)) -> bool:
        """Whether it still holds at this time, and for `margin` after it."""
        return self.this_update <= at < self.next_update - margin
