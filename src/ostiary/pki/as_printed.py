"""What the engine prints of a certificate, to the letter, so that rules and logs speak of the same texts without asking it.

Envoy 1.40 writes names by BoringSSL (`X509_NAME_print_ex`, RFC 2253) and copies alternative names octet by octet. Both look at
the encoding and take much that `cryptography` does not, and so does this: `tests/live/test_as_printed.py` shows both some
hundred strange certificates.

What is not UTF-8 (an alternative name may hold anything) is kept as surrogates (PEP 383): `encode("utf-8", "surrogateescape")`
gives the octets that Envoy printed.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki import engine_name, tlv

_OCTETS_MAX: Final = 128 * 1024  # Envoy takes 100 KiB for all that a client shows

_EMAIL, _DNS, _DIRECTORY, _URI, _IP = 1, 2, 4, 6, 7  # tags of a GeneralName (RFC 5280 4.2.1.6)
_PRIMITIVE: Final = frozenset({_EMAIL, _DNS, _URI, _IP, 8})
_CONSTRUCTED: Final = frozenset({0, 3, _DIRECTORY, 5})
_ADDRESS_OCTETS: Final = (4, 16)
_IPV4_BEHIND: Final = {bytes(12): "::", bytes(10) + b"\xff\xff": "::ffff:"}  # how the C library writes them (inet_ntop)


@dataclass(frozen=True)
class AsPrinted:
    """The texts of Envoy's formatters `%DOWNSTREAM_PEER_…%`; empty where Envoy has nothing to print (it writes `-` in a log)."""

    subject: str
    issuer: str
    dns: str
    uri: str
    email: str
    ip: str
    serial: str
    fingerprint_sha256: str


def holder_facts(certificate: x509.Certificate | bytes) -> AsPrinted:
    """What is printed of this certificate, which may be DER. Raises `Invalid` for one that the engine cannot read either."""
    der = certificate if isinstance(certificate, bytes) else certificate.public_bytes(Encoding.DER)
    try:
        serial, issuer, subject, extensions = _fields(der)
        names = _alternatives(extensions)
        return AsPrinted(
            subject=engine_name.read(subject).printed(),
            issuer=engine_name.read(issuer).printed(),
            dns=_joined(names, _DNS),
            uri=_joined(names, _URI),
            email=_joined(names, _EMAIL),
            ip=_joined(names, _IP),
            serial=_serial(serial),
            fingerprint_sha256=hashlib.sha256(der).hexdigest(),
        )
    except ValueError:
        raise Invalid("certificate", "its names or its serial number cannot be read; have it issued anew.") from None


def _fields(der: bytes) -> tuple[tlv.Value, tlv.Value, tlv.Value, list[tlv.Value]]:
    """Serial number, issuer, subject and extensions (RFC 5280 4.1)."""
    if len(der) > _OCTETS_MAX:
        raise tlv.NotDER("too large")
    to_be_signed, *_ = tlv.only(der).parts()
    fields = to_be_signed.parts()
    if fields[:1] and fields[0].kind == (tlv.CONTEXT, 0):  # the version, which version 1 leaves out
        del fields[0]
    serial, _, issuer, _, subject, *rest = fields
    held = [part.inner().parts(tlv.SEQUENCE) for part in rest if part.kind == (tlv.CONTEXT, 3)]
    return serial, issuer, subject, held[0] if held else []


def _serial(serial: tlv.Value) -> str:
    if serial.kind != tlv.INTEGER or not engine_name.is_number(serial.content):
        raise tlv.NotDER("no serial number")
    number = int.from_bytes(serial.content, "big", signed=True)
    digits = f"{abs(number):x}"
    whole = digits.zfill(len(digits) + len(digits) % 2) if number else digits
    return f"-{whole}" if number < 0 else whole


def _alternatives(extensions: Iterable[tlv.Value]) -> list[tlv.Value]:
    """The subject alternative names. Of an extension that is there twice or cannot be read, Envoy prints nothing."""
    found = [value for value in map(_alternatives_in, extensions) if value is not None]
    if len(found) != 1:
        return []
    try:
        return list(_general_names(found[0]))
    except tlv.NotDER:
        return []


_SUBJECT_ALTERNATIVE_NAME: Final = bytes.fromhex("551d11")  # 2.5.29.17


def _alternatives_in(extension: tlv.Value) -> bytes | None:
    kind, *_, value = extension.parts()
    return value.content if kind.content == _SUBJECT_ALTERNATIVE_NAME else None


def _general_names(octets: bytes) -> Iterator[tlv.Value]:
    whole = tlv.only(octets)
    if whole.kind != tlv.SEQUENCE:
        raise tlv.NotDER("no list of names")
    for name in whole.parts():
        kind, tag = name.kind
        if kind != tlv.CONTEXT or tag not in (_CONSTRUCTED if name.is_constructed else _PRIMITIVE):
            raise tlv.NotDER("no kind of name")
        if tag == _DIRECTORY:
            engine_name.read(name.inner())
        yield name


def _joined(names: Iterable[tlv.Value], tag: int) -> str:
    return ",".join(_shown(name.content, tag) for name in names if name.kind[1] == tag)


def _shown(octets: bytes, tag: int) -> str:
    if tag != _IP:
        return octets.decode("utf-8", "surrogateescape")
    if len(octets) not in _ADDRESS_OCTETS:
        return ""
    front, last = octets[:-4], ipaddress.ip_address(octets[-4:])
    if front in _IPV4_BEHIND and octets[-4:-2] != bytes(2):
        return f"{_IPV4_BEHIND[front]}{last}"
    return str(ipaddress.ip_address(octets))
