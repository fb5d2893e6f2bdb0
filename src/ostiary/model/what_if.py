"""What-if: a request that nobody made, and rules that are not in force. Nothing is changed by asking."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from ostiary.model.access import AccessRule, Id, Method
from ostiary.model.fields import Data, IPAddress, setting

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$", to_lower=True)]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[ -~]{0,1024}$")]


class Trial(Data):
    """Rules to try on a listener: those in force, without some, and with one more; or others in their place."""

    listener_id: Id = setting(description="The listener.")
    rules: Annotated[tuple[AccessRule, ...], Field(max_length=500)] | None = setting(
        None, "Rules to try in place of those that the listener has; none is as if it had no rules."
    )
    rule: AccessRule | None = setting(None, "One rule more to try, at its position or at the end.")
    without: Annotated[tuple[Id, ...], Field(max_length=500)] = setting((), "Ids of rules to leave out.")


class WhatIf(Trial):
    """A request to try."""

    certificate: Annotated[str, StringConstraints(max_length=65_536)] | None = setting(
        None, "What the client shows, PEM, with the chain it sends; null is none."
    )
    certificate_id: Id | None = setting(None, "The same by id, where the certificate is on record here.")
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:\[\]-]{0,255}$")] = setting("", "The host that is asked for.")
    path: Annotated[str, StringConstraints(pattern=r"^/[!-~]{0,4095}$")] = setting("/", "The path, with its query.")
    method: Method = setting("GET", "The HTTP method.")
    source: IPAddress = setting("127.0.0.1", "Where the client comes from.")
    headers: Annotated[dict[HeaderName, HeaderText], Field(max_length=20)] = setting(
        {}, "Headers that exceptions look at: origin, access-control-request-method."
    )
    at: AwareDatetime | None = setting(None, "When; empty is now.")


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
