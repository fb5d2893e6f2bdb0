"""What the engine prints of a certificate, to the letter, so that rules and logs speak of the same texts without asking it.

Envoy 1.40 writes names by BoringSSL (`X509_NAME_print_ex`, RFC 2253) and copies alternative names octet by octet. Both look at
the encoding and take much that `cryptography` does not, and so does this: `tests/live/test_as_printed.py` shows both some
hundred strange certificates.

What is not UTF-8 (an alternative name may hold anything) is kept as surrogates (PEP 383): `encode("utf-8", "surrogateescape")`
gives the octets that Envoy printed.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki import engine_certificate, engine_name
from ostiary.pki.engine_name import GeneralName

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
        return printed(engine_certificate.read(der))
    except ValueError:
        raise Invalid("certificate", "it cannot be read; check it with 'openssl x509 -text'.") from None


def printed(certificate: engine_certificate.EngineCertificate) -> AsPrinted:
    """The same of one that was read."""
    names = certificate.alternatives or ()  # of an extension that is there twice or cannot be read, Envoy prints nothing
    return AsPrinted(
        subject=certificate.subject.printed(),
        issuer=certificate.issuer.printed(),
        dns=_joined(names, engine_name.DNS),
        uri=_joined(names, engine_name.URI),
        email=_joined(names, engine_name.EMAIL),
        ip=_joined(names, engine_name.IP),
        serial=_serial(certificate.serial),
        fingerprint_sha256=certificate.fingerprint_sha256,
    )


def _serial(octets: bytes) -> str:
    number = int.from_bytes(octets, "big", signed=True)
    digits = f"{abs(number):x}"
    whole = digits.zfill(len(digits) + len(digits) % 2) if number else digits
    return f"-{whole}" if number < 0 else whole


def _joined(names: Iterable[GeneralName], tag: int) -> str:
    return ",".join(_shown(name) for name in names if name.tag == tag)


def _shown(name: GeneralName) -> str:
    octets = name.content
    if name.tag != engine_name.IP:
        return octets.decode("utf-8", "surrogateescape")
    if len(octets) not in _ADDRESS_OCTETS:
        return ""
    front, last = octets[:-4], ipaddress.ip_address(octets[-4:])
    if front in _IPV4_BEHIND and octets[-4:-2] != bytes(2):
        return f"{_IPV4_BEHIND[front]}{last}"
    return str(ipaddress.ip_address(octets))
