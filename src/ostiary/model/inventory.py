"""What can be asked of the inventory of certificates, besides equality of their fields."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from ostiary.model.fields import Data
from ostiary.model.query import Query

Status = Literal["VALID", "EXPIRED", "NOT_YET_VALID", "REVOKED", "ON_HOLD"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


@dataclass(frozen=True)
class Wanted:
    """Which certificates; all that is given must hold. `at` is the moment that statuses are told for.

    `search` are words, each of which must be somewhere in the subject, the other names, the name or the owner, or be the
    beginning of the serial number or of the SHA-256 fingerprint. `authority_id` stands for all that issue under its name.
    """

    query: Query
    at: datetime
    status: Status | None = None
    search: tuple[str, ...] = ()
    authority_id: str | None = None
    serial: str | None = None
    fingerprint_sha256: str | None = None
    expires_before: datetime | None = None
    expires_after: datetime | None = None
    seen_before: datetime | None = None
    """Last seen before this time, or never."""
    seen_after: datetime | None = None


class Expiring(Data):
    """How many of each kind end in one week, which begins at `week`."""

    week: datetime
    clients: int
    servers: int
    authorities: int
