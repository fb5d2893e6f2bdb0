"""Envoy is asked to tell of every request and every connection, in a file that the keeper beside it reads.

Requests are told by the HTTP manager, at their end, every few seconds of a long one, and as soon as it is a WebSocket;
connections by the listener, at their end: only the latter knows why a handshake failed. A listener's message cannot change
without closing its connections, so what is told there hangs on no setting.
"""

from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2

from ostiary.envoy import access, names, noted, records, wire
from ostiary.model.listener import Listener

_Format: Final = substitution_format_string_pb2.SubstitutionFormatString


def of_connections(listener_id: str, *, is_tls: bool) -> Any:
    """What is told of a listener's connections (AccessLog). The same whatever its settings."""
    return _access_log(wire.json_list(records.CONNECTION_FORM, records.connection_list(listener_id, is_tls=is_tls)))


def of_requests(listener: Listener) -> Any:
    """What is told of a listener's requests (AccessLog)."""
    fields = records.FIELDS["request"] | {"trust_revision": str(listener.trust_revision)}
    if listener.id in names.HOUSE:
        fields |= {"path": records.NOTHING}  # it may hold a secret, which is good for a certificate, or signs in
    if listener.client_authentication == "NONE":
        return _text(records.request_line(listener.id, fields.values(), records.NO_HOLDER))
    whole = listener.client_authentication == "REHEARSAL"
    fields |= {"rehearsed": access.told_of_rehearsals(whole=whole)}
    fields |= {"certificate": noted.told(noted.PEM) if whole else records.NOTHING}
    line = records.request_line(listener.id, fields.values(), noted.told(noted.HOLDER))
    return _text(line.replace(records.CONNECTION, noted.told(noted.CONNECTION), 1))


def _text(line: str) -> Any:
    form = _Format()
    form.text_format_source.inline_string = line
    return _access_log(form)


def _access_log(form: Any) -> Any:
    config = file_pb2.FileAccessLog(path=records.FEED, log_format=form)
    return accesslog_pb2.AccessLog(name="envoy.access_loggers.file", typed_config=wire.packed(config))
