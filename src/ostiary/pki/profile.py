"""What a kind of certificate may hold: usages, names, keys, lifetimes, and the rule behind each limit. Read by `pki.policy`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.errors import Invalid
from ostiary.pki import name_patterns
from ostiary.pki.names import ALTERNATIVES_MAX, NAME_KINDS, NameKind

Approval = Literal["automatic", "one", "two"]

# Backdating lets clients whose clocks run late use a certificate at once. It is bounded so that nothing can be made to look
# older than it is (step-ca #2444).
BACKDATE: Final = timedelta(minutes=5)
_BACKDATE_MAX: Final = timedelta(hours=1)
_LIFETIME_MAX: Final = timedelta(days=36_500)
_RSA_BITS: Final = (2048, 8192)  # as `keys` accepts them at all

# Ed25519 and P-521 are missing on purpose. Our own doors take them (docs/decisions/0002), but BoringSSL left to itself does not
# offer their signature schemes: at other doors their holders would be refused. Browsers refuse both from servers.
TLS_KEYS: Final = ("EC P-256", "EC P-384", "RSA")
KEY_TYPES: Final = (*TLS_KEYS, "EC P-521", "Ed25519")

# Not among them: anyExtendedKeyUsage, which is for everything; OCSPSigning, whose holder may call any certificate good;
# timeStamping and codeSigning, which vouch for other things than who somebody is.
PURPOSES: Final[Mapping[str, ObjectIdentifier]] = MappingProxyType(
    {
        "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
        "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
        "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
        "ipsecIKE": ExtendedKeyUsageOID.IPSEC_IKE,
        "smartcardLogon": ExtendedKeyUsageOID.SMARTCARD_LOGON,
    }
)
# RFC 5280 4.2.1.3's names, and `cryptography`'s. Not among them: keyCertSign and cRLSign, which are for authorities;
# dataEncipherment, which nothing here uses.
KEY_USAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "digitalSignature": "digital_signature",
        "contentCommitment": "content_commitment",
        "keyEncipherment": "key_encipherment",
        "keyAgreement": "key_agreement",
    }
)


@dataclass(frozen=True)
class Profile:
    """What certificates of one kind may hold. Raises `Invalid`, with the field named, for a profile that makes no sense.

    Of the kinds in `names_required` at least one must be there. `key_types` are as `keys.describe` says them, RSA without its
    size. `name_patterns`: see `pki.name_patterns`. `renewal_window`: the last part of its life in which it may be renewed, in
    percent.
    """

    name: str
    description: str = ""
    extended_key_usages: tuple[ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    key_usages: tuple[str, ...] = ("digital_signature",)
    rsa_key_usages: tuple[str, ...] = ()  # added for RSA keys
    names_allowed: tuple[NameKind, ...] = ("common_name",)
    names_required: tuple[NameKind, ...] = ("common_name",)
    name_patterns: Mapping[NameKind, tuple[str, ...]] = field(default_factory=dict, hash=False)
    wildcards: bool = False
    common_name_must_be_alternative: bool = False
    max_alternatives: int = ALTERNATIVES_MAX
    key_types: tuple[str, ...] = TLS_KEYS
    min_rsa_bits: int = _RSA_BITS[0]
    default_lifetime: timedelta = timedelta(days=90)
    max_lifetime: timedelta = timedelta(days=366)
    backdate: timedelta = BACKDATE
    renewal_window: int = 67
    allow_key_reuse: bool = False
    approval: Approval = "automatic"

    def __post_init__(self) -> None:
        _refuse_unknown("extended_key_usages", tuple(map(purpose_name, self.extended_key_usages)), PURPOSES)
        _refuse_unknown("key_usages", tuple(map(key_usage_name, self.key_usages)), KEY_USAGES)
        _refuse_unknown("rsa_key_usages", tuple(map(key_usage_name, self.rsa_key_usages)), KEY_USAGES, may_be_empty=True)
        _refuse_unknown("names_allowed", self.names_allowed, NAME_KINDS)
        _refuse_unknown("names_required", self.names_required, self.names_allowed)
        _refuse_unknown("key_types", self.key_types, KEY_TYPES)
        _refuse_unknown("approval", (self.approval,), ("automatic", "one", "two"))
        _refuse_outside("max_alternatives", self.max_alternatives, (1, ALTERNATIVES_MAX))
        _refuse_outside("min_rsa_bits", self.min_rsa_bits, _RSA_BITS)
        _refuse_outside("renewal_window", self.renewal_window, (1, 100))
        _refuse_unusable_times(self)
        _refuse_odd_names(self)


def purpose_name(purpose: ObjectIdentifier) -> str:
    """What RFC 5280 calls it; the number of one that is not known here."""
    return next((name for name, known in PURPOSES.items() if known == purpose), purpose.dotted_string)


def key_usage_name(usage: str) -> str:
    """What RFC 5280 calls it."""
    return next((name for name, known in KEY_USAGES.items() if known == usage), usage)


def _refuse_unknown(name: str, given: tuple[str, ...], known: Iterable[str], *, may_be_empty: bool = False) -> None:
    if not given and not may_be_empty:
        raise Invalid(name, f"it is empty; give one or more of {', '.join(known)}.")
    for value in given:
        if value not in known:
            raise Invalid(name, f"'{value}' is not possible here; choose from {', '.join(known)}.")
    if len(set(given)) < len(given):
        raise Invalid(name, "it names something twice; name each once.")


def _refuse_outside(name: str, value: int, limits: tuple[int, int]) -> None:
    least, most = limits
    if not least <= value <= most:
        raise Invalid(name, f"it must be from {least} to {most}.")


def _refuse_unusable_times(profile: Profile) -> None:
    if not timedelta(0) < profile.max_lifetime <= _LIFETIME_MAX:
        raise Invalid("max_lifetime", f"it must be longer than nothing and at most {_LIFETIME_MAX.days} days.")
    if not timedelta(0) < profile.default_lifetime <= profile.max_lifetime:
        raise Invalid("default_lifetime", "it must be longer than nothing and not longer than max_lifetime.")
    if not timedelta(0) <= profile.backdate <= _BACKDATE_MAX:
        raise Invalid("backdate", "it must be from nothing to one hour; more would make certificates look older than they are.")
    whole = ("max_lifetime", "default_lifetime", "backdate")
    for name in whole:
        if getattr(profile, name).microseconds:
            raise Invalid(name, "certificates hold whole seconds; leave the fraction out.")


def _refuse_odd_names(profile: Profile) -> None:
    if profile.wildcards and "dns" not in profile.names_allowed:
        raise Invalid("wildcards", "it allows no DNS names, so none can be wildcards; allow dns too.")
    if profile.common_name_must_be_alternative and not {"dns", "ip"} & {*profile.names_allowed}:
        raise Invalid("common_name_must_be_alternative", "it allows neither DNS names nor addresses; allow dns or ip too.")
    for kind, patterns in profile.name_patterns.items():
        path = f"name_patterns.{kind}"
        if kind not in profile.names_allowed:
            raise Invalid(path, "it is not among names_allowed, so the patterns would not be asked; allow it, or leave them out.")
        if not patterns:
            raise Invalid(path, "it is empty, so no such name could be given; leave the kind out of names_allowed instead.")
        for pattern in patterns:
            name_patterns.refuse_malformed(pattern, kind, path)


BUILT_IN: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "client": Profile(
            name="client",
            description="Whoever holds it is let in: people, services, machines.",
            names_allowed=("common_name", "organization", "organizational_unit", "dns", "ip", "uri", "email"),
            names_required=("common_name", "dns", "uri", "email"),
        ),
        "device": Profile(
            name="device",
            description="A machine with an identity of its own: known by its name or serial number, and seldom touched.",
            names_allowed=("common_name", "organization", "organizational_unit", "serial_number", "dns", "ip", "uri"),
            names_required=("common_name", "serial_number", "dns", "uri"),
            default_lifetime=timedelta(days=365),
            max_lifetime=timedelta(days=730),
        ),
        "user": Profile(
            name="user",
            description="A person, known by an e-mail address.",
            names_allowed=("common_name", "organization", "organizational_unit", "email"),
            names_required=("email",),
            default_lifetime=timedelta(days=180),
            max_alternatives=5,
        ),
        "server": Profile(
            name="server",
            description="A name or address that clients connect to.",
            extended_key_usages=(ExtendedKeyUsageOID.SERVER_AUTH,),
            names_allowed=("common_name", "organization", "organizational_unit", "dns", "ip"),
            names_required=("dns", "ip"),
            max_lifetime=timedelta(days=397),
            rsa_key_usages=("key_encipherment",),
            wildcards=True,
            common_name_must_be_alternative=True,
        ),
    }
)
