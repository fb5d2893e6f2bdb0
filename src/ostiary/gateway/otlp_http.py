"""The access record to an OpenTelemetry collector: OTLP over HTTP, as protobuf, each batch acknowledged."""

import gzip
import http.client
import math
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from google.protobuf import message

from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.gateway import otlp, terms
from ostiary.gateway.sending import PATIENCE, Failed, Sent, content, trust, why
from ostiary.recording import Target

_LARGEST_ANSWER: Final = 64 * 1024
_LONGEST_WAIT: Final = 300.0  # seconds that a collector may ask us to wait
_NANOSECONDS: Final = 1_000_000_000
_INFO, _WARN, _ERROR = (9, b"INFO"), (13, b"WARN"), (17, b"ERROR")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}): *([\t -~]{1,8192})")
_OURS: Final = frozenset({"host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection"})
# What is wrong is this batch, and would be again. For all else the specification would have us drop it too (OTLP 1.10, 4.2);
# but a token that has run out, or a path that is mistyped, is mended by people, and until then the record waits.
_NEVER: Final = frozenset({400, 413, 422})


def headers(file: Path | None) -> dict[str, str]:
    """What a file says to send: `Name: value` a line; `#` begins a comment. Raises `Invalid` without quoting it: it is secret."""
    found: dict[str, str] = {}
    lines = content(file).decode("utf-8", "replace").splitlines() if file is not None else []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _HEADER.fullmatch(line.strip())
        if match is None or match[1].lower() in _OURS:
            raise Invalid("--access-log-export", f"line {number} of {file} is no header such as `Authorization: Bearer …`")
        found[match[1]] = match[2]
    return found


def encoded(entries: Sequence[Sent], gateway_id: str) -> bytes:
    """An export request."""
    request = otlp.ExportLogsServiceRequest()
    logs = request.resource_logs.add()
    for name, value in (
        ("service.name", "ostiary"),
        ("service.version", version("ostiary")),
        ("service.instance.id", gateway_id),
    ):
        _put(logs.resource.attributes, name, value)
    scope = logs.scope_logs.add()
    scope.scope.name = b"ostiary.access"
    for entry in entries:
        record = scope.log_records.add()
        record.time_unix_nano = _nanoseconds(entry.get(terms.TIMESTAMP))
        record.event_name = _octets(entry.get(terms.EVENT_NAME, ""))
        record.severity_number, record.severity_text = _severity(entry)
        record.body.string_value = _octets(_words(entry))
        for name, value in entry.items():
            if name not in {terms.TIMESTAMP, terms.EVENT_NAME}:
                _put(record.attributes, name, value)
    return bytes(request.SerializeToString())


class Posts:
    """To one collector, on a connection that is kept while it holds."""

    def __init__(self, target: Target, gateway_id: str) -> None:
        self._target = target
        self._gateway_id = gateway_id
        self._connection: http.client.HTTPConnection | None = None
        self._headers: dict[str, str] = {}

    def send(self, entries: Sequence[Sent]) -> int:
        """See `Sender`. Of a batch that the collector will never take, each half is tried, so that one entry spoils no other."""
        status, answer, again_in = self._post(gzip.compress(encoded(entries, self._gateway_id), 1, mtime=0))
        if 200 <= status < 300:
            return min(_rejected(answer), len(entries))
        if status not in _NEVER:
            self.close()  # the next time with whatever the files say by then
            raise Failed(f"it answered with status {status}", again_in)
        if len(entries) == 1:
            return 1
        half = len(entries) // 2
        return self.send(entries[:half]) + self.send(entries[half:])

    def close(self) -> None:
        """See `Sender`."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _post(self, body: bytes) -> tuple[int, bytes, float | None]:
        if self._connection is not None:
            try:
                return self._asked(self._connection, body)
            except (OSError, http.client.HTTPException):
                self.close()  # nothing came for so long that they hung up; that is no failure yet
        try:
            self._connection = self._opened()
            return self._asked(self._connection, body)
        except (OSError, http.client.HTTPException) as err:
            self.close()
            raise Failed(why(err)) from None

    def _asked(self, to: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes, float | None]:
        to.request("POST", self._target.path, body, self._headers)
        answer = to.getresponse()
        read = answer.read(_LARGEST_ANSWER)
        if not answer.isclosed():
            self.close()  # there is more, of no interest
        return answer.status, read, _again_in(answer.getheader("Retry-After"))

    def _opened(self) -> http.client.HTTPConnection:
        target = self._target
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
            "User-Agent": f"ostiary/{version('ostiary')}",
            **headers(target.headers_file),
        }
        context: ssl.SSLContext | None = trust(target)
        if context is None:
            return http.client.HTTPConnection(target.host, target.port, timeout=PATIENCE)
        return http.client.HTTPSConnection(target.host, target.port, timeout=PATIENCE, context=context)


def _rejected(answer: bytes) -> int:
    try:
        return max(0, int(otlp.ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records))
    except message.DecodeError:
        return 0  # it said 200


def _again_in(said: str | None) -> float | None:
    """What Retry-After says, as far as we go along with it."""
    if said is None:
        return None
    try:
        seconds = float(said) if said.strip().isdecimal() else (parsedate_to_datetime(said) - now()).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _severity(entry: Sent) -> tuple[int, bytes]:
    if entry.get(terms.EVENT_NAME) == terms.EVENTS["lost"]:
        return _ERROR
    return _WARN if entry.get(terms.VERDICT) == "refused" else _INFO


def _words(entry: Sent) -> str:
    """For people who look at a list of records."""
    what = str(entry.get(terms.EVENT_NAME, "")).removeprefix("ostiary.")
    return " ".join(str(one) for one in (what, entry.get(terms.VERDICT), entry.get(terms.REASON)) if one)


def _nanoseconds(at: Any) -> int:
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC) - datetime.fromtimestamp(0, UTC)
    except (TypeError, ValueError, OverflowError):
        return 0
    return max(0, (moment.days * 86_400 + moment.seconds) * _NANOSECONDS + moment.microseconds * 1000)


def _put(attributes: Any, name: str, value: Any) -> None:
    pair = attributes.add(key=_octets(name))
    if isinstance(value, bool):
        pair.value.bool_value = value
    elif isinstance(value, int) and abs(value) < 2**63:
        pair.value.int_value = value
    elif isinstance(value, float) and math.isfinite(value):
        pair.value.double_value = value
    else:
        pair.value.string_value = _octets(value)


def _octets(text: Any) -> bytes:
    return str(text).encode("utf-8", "backslashreplace")  # the record is ours, but a file can be damaged
