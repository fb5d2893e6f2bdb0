"""Take PEM text apart, strictly: what the policy layer and the engine might read differently is refused here.

Text outside the BEGIN and END lines is allowed, as OpenSSL writes it into bundles, and never handed on: what travels further is
encoded anew from what was understood.
"""

import base64
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm

from ostiary.errors import Invalid

# Whatever `cryptography` raises about bytes it cannot make sense of. It *warns* of what it will refuse later (serial
# numbers that are not positive, names that are too long); where warnings are errors, those are refusals too.
MALFORMED: Final = (
    ValueError,
    TypeError,
    NotImplementedError,
    InternalError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.AttributeNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UserWarning,
)

_BOUNDARY: Final = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]+)-----")


@dataclass(frozen=True)
class Block:
    """One BEGIN … END block: its label, and the lines between."""

    label: str
    lines: tuple[str, ...] = field(repr=False)  # may be a private key

    @property
    def is_private_key(self) -> bool:
        """Whether it is a private key, in any of its forms."""
        return self.label.endswith("PRIVATE KEY")

    @property
    def text(self) -> bytes:
        """The whole block as PEM."""
        return "\n".join((f"-----BEGIN {self.label}-----", *self.lines, f"-----END {self.label}-----", "")).encode("latin-1")

    def octets(self, field: str) -> bytes:
        """What is in it, DER. Raises `Invalid`."""
        try:
            return base64.b64decode("".join(self.lines), validate=True)
        except ValueError:
            raise Invalid(field, f"the '{self.label}' in it is not base64; give the PEM text as it was made.") from None


def blocks(data: bytes, field: str, *, limit: int) -> tuple[Block, ...]:
    """Every block in order; `limit` is in bytes. Damaged, unfinished and nested blocks are refused."""
    if len(data) > limit:
        raise Invalid(field, f"it is larger than {limit // 1024} KiB; give only what is needed.")
    found: list[Block] = []
    label, lines = "", list[str]()
    # Latin-1 maps every byte to a character, so that text around the blocks may be in any encoding.
    for line in map(str.strip, data.decode("latin-1").removeprefix("\xef\xbb\xbf").split("\n")):
        boundary = _BOUNDARY.fullmatch(line)
        if boundary is None:
            if "-----BEGIN" in line or "-----END" in line:
                raise Invalid(field, "it has a damaged -----BEGIN or -----END line; give the PEM text as it was made.")
            lines.append(line)
            continue
        edge, name = boundary.groups()
        if (edge == "BEGIN") == bool(label) or (edge == "END" and name != label):
            raise Invalid(field, f"the PEM text is cut or mixed up at '{line}'; give it whole.")
        if edge == "END":
            found.append(Block(label, tuple(lines)))
        label, lines = (name if edge == "BEGIN" else ""), []
    if label:
        raise Invalid(field, f"the PEM text ends inside '{label}'; give it whole.")
    return tuple(found)


def ders(data: bytes, labels: tuple[str, ...], what: str, field: str, *, limit: int) -> tuple[bytes, ...]:
    """The DER of every block, all of which must have one of these labels; `what` names the thing for the messages."""
    found = blocks(data, field, limit=limit)
    if not found:
        raise Invalid(field, f"it holds no {what} in PEM form (-----BEGIN {labels[0]}-----).{_hint(data)}")
    return tuple(_der(block, labels, what, field) for block in found)


def _der(block: Block, labels: tuple[str, ...], what: str, field: str) -> bytes:
    if block.is_private_key:
        raise Invalid(
            field, f"it holds a private key where a {what} belongs; take the key out, and replace it if others have seen it."
        )
    if block.label not in labels:
        raise Invalid(field, f"it holds a '{block.label}' where a {what} belongs; take it out.")
    try:
        return base64.b64decode("".join(block.lines), validate=True)
    except ValueError:
        raise Invalid(field, f"a {what} in it is not base64; give the PEM text as it was made.") from None


def _hint(data: bytes) -> str:
    looks_like_der = data[:1] == b"\x30"
    return " It looks like DER: convert it with 'openssl … -inform DER -outform PEM'." if looks_like_der else ""
