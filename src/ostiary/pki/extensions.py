"""Ask a certificate for one of its extensions."""

from typing import TypeVar

from cryptography import x509

E = TypeVar("E", bound=x509.ExtensionType)


def extension(signed: x509.Certificate | x509.CertificateRevocationList, kind: type[E]) -> E | None:
    """Its value, or None when it is not there. Extensions that cannot be read raise one of `pem.MALFORMED`."""
    try:
        return signed.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
