"""The revocation lists that a gateway holds, read from what it keeps on disk: they may be newer than a restored database's."""

import base64
import contextlib

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf.message import DecodeError

from ostiary.envoy.resources import SECRET
from ostiary.gateway.last_good import LastGood
from ostiary.paths import Paths


def known_lists(paths: Paths) -> tuple[bytes, ...]:
    """All of them, DER, each once; none where there is no gateway, or nothing of it that can be read (which is logged)."""
    if not (paths.last_good.exists() and paths.gateway_key.exists()):
        return ()
    kept = LastGood(paths.last_good, paths.gateway_key).load()
    if kept is None:
        return ()
    found: dict[bytes, None] = {}
    for resource in (*kept.wanted, *kept.good):
        if resource.type_url == SECRET:
            found |= dict.fromkeys(_lists(resource.body))
    return tuple(found)


def _lists(body: bytes) -> tuple[bytes, ...]:
    try:
        held = secret_pb2.Secret.FromString(body)
    except DecodeError:
        return ()
    found = []
    for block in held.validation_context.crl.inline_string.split("-----BEGIN X509 CRL-----")[1:]:
        with contextlib.suppress(ValueError):  # nobody could read it, and no engine would have taken it
            found.append(base64.b64decode(block.partition("-----END")[0]))
    return tuple(found)
