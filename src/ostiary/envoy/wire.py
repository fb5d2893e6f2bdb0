"""Small words for building Envoy's protobuf messages: durations, switches, extensions, and where to ask for the rest."""

from collections.abc import Iterable
from typing import Any, Final, cast

from envoy.config.core.v3 import config_source_pb2, extension_pb2, substitution_format_string_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2
from xds.core.v3 import extension_pb2 as xds_extension_pb2

UNLIMITED: Final = 2**32 - 1
# Issuers allowed from a certificate up to its anchor. Real chains have one to three; BoringSSL's own limit of 100 would
# let a stranger make us check 100 signatures per handshake.
MAX_ISSUERS: Final = 10


def packed(message: Any) -> Any:
    """The message as an Any, with deterministic bytes, so that equal content has equal versions."""
    wrapped = any_pb2.Any()
    wrapped.Pack(message, deterministic=True)
    return wrapped


def packed_octets(kind: Any, octets: bytes) -> Any:
    """The same of a message of this kind that is in its final form already."""
    return any_pb2.Any(type_url=f"type.googleapis.com/{kind.DESCRIPTOR.full_name}", value=octets)


def extension(name: str, message: Any) -> Any:
    """A typed extension (envoy.config.core.v3.TypedExtensionConfig)."""
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(message))


def xds_extension(name: str, message: Any) -> Any:
    """The same in the terms of xDS matchers, which have a message of their own for it."""
    return cast("Any", xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(message)))


def milliseconds(number: int) -> Any:
    """A duration."""
    return duration_pb2.Duration(seconds=number // 1000, nanos=number % 1000 * 1_000_000)


def seconds(number: int) -> Any:
    """A duration."""
    return duration_pb2.Duration(seconds=number)


def number(value: int) -> Any:
    """A number that may be left out (UInt32Value)."""
    return wrappers_pb2.UInt32Value(value=value)


def flag(value: bool) -> Any:  # noqa: FBT001 (it wraps a boolean)
    """A switch that may be left out (BoolValue)."""
    return wrappers_pb2.BoolValue(value=value)


def ads() -> Any:
    """Ask over the one ADS stream, and wait as long as it takes.

    Without the zero, Envoy goes on after 15 s without an answer: it would, for one, bind a port whose certificates never came.
    """
    return config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(),
        resource_api_version=config_source_pb2.V3,
        initial_fetch_timeout=duration_pb2.Duration(),
    )


def json_list(name: str, formats: Iterable[str]) -> Any:
    """What each of these formats gives, in JSON: a list under this name (SubstitutionFormatString)."""
    form = substitution_format_string_pb2.SubstitutionFormatString()
    form.json_format.get_or_create_list(name).extend(formats)
    return form


def secret(name: str) -> Any:
    """A secret by name, over SDS (SdsSecretConfig)."""
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads())


def field(number: int, message: Any) -> bytes:
    """A field that holds a message, as it travels (tag of wire type 2, length, content): for fields that xds-protos lacks."""
    return content(number, message.SerializeToString(deterministic=True))


def content(number: int, octets: bytes) -> bytes:
    """The same of what is in its final form already: a text, or a message."""
    return _varint(number << 3 | 2) + _varint(len(octets)) + octets


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
