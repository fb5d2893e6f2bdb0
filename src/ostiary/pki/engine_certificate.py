"""A certificate as the engine reads it: what BoringSSL makes of its fields and extensions, and what it does not take at all.

`cryptography` refuses some that BoringSSL takes (a negative serial number, a set out of order) and reads others in another way.
Who says beforehand what the engine will do must not know better. Keys and signatures are `cryptography`'s.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeVar

from ostiary.pki import engine_keys, engine_name, tlv
from ostiary.pki.engine_name import EngineName, GeneralName
from ostiary.pki.engine_signature import Signed

T = TypeVar("T")
OID = tuple[int, ...]

ANY_PURPOSE: Final[OID] = (2, 5, 29, 37, 0)
CLIENT_AUTH: Final[OID] = (1, 3, 6, 1, 5, 5, 7, 3, 2)

BASIC_CONSTRAINTS: Final[OID] = (2, 5, 29, 19)
KEY_USAGE: Final[OID] = (2, 5, 29, 15)
EXTENDED_KEY_USAGE: Final[OID] = (2, 5, 29, 37)
SUBJECT_KEY_IDENTIFIER: Final[OID] = (2, 5, 29, 14)
AUTHORITY_KEY_IDENTIFIER: Final[OID] = (2, 5, 29, 35)
SUBJECT_ALTERNATIVE_NAME: Final[OID] = (2, 5, 29, 17)
NAME_CONSTRAINTS: Final[OID] = (2, 5, 29, 30)
CERTIFICATE_POLICIES: Final[OID] = (2, 5, 29, 32)
POLICY_MAPPINGS: Final[OID] = (2, 5, 29, 33)
POLICY_CONSTRAINTS: Final[OID] = (2, 5, 29, 36)
INHIBIT_ANY_POLICY: Final[OID] = (2, 5, 29, 54)
CRL_DISTRIBUTION_POINTS: Final[OID] = (2, 5, 29, 31)

# A critical extension that is none of these fails the path; of those that are, not all are acted upon by everybody.
UNDERSTOOD: Final = frozenset(
    {
        BASIC_CONSTRAINTS,
        KEY_USAGE,
        EXTENDED_KEY_USAGE,
        SUBJECT_ALTERNATIVE_NAME,
        NAME_CONSTRAINTS,
        CERTIFICATE_POLICIES,
        POLICY_MAPPINGS,
        POLICY_CONSTRAINTS,
        INHIBIT_ANY_POLICY,
        (1, 3, 6, 1, 4, 1, 44363, 47, 2),  # of Merkle tree certificates, a draft that Envoy 1.40 has on board
    }
)

_OCTETS_MAX: Final = 128 * 1024  # Envoy takes 100 KiB for all that a client shows

_FIELDS_TO_KEY: Final = 6  # serial number, algorithm, issuer, validity, subject, key

# Bits of a key usage, as they stand in the first octet.
DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN, CRL_SIGN = 0x80, 0x08, 0x04, 0x02


@dataclass(frozen=True)
class KeyIdentifier:
    """Which key of its issuer signed (RFC 5280 4.2.1.1), as far as it is said."""

    key: bytes | None = None
    issuer: EngineName | None = None
    serial: bytes | None = None


@dataclass(frozen=True)
class Subtrees:
    """Name constraints: what may and what must not be there; each with whether it has a minimum or maximum."""

    permitted: tuple[tuple[GeneralName, bool], ...] = ()
    excluded: tuple[tuple[GeneralName, bool], ...] = ()


@dataclass(frozen=True, eq=False)
class EngineCertificate:
    """What BoringSSL knows of a certificate. `defect` is the extension it cannot read, for which it refuses every path."""

    der: bytes
    signed: Signed
    version: int
    serial: bytes
    issuer: EngineName
    subject: EngineName
    not_before: datetime | None
    not_after: datetime | None
    spki: bytes
    extensions: Mapping[OID, tuple[tlv.Value, ...]]  # each as often as it is there
    defect: OID | None
    unknown_critical: OID | None
    is_ca: bool | None  # None: it does not say
    path_length: int | None
    key_usage: int | None
    purposes: frozenset[OID] | None
    key_identifier: bytes | None
    issuer_key: KeyIdentifier | None
    alternatives: tuple[GeneralName, ...] | None
    constraints: Subtrees | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EngineCertificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    @functools.cached_property
    def fingerprint_sha256(self) -> str:
        """SHA-256 of the whole, hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()

    @functools.cached_property
    def key(self) -> object | None:
        """Its public key, None when the engine cannot verify with it."""
        return engine_keys.of_authority(self.spki)

    @functools.cached_property
    def is_self_issued(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject.compared == self.issuer.compared

    @functools.cached_property
    def is_self_signed(self) -> bool:
        """What the engine takes for signed by itself, without looking at the signature."""
        return self.is_self_issued and self.may_be_meant(self.issuer_key) and self.may(KEY_CERT_SIGN)

    def may(self, usage: int) -> bool:
        """Whether its key usage allows one of these, or does not speak of it."""
        return self.key_usage is None or bool(self.key_usage & usage)

    def may_be_meant(self, named: KeyIdentifier | None) -> bool:
        """Whether it can be the issuer that is named so."""
        if named is None:
            return True
        if named.key is not None and self.key_identifier is not None and named.key != self.key_identifier:
            return False
        if named.serial is not None and named.serial != self.serial:
            return False
        return named.issuer is None or named.issuer.compared == self.issuer.compared

    def may_have_issued(self, other: "EngineCertificate") -> bool:
        """Whether the engine tries it as the issuer of another: by name, key identifier and key usage."""
        return (
            self.subject.compared == other.issuer.compared
            and self.defect is None
            and other.defect is None
            and self.may_be_meant(other.issuer_key)
            and self.may(KEY_CERT_SIGN)
        )


def read(der: bytes) -> EngineCertificate:
    """Read a certificate. Raises `NotDER` for what the engine does not take for one."""
    _require(len(der) <= _OCTETS_MAX, "too large")
    to_be_signed, algorithm, signature = tlv.sequence(der).parts(tlv.SEQUENCE, tlv.BIT_STRING)
    fields = to_be_signed.parts()
    version = _version(fields)
    serial, inside, issuer, validity, subject, spki, *rest = fields
    _require(serial.kind == tlv.INTEGER and engine_name.is_number(serial.content), "no serial number")
    _require(spki.kind == tlv.SEQUENCE, "no public key")
    of_key, key = spki.parts(tlv.SEQUENCE, tlv.BIT_STRING)
    _require(key.kind == tlv.BIT_STRING and engine_name.is_bit_string(key.content), "no public key")
    for one in (algorithm, inside, of_key):
        _refuse_no_algorithm(one)
    _require(signature.kind == tlv.BIT_STRING and engine_name.is_bit_string(signature.content), "no signature")
    _require(validity.kind == tlv.SEQUENCE, "no validity")
    not_before, not_after = validity.parts()
    held = _extensions(rest, version)
    found = _Read(held)
    basic = found.of(BASIC_CONSTRAINTS, _basic_constraints)
    return EngineCertificate(
        der=der,
        signed=Signed(to_be_signed.whole, algorithm, inside, signature.content),
        version=version,
        serial=serial.content,
        issuer=engine_name.read(issuer),
        subject=engine_name.read(subject),
        not_before=_time(not_before),
        not_after=_time(not_after),
        spki=spki.whole,
        extensions=MappingProxyType(_by_kind(held)),
        is_ca=basic[0] if basic else None,
        path_length=basic[1] if basic else None,
        key_usage=found.of(KEY_USAGE, _key_usage),
        purposes=found.of(EXTENDED_KEY_USAGE, _purposes),
        key_identifier=found.of(SUBJECT_KEY_IDENTIFIER, _octets),
        issuer_key=found.of(AUTHORITY_KEY_IDENTIFIER, _read_issuer_key),
        alternatives=found.of(SUBJECT_ALTERNATIVE_NAME, engine_name.general_names),
        constraints=found.of(NAME_CONSTRAINTS, _constraints),
        unknown_critical=next((kind for kind, critical, _ in held if critical and kind not in UNDERSTOOD), None),
        defect=found.defect_with(CRL_DISTRIBUTION_POINTS, _refuse_no_distribution_points),
    )


def spki(der: bytes) -> bytes:
    """The holder's key alone, which the engine looks at before it reads what comes behind. Raises `NotDER`."""
    to_be_signed, _ = tlv.first(tlv.sequence(der).content)
    field, rest = tlv.first(to_be_signed.content)
    before = [] if field.kind == (tlv.CONTEXT, 0) else [field]
    while len(before) < _FIELDS_TO_KEY:
        field, rest = tlv.first(rest)
        before.append(field)
    _require([one.kind for one in (to_be_signed, *before)] == [tlv.SEQUENCE, tlv.INTEGER, *[tlv.SEQUENCE] * 5], "no certificate")
    return field.whole


class _Read:
    """Extensions as they are read, and the first that could not be."""

    def __init__(self, held: Sequence[tuple[OID, bool, tlv.Value]]) -> None:
        self._held = held
        self._defect: OID | None = None

    def of(self, kind: OID, read: Callable[[tlv.Value], T]) -> T | None:
        """What one extension says; None when it is not there, is there twice, or cannot be read."""
        found = [value for held, _, value in self._held if held == kind]
        if not found:
            return None
        try:
            _require(len(found) == 1, "an extension is there twice")
            return read(tlv.only(found[0].content))
        except ValueError:
            self._defect = self._defect or kind
            return None

    def defect_with(self, kind: OID, check: Callable[[tlv.Value], None]) -> OID | None:
        """The first extension that could not be read, once this one was looked at too."""
        self.of(kind, check)
        return self._defect


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 (reads as a sentence)
    if not holds:
        raise tlv.NotDER(otherwise)


def _version(fields: list[tlv.Value]) -> int:
    if not fields or fields[0].kind != (tlv.CONTEXT, 0):
        return 1
    (said,) = fields.pop(0).parts(tlv.INTEGER)
    _require(said.content in (b"\x00", b"\x01", b"\x02"), "no version that there is")
    return said.content[0] + 1


def _refuse_no_algorithm(value: tlv.Value) -> None:
    _require(value.kind == tlv.SEQUENCE, "no algorithm")
    kind, *parameters = value.parts()
    _require(kind.kind == tlv.OBJECT_IDENTIFIER and len(parameters) <= 1, "no algorithm")
    tlv.object_identifier(kind.content)


_TIMES: Final = {
    (tlv.UNIVERSAL, 23): (re.compile(rb"(\d{12})(Z|[+-]\d{4})"), "%y%m%d%H%M%S"),
    (tlv.UNIVERSAL, 24): (re.compile(rb"(\d{14})(Z)"), "%Y%m%d%H%M%S"),
}


def _time(value: tlv.Value) -> datetime | None:
    """A time; None for one with an offset from UTC, which is read but never comes."""
    form, meaning = _TIMES.get(value.kind, (None, ""))
    found = form.fullmatch(value.content) if form else None
    _require(found is not None, "no time")
    assert found is not None  # noqa: S101 (said just above)
    digits = found[1].decode()
    if value.kind == (tlv.UNIVERSAL, 23):  # RFC 5280 4.1.2.5.1: two digits are 1950 to 2049
        digits, meaning = ("20" if digits < "50" else "19") + digits, "%Y%m%d%H%M%S"
    at = datetime.strptime(digits, meaning).replace(tzinfo=UTC)
    return at if found[2] == b"Z" else None


def _extensions(rest: Sequence[tlv.Value], version: int) -> list[tuple[OID, bool, tlv.Value]]:
    allowed = {2: ((tlv.CONTEXT, 1), (tlv.CONTEXT, 2)), 3: ((tlv.CONTEXT, 1), (tlv.CONTEXT, 2), (tlv.CONTEXT, 3))}
    kinds = [value.kind for value in rest]
    _require(kinds == sorted(set(kinds)) and all(kind in allowed.get(version, ()) for kind in kinds), "a field too many")
    _require(all(value.is_constructed == (value.kind[1] == 3) for value in rest), "a field in the wrong form")
    _require(all(value.is_constructed or engine_name.is_bit_string(value.content) for value in rest), "no unique identifier")
    held = [value for value in rest if value.kind == (tlv.CONTEXT, 3)]
    return [_extension(one) for one in tlv.sequence(held[0].content).parts(tlv.SEQUENCE)] if held else []


def _by_kind(held: Sequence[tuple[OID, bool, tlv.Value]]) -> dict[OID, tuple[tlv.Value, ...]]:
    found: dict[OID, tuple[tlv.Value, ...]] = {}
    for kind, _, value in held:
        found[kind] = (*found.get(kind, ()), value)
    return found


def _extension(whole: tlv.Value) -> tuple[OID, bool, tlv.Value]:
    kind, *critical, value = whole.parts(tlv.OBJECT_IDENTIFIER, tlv.BOOLEAN, tlv.OCTET_STRING)
    kinds = [part.kind for part in (kind, *critical, value)]
    _require(kinds in ([tlv.OBJECT_IDENTIFIER, *[tlv.BOOLEAN] * count, tlv.OCTET_STRING] for count in (0, 1)), "no extension")
    return tlv.object_identifier(kind.content), bool(critical) and _is_true(critical[0].content), value


def _is_true(octets: bytes) -> bool:
    """Anything but zero is: the engine is lax about it."""
    _require(len(octets) == 1, "no truth value")
    return octets != b"\x00"


def _basic_constraints(value: tlv.Value) -> tuple[bool, int | None]:
    parts = value.parts(tlv.BOOLEAN, tlv.INTEGER)
    is_ca = bool(parts) and parts[0].kind == tlv.BOOLEAN and _is_true(parts.pop(0).content)
    _require(value.kind == tlv.SEQUENCE and len(parts) <= 1, "no basic constraints")
    if not parts:
        return is_ca, None
    length = int.from_bytes(parts[0].content, "big", signed=True)
    _require(engine_name.is_number(parts[0].content) and length >= 0 and is_ca, "a path length that cannot be")
    return is_ca, length


def _key_usage(value: tlv.Value) -> int:
    _require(value.kind == tlv.BIT_STRING and engine_name.is_bit_string(value.content), "no key usage")
    return value.content[1] if len(value.content) > 1 else 0


def _purposes(value: tlv.Value) -> frozenset[OID]:
    _require(value.kind == tlv.SEQUENCE, "no purposes")
    return frozenset(tlv.object_identifier(one.content) for one in value.parts(tlv.OBJECT_IDENTIFIER))


def _octets(value: tlv.Value) -> bytes:
    _require(value.kind == tlv.OCTET_STRING and not value.is_constructed, "no octets")
    return value.content


def _read_issuer_key(value: tlv.Value) -> KeyIdentifier:
    _require(value.kind == tlv.SEQUENCE, "no key identifier")
    said = {part.kind[1]: part for part in _in_order(value, "pcp")}
    issuers = engine_name.general_names_in(said[1].content) if 1 in said else ()
    directories = [engine_name.read(tlv.only(one.content)) for one in issuers if one.tag == engine_name.DIRECTORY]
    _require(2 not in said or engine_name.is_number(said[2].content), "no serial number")
    return KeyIdentifier(
        key=said[0].content if 0 in said else None,
        issuer=directories[0] if directories else None,
        serial=said[2].content if 2 in said else None,
    )


def _in_order(value: tlv.Value, forms: str) -> list[tlv.Value]:
    """The parts of a SEQUENCE that are optional and told apart by their tags; a letter for each says whether it holds others."""
    parts = value.parts(*((tlv.CONTEXT, tag) for tag in range(len(forms))))
    kinds = [part.kind for part in parts]
    _require(kinds == sorted(set(kinds)), "parts out of order")
    _require(all(part.is_constructed == (forms[part.kind[1]] == "c") for part in parts), "parts in the wrong form")
    return parts


def _constraints(value: tlv.Value) -> Subtrees:
    _require(value.kind == tlv.SEQUENCE, "no name constraints")
    said = {part.kind[1]: tuple(map(_subtree, part.parts(tlv.SEQUENCE))) for part in _in_order(value, "cc")}
    return Subtrees(permitted=said.get(0, ()), excluded=said.get(1, ()))


def _subtree(value: tlv.Value) -> tuple[GeneralName, bool]:
    base, *limits = value.parts()
    kinds = [limit.kind for limit in limits]
    _require(kinds == sorted(set(kinds)) and set(kinds) <= {(tlv.CONTEXT, 0), (tlv.CONTEXT, 1)}, "no subtree")
    _require(all(not limit.is_constructed and engine_name.is_number(limit.content) for limit in limits), "no limits")
    return engine_name.general_name(base), bool(limits)


def _refuse_no_distribution_points(value: tlv.Value) -> None:
    _require(value.kind == tlv.SEQUENCE, "no distribution points")
    for point in value.parts(tlv.SEQUENCE):
        for part in _in_order(point, "cpc"):
            match part.kind[1]:
                case 0:
                    _refuse_no_point(part.inner())
                case 1:
                    _require(engine_name.is_bit_string(part.content), "no reasons")
                case 2:
                    engine_name.general_names_in(part.content)


def _refuse_no_point(name: tlv.Value) -> None:
    match name.kind:
        case (tlv.CONTEXT, 0) if name.is_constructed:
            engine_name.general_names_in(name.content)
        case (tlv.CONTEXT, 1):
            engine_name.read_relative(name)
        case _:
            raise tlv.NotDER("no point")


def issuer_key(octets: bytes) -> KeyIdentifier:
    """An authority key identifier, DER; of a revocation list, for example. Raises `NotDER`."""
    return _read_issuer_key(tlv.only(octets))
