"""The names in a certificate: check those that are to go in, and show those that are there without being fooled by them."""

import dataclasses
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from ostiary.errors import Invalid
from ostiary.pki import name_rules, pem
from ostiary.pki.name_rules import plain

NameKind = Literal["common_name", "organization", "organizational_unit", "serial_number", "dns", "ip", "uri", "email"]
SUBJECT_KINDS: Final[tuple[NameKind, ...]] = ("common_name", "organization", "organizational_unit", "serial_number")
ALTERNATIVE_KINDS: Final[tuple[NameKind, ...]] = ("dns", "ip", "uri", "email")
NAME_KINDS: Final = (*SUBJECT_KINDS, *ALTERNATIVE_KINDS)

ALTERNATIVES_MAX: Final = 100

_PREFIXES: Final[dict[type[x509.GeneralName], str]] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "email",
}


@dataclass(frozen=True)
class Names:
    """The names a certificate carries, or is to carry: parts of the subject, and subject alternative names."""

    common_name: str = ""
    organization: str = ""
    organizational_unit: str = ""
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    serial_number: str = ""  # of a device (X.520 serialNumber, IEEE 802.1AR 8.6), not of the certificate

    def of(self, kind: NameKind) -> tuple[str, ...]:
        """The names of one kind, none or more."""
        value: str | tuple[str, ...] = getattr(self, kind)
        return value if isinstance(value, tuple) else (value,) if value else ()


@dataclass(frozen=True)
class SubjectFields:
    """The subject of an authority, under X.520's own names."""

    CN: str = ""
    O: str = ""  # noqa: E741 (X.520's own name)
    OU: str = ""
    C: str = ""
    ST: str = ""
    L: str = ""


_SUBJECT_OIDS: Final = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
_PARTS: Final[dict[NameKind, str]] = {
    "common_name": "CN",
    "organization": "O",
    "organizational_unit": "OU",
    "serial_number": "serialNumber",
}


def checked(names: Names, field: Callable[[NameKind], str]) -> Names:
    """The same names in canonical form, each once; `Invalid` names the first that is not well-formed.

    `field` says under which name the caller knows each kind.
    """
    if sum(len(names.of(kind)) for kind in ALTERNATIVE_KINDS) > ALTERNATIVES_MAX:
        raise Invalid(field("dns"), f"a certificate carries at most {ALTERNATIVES_MAX} names; split them over several.")
    for kind, part in _PARTS.items():
        for text in names.of(kind):
            name_rules.subject_part(text, part, field(kind))
    return dataclasses.replace(
        names,
        dns=_each(names.dns, name_rules.dns, field("dns")),
        ip=_each(names.ip, name_rules.ip, field("ip")),
        uri=_each(names.uri, name_rules.uri, field("uri")),
        email=_each(names.email, name_rules.email, field("email")),
    )


def subject(names: Names) -> x509.Name:
    """The subject of a leaf, most general part first (X.501)."""
    return _name({part: getattr(names, kind) for kind, part in _PARTS.items()}, "names")


def authority_subject(fields: SubjectFields, field: str) -> x509.Name:
    """The subject of an authority as `cryptography` has it, most general part first."""
    parts = dataclasses.asdict(fields)
    if not any(parts.values()):
        raise Invalid(field, "an authority needs a name: give at least CN.")  # RFC 5280 4.1.2.6
    return _name(parts, field)


def _name(parts: Mapping[str, str], field: str) -> x509.Name:
    given = [(oid, part, parts[part]) for part, oid in _SUBJECT_OIDS.items() if parts.get(part)]
    for _, part, value in given:
        name_rules.subject_part(value, part, f"{field}.{part}")
    return x509.Name([x509.NameAttribute(oid, value) for oid, _, value in given])


def fields_of(name: x509.Name) -> SubjectFields:
    """The parts of an authority's name that we know."""
    by_oid = {part.oid: str(part.value) for part in name}
    return SubjectFields(
        **{part: by_oid[oid] for part, oid in _SUBJECT_OIDS.items() if oid in by_oid and hasattr(SubjectFields, part)}
    )


def alternatives(names: Names) -> list[x509.GeneralName]:
    """The subject alternative names of checked names."""
    return [
        *map(x509.DNSName, names.dns),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in names.ip),
        *map(x509.UniformResourceIdentifier, names.uri),
        *map(x509.RFC822Name, names.email),
    ]


def subject_text(certificate: x509.Certificate) -> str:
    """The subject per RFC 4514, with what cannot be seen written as escapes."""
    return name_text(certificate.subject)


def name_text(name: x509.Name) -> str:
    """A distinguished name per RFC 4514, most specific part first, with what cannot be seen written as escapes."""
    return plain(name.rfc4514_string())


def sans_text(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names, such as `DNS:a.test`, `IP:10.0.0.1`, `URI:spiffe://…`, `email:a@b.test`."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except pem.MALFORMED:
        return ("(cannot be read)",)
    return tuple(general_name_text(name) for name in found)


def general_name_text(name: x509.GeneralName) -> str:
    """One subject alternative name; unusual kinds as their type and hexadecimal bytes."""
    match name:
        case x509.DNSName() | x509.UniformResourceIdentifier() | x509.RFC822Name() | x509.IPAddress():
            return f"{_PREFIXES[type(name)]}:{plain(str(name.value))}"
        case x509.DirectoryName():
            return f"dirName:{name_text(name.value)}"
        case x509.RegisteredID():
            return f"RID:{name.value.dotted_string}"
        case x509.OtherName():
            return f"otherName:{name.type_id.dotted_string}:{name.value[:64].hex()}"
    return f"(unknown kind {type(name).__name__})"


def fingerprint_sha256(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def serial_hex(certificate: x509.Certificate) -> str:
    """The serial number, hexadecimal, in whole octets."""
    return whole_octets(certificate.serial_number)


def whole_octets(serial: int) -> str:
    """A serial number as we write and store them."""
    digits = f"{serial:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _each(values: Iterable[str], check: Callable[[str, str], str], field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check(value, field) for value in values))
