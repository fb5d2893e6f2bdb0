"""Write DER (X.690). Only for revocation lists: the public builder takes quadratic time over their entries."""

from datetime import UTC, datetime
from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = b"\x05\x00"
OBJECT_IDENTIFIER: Final = 0x06
ENUMERATED: Final = 0x0A
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
TRUE: Final = b"\x01\x01\xff"

# RFC 5280 4.1.2.5 and 5.1.2.4: two digits of the year through 2049, four from then on.
_FOUR_DIGITS_FROM: Final = 2050


def explicit(number: int) -> int:
    """The tag `[number] EXPLICIT`."""
    return 0xA0 | number


def header(tag: int, length: int) -> bytes:
    """What stands before `length` octets of content."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def tlv(tag: int, *parts: bytes | bytearray) -> bytes:
    """Tag, length and value, in one copy."""
    return b"".join((header(tag, sum(map(len, parts))), *parts))


def sequence(*parts: bytes | bytearray) -> bytes:
    """A SEQUENCE of what is already encoded."""
    return tlv(SEQUENCE, *parts)


def integer(value: int, tag: int = INTEGER) -> bytes:
    """A number that is not negative; one with the highest bit set gets a zero octet before it (X.690 8.3)."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An object identifier (X.690 8.19)."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(OBJECT_IDENTIFIER, *map(_base_128, (first * 40 + second, *rest)))


def bit_string(octets: bytes) -> bytes:
    """Whole octets as a BIT STRING: no bits of the last are unused."""
    return tlv(BIT_STRING, b"\x00", octets)


def time(at: datetime) -> bytes:
    """A Time (RFC 5280 4.1.2.5), to the second."""
    at = at.astimezone(UTC)
    if at.year < _FOUR_DIGITS_FROM:
        return tlv(UTC_TIME, f"{at:%y%m%d%H%M%SZ}".encode())
    return generalized_time(at)


def generalized_time(at: datetime) -> bytes:
    """A GeneralizedTime with a four-digit year, whatever the year."""
    return tlv(GENERALIZED_TIME, f"{at.astimezone(UTC):%Y%m%d%H%M%SZ}".encode())


def extension(identifier: str, value: bytes, *, critical: bool = False) -> bytes:
    """One extension (RFC 5280 4.1); `value` is its DER. What is not critical does not say so: DER leaves defaults out."""
    return sequence(oid(identifier), TRUE if critical else b"", tlv(OCTET_STRING, value))


def _base_128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))
