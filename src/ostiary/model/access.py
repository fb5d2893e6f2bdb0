"""Access rules: what a client may reach follows from its own certificate; and exceptions, where no certificate is needed."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from ostiary.model.fields import CIDR, Data, Text, setting
from ostiary.model.patterns import DNSPattern, EmailPattern, HostPattern, NamePattern, PathPattern, SPIFFEPattern, URIPattern
from ostiary.model.resource import Resource

RULES_PER_LISTENER: Final = 500  # They are tried one after the other.
LONGEST_EXCEPTION: Final = timedelta(days=366)

Action = Literal["ALLOW", "DENY"]
ExceptionKind = Literal["CORS_PREFLIGHT", "HEALTH_CHECK", "PATHS"]

_MANY: Final = Field(max_length=100)
Id = Annotated[str, Field(min_length=1, max_length=255)]


def _fingerprint(text: str) -> str:
    """As Envoy and we write them; others write capitals, with colons between."""
    digits = text.replace(":", "").lower()
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"'{text[:64]}' is not a SHA-256 in hexadecimal")
    return digits


def _serial(text: str) -> str:
    """As Envoy and we write serial numbers: hexadecimal, small letters, no colons, no zeros before it."""
    digits = text.replace(":", "").lower().lstrip("0") or "0"
    if len(digits) > 40 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"'{text[:64]}' is not a serial number in hexadecimal")
    return digits


Fingerprint = Annotated[str, StringConstraints(max_length=128), AfterValidator(_fingerprint)]
Serial = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_serial)]
Method = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9-]{0,31}$")]
Group = Annotated[Text, StringConstraints(min_length=1)]


class Holders(Data):
    """Whose certificates a rule is about. Every field that is given has to fit, with one of its values; none: everybody."""

    groups: Annotated[tuple[Group, ...], _MANY] = setting((), "In one of these groups.", label="Groups")
    profiles: Annotated[tuple[Group, ...], _MANY] = setting((), "Issued here by one of these profiles.", label="Profiles")
    authority_ids: Annotated[tuple[Id, ...], _MANY] = setting(
        (), "Signed by one of these authorities, or by one below it.", label="CA certificates"
    )
    fingerprints_sha256: Annotated[tuple[Fingerprint, ...], Field(max_length=200)] = setting(
        (), "One of these certificates.", label="SHA-256 fingerprints"
    )
    serials: Annotated[tuple[Serial, ...], _MANY] = setting(
        (), "With one of these serial numbers, hexadecimal.", label="Serial numbers"
    )
    subject_cn: Annotated[tuple[NamePattern, ...], _MANY] = setting(
        (), "With one of these common names.", label="Common names (CN)"
    )
    subject_ou: Annotated[tuple[NamePattern, ...], _MANY] = setting(
        (), "In one of these organizational units.", label="Organizational units (OU)"
    )
    san_dns: Annotated[tuple[DNSPattern, ...], _MANY] = setting(
        (), "With one of these DNS names: a.test, *.a.test (one label), **.a.test (all below).", label="DNS names"
    )
    san_uri: Annotated[tuple[URIPattern, ...], _MANY] = setting(
        (), "With one of these URIs; * at the start or end is anything.", label="URIs"
    )
    san_email: Annotated[tuple[EmailPattern, ...], _MANY] = setting(
        (), "With one of these addresses, such as *@a.test.", label="E-mail addresses"
    )
    spiffe_ids: Annotated[tuple[SPIFFEPattern, ...], _MANY] = setting(
        (),
        "With one of these SPIFFE ids as its only URI: spiffe://domain/path, or spiffe://domain/* for all below.",
        label="SPIFFE ids",
    )

    @property
    def anybody(self) -> bool:
        """Whether nothing is asked of the certificate."""
        return not any(value for _, value in self)


class AccessRule(Resource):
    """One of a listener's rules, tried in order; the first that fits decides. What no rule allows is refused."""

    listener_id: Id = setting(description="The listener it belongs to.", fixed=True)
    name: Annotated[Text, StringConstraints(min_length=1)] = setting(description="What it is for.")
    position: Annotated[int, Field(ge=1, le=RULES_PER_LISTENER)] | None = setting(
        None, "Its place among the listener's rules, from 1; empty is the end."
    )
    action: Action = setting("ALLOW", "Whether what fits is let through or refused.")
    certificate: Holders = setting(Holders(), "Whose certificates; empty is everybody.")
    hosts: Annotated[tuple[HostPattern, ...], _MANY] = setting(
        (), "Hosts asked for: a.test, *.a.test (one label), **.a.test (all below); empty is all."
    )
    paths: Annotated[tuple[PathPattern, ...], _MANY] = setting(
        (), "Paths: /a is that path, /a/* that and all below it, /a* all that begin so; empty is all."
    )
    methods: Annotated[tuple[Method, ...], _MANY] = setting((), "HTTP methods; empty is all.")
    sources: Annotated[tuple[CIDR, ...], _MANY] = setting((), "Networks the client comes from; empty is all.", label="Networks")
    not_before: AwareDatetime | None = setting(None, "From when it holds.", label="From")
    not_after: AwareDatetime | None = setting(None, "Until when it holds.", label="Until")
    shadow: bool = setting(
        False, "Whether it is only rehearsed: what it would refuse is told, and served.", label="Only rehearse it"
    )


class AccessException(Resource):
    """Requests that a listener serves without a certificate, though it demands one of everybody else; until a certain day."""

    listener_id: Id = setting(description="The listener it belongs to.", fixed=True)
    name: Annotated[Text, StringConstraints(min_length=1)] = setting(description="Why it is needed.")
    kind: ExceptionKind = setting(
        description="CORS_PREFLIGHT: OPTIONS requests of browsers, which show no certificate. "
        "HEALTH_CHECK: GET and HEAD of the paths. PATHS: whatever is asked for below the paths.",
        fixed=True,
        label="Kind",
    )
    paths: Annotated[tuple[PathPattern, ...], _MANY] = setting(
        (), "Which paths. Of health checks /health and /healthz by default; of a preflight all."
    )
    sources: Annotated[tuple[CIDR, ...], _MANY] = setting((), "Networks the client comes from; empty is all.", label="Networks")
    owner: Annotated[Text, StringConstraints(min_length=1)] = setting(description="Who answers for it.")
    not_after: AwareDatetime = setting(description="When it ends; a year away at most.", label="Ends")
