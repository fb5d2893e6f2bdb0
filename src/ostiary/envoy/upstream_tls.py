"""TLS with members, and the PROXY header that tells them who the client is."""

from typing import Any, Final

from envoy.config.core.v3 import base_pb2, proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from ostiary.envoy import tls, wire
from ostiary.errors import Invalid
from ostiary.model.desired import DesiredPool
from ostiary.model.pool import PoolProtocol
from ostiary.model.tls import Identity, Trust

_PROXY: Final[dict[PoolProtocol, Any]] = {
    "PROXY": proxy_protocol_pb2.ProxyProtocolConfig.V1,
    "PROXYV2": proxy_protocol_pb2.ProxyProtocolConfig.V2,
}


def transport_socket(desired: DesiredPool) -> Any | None:
    """How members are connected to (TransportSocket); None is plain TCP."""
    inner = _tls(desired) if desired.pool.tls_enabled else None
    return _announced(desired, inner)


def asking_tls(desired: DesiredPool) -> Any:
    """TLS for a monitor alone: it asks whether the member answers, not who it is, so nothing is verified."""
    context = tls_pb2.UpstreamTlsContext(
        common_tls_context=tls.common(tls.parameters(desired.pool.tls_versions, desired.pool.tls_ciphers), (), (), None)
    )
    return _announced(desired, _socket("envoy.transport_sockets.tls", context))


def member_identity(desired: DesiredPool) -> Identity | None:
    """The certificate we show to members, if any."""
    pool = desired.pool
    if not pool.tls_enabled:
        return None
    if pool.tls_container_ref and desired.identity is None:
        raise Invalid("tls_container_ref", "holds no certificate with its key.")
    return desired.identity


def member_trust(desired: DesiredPool) -> Trust | None:
    """Who may have signed the members' certificates.

    None: they are not verified at all, only encrypted to, as in Octavia. With a CA every certificate that it signed for a
    server will do: members are known by address, so there is no name to compare.
    """
    pool, trust = desired.pool, desired.trust
    if not pool.tls_enabled:
        return None
    if pool.ca_tls_container_ref and (trust is None or not trust.certificates.strip()):
        raise Invalid("ca_tls_container_ref", "holds no CA certificate; without one, members would not be verified.")
    if pool.crl_container_ref and (trust is None or not trust.crls.strip()):
        raise Invalid("crl_container_ref", "needs ca_tls_container_ref and at least one revocation list.")
    return trust


def _tls(desired: DesiredPool) -> Any:
    pool = desired.pool
    identity = member_identity(desired)
    context = tls_pb2.UpstreamTlsContext(
        common_tls_context=tls.common(
            tls.parameters(pool.tls_versions, pool.tls_ciphers),
            pool.alpn_protocols,
            [identity] if identity else [],
            member_trust(desired),
        )
    )
    return _socket("envoy.transport_sockets.tls", context)


def _announced(desired: DesiredPool, inner: Any | None) -> Any | None:
    """With PROXY, the header goes first, in clear, also before TLS: that is where members look for it."""
    version = _PROXY.get(desired.pool.protocol)
    if version is None:
        return inner
    plain = _socket("envoy.transport_sockets.raw_buffer", raw_buffer_pb2.RawBuffer())
    wrapper = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
        config=proxy_protocol_pb2.ProxyProtocolConfig(version=version), transport_socket=inner or plain
    )
    return _socket("envoy.transport_sockets.upstream_proxy_protocol", wrapper)


def _socket(name: str, config: Any) -> Any:
    return base_pb2.TransportSocket(name=name, typed_config=wire.packed(config))
