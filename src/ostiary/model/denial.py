"""Who was refused and why: what gateways tell, summed up, and what is kept of it."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from ostiary.model.fields import Data
from ostiary.model.told import ADDRESSES, LONGEST_CERTIFICATE, Stage

MOST: Final = 20_000  # rows that are kept; of what is older, the counts stay and who it was goes
LONGEST_KEPT: Final = timedelta(days=30)
SPAN: Final = timedelta(hours=1)  # what is alike within it is one row
OF_A_KIND: Final = 500  # rows of one listener, stage and code within that time; the rest is one sum without names
REFERENCES: Final = 64  # of the last refusals in one row, for looking up what a client was told

Words = Annotated[str, StringConstraints(max_length=1024)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")]
Address = Annotated[str, StringConstraints(max_length=64)]
# When the refused request began, in milliseconds since 1970: what the client was shown.
Reference = Annotated[int, Field(ge=0, lt=2**53)]


class Example(Data):
    """One of the refusals that a sum is made of: the last that is known of it."""

    client: Address = ""
    fingerprint_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    serial: Address = ""
    subject: Words = ""
    sans: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    host: Words = ""
    method: Address = ""
    path: Words = ""  # without the query


class Refusals(Data):
    """What one gateway refused for one reason to one client, within some time. `who` is empty where that was too many clients.

    `certificate` is PEM, where the handshake told it. In a rehearsal nobody was refused: `code` is what would have become of the
    client, `trust_revision` the listener's, and `count` is 0 while all that it asked for goes on.
    """

    listener_id: Annotated[str, StringConstraints(min_length=1, max_length=36)]
    stage: Stage
    code: Code
    rule_id: Annotated[str, StringConstraints(max_length=36)] = ""
    who: Annotated[str, StringConstraints(max_length=80)] = ""
    first: datetime
    last: datetime
    count: Annotated[int, Field(ge=0)]
    trust_revision: Annotated[int, Field(ge=0)] = 0
    addresses: Annotated[tuple[Address, ...], Field(max_length=ADDRESSES)] = ()
    references: Annotated[tuple[Reference, ...], Field(max_length=REFERENCES)] = ()
    example: Example = Example()
    certificate: Annotated[str, StringConstraints(max_length=LONGEST_CERTIFICATE)] = ""


class Denial(Data):
    """What was refused for one reason to one client within an hour, as all gateways together told it.

    `example` is None where it is a sum without names. `certificate_id` is there when we issued what was shown.
    """

    id: str
    listener_id: str
    listener_name: str | None
    stage: str
    code: str
    rule_id: str | None
    first: datetime
    last: datetime
    count: int
    addresses: tuple[str, ...]
    references: tuple[int, ...]
    example: Example | None
    certificate_id: str | None
    certificate: str | None


class DenialQuery(Data):
    """Which denials, last first. Failures that are no certificate's fault (`tls_failed`) only when asked for by that code.

    `search` are words, each of which is in the subject that was shown, or begins the serial number or the fingerprint.
    `marker` is the last one of the page before.
    """

    listener_id: str | None = None
    code: str | None = None
    stage: str | None = None
    rule_id: str | None = None
    fingerprint_sha256: str | None = None
    serial: str | None = None
    client: str | None = None
    search: tuple[str, ...] = ()
    reference: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 1000
    marker: tuple[datetime, str] | None = None


class Total(Data):
    """How many refusals of one kind there were since ever; `kept` of them are on record by client."""

    listener_id: str
    stage: str
    code: str
    count: int
