"""Decide what certificate a request gets. Every way of asking ends here, and `pki.issue` signs nothing else."""

import functools
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.errors import Invalid
from ostiary.pki import keys, name_patterns, path
from ostiary.pki.constraints import Kind
from ostiary.pki.extensions import extension
from ostiary.pki.name_rules import visible
from ostiary.pki.names import (
    ALTERNATIVE_KINDS,
    SUBJECT_KINDS,
    NameKind,
    Names,
    alternatives,
    checked,
    fingerprint_sha256,
    subject,
    subject_text,
)
from ostiary.pki.path import Path
from ostiary.pki.profile import Profile
from ostiary.pki.request import SigningRequest

_BY_POLICY: Final = object()
_ANY_PURPOSE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_SHORTEST: Final = timedelta(seconds=1)
# Where a caller who says the names finds each kind that an authority may be constrained in.
_CONSTRAINED_FIELDS: Final[dict[Kind, str]] = {
    "dns": "names.dns",
    "ip": "names.ip",
    "email": "names.email",
    "uri": "names.uri",
    "directory": "names",
}


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
    above: Path = (),
    at: datetime,
) -> Approved:
    """What `profile` grants to `request`, or `Invalid` for the first thing it does not grant. Nothing is dropped or shortened.

    `names` are those the caller wants in the certificate; None takes those of the request. `lifetime` None is the profile's own.
    `above` are the authorities over the issuer, nearest first, as far as they are known: their constraints hold here too. A
    renewal is approved like anything else, with the names of the certificate it renews.
    """
    signer = _signer(issuer, above)
    _may_issue(signer, profile, at)
    _key_fits(request, profile, signer)
    granted = _names(request, profile, names)
    _refuse_constrained(granted, signer, from_request=names is None)
    at = at.replace(microsecond=0)  # certificates hold whole seconds
    return Approved(
        public_key=request.public_key,
        names=granted,
        profile=profile,
        key_usages=_key_usages(request.public_key, profile),
        issuer_fingerprint=signer.fingerprint,
        not_before=max(at - profile.backdate, signer.not_before),
        not_after=_end(profile, lifetime, signer, at),
        proof=_BY_POLICY,
    )


def duration_text(duration: timedelta) -> str:
    """As ISO 8601, whole minutes at most: what a caller may paste into `lifetime`."""
    hours, seconds = divmod(duration.seconds, 3600)
    days = f"{duration.days}D" if duration.days else ""
    time = (f"{hours}H" if hours else "") + (f"{seconds // 60}M" if seconds // 60 else "")
    return f"P{days}{'T' if time else ''}{time}" if days or time else f"PT{seconds}S"


@dataclass(frozen=True)
class _Signer:
    """What does not change about an authority where it stands, read once: it is asked with each certificate."""

    who: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    may_sign: bool
    purposes: frozenset[x509.ObjectIdentifier] | None
    path: Path
    room: int | None  # below it, for authorities
    constrained: bool
    keys: frozenset[bytes]  # of all authorities of the path


@functools.lru_cache(maxsize=1024)
def _signer(issuer: x509.Certificate, above: Path) -> _Signer:
    usage = extension(issuer, x509.KeyUsage)
    basic = extension(issuer, x509.BasicConstraints)
    purposes = extension(issuer, x509.ExtendedKeyUsage)
    may_sign = basic is not None and basic.ca and usage is not None and usage.key_cert_sign
    authorities = path.known(issuer, above)
    return _Signer(
        who=f"the authority '{subject_text(issuer)}'",
        fingerprint=fingerprint_sha256(issuer),
        not_before=issuer.not_valid_before_utc,
        not_after=issuer.not_valid_after_utc,
        may_sign=may_sign,
        purposes=None if purposes is None else frozenset(purposes),
        path=authorities,
        room=path.room_below(authorities) if may_sign else None,
        constrained=path.is_constrained(authorities),
        keys=frozenset(keys.spki(authority.public_key()) for authority in authorities),
    )


def _may_issue(issuer: _Signer, profile: Profile, at: datetime) -> None:
    if at < issuer.not_before:
        raise Invalid("authority_id", f"{issuer.who} is not valid before {issuer.not_before:%Y-%m-%d %H:%M} UTC.")
    if at >= issuer.not_after:
        raise Invalid("authority_id", f"{issuer.who} expired at {issuer.not_after:%Y-%m-%d %H:%M} UTC; use another.")
    if not issuer.may_sign:
        raise Invalid("authority_id", f"{issuer.who} may not sign certificates (no CA:TRUE and keyCertSign); use another.")
    if issuer.room is not None and issuer.room < 0:
        raise Invalid("authority_id", f"{issuer.who} has more authorities above it than those allow (path length).")
    wanted = {*profile.extended_key_usages}
    if issuer.purposes is not None and _ANY_PURPOSE not in issuer.purposes and not wanted <= issuer.purposes:
        raise Invalid("authority_id", f"{issuer.who} is limited to other purposes than those of profile '{profile.name}'.")


def _key_fits(request: SigningRequest, profile: Profile, issuer: _Signer) -> None:
    key = keys.refuse_weak(request.public_key, "csr")
    kind = keys.describe(key)
    if not any(kind == allowed or kind.startswith(f"{allowed} ") for allowed in profile.key_types):
        raise Invalid("csr", f"a key of kind {kind} does not fit profile '{profile.name}'; use {' or '.join(profile.key_types)}.")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < profile.min_rsa_bits:
        raise Invalid(
            "csr", f"profile '{profile.name}' asks of RSA keys at least {profile.min_rsa_bits} bits; make a longer one."
        )
    if keys.spki(key) in issuer.keys:
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
    if sum(len(granted.of(kind)) for kind in ALTERNATIVE_KINDS) > profile.max_alternatives:
        raise Invalid(field("dns"), f"profile '{profile.name}' allows at most {profile.max_alternatives} alternative names.")
    _refuse_unmatched(granted, profile, field)
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


def _refuse_unmatched(granted: Names, profile: Profile, field: Callable[[NameKind], str]) -> None:
    for kind, patterns in profile.name_patterns.items():
        for name in granted.of(kind):
            if not name_patterns.allows(patterns, kind, name):
                raise Invalid(
                    field(kind),
                    f"'{visible(name)}' matches none of the {kind} names of profile '{profile.name}': {', '.join(patterns[:5])}.",
                )


def _refuse_constrained(granted: Names, issuer: _Signer, *, from_request: bool) -> None:
    if issuer.constrained:
        fields = _CONSTRAINED_FIELDS if not from_request else dict.fromkeys(_CONSTRAINED_FIELDS, "csr")
        path.refuse_names(issuer.path, subject(granted), alternatives(granted), fields.__getitem__, leaf=True)


def _key_usages(public_key: keys.PublicKey, profile: Profile) -> frozenset[str]:
    extra = profile.rsa_key_usages if isinstance(public_key, rsa.RSAPublicKey) else ()
    return frozenset((*profile.key_usages, *extra))


def _end(profile: Profile, lifetime: timedelta | None, issuer: _Signer, at: datetime) -> datetime:
    wanted = profile.default_lifetime if lifetime is None else lifetime
    if wanted < _SHORTEST:
        raise Invalid("lifetime", "it must be longer than nothing, such as P90D.")
    if wanted > profile.max_lifetime:
        raise Invalid("lifetime", f"profile '{profile.name}' allows at most {duration_text(profile.max_lifetime)}.")
    longest = issuer.not_after - at
    if wanted > longest:
        raise Invalid(
            "lifetime",
            f"{issuer.who} itself ends at {issuer.not_after:%Y-%m-%d %H:%M} UTC; at most {duration_text(longest)} is possible.",
        )
    return at + wanted
