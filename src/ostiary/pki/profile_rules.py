"""The rule behind each limit of a profile: words, and where they come from, for the API, the command line and the docs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ostiary.pki.profile import BUILT_IN, Profile

# "Ours" are choices; the reason is in the words.
_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "extended_key_usages": "A certificate is for the purposes it names and no other (RFC 5280 4.2.1.12). "
        "anyExtendedKeyUsage, OCSPSigning, timeStamping and codeSigning are never given.",
        "key_usages": "TLS 1.3 and (EC)DHE sign with the key (RFC 5280 4.2.1.3, RFC 8446 4.4.2.2). Those of authorities, "
        "keyCertSign and cRLSign, are never given.",
        "rsa_key_usages": "Only TLS 1.2 suites without forward secrecy encipher to an RSA key (RFC 5246 7.4.2).",
        "names_allowed": "Nothing is copied from a request but the key and the names that are allowed here (RFC 5280 4.2.1.6: "
        "the CA must verify each part).",
        "names_required": "A certificate without a name says nothing about its holder (RFC 5280 4.1.2.6).",
        "name_patterns": "Each name must match a pattern of its kind; labels and path segments count whole (ours, see "
        "pki.name_patterns).",
        "wildcards": "A wildcard vouches for every host of a domain, so it is off where one holder is meant (RFC 9525 6.3).",
        "common_name_must_be_alternative": "A common name that is not among the alternative names may be believed by old "
        "readers and by nobody else (CA/Browser Forum BR 7.1.4.3, RFC 9525 6.1).",
        "max_alternatives": "More names only cost whoever verifies: BoringSSL multiplies them with the constraints above (ours).",
        "key_types": "P-256, P-384 and RSA are taken by every TLS peer; Ed25519 and P-521 only where they are switched on "
        "(ours, docs/decisions/0002).",
        "min_rsa_bits": "112 bits of security take 2048 (NIST SP 800-131A rev. 2, 3).",
        "default_lifetime": "Short enough that a stolen key is soon of no use, and renewed by itself (ours).",
        "max_lifetime": "Authentication keys are used for one to two years at most (NIST SP 800-57 part 1 rev. 5, table 1).",
        "backdate": "For clients whose clocks run late; at most an hour, so that nothing looks older than it is (ours).",
        "renewal_window": "Clients renew when a third of the life is left; from one third of the life on leaves them as long "
        "again to try, and keeps a stolen key from being renewed at once (ours, in the spirit of RFC 9773).",
        "allow_key_reuse": "A new certificate is a chance to leave a key behind that may have been copied (NIST SP 800-57 "
        "part 1 rev. 5, 5.3); off unless the key is in hardware.",
        "approval": "How many people other than whoever asks must agree (ours).",
    }
)
_OWN_RULES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "client": {
            "max_lifetime": "One year: the lower end of what authentication keys are used for (NIST SP 800-57 part 1 rev. 5, "
            "table 1: one to two years).",
        },
        "device": {
            "names_allowed": "A device is known by its serial number or name (IEEE 802.1AR 8.6: serialNumber in the subject).",
            "default_lifetime": "A year, because machines that are off for months must still be able to renew (ours).",
            "max_lifetime": "Two years: the upper end of what authentication keys are used for (NIST SP 800-57 part 1 rev. 5, "
            "table 1). IEEE 802.1AR would have identities without end; what cannot be renewed cannot be kept clean.",
        },
        "user": {
            "extended_key_usages": "To sign in, not to sign mail: one key has one purpose (NIST SP 800-57 part 1 rev. 5, 5.2).",
            "names_required": "The address is what tells one person from another of the same name (ours).",
            "default_lifetime": "Half a year, because a person has to put it into each of their devices by hand (ours).",
            "max_lifetime": "One year: the lower end of what authentication keys are used for (NIST SP 800-57 part 1 rev. 5, "
            "table 1: one to two years).",
            "max_alternatives": "A person has few addresses (ours).",
        },
        "server": {
            "names_required": "Clients look at DNS names and addresses, and not at the common name (RFC 9525 6.1).",
            "max_lifetime": "Apple (HT211025) and Chrome refuse more than 398 days where a public CA signed; private ones do "
            "well to keep to it.",
            "wildcards": "A wildcard may be the whole first label (RFC 9525 6.3).",
        },
    }
)


def rules(profile: Profile) -> dict[str, str]:
    """The rule behind each limit, by field: words and where they come from. A limit that was changed has the general one."""
    built_in, own = BUILT_IN.get(profile.name), _OWN_RULES.get(profile.name, {})
    return {
        limit: own[limit] if limit in own and getattr(profile, limit) == getattr(built_in, limit) else rule
        for limit, rule in _RULES.items()
    }
