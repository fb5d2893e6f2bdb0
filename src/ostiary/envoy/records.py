"""The records in which Envoy tells of every request and every connection: which fields they have, and how to read them.

A record is one line of text, its fields set apart by a character: attributes of their own would cost Envoy half as much again,
and who reads them ten times as much (docs/decisions/0008-who-is-seen.md). The keeper reads them, and
loads for it no more than this.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from ostiary.access import words

COLLECTOR: Final = "access-log"  # a cluster of the bootstrap: where they go

IS_TLS: Final = "tls"  # told with connections of listeners where each has to begin with a handshake

Kind = Literal["request", "connection"]
Record = dict[str, str]

# A control character: Envoy takes none in headers, and escapes those in a subject. In other names they may stand, so what a
# client can write into stands last: whatever it holds, the fields before are what they are.
BETWEEN: Final = "\x1f"
_PARTS: Final = "|"  # between what several filters would have decided (`access.told_of_rehearsals`)
NOTHING: Final = "-"  # Envoy's word for what there is not
_REST: Final = "unclear"  # of a record with more fields than it should have: all that a client could write into, as it came

OURS: Final = {
    "connection": "%CONNECTION_ID%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "client_port": "%DOWNSTREAM_DIRECT_REMOTE_PORT%",
    "local": "%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%",  # with the two above, which connection it is (gateway.streams)
    "duration": "%DURATION%",  # milliseconds; of a request that is under way, none is told (`read`)
    "flags": "%RESPONSE_FLAGS%",
}
_FINGERPRINT: Final = {"fingerprint": "%DOWNSTREAM_PEER_FINGERPRINT_256%"}
CERTIFICATE: Final = {
    "serial": "%DOWNSTREAM_PEER_SERIAL%",
    "not_after": "%DOWNSTREAM_PEER_CERT_V_END%",
    "issuer_fingerprint": "%DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256%",  # of the verified chain, not of what the client sent
}
THEIR_NAMES: Final = {
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "issuer": "%DOWNSTREAM_PEER_ISSUER%",
    "san_uri": "%DOWNSTREAM_PEER_URI_SAN%",
    "san_dns": "%DOWNSTREAM_PEER_DNS_SAN%",
    "san_email": "%DOWNSTREAM_PEER_EMAIL_SAN%",
    "san_ip": "%DOWNSTREAM_PEER_IP_SAN%",
}
REQUEST: Final = {
    "moment": "%ACCESS_LOG_TYPE%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "protocol": "%PROTOCOL%",
    "trust_revision": NOTHING,  # the listener's when the connection was opened: a connection keeps the format it began with
}
# Of what is rehearsed: what would have been decided, by each filter in turn; and the certificate, whole, for nobody verified it.
REHEARSAL: Final = ("rehearsed", "certificate")
THEIR_REQUEST: Final = {
    "sni": "%REQUESTED_SERVER_NAME%",
    "method": "%REQ(:METHOD):32%",
    "authority": "%REQ(:AUTHORITY):256%",
    "path": "%PATH(NQ:ORIG_OR_PATH):512%",  # without the query, which may hold secrets
    "user_agent": "%REQ(USER-AGENT):256%",
}
_CONNECTION: Final = {
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "not_before": "%DOWNSTREAM_PEER_CERT_V_START%",
    "certificate": "%DOWNSTREAM_PEER_CERT%",  # PEM, percent-encoded; here only, as it is long
}

_AT_THE_END: Final = "DownstreamEnd"

# Of what is told: first what clients cannot write into, then what they can.
FIELDS: Final[dict[Kind, tuple[dict[str, str], dict[str, str]]]] = {
    "request": (
        OURS | REQUEST | dict.fromkeys(REHEARSAL, NOTHING) | _FINGERPRINT | CERTIFICATE,
        THEIR_NAMES | THEIR_REQUEST,
    ),
    "connection": (
        OURS | _CONNECTION | _FINGERPRINT | CERTIFICATE,
        THEIR_NAMES | {"sni": "%REQUESTED_SERVER_NAME%"},
    ),
}

# What is the same for all requests of a connection, and stands together in a record: to be noted once and copied, for to write
# each of these fields anew takes Envoy 0.2 to 0.5 µs a request (docs/decisions/0028-what-a-request-costs.md).
CONNECTION: Final = BETWEEN.join(list(OURS.values())[:4])
DETAILS: Final = BETWEEN.join([*(_FINGERPRINT | CERTIFICATE | THEIR_NAMES).values(), THEIR_REQUEST["sni"]])

_NAMES: Final[dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    kind: (tuple(FIELDS[kind][0]), tuple(FIELDS[kind][1])) for kind in get_args(Kind)
}


def read(kind: Kind, line: str) -> Record:
    """What a record says, by field; what there was nothing of is left out. A request that goes on has no duration yet.

    Where a client's names hold the character between fields, all that clients can write into comes as one field, `unclear`.
    """
    ours, theirs = _NAMES[kind]
    values = line.split(BETWEEN)
    if len(values) == len(ours) + len(theirs):
        names = (*ours, *theirs)
    else:
        names = (*ours, _REST)
        values = [*values[: len(ours)], " ".join(values[len(ours) :])]
    record = {name: value for name, value in zip(names, values, strict=False) if value != NOTHING}
    if record.pop("moment", _AT_THE_END) != _AT_THE_END:
        record.pop("duration", None)
    return record


@dataclass(frozen=True)
class Refusal:
    """Why somebody was refused: a stable code, and the rule that decided, if one did."""

    code: str
    rule_id: str | None = None


def refusal(record: Record) -> Refusal | None:
    """Why a request was refused by us; None when it was not. What a member refuses is its own affair."""
    _, found, rest = record.get("details", "").partition("rbac_access_denied_matched_policy[")
    code, _, rule_id = rest.removesuffix("]").partition(":")
    return Refusal(code, rule_id or None) if found else None


@dataclass(frozen=True)
class Rehearsal:
    """What would become of a request if what is rehearsed were in force: a code, and the rule that would decide, if one would.

    `is_whole` where all of a listener is rehearsed, and not rules of it only: then the certificate was let through unverified.
    """

    code: str
    rule_id: str | None
    is_whole: bool

    @property
    def is_refusal(self) -> bool:
        """Whether the request would be refused."""
        return self.code not in _SERVED

    @property
    def is_unverified(self) -> bool:
        """Whether a certificate was shown that the handshake would refuse: whatever it says of its holder is a mere claim."""
        return self.code == words.UNVERIFIED


_SERVED: Final = (words.ALLOWED, words.EXEMPT)


def rehearsal(record: Record) -> Rehearsal | None:
    """What would become of a request: by the first filter that would refuse it, or by the last; None where nothing is rehearsed.

    The handshake comes before all filters, though only the last of them tells that it would fail.
    """
    told = record.get("rehearsed")
    if told is None:
        return None
    *before, last = (part.partition(":") for part in told.split(_PARTS))
    found = [part for part in (*before, last) if part[0] not in (*_SERVED, NOTHING, "")]
    code, _, rule_id = last if last[0] == words.UNVERIFIED else next(iter(found), last)
    return Rehearsal(words.ALLOWED if code in (NOTHING, "") else code, rule_id or None, is_whole=bool(before))
