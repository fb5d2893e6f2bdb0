"""Read DER value by value, as strictly as the engine does: for where the octets count, not what a parser makes of them."""

from dataclasses import dataclass
from typing import Final

UNIVERSAL: Final = 0
CONTEXT: Final = 2

BOOLEAN: Final = (UNIVERSAL, 1)
INTEGER: Final = (UNIVERSAL, 2)
BIT_STRING: Final = (UNIVERSAL, 3)
OCTET_STRING: Final = (UNIVERSAL, 4)
OBJECT_IDENTIFIER: Final = (UNIVERSAL, 6)
SEQUENCE: Final = (UNIVERSAL, 16)
SET: Final = (UNIVERSAL, 17)

# Universal types that hold other values; all others must not. Beyond the last one, and for the one in between, nothing is known.
_CONSTRUCTED: Final = frozenset({8, 11, 16, 17, 29})
_ALLOCATED_MAX, _NOT_ALLOCATED = 36, 15

_PARTS_MAX: Final = 20_000  # of one value; a certificate of the size that any engine takes has fewer
_TAG_MAX: Final = (1 << 29) - 1
_LENGTH_OCTETS_MAX: Final = 4


class NotDER(ValueError):
    """What is there cannot be read."""


@dataclass(frozen=True)
class Value:
    """One value: its class and tag, whether other values are in it, what is in it, and the whole of it."""

    kind: tuple[int, int]
    is_constructed: bool
    content: bytes
    whole: bytes

    def parts(self, *kinds: tuple[int, int]) -> "list[Value]":
        """The values in it; when `kinds` are given, those and no others."""
        if not self.is_constructed:
            raise NotDER("has no values in it")
        found = values(self.content)
        if kinds and any(part.kind not in kinds for part in found):
            raise NotDER("another value is expected")
        return found

    def inner(self) -> "Value":
        """The one value in it."""
        return only(self.content)


def only(data: bytes) -> Value:
    """The one value that this is."""
    found = values(data)
    if len(found) != 1:
        raise NotDER("one value is expected")
    return found[0]


def sequence(data: bytes) -> Value:
    """The one SEQUENCE that this is."""
    found = only(data)
    if found.kind != SEQUENCE:
        raise NotDER("a sequence is expected")
    return found


def first(data: bytes) -> tuple[Value, bytes]:
    """The first value, and what comes after it, which is not looked at."""
    try:
        value, end = _value(data, 0)
    except IndexError:
        raise NotDER("cut short") from None
    return value, data[end:]


def values(data: bytes) -> list[Value]:
    """All values, one after the other. Raises `NotDER`."""
    found: list[Value] = []
    at = 0
    while at < len(data):
        if len(found) == _PARTS_MAX:
            raise NotDER("too many values")
        try:
            value, at = _value(data, at)
        except IndexError:
            raise NotDER("cut short") from None
        found.append(value)
    return found


def _value(data: bytes, start: int) -> tuple[Value, int]:
    first = data[start]
    tag, at = first & 0x1F, start + 1
    if tag == 0x1F:
        tag, at = _base_128(data, at)
        if not 0x1F <= tag <= _TAG_MAX:
            raise NotDER("a tag is not encoded in the shortest way")
    length, at = _length(data, at)
    end, is_constructed = at + length, bool(first & 0x20)
    if end > len(data):
        raise NotDER("cut short")
    if first >> 6 == UNIVERSAL:
        _refuse_wrong_form(tag, is_constructed=is_constructed)
    return Value((first >> 6, tag), is_constructed, data[at:end], data[start:end]), end


def _refuse_wrong_form(tag: int, *, is_constructed: bool) -> None:
    is_known = tag <= _ALLOCATED_MAX and tag != _NOT_ALLOCATED
    if tag == 0 or (is_known and is_constructed != (tag in _CONSTRUCTED)):
        raise NotDER("a type in the wrong form")


def _length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 0x80:
        return first, at + 1
    octets = data[at + 1 : at + 1 + (first & 0x7F)]
    length = int.from_bytes(octets, "big")
    shortest = max(1, (length.bit_length() + 7) // 8)
    if not 1 <= len(octets) <= _LENGTH_OCTETS_MAX or len(octets) != first & 0x7F or length < 0x80 or shortest < len(octets):
        raise NotDER("a length is not encoded in the shortest way")
    return length, at + 1 + len(octets)


def object_identifier(content: bytes) -> tuple[int, ...]:
    """The arcs of an object identifier. Raises `NotDER`."""
    arcs: list[int] = []
    at = 0
    while at < len(content):
        try:
            arc, at = _base_128(content, at)
        except IndexError:
            raise NotDER("an object identifier is cut short") from None
        if not arcs:
            first = min(arc // 40, 2)
            arcs += (first, arc - 40 * first)
        else:
            arcs.append(arc)
    if not arcs:
        raise NotDER("an object identifier is empty")
    return tuple(arcs)


def _base_128(data: bytes, at: int) -> tuple[int, int]:
    if data[at] == 0x80:
        raise NotDER("a number is not encoded in the shortest way")
    value = 0
    while True:
        octet = data[at]
        value, at = value << 7 | octet & 0x7F, at + 1
        if octet < 0x80:
            return value, at
