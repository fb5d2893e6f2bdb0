"""The authorities above a new certificate: what all of them together let the lowest one sign (RFC 5280 6.1)."""

import functools
import itertools
from collections.abc import Callable, Sequence

from cryptography import x509

from ostiary.errors import Invalid, Unavailable
from ostiary.pki import constraints, signatures
from ostiary.pki.extensions import extension
from ostiary.pki.trust_rules import is_self_issued, who

Path = tuple[x509.Certificate, ...]  # whoever signs first, then each one's own issuer, as far as they are known


@functools.lru_cache(maxsize=1024)  # asked with each certificate that is signed, and verifying takes a signature each
def known(issuer: x509.Certificate, above: Path) -> Path:
    """The path from `issuer` up. Raises `Unavailable` when `above` does not lead on from it."""
    path = (issuer, *above)
    for below, its_issuer in itertools.pairwise(path):
        if not signatures.is_signed_by(below, its_issuer):
            raise Unavailable(
                f"{who(below)} was not signed by {who(its_issuer)}, as the record says; restore both from one backup."
            )
    return path


def refuse_names(
    path: Path,
    subject: x509.Name,
    alternatives: Sequence[x509.GeneralName],
    field: Callable[[constraints.Kind], str],
    *,
    leaf: bool,
) -> None:
    """`Invalid` for the first name that some authority of the path may not sign. `field` says how the caller calls each kind."""
    for authority in path:
        violation = constraints.of(authority).allows(subject, alternatives, leaf=leaf)
        if violation:
            raise Invalid(
                field(violation.kind), f"{violation}. {who(authority)} is so constrained; use another name or authority."
            )


def is_constrained(path: Path) -> bool:
    """Whether any authority of the path has name constraints."""
    return any(constraints.of(authority) for authority in path)


def room_below(path: Path) -> int | None:
    """How many levels of authorities may come below the first of the path; negative when not even it may be there. None: any."""
    room: int | None = None
    between = 0
    for authority in path:
        allowed = _path_length(authority)
        if allowed is not None:
            room = allowed - between if room is None else min(room, allowed - between)
        between += not is_self_issued(authority)  # RFC 5280 4.2.1.9: self-issued ones do not count
    return room


@functools.lru_cache(maxsize=1024)  # as above
def _path_length(authority: x509.Certificate) -> int | None:
    basic = extension(authority, x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise Invalid("parent_id", f"{who(authority)} may not sign anything (no CA:TRUE); use another authority.")
    return basic.path_length
