"""Revocation lists: what one says of each certificate, and signing one, however long it is (RFC 5280 5).

An entry is encoded once, when its certificate is revoked, and kept. Signing a list joins what is kept: a million entries take
about a second, and memory for twice the list (`benchmarks/crl.py`).
"""

import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID

from ostiary.errors import Invalid
from ostiary.pki import der, signing
from ostiary.pki.extensions import authority_key_identifier, extension
from ostiary.pki.issue import Issuer

# RFC 5280 5.3.1. 7 is not used.
REASONS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "removeFromCRL": 8,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
)
_UNSPECIFIED: Final = "unspecified"

_VERSION_2: Final = der.integer(1)
_EXTENSIONS: Final = der.explicit(0)
_NUMBER_MAX: Final = 1 << 159  # RFC 5280 5.2.3: 20 octets, of which the first bit is the sign
_AT_A_TIME: Final = 10_000


def entry(serial: int, revoked_at: datetime, reason: str | None = None, invalidity_date: datetime | None = None) -> bytes:
    """What a list says of one certificate, DER: one of its `revokedCertificates`. Times are kept to the second.

    `reason` is one of `REASONS`. `removeFromCRL` belongs in delta lists only, for what was on hold (RFC 5280 5.3.1).
    """
    why = b""
    if reason is not None and reason != _UNSPECIFIED:  # RFC 5280 5.3.1: should be left out rather than say "unspecified"
        code = der.integer(REASONS[reason], der.ENUMERATED)
        why = der.extension(CRLEntryExtensionOID.CRL_REASON.dotted_string, code)
    since = b""
    if invalidity_date is not None:
        # RFC 5280 5.3.2: GeneralizedTime in every year.
        since = der.extension(CRLEntryExtensionOID.INVALIDITY_DATE.dotted_string, der.generalized_time(invalidity_date))
    return der.sequence(der.integer(serial), der.time(revoked_at), der.sequence(why, since) if why or since else b"")


def sign(
    issuer: Issuer,
    number: int,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[bytes],
    *,
    base_number: int | None = None,
    freshest: str | None = None,
) -> bytes:
    """A list of the issuer's with these entries, DER. Takes CPU for long ones: keep it off the event loop.

    With `base_number` it is a delta: what changed since the complete list of that number. `freshest` is the URL where a complete
    list says its deltas are. That `number` grows from list to list is for the caller to see to. Raises `Invalid` when the
    issuer may not sign lists, or when what is given cannot be said in one.

    There is no issuing distribution point: the engine refuses every client when one is there (docs/decisions/0002).
    """
    _refuse_misfits(issuer.certificate, number, this_update, next_update, base_number, freshest)
    algorithm = signing.algorithm(issuer.key)
    about = (algorithm, issuer.certificate.subject.public_bytes(), der.time(this_update), der.time(next_update))
    said = der.tlv(_EXTENSIONS, der.sequence(*_extensions(issuer.certificate, number, base_number, freshest)))
    to_be_signed = _to_be_signed(about, _joined(entries), said)
    return der.sequence(to_be_signed, algorithm, der.bit_string(signing.sign(issuer.key, to_be_signed)))


def _to_be_signed(about: tuple[bytes, ...], revoked: bytearray, extensions: bytes) -> bytes:
    # RFC 5280 5.1.2.6: when nothing is revoked, the list of what is revoked must be absent.
    listed = (der.header(der.SEQUENCE, len(revoked)), revoked) if revoked else ()
    return der.sequence(_VERSION_2, *about, *listed, extensions)


def _joined(entries: Iterable[bytes]) -> bytearray:
    """All of them, holding only some apart at any time: a million little objects take twice the room of what they say."""
    whole, rest = bytearray(), iter(entries)
    while some := b"".join(itertools.islice(rest, _AT_A_TIME)):
        whole += some
    return whole


def _extensions(issuer: x509.Certificate, number: int, base_number: int | None, freshest: str | None) -> Iterable[bytes]:
    yield _encoded(authority_key_identifier(issuer))
    yield _encoded(x509.CRLNumber(number))
    if base_number is not None:
        yield _encoded(x509.DeltaCRLIndicator(base_number), critical=True)  # RFC 5280 5.2.4
    if freshest is not None:
        where = x509.DistributionPoint([x509.UniformResourceIdentifier(freshest)], None, None, None)
        yield _encoded(x509.FreshestCRL([where]))


def _encoded(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    return der.extension(value.oid.dotted_string, value.public_bytes(), critical=critical)


def _refuse_misfits(
    issuer: x509.Certificate,
    number: int,
    this_update: datetime,
    next_update: datetime,
    base_number: int | None,
    freshest: str | None,
) -> None:
    usage = extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        raise Invalid("authority", "it may not sign revocation lists (its key usage lacks cRLSign); use one that may.")
    if next_update <= this_update:
        raise Invalid("next_update", "it must come after this_update, or the list would have ended before it began.")
    if not 0 <= number < _NUMBER_MAX:
        raise Invalid("number", "it must not be negative and must fit into 20 octets (RFC 5280 5.2.3).")
    if base_number is None:
        return
    if not 0 <= base_number < number:
        raise Invalid("base_number", "it must be that of an earlier list than the delta itself (RFC 5280 5.2.4).")
    if freshest is not None:
        raise Invalid("freshest", "a delta list must not say where deltas are (RFC 5280 5.2.6); leave it out.")
