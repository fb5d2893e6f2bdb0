"""How much work it takes to open an encrypted file: asked before anything is computed, for whoever made it chose the cost.

PBKDF2, PBES1, the derivation of PKCS#12 and scrypt all say it in one shape: a SEQUENCE in which a salt (OCTET STRING) is directly
followed by numbers. That shape is looked for wherever the file can be read without its passphrase, so that it does not matter by
which path a parser gets there. What is itself encrypted is out of sight: a PKCS#12 may hide one more derivation in it.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final

from asn1crypto import parser

from ostiary.errors import Invalid

# Files in use have 2,000 to 1,000,000, and OWASP asks for no more than 1.3 million (2023). Five million take some 3 s.
_ROUNDS: Final = 5_000_000
# scrypt: N * r * p. OpenSSL writes 16384 * 8 * 1, and itself refuses what needs more than 32 MiB.
_SCRYPT_BLOCKS: Final = 4_194_304

_DEEPEST: Final = 32
_MOST_PARTS: Final = 5_000

_OCTET_STRING: Final = 4
_INTEGER: Final = 2
_SEQUENCE: Final = 16
_OID: Final = 6
_CONTEXT: Final = 2
_UNIVERSAL: Final = 0
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11, RFC 7914 7

_Part = tuple[int, int, int, bytes]  # class, whether it is constructed, tag, content


def refuse_excessive(der: bytes, field: str, unreadable: str) -> None:
    """Raises `Invalid` for a PKCS#8 or PKCS#12 that would take long to open; with `unreadable` for what no tool made."""
    left = [_MOST_PARTS]
    try:
        asked = list(_asked(_parts(der, left), left, _DEEPEST))
    except (ValueError, TypeError):
        raise Invalid(field, unreadable) from None
    rounds = sum(cost for what, cost in asked if what == "rounds")
    blocks = sum(cost for what, cost in asked if what == "blocks")
    for what, cost, limit in (("rounds of key derivation", rounds, _ROUNDS), ("blocks of scrypt", blocks, _SCRYPT_BLOCKS)):
        if cost > limit:
            raise Invalid(field, f"opening it takes {cost} {what}, and {limit} are allowed; export it again with fewer.")


def _asked(parts: Sequence[_Part], left: list[int], depth: int) -> Iterator[tuple[str, int]]:
    """Each derivation that can be seen: in what its cost is counted, and the cost."""
    if depth == 0:
        raise ValueError("nested too deep")
    is_scrypt = bool(parts) and _is(parts[0], _OID) and parts[0][3] == _SCRYPT
    for part in parts:
        if _is(part, _OCTET_STRING):
            octets = _joined(part, left, depth)
            inner = _parts(octets, left) if _is_encoded(octets) else []
        else:
            inner = _parts(part[3], left) if part[1] else []
        if _is(part, _SEQUENCE):
            yield from _cost(inner, scrypt=is_scrypt)
        yield from _asked(inner, left, depth - 1)


def _cost(parts: Sequence[_Part], *, scrypt: bool) -> Iterator[tuple[str, int]]:
    for number, part in enumerate(parts):
        numbers = [int.from_bytes(one[3], "big", signed=True) for one in itertools.takewhile(_is_integer, parts[number + 1 :])]
        if not (_is(part, _OCTET_STRING) and numbers):
            continue
        if min(numbers) < 0:
            raise ValueError("a negative cost")
        yield ("blocks", math.prod(numbers[:3])) if scrypt else ("rounds", numbers[0])


def _is_integer(part: _Part) -> bool:
    return _is(part, _INTEGER)


def _is(part: _Part, tag: int) -> bool:
    return part[0] == _UNIVERSAL and part[2] == tag


def _joined(part: _Part, left: list[int], depth: int) -> bytes:
    """An OCTET STRING, which BER may cut in pieces."""
    _, constructed, _, content = part
    if not constructed:
        return content
    if depth == 0:
        raise ValueError("nested too deep")
    return b"".join(_joined(piece, left, depth - 1) for piece in _parts(content, left))


def _is_encoded(content: bytes) -> bool:
    """Whether an OCTET STRING holds something encoded, rather than bytes that mean nothing here."""
    try:
        return bool(content) and content[0] == 0x30 and parser.peek(content) == len(content)
    except ValueError:
        return False


def _parts(content: bytes, left: list[int]) -> list[_Part]:
    found: list[_Part] = []
    while content:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("too many parts")
        class_, method, tag, header, value, trailer = parser.parse(content)
        content = content[len(header) + len(value) + len(trailer) :]
        found.append((class_, method, tag, value))
    return found
