"""Decide about a request as the engine does, and say for each check what came of it."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ostiary.access import members
from ostiary.access.conditions import Condition, Decision, During, Every, Is, Matches, Member, No, Some, Within
from ostiary.access.facts import Request
from ostiary.access.policy import ALLOWED, Policy

Asked = tuple[str, Callable[[], bool], Decision]


@dataclass(frozen=True)
class Outcome:
    """What came of one check: whether it held, or None when something before it had decided."""

    about: str
    held: bool | None
    decision: Decision | None


@dataclass(frozen=True)
class Verdict:
    """What becomes of a request, by which check, and what came of all of them."""

    decision: Decision
    outcomes: tuple[Outcome, ...]


def judge(policy: Policy, request: Request, *, rehearsed: bool = False) -> Verdict:
    """What becomes of this request; with `rehearsed`, what would become of it if what is rehearsed were in force."""
    stages = policy.rehearsed if rehearsed else policy.enforced
    if stages is None:
        return Verdict(ALLOWED, ())
    is_known = request.holder is not None and request.holder.is_verified
    own = stages.holder if is_known else stages.anybody
    asked: list[Asked] = list(_before(policy, request))
    asked += [(step.about, partial(holds, step.when, request), step.then) for step in own.steps]
    outcomes: list[Outcome] = []
    decided: Decision | None = None
    for about, ask, then in asked:
        held = None if decided else ask()
        outcomes.append(Outcome(about, held, then))
        decided = then if held else decided
    return Verdict(decided or own.otherwise, tuple(outcomes))


def _before(policy: Policy, request: Request) -> Iterator[Asked]:
    """What the engine asks of each request before it comes to the listener's own checks (`envoy.http_filters`)."""
    holder = request.holder
    if holder is not None:
        yield "neither revoked nor on hold", lambda: holder.fingerprint in policy.denied, _refused("revoked")
        yield "not expired", lambda: request.at > holder.not_after, _refused("expired")
        yield "names read in one way only", lambda: holder.is_verified and holder.is_unclean, _refused("malformed")
    yield "the host of this connection", lambda: _is_misdirected(request), _refused("misdirected")


def _refused(code: str) -> Decision:
    return Decision(allowed=False, code=code)


def holds(condition: Condition, request: Request) -> bool:  # noqa: PLR0911 (a table of what may be asked)
    """Whether a condition holds for a request."""
    match condition:
        case Is(of, value):
            return request.text(of) == value
        case Matches(of, pattern):
            text = request.text(of)
            return text is not None and re.fullmatch(pattern, text) is not None
        case Member(token):
            return request.holder is not None and members.holds(request.holder.entry, token)
        case Within(networks):
            return _is_within(request.source, networks)
        case During(not_before, not_after):
            return (not_before is None or request.at >= not_before) and (not_after is None or request.at <= not_after)
        case Every(of):
            return all(holds(one, request) for one in of)
        case Some(of):
            return any(holds(one, request) for one in of)
        case No(of):
            return not holds(of, request)


def _is_misdirected(request: Request) -> bool:
    """Whether the host asked for is another than the connection was opened for; where none was named, none is contradicted."""
    name, (host, colon, port) = request.sni, request.host.lower().partition(":")
    return bool(name) and (host not in (name, f"{name}.") or bool(colon and re.fullmatch("[0-9]*", port) is None))


def _is_within(source: str, networks: tuple[str, ...]) -> bool:
    address = ipaddress.ip_address(source)
    return any(address in ipaddress.ip_network(one) for one in networks)
