"""Who was let in: a certificate at a listener, when, how often and from where."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from ostiary.model.fields import Data

ADDRESSES: Final = 64  # of one client; that there are more than a few is what matters

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Told = Annotated[str, StringConstraints(max_length=4096)]


class Sighting(Data):
    """What one gateway saw of one certificate at one listener, within some time. Names are as the gateway read them."""

    fingerprint_sha256: Fingerprint
    listener_id: Annotated[str, StringConstraints(min_length=1, max_length=36)]
    serial: Annotated[str, StringConstraints(max_length=64)] = ""
    subject: Told = ""
    issuer: Told = ""
    not_after: datetime | None = None
    first_seen: datetime
    last_seen: datetime
    requests: Annotated[int, Field(ge=0)] = 0
    addresses: Annotated[tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(max_length=ADDRESSES)] = ()


class Client(Data):
    """A certificate at a listener, as all gateways together saw it. `certificate_id` is there when we issued it."""

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


class ClientQuery(Data):
    """Which clients, last seen first. `marker` is the last one of the page before."""

    listener_id: str | None = None
    fingerprint_sha256: str | None = None
    certificate_id: str | None = None
    seen_after: datetime | None = None
    seen_before: datetime | None = None
    limit: int = 1000
    marker: tuple[datetime, str, str] | None = None
