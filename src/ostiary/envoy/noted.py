"""What is noted of a client certificate once, after the handshake, for every request of the connection: where no header reaches.

To write it anew for each request costs more than to look it up and tell of it (docs/decisions/0008-who-is-seen.md).
"""

from typing import Any, Final

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2

from ostiary.access.patterns import padded
from ostiary.envoy import wire

FINGERPRINT: Final = "ostiary.fingerprint"
# What records tell of who holds the certificate (`records.HOLDER`).
HOLDER: Final = "ostiary.holder"
NOT_AFTER: Final = "ostiary.not_after"
# The same and the beginning, as the members are told (`identity_headers`): to write a time anew for each request takes Envoy
# 1 to 2 µs, to copy what was written a tenth.
BEGINS: Final = "ostiary.begins"
ENDS: Final = "ostiary.ends"
PEM: Final = "ostiary.pem"
# What records tell of a connection before anything of its certificate (`records.CONNECTION`).
CONNECTION: Final = "ostiary.connection"
# All alternative names in one text, for a first look (`guard`).
NAMES: Final = "ostiary.names"

# Where the texts of `access.conditions.Noted` are kept, and how Envoy writes them.
KEYS: Final = {
    "fingerprint": FINGERPRINT,
    "issuer_fingerprint": "ostiary.issuer_fingerprint",
    "serial": "ostiary.serial",
    "subject": "ostiary.subject",
    "dns": "ostiary.dns",
    "uri": "ostiary.uri",
    "email": "ostiary.email",
    "trust_revision": "ostiary.trust_revision",
}
_FORMATS: Final = {
    "fingerprint": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
    "issuer_fingerprint": "%DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256%",  # of the verified chain, not of what the client sent
    "serial": "%DOWNSTREAM_PEER_SERIAL%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "dns": "%DOWNSTREAM_PEER_DNS_SAN%",
    "uri": "%DOWNSTREAM_PEER_URI_SAN%",
    "email": "%DOWNSTREAM_PEER_EMAIL_SAN%",
}
# Without a certificate there is none of these; a certificate without such a name has an empty text.
_ALWAYS: Final = ("fingerprint", "issuer_fingerprint", "serial")
TIME: Final = "%Y-%m-%dT%H:%M:%SZ"  # as strftime of C knows it
_UNTIL: Final = f"%DOWNSTREAM_PEER_CERT_V_END({TIME})%"

# Of set_filter_state's Config, and not in xds-protos 1.85: on_downstream_tls_handshake (Envoy 1.40). Protobuf never gives a
# number to another field.
_AFTER_THE_HANDSHAKE: Final = 2


def noted(connection: str, holder: Any, trust_revision: int, *, whole: bool = False) -> Any:
    """Keep what rules ask of a certificate, and two formats for the log; the `whole` certificate too (SetFilterState).

    `connection` is a format of text, `holder` a SubstitutionFormatString. `trust_revision` is the listener's: connections that
    were opened under an earlier one are told by it.
    """
    config = set_filter_state_pb2.Config()
    values = [_value(KEYS[name], text, nothing=name not in _ALWAYS) for name, text in _FORMATS.items()]
    values.append(_value(NOT_AFTER, _UNTIL, nothing=False))
    values.append(_value(BEGINS, "%DOWNSTREAM_PEER_CERT_V_START%", nothing=False))
    values.append(_value(ENDS, "%DOWNSTREAM_PEER_CERT_V_END%", nothing=False))
    values.append(_value(KEYS["trust_revision"], padded(trust_revision), nothing=True))
    values.append(_value(NAMES, "|".join(_FORMATS[kind] for kind in ("dns", "uri", "email")), nothing=True))
    values.append(_value(CONNECTION, connection, nothing=True, told=True))
    values.append(_kept(HOLDER, holder, nothing=True))
    if whole:
        values.append(_value(PEM, "%DOWNSTREAM_PEER_CERT%", nothing=False))
    for value in values:
        config.MergeFromString(wire.field(_AFTER_THE_HANDSHAKE, value))
    return config


def told(key: str) -> str:
    """How the access log, or a header, asks for what was noted."""
    return f"%FILTER_STATE({key}:PLAIN)%"


def _value(key: str, text: str, *, nothing: bool, told: bool = False) -> Any:
    """`nothing`: whether it is noted also where there is none, as an empty text or, if it is `told`, as Envoy's word for it."""
    form = substitution_format_string_pb2.SubstitutionFormatString(omit_empty_values=not told)
    form.text_format_source.inline_string = text
    return _kept(key, form, nothing=nothing)


def _kept(key: str, form: Any, *, nothing: bool) -> Any:
    return value_pb2.FilterStateValue(object_key=key, factory_key="envoy.string", format_string=form, skip_if_empty=not nothing)
