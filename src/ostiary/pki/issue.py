"""Sign certificates: leaves that policy approved, and authorities. Nothing else in ostiary signs them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from ostiary.errors import Invalid, Unavailable
from ostiary.pki import as_approved, keys, lint, signing
from ostiary.pki.extensions import authority_key_identifier
from ostiary.pki.names import SubjectFields, alternatives, authority_subject, fingerprint_sha256, subject
from ostiary.pki.policy import Approved
from ostiary.pki.profile import BACKDATE

_LONGEST_AUTHORITY: Final = timedelta(days=36_500)

# A root says nothing about depth: verifiers need not look at it there (RFC 5280 6.1.1 d), and it could never be widened. An
# intermediate may sign leaves only, so that whoever steals the key that is always online cannot make authorities.
_ROOT_PATH_LENGTH: Final = None
_INTERMEDIATE_PATH_LENGTH: Final = 0


@dataclass(frozen=True)
class Issuer:
    """An authority that can sign: its certificate and the key to it."""

    certificate: x509.Certificate
    key: keys.PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if not keys.matches(self.certificate, self.key):
            raise Unavailable("The stored key does not belong to this authority's certificate; restore both from one backup.")


def issue(approved: Approved, issuer: Issuer, at: datetime) -> x509.Certificate:
    """Sign the approved names with the profile's usages. Nothing is copied from the request but the key.

    `Unavailable` when the approval was for another authority or another time: ask for it anew.
    """
    if approved.issuer_fingerprint != fingerprint_sha256(issuer.certificate):
        raise Unavailable("This was approved for another authority; ask for approval anew.")
    if not approved.not_before <= at < approved.not_after:
        raise Unavailable("This was approved for another time; check the clock and ask anew.")
    name, validity = subject(approved.names), (approved.not_before, approved.not_after)
    extensions = _leaf_extensions(approved, issuer.certificate, name)
    unsigned = _unsigned(name, approved.public_key, issuer.certificate.subject, *validity)
    for value, critical in extensions:
        unsigned = unsigned.add_extension(value, critical)

    def specimen() -> x509.Certificate:
        return _specimen(unsigned, issuer.certificate.public_key())

    lint.refuse_bad_shape(lint.shape(name, approved.public_key, validity, extensions, approved.issuer_fingerprint, specimen))
    certificate = unsigned.sign(issuer.key, signing.hash_for(issuer.key))
    as_approved.refuse_anything_else(certificate, approved, issuer.certificate, extensions)
    return certificate


def _leaf_extensions(approved: Approved, issuer: x509.Certificate, name: x509.Name) -> list[tuple[x509.ExtensionType, bool]]:
    """(value, critical) of each. What is added here must be known to `pki.as_approved`, or nothing is issued any more."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(approved.key_usages), True),
        (x509.ExtendedKeyUsage(approved.profile.extended_key_usages), False),
        (authority_key_identifier(issuer), False),
    ]
    if names := alternatives(approved.names):
        # RFC 5280 4.2.1.6: critical when the subject is empty, for then it is all there is.
        extensions.append((x509.SubjectAlternativeName(names), not list(name)))
    return extensions


def create_root(subject: SubjectFields, key: keys.PrivateKey, lifetime: timedelta, at: datetime) -> x509.Certificate:
    """A self-signed authority, at the top."""
    name = authority_subject(subject, "subject")
    not_before, not_after = _authority_validity(lifetime, at)
    unsigned = _unsigned_authority(name, key, name, (not_before, not_after), _ROOT_PATH_LENGTH)
    signed = unsigned.sign(key, signing.hash_for(key))
    # Linted as it is, for some rules ask whether it signed itself. A key that is new has nothing to lose: it goes with the root.
    lint.refuse_bad(signed, "subject")
    return signed


def create_intermediate(
    subject: SubjectFields, key: keys.PrivateKey, parent: Issuer, lifetime: timedelta, at: datetime
) -> x509.Certificate:
    """An authority that `parent` signs, and that signs leaves. It cannot outlive its parent."""
    name = authority_subject(subject, "subject")
    above = parent.certificate
    _may_have_authorities_below(above, at)
    if name == above.subject:
        raise Invalid("subject", "it is the parent's own; give the intermediate a name of its own.")
    if keys.matches(above, key):
        raise Invalid("key", "it is the parent's own; make a key for each authority.")
    not_before, not_after = _authority_validity(lifetime, at)
    if not_after > above.not_valid_after_utc:
        longest = (above.not_valid_after_utc - at).days
        raise Invalid(
            "lifetime_days",
            f"the parent ends at {above.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; at most {longest} days are possible.",
        )
    validity = (max(not_before, above.not_valid_before_utc), not_after)
    unsigned = _unsigned_authority(name, key, above.subject, validity, _INTERMEDIATE_PATH_LENGTH)
    unsigned = unsigned.add_extension(authority_key_identifier(above), critical=False)
    lint.refuse_bad(_specimen(unsigned, above.public_key()), "subject")
    return unsigned.sign(parent.key, signing.hash_for(parent.key))


def _specimen(unsigned: x509.CertificateBuilder, public_key: object) -> x509.Certificate:
    """As the holder of `public_key` would sign it, by a key that means nothing: to be linted before the real one is used."""
    key = lint.throw_away_key(keys.describe(public_key))
    return unsigned.sign(key, signing.hash_for(key))


def _may_have_authorities_below(parent: x509.Certificate, at: datetime) -> None:
    constraints = parent.extensions.get_extension_for_class(x509.BasicConstraints).value
    if not constraints.ca or constraints.path_length == 0:
        raise Invalid("parent_id", "it may not sign authorities, only leaves (path length 0); choose the root above it.")
    if not parent.not_valid_before_utc <= at < parent.not_valid_after_utc:
        raise Invalid("parent_id", f"it is valid only until {parent.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; choose another.")


def _authority_validity(lifetime: timedelta, at: datetime) -> tuple[datetime, datetime]:
    if not timedelta(0) < lifetime <= _LONGEST_AUTHORITY:
        raise Invalid("lifetime_days", f"it must be from 1 to {_LONGEST_AUTHORITY.days} days.")
    at = at.replace(microsecond=0)
    return at - BACKDATE, at + lifetime


def _unsigned_authority(
    name: x509.Name, key: keys.PrivateKey, issuer: x509.Name, validity: tuple[datetime, datetime], path_length: int | None
) -> x509.CertificateBuilder:
    return (
        _unsigned(name, key.public_key(), issuer, *validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(frozenset(("key_cert_sign", "crl_sign"))), critical=True)
    )


def _unsigned(
    name: x509.Name, public_key: keys.PublicKey, issuer: x509.Name, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public_key)
        # 159 random bits: RFC 5280 4.1.2.2 allows 20 octets, the CA/Browser Forum asks for 64 bits from a CSPRNG.
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(usages: frozenset[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in usages,
        content_commitment=False,
        key_encipherment="key_encipherment" in usages,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign="key_cert_sign" in usages,
        crl_sign="crl_sign" in usages,
        encipher_only=False,
        decipher_only=False,
    )
