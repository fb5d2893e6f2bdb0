"""TLS with clients: which certificate we show, and whose certificates we ask for. The door itself."""

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from ostiary.access.policy import may_knock_without
from ostiary.envoy import stale, tls, wire
from ostiary.errors import Invalid
from ostiary.model.desired import DesiredListener
from ostiary.model.tls import Trust


def downstream_tls(desired: DesiredListener) -> Any:
    """The listener's TLS (DownstreamTlsContext as a transport socket)."""
    listener = desired.listener
    if not desired.identities:
        raise Invalid("default_tls_container_ref", "a TERMINATED_HTTPS listener needs a server certificate.")
    trust = client_trust(desired)
    context = tls_pb2.DownstreamTlsContext(
        common_tls_context=tls.common(
            tls.parameters(listener.tls_versions, listener.tls_ciphers), listener.alpn_protocols, desired.identities, trust
        )
    )
    # Said out loud also where it is the default: a fragment or a strange name must not pick another certificate by luck.
    context.full_scan_certs_on_sni_mismatch.value = False
    if trust is not None:
        _demand(context, mandatory=not may_knock_without(desired))
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=wire.packed(context))


def client_trust(desired: DesiredListener) -> Trust | None:
    """Whose client certificates are good; None exactly when none are asked for. Anything in between is refused here."""
    listener, trust = desired.listener, desired.trust
    if listener.client_authentication == "NONE":
        return None
    if not listener.is_tls:
        raise Invalid("client_authentication", f"needs protocol TERMINATED_HTTPS; {listener.protocol} has no certificates.")
    if trust is None or not trust.certificates.strip():
        raise Invalid(
            "client_ca_tls_container_ref",
            f"client_authentication {listener.client_authentication} needs a CA: without one, every certificate would do.",
        )
    if listener.client_crl_container_ref and not trust.crls.strip():
        raise Invalid("client_crl_container_ref", "holds no revocation list.")
    return stale.named(trust, listener)


def _demand(context: Any, *, mandatory: bool) -> None:
    """Ask for a certificate; one that is shown is always verified, whether or not it had to be shown (`Trust.rehearsed`)."""
    context.require_client_certificate.value = mandatory
    # A resumed session skips verification, so a certificate that has expired or was revoked would still get in
    # (seen: TLS 1.2 and 1.3, tickets chain on past notAfter).
    context.disable_stateless_session_resumption = True
    context.disable_stateful_session_resumption = True
