"""Which names a profile allows, by pattern. A pattern is a name, or a name with one `*` at an edge between labels or segments.

| kind | pattern | matches |
|---|---|---|
| dns | `a.test` | that name |
| dns | `*.a.test` | every name below `a.test`, at any depth, `*.a.test` among them; never `a.test`, nor `xa.test` |
| ip | `10.0.0.1`, `10.0.0.0/8` | that address; every address of that network |
| uri | `spiffe://corp/web` | that URI |
| uri | `spiffe://corp/*`, `urn:dev:*` | what follows the `/` or `:`, at any depth, but nothing that climbs (`..`) |
| email | `a@a.test`, `*@a.test`, `*@*.a.test` | that mailbox; every mailbox of that host; of every host below it |
| others | `Acme`, `sensor-*` | that text; every text that begins so and goes on |
| common_name | `*.a.test`, `*@a.test` | as for dns and email, for common names that are such |

Scheme, host and DNS name are compared without regard to case (RFC 3986 6.2.2.1), everything else exactly.
"""

import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Final

from ostiary.errors import Invalid
from ostiary.pki import name_rules
from ostiary.pki.name_rules import visible
from ostiary.pki.names import NameKind

_STAR: Final = "*"
_OPAQUE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!/)")


def allows(patterns: Iterable[str], kind: NameKind, name: str) -> bool:
    """Whether a well-formed name of this kind matches one of the patterns."""
    matches = _MATCHES.get(kind, _text_matches)
    return any(matches(pattern, name) for pattern in patterns)


def refuse_malformed(pattern: str, kind: NameKind, field: str) -> None:
    """`Invalid` unless the pattern is of a form that can match a name of this kind."""
    try:
        _CHECKS.get(kind, _check_text)(pattern, field)
    except Invalid as wrong:
        raise Invalid(field, f"the pattern '{visible(pattern)}' cannot match: {wrong.message}") from None


def _dns_matches(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower(), name.lower()
    # With its dot, so that `xa.test` is not taken to be below `a.test`.
    return _is_below(name, pattern[1:]) if pattern.startswith("*.") else name == pattern


def _is_below(name: str, dot_suffix: str) -> bool:
    return name.endswith(dot_suffix) and len(name) > len(dot_suffix)


def _ip_matches(pattern: str, name: str) -> bool:
    address, network = ipaddress.ip_address(name), ipaddress.ip_network(pattern)
    return address.version == network.version and address in network


def _uri_matches(pattern: str, name: str) -> bool:
    if not pattern.endswith(_STAR):
        return _folded(name) == _folded(pattern)
    prefix = _folded(pattern[:-1])
    # `https:*` is for opaque URIs; `https://evil.test/` is none.
    if "//" not in prefix and not _OPAQUE.match(name):
        return False
    return _folded(name).startswith(prefix) and len(name) > len(prefix) and not _climbs(name)


def _folded(uri: str) -> str:
    """The URI with scheme and host in lower case."""
    scheme, _, rest = uri.partition(":")
    if not rest.startswith("//"):
        return f"{scheme.lower()}:{rest}"
    host, slash, path = rest[2:].partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def _climbs(uri: str) -> bool:
    """Whether it has a dot segment, written plainly or percent-encoded (RFC 3986 5.2.4)."""
    return any(segment in {".", ".."} for segment in re.split(r"[/?#]", urllib.parse.unquote(uri)))


def _email_matches(pattern: str, name: str) -> bool:
    local, _, host = name.rpartition("@")
    wanted, _, hosts = pattern.rpartition("@")
    return bool(local) and wanted in {_STAR, local} and _dns_matches(hosts, host)


def _text_matches(pattern: str, name: str) -> bool:
    if not pattern.endswith(_STAR):
        return name == pattern
    return name.startswith(pattern[:-1]) and len(name) >= len(pattern)


def _common_name_matches(pattern: str, name: str) -> bool:
    if pattern.startswith("*@"):
        return _email_matches(pattern, name)
    if pattern.startswith("*."):
        return _dns_matches(pattern, name) and all(name.split("."))
    return _text_matches(pattern, name)


def _check_dns(pattern: str, field: str) -> None:
    name_rules.dns(pattern.removeprefix("*."), field)


def _check_ip(pattern: str, field: str) -> None:
    try:
        if "%" not in pattern:
            ipaddress.ip_network(pattern)
            return
    except ValueError:
        pass
    raise Invalid(field, "give an address such as 10.0.0.1, or a network without host bits such as 10.0.0.0/8.")


def _check_uri(pattern: str, field: str) -> None:
    if _STAR not in pattern:
        name_rules.uri(pattern, field)
        return
    prefix = pattern.removesuffix(_STAR)
    scheme, colon, rest = prefix.partition(":")
    has_host = rest.startswith("//")
    whole = prefix.endswith("/") and "/" in rest[3:] if has_host else prefix.endswith(":")
    if _STAR in prefix or not (scheme and colon and whole) or _climbs(prefix):
        raise Invalid(field, "a * may only come last, after a whole segment, as in spiffe://corp/* or urn:dev:*.")
    name_rules.uri(f"{prefix}x", field)


def _check_email(pattern: str, field: str) -> None:
    local, _, host = pattern.rpartition("@")
    if _STAR in local and local != _STAR:
        raise Invalid(field, "a * stands for the whole part before the @, as in *@a.test.")
    name_rules.email(f"{'x' if local == _STAR else local}@{host.removeprefix('*.')}", field)


def _check_common_name(pattern: str, field: str) -> None:
    if pattern.startswith("*@"):
        _check_email(pattern, field)
    elif pattern.startswith("*."):
        _check_dns(pattern, field)
    else:
        _check_text(pattern, field)


def _check_text(pattern: str, field: str) -> None:
    fixed = pattern.removesuffix(_STAR)
    if not fixed or _STAR in fixed:
        raise Invalid(field, "a * may only come last, after something, as in sensor-*; to allow any name, leave this out.")
    if fixed != fixed.lstrip() or name_rules.plain(fixed) != fixed:
        raise Invalid(field, "it begins with a space, or has characters that cannot be seen; leave them out.")


_MATCHES: Final[dict[NameKind, Callable[[str, str], bool]]] = {
    "common_name": _common_name_matches,
    "dns": _dns_matches,
    "ip": _ip_matches,
    "uri": _uri_matches,
    "email": _email_matches,
}
_CHECKS: Final[dict[NameKind, Callable[[str, str], None]]] = {
    "common_name": _check_common_name,
    "dns": _check_dns,
    "ip": _check_ip,
    "uri": _check_uri,
    "email": _check_email,
}
