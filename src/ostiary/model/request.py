"""A certificate request that waits for people to agree."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.authority import RequestedNames
from ostiary.model.fields import Data, Text, setting
from ostiary.model.resource import Resource

RequestStatus = Literal["PENDING", "ISSUED", "REFUSED"]


class Decision(Data):
    """What one person said of it."""

    by: Text
    at: datetime
    approved: bool
    reason: Text = ""


class CertificateRequest(Resource):
    """Who asks for which certificate and why, and what was decided. Nothing is signed before enough people agreed."""

    status: RequestStatus = setting("PENDING", "Whether it waits, or how it ended.", derived=True)
    requested_by: Text = setting(description="Who asked.", derived=True, label="Asked for by")
    justification: Text = setting("", "Why the certificate is needed.", fixed=True)
    approvals_needed: int = setting(description="How many others must agree.", derived=True, label="Approvals needed")
    decisions: tuple[Decision, ...] = setting((), "Who agreed or refused, and why.", derived=True, label="Decisions")
    expires_at: datetime = setting(description="When it lapses if nobody decides.", derived=True, label="Lapses")
    certificate_id: str | None = setting(None, "The certificate it became.", derived=True)

    authority_id: str = setting(description="The authority that is to sign.", fixed=True)
    profile: Text = setting(description="What kind of certificate it is to be.", fixed=True)
    csr: str = setting(description="The PKCS#10 request, PEM.", fixed=True)
    key_sha256: str = setting(description="SHA-256 of the key it is for, hexadecimal.", derived=True, label="SHA-256 of the key")
    asked_for: tuple[str, ...] = setting(
        (), "The names it is to carry, as they will be in the certificate.", derived=True, label="Names asked for"
    )
    names: RequestedNames | None = setting(None, "The names asked for; empty takes those of the request.", fixed=True)
    lifetime: Annotated[timedelta, Field(gt=timedelta(0))] | None = setting(None, "How long it is to be valid.", fixed=True)
    owner: Text = setting("", "Who will hold it.", fixed=True)
    groups: Annotated[tuple[Text, ...], Field(max_length=100)] = setting((), "Groups it is to belong to.", fixed=True)

    def approvals(self) -> int:
        """How many agreed so far."""
        return sum(decision.approved for decision in self.decisions)


class Decide(Data):
    """What a caller says to approve or refuse a request."""

    reason: Text = setting("", "Why; needed to refuse.", label="Reason")
