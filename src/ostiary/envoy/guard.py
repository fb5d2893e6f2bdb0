"""What hangs on the moment or on the connection, so that no table can hold it: expired, names read as several, another host.

It is one filter, for each costs a request something for being there. CEL is dear, so it is asked only where the plain matchers do
not know, and of the moment not at all (docs/decisions/0028-what-a-request-costs.md).
"""

from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from envoy.config.core.v3 import base_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.rbac.principals.mtls_authenticated.v3 import mtls_authenticated_pb2
from envoy.extensions.string_matcher.lua.v3 import lua_pb2
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import SubjectAltNameMatcher
from envoy.type.matcher.v3 import filter_state_pb2, regex_pb2, string_pb2

from ostiary.access.patterns import SEPARATING
from ostiary.envoy import cel, noted, wire
from ostiary.model.desired import DesiredListener

# Names of the listener's own certificates that are looked for before CEL is asked: they are looked at one by one.
_NAMES_MAX: Final = 8


def guard(desired: DesiredListener) -> Any:
    """The three refusals, by name (envoy.config.rbac.v3.RBAC); where several are due, the first by the alphabet is told."""
    names = dict.fromkeys(name for identity in desired.identities for name in _plain_names(identity.certificate_chain))
    return _guard(tuple(names)[:_NAMES_MAX], desired.listener.protocol_port)


@lru_cache(maxsize=1024)
def _guard(names: tuple[str, ...], port: int) -> Any:
    always, anybody = rbac_pb2.Permission(any=True), rbac_pb2.Principal(any=True)
    misdirected = rbac_pb2.Policy(
        permissions=[_may_be_misdirected(names, port)],
        principals=[anybody],
        condition=cel.condition(_misdirected()),
        cel_config=cel.WITH_STRINGS,
    )
    policies = {
        "expired": rbac_pb2.Policy(permissions=[always], principals=[_expired()]),
        "malformed": rbac_pb2.Policy(permissions=[always], principals=[_unclear()]),
        "misdirected": misdirected,
    }
    return rbac_pb2.RBAC(action=rbac_pb2.RBAC.DENY, policies=policies)


def _expired() -> Any:
    """The certificate's time is over. The handshake looked at the clock once; connections last longer than certificates may.

    Nothing in Envoy's plain matchers knows the time, and CEL reads the certificate's anew for each request: 2 µs more than this.
    Whatever goes wrong in here is no match, and so not good. It is over when the noted second begins, as in the handshake.
    """
    code = lua_pb2.Lua(source_code=base_pb2.DataSource(inline_string=_IS_NOT_OVER))
    still_good = string_pb2.StringMatcher(custom=wire.xds_extension("envoy.string_matcher.lua", code))
    return _all_of(_has(noted.NOT_AFTER, _matching(".+")), _not(_has(noted.NOT_AFTER, still_good)))


# Times in this form are earlier or later as their texts are. What a second is called is written once a second.
_IS_NOT_OVER: Final = f"""\
local time, date, second, now = os.time, os.date, 0, ""
function envoy_match(until_then)
  local at = time()
  if at ~= second then second, now = at, date("!{noted.TIME}", at) end
  return now < until_then
end
"""


def _unclear() -> Any:
    """A name that could be read as several, in X-Forwarded-Client-Cert or by a rule.

    Envoy escapes the subject there, but neither URI nor DNS names: `spiffe://a;URI=spiffe://b` would be read as two names.

    To look at the names one by one, Envoy takes the certificate apart once for each sign, 3 µs in all. Where no sign is in what
    was noted of all names together, which has a comma between two of a kind, none is in any of them. Octets that are no UTF-8 fit
    no expression, and where nothing was noted nothing fits: then they are looked at.
    """
    signs = "".join(sorted(set("".join(SEPARATING.values()))))
    holding = [_name_holding(kind, sign) for kind, found in _SEPARATING.items() for sign in found]
    any_of_them = rbac_pb2.Principal(or_ids=rbac_pb2.Principal.Set(ids=holding))
    return _all_of(_not(_has(noted.NAMES, _matching(f"[^{signs}]*"))), any_of_them)


_SEPARATING: Final = {
    SubjectAltNameMatcher.URI: SEPARATING["uri"],
    SubjectAltNameMatcher.DNS: SEPARATING["dns"],
    SubjectAltNameMatcher.EMAIL: SEPARATING["email"],
}


def _name_holding(kind: Any, sign: str) -> Any:
    # A substring, not a regular expression: those stop at newlines and at bytes that are no UTF-8.
    matcher = SubjectAltNameMatcher(san_type=kind, matcher=string_pb2.StringMatcher(contains=sign))
    return rbac_pb2.Principal(
        custom=wire.extension("envoy.rbac.principals.mtls_authenticated", mtls_authenticated_pb2.Config(san_matcher=matcher))
    )


def _has(key: str, matcher: Any) -> Any:
    """What was noted under this key fits; where nothing was, it does not."""
    return rbac_pb2.Principal(filter_state=filter_state_pb2.FilterStateMatcher(key=key, string_match=matcher))


def _matching(pattern: str) -> Any:
    return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=pattern))


def _all_of(*of: Any) -> Any:
    return rbac_pb2.Principal(and_ids=rbac_pb2.Principal.Set(ids=of))


def _not(of: Any) -> Any:
    return rbac_pb2.Principal(not_id=of)


def _may_be_misdirected(names: tuple[str, ...], port: int) -> Any:
    """Not plainly right: that is no name in the handshake, or one of ours in it and, to the letter, as the host."""
    right = [_every(_named(name), _either(*(_asks_for(host) for host in (name, f"{name}:{port}")))) for name in names]
    return rbac_pb2.Permission(not_rule=_either(_named(""), *right))


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


def _named(name: str) -> Any:
    return rbac_pb2.Permission(requested_server_name=string_pb2.StringMatcher(exact=name))


def _asks_for(host: str) -> Any:
    header = route_components_pb2.HeaderMatcher(name=":authority", string_match=string_pb2.StringMatcher(exact=host))
    return rbac_pb2.Permission(header=header)


def _either(*of: Any) -> Any:
    return rbac_pb2.Permission(or_rules=rbac_pb2.Permission.Set(rules=of))


def _every(*of: Any) -> Any:
    return rbac_pb2.Permission(and_rules=rbac_pb2.Permission.Set(rules=of))


@lru_cache(maxsize=1024)
def _plain_names(chain: str) -> tuple[str, ...]:
    """The host names of a certificate (PEM, leaf first) but for wildcards, which say of no host that it is theirs alone.

    None where it cannot be read: that is said elsewhere (`secret`), and all that follows is that CEL is asked.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(name.lower() for name in names if "*" not in name)
