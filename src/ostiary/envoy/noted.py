"""What is noted of a client certificate once, after the handshake, for every request of the connection: where no header reaches.

To write it anew for each request costs more than to look it up and tell of it (docs/decisions/0008-who-is-seen.md).
"""

from typing import Any, Final

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2

from ostiary.envoy import wire

FINGERPRINT: Final = "ostiary.fingerprint"
DETAILS: Final = "ostiary.certificate"

# Of set_filter_state's Config, and not in xds-protos 1.85: on_downstream_tls_handshake (Envoy 1.40). Protobuf never gives a
# number to another field.
_AFTER_THE_HANDSHAKE: Final = 2


def noted(details: str) -> Any:
    """Keep the fingerprint (SHA-256, lower-case hex), if a certificate was shown, and `details`, a format (SetFilterState)."""
    config = set_filter_state_pb2.Config()
    fingerprint = _value(FINGERPRINT, "%DOWNSTREAM_PEER_FINGERPRINT_256%", nothing=False)
    for value in (fingerprint, _value(DETAILS, details, nothing=True)):
        config.MergeFromString(wire.field(_AFTER_THE_HANDSHAKE, value))
    return config


def told(key: str) -> str:
    """How the access log asks for what was noted."""
    return f"%FILTER_STATE({key}:PLAIN)%"


def _value(key: str, text: str, *, nothing: bool) -> Any:
    """`nothing` is whether it is noted also where there is no certificate."""
    form = substitution_format_string_pb2.SubstitutionFormatString(omit_empty_values=not nothing)
    form.text_format_source.inline_string = text
    return value_pb2.FilterStateValue(object_key=key, factory_key="envoy.string", format_string=form, skip_if_empty=not nothing)
