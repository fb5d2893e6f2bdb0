"""Certificates octet by octet: what no builder makes, for asking what others read in it.

    rng = strange.seeded(7)
    der = strange.certificate(rng)                                    # anything at all
    der = strange.certificate(rng, subject=strange.name(rng), ...)    # or parts of it given

Nothing of `ostiary.pki` is used here. Signatures are made up unless `sign` is given.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random  # noqa: TID251 (nothing secret comes of it, and the same again is wanted)
from typing import Final

from cryptography.hazmat.primitives import serialization

from support.certs import new_key

ECDSA_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
SPKI: Final = new_key().public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

VALIDITY: Final = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC))

_KNOWN: Final = ("2.5.4.3", "2.5.4.10", "2.5.4.11", "2.5.4.5", "2.5.4.6", "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25")
_UNKNOWN: Final = (
    "1.3.6.1.4.1.311.60.2.1.3",
    "2.5.4.97",
    "2.5.4",
    "2.999.1",
    f"1.3.{2**64 - 1}.1",
    f"1.3.{2**64}.1",
    f"1.3.6.1.4.1.{'.'.join('4294967295' for _ in range(12))}",
)
_SOME: Final = (
    "",
    "a",
    "alice",
    " alice",
    "alice ",
    "#1",
    "a,b+c",
    '"q"',
    "a\\b",
    "<x>;y",
    "æøå",
    "日本",
    "a\x00b",
    "\x7f",
    "😀",
)


def seeded(seed: int) -> Random:
    """Chance that repeats itself."""
    return Random(seed)  # noqa: S311 (nothing secret comes of it)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One value; `tag` is its first octet."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def oid(dotted: str) -> bytes:
    """An object identifier, of arcs as large as one likes."""
    first, second, *rest = [*map(int, dotted.split("."))]
    return tlv(0x06, *map(_base_128, (first * 40 + second, *rest)))


def integer(number: int) -> bytes:
    """A number, a negative one too."""
    return tlv(0x02, number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True))


def attribute(dotted: str, value: bytes) -> bytes:
    """One part of a name."""
    return tlv(0x30, oid(dotted), value)


def text(tag: int, value: str) -> bytes:
    """A text of the type with this tag, as far as it can be said in it."""
    encodings = {0x0C: "utf-8", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
    return tlv(tag, value.encode(encodings.get(tag, "latin-1"), "replace"))


def name(rng: Random) -> bytes:
    """A name of up to five parts: known and unknown types, values of all kinds."""
    return tlv(
        0x30, *(tlv(0x31, *(_attribute(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))) for _ in range(rng.randrange(5)))
    )


def alternatives(rng: Random) -> bytes:
    """A list of alternative names of all kinds, now and then with one that cannot be read."""
    return tlv(0x30, *(_general_name(rng) for _ in range(rng.randrange(6))))


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """One extension; `value` is its DER."""
    return tlv(0x30, oid(dotted), tlv(0x01, b"\xff") if critical else b"", tlv(0x04, value))


def pem(label: str, der: bytes) -> str:
    """As PEM, whatever is in it."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def first(der: bytes) -> bytes:
    """The first of some values that stand one after the other."""
    return der[: _end(der)]


def inside(der: bytes) -> bytes:
    """What a value holds."""
    return der[_end(der) - _length(der) : _end(der)]


def serial_of(certificate: bytes) -> int:
    """Its serial number."""
    fields = inside(inside(certificate))
    if fields[0] == 0xA0:
        fields = fields[_end(fields) :]
    return int.from_bytes(inside(fields), "big", signed=True)


def _length(der: bytes) -> int:
    return der[1] if der[1] < 0x80 else int.from_bytes(der[2 : 2 + (der[1] & 0x7F)], "big")


def _end(der: bytes) -> int:
    return 2 + (der[1] & 0x7F if der[1] >= 0x80 else 0) + _length(der)


def certificate(
    rng: Random,
    *,
    subject: bytes | None = None,
    issuer: bytes | None = None,
    serial: int | None = None,
    extensions: Sequence[bytes] | None = None,
    sign: Callable[[bytes], bytes] = lambda _: bytes(64),
    algorithm: bytes = ECDSA_SHA256,
    spki: bytes = SPKI,
    validity: tuple[datetime, datetime] = VALIDITY,
    version: int = 3,
) -> bytes:
    """A certificate, DER; what is not given is made up."""
    held = _extensions(rng) if extensions is None else extensions
    to_be_signed = tlv(
        0x30,
        tlv(0xA0, integer(version - 1)) if version > 1 else b"",
        integer(_serial(rng) if serial is None else serial),
        algorithm,
        name(rng) if issuer is None else issuer,
        tlv(0x30, *(tlv(0x17, f"{at:%y%m%d%H%M%SZ}".encode()) for at in validity)),
        name(rng) if subject is None else subject,
        spki,
        tlv(0xA3, tlv(0x30, *held)) if held and version == 3 else b"",
    )
    return tlv(0x30, to_be_signed, algorithm, tlv(0x03, b"\x00", sign(to_be_signed)))


def _extensions(rng: Random) -> list[bytes]:
    held = [extension("2.5.29.15", bytes.fromhex("03020780"))] if rng.random() < 0.3 else []
    if rng.random() < 0.8:
        held.append(extension("2.5.29.17", alternatives(rng), critical=rng.random() < 0.2))
    if rng.random() < 0.05:
        held.append(extension("2.5.29.17", alternatives(rng)))
    return held


def _serial(rng: Random) -> int:
    return rng.choice((0, 1, 127, 128, 255, 256, -1, -129, rng.getrandbits(64), rng.getrandbits(159), -rng.getrandbits(80)))


def _attribute(rng: Random) -> bytes:
    return attribute(rng.choice(_KNOWN) if rng.random() < 0.8 else rng.choice(_UNKNOWN), _value(rng))


def _value(rng: Random) -> bytes:
    """Mostly text; else something that is never looked into."""
    if rng.random() < 0.75:
        return text(rng.choice((0x0C, 0x0C, 0x13, 0x13, 0x16, 0x14, 0x1E, 0x1C, 0x12, 0x1A, 0x1B)), _words(rng))
    return rng.choice(
        (
            integer(rng.randrange(-300, 300)),
            tlv(0x03, b"\x00", rng.randbytes(rng.randrange(4))),
            tlv(0x02, rng.randbytes(2)),  # half of them in more octets than they need
            tlv(0x05),
            tlv(0x17, b"250101000000Z"),
            tlv(0x30, integer(1)),
            tlv(rng.choice((0x04, 0x83)), rng.randbytes(rng.randrange(5))),
        )
    )


def _words(rng: Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(_SOME)
    return "".join(
        chr(rng.choice((rng.randrange(1, 128), rng.randrange(128, 256), rng.randrange(256, 0x2000)))) for _ in range(9)
    )


def _general_name(rng: Random) -> bytes:
    tag = rng.choice((0x82, 0x82, 0x86, 0x86, 0x81, 0x87, 0x87, 0x88, 0xA4, 0xA0))
    match tag:
        case 0x87:
            size = rng.choice((4, 4, 16, 16, 16, 5, 0))
            form = rng.choice((b"", bytes(10) + b"\xff\xff", bytes(12), bytes(4), b"\x20\x01\x0d\xb8"))
            return tlv(tag, (form + rng.randbytes(16))[:size])
        case 0x88:
            return tlv(tag, oid("1.2.3")[2:])
        case 0xA4:
            return tlv(tag, name(rng))
        case 0xA0:
            return tlv(tag, oid("1.2.3"), tlv(0xA0, text(0x0C, "user@a.test")))
    if rng.random() < 0.03:
        return tlv(rng.choice((0x89, 0xA2, 0x02)), b"a.test")
    some = ("a.test", "*.a.test", "spiffe://a.test/x", "alice@a.test", "", "a,b", "a\nb", "a\x00b", "æ", " ")
    octets = rng.choice(some).encode() if rng.random() < 0.8 else rng.randbytes(6).replace(b"\x1f", b"")
    return tlv(tag, octets)


def _base_128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))
