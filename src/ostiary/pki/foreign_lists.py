"""Revocation lists of authorities whose key is elsewhere, as they were uploaded or fetched: read, checked, and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki import crl_rules, pem
from ostiary.pki.crl_rules import CRL
from ostiary.pki.extensions import extension
from ostiary.pki.names import name_text

# A list of 200,000 entries has some 8 MiB, and each full handshake then takes 15 ms of CPU (FACTS.md).
SIZE_MAX: Final = 8 * 1024 * 1024
_LISTS_MAX: Final = 1000
# Microsoft's authorities say when they will publish the next one: well before nextUpdate ([MS-WCCE] 2.2.2.7.7.2).
_NEXT_PUBLISH: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.21.4")


@dataclass(frozen=True)
class ForeignList:
    """A list that the engine can use now. `number` is None when it has none; `signers` are those whose list it is."""

    der: bytes
    issuer: str
    number: int | None
    this_update: datetime
    next_update: datetime
    next_publish: datetime | None
    entries: int
    signers: tuple[x509.Certificate, ...]


def read_lists(data: bytes, authorities: Sequence[x509.Certificate], at: datetime, field: str) -> tuple[ForeignList, ...]:
    """The lists of these authorities in `data`: one in DER, or PEM. Raises `Invalid` unless each is sound, current and theirs."""
    if len(data) > SIZE_MAX:
        raise Invalid(
            field, f"it is larger than {SIZE_MAX // (1024 * 1024)} MiB, more than an engine should read at each handshake."
        )
    ders = (data,) if _looks_like_der(data) else pem.ders(data, ("X509 CRL",), "revocation list", field, limit=SIZE_MAX)
    if len(ders) > _LISTS_MAX:
        raise Invalid(field, f"it holds more than {_LISTS_MAX} revocation lists.")
    found = tuple(_read(der, authorities, at, field) for der in dict.fromkeys(ders))
    signers = [signer for one in found for signer in one.signers]
    if len(set(signers)) != len(signers):
        raise Invalid(field, "it holds more than one revocation list of one authority; leave only the newest.")
    return found


def refuse_older(number: int | None, this_update: datetime, held_number: int | None, held_since: datetime, field: str) -> None:
    """`Invalid` for a list that is older than the one held: it would take revocations back (RFC 5280 5.2.3)."""
    older_number = number is not None and held_number is not None and number < held_number
    if older_number or this_update < held_since:
        raise Invalid(
            field,
            f"it is older (number {_shown(number)}, of {this_update:%Y-%m-%d %H:%M} UTC) than the list that is held "
            f"(number {_shown(held_number)}, of {held_since:%Y-%m-%d %H:%M} UTC); give the newest, or use force.",
        )


def revoked_serials(der: bytes) -> frozenset[int]:
    """The numbers of the certificates on a list that was read before, those on hold among them."""
    return frozenset(entry.serial_number for entry in x509.load_der_x509_crl(der))


def crl_of(der: bytes) -> CRL:
    """A list that was read before."""
    return x509.load_der_x509_crl(der)


def _read(der: bytes, authorities: Sequence[x509.Certificate], at: datetime, field: str) -> ForeignList:
    try:
        crl = x509.load_der_x509_crl(der)
        _ = (*crl.issuer, *crl.extensions)
        crl_rules.refuse_unusable(crl, at, field)
        signer = crl_rules.signer(crl, authorities, field)
        number = extension(crl, x509.CRLNumber)
        return ForeignList(
            der=crl.public_bytes(Encoding.DER),
            issuer=name_text(crl.issuer),
            number=number.crl_number if number else None,
            this_update=crl.last_update_utc,
            next_update=cast("datetime", crl.next_update_utc),  # `refuse_unusable` saw to it
            next_publish=_next_publish(crl),
            entries=len(crl),
            signers=tuple(one for one in authorities if crl_rules.identify(one) == signer),
        )
    except pem.MALFORMED:
        raise Invalid(field, "a revocation list in it cannot be read; check it with 'openssl crl -text'.") from None


def _next_publish(crl: CRL) -> datetime | None:
    for held in crl.extensions:
        if held.oid == _NEXT_PUBLISH and isinstance(held.value, x509.UnrecognizedExtension):
            return _time(held.value.value)
    return None


def _time(der: bytes) -> datetime | None:
    """A UTCTime or GeneralizedTime in DER; None for anything else: it is a hint only."""
    forms = {(0x17, 13): "%y%m%d%H%M%SZ", (0x18, 15): "%Y%m%d%H%M%SZ"}
    form = forms.get((der[0], der[1])) if len(der) > 2 and len(der) == der[1] + 2 else None
    try:
        return datetime.strptime(der[2:].decode("ascii"), form).replace(tzinfo=UTC) if form else None
    except ValueError:
        return None


def _looks_like_der(data: bytes) -> bool:
    return data[:1] == b"\x30"


def _shown(number: int | None) -> str:
    return "none" if number is None else str(number)
