"""TLS settings common to both sides of the gateway: versions, cipher suites, groups, certificates and trust by SDS."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from ostiary.envoy import wire
from ostiary.model.tls import TLS12_CIPHERS, Identity, TLSVersion, Trust

_VERSIONS: Final = {
    "TLSv1.2": common_pb2.TlsParameters.TLSv1_2,
    "TLSv1.3": common_pb2.TlsParameters.TLSv1_3,
}

# Forward secrecy and authenticated encryption only. Within brackets the client's order counts: AES without
# hardware help is slow, and only the client knows whether it has that help.
DEFAULT_CIPHERS: Final = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)

# The hybrid group first: what is recorded today stays closed to a quantum computer later.
GROUPS: Final = ("X25519MLKEM768", "X25519", "P-256", "P-384")

# What either side may sign a handshake with. BoringSSL by itself leaves Ed25519 and P-521 out, so that their holders could
# not get in.
SIGNATURES: Final = (
    "ecdsa_secp256r1_sha256",
    "ed25519",
    "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256",
    "ecdsa_secp384r1_sha384",
    "rsa_pss_rsae_sha384",
    "rsa_pkcs1_sha384",
    "ecdsa_secp521r1_sha512",
    "rsa_pss_rsae_sha512",
    "rsa_pkcs1_sha512",
)


def parameters(versions: Iterable[TLSVersion], ciphers: str | None) -> Any:
    """TlsParameters. TLS 1.3 suites cannot be chosen in BoringSSL, so their names, which the model allows, are left out."""
    spoken = sorted(_VERSIONS[version] for version in versions)
    chosen = [name for name in ciphers.split(":") if name in TLS12_CIPHERS] if ciphers else DEFAULT_CIPHERS
    return common_pb2.TlsParameters(
        tls_minimum_protocol_version=spoken[0],
        tls_maximum_protocol_version=spoken[-1],
        cipher_suites=chosen,
        ecdh_curves=GROUPS,
        signature_algorithms=SIGNATURES,
    )


def common(parameters: Any, alpn: Sequence[str], identities: Sequence[Identity], trust: Trust | None) -> Any:
    """CommonTlsContext. Of several identities, BoringSSL takes the one that names the server asked for, else the first."""
    context = tls_pb2.CommonTlsContext(
        tls_params=parameters,
        alpn_protocols=alpn,
        tls_certificate_sds_secret_configs=[wire.secret(identity.name) for identity in identities],
    )
    if trust is not None:
        context.validation_context_sds_secret_config.CopyFrom(wire.secret(trust.name))
    return context
