"""What an authority must be before anyone is let in because of it. Envoy checks less than this of a trust anchor.

Seen with Envoy 1.40: it takes as a Client CA a self-signed certificate that is no CA at all, one limited to servers, and one with
critical extensions nobody understands.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from ostiary.errors import Invalid
from ostiary.pki import keys, pem, signatures
from ostiary.pki.extensions import extension
from ostiary.pki.name_rules import visible
from ostiary.pki.names import subject_text

# What BoringSSL acts on; a critical extension it does not know fails every path through the certificate (x509_vfy.c).
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)
# BoringSSL cannot read keys that are marked for RSA-PSS alone: Envoy refuses to load or verify with them (seen).
_RSASSA_PSS: Final = x509.ObjectIdentifier("1.2.840.113549.1.1.10")

# What Envoy takes for a server's name in a certificate's alternatives (utility.cc, getSubjectAltNames).
_NAMES: Final = (x509.DNSName, x509.UniformResourceIdentifier, x509.IPAddress)

_PURPOSES: Final = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "client authentication",
    ExtendedKeyUsageOID.SERVER_AUTH: "server authentication",
}


def who(certificate: x509.Certificate) -> str:
    """The certificate's subject in quotes, for messages."""
    return f"'{visible(subject_text(certificate)) or '(no subject)'}'"


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether it names itself as its issuer, as a root does."""
    return certificate.subject == certificate.issuer


def refuse_unfit(certificate: x509.Certificate, at: datetime | None, field: str) -> None:
    """What holds for every certificate the engine gets: readable, in its time, soundly signed, with a key it can use."""
    name = who(certificate)
    if certificate.version is not x509.Version.v3:
        raise Invalid(field, f"{name} is an X.509 version 1 certificate, which cannot say what it is for; use a version 3 one.")
    # Roots with serial number zero are in use (Go Daddy G2, Starfield G2), and nothing looks a root up by its number.
    if certificate.serial_number < 0 or (certificate.serial_number == 0 and not is_self_issued(certificate)):
        raise Invalid(field, f"{name} has a serial number that is not positive (RFC 5280 4.1.2.2); have it issued anew.")
    _refuse_outdated(certificate, at, field)
    if not is_self_issued(certificate):  # of a root the key is trusted, not what it says about itself
        signatures.refuse_forgeable(certificate, name, field)
    _refuse_key(certificate, field)
    unknown = [held.oid.dotted_string for held in certificate.extensions if held.critical and held.oid not in _UNDERSTOOD]
    if unknown:
        raise Invalid(field, f"{name} has a critical extension the engine does not know ({unknown[0]}); use one without it.")


def refuse_unless_authority(
    certificate: x509.Certificate, purpose: x509.ObjectIdentifier, at: datetime | None, field: str
) -> None:
    """`Invalid` unless it is a CA that may vouch for certificates of this purpose (clientAuth or serverAuth) now."""
    refuse_unfit(certificate, at, field)
    name = who(certificate)
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise Invalid(field, f"{name} is not a CA certificate (basicConstraints CA:TRUE); give the one that signed it.")
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise Invalid(field, f"{name} may not sign certificates (its key usage lacks keyCertSign); give the CA that may.")
    refuse_other_purpose(certificate, purpose, field)


def refuse_other_purpose(certificate: x509.Certificate, purpose: x509.ObjectIdentifier, field: str) -> None:
    """RFC 5280 4.2.1.12: without extended key usages it is for anything, with them only for those."""
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not {purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {*purposes}:
        raise Invalid(
            field, f"{who(certificate)} is not for {_PURPOSES[purpose]} (see its extended key usages); use one that is."
        )


def refuse_unservable(leaf: x509.Certificate, field: str) -> None:
    """What Envoy does not load as a listener's certificate (seen): one without any name, and one that must be stapled."""
    alternatives = extension(leaf, x509.SubjectAlternativeName) or ()
    if not leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME) and not any(isinstance(one, _NAMES) for one in alternatives):
        raise Invalid(field, f"{who(leaf)} has no name that clients could know it by; have it issued with a DNS name.")
    features = extension(leaf, x509.TLSFeature) or ()
    if x509.TLSFeatureType.status_request in features:
        raise Invalid(
            field, f"{who(leaf)} asks for OCSP stapling (must-staple), which is not done here; have it issued without that."
        )


def refuse_look_alikes(authorities: Sequence[x509.Certificate], field: str) -> None:
    """Two CAs with one name and different keys are told apart only by their key identifiers.

    Without them Envoy tries the first alone and refuses whoever the second signed (seen).
    """
    by_name: dict[x509.Name, list[x509.Certificate]] = {}
    for authority in authorities:
        by_name.setdefault(authority.subject, []).append(authority)
    for namesakes in by_name.values():
        identifiers = {_key_identifier(authority) for authority in namesakes}
        different_keys = {keys.spki(authority.public_key()) for authority in namesakes}
        if len(different_keys) > 1 and (None in identifiers or len(identifiers) < len(different_keys)):
            raise Invalid(
                field,
                f"it holds {len(namesakes)} authorities named {who(namesakes[0])} with different keys and no distinct subject "
                "key identifiers, so their certificates cannot be told apart; leave only one, or have them issued anew.",
            )


def refuse_unreadable(certificates: Iterable[x509.Certificate], field: str) -> None:
    """Everything we look at later is read once here, so that nothing can fail half-way."""
    for certificate in certificates:
        try:
            certificate.public_key()
            _ = (*certificate.subject, *certificate.issuer, *certificate.extensions)
            _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.signature_algorithm_oid)
        except pem.MALFORMED:
            raise Invalid(
                field,
                f"the certificate with serial number {certificate.serial_number:x} cannot be read in full; have it issued anew.",
            ) from None


def _refuse_outdated(certificate: x509.Certificate, at: datetime | None, field: str) -> None:
    if at is None:
        return
    if at > certificate.not_valid_after_utc:
        raise Invalid(
            field, f"{who(certificate)} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; use a current one."
        )
    if at < certificate.not_valid_before_utc:
        raise Invalid(
            field,
            f"{who(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; "
            "wait until then, or check this machine's clock.",
        )


def _refuse_key(certificate: x509.Certificate, field: str) -> None:
    if certificate.public_key_algorithm_oid == _RSASSA_PSS:
        raise Invalid(field, f"{who(certificate)} has a key for RSA-PSS alone, which the engine cannot use; use a plain RSA key.")
    try:
        keys.refuse_weak(certificate.public_key(), field)
    except Invalid as weakness:
        raise Invalid(field, f"{who(certificate)}: {weakness.message}") from None


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    identifier = extension(certificate, x509.SubjectKeyIdentifier)
    return identifier.digest if identifier else None
