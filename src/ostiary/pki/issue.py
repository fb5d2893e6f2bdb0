"""Sign certificates: leaves that policy approved, and authorities. Nothing else in ostiary signs them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from ostiary.errors import Invalid, Unavailable
from ostiary.pki import as_approved, keys, lint, path, signing
from ostiary.pki.constraints import NONE, Constraints
from ostiary.pki.constraints import of as constraints_of
from ostiary.pki.extensions import authority_key_identifier, extension
from ostiary.pki.names import SubjectFields, alternatives, authority_subject, fingerprint_sha256, subject
from ostiary.pki.path import Path
from ostiary.pki.policy import Approved
from ostiary.pki.profile import BACKDATE
from ostiary.pki.trust_rules import who
from ostiary.pki.urls import NOWHERE, Urls

_LONGEST_AUTHORITY: Final = timedelta(days=36_500)

Extensions = list[tuple[x509.ExtensionType, bool]]  # (value, critical)


@dataclass(frozen=True)
class Limits:
    """What an authority may sign: how many levels of authorities below it, and which names."""

    path_length: int | None = None
    constraints: Constraints = NONE


NO_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Issuer:
    """An authority that can sign: its certificate and the key to it."""

    certificate: x509.Certificate
    key: keys.PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if not keys.matches(self.certificate, self.key):
            raise Unavailable("The stored key does not belong to this authority's certificate; restore both from one backup.")


def issue(approved: Approved, issuer: Issuer, at: datetime, urls: Urls = NOWHERE) -> x509.Certificate:
    """Sign the approved names with the profile's usages. Nothing is copied from the request but the key.

    `urls` are where the issuer answers. `Unavailable` when the approval was for another authority or time: ask for it anew.
    """
    if approved.issuer_fingerprint != fingerprint_sha256(issuer.certificate):
        raise Unavailable("This was approved for another authority; ask for approval anew.")
    if not approved.not_before <= at < approved.not_after:
        raise Unavailable("This was approved for another time; check the clock and ask anew.")
    name, validity = subject(approved.names), (approved.not_before, approved.not_after)
    unsigned, extensions = _leaf(approved, issuer.certificate, name, urls)

    def specimen() -> x509.Certificate:
        return _specimen(unsigned, issuer.certificate.public_key())

    lint.refuse_bad_shape(lint.shape(name, approved.public_key, validity, extensions, approved.issuer_fingerprint, specimen))
    certificate = unsigned.sign(issuer.key, signing.hash_for(issuer.key))
    as_approved.refuse_anything_else(certificate, approved, issuer.certificate, extensions)
    return certificate


def findings(approved: Approved, issuer: x509.Certificate, urls: Urls = NOWHERE) -> tuple[lint.Finding, ...]:
    """What the linter says of the certificate that would be signed, for people to look at; the issuer's key signs nothing."""
    unsigned, _ = _leaf(approved, issuer, subject(approved.names), urls)
    return lint.certificate(_specimen(unsigned, issuer.public_key()))


def _leaf(
    approved: Approved, issuer: x509.Certificate, name: x509.Name, urls: Urls
) -> tuple[x509.CertificateBuilder, Extensions]:
    extensions = [*_leaf_extensions(approved, issuer, name), *urls.extensions()]
    unsigned = _unsigned(name, approved.public_key, issuer.subject, approved.not_before, approved.not_after)
    for value, critical in extensions:
        unsigned = unsigned.add_extension(value, critical)
    return unsigned, extensions


def _leaf_extensions(approved: Approved, issuer: x509.Certificate, name: x509.Name) -> Extensions:
    """(value, critical) of each. What is added here must be known to `pki.as_approved`, or nothing is issued any more."""
    extensions: Extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(approved.key_usages), True),
        (x509.ExtendedKeyUsage(approved.profile.extended_key_usages), False),
        (authority_key_identifier(issuer), False),
    ]
    if names := alternatives(approved.names):
        # RFC 5280 4.2.1.6: critical when the subject is empty, for then it is all there is.
        extensions.append((x509.SubjectAlternativeName(names), not list(name)))
    return extensions


def create_root(
    subject: SubjectFields,
    key: keys.PrivateKey,
    lifetime: timedelta,
    at: datetime,
    limits: Limits = NO_LIMITS,
) -> x509.Certificate:
    """A self-signed authority, at the top. Without a path length, any number of levels may be below it.

    A root says nothing about depth by itself: it could never be widened.
    """
    name = authority_subject(subject, "subject")
    extensions = authority_extensions(limits.path_length, _constraints_extension(limits.constraints))
    unsigned = unsigned_authority(name, key.public_key(), name, authority_validity(lifetime, at), extensions)
    signed = unsigned.sign(key, signing.hash_for(key))
    # Linted as it is, for some rules ask whether it signed itself. A key that is new has nothing to lose: it goes with the root.
    lint.refuse_bad(signed, "subject")
    return signed


def create_intermediate(
    subject: SubjectFields,
    key: keys.PrivateKey,
    parent: Issuer,
    lifetime: timedelta,
    at: datetime,
    *,
    above: Path = (),
    limits: Limits = NO_LIMITS,
    urls: Urls = NOWHERE,
) -> x509.Certificate:
    """An authority that `parent` signs, within what `parent` and those `above` it may sign. It cannot outlive its parent.

    Without a path length it signs leaves only, so that whoever steals the key that is always online cannot make authorities.
    `urls` are where `parent` answers.
    """
    name = authority_subject(subject, "subject")
    authorities = path.known(parent.certificate, above)
    depth = fitting_depth(authorities, limits.path_length or 0, at)
    if any(name == authority.subject for authority in authorities):
        raise Invalid("subject", "it is the parent's own, or of one above it; give the intermediate a name of its own.")
    if any(keys.matches(authority, key) for authority in authorities):
        raise Invalid("key", "it is the parent's own, or of one above it; make a key for each authority.")
    path.refuse_names(authorities, name, (), lambda _kind: "subject", leaf=False)
    refuse_wider(limits.constraints, authorities)
    validity = validity_below(parent.certificate, lifetime, at)
    extensions = [*authority_extensions(depth, _constraints_extension(limits.constraints)), *urls.extensions()]
    return signed_below(parent, unsigned_authority(name, key.public_key(), parent.certificate.subject, validity, extensions))


def fitting_depth(authorities: Path, wanted: int | None, at: datetime) -> int | None:
    """The path length of an authority below these. `Invalid` when there is no room for it, or the parent is not in its time."""
    parent = authorities[0]
    basic, usage = extension(parent, x509.BasicConstraints), extension(parent, x509.KeyUsage)
    room = path.room_below(authorities) if basic is not None and basic.ca else 0
    if (room is not None and room <= 0) or (usage is not None and not usage.key_cert_sign):
        raise Invalid("parent_id", "it may not sign authorities, only leaves (path length 0); choose the root above it.")
    if not parent.not_valid_before_utc <= at < parent.not_valid_after_utc:
        raise Invalid("parent_id", f"it is valid only until {parent.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; choose another.")
    if room is not None and (wanted is None or wanted >= room):
        raise Invalid("path_length", f"at most {room - 1} is possible below this parent and those above it; give that or less.")
    return wanted


def refuse_wider(constraints: Constraints, authorities: Path) -> None:
    """`Invalid` when a constraint permits what an authority above does not: it would promise what no verifier grants."""
    for authority in authorities:
        if why := constraints.within(constraints_of(authority)):
            raise Invalid("name_constraints.permitted", f"{why}, by {who(authority)}; permit less.")


def validity_below(parent: x509.Certificate, lifetime: timedelta, at: datetime) -> tuple[datetime, datetime]:
    """From when to when; never longer than the parent, and never cut silently."""
    not_before, not_after = authority_validity(lifetime, at)
    if not_after > parent.not_valid_after_utc:
        longest = (parent.not_valid_after_utc - at).days
        raise Invalid(
            "lifetime_days",
            f"the parent ends at {parent.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; at most {longest} days are possible.",
        )
    return max(not_before, parent.not_valid_before_utc), not_after


def signed_below(parent: Issuer, unsigned: x509.CertificateBuilder) -> x509.Certificate:
    """An authority's certificate, linted and then signed by `parent`."""
    unsigned = unsigned.add_extension(authority_key_identifier(parent.certificate), critical=False)
    lint.refuse_bad(_specimen(unsigned, parent.certificate.public_key()), "subject")
    return unsigned.sign(parent.key, signing.hash_for(parent.key))


def _specimen(unsigned: x509.CertificateBuilder, public_key: object) -> x509.Certificate:
    """As the holder of `public_key` would sign it, by a key that means nothing: to be linted before the real one is used."""
    key = lint.throw_away_key(keys.describe(public_key))
    return unsigned.sign(key, signing.hash_for(key))


def authority_validity(lifetime: timedelta, at: datetime) -> tuple[datetime, datetime]:
    """From a little before now, for `lifetime`."""
    if not timedelta(0) < lifetime <= _LONGEST_AUTHORITY:
        raise Invalid("lifetime_days", f"it must be from 1 to {_LONGEST_AUTHORITY.days} days.")
    at = at.replace(microsecond=0)
    return at - BACKDATE, at + lifetime


def authority_extensions(path_length: int | None, constraints: x509.NameConstraints | None) -> Extensions:
    """(value, critical) of what makes a certificate an authority, and what limits it (RFC 5280 4.2.1.9, 4.2.1.10)."""
    extensions: Extensions = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(frozenset(("key_cert_sign", "crl_sign"))), True),
    ]
    return extensions if constraints is None else [*extensions, (constraints, True)]


def unsigned_authority(
    name: x509.Name,
    public_key: keys.PublicKey,
    issuer: x509.Name,
    validity: tuple[datetime, datetime],
    extensions: Extensions,
    key_identifier: x509.SubjectKeyIdentifier | None = None,
) -> x509.CertificateBuilder:
    """An authority's certificate before it is signed. `key_identifier` None is the usual one (RFC 5280 4.2.1.2, method 1)."""
    builder = _unsigned(name, public_key, issuer, *validity, key_identifier)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder


def _constraints_extension(constraints: Constraints) -> x509.NameConstraints | None:
    return constraints.extension() if constraints else None


def _unsigned(
    name: x509.Name,
    public_key: keys.PublicKey,
    issuer: x509.Name,
    not_before: datetime,
    not_after: datetime,
    key_identifier: x509.SubjectKeyIdentifier | None = None,
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
        .add_extension(key_identifier or x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(usages: frozenset[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in usages,
        content_commitment="content_commitment" in usages,
        key_encipherment="key_encipherment" in usages,
        data_encipherment=False,
        key_agreement="key_agreement" in usages,
        key_cert_sign="key_cert_sign" in usages,
        crl_sign="crl_sign" in usages,
        encipher_only=False,
        decipher_only=False,
    )
