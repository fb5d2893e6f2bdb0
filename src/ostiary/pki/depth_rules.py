"""How deep authorities may stand below each other in one Client CA (path length, RFC 5280 4.2.1.9).

The engine does not ask: an authority that it is told to trust may sign, whatever those above it say (seen with Envoy 1.40, PKITS
4.6.5 to 4.6.12, docs/conformance.md). So a bundle that contradicts itself is not taken.
"""

import math
from collections.abc import Sequence
from typing import Final

from cryptography import x509

from ostiary.errors import Invalid
from ostiary.pki import signatures
from ostiary.pki.extensions import extension
from ostiary.pki.trust_rules import is_self_issued, who

_NAMESAKES_MAX: Final = 20


def refuse_too_deep(authorities: Sequence[x509.Certificate], field: str) -> None:
    """`Invalid` for an authority that all those above it in the bundle, taken together, do not allow to be where it is."""
    by_name: dict[x509.Name, list[x509.Certificate]] = {}
    for authority in authorities:
        by_name.setdefault(authority.subject, []).append(authority)
    above = {authority: _issuers(authority, by_name.get(authority.issuer, ()), field) for authority in authorities}
    room = own = {authority: _path_length(authority) for authority in authorities}
    for _ in authorities:  # Each turn carries what an authority allows one step further down, mostly in a turn or two.
        less = {below: min(own[below], _left(below, above, room)) for below in own}
        if less == room:
            break
        room = less
    for authority in authorities:
        if _left(authority, above, room) < 0:
            raise Invalid(
                field,
                f"{who(authority)} stands deeper below {who(above[authority][0])} than the path lengths above it allow, so its "
                "clients have no valid path; leave it out.",
            )


_Above = dict[x509.Certificate, list[x509.Certificate]]


def _left(below: x509.Certificate, above: _Above, room: dict[x509.Certificate, float]) -> float:
    """How many more levels its best issuer leaves once it is there itself; self-issued ones do not count."""
    return max((room[issuer] for issuer in above[below]), default=math.inf) - (not is_self_issued(below))


def _issuers(authority: x509.Certificate, namesakes: Sequence[x509.Certificate], field: str) -> list[x509.Certificate]:
    if is_self_issued(authority) and signatures.is_signed_by(authority, authority):
        return []  # A root is where paths end. A namesake with its key, made anew, is not above it.
    named = [other for other in namesakes if _may_be_meant(authority, other)]
    if len(named) > _NAMESAKES_MAX:
        # Each is a signature to verify, for each that one of them may have signed.
        raise Invalid(
            field, f"more than {_NAMESAKES_MAX} authorities in it may have signed {who(authority)}; leave the old ones out."
        )
    return [other for other in named if signatures.is_signed_by(authority, other)]


def _may_be_meant(below: x509.Certificate, other: x509.Certificate) -> bool:
    """As far as the key identifiers tell (RFC 5280 4.2.1.1)."""
    named, own = extension(below, x509.AuthorityKeyIdentifier), extension(other, x509.SubjectKeyIdentifier)
    return named is None or named.key_identifier is None or own is None or named.key_identifier == own.digest


def _path_length(authority: x509.Certificate) -> float:
    constraints = extension(authority, x509.BasicConstraints)
    return math.inf if constraints is None or constraints.path_length is None else constraints.path_length
