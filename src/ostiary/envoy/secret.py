"""Certificates, keys and trust as Envoy is handed them: by SDS, each once, so that a renewal touches no listener.

What Envoy would not load is refused here, before anything is committed. All of it was measured, see
docs/decisions/0002-client-ca-trust.md.
"""

import hashlib
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2

from ostiary.envoy.wire import MAX_ISSUERS
from ostiary.errors import Invalid
from ostiary.kept import Kept
from ostiary.model.fields import Private
from ostiary.model.tls import Identity, Trust

_READ: Final = Kept(4096)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS: Final = 2048


def identity(given: Identity, field: str) -> Any:
    """A certificate and its key. `field` is what to blame when Envoy could not use them."""
    leaf = _certificates(given.certificate_chain, field)[0]
    key = _private_key(given.private_key, field)
    if not _loads(leaf.public_key()):
        raise Invalid(field, "needs an RSA key of 2048 bits or more, an EC key on P-256, P-384 or P-521, or an Ed25519 key.")
    if _spki(key.public_key()) != _spki(leaf.public_key()):
        raise Invalid(field, "the private key does not belong to the first certificate.")
    return secret_pb2.Secret(
        name=given.name,
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_string=given.certificate_chain),
            private_key=base_pb2.DataSource(inline_bytes=bytes(given.private_key)),
        ),
    )


def trust(given: Trust, side: Literal["client_", ""]) -> Any:
    """Who may have signed the other side's certificate. `side` is how the fields to blame begin.

    Every certificate here is an anchor, an intermediate too (Envoy sets X509_V_FLAG_PARTIAL_CHAIN). The purpose is checked:
    clientAuth of clients, serverAuth of members.
    """
    certificates = _certificates(given.certificates, f"{side}ca_tls_container_ref")
    context = common_pb2.CertificateValidationContext(
        trusted_ca=base_pb2.DataSource(inline_string=given.certificates), trust_chain_verification=_VERIFICATION[given.rehearsed]
    )
    context.max_verify_depth.value = MAX_ISSUERS
    if given.crls:
        _revocation(context, given.crls, certificates, side)
    return secret_pb2.Secret(name=given.name, validation_context=context)


# By whether it is rehearsed. Then the routes tell who was verified from who was not (ostiary.envoy.route).
_VERIFICATION: Final = {
    False: common_pb2.CertificateValidationContext.VERIFY_TRUST_CHAIN,
    True: common_pb2.CertificateValidationContext.ACCEPT_UNTRUSTED,
}


def _revocation(context: Any, crls: str, certificates: list[x509.Certificate], side: str) -> None:
    """Check every certificate of a chain against its issuer's list; a list that is missing or out of date refuses.

    BoringSSL asks for a list for each certificate below a self-signed one, the anchor included. An anchor whose own issuer is
    unknown has no such list, so everybody would be refused. For anchors of that kind only the holder's own certificate is
    checked, and to lose nothing by it, nothing may stand in between: the anchor itself must have signed.
    """
    field = f"{side}crl_container_ref"
    _crls(crls, field)
    context.crl.inline_string = crls
    subjects = {certificate.subject for certificate in certificates}
    bare = [certificate for certificate in certificates if certificate.issuer not in subjects]
    if not bare:
        return
    if any(certificate.issuer == certificate.subject for certificate in certificates):
        raise Invalid(
            field,
            f"cannot be checked for {bare[0].subject.rfc4514_string()}: add its own CA with that CA's list, or leave roots out.",
        )
    context.only_verify_leaf_cert_crl = True
    context.max_verify_depth.value = 1


def _certificates(pem: str, field: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise Invalid(field, "holds no PEM certificate that can be read.") from error


def _crls(pem: str, field: str) -> None:
    # BoringSSL skips what it does not know, so a typing error in one of several lists is only seen by reading each.
    end = "-----END X509 CRL-----"
    blocks = [block + end for block in pem.split(end)[:-1]]
    try:
        for block in blocks:
            _read_once(block.encode())
    except ValueError as error:
        raise Invalid(field, "holds a revocation list that cannot be read.") from error
    if not blocks:
        raise Invalid(field, "holds no PEM revocation list.")


def _read_once(block: bytes) -> None:
    """Raises `ValueError` for what cannot be read. Of hundreds of lists, only one or two change at a time."""
    name = hashlib.sha256(block).hexdigest()
    if _READ.get(name) is None:
        x509.load_pem_x509_crl(block)
        _READ.keep(name, True)


def _private_key(pem: Private, field: str) -> Any:
    try:
        # Whether an RSA key's numbers fit together was checked when it came in; here it is only read.
        return serialization.load_pem_private_key(bytes(pem), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise Invalid(field, "holds no unencrypted PEM private key that can be read.") from error


def _loads(key: object) -> bool:
    match key:
        case rsa.RSAPublicKey():
            return key.key_size >= _RSA_BITS
        case ec.EllipticCurvePublicKey():
            return isinstance(key.curve, _CURVES)
        case _:
            return isinstance(key, ed25519.Ed25519PublicKey)


def _spki(key: Any) -> bytes:
    spki: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return spki
