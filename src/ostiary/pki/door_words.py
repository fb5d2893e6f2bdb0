"""What was looked at on the way through the door, and what was seen, in plain words."""

from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives import serialization

from ostiary.pki import keys, pem
from ostiary.pki.engine_certificate import ANY_PURPOSE, CLIENT_AUTH, EngineCertificate
from ostiary.pki.engine_path import Step, Verified
from ostiary.pki.name_rules import visible


def who(certificate: EngineCertificate) -> str:
    """The certificate's subject in quotes."""
    return f"'{visible(certificate.subject.printed()) or '(no subject)'}'"


def key(certificate: EngineCertificate) -> str:
    """What kind of key it is for."""
    try:
        return keys.describe(serialization.load_der_public_key(certificate.spki))
    except pem.MALFORMED:
        return "a key"


def sentences(verified: Verified, at: datetime) -> str:
    """What is wrong, and how sure that is."""
    words = flaw(verified, at)
    return f"{words[0].upper()}{words[1:]}.{'' if verified.is_certain else _UNCERTAIN}"


def flaw(verified: Verified, at: datetime) -> str:
    """What is wrong, and with which certificate."""
    found = verified.flaw
    if found is None:
        return ""
    one = verified.path[min(found.depth, len(verified.path) - 1)]
    above = verified.path[found.depth + 1] if found.depth + 1 < len(verified.path) else one
    return _SAID.get(found.words, "{who} is refused by the engine: {words}").format(
        who=who(one),
        issuer=visible(one.issuer.printed()),
        above=who(above),
        words=found.words,
        why=f" ({found.why.lower().replace('_', ' ')})" if found.why else "",
        serial=one.serial.hex(),
        not_before=_time(one.not_before),
        not_after=_time(one.not_after),
        at=_time(at),
        purposes=_purposes(one),
        depth=found.depth,
    )


_UNCERTAIN: Final = (
    " The listener trusts several certificates of one authority among many, and which of them the engine takes cannot be told; "
    "leave out the old one."
)
_UNCLEAR: Final = "the name constraints of an authority above {who} cannot be judged by the engine"
_SAID: Final = {
    "unable to get local issuer certificate": "{who} was issued by '{issuer}', which is neither trusted here nor shown by the "
    "client",
    "self signed certificate": "{who} signed itself and is not trusted here",
    "self signed certificate in certificate chain": "the chain ends in {who}, which is not trusted here",
    "invalid or inconsistent certificate extension": "{who} has an extension that cannot be read, or is there twice",
    "unhandled critical extension": "{who} has a critical extension that the engine does not know",
    "invalid CA certificate": "{who} is no CA certificate, or may not sign certificates",
    "unsupported certificate purpose": "{who} is not for client authentication ({purposes})",
    "path length constraint exceeded": "{who} allows fewer authorities below it than there are",
    "unable to get certificate CRL": "there is no revocation list of '{issuer}', which issued {who}",
    "key usage does not include CRL signing": "{above} may not sign revocation lists (its key usage lacks cRLSign)",
    "Different CRL scope": "the revocation list of '{issuer}' is not for certificates such as {who}",
    "CRL is not yet valid": "the revocation list of '{issuer}' is not valid yet at {at}",
    "CRL has expired": "the revocation list of '{issuer}' had ended by {at}",
    "CRL signature failure": "the revocation list of '{issuer}' was not signed by the key of {above}",
    "unhandled critical CRL extension": "the revocation list of '{issuer}' has a critical extension unknown to the engine",
    "certificate revoked": "{who} (serial number {serial}) is on the revocation list of '{issuer}'",
    "unable to decode issuer public key": "the key of {above} is of a kind that the engine cannot verify with",
    "certificate signature failure": "the signature on {who} was not made by the key of {above}, or does not count{why}",
    "certificate is not yet valid": "{who} is not valid before {not_before}; it is {at}",
    "certificate has expired": "{who} expired at {not_after}; it is {at}",
    "permitted subtree violation": "a name in {who} is not within the names that an authority above it may sign",
    "excluded subtree violation": "a name in {who} is one that an authority above it must not sign",
    "unsupported name constraint type": "{who} has a name of a kind (such as an IP address) that an authority above it "
    "constrains, and the engine cannot judge such constraints",
    "name constraints minimum and maximum not supported": _UNCLEAR,
    "unsupported or invalid name constraint syntax": _UNCLEAR,
    "unsupported or invalid name syntax": "a name in {who} is written in a way that cannot be held against the name constraints "
    "above it",
    "Issuer has name constraints but leaf has no SANs": "{who} has a common name that reads as a host name and no alternative "
    "names, which is refused below name constraints",
    "no explicit policy": "an authority of the chain demands certificate policies, and none is left that all of them have",
    "invalid or inconsistent certificate policy extension": "{who} has certificate policies that cannot be understood",
}


def passed(step: Step, verified: Verified) -> str:
    """What was seen where nothing was wrong."""
    leaf = verified.path[0]
    return {
        "issuer": f"{_chain(verified)}; the last one is trusted",
        "extensions": "none that is critical and unknown",
        "purpose": _purposes(leaf) if verified.trusted_from else "trusted itself, so its purpose is not asked",
        "path_length": "as far as what was shown demands",
        "revocation": "not revoked, as far as lists are asked for",
        "signature": leaf.signed.algorithm_name(),
        "validity": f"from {_time(leaf.not_before)} to {_time(leaf.not_after)}",
        "names": "within what authorities above may sign"
        if any(one.constraints for one in verified.path[1:])
        else "no authority above has name constraints",
        "policies": "none is missing that an authority demands",
    }[step]


def _chain(verified: Verified) -> str:
    return " ← ".join(map(who, verified.path))


def _purposes(one: EngineCertificate) -> str:
    if one.purposes is None:
        return "no extended key usage, which is no restriction"
    if CLIENT_AUTH in one.purposes:
        return "extended key usage clientAuth"
    if ANY_PURPOSE in one.purposes:
        return "extended key usage anyExtendedKeyUsage, which the engine does not take for clientAuth"
    return "its extended key usages do not include clientAuth"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "a time that cannot be read"
