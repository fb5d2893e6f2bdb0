"""Revocation lists that end with nobody there to bring newer ones: the listener's owner has chosen what happens then.

The choice stands in the name of the listener's trust, so that a keeper without a control plane can carry it out, and a changed
choice touches nobody else who trusts the same authorities (docs/decisions/0016-lists-that-end.md).
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from google.protobuf.message import DecodeError

from ostiary.envoy.resources import LISTENER, SECRET, Resource, pack

if TYPE_CHECKING:  # a keeper carries the choice out without knowing the model, which takes long to load
    from ostiary.model.listener import Listener
    from ostiary.model.tls import Trust

_ALLOW: Final = "/stale-allow-"
_UNITS: Final = {"h": "hours", "m": "minutes", "s": "seconds"}
_CHOICE: Final = re.compile(rf"{_ALLOW}([0-9]{{1,9}})([hms])\Z")


def named(trust: "Trust", listener: "Listener") -> "Trust":
    """The listener's trust under a name that tells what its owner chose."""
    if listener.stale_revocation == "REFUSE" or not trust.crls:
        return trust
    return trust.model_copy(update={"name": f"{trust.name}{_ALLOW}{listener.stale_allow_hours}h"})


def allowed(name: str) -> timedelta | None:
    """How long clients are let in by lists that have ended, by the name of a trust; None: not at all."""
    chosen = _CHOICE.search(name)
    return timedelta(**{_UNITS[chosen[2]]: int(chosen[1])}) if chosen else None


def lists(resource: Resource) -> str:
    """The revocation lists of a trust, PEM; empty where there are none, and for any other resource."""
    if resource.type_url != SECRET:
        return ""
    try:
        return str(secret_pb2.Secret.FromString(resource.body).validation_context.crl.inline_string)
    except DecodeError:
        return ""  # Envoy will say so.


def timeless(resource: Resource) -> Resource:
    """The same trust, whose lists say who is revoked for as long as they are there.

    Envoy then looks at no time at all, that of the client's certificate included; whoever comes with one that has expired is
    refused by the request instead (`ostiary.envoy.access`).
    """
    secret = secret_pb2.Secret.FromString(resource.body)
    secret.validation_context.allow_expired_certificate = True
    return pack(resource.type_url, resource.name, secret, resource.owners)


def trusted_by(resource: Resource) -> frozenset[str]:
    """The names of what a listener trusts its clients by."""
    if resource.type_url != LISTENER:
        return frozenset()
    try:
        return frozenset(filter(None, _trusts(resource.body)))
    except DecodeError:
        return frozenset()


def _trusts(body: bytes) -> Iterator[str]:
    tls = tls_pb2.DownstreamTlsContext()
    for chain in listener_pb2.Listener.FromString(body).filter_chains:
        if chain.transport_socket.typed_config.Unpack(tls):
            yield tls.common_tls_context.validation_context_sds_secret_config.name
