"""What a rehearsal found: who would have been refused, why, and who would not."""

from datetime import datetime, timedelta
from typing import Final, Literal

from ostiary.model.denial import Example
from ostiary.model.fields import Data

LATELY: Final = timedelta(hours=24)
MOST: Final = 100_000  # rows that are kept, of all rehearsals
OF_A_LISTENER: Final = 10_000  # rows of those who would be let in, and as many of the others; the rest is a sum without names
LONGEST_KEPT: Final = timedelta(days=90)

# Of all of a listener, or of single rules, which are marked `shadow`.
Scope = Literal["LISTENER", "RULES"]


class Scene(Data):
    """What is rehearsed at a listener: what was told under this `trust_revision` (0: of rules alone) since that time."""

    listener_id: str
    trust_revision: int
    since: datetime


class WouldBe(Data):
    """What would have become of one client. `example` is None where it is a sum over many clients.

    `certificate_id` is there when we issued what was shown; `certificate` is PEM, where the handshake would have refused it. `id`
    tells it from others, for going on after it.
    """

    id: str
    code: str
    rule_id: str | None
    first: datetime
    last: datetime
    count: int
    addresses: tuple[str, ...]
    example: Example | None
    certificate_id: str | None
    certificate: str | None


class Reason(Data):
    """How many clients, and how many of their requests, would have been refused or let in by one reason."""

    code: str
    rule_id: str | None
    clients: int
    requests: int
    last: datetime


class Totals(Data):
    """How many clients came and how many of them would have been refused something; and their requests.

    `unnamed` are requests of clients that were too many to tell them apart.
    """

    clients: int = 0
    refused_clients: int = 0
    requests: int = 0
    refused_requests: int = 0
    unnamed: int = 0
    last_refused: datetime | None = None


class Lately(Data):
    """What was found in the last 24 hours, or since the rehearsal began where that is later; `some` would be refused."""

    since: datetime
    totals: Totals
    some: tuple[WouldBe, ...]


class RehearsedRule(Data):
    """What one rule would have decided. `since` is when it was made."""

    rule_id: str
    name: str
    action: str
    shadow: bool
    since: datetime
    refused: Reason | None
    allowed: Reason | None


class Rehearsal(Data):
    """What goes on at a listener that rehearses."""

    listener_id: str
    listener_name: str
    scope: Scope
    since: datetime
    totals: Totals
    lately: Lately


class Report(Data):
    """All that a rehearsal found. `refused` are the last ones; `more` says whether there are others."""

    rehearsal: Rehearsal
    reasons: tuple[Reason, ...]
    rules: tuple[RehearsedRule, ...]
    refused: tuple[WouldBe, ...]
    more: bool
    names: dict[str, str]  # of rules, by id


class Preview(Data):
    """Whom a change would shut out, of those who came in the last 24 hours. None is what nobody knows; `notes` say why."""

    since: datetime
    clients: int | None
    refused: int | None
    some: tuple[WouldBe, ...]
    notes: tuple[str, ...]
    names: dict[str, str]
