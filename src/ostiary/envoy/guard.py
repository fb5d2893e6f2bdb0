"""What hangs on the moment or on the connection, so that no table can hold it: expired, and meant for another host.

Both are conditions in CEL, which are dear: some 8 µs of the 70 of a request with everything on (benchmarks/request_cost.py).
So the plain matchers come first, and CEL is asked only where they do not know (docs/decisions/0028-what-a-request-costs.md).
"""

from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import string_pb2

from ostiary.envoy import cel, noted
from ostiary.model.desired import DesiredListener

# Names of the listener's own certificates that are looked for before CEL is asked: they are looked at one by one.
_NAMES_MAX: Final = 8


def guard(desired: DesiredListener) -> Any:
    """The two refusals, by name (envoy.config.rbac.v3.RBAC)."""
    names = dict.fromkeys(name for identity in desired.identities for name in _plain_names(identity.certificate_chain))
    return _guard(tuple(names)[:_NAMES_MAX], desired.listener.protocol_port)


@lru_cache(maxsize=1024)
def _guard(names: tuple[str, ...], port: int) -> Any:
    always = rbac_pb2.Permission(any=True)
    return rbac_pb2.RBAC(
        action=rbac_pb2.RBAC.DENY,
        policies={
            "expired": _policy(always, _expired()),
            "misdirected": _policy(_may_be_misdirected(names, port), _misdirected()),
        },
    )


def _policy(where: Any, condition: cel.Expression) -> Any:
    """The condition is looked at only `where` this holds of the request (Permission)."""
    return rbac_pb2.Policy(
        permissions=[where],
        principals=[rbac_pb2.Principal(any=True)],
        condition=cel.condition(condition),
        cel_config=cel.WITH_STRINGS,
    )


def _expired() -> cel.Expression:
    """The certificate's time is over. The handshake looked at the clock once; connections last longer than certificates may."""
    until = cel.Call("string", (cel.Call("_[_]", (cel.Attribute("filter_state"), noted.NOT_AFTER)),))
    return cel.Call("_>_", (cel.Attribute("request.time"), cel.Call("timestamp", (until,))))


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
