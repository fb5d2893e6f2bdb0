"""Certificates, keys and trust as Envoy is handed them: by SDS, each once, so that a renewal touches no listener."""

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2

from ostiary.errors import Invalid
from ostiary.model.tls import Identity, Trust

# Intermediates allowed between a certificate and its trust anchor. Real chains have one to three; BoringSSL's own limit of
# 100 lets a stranger make us check 100 signatures per handshake (decisions/0002-client-ca-trust.md).
MAX_INTERMEDIATES = 8


def identity(given: Identity) -> Any:
    """A certificate and its key."""
    return secret_pb2.Secret(
        name=given.name,
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_string=given.certificate_chain),
            private_key=base_pb2.DataSource(inline_bytes=bytes(given.private_key)),
        ),
    )


def trust(given: Trust) -> Any:
    """Who may have signed the other side's certificate.

    Measured in decisions/0002-client-ca-trust.md:

    * every certificate here is an anchor, an intermediate too (Envoy sets X509_V_FLAG_PARTIAL_CHAIN);
    * the purpose is checked: clientAuth of clients, serverAuth of members;
    * with revocation lists, every issuer of the chain up to the anchor needs one in force, or its certificates are refused.
    """
    if not given.certificates.strip():
        raise Invalid("client_ca_tls_container_ref", "holds no CA certificate; against nothing, every certificate would do.")
    context = common_pb2.CertificateValidationContext(
        trusted_ca=base_pb2.DataSource(inline_string=given.certificates),
        trust_chain_verification=common_pb2.CertificateValidationContext.VERIFY_TRUST_CHAIN,
    )
    context.max_verify_depth.value = MAX_INTERMEDIATES
    if given.crls:
        context.crl.inline_string = given.crls
    return secret_pb2.Secret(name=given.name, validation_context=context)
