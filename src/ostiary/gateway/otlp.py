"""OpenTelemetry's log records, as they are sent on to collectors.

The few fields that we need are described here by their numbers (opentelemetry-proto 1.x never changes them), not taken from a
package: xds-protos brings an old `opentelemetry.proto` of its own, and which of two is there depends on what was installed last.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "ostiary.otlp"  # a name of ours, so that theirs is not taken

# Message → (field, number, type, repeated); what we neither write nor read is left out, and protobuf skips it.
_SHAPES: Final[dict[str, tuple[tuple[str, int, int | str, bool], ...]]] = {
    "AnyValue": (
        ("string_value", 1, _Field.TYPE_BYTES, False),
        ("bool_value", 2, _Field.TYPE_BOOL, False),
        ("int_value", 3, _Field.TYPE_INT64, False),
        ("double_value", 4, _Field.TYPE_DOUBLE, False),
    ),
    "KeyValue": (("key", 1, _Field.TYPE_BYTES, False), ("value", 2, "AnyValue", False)),
    "Resource": (("attributes", 1, "KeyValue", True),),
    "InstrumentationScope": (("name", 1, _Field.TYPE_BYTES, False), ("version", 2, _Field.TYPE_BYTES, False)),
    "LogRecord": (
        ("time_unix_nano", 1, _Field.TYPE_FIXED64, False),
        ("severity_number", 2, _Field.TYPE_INT32, False),
        ("severity_text", 3, _Field.TYPE_BYTES, False),
        ("body", 5, "AnyValue", False),
        ("attributes", 6, "KeyValue", True),
        ("event_name", 12, _Field.TYPE_BYTES, False),
    ),
    "ScopeLogs": (("scope", 1, "InstrumentationScope", False), ("log_records", 2, "LogRecord", True)),
    "ResourceLogs": (("resource", 1, "Resource", False), ("scope_logs", 2, "ScopeLogs", True)),
    "ExportLogsServiceRequest": (("resource_logs", 1, "ResourceLogs", True),),
    "ExportLogsPartialSuccess": (("rejected_log_records", 1, _Field.TYPE_INT64, False),),
    "ExportLogsServiceResponse": (("partial_success", 1, "ExportLogsPartialSuccess", False),),
}
_ONE_OF: Final = "AnyValue"  # has one of its fields, which counts also when it is 0


def _described() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="ostiary/otlp.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SHAPES.items():
        kind = file.message_type.add(name=name)
        if name == _ONE_OF:
            kind.oneof_decl.add(name="value")
        for field, number, of, repeated in fields:
            added = kind.field.add(name=field, number=number)
            added.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            added.type = _Field.TYPE_MESSAGE if isinstance(of, str) else of
            if isinstance(of, str):
                added.type_name = f".{_PACKAGE}.{of}"
            if name == _ONE_OF:
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = (pool.FindMessageTypeByName(f"{_PACKAGE}.ExportLogsService{name}") for name in ("Request", "Response"))
    request, response = map(message_factory.GetMessageClass, made)
    return request, response


ExportLogsServiceRequest, ExportLogsServiceResponse = _described()
