"""Why a handshake failed, from Envoy's words to a stable code (docs/decisions/0014-what-is-told-of-refusals.md).

The words are BoringSSL's, and they change with it: tests/live/test_handshake_codes.py has a real Envoy say each of them.
"""

import re
from collections.abc import Mapping
from typing import Final

from ostiary.access.words import HandshakeCode
from ostiary.envoy.records import Record
from ostiary.envoy.wire import MAX_ISSUERS

TLS_FAILED: Final = "tls_failed"
"""Nothing that a certificate is to blame for: the client hung up, spoke something else, or does not trust us."""

# What the handshake itself stumbles over, in the order in which it is looked for: what comes later stands in more failures.
_OF_THE_HANDSHAKE: Final[Mapping[str, HandshakeCode]] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_certificate",
    "KEY_USAGE_BIT_INCORRECT": "wrong_purpose",
    "CANNOT_PARSE_LEAF_CERT": "malformed",
    "CERT_LENGTH_MISMATCH": "malformed",
    "public_key_routines:OPENSSL_internal:UNSUPPORTED_ALGORITHM": "weak_key",
    "public_key_routines:OPENSSL_internal:DECODE_ERROR": "malformed",
    "WRONG_SIGNATURE_TYPE": "bad_signature",
    "SSL_routines:OPENSSL_internal:BAD_SIGNATURE": "bad_signature",  # the client's proof that it holds the key
    "EXCESSIVE_MESSAGE_SIZE": "malformed",
    "ASN.1_encoding_routines": "malformed",
    "elliptic_curve_routines": "malformed",
}

# What judging the chain ends in. Of a signature that does not hold, the libraries below say whether it could hold at all.
_OF_THE_CHAIN: Final[Mapping[str, HandshakeCode]] = {
    "DIGEST_AND_KEY_TYPE_NOT_SUPPORTED": "weak_key",
    "UNKNOWN_SIGNATURE_ALGORITHM": "weak_key",
    "UNKNOWN_MESSAGE_DIGEST_ALGORITHM": "weak_key",
    "INVALID_PSS_PARAMETERS": "malformed",
    "certificate_signature_failure": "bad_signature",
    "unable_to_decrypt_certificate's_signature": "bad_signature",
    "certificate_has_expired": "expired",
    "certificate_is_not_yet_valid": "not_yet_valid",
    "certificate_revoked": "revoked",
    "unsupported_certificate_purpose": "wrong_purpose",
    "key_usage_does_not_include_digital_signature": "wrong_purpose",
    "path_length_constraint_exceeded": "chain_too_long",
    "certificate_chain_too_long": "chain_too_long",
    "subtree_violation": "name_constraint",
    "name_constraint": "name_constraint",
    "_CRL": "status_unknown",  # missing, ended, not begun, or not to be verified; whatever it is, nobody knows who is revoked
    "issuer_certificate": "unknown_authority",
    "self_signed_certificate": "unknown_authority",
    "unable_to_verify_the_first_certificate": "unknown_authority",
    "invalid_CA_certificate": "unknown_authority",
    "key_usage_does_not_include_certificate_signing": "unknown_authority",
    "mismatch": "unknown_authority",
    "certificate_not_trusted": "unknown_authority",
}

# The only thing that a listener's one filter chain asks is where the client comes from.
_NO_FILTER_CHAIN: Final = "NR"
_JUDGED: Final = "CERTIFICATE_VERIFY_FAILED"
# Where the chain breaks off that deep, there is more of it: Envoy stops looking for issuers and then misses one.
_TOO_DEEP: Final = re.compile(rf"at_depth_{MAX_ISSUERS}:_unable_to_get_(local_)?issuer_certificate")


def connection_code(record: Record) -> str | None:
    """Why a connection was refused, from what is told of it (`envoy.records`); None when it was not."""
    if (failure := record.get("failure")) is not None:
        return handshake_code(failure)
    return "source_not_allowed" if record.get("flags") == _NO_FILTER_CHAIN else None


def handshake_code(failure: str) -> str:
    """The code of what `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%` says; `tls_failed` for what is no certificate's fault."""
    if _JUDGED not in failure:
        return _first(_OF_THE_HANDSHAKE, failure) or TLS_FAILED
    if _TOO_DEEP.search(failure):
        return "chain_too_long"
    return _first(_OF_THE_CHAIN, failure) or "malformed"


def _first(table: Mapping[str, HandshakeCode], failure: str) -> str | None:
    return next((code for words, code in table.items() if words in failure), None)
