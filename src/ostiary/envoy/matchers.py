"""Conditions (`access.conditions`) in the engine's terms: predicates of xDS matchers, as its RBAC filter takes them."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2
from envoy.extensions.matching.input_matchers.metadata.v3 import metadata_pb2
from envoy.type.matcher.v3 import http_inputs_pb2, string_pb2, value_pb2
from xds.type.matcher.v3 import cel_pb2, domain_pb2, matcher_pb2, regex_pb2
from xds.type.matcher.v3 import http_inputs_pb2 as xds_http_inputs_pb2
from xds.type.matcher.v3 import string_pb2 as xds_string_pb2
from xds.type.v3 import cel_pb2 as xds_cel_pb2

from ostiary.access.conditions import Checks, Condition, Decision, During, Every, Is, Matches, Member, No, Some, Within
from ostiary.envoy import cel, noted, wire

Predicate: Final = matcher_pb2.Matcher.MatcherList.Predicate
RBAC_METADATA: Final = "envoy.filters.http.rbac"
# Under these names the filters that look up a certificate's groups leave what they found (`shadow_rules_stat_prefix`).
MEMBERS: Final = "ostiary_members_"
RECENT: Final = "ostiary_recent_"
FOUND: Final = "shadow_effective_policy_id"

_HEADERS: Final = {"host": ":authority", "path": ":path", "method": ":method"}


def checks(asked: Checks) -> Any:
    """The steps in order, then what happens otherwise (xds.type.matcher.v3.Matcher)."""
    matcher = matcher_pb2.Matcher(on_no_match=decided(asked.otherwise))
    for step in asked.steps:
        matcher.matcher_list.matchers.add(predicate=predicate(step.when), on_match=decided(step.then))
    return matcher


def table(key: str, decisions: Mapping[str, Decision], otherwise: Decision) -> bytes:
    """A look-up of what was noted of the certificate, to the letter; its time does not grow with the table.

    A Matcher in its final form, written by hand: 100,000 entries take protobuf's Python classes three seconds, and this a tenth.
    """
    made = {one: wire.field(_VALUE, decided(one)) for one in set(decisions.values())}
    entries = b"".join(
        wire.content(_ENTRY, wire.content(_KEY, text.encode()) + made[decision]) for text, decision in sorted(decisions.items())
    )
    tree = matcher_pb2.Matcher.MatcherTree(input=_noted(key)).SerializeToString(deterministic=True)
    matcher = matcher_pb2.Matcher(on_no_match=decided(otherwise)).SerializeToString(deterministic=True)
    return bytes(matcher + wire.content(_TREE, tree + wire.content(_EXACT, entries)))


def among(key: str, texts: Iterable[str], then: Decision, otherwise: Decision) -> bytes:
    """Whether what was noted of the certificate is one of these texts: lower case, without dots. A Matcher in its final form.

    Its time does not grow with them. They are told as if they were domains, in one list with one decision for all; in a `table`
    each has a decision of its own, which takes Envoy five times as long to take in, and five times the memory.
    """
    found = domain_pb2.ServerNameMatcher()
    found.domain_matchers.add(domains=sorted(texts)).on_match.CopyFrom(decided(then))
    matcher = matcher_pb2.Matcher(on_no_match=decided(otherwise))
    matcher.matcher_tree.input.CopyFrom(_noted(key))
    matcher.matcher_tree.custom_match.CopyFrom(wire.xds_extension("envoy.matching.custom_matchers.domain_matcher", found))
    return bytes(matcher.SerializeToString(deterministic=True))


_TREE: Final = matcher_pb2.Matcher.DESCRIPTOR.fields_by_name["matcher_tree"].number
_EXACT: Final = matcher_pb2.Matcher.MatcherTree.DESCRIPTOR.fields_by_name["exact_match_map"].number
_ENTRY: Final = matcher_pb2.Matcher.MatcherTree.MatchMap.DESCRIPTOR.fields_by_name["map"].number
_KEY, _VALUE = 1, 2  # of an entry of any map (protobuf.dev, "Maps")


def decided(decision: Decision) -> Any:
    """What follows (Matcher.OnMatch): RBAC lets it through or refuses it, under the decision's name."""
    action = rbac_pb2.RBAC.ALLOW if decision.allowed else rbac_pb2.RBAC.DENY
    done = matcher_pb2.Matcher.OnMatch()
    done.action.CopyFrom(wire.xds_extension("envoy.filters.rbac.action", rbac_pb2.Action(name=decision.name, action=action)))
    return done


def predicate(condition: Condition) -> Any:  # noqa: PLR0911 (a table of what may be asked)
    """Whether a condition holds (Matcher.MatcherList.Predicate)."""
    match condition:
        case Is(of, value):
            return _text(of, xds_string_pb2.StringMatcher(exact=value))
        case Matches(of, pattern):
            return _text(of, _regex(pattern))
        case Member(token):
            return _member(token)
        case Within(networks):
            return _within(networks)
        case During():
            return _during(condition)
        case Every(of):
            return _joined("and_matcher", of) if of else predicate(_ALWAYS)
        case Some(of):
            return _joined("or_matcher", of) if of else predicate(No(_ALWAYS))
        case No(of):
            return Predicate(not_matcher=predicate(of))


_ALWAYS: Final = Matches("method", ".*")


def _joined(kind: str, of: tuple[Condition, ...]) -> Any:
    if len(of) == 1:  # Envoy wants two
        return predicate(of[0])
    return Predicate(**{kind: Predicate.PredicateList(predicate=[predicate(one) for one in of])})


def _text(of: str, matcher: Any) -> Any:
    single = Predicate.SinglePredicate(value_match=matcher)
    single.input.CopyFrom(_noted(noted.KEYS[of]) if of in noted.KEYS else _header(_HEADERS.get(of, of)))
    return Predicate(single_predicate=single)


def _regex(pattern: str) -> Any:
    return xds_string_pb2.StringMatcher(
        safe_regex=regex_pb2.RegexMatcher(google_re2=regex_pb2.RegexMatcher.GoogleRE2(), regex=pattern)
    )


def _member(token: str) -> Any:
    """What was found in the table of recent changes counts; only where it has nothing, what is in the long one."""
    recent = _found(RECENT, string_pb2.StringMatcher(contains=f",{token},"))
    unchanged = Predicate(not_matcher=_found(RECENT, string_pb2.StringMatcher(prefix=",")))
    settled = _found(MEMBERS, string_pb2.StringMatcher(contains=f",{token},"))
    before = Predicate(and_matcher=Predicate.PredicateList(predicate=[unchanged, settled]))
    return Predicate(or_matcher=Predicate.PredicateList(predicate=[recent, before]))


def _found(prefix: str, matcher: Any) -> Any:
    path = network_inputs_pb2.DynamicMetadataInput.PathSegment(key=prefix + FOUND)
    single = Predicate.SinglePredicate(
        input=wire.xds_extension(
            "envoy.matching.inputs.dynamic_metadata",
            network_inputs_pb2.DynamicMetadataInput(filter=RBAC_METADATA, path=[path]),
        ),
        custom_match=wire.xds_extension(
            "envoy.matching.matchers.metadata_matcher",
            metadata_pb2.Metadata(value=value_pb2.ValueMatcher(string_match=matcher)),
        ),
    )
    return Predicate(single_predicate=single)


def _within(networks: tuple[str, ...]) -> Any:
    ranges = [
        address_pb2.CidrRange(address_prefix=str(one.network_address), prefix_len=wire.number(one.prefixlen))
        for one in map(ipaddress.ip_network, networks)
    ]
    single = Predicate.SinglePredicate(
        input=wire.xds_extension("envoy.matching.inputs.direct_source_ip", network_inputs_pb2.DirectSourceIPInput()),
        custom_match=wire.xds_extension("envoy.matching.matchers.ip", ip_pb2.Ip(cidr_ranges=ranges, stat_prefix="access")),
    )
    return Predicate(single_predicate=single)


def _during(condition: During) -> Any:
    now = cel.Attribute("request.time")
    parts: list[cel.Expression] = []
    for operator, at in (("_>=_", condition.not_before), ("_<=_", condition.not_after)):
        if at is not None:
            parts.append(cel.Call(operator, (now, cel.Call("timestamp", (at.isoformat(),)))))
    expression = xds_cel_pb2.CelExpression(cel_expr_parsed=cel.parsed(cel.every(*parts)))
    single = Predicate.SinglePredicate(
        input=wire.xds_extension("envoy.matching.inputs.cel_data_input", xds_http_inputs_pb2.HttpAttributesCelMatchInput()),
        custom_match=wire.xds_extension("envoy.matching.matchers.cel_matcher", cel_pb2.CelMatcher(expr_match=expression)),
    )
    return Predicate(single_predicate=single)


def _noted(key: str) -> Any:
    return wire.xds_extension("envoy.matching.inputs.filter_state", network_inputs_pb2.FilterStateInput(key=key))


def _header(name: str) -> Any:
    return wire.xds_extension(
        "envoy.matching.inputs.request_headers", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name)
    )
