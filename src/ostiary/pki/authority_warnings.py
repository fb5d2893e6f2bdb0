"""What common engines will not accept of an authority: said when it is made, for later it can only be replaced."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from ostiary.pki import constraints, keys
from ostiary.pki.constraints import Constraints, Kind

_GENERALIZED_TIME: Final = datetime(2050, 1, 1, tzinfo=UTC)
_LARGE_RSA_BITS: Final = 4096

_BY_KIND: Final[dict[Kind, str]] = {
    "ip": "It constrains IP addresses: BoringSSL, and so Envoy, refuses every certificate below it that carries an IP address.",
    "uri": "It constrains URIs: Python's 'cryptography' refuses every certificate below it (unsupported).",
    "directory": "It constrains directory names: Python's 'cryptography' refuses every certificate below it (unsupported).",
}
_NAMED: Final[dict[Kind, str]] = {
    "dns": "DNS names",
    "ip": "IP addresses",
    "email": "e-mail addresses",
    "uri": "URIs",
}


_ED25519: Final = (
    "It signs with Ed25519: Envoy and OpenSSL take that, but browsers and Python's 'cryptography' refuse every certificate below "
    "it."
)
_LONE_NAMES: Final = (
    "It has name constraints: BoringSSL, and so Envoy, refuses certificates below it that have no alternative name and a common "
    "name that reads as a host name, as 'alice' does. They are not issued; ask for an alternative name too."
)
_LATE: Final = (
    "It ends after 2049, which certificates write in another form (GeneralizedTime, RFC 5280 4.1.2.5): some old devices cannot "
    "read that."
)


def warnings(authority: x509.Certificate) -> tuple[str, ...]:
    """Sentences for whoever makes it, the gravest first; none when there is nothing to say."""
    held = constraints.of(authority)
    return (
        *_of_key(authority),
        *_of_constraints(held),
        *((_LATE,) if authority.not_valid_after_utc >= _GENERALIZED_TIME else ()),
    )


def _of_key(authority: x509.Certificate) -> Iterator[str]:
    key = authority.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        yield _ED25519
    elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LARGE_RSA_BITS:
        yield f"It signs with {keys.describe(key)}, about twenty times slower than EC P-256 (some 180 certificates a second)."


def _of_constraints(held: Constraints) -> Iterator[str]:
    kinds = {subtree.kind for subtree in (*held.permitted, *held.excluded)}
    yield from (text for kind, text in _BY_KIND.items() if kind in kinds)
    if kinds:
        yield _LONE_NAMES
    # RFC 5280 4.2.1.10: what is not mentioned is not restricted, which surprises whoever permits some DNS names.
    free = [text for kind, text in _NAMED.items() if kind not in kinds]
    if held.permitted and free:
        yield f"It does not constrain {', '.join(free)}: certificates below it may carry any of those."
