"""What a kind of certificate may hold: usages, names, keys, lifetimes. A table, read by `pki.policy`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.pki.names import NameKind

# Issuance limits are ours; where a public rule exists it is named beside the number.
# Backdating lets clients whose clocks run late use a certificate at once. It is bounded here so that nothing can be made to
# look older than it is.
BACKDATE: Final = timedelta(minutes=5)

# Ed25519 and P-521 are missing on purpose. Our own doors take them (docs/decisions/0002), but BoringSSL left to itself does not
# offer their signature schemes: at other doors their holders would be refused. Browsers refuse both from servers.
TLS_KEYS: Final = ("EC P-256", "EC P-384", "RSA")


@dataclass(frozen=True)
class Profile:
    """What certificates of one kind may hold.

    Of the kinds in `required` at least one must be there. `key_types` are as `keys.describe` says them, RSA without its size.
    """

    name: str
    description: str
    extended_key_usages: tuple[ObjectIdentifier, ...]
    names_allowed: tuple[NameKind, ...]
    required: tuple[NameKind, ...]
    default_lifetime: timedelta
    max_lifetime: timedelta
    key_usages: tuple[str, ...] = ("digital_signature",)  # RFC 5280 4.2.1.3: what TLS 1.3 and (EC)DHE sign with
    rsa_key_usages: tuple[str, ...] = ()  # added for RSA keys
    wildcards: bool = False
    common_name_must_be_alternative: bool = False
    key_types: tuple[str, ...] = TLS_KEYS
    backdate: timedelta = BACKDATE


BUILT_IN: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "client": Profile(
            name="client",
            description="Whoever holds it is let in: people, services, machines.",
            extended_key_usages=(ExtendedKeyUsageOID.CLIENT_AUTH,),
            names_allowed=("common_name", "organization", "organizational_unit", "dns", "ip", "uri", "email"),
            required=("common_name", "dns", "uri", "email"),
            default_lifetime=timedelta(days=90),
            # NIST SP 800-57 part 1 rev. 5, table 1: authentication keys are used for one to two years at most.
            max_lifetime=timedelta(days=366),
        ),
        "server": Profile(
            name="server",
            description="A name or address that clients connect to.",
            extended_key_usages=(ExtendedKeyUsageOID.SERVER_AUTH,),
            names_allowed=("common_name", "organization", "organizational_unit", "dns", "ip"),
            required=("dns", "ip"),  # RFC 9525 6.1: the subject's common name is not looked at
            default_lifetime=timedelta(days=90),
            # Apple (HT211025) and Chrome refuse more than 398 days where a public CA signed; private ones do well to keep to it.
            max_lifetime=timedelta(days=397),
            rsa_key_usages=("key_encipherment",),  # TLS 1.2 suites without forward secrecy, which a listener may still allow
            wildcards=True,
            common_name_must_be_alternative=True,  # CA/Browser Forum BR 7.1.4.3
        ),
    }
)
