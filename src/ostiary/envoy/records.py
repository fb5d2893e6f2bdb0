"""The records in which Envoy tells of every request and every connection: which fields they have, and how to read them.

A record is one line of a file that Envoy appends to (docs/decisions/0036-records-through-a-file.md). Of a request it is text,
its fields set apart by a character that none of them can hold; what can hold anything, because it stands in a certificate, is
within a list in JSON, which Envoy writes once a connection. Of a connection all of it is such a list. The keeper reads them, and
loads for it no more than this.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from ostiary.access import words
from ostiary.errors import Invalid

FEED: Final = "feed/records"
"""The file they go to, from where an Envoy was started: so that who hands out configuration need not know where that was."""

Kind = Literal["request", "connection"]
Record = dict[str, str]

# A control character: Envoy takes none in headers, and what else clients write stands in JSON, where there are none either.
BETWEEN: Final = "\x1f"
_PARTS: Final = "|"  # between what several filters would have decided (`access.told_of_rehearsals`)
NOTHING: Final = "-"  # Envoy's word for what there is not

# Of requests and connections; who reads a record of another form says so, and does not guess.
REQUEST_FORM: Final = "request 1"
CONNECTION_FORM: Final = "connection 1"
HOLDER_FORM: Final = "holder 1"

BEGAN: Final = "%START_TIME(%s%9f)%"  # ns since 1970
CONNECTION_ID: Final = "%CONNECTION_ID%"

OURS: Final = {
    "connection": CONNECTION_ID,
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
_SNI: Final = {"sni": "%REQUESTED_SERVER_NAME%"}
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
    "method": "%REQ(:METHOD):32%",
    "authority": "%REQ(:AUTHORITY):256%",
    "path": "%PATH(NQ:ORIG_OR_PATH):512%",  # without the query, which may hold secrets
    "user_agent": "%REQ(USER-AGENT):256%",
}
_OF_A_CONNECTION: Final = {
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "not_before": "%DOWNSTREAM_PEER_CERT_V_START%",
    "certificate": "%DOWNSTREAM_PEER_CERT%",  # PEM, percent-encoded; here only, as it is long
}

_AT_THE_END: Final = "DownstreamEnd"

# What is the same for all requests of a connection is noted once and copied, for to write each of these fields anew takes Envoy
# 0.2 to 0.5 µs a request (docs/decisions/0028-what-a-request-costs.md): these as they stand in a record, and the holder.
CONNECTION: Final = BETWEEN.join(list(OURS.values())[:4])
# Of who holds the certificate, and what was asked for in the handshake.
HOLDER: Final = _FINGERPRINT | CERTIFICATE | THEIR_NAMES | _SNI

FIELDS: Final[dict[Kind, dict[str, str]]] = {
    "request": OURS | REQUEST | dict.fromkeys(REHEARSAL, NOTHING) | THEIR_REQUEST,  # and a holder
    "connection": OURS | _OF_A_CONNECTION | HOLDER,
}
_NAMES: Final = {kind: tuple(fields) for kind, fields in FIELDS.items()}
_HOLDER_NAMES: Final = tuple(HOLDER)
_CACHED: Final = 4096  # characters of a holder that is remembered; clients choose how many names they have


@dataclass(frozen=True)
class Told:
    """What a line tells: `began` in ns since 1970, and what there was, by field. `is_tls`: a connection that has to begin so."""

    kind: Kind
    listener_id: str
    began: int
    record: Record
    is_tls: bool = False


def request_line(listener_id: str, fields: Iterable[str], holder: str) -> str:
    """The format of a request's record. When it began stands before everything that is about it, and again behind that.

    A disk that is full for a while leaves halves of lines; two that became one must not pass for a record.
    """
    return BETWEEN.join((REQUEST_FORM, BEGAN, listener_id, *fields, BEGAN, holder)) + "\n"


def connection_list(listener_id: str, *, is_tls: bool) -> list[str]:
    """The same of a connection's record, whose fields are a list under the name of its form."""
    return [BEGAN, listener_id, "tls" if is_tls else NOTHING, *FIELDS["connection"].values(), BEGAN]


def holder_list() -> list[str]:
    """The same of a holder, under the name of its form."""
    return [*HOLDER.values(), CONNECTION_ID]


# The holder where no certificate is asked for; of the name that a client asks for, Envoy lets letters, digits, - and . through.
NO_HOLDER: Final = json.dumps(
    {HOLDER_FORM: [*([None] * (len(HOLDER) - 1)), *_SNI.values(), CONNECTION_ID]}, separators=(",", ":")
)


def read(line: bytes) -> Told:
    """What a line says, without its end; what there was nothing of is left out. A request that goes on has no duration yet.

    What is no UTF-8 is shown by its octets, in hexadecimal. Raises `Invalid` for what is no record of these forms.
    """
    text = line.decode("utf-8", "backslashreplace")
    return _connection(text) if text.startswith("{") else _request(text)


def _request(text: str) -> Told:
    form, *parts = text.split(BETWEEN)
    if form != REQUEST_FORM or len(parts) != len(_NAMES["request"]) + 4 or parts[0] != parts[-2]:
        raise Invalid("record", "not of a form that we know, or not whole")
    began, listener_id, *values = parts[:-2]
    record = {name: value for name, value in zip(_NAMES["request"], values, strict=True) if value != NOTHING}
    holder = parts[-1]
    if holder != NOTHING:
        its, connection = (_remembered_holder if len(holder) <= _CACHED else _holder)(holder)
        if connection != values[0]:
            raise Invalid("record", "made of two")
        record |= its
    if record.pop("moment", _AT_THE_END) != _AT_THE_END:
        record.pop("duration", None)
    return Told("request", listener_id, _number(began), record)


def _connection(text: str) -> Told:
    began, listener_id, tls, *values, again = _list(text, CONNECTION_FORM, len(_NAMES["connection"]) + 4)
    if again != began:
        raise Invalid("record", "made of two")
    return Told("connection", listener_id, _number(began), _record(_NAMES["connection"], values), is_tls=tls == "tls")


def _holder(text: str) -> tuple[Record, str]:
    *values, connection = _list(text, HOLDER_FORM, len(_HOLDER_NAMES) + 1)
    return _record(_HOLDER_NAMES, values), connection


_remembered_holder: Final = lru_cache(1024)(_holder)


def _record(names: tuple[str, ...], values: list[str]) -> Record:
    return {name: value for name, value in zip(names, values, strict=True) if value != NOTHING}


def _list(text: str, form: str, length: int) -> list[str]:
    try:
        found: Any = json.loads(_ESCAPES.sub(_octets, text) if _OCTET in text else text)
    except ValueError as err:
        raise Invalid("record", "no JSON") from err
    values = found.get(form) if isinstance(found, dict) and len(found) == 1 else None
    if not isinstance(values, list) or len(values) != length:
        raise Invalid("record", "not of a form that we know, or not whole")
    return [NOTHING if value is None else str(value) for value in values]


# In a text that is no UTF-8, Envoy escapes each octet that is not ASCII as if it were a character; in one that is, it escapes
# none of these characters.
_OCTET: Final = "\\u00"
_ESCAPES: Final = re.compile(r"((?:\\u00[89a-f][0-9a-f])+)|\\.", re.DOTALL)


def _octets(found: re.Match[str]) -> str:
    if not found[1]:
        return found[0]
    meant = bytes.fromhex(found[1].replace(_OCTET, ""))
    return json.dumps(meant.decode("utf-8", "backslashreplace"))[1:-1]


def _number(text: str) -> int:
    if not text.isdecimal():
        raise Invalid("record", "without a time")
    return int(text)


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
