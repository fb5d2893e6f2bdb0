"""What a caller asks the record for."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class AuditSearch:
    """Which entries of the record: those that fit all that is given. `since` is included, `until` is not."""

    actor: str | None = None
    action: str | None = None
    resource_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
