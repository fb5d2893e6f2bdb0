"""What-if: a request that nobody made, and rules that are not in force. Nothing is changed by asking."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from ostiary.model.access import AccessRule
from ostiary.model.explanation import ExplainRequest, Id
from ostiary.model.fields import Data, setting


class Trial(Data):
    """Rules to try on a listener: those in force, without some, and with one more; or others in their place."""

    listener_id: Id = setting(description="The listener.")
    rules: Annotated[tuple[AccessRule, ...], Field(max_length=500)] | None = setting(
        None, "Rules to try in place of those that the listener has; none is as if it had no rules."
    )
    rule: AccessRule | None = setting(None, "One rule more to try, at its position or at the end.")
    without: Annotated[tuple[Id, ...], Field(max_length=500)] = setting((), "Ids of rules to leave out.")


class WhatIf(Trial, ExplainRequest):
    """A request to try."""


class Visitor(Data):
    """A certificate that was let in lately. `certificate` is empty where no gateway told it."""

    fingerprint_sha256: str
    certificate_id: str | None
    subject: str
    owner: str
    last_seen: datetime
    certificate: str
    groups: tuple[str, ...] = ()
    profile: str = ""
