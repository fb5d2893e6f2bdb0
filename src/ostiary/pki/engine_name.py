"""A distinguished name as the engine reads it: what it takes for one, how it prints it, and when it takes two for the same.

BoringSSL (`x_name.cc`, `a_strex.cc`) is laxer than `cryptography`: it does not ask whether a set is in order, how long an object
identifier is, or whether a PrintableString is printable. What it cannot decode it refuses together with the certificate.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ostiary.pki import tlv
from ostiary.pki.short_names import SHORT_NAMES

# BoringSSL writes the numbers of an object identifier into 80 characters, one of them to end them, and none beyond 64 bits.
_NUMBERS_MAX: Final = 79
_ARC_MAX: Final = (1 << 64) - 1

_UTF8, _UNIVERSAL_STRING, _BMP_STRING = 12, 28, 30
_LATIN: Final = frozenset({19, 20, 22, 26})  # PrintableString, TeletexString, IA5String, VisibleString
_PRINTED_AS_LATIN: Final = _LATIN | {18, 23, 24}  # NumericString, UTCTime, GeneralizedTime: printed, but compared by octets

_UNIVERSAL_MAX: Final = 255

_ESCAPED: Final = frozenset(b'\\",+<>;')
_SPACE, _HASH = b" #"
_SPACES: Final = re.compile(r"[\t\n\v\f\r ]+")

EMAIL, DNS, DIRECTORY, URI, IP = 1, 2, 4, 6, 7  # tags of a GeneralName (RFC 5280 4.2.1.6)
_PRIMITIVE: Final = frozenset({EMAIL, DNS, URI, IP, 8})
_CONSTRUCTED_NAMES: Final = frozenset({0, 3, DIRECTORY, 5})

_Attribute = tuple[tuple[int, ...], tlv.Value]


@dataclass(frozen=True)
class EngineName:
    """A name that was taken apart, the most general part first; `whole` is its encoding."""

    whole: bytes
    parts: tuple[tuple[_Attribute, ...], ...]

    def printed(self) -> str:
        """Per RFC 2253 as BoringSSL has it: the last part first, and those of one set in the other direction too."""
        return ",".join("+".join(map(_printed, reversed(rdn))) for rdn in reversed(self.parts))

    @functools.cached_property
    def compared(self) -> tuple[bytes, ...]:
        """What makes it the same name as another, part by part: case of ASCII letters and spaces do not count."""
        return tuple(b"".join(sorted(_compared(kind, value) for kind, value in rdn)) for rdn in self.parts)

    def texts(self, kind: tuple[int, ...]) -> list[tlv.Value]:
        """The values of one kind, as they are encoded."""
        return [value for rdn in self.parts for held, value in rdn if held == kind]


@dataclass(frozen=True)
class GeneralName:
    """One alternative name, or one part of a name constraint: its kind, and its octets as they are."""

    tag: int
    content: bytes


def read(name: tlv.Value) -> EngineName:
    """Take a name apart. Raises `NotDER` for what the engine does not take for one."""
    if name.kind != tlv.SEQUENCE:
        raise tlv.NotDER("no name")
    return EngineName(name.whole, tuple(tuple(map(_attribute, _set(rdn))) for rdn in name.parts(tlv.SET)))


def general_names(value: tlv.Value) -> tuple[GeneralName, ...]:
    """A list of names of any kind. Raises `NotDER`."""
    if value.kind != tlv.SEQUENCE:
        raise tlv.NotDER("no list of names")
    return tuple(map(general_name, value.parts()))


def general_names_in(content: bytes) -> tuple[GeneralName, ...]:
    """The same where the list's own tag was replaced by another."""
    return tuple(map(general_name, tlv.values(content)))


def general_name(value: tlv.Value) -> GeneralName:
    """One name of any kind. Raises `NotDER`."""
    family, tag = value.kind
    if family != tlv.CONTEXT or tag not in (_CONSTRUCTED_NAMES if value.is_constructed else _PRIMITIVE):
        raise tlv.NotDER("no kind of name")
    if check := _NAME_CHECKS.get(tag):
        check(value)
    return GeneralName(tag, value.content)


def _other_name(value: tlv.Value) -> None:
    kind, held = value.parts()
    if kind.kind != tlv.OBJECT_IDENTIFIER or held.kind != (tlv.CONTEXT, 0) or not held.is_constructed:
        raise tlv.NotDER("no name of another kind")
    tlv.object_identifier(kind.content)
    _refuse_malformed(held.inner())


def _edi_party_name(value: tlv.Value) -> None:
    parts = value.parts((tlv.CONTEXT, 0), (tlv.CONTEXT, 1))
    if [part.kind[1] for part in parts] not in ([1], [0, 1]):
        raise tlv.NotDER("no name of a party")
    for part in parts:
        if not part.is_constructed or text(part.inner()) is None:
            raise tlv.NotDER("no name of a party")


_NAME_CHECKS: Final[dict[int, Callable[[tlv.Value], object]]] = {
    0: _other_name,
    DIRECTORY: lambda value: read(value.inner()),
    5: _edi_party_name,
    8: lambda value: tlv.object_identifier(value.content),
}


def read_relative(rdn: tlv.Value) -> None:
    """Refuse what is no last part of a name (nameRelativeToCRLIssuer, RFC 5280 4.2.1.13)."""
    for part in rdn.parts(tlv.SEQUENCE):
        _attribute(part)


def text(value: tlv.Value) -> str | None:
    """What a value says, when its type is one of text."""
    tag = value.kind[1] if value.kind[0] == tlv.UNIVERSAL else None
    if tag in _PRINTED_AS_LATIN:
        return value.content.decode("latin-1")
    decode = _DECODERS.get(tag) if tag is not None else None
    return decode(value.content) if decode else None


def _set(rdn: tlv.Value) -> list[tlv.Value]:
    found = rdn.parts(tlv.SEQUENCE)
    if not found:
        raise tlv.NotDER("a part of a name is empty")
    return found


def _attribute(part: tlv.Value) -> _Attribute:
    held = part.parts()
    if len(held) != 2 or held[0].kind != tlv.OBJECT_IDENTIFIER:
        raise tlv.NotDER("no part of a name")
    kind, value = held
    _refuse_malformed(value)
    return tlv.object_identifier(kind.content), value


def _refuse_malformed(value: tlv.Value) -> None:
    family, tag = value.kind
    if family != tlv.UNIVERSAL:
        return
    if tag > _UNIVERSAL_MAX:
        raise tlv.NotDER("no type")
    if (check := _CHECKS.get(tag)) and not check(value.content):
        raise tlv.NotDER("a value that is not of its type")


def is_number(octets: bytes) -> bool:
    """Whether it is an INTEGER in the shortest form."""
    return bool(octets) and not (len(octets) > 1 and (octets[0], octets[1] >> 7) in ((0, 0), (0xFF, 1)))


def is_bit_string(octets: bytes) -> bool:
    """Whether it is a BIT STRING whose unused bits are none, or zero."""
    if not octets or octets[0] > 7 or (octets[0] and len(octets) == 1):
        return False
    return not octets[0] or octets[-1] & ((1 << octets[0]) - 1) == 0


def _is_object_identifier(octets: bytes) -> bool:
    return bool(tlv.object_identifier(octets))


def _utf8(octets: bytes) -> str:
    return _checked(octets, "utf-8")


def _ucs2(octets: bytes) -> str:
    if any(0xD8 <= octet <= 0xDF for octet in octets[::2]):
        raise tlv.NotDER("surrogates are no characters")
    return _checked(octets, "utf-16-be")


def _utf32(octets: bytes) -> str:
    return _checked(octets, "utf-32-be")


def _checked(octets: bytes, encoding: str) -> str:
    try:
        decoded = octets.decode(encoding)
    except UnicodeError:
        raise tlv.NotDER("text that is not of its type") from None
    if any(0xFDD0 <= ord(one) <= 0xFDEF or ord(one) & 0xFFFE == 0xFFFE for one in decoded):
        raise tlv.NotDER("text with what Unicode says is no character")
    return decoded


def _is_utc_time(octets: bytes) -> bool:
    return _is_time(octets, re.compile(rb"(\d{12})(Z|[+-]\d{4})"), "%y%m%d%H%M%S")


def _is_generalized_time(octets: bytes) -> bool:
    return _is_time(octets, re.compile(rb"(\d{14})(Z)"), "%Y%m%d%H%M%S")


def _is_time(octets: bytes, form: re.Pattern[bytes], meaning: str) -> bool:
    found = form.fullmatch(octets)
    try:
        return found is not None and bool(datetime.strptime(found[1].decode(), meaning).replace(tzinfo=UTC))
    except ValueError:
        return False


def _always(decode: Callable[[bytes], str]) -> Callable[[bytes], bool]:
    """`decode` raises for what is not text."""
    return lambda octets: decode(octets) is not None


_DECODERS: Final[dict[int, Callable[[bytes], str]]] = {_UTF8: _utf8, _UNIVERSAL_STRING: _utf32, _BMP_STRING: _ucs2}
_CHECKS: Final[dict[int, Callable[[bytes], bool]]] = {
    1: lambda octets: octets in (b"\x00", b"\xff"),
    2: is_number,
    3: is_bit_string,
    5: lambda octets: not octets,
    6: _is_object_identifier,
    10: is_number,
    23: _is_utc_time,
    24: _is_generalized_time,
    **{tag: _always(decode) for tag, decode in _DECODERS.items()},
}


def _printed(attribute: _Attribute) -> str:
    numbers, value = attribute
    dotted = ".".join(map(str, numbers))
    known = SHORT_NAMES.get(dotted)
    if known is None:
        return f"{dotted[:_NUMBERS_MAX] if max(numbers) <= _ARC_MAX else ''}={_dumped(value)}"
    said = text(value)
    return f"{known}={_dumped(value) if said is None else _escaped(said.encode())}"


def _dumped(value: tlv.Value) -> str:
    return f"#{value.whole.hex().upper()}"


def _escaped(octets: bytes) -> str:
    last = len(octets) - 1
    return "".join(_character(octet, apart=_stands_apart(octet, place, last)) for place, octet in enumerate(octets))


def _stands_apart(octet: int, place: int, last: int) -> bool:
    """In front and at the end a space would be overlooked, and `#` in front says that hexadecimal follows."""
    return (octet == _SPACE and place in (0, last)) or (octet == _HASH and place == 0)


def _character(octet: int, *, apart: bool) -> str:
    if octet < 0x20 or octet > 0x7E:
        return f"\\{octet:02X}"
    return f"\\{octet:c}" if apart or octet in _ESCAPED else f"{octet:c}"


def _compared(kind: tuple[int, ...], value: tlv.Value) -> bytes:
    tag = value.kind[1] if value.kind[0] == tlv.UNIVERSAL else None
    said = text(value) if tag in _LATIN or tag in _DECODERS else None
    if said is not None:
        lower = "".join(one.lower() if one.isascii() else one for one in _SPACES.sub(" ", said).strip(" "))
        what = b"text:" + lower.encode()
    else:
        what = b"der:" + value.whole
    return b"%d.%b=%d:%b;" % (len(kind), repr(kind).encode(), len(what), what)
