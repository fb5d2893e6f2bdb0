"""What a revocation list must be for the engine to use it. One it cannot use makes it refuse every client of that authority."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from ostiary.errors import Invalid
from ostiary.pki import keys, pem, signatures
from ostiary.pki.extensions import extension
from ostiary.pki.names import name_text
from ostiary.pki.trust_rules import who

CRL = x509.CertificateRevocationList
Signer = tuple[x509.Name, bytes]  # subject and public key

# Seen with Envoy 1.40: with any issuing distribution point "Different CRL scope", with an unknown critical extension
# "unhandled critical CRL extension", and every client is refused. A delta list says what changed, not who is revoked.
_UNUSABLE: Final = {
    ExtensionOID.DELTA_CRL_INDICATOR: "it is a delta list; give the complete one",
    ExtensionOID.ISSUING_DISTRIBUTION_POINT: "it is one part of several (issuing distribution point), which the engine cannot "
    "use; have the authority publish a complete list without that extension",
}


def must_have_list(authority: x509.Certificate, authorities: Sequence[x509.Certificate]) -> bool:  # noqa: ARG001 (see below)
    """Whether the engine needs a list of this authority once it has any list at all.

    As soon as it is given one list, Envoy looks for a list of every issuer on the path, a root's own issuer (itself) included,
    and refuses everyone when one is missing (FACTS.md). The one place to relax it, so it is also told the other authorities.
    """
    return True


def refuse_unusable(crl: CRL, at: datetime, field: str) -> None:
    """`Invalid` unless it is a complete list, in its time and soundly signed."""
    name = f"the revocation list of '{name_text(crl.issuer)}'"
    signatures.refuse_forgeable(crl, name, field)
    for held in crl.extensions:  # of the list; its entries, which may be a million, are not looked at
        if held.oid in _UNUSABLE:
            raise Invalid(field, f"{name} cannot be used: {_UNUSABLE[held.oid]}.")
        if held.critical:
            raise Invalid(field, f"{name} has a critical extension the engine does not know ({held.oid.dotted_string}).")
    if crl.next_update_utc is None:
        raise Invalid(
            field, f"{name} does not say when the next one comes (nextUpdate, RFC 5280 5.1.2.5); have it signed with one."
        )
    if at >= crl.next_update_utc:
        raise Invalid(field, f"{name} ended at {crl.next_update_utc:%Y-%m-%d %H:%M} UTC (nextUpdate); fetch the current one.")
    if at < crl.last_update_utc:
        raise Invalid(field, f"{name} begins only at {crl.last_update_utc:%Y-%m-%d %H:%M} UTC; check this machine's clock.")


def identify(authority: x509.Certificate) -> Signer:
    """Several certificates of one authority (renewed, cross-signed) share its name, its key and so its revocation list."""
    return authority.subject, keys.spki(authority.public_key())


def signer(crl: CRL, authorities: Sequence[x509.Certificate], field: str) -> Signer:
    """The authority whose list it is: same name, and its key made the signature."""
    for authority in authorities:
        if authority.subject == crl.issuer and _is_signed_by(crl, authority):
            usage = extension(authority, x509.KeyUsage)
            if usage is not None and not usage.crl_sign:
                raise Invalid(field, f"{who(authority)} may not sign revocation lists (its key usage lacks cRLSign).")
            return identify(authority)
    raise Invalid(
        field,
        f"the revocation list of '{name_text(crl.issuer)}' is not signed by any of the given authorities "
        f"({', '.join(map(who, authorities[:5]))}); leave it out, or add its authority.",
    )


def _is_signed_by(crl: CRL, authority: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # another kind of key raises
    except pem.MALFORMED:
        return False
