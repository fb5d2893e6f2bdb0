"""Long streams that are open at gateways: which of them may not go on, by the same rules as a new request."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from ostiary.access import members
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import judge
from ostiary.access.policy import Policy, policy
from ostiary.envoy.house_doors import as_listener
from ostiary.model.desired import Desired
from ostiary.model.fields import IPAddress
from ostiary.model.roster import Roster
from ostiary.ops.system import System

_MALFORMED: Final = "malformed"
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

Told = Annotated[str, StringConstraints(max_length=1024)]


class Stream(BaseModel):
    """A request that goes on, as its gateway tells of it; what newer gateways tell besides is left out."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    listener: Annotated[str, StringConstraints(max_length=36)]
    client: IPAddress
    authority: Told = ""
    path: Told = "/"
    method: Told = "GET"
    sni: Told = ""
    trust_revision: int | None = None
    fingerprint: Told = ""
    issuer_fingerprint: Told = ""
    serial: Told = ""
    subject: Told = ""
    san_dns: Told = ""
    san_uri: Told = ""
    san_email: Told = ""
    not_after: datetime = _NEVER


def to_end(system: System, told: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """Which of these may not go on, each with its reason code: by what was last published, as of now.

    One that makes no sense may not.
    """
    wanted = system.fleet.wanted
    if wanted is None:
        return {}
    desired, at = wanted.desired, system.clock()
    named = {one.get("listener") for one in told.values()}
    doors = (*desired.listeners, *map(as_listener, desired.doors))
    policies = {one.listener.id: policy(one, desired.denied, desired.retired) for one in doors if one.listener.id in named}
    why: dict[int, str] = {}
    for number, one in told.items():
        try:
            stream = Stream.model_validate(one)
        except ValidationError:
            why[number] = _MALFORMED
            continue
        reason = _refused(stream, desired, policies.get(stream.listener), at)
        if reason is not None:
            why[number] = reason
    return why


def _refused(stream: Stream, desired: Desired, its: Policy | None, at: datetime) -> str | None:
    """Why a stream may not go on; None if it may.

    A listener that is gone is closed by the gateway itself; of it, only the certificate is judged.
    """
    if its is None:
        if stream.fingerprint in desired.denied:
            return "revoked"
        return "expired" if at > stream.not_after else None
    verdict = judge(its, _request(stream, desired.roster, at))
    return None if verdict.decision.allowed else verdict.decision.code


def _request(stream: Stream, roster: Roster, at: datetime) -> Request:
    """As if it began now."""
    return Request(
        host=stream.authority,
        at=at,
        path=stream.path,
        method=stream.method,
        source=stream.client,
        sni=stream.sni,
        holder=_holder(stream, roster) if stream.fingerprint else None,
        trust_revision=stream.trust_revision,
    )


def _holder(stream: Stream, roster: Roster) -> Holder:
    return Holder(
        fingerprint=stream.fingerprint,
        issuer_fingerprint=stream.issuer_fingerprint,
        serial=stream.serial,
        subject=stream.subject,
        not_after=stream.not_after,
        dns=stream.san_dns,
        uri=stream.san_uri,
        email=stream.san_email,
        entry=roster.entry(stream.fingerprint) or members.entry((), ""),
    )
