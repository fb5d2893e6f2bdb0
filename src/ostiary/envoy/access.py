"""Who may do what on a listener, as its routes carry it: so a change of it touches no connection, and holds for open ones too.

The filters themselves (`http_filters`) stand in the chain of every listener that terminates TLS and have nothing to do until the
routes bring them something. So do those of connections that were opened before client certificates were asked for.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2

from ostiary.access.conditions import Decision
from ostiary.access.policy import Policy
from ostiary.envoy import apart, denied, guard, matchers, names, noted, wire
from ostiary.envoy.resources import Resource
from ostiary.model.desired import DesiredListener
from ostiary.model.roster import Roster, Table

GUARD: Final = "ostiary.guard"
RECENT: Final = "ostiary.recent"
ACCESS: Final = "ostiary.access"

# Where what is rehearsed leaves its decisions, in the order in which they would be taken.
REHEARSED: Final = (denied.REHEARSED, "ostiary_rehearsed_guard_", "ostiary_rehearsed_")
_, _GUARD, _ACCESS = REHEARSED

_PASS: Final = Decision(allowed=True, code="-")


def waiting() -> Any:
    """A filter as it stands in the chain (RBAC): it is not there for a request whose route brings it nothing (`http_filters`)."""
    return http_rbac_pb2.RBAC()


def for_every_route(desired: DesiredListener, policy: Policy, roster: Roster | None) -> dict[str, Any]:
    """What all routes of a listener bring along (typed_per_filter_config). `roster` is there when rules ask for groups."""
    if policy.enforced is None and policy.rehearsed is None:
        return {}
    rehearsed = policy.enforced is None
    # Also while nobody is denied: else the first who is would have to be told to each listener.
    brought = {names.denied(rehearsed=rehearsed): apart.ASKED, GUARD: _guard(desired, rehearsed=rehearsed)}
    if roster is not None:
        brought[names.members(desired.listener.id)] = apart.ASKED
    if roster is not None and roster.recent:
        brought[RECENT] = _per_route(_groups(roster.recent, matchers.RECENT))
    return brought


def for_route(policy: Policy, *, certified: bool) -> dict[str, Any]:
    """What the route of requests with a verified certificate, or that of all others, brings along besides."""
    made = http_rbac_pb2.RBAC()
    for stages, matcher in ((policy.enforced, made.matcher), (policy.rehearsed, made.shadow_matcher)):
        if stages is not None:
            matcher.CopyFrom(matchers.checks(stages.holder if certified else stages.anybody))
    if policy.rehearsed is not None:
        made.shadow_rules_stat_prefix = _ACCESS
    return {ACCESS: _per_route(made)} if policy.enforced or policy.rehearsed else {}


def _guard(desired: DesiredListener, *, rehearsed: bool) -> Any:
    rules = guard.guard(desired)
    if rehearsed:
        return _per_route(http_rbac_pb2.RBAC(shadow_rules=rules, shadow_rules_stat_prefix=_GUARD))
    return _per_route(http_rbac_pb2.RBAC(rules=rules))


def _per_route(made: Any) -> Any:
    """RBACPerRoute, packed; `made` is an RBAC, or its octets."""
    octets = made if isinstance(made, bytes) else made.SerializeToString(deterministic=True)
    number = http_rbac_pb2.RBACPerRoute.DESCRIPTOR.fields_by_name["rbac"].number
    return wire.packed_octets(http_rbac_pb2.RBACPerRoute, wire.content(number, octets))


# Groups. The long table travels apart from the routes (`envoy.apart`): it takes Envoy a second to read 100,000 entries.


@lru_cache(maxsize=1024)
def members(listener_id: str, table: Table | None, owners: tuple[str, ...]) -> Resource:
    """What looks up a certificate's groups (TypedExtensionConfig); without a table it does nothing."""
    made = _groups(table.entries, matchers.MEMBERS) if table is not None and table.entries else b""
    return apart.content(names.members(listener_id), made, owners)


def _groups(entries: Mapping[str, str], prefix: str) -> bytes:
    """A look-up that decides nothing and leaves what it found for later filters (RBAC, shadow_matcher)."""
    known = {entry: Decision(allowed=True, code=entry) for entry in set(entries.values())}
    decisions = {fingerprint: known[entry] for fingerprint, entry in entries.items()}
    return apart.with_matcher(
        http_rbac_pb2.RBAC(shadow_rules_stat_prefix=prefix), "shadow_matcher", matchers.table(noted.FINGERPRINT, decisions, _PASS)
    )


def told_of_rehearsals(*, whole: bool) -> str:
    """How the access log asks what would have been decided; `whole` where all of the listener is rehearsed, not only rules."""
    keys = REHEARSED if whole else (_ACCESS,)
    return "|".join(f"%DYNAMIC_METADATA({matchers.RBAC_METADATA}:{prefix}{matchers.FOUND})%" for prefix in keys)
