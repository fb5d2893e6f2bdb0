"""Who may do what on a listener, as its routes carry it: so a change of it touches no connection, and holds for open ones too.

The filters themselves (`http_filters`) stand in the chain of every listener that terminates TLS and have nothing to do until the
routes bring them something. So do those of connections that were opened before client certificates were asked for.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from envoy.config.core.v3 import config_source_pb2, extension_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from ostiary.access.conditions import Decision
from ostiary.access.policy import Policy
from ostiary.envoy import cel, matchers, names, noted, wire
from ostiary.envoy.resources import EXTENSION, Resource, pack
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
_RBAC: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"


def waiting() -> Any:
    """A filter as it stands in the chain (RBAC): it does nothing until routes bring it something."""
    return http_rbac_pb2.RBAC()


def for_every_route(policy: Policy, roster: Roster | None) -> dict[str, Any]:
    """What all routes of a listener bring along (typed_per_filter_config). `roster` is there when rules ask for groups."""
    if policy.enforced is None and policy.rehearsed is None:
        return {}
    brought = dict(denied(policy.denied, rehearsed=policy.enforced is None))
    brought[GUARD] = _guard(rehearsed=policy.enforced is None)
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


@lru_cache(maxsize=2)
def _guard(*, rehearsed: bool) -> Any:
    """What hangs on the moment or on the connection, so that no table can hold it."""
    rules = rbac_pb2.RBAC(
        action=rbac_pb2.RBAC.DENY,
        policies={"expired": _policy(_expired()), "misdirected": _policy(_misdirected())},
    )
    if rehearsed:
        return _per_route(http_rbac_pb2.RBAC(shadow_rules=rules, shadow_rules_stat_prefix=_GUARD))
    return _per_route(http_rbac_pb2.RBAC(rules=rules))


def _policy(condition: cel.Expression) -> Any:
    return rbac_pb2.Policy(
        permissions=[rbac_pb2.Permission(any=True)],
        principals=[rbac_pb2.Principal(any=True)],
        condition=cel.condition(condition),
        cel_config=cel.WITH_STRINGS,
    )


def _expired() -> cel.Expression:
    """The certificate's time is over. The handshake looked at the clock once; connections last longer than certificates may."""
    until = cel.Call("string", (cel.Call("_[_]", (cel.Attribute("filter_state"), noted.NOT_AFTER)),))
    return cel.Call("_>_", (cel.Attribute("request.time"), cel.Call("timestamp", (until,))))


def _misdirected() -> cel.Expression:
    """The host is not the one that was named in the handshake (RFC 9110 7.4); where none was named, none is contradicted.

    The plain comparison comes first: it is all that most requests need.
    """
    name, host = cel.Attribute("connection.requested_server_name"), cel.Attribute("request.host")
    lower = cel.Call("lowerAscii", on=host)
    absolute = cel.Call("_+_", (name, "."))
    at_a_port = cel.either(
        cel.Call("startsWith", (cel.Call("_+_", (name, ":")),), on=lower),
        cel.Call("startsWith", (cel.Call("_+_", (name, ".:")),), on=lower),
    )
    same = cel.either(
        cel.Call("_==_", (lower, name)),
        cel.Call("_==_", (lower, absolute)),
        cel.every(cel.Call("matches", ("^[^:]*:[0-9]*$",), on=lower), at_a_port),  # Not `a.test:1@b.test`.
    )
    return cel.every(cel.Call("_!=_", (host, name)), cel.Call("_!=_", (name, "")), cel.Call("!_", (same,)))


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
    """The filter that looks up a certificate's groups (HttpFilter): it comes when it changes, and waits until it first came."""
    source = config_source_pb2.ExtensionConfigSource(config_source=wire.ads(), type_urls=[_RBAC])
    return http_connection_manager_pb2.HttpFilter(name=names.members(listener_id), config_discovery=source)


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
