"""A bundle of CA certificates as a hierarchy: whatever order it comes in, it is the same hierarchy."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from ostiary.errors import Invalid
from ostiary.pki import signatures
from ostiary.pki.names import fingerprint_sha256
from ostiary.pki.trust_rules import is_self_issued, who


@dataclass(frozen=True)
class Placed:
    """A certificate of a bundle. `parent` is the place of the one that signed it, None where that is not in the bundle."""

    certificate: x509.Certificate
    parent: int | None


def arranged(certificates: Sequence[x509.Certificate]) -> tuple[Placed, ...]:
    """The certificates, each after the one that signed it; in one order, whatever order they are given in.

    Of several that could have signed (a CA that was renewed under its key) the one that is valid longest is its parent.
    """
    waiting = sorted(dict.fromkeys(certificates), key=fingerprint_sha256)
    named: dict[x509.Name, list[x509.Certificate]] = {}
    for one in waiting:
        named.setdefault(one.subject, []).append(one)
    above = {one: _signer(one, named.get(one.issuer, ())) for one in waiting}
    placed: list[Placed] = []
    places: dict[x509.Certificate, int] = {}
    while waiting:
        # Two that signed each other (cross-signed) are both below the other: one of them has to come first.
        ready = [one for one in waiting if above[one] is None or above[one] in places] or waiting[:1]
        for one in ready:
            signer = above[one]
            placed.append(Placed(one, places.get(signer) if signer is not None else None))
            places[one] = len(placed) - 1
            waiting.remove(one)
    return tuple(placed)


def refuse_unless_all_can_be_checked(certificates: Sequence[x509.Certificate], field: str) -> None:
    """`Invalid` for a bundle that the engine cannot check by revocation lists (docs/decisions/0002): roots beside loose ends."""
    subjects = {one.subject for one in certificates}
    loose = [one for one in certificates if one.issuer not in subjects]
    if loose and any(is_self_issued(one) for one in certificates):
        raise Invalid(
            field,
            f"revocation lists cannot be checked for {who(loose[0])}: its own CA is not in the bundle, while other roots are; "
            "import it with its root, or apart from the others",
        )


def _signer(certificate: x509.Certificate, among: Sequence[x509.Certificate]) -> x509.Certificate | None:
    if is_self_issued(certificate):
        return None
    signers = [one for one in among if one != certificate and signatures.is_signed_by(certificate, one)]
    return max(signers, key=lambda one: (one.not_valid_after_utc, fingerprint_sha256(one)), default=None)
