"""Decide what certificate a request gets. Every way of asking ends here, and `pki.issue` signs nothing else."""

from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.errors import Invalid
from ostiary.pki import keys
from ostiary.pki.extensions import extension
from ostiary.pki.name_rules import visible
from ostiary.pki.names import (
    ALTERNATIVE_KINDS,
    SUBJECT_KINDS,
    NameKind,
    Names,
    checked,
    fingerprint_sha256,
    subject_text,
)
from ostiary.pki.profile import Profile
from ostiary.pki.request import SigningRequest

_BY_POLICY: Final = object()
_SHORTEST: Final = timedelta(seconds=1)


@final
@dataclass(frozen=True)
class Approved:
    """What may be signed, by whom, from when to when. Only `approve` can make one, and it cannot be altered."""

    public_key: keys.PublicKey
    names: Names
    profile: Profile
    key_usages: frozenset[str]
    issuer_fingerprint: str
    not_before: datetime
    not_after: datetime
    # An InitVar, so that `dataclasses.replace` cannot make another one from it.
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _BY_POLICY:
            raise TypeError("only ostiary.pki.policy.approve can approve a certificate")


def approve(
    request: SigningRequest,
    profile: Profile,
    *,
    names: Names | None,
    lifetime: timedelta | None,
    issuer: x509.Certificate,
    at: datetime,
) -> Approved:
    """What `profile` grants to `request`, or `Invalid` for the first thing it does not grant. Nothing is dropped or shortened.

    `names` are those the caller wants in the certificate; None takes those of the request. `lifetime` None is the profile's own.
    """
    _may_issue(issuer, profile, at)
    _key_fits(request, profile, issuer)
    granted = _names(request, profile, names)
    at = at.replace(microsecond=0)  # certificates hold whole seconds
    return Approved(
        public_key=request.public_key,
        names=granted,
        profile=profile,
        key_usages=_key_usages(request.public_key, profile),
        issuer_fingerprint=fingerprint_sha256(issuer),
        not_before=max(at - profile.backdate, issuer.not_valid_before_utc),
        not_after=_end(profile, lifetime, issuer, at),
        proof=_BY_POLICY,
    )


def duration_text(duration: timedelta) -> str:
    """As ISO 8601, whole minutes at most: what a caller may paste into `lifetime`."""
    hours, seconds = divmod(duration.seconds, 3600)
    days = f"{duration.days}D" if duration.days else ""
    time = (f"{hours}H" if hours else "") + (f"{seconds // 60}M" if seconds // 60 else "")
    return f"P{days}{'T' if time else ''}{time}" if days or time else f"PT{seconds}S"


def _may_issue(issuer: x509.Certificate, profile: Profile, at: datetime) -> None:
    who = f"the authority '{subject_text(issuer)}'"
    if at < issuer.not_valid_before_utc:
        raise Invalid("authority_id", f"{who} is not valid before {issuer.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.")
    if at >= issuer.not_valid_after_utc:
        raise Invalid("authority_id", f"{who} expired at {issuer.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; use another.")
    usage = extension(issuer, x509.KeyUsage)
    constraints = extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca or usage is None or not usage.key_cert_sign:
        raise Invalid("authority_id", f"{who} may not sign certificates (no CA:TRUE and keyCertSign); use another.")
    purposes = extension(issuer, x509.ExtendedKeyUsage)
    if purposes is not None and not {ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, *profile.extended_key_usages} & {*purposes}:
        raise Invalid("authority_id", f"{who} is limited to other purposes than those of profile '{profile.name}'.")
    if extension(issuer, x509.NameConstraints) is not None:
        # Signing what its constraints forbid would make certificates that every verifier refuses, or worse, that one accepts.
        raise Invalid("authority_id", f"{who} has name constraints, which we cannot yet check when issuing; use another.")


def _key_fits(request: SigningRequest, profile: Profile, issuer: x509.Certificate) -> None:
    keys.refuse_weak(request.public_key, "csr")
    kind = keys.describe(request.public_key)
    if not any(kind == allowed or kind.startswith(f"{allowed} ") for allowed in profile.key_types):
        raise Invalid("csr", f"a key of kind {kind} does not fit profile '{profile.name}'; use {' or '.join(profile.key_types)}.")
    if keys.spki(request.public_key) == keys.spki(issuer.public_key()):
        raise Invalid("csr", "its key is the authority's own; make a key for each certificate.")


def _names(request: SigningRequest, profile: Profile, given: Names | None) -> Names:
    from_request = given is None
    asked = request.names if given is None else given

    def field(kind: NameKind) -> str:
        return "csr" if from_request else f"names.{kind}"

    if from_request and request.other_names:
        raise Invalid(
            "csr",
            f"it asks for {', '.join(request.other_names[:5])}, which profile '{profile.name}' does not allow; "
            "leave that out of the request, or say in 'names' what the certificate is to carry.",
        )
    for kind in (*SUBJECT_KINDS, *ALTERNATIVE_KINDS):
        if asked.of(kind) and kind not in profile.names_allowed:
            raise Invalid(
                field(kind), f"profile '{profile.name}' does not allow {kind} '{visible(asked.of(kind)[0])}'; leave it out."
            )
    granted = checked(asked, field)
    for name in granted.dns:
        if name.startswith("*.") and not profile.wildcards:
            raise Invalid(field("dns"), f"profile '{profile.name}' does not allow the wildcard '{name}'; name each host.")
    if not any(granted.of(kind) for kind in profile.names_required):
        raise Invalid(
            "csr" if from_request else "names", f"profile '{profile.name}' needs a name: {' or '.join(profile.names_required)}."
        )
    if profile.common_name_must_be_alternative and granted.common_name not in ("", *granted.dns, *granted.ip):
        raise Invalid(
            field("common_name"),
            f"'{visible(granted.common_name)}' is not among the DNS names and IP addresses; add it there, or leave it out.",
        )
    return granted


def _key_usages(public_key: keys.PublicKey, profile: Profile) -> frozenset[str]:
    extra = profile.rsa_key_usages if isinstance(public_key, rsa.RSAPublicKey) else ()
    return frozenset((*profile.key_usages, *extra))


def _end(profile: Profile, lifetime: timedelta | None, issuer: x509.Certificate, at: datetime) -> datetime:
    wanted = profile.default_lifetime if lifetime is None else lifetime
    if wanted < _SHORTEST:
        raise Invalid("lifetime", "it must be longer than nothing, such as P90D.")
    if wanted > profile.max_lifetime:
        raise Invalid("lifetime", f"profile '{profile.name}' allows at most {duration_text(profile.max_lifetime)}.")
    longest = issuer.not_valid_after_utc - at
    if wanted > longest:
        raise Invalid(
            "lifetime",
            f"the authority '{subject_text(issuer)}' itself ends at {issuer.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; "
            f"at most {duration_text(longest)} is possible.",
        )
    return at + wanted
