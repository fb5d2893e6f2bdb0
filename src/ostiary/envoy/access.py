"""Who may do what on a listener, as its routes carry it: so a change of it touches no connection, and holds for open ones too.

The filters themselves (`http_filters`) stand in the chain of every listener that terminates TLS and have nothing to do until the
routes bring them something. So do those of connections that were opened before client certificates were asked for.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from envoy.config.core.v3 import config_source_pb2, extension_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from google.protobuf import any_pb2

from ostiary.access.conditions import Decision
from ostiary.access.policy import Policy
from ostiary.envoy import guard, matchers, names, noted, wire
from ostiary.envoy.resources import EXTENSION, Resource, pack
from ostiary.model.desired import DesiredListener
from ostiary.model.roster import Roster, Table

DENIED: Final = "ostiary.denied"
GUARD: Final = "ostiary.guard"
RECENT: Final = "ostiary.recent"
ACCESS: Final = "ostiary.access"
FILTERS: Final = (DENIED, GUARD, RECENT, ACCESS)

# Where what is rehearsed leaves its decisions, in the order in which they would be taken.
REHEARSED: Final = ("ostiary_rehearsed_denied_", "ostiary_rehearsed_names_", "ostiary_rehearsed_guard_", "ostiary_rehearsed_")
_DENIED, NAMES, _GUARD, _ACCESS = REHEARSED

_REVOKED: Final = Decision(allowed=False, code="revoked")
_PASS: Final = Decision(allowed=True, code="-")
# Of a filter that has its content from elsewhere: that the routes want it, and nothing of their own for it.
_ASKED: Final = wire.packed(route_components_pb2.FilterConfig(config=any_pb2.Any()))
_RBAC: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"


def waiting() -> Any:
    """A filter as it stands in the chain (RBAC): it is not there for a request whose route brings it nothing (`http_filters`)."""
    return http_rbac_pb2.RBAC()


def for_every_route(desired: DesiredListener, policy: Policy, roster: Roster | None) -> dict[str, Any]:
    """What all routes of a listener bring along (typed_per_filter_config). `roster` is there when rules ask for groups."""
    if policy.enforced is None and policy.rehearsed is None:
        return {}
    brought = dict(denied(policy.denied, rehearsed=policy.enforced is None))
    brought[GUARD] = _guard(desired, rehearsed=policy.enforced is None)
    if roster is not None:
        brought[names.members(desired.listener.id)] = _ASKED
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


@lru_cache(maxsize=4)  # One message for all that use it: 100,000 entries take a while to write.
def denied(fingerprints: frozenset[str], *, rehearsed: bool = False) -> dict[str, Any]:
    """These are refused, whatever they ask for."""
    if not fingerprints:
        return {}
    table = matchers.table(noted.FINGERPRINT, dict.fromkeys(fingerprints, _REVOKED), _PASS)
    if rehearsed:
        return {DENIED: _per_route(_with(http_rbac_pb2.RBAC(shadow_rules_stat_prefix=_DENIED), "shadow_matcher", table))}
    return {DENIED: _per_route(_with(http_rbac_pb2.RBAC(), "matcher", table))}


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


def _with(made: Any, field: str, table: bytes) -> bytes:
    """An RBAC with a matcher that is in its final form; never read again, for that takes seconds when it is long."""
    octets: bytes = made.SerializeToString(deterministic=True)
    return octets + wire.content(made.DESCRIPTOR.fields_by_name[field].number, table)


# Groups. The long table travels apart from the routes, by extension discovery: it takes Envoy a second to read 100,000 entries.


def members_filter(listener_id: str) -> Any:
    """The filter that looks up a certificate's groups (HttpFilter): it comes when it changes, and waits until it first came.

    Like the others it is there only for requests whose routes ask for it.
    """
    source = config_source_pb2.ExtensionConfigSource(config_source=wire.ads(), type_urls=[_RBAC])
    return http_connection_manager_pb2.HttpFilter(name=names.members(listener_id), config_discovery=source, disabled=True)


@lru_cache(maxsize=1024)
def members(listener_id: str, table: Table | None, owners: tuple[str, ...]) -> Resource:
    """That filter's content (TypedExtensionConfig); without a table it does nothing."""
    made = _groups(table.entries, matchers.MEMBERS) if table is not None and table.entries else b""
    name = names.members(listener_id)
    config = wire.packed_octets(http_rbac_pb2.RBAC, made)
    return pack(EXTENSION, name, extension_pb2.TypedExtensionConfig(name=name, typed_config=config), owners)


def _groups(entries: Mapping[str, str], prefix: str) -> bytes:
    """A look-up that decides nothing and leaves what it found for later filters (RBAC, shadow_matcher)."""
    known = {entry: Decision(allowed=True, code=entry) for entry in set(entries.values())}
    decisions = {fingerprint: known[entry] for fingerprint, entry in entries.items()}
    return _with(
        http_rbac_pb2.RBAC(shadow_rules_stat_prefix=prefix), "shadow_matcher", matchers.table(noted.FINGERPRINT, decisions, _PASS)
    )


def told_of_rehearsals(*, whole: bool) -> str:
    """How the access log asks what would have been decided; `whole` where all of the listener is rehearsed, not only rules."""
    keys = REHEARSED if whole else (_ACCESS,)
    return "|".join(f"%DYNAMIC_METADATA({matchers.RBAC_METADATA}:{prefix}{matchers.FOUND})%" for prefix in keys)
