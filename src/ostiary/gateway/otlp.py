"""OpenTelemetry's log records as they come from Envoy, in a way that no client can make unreadable.

Protobuf refuses a whole message for one text that is not UTF-8, and Envoy copies what clients show byte for byte: one certificate
with a strange name, or one ClientHello, would hide all that is told together with it. So texts are read as the bytes they are.
"""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from ostiary.errors import Invalid

SERVICE: Final = "opentelemetry.proto.collector.logs.v1.LogsService"
METHOD: Final = "Export"


def read(data: bytes) -> Iterator[tuple[dict[str, str], list[tuple[int, str]]]]:
    """What an export request holds: attributes of a source, and its lines, each with the time (ns since 1970) it is about.

    What is no UTF-8 is shown by its octets, in hexadecimal. Raises `Invalid` for anything that is no export request.
    """
    try:
        request = _REQUEST.FromString(data)
    except message.DecodeError as err:
        raise Invalid("access log", "not an export of log records") from err
    for source in request.resource_logs:
        about = {_text(one.key): _text(one.value.string_value) for one in source.resource.attributes}
        records = (record for scope in source.scope_logs for record in scope.log_records)
        yield about, [(record.time_unix_nano, _text(record.body.string_value)) for record in records]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _with_bytes_for_texts() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2, logs_service_pb2):  # what is used before what uses it
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for kind in file.message_type:
            for field in kind.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
        pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR.full_name)
    )


_REQUEST: Final = _with_bytes_for_texts()
