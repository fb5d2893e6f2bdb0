"""Where a certificate says that news of it is to be had: its revocation list, its OCSP responder, its issuer's certificate.

Whoever made the certificate chose these addresses: `ostiary.fetch` judges each before it is asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ostiary.pki import pem
from ostiary.pki.extensions import extension

_EACH_MAX: Final = 5  # of one kind; a certificate with more is not worth asking after at all of them
_LENGTH_MAX: Final = 2048
_ASKED: Final = ("http://", "https://")


@dataclass(frozen=True)
class StatusURLs:
    """In the order the certificate gives them, each once. `crl` are complete lists, `delta` what changed since."""

    crl: tuple[str, ...] = ()
    delta: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()


def status_urls(certificate: x509.Certificate) -> StatusURLs:
    """The http and https addresses in a certificate (RFC 5280 4.2.1.13, 4.2.1.15, 4.2.2.1).

    LDAP addresses, lists that another signs (indirect) and lists for some reasons alone are left out: they are not used here.
    A certificate whose extensions cannot be read has none.
    """
    try:
        points = extension(certificate, x509.CRLDistributionPoints) or ()
        fresh = extension(certificate, x509.FreshestCRL) or ()
        access = extension(certificate, x509.AuthorityInformationAccess) or ()
    except pem.MALFORMED:
        return StatusURLs()
    return StatusURLs(
        crl=_usable(name for point in points for name in _whole_list(point)),
        delta=_usable(name for point in fresh for name in _whole_list(point)),
        ocsp=_usable(one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.OCSP),
        issuers=_usable(one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS),
    )


def _whole_list(point: x509.DistributionPoint) -> Iterable[x509.GeneralName]:
    return () if point.crl_issuer or point.reasons else point.full_name or ()


def _usable(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    texts = (name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
    found = (text for text in texts if len(text) <= _LENGTH_MAX and text.lower().startswith(_ASKED) and text.isprintable())
    return tuple(dict.fromkeys(found))[:_EACH_MAX]
