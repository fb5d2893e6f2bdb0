"""Why somebody was refused: the stable codes, what to do about each in words, and how much of it the client is told."""

from typing import Final, Literal, get_args

HandshakeCode = Literal[
    "no_certificate",
    "unknown_authority",
    "expired",
    "not_yet_valid",
    "revoked",
    "wrong_purpose",
    "bad_signature",
    "weak_key",
    "chain_too_long",
    "name_constraint",
    "status_unknown",
    "malformed",
]
RequestCode = Literal[
    "revoked",
    "expired",
    "authority_removed",
    "certificate_required",
    "no_rule_allows",
    "denied_by_rule",
    "misdirected",
    "source_not_allowed",
    "malformed",
]
HANDSHAKE_CODES: Final[tuple[str, ...]] = get_args(HandshakeCode)
REQUEST_CODES: Final[tuple[str, ...]] = get_args(RequestCode)

# Of a request that is let through.
ALLOWED: Final = "allowed"
EXEMPT: Final = "exempt"
# Of a rehearsal: a certificate was shown that the handshake would have refused; which code, the certificate itself tells.
UNVERIFIED: Final = "unverified"

# For the operator: what is wrong and the way out.
FIXES: Final[dict[str, str]] = {
    "no_certificate": "The client showed no certificate. Install one on it (ostiary token create), and have it "
    "choose that certificate for this host.",
    "unknown_authority": "No authority that the listener trusts signed the certificate, or the client left out an intermediate. "
    "Choose that authority as Client CA, or have the client send its whole chain.",
    "expired": "The certificate's time is over. Renew it (ostiary cert renew), and look at the client's clock.",
    "not_yet_valid": "The certificate is not valid yet. Compare the clocks of the client, the gateway and the authority.",
    "revoked": "The certificate was revoked or is on hold. Release it (ostiary cert release), or issue another.",
    "wrong_purpose": "The certificate is not for clients (extended key usage clientAuth). Issue one by a client profile.",
    "bad_signature": "A signature in the chain does not verify. The certificate or its chain was damaged, or is forged.",
    "weak_key": "The key, or the algorithm of a signature, is too weak, or of a kind not taken. Issue one for another key.",
    "chain_too_long": "There are more authorities between the certificate and the trusted one than the listener goes through. "
    "Trust an authority nearer to the certificate.",
    "name_constraint": "An authority above may not sign such names. Issue it by another, or leave the name out.",
    "status_unknown": "There is no current revocation list of the authority, so nobody of it is let in. Fetch or upload one "
    "(ostiary ca fetch, ostiary ca upload-crl), or choose another stale policy.",
    "malformed": "The certificate, a name in it, or the path asked for cannot be read in one way only. Issue it anew without "
    "control characters, commas or quotes in its alternative names; ask for paths without '/..;'.",
    "authority_removed": "The authority that signed it is no longer trusted here. Issue a certificate by one that is.",
    "certificate_required": "The connection has no certificate and this listener demands one. The client has to connect anew and "
    "show it; for requests that cannot, add an exception (ostiary access exception add).",
    "no_rule_allows": "The listener has access rules and none of them allows this request. Add one (ostiary access add), and try "
    "it first with ostiary access test.",
    "denied_by_rule": "An access rule denies this request. See which: ostiary explain.",
    "misdirected": "The request's host is not the one that the connection was opened for. The client has to open a connection of "
    "its own for each host.",
    "source_not_allowed": "The client's address is not in the networks that are allowed. Add its network to the rule, or to the "
    "listener's allowed CIDRs.",
}

# For whoever was refused: enough to act on, nothing of the inside.
PUBLIC: Final[dict[str, str]] = {
    "revoked": "Your certificate is no longer accepted.",
    "expired": "Your certificate has expired. Renew it, then connect again.",
    "authority_removed": "Your certificate is no longer accepted. Ask for a new one.",
    "certificate_required": "This service asks for a client certificate. Choose yours, then connect again.",
    "misdirected": "This connection was opened for another host. Open a new one.",
    "malformed": "Your certificate, or the address you asked for, cannot be accepted as it is. Ask for a new one.",
    "no_rule_allows": "You are not permitted to make this request.",
    "denied_by_rule": "You are not permitted to make this request.",
    "source_not_allowed": "You are not permitted to make this request from where you are.",
}
