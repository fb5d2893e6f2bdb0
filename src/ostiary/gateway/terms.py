"""The words of the access record: what Envoy tells, and we, in the names of OpenTelemetry's semantic conventions.

Here alone names are given (docs/access-record.md lists them, and a test compares). What the conventions have no name for is
`ostiary.…`. Attributes stay flat, with dots in their names, as OpenTelemetry has them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from ostiary.envoy import records
from ostiary.envoy.failures import TLS_FAILED

Entry = Mapping[str, Any]
"""What the keeper hands to its journal, in the names of `envoy.records` and a few of its own."""

LONGEST: Final = 1024  # characters of any one text but a certificate, which may have hundreds of names
BAD_REQUEST: Final = "bad_request"
"""The reason where Envoy itself turned a request down before anything was judged: it could not be read as one."""

OVERLOADED: Final = "overloaded"
"""The reason where the gateway had too much to do: it took no more requests, or ended one that held much memory."""

Type = Literal["time", "text", "number", "seconds", "yes or no"]

TIMESTAMP: Final = "timestamp"
EVENT_NAME: Final = "event_name"
VERDICT: Final = "ostiary.verdict"
REASON: Final = "ostiary.reason"
GATEWAY: Final = "ostiary.gateway.id"
CERTIFICATE: Final = "tls.client.certificate"
SHORTENED: Final = "ostiary.shortened"
UID: Final = "log.record.uid"

# Every name there is, with what kind of value it has. The first two are fields of OpenTelemetry's log record itself.
TYPES: Final[Mapping[str, Type]] = {
    TIMESTAMP: "time",
    EVENT_NAME: "text",
    VERDICT: "text",
    REASON: "text",
    GATEWAY: "text",
    "ostiary.listener.id": "text",
    "ostiary.rule.id": "text",
    "ostiary.trust.revision": "number",
    "client.address": "text",
    "client.port": "number",
    "network.local.address": "text",
    "network.local.port": "number",
    "network.protocol.name": "text",
    "network.protocol.version": "text",
    "server.address": "text",
    "server.port": "number",
    "http.request.method": "text",
    "http.request.method_original": "text",
    "http.response.status_code": "number",
    "url.path": "text",
    "user_agent.original": "text",
    "tls.established": "yes or no",
    "tls.protocol.name": "text",
    "tls.protocol.version": "text",
    "tls.client.hash.sha256": "text",
    "tls.client.subject": "text",
    "tls.client.issuer": "text",
    "tls.client.not_before": "time",
    "tls.client.not_after": "time",
    CERTIFICATE: "text",
    "ostiary.certificate.serial_number": "text",
    "ostiary.certificate.issuer.sha256": "text",
    "ostiary.certificate.san.uri": "text",
    "ostiary.certificate.san.dns": "text",
    "ostiary.certificate.san.email": "text",
    "ostiary.certificate.san.ip": "text",
    "ostiary.tls.server_name": "text",
    "ostiary.tls.failure": "text",
    "ostiary.connection.id": "text",
    "ostiary.duration": "seconds",
    "ostiary.envoy.response_code_details": "text",
    "ostiary.envoy.response_flags": "text",
    "ostiary.rehearsal.verdict": "text",
    "ostiary.rehearsal.reason": "text",
    "ostiary.rehearsal.rule.id": "text",
    "ostiary.count": "number",
    "ostiary.until": "time",
    "ostiary.lost.count": "number",
    "ostiary.lost.reason": "text",
    SHORTENED: "yes or no",
    UID: "text",
}

EVENTS: Final[Mapping[str, str]] = {
    "request": "ostiary.request",
    "connection": "ostiary.connection",
    "cut": "ostiary.stream.cut",
    "lost": "ostiary.lost",
}

_AS_IT_IS: Final[Mapping[str, str]] = {
    "listener": "ostiary.listener.id",
    "rule": "ostiary.rule.id",
    "client": "client.address",
    "path": "url.path",
    "user_agent": "user_agent.original",
    "subject": "tls.client.subject",
    "issuer": "tls.client.issuer",
    "not_before": "tls.client.not_before",
    "not_after": "tls.client.not_after",
    "serial": "ostiary.certificate.serial_number",
    "san_uri": "ostiary.certificate.san.uri",
    "san_dns": "ostiary.certificate.san.dns",
    "san_email": "ostiary.certificate.san.email",
    "san_ip": "ostiary.certificate.san.ip",
    "sni": "ostiary.tls.server_name",
    "failure": "ostiary.tls.failure",
    "connection": "ostiary.connection.id",
    "details": "ostiary.envoy.response_code_details",
    "flags": "ostiary.envoy.response_flags",
    "why": "ostiary.lost.reason",
}
_WHOLE: Final[Mapping[str, str]] = {
    "ended": REASON,
    "certificate": CERTIFICATE,
    "count": "ostiary.count",
    "until": "ostiary.until",
    "lost": "ostiary.lost.count",
}
_NUMBERS: Final[Mapping[str, str]] = {
    "client_port": "client.port",
    "status": "http.response.status_code",
    "trust_revision": "ostiary.trust.revision",
}
# The conventions have fingerprints in capitals.
_FINGERPRINTS: Final[Mapping[str, str]] = {
    "fingerprint": "tls.client.hash.sha256",
    "issuer_fingerprint": "ostiary.certificate.issuer.sha256",
}
# RFC 9110 and RFC 5789; any other is `_OTHER` there, with what it was beside it.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


def told(entry: Entry, gateway_id: str) -> dict[str, Any]:
    """An entry in the words of the record."""
    said: dict[str, Any] = {TIMESTAMP: entry["at"], EVENT_NAME: EVENTS[entry["kind"]]}
    if entry["kind"] != "lost":
        said |= {VERDICT: "refused", REASON: entry["refused"]} if "refused" in entry else {VERDICT: "admitted"}
    said[GATEWAY] = gateway_id
    for field, value in entry.items():
        if (name := _AS_IT_IS.get(field)) is not None:
            said[name] = value[:LONGEST]
        elif (name := _WHOLE.get(field)) is not None:
            said[name] = value
        elif (name := _NUMBERS.get(field)) is not None:
            if value.isdecimal():
                said[name] = int(value)
        elif (name := _FINGERPRINTS.get(field)) is not None:
            said[name] = value.upper()
        elif (known := _IN_PARTS.get(field)) is not None:
            said |= known(value)
    if entry["kind"] == "connection" and ("tls" in entry or "refused" in entry):
        said["tls.established"] = "refused" not in entry
    return said


def _duration(milliseconds: str) -> dict[str, Any]:
    return {"ostiary.duration": int(milliseconds) / 1000} if milliseconds.isdecimal() else {}


def _local(place: str) -> dict[str, Any]:
    return _place(place, "network.local")


def _authority(place: str) -> dict[str, Any]:
    return _place(place[:LONGEST], "server")


def _place(place: str, what: str) -> dict[str, Any]:
    host, colon, port = place.rpartition(":")
    if not colon or not (port.isdecimal() and port.isascii() and len(port) <= len("65535")) or (":" in host and host[0] != "["):
        return {f"{what}.address": place}
    return {f"{what}.address": host.removeprefix("[").removesuffix("]"), f"{what}.port": int(port)}


def _method(method: str) -> dict[str, Any]:
    if method in _METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method[:LONGEST]}


def _protocol(protocol: str) -> dict[str, Any]:
    """`HTTP/1.1`, `HTTP/2`."""
    name, _, version = protocol.partition("/")
    return {"network.protocol.name": name.lower(), **({"network.protocol.version": version} if version else {})}


def _tls(version: str) -> dict[str, Any]:
    """`TLSv1.3`."""
    name, _, number = version.partition("v")
    return {"tls.protocol.name": name.lower(), **({"tls.protocol.version": number} if number else {})}


def _rehearsed(told_of: str) -> dict[str, Any]:
    found = records.rehearsal({"rehearsed": told_of})
    if found is None:
        return {}
    refused = {"ostiary.rehearsal.reason": found.code} if found.is_refusal else {}
    rule = {"ostiary.rehearsal.rule.id": found.rule_id} if found.rule_id else {}
    return {"ostiary.rehearsal.verdict": "refused" if found.is_refusal else "admitted", **refused, **rule}


_IN_PARTS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "duration": _duration,
    "local": _local,
    "authority": _authority,
    "method": _method,
    "protocol": _protocol,
    "tls": _tls,
    "rehearsed": _rehearsed,
}

# What Envoy says of requests that it turned down before its filters saw them, though it could read their beginning.
_UNJUDGED: Final = frozenset(
    {
        "absolute_path_rejected",
        "invalid_envoy_request_headers",
        "low_version",
        "missing_host_header",
        "missing_path_rejected",
        "path_normalization_failed",
    }
)


_OVERLOAD: Final = "overload"
_TAKES_NO_MORE: Final = "503"
_RESET: Final = "OM"  # Envoy's flag of a stream that it ended, to be rid of what that held


def ended_early(kind: records.Kind, record: records.Record) -> str | None:
    """The reason where a request that was let in was ended, because it held much memory while there was none to spare."""
    return OVERLOADED if kind == "request" and record.get("details") == _OVERLOAD and _was_judged(record) else None


def _was_judged(record: records.Record) -> bool:
    """Of what an overloaded Envoy ended: whether it had been let in by then. Requests that it does not take get a 503."""
    return record.get("status") != _TAKES_NO_MORE or _RESET in record.get("flags", "").split(",")


def turned_away(kind: records.Kind, record: records.Record, *, is_tls: bool) -> str | None:
    """The reason where Envoy itself ended it before anything could be decided, so that nobody let it in; else None."""
    if kind == "connection":
        return TLS_FAILED if is_tls and not record.keys() & {"tls", "failure"} else None
    if record.get("details") == _OVERLOAD and not _was_judged(record):
        return OVERLOADED
    return None if "method" in record and record.get("details") not in _UNJUDGED else BAD_REQUEST
