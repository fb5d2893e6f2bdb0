"""Cross-signing: a second certificate for an authority that exists, with its name and key, signed by another parent.

So those who trust the new parent also trust what the authority signed before (RFC 4158 1.3, RFC 5280 3.2). It may never do more
than its own certificate says, nor more than the new parent may.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from ostiary.errors import Invalid
from ostiary.pki import keys, path, signatures, trust_rules
from ostiary.pki.constraints import Constraints
from ostiary.pki.constraints import of as constraints_of
from ostiary.pki.extensions import extension
from ostiary.pki.issue import (
    NO_LIMITS,
    Issuer,
    Limits,
    authority_extensions,
    fitting_depth,
    refuse_wider,
    signed_below,
    unsigned_authority,
    validity_below,
)
from ostiary.pki.path import Path
from ostiary.pki.trust_rules import who
from ostiary.pki.urls import NOWHERE, Urls

# They limit paths in ways that we could neither carry over faithfully nor leave out.
_CANNOT_CARRY: Final = (x509.PolicyConstraints, x509.InhibitAnyPolicy)


def cross_sign(
    subject: x509.Certificate,
    parent: Issuer,
    lifetime: timedelta,
    at: datetime,
    *,
    holder: keys.PrivateKey | None = None,
    above: Path = (),
    limits: Limits = NO_LIMITS,
    urls: Urls = NOWHERE,
) -> x509.Certificate:
    """A certificate for the authority `subject`, ours or foreign, signed by `parent` within what it and those `above` may sign.

    That its key is held is proved by `holder`, the key itself, or by its own signature on it (a root's). What limits it already
    (path length, name constraints, purposes) stays; `limits` may only tighten that. It outlives neither parent nor `subject`.
    """
    authorities = path.known(parent.certificate, above)
    _refuse_unfit(subject, holder, at)
    _refuse_circles(subject, authorities)
    path.refuse_names(authorities, subject.subject, _alternatives(subject), lambda _kind: "certificate", leaf=False)
    refuse_wider(limits.constraints, (subject, *authorities))
    own = extension(subject, x509.NameConstraints)
    if own is not None and not limits.constraints:
        refuse_wider(constraints_of(subject), authorities)
    depth = fitting_depth(authorities, _depth(subject, authorities, limits.path_length), at)
    validity = validity_below(parent.certificate, lifetime, at)
    if validity[1] > subject.not_valid_after_utc:
        longest = (subject.not_valid_after_utc - at).days
        raise Invalid("lifetime_days", f"{who(subject)} itself ends sooner; at most {longest} days are possible.")
    extensions = [*authority_extensions(depth, _narrowed(own, limits.constraints)), *urls.extensions()]
    purposes = extension(subject, x509.ExtendedKeyUsage)
    if purposes is not None:
        extensions.append((purposes, False))
    # Its own key identifier, however it was made: what it signed refers to it by that.
    identifier = extension(subject, x509.SubjectKeyIdentifier)
    public_key = keys.refuse_weak(subject.public_key(), "certificate")
    unsigned = unsigned_authority(subject.subject, public_key, parent.certificate.subject, validity, extensions, identifier)
    return signed_below(parent, unsigned)


def _refuse_unfit(subject: x509.Certificate, holder: keys.PrivateKey | None, at: datetime) -> None:
    trust_rules.refuse_unreadable((subject,), "certificate")
    trust_rules.refuse_unfit(subject, at, "certificate")
    basic, usage = extension(subject, x509.BasicConstraints), extension(subject, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        raise Invalid("certificate", f"{who(subject)} is no authority (no CA:TRUE and keyCertSign); only those are cross-signed.")
    if any(extension(subject, kind) is not None for kind in _CANNOT_CARRY):
        raise Invalid("certificate", f"{who(subject)} is limited by certificate policies, which cannot be carried over.")
    if holder is not None:
        if not keys.matches(subject, holder):
            raise Invalid("certificate", f"the key given is not that of {who(subject)}.")
    elif not signatures.is_signed_by(subject, subject):
        raise Invalid(
            "certificate",
            f"nothing proves that the key of {who(subject)} is held (it is not self-signed); give its self-signed certificate.",
        )
    else:
        signatures.refuse_forgeable(subject, who(subject), "certificate")


def _refuse_circles(subject: x509.Certificate, authorities: Path) -> None:
    for authority in authorities:
        if authority.subject == subject.subject or keys.spki(authority.public_key()) == keys.spki(subject.public_key()):
            raise Invalid("certificate", f"{who(subject)} is the parent itself, or above it; cross-sign it by an unrelated one.")


def _depth(subject: x509.Certificate, authorities: Path, wanted: int | None) -> int | None:
    """The path length: what is wanted, else what both allow."""
    basic, room = extension(subject, x509.BasicConstraints), path.room_below(authorities)
    own = None if basic is None else basic.path_length
    if wanted is not None:
        if own is not None and wanted > own:
            raise Invalid("path_length", f"{who(subject)} itself allows {own}; give that or less.")
        return wanted
    allowed = [length for length in (own, None if room is None else max(room - 1, 0)) if length is not None]
    return min(allowed, default=None)


def _alternatives(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    return tuple(extension(certificate, x509.SubjectAlternativeName) or ())


def _narrowed(own: x509.NameConstraints | None, tighter: Constraints) -> x509.NameConstraints | None:
    """Its own constraints, and tighter ones: for kinds that both permit the tighter, of what both exclude all."""
    if not tighter:
        return own
    added = tighter.extension()
    new = {type(name) for name in added.permitted_subtrees or ()}
    kept = [name for name in (own and own.permitted_subtrees) or () if type(name) not in new]
    return x509.NameConstraints(
        _or_none([*kept, *(added.permitted_subtrees or ())]),
        _or_none(dict.fromkeys([*((own and own.excluded_subtrees) or ()), *(added.excluded_subtrees or ())])),
    )


def _or_none(names: Iterable[x509.GeneralName]) -> list[x509.GeneralName] | None:
    return list(names) or None
