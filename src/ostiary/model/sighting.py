"""Who was let in: a certificate at a listener, when, how often and from where."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, model_validator

from ostiary.model.fields import Data
from ostiary.model.told import place

ADDRESSES: Final = 64  # of one client, the last ones; that there are more than a few is what matters
# One certificate that is used from more places than this within a day may have been copied.
MANY_ADDRESSES: Final = 5
MANY_WITHIN: Final = timedelta(hours=24)

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Told = Annotated[str, StringConstraints(max_length=4096)]


class Sighting(Data):
    """What one gateway saw of one certificate at one listener, within some time. Names are as the gateway read them.

    `addresses` are places (`place`) with the time each was last seen; `more_addresses` were seen besides.
    """

    fingerprint_sha256: Fingerprint
    listener_id: Annotated[str, StringConstraints(min_length=1, max_length=36)]
    serial: Annotated[str, StringConstraints(max_length=64)] = ""
    subject: Told = ""
    issuer: Told = ""
    not_after: datetime | None = None
    first_seen: datetime
    last_seen: datetime
    requests: Annotated[int, Field(ge=0)] = 0
    addresses: Annotated[
        dict[Annotated[str, StringConstraints(max_length=64)], datetime], Field(default_factory=dict, max_length=ADDRESSES)
    ]
    more_addresses: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _without_times(cls, told: Any) -> Any:
        """A keeper of before told addresses without their times."""
        if isinstance(told, Mapping) and isinstance(told.get("addresses"), list | tuple):
            return {**told, "addresses": {place(str(one)): told.get("last_seen") for one in told["addresses"]}}
        return told


class Client(Data):
    """A certificate at a listener, as all gateways together saw it. `certificate_id` is there when we issued it.

    `addresses` are the last ones; `address_count` is how many there were, as far as is known: one that was forgotten long ago and
    comes back counts again. `many_addresses`: the certificate was used from more than `MANY_ADDRESSES` within `MANY_WITHIN`.
    """

    fingerprint_sha256: str
    certificate_id: str | None
    subject: str
    issuer: str
    serial: str
    not_after: datetime | None
    listener_id: str
    first_seen: datetime
    last_seen: datetime
    requests: int
    addresses: tuple[str, ...]
    address_count: int
    many_addresses: bool


class ClientQuery(Data):
    """Which clients, last seen first. `marker` is the last one of the page before.

    `search` are words, each of which is in the subject, or begins the serial number or the fingerprint.
    """

    listener_id: str | None = None
    fingerprint_sha256: str | None = None
    certificate_id: str | None = None
    seen_after: datetime | None = None
    seen_before: datetime | None = None
    many_addresses: bool | None = None
    search: tuple[str, ...] = ()
    limit: int = 1000
    marker: tuple[datetime, str, str] | None = None
