"""Certificates that are refused request by request, on connections that were opened while they were still good.

The fingerprint is noted at the handshake (`noted`), and each request looks it up in a table. The table travels with the routes,
so that a change of it touches no connection. No table, no look-up.
"""

from collections.abc import Collection
from typing import Any, Final

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from xds.core.v3 import extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from ostiary.envoy import noted, wire

# The filter's name: routes bring settings to a filter by its name.
DENY: Final = "ostiary.denied"

# What the response code details end in, "rbac_access_denied_matched_policy[revoked]": the reason code for who reads the log.
REASON: Final = "revoked"


def nobody() -> Any:
    """The filter as it stands in the chain (RBAC): it refuses nobody until routes bring a table."""
    return http_rbac_pb2.RBAC()


def these(fingerprints: Collection[str]) -> dict[str, Any]:
    """What routes bring along (typed_per_filter_config): these are refused with 403, whatever they ask for.

    One message for all that use it: 100,000 entries take a while to write.
    """
    if not fingerprints:
        return {}
    refuse = _decision(rbac_pb2.RBAC.DENY, REASON)
    matcher = matcher_pb2.Matcher(on_no_match=_decision(rbac_pb2.RBAC.ALLOW, "not denied"))
    tree = matcher.matcher_tree
    whose = network_inputs_pb2.FilterStateInput(key=noted.FINGERPRINT)
    tree.input.CopyFrom(_extension("envoy.matching.inputs.filter_state", whose))
    # Exact: a hash look-up, whose time does not grow with the table (one policy per certificate would be tried one by one).
    table = tree.exact_match_map.map
    for fingerprint in fingerprints:
        table[fingerprint].CopyFrom(refuse)
    return {DENY: wire.packed(http_rbac_pb2.RBACPerRoute(rbac=http_rbac_pb2.RBAC(matcher=matcher)))}


def _decision(action: Any, name: str) -> Any:
    decided = matcher_pb2.Matcher.OnMatch()
    decided.action.CopyFrom(_extension("envoy.filters.rbac.action", rbac_pb2.Action(name=name, action=action)))
    return decided


def _extension(name: str, message: Any) -> Any:
    """As `wire.extension`, in the terms of the xDS matcher, which has a message of its own for it."""
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=wire.packed(message))
