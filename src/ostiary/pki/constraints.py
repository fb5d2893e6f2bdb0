"""Name constraints: which names certificates below an authority may carry (RFC 5280 4.2.1.10), asked when signing.

Where the RFC leaves room and engines differ, what is refused here is what any of them would refuse, for a certificate that one of
two engines refuses is of no use, and one that slips past an exclusion is worse:

* a constraint that cannot be understood permits nothing and excludes everything of its kind;
* a wildcard must lie within what is permitted with all that it covers, and must not touch what is excluded;
* `.a.test` for DNS names, which the RFC does not know, permits only what is below, and excludes `a.test` too;
* the local part of an address is compared exactly to permit and without regard to case to exclude;
* a URI without a host name cannot be judged and is refused once URIs are constrained;
* a common name that reads as a host name, where no DNS name is given, is judged as one (OpenSSL), and is refused beside no
  alternative name at all (BoringSSL: `X509_V_ERR_NAME_CONSTRAINTS_WITHOUT_SANS`).
"""

import functools
import ipaddress
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from ostiary.errors import Invalid
from ostiary.pki import name_rules, pem
from ostiary.pki.extensions import extension
from ostiary.pki.name_rules import visible
from ostiary.pki.names import name_text

Kind = Literal["dns", "ip", "email", "uri", "directory"]
KINDS: Final[tuple[Kind, ...]] = ("dns", "ip", "email", "uri", "directory")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_RDNs = tuple[frozenset[tuple[str, str]], ...]

_SUBTREES_MAX: Final = 200
# What BoringSSL takes for a host name in a common name (x509v3_looks_like_dns_name): a single word is one too.
_READS_AS_HOST: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_:][A-Za-z0-9_:-]*(?:\.[A-Za-z0-9_:][A-Za-z0-9_:-]*)*\.?")


@dataclass(frozen=True)
class Subtree:
    """One permitted or excluded part of the names of a kind. `value` is what it means, None when that cannot be understood."""

    kind: Kind
    text: str
    value: "str | _Network | _RDNs | None"

    def __str__(self) -> str:
        return f"{self.kind} '{self.text}'"


@dataclass(frozen=True)
class Violation:
    """A name that may not be there: its kind, the name, and the constraint that forbids it."""

    kind: Kind
    name: str
    constraint: str

    def __str__(self) -> str:
        return f"{self.kind} '{visible(self.name)}' {self.constraint}"


@dataclass(frozen=True)
class Constraints:
    """What an authority may sign, as its name constraints say. Kinds of names that are not mentioned are free."""

    permitted: tuple[Subtree, ...] = ()
    excluded: tuple[Subtree, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.permitted or self.excluded)

    def allows(self, subject: x509.Name, alternatives: Sequence[x509.GeneralName] = (), *, leaf: bool = True) -> Violation | None:
        """The first name that the constraints forbid; None when all may be signed."""
        for kind, name, value in _constrained(subject, alternatives, leaf=leaf):
            if violation := self._judge(kind, name, value):
                return violation
        return _lone_common_name(subject) if self and leaf and not alternatives else None

    def within(self, above: "Constraints") -> str | None:
        """Why these do not lie within those of an authority above, naming both; None when they do."""
        for own in self.permitted:
            same = [subtree for subtree in above.permitted if subtree.kind == own.kind]
            if same and not any(_contains(outer, own) for outer in same):
                return f"{own} lies outside of what is permitted above ({', '.join(map(str, same))})"
            if hidden := next((outer for outer in above.excluded if outer.kind == own.kind and _contains(outer, own)), None):
                return f"{own} is excluded above ({hidden})"
        return None

    def extension(self) -> x509.NameConstraints:
        """As the extension of a certificate."""
        return x509.NameConstraints([*map(_general_name, self.permitted)] or None, [*map(_general_name, self.excluded)] or None)

    def by_kind(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        """(permitted, excluded) as text by kind: what `given` takes."""
        return _texts(self.permitted), _texts(self.excluded)

    def _judge(self, kind: Kind, name: str, value: object) -> Violation | None:
        permitted = [subtree for subtree in self.permitted if subtree.kind == kind]
        excluded = [subtree for subtree in self.excluded if subtree.kind == kind]
        if not permitted and not excluded:
            return None
        if value is None:
            return Violation(kind, name, "names no host, so it cannot be judged by the constraints on such names")
        permits, excludes = _PERMITS[kind], _EXCLUDES[kind]
        if permitted and not any(subtree.value is not None and permits(subtree.value, value) for subtree in permitted):
            return Violation(kind, name, f"is not within what is permitted ({', '.join(one.text for one in permitted)})")
        for subtree in excluded:
            if subtree.value is None or excludes(subtree.value, value):
                return Violation(kind, name, f"is excluded ({subtree.text})")
        return None


NONE: Final = Constraints()


def given(
    permitted: Mapping[str, Iterable[str]], excluded: Mapping[str, Iterable[str]], field: str = "name_constraints"
) -> Constraints:
    """Constraints as an operator writes them, by kind. `Invalid` names the first that is not well-formed.

    dns: `a.test` is that name and all below. ip: a network. email: a mailbox, a host, or `.a.test` for all hosts below. uri: a
    host, or `.a.test`. directory: RFC 4514, such as `O=Acme,C=NO`: all names that begin so, seen from the most general part.
    """
    made = Constraints(_subtrees(permitted, f"{field}.permitted"), _subtrees(excluded, f"{field}.excluded"))
    if len(made.permitted) + len(made.excluded) > _SUBTREES_MAX:
        raise Invalid(field, f"at most {_SUBTREES_MAX} constraints are possible; verifiers ask each for each name.")
    for own in made.permitted:
        if not own.text:
            # `cryptography` refuses everybody below it ("malformed DNS name constraint").
            raise Invalid(f"{field}.permitted.{own.kind}", "an empty name permits all; leave the kind out instead.")
        if hidden := next((one for one in made.excluded if one.kind == own.kind and _contains(one, own)), None):
            raise Invalid(f"{field}.permitted.{own.kind}", f"'{own.text}' is excluded too ({hidden}); leave one of them out.")
    return made


@functools.lru_cache(maxsize=1024)  # asked with each certificate that an authority signs
def of(authority: x509.Certificate) -> Constraints:
    """Those of a CA certificate; `NONE` when it has none."""
    try:
        found = extension(authority, x509.NameConstraints)
    except pem.MALFORMED:
        raise Invalid("authority_id", "its name constraints cannot be read, so it can sign nothing; use another.") from None
    if found is None:
        return NONE
    return Constraints(_read(found.permitted_subtrees or ()), _read(found.excluded_subtrees or ()))


def _subtrees(by_kind: Mapping[str, Iterable[str]], field: str) -> tuple[Subtree, ...]:
    return tuple(
        dict.fromkeys(
            Subtree(kind, *_PARSERS[kind](text.strip(), f"{field}.{kind}")) for kind in KINDS for text in by_kind.get(kind, ())
        )
    )


def _texts(subtrees: Iterable[Subtree]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for subtree in subtrees:
        found[subtree.kind] = (*found.get(subtree.kind, ()), subtree.text)
    return found


def _read(names: Iterable[x509.GeneralName]) -> tuple[Subtree, ...]:
    """Kinds that we never sign (otherName, registeredID, …) cannot be violated and are left to verifiers."""
    return tuple(_subtree(name) for name in names if type(name) in _KINDS)


_KINDS: Final[dict[type[x509.GeneralName], Kind]] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "uri",
    x509.DirectoryName: "directory",
}


def _subtree(name: x509.GeneralName) -> Subtree:
    kind = _KINDS[type(name)]
    if isinstance(name, x509.DirectoryName):
        return Subtree(kind, name_text(name.value), _rdns(name.value))
    text = str(name.value)
    if isinstance(name, x509.IPAddress):
        return Subtree(kind, text, name.value if isinstance(name.value, _Network) else None)
    return Subtree(kind, name_rules.plain(text), _understood(kind, text))


def _understood(kind: Kind, text: str) -> str | None:
    """As it is compared. Of DNS names the empty one means all of them."""
    lower = text.lower() if kind != "email" else "@".join((*text.split("@")[:-1], text.rpartition("@")[2].lower()))
    host = lower.rpartition("@")[2] if kind == "email" else lower
    if kind == "dns" and not host:
        return ""
    return lower if host.isascii() and all(host.removeprefix(".").removesuffix(".").split(".")) else None


def _dns(text: str, field: str) -> tuple[str, str]:
    if text.startswith((".", "*")):
        # `cryptography` refuses everybody below such an authority, and the RFC does not know it.
        raise Invalid(field, f"write '{visible(text.lstrip('*').lstrip('.'))}': it stands for that name and all below it.")
    value = name_rules.dns(text, field) if text else ""
    return value, value


def _ip(text: str, field: str) -> tuple[str, _Network]:
    try:
        if "%" not in text:
            network = ipaddress.ip_network(text)
            return str(network), network
    except ValueError:
        pass
    raise Invalid(field, f"'{visible(text)}' is not a network without host bits, such as 10.0.0.0/8.")


def _email(text: str, field: str) -> tuple[str, str]:
    if "@" not in text:
        return _host(text, field)
    if text.startswith("*@"):
        raise Invalid(field, f"write '{visible(text[2:])}': a host stands for every mailbox of it.")
    value = name_rules.email(text, field)
    return value, value


def _host(text: str, field: str) -> tuple[str, str]:
    """A host, or with a leading dot all hosts below."""
    dot = "." if text.startswith(".") else ""
    if text.startswith("*") or "/" in text:
        raise Invalid(field, f"'{visible(text)}' is not a host such as a.test, or .a.test for all hosts below it.")
    value = dot + name_rules.dns(text.removeprefix("."), field)
    return value, value


def _directory(text: str, field: str) -> tuple[str, _RDNs]:
    try:
        name = x509.Name.from_rfc4514_string(text)
    except pem.MALFORMED:
        raise Invalid(field, f"'{visible(text)}' is not a distinguished name (RFC 4514), such as O=Acme,C=NO.") from None
    if not list(name):
        raise Invalid(field, "it is empty; give at least one part, such as O=Acme.")
    return name_text(name), _rdns(name)


_PARSERS: Final[dict[Kind, Callable[[str, str], tuple[str, "str | _Network | _RDNs"]]]] = {
    "dns": _dns,
    "ip": _ip,
    "email": _email,
    "uri": _host,
    "directory": _directory,
}


def _general_name(subtree: Subtree) -> x509.GeneralName:
    match subtree.kind:
        case "dns":
            return x509.DNSName(subtree.text)
        case "ip":
            return x509.IPAddress(ipaddress.ip_network(subtree.text))
        case "email":
            return x509.RFC822Name(subtree.text)
        case "uri":
            return x509.UniformResourceIdentifier(subtree.text)
        case "directory":
            return x509.DirectoryName(x509.Name.from_rfc4514_string(subtree.text))


def _rdns(name: x509.Name) -> _RDNs:
    """The name as it is compared: RFC 5280 7.1 takes stringprep, so neither case, width nor spaces tell two names apart."""
    return tuple(frozenset((part.oid.dotted_string, _prepared(part.value)) for part in rdn) for rdn in name.rdns)


def _prepared(value: str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def _constrained(
    subject: x509.Name, alternatives: Sequence[x509.GeneralName], *, leaf: bool
) -> Iterator[tuple[Kind, str, object]]:
    """(kind, text, value as it is compared, or None) of every name that constraints speak of."""
    if list(subject):
        yield "directory", name_text(subject), _rdns(subject)
    for part in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield "email", str(part.value), _mailbox(str(part.value))
    if leaf and not any(isinstance(name, x509.DNSName) for name in alternatives):
        yield from (("dns", host, host.lower().removesuffix(".")) for host in _hosts_in(subject) if "." in host)
    for name in alternatives:
        if type(name) in _KINDS:
            yield _KINDS[type(name)], _shown(name), _READERS[_KINDS[type(name)]](name.value)


def _hosts_in(subject: x509.Name) -> Iterator[str]:
    """The common names that some engine takes for host names."""
    values = (str(part.value) for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return (value for value in values if _READS_AS_HOST.fullmatch(value))


def _lone_common_name(subject: x509.Name) -> Violation | None:
    for host in _hosts_in(subject):
        return Violation("dns", host, "is a common name that reads as a host name; below name constraints that takes a subject "
                         "alternative name beside it, or engines refuse it")  # fmt: skip
    return None


def _shown(name: x509.GeneralName) -> str:
    return name_text(name.value) if isinstance(name, x509.DirectoryName) else str(name.value)


def _mailbox(text: str) -> str | None:
    local, at, host = text.rpartition("@")
    return f"{local}@{host.lower()}" if local and at and host else None


def _host_of(uri: str) -> str | None:
    """The host of a URI, when it is a name (RFC 5280 4.2.1.10: constraints apply to that part alone)."""
    try:
        host = urllib.parse.urlsplit(uri).hostname or ""
        ipaddress.ip_address(host)
    except ValueError:
        return host if host and "%" not in host else None
    return None


_READERS: Final[dict[Kind, Callable[[object], object]]] = {
    "dns": lambda value: str(value).lower().removesuffix("."),
    "ip": lambda value: value if isinstance(value, _Address) else None,
    "email": lambda value: _mailbox(str(value)),
    "uri": lambda value: _host_of(str(value)),
    "directory": lambda value: _rdns(value) if isinstance(value, x509.Name) else None,
}


def _dns_permits(constraint: str, name: str) -> bool:
    base = constraint.strip(".")
    return not base or name.endswith(f".{base}") or name == constraint


def _dns_excludes(constraint: str, name: str) -> bool:
    base = constraint.strip(".")
    # `*.a.test` covers `b.a.test`, so it touches what excludes that.
    touched = name.startswith("*.") and base.partition(".")[2] == name[2:]
    return touched or name == base or _dns_permits(constraint, name)


def _ip_within(constraint: _Network, address: _Address) -> bool:
    return constraint.version == address.version and address in constraint


def _email_permits(constraint: str, name: str) -> bool:
    if "@" in constraint:
        return name == constraint
    return _host_within(constraint, name.rpartition("@")[2])


def _email_excludes(constraint: str, name: str) -> bool:
    return _email_permits(constraint.lower(), name.lower())


def _host_within(constraint: str, host: str) -> bool:
    return host.endswith(constraint) and len(host) > len(constraint) if constraint.startswith(".") else host == constraint


def _directory_within(constraint: _RDNs, name: _RDNs) -> bool:
    return name[: len(constraint)] == constraint


_Within = Callable[[Any, Any], bool]  # (what a constraint of the kind means, a name of the kind)
_PERMITS: Final[dict[Kind, _Within]] = {
    "dns": _dns_permits,
    "ip": _ip_within,
    "email": _email_permits,
    "uri": _host_within,
    "directory": _directory_within,
}
_EXCLUDES: Final[dict[Kind, _Within]] = {**_PERMITS, "dns": _dns_excludes, "email": _email_excludes}


def _contains(outer: Subtree, inner: Subtree) -> bool:
    """Whether every name of `inner` is one of `outer`, which is of the same kind."""
    large, small = outer.value, inner.value
    if large is None or small is None:
        return False
    if isinstance(large, _Network) and isinstance(small, _Network):
        return large.version == small.version and small.subnet_of(large)  # type: ignore[arg-type]  # of one version
    if isinstance(large, str) and isinstance(small, str) and outer.kind != "dns":
        # A mailbox lies within its host; a host, and the hosts below it, within what is above them.
        return large == small or _PERMITS[outer.kind](large, small) or (large.startswith(".") and small.endswith(large))
    return _PERMITS[outer.kind](large, small)
