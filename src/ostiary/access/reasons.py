"""What a check found, in words."""

from ostiary.access.conditions import Condition, During, Every, Is, Matches, Member, No, Some, Within
from ostiary.access.facts import Request
from ostiary.access.judge import holds
from ostiary.pki.name_rules import visible

_NAMES = {
    "fingerprint": "the certificate's fingerprint",
    "issuer_fingerprint": "its issuer's fingerprint",
    "serial": "its serial number",
    "subject": "its subject",
    "dns": "its DNS names",
    "uri": "its URIs",
    "email": "its e-mail addresses",
    "trust_revision": "the revision of the listener's trust",
}


def why_not(condition: Condition, request: Request) -> str:  # noqa: PLR0911 (a table of what may be asked)
    """The first part of it that does not hold, by what there is instead; empty where all of it holds."""
    if holds(condition, request):
        return ""
    match condition:
        case Every(of):
            return next(filter(None, (why_not(one, request) for one in of)), "")
        case Some(of):
            return why_not(of[0], request) if of else "nothing fits"
        case No():
            return "what is excluded is the case"
        case During():
            return _when(condition, request)
        case Within():
            return f"the client comes from {request.source}"
        case Member():
            return "the certificate is in none of these groups or profiles" if request.holder else "there is no certificate"
        case Is(of=kind) | Matches(of=kind):
            text = request.text(kind)
            name = _NAMES.get(kind, f"the {kind}")
            return f"{name}: {shown(text)}" if text else f"{name}: none"


def _when(condition: During, request: Request) -> str:
    if condition.not_before is not None and request.at < condition.not_before:
        return f"it begins at {condition.not_before:%Y-%m-%dT%H:%M:%SZ}"
    return f"it ended at {condition.not_after:%Y-%m-%dT%H:%M:%SZ}"


def shown(text: str) -> str:
    """A certificate's text for people: what is no UTF-8 by its octets, as the gateway's log has it, and nothing that hides."""
    return visible(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
