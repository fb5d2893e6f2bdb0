"""Ask a certificate for one of its extensions, or for what those it signs say of it."""

from typing import TypeVar

from cryptography import x509

E = TypeVar("E", bound=x509.ExtensionType)


def extension(signed: x509.Certificate | x509.CertificateRevocationList, kind: type[E]) -> E | None:
    """Its value, or None when it is not there. Extensions that cannot be read raise one of `pem.MALFORMED`."""
    try:
        return signed.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """What the issuer's signatures say of its key. RFC 5280 4.2.1.1: its own key identifier, however that was made."""
    identifier = extension(issuer, x509.SubjectKeyIdentifier)
    if identifier is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
