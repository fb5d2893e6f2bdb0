"""Read what operators bring: CA bundles, revocation lists, and certificates with their keys and chains.

Everything is understood here or refused, with the name of what is wrong; what is handed on is encoded anew from what was
understood, so that the engine cannot read something else in it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.errors import Invalid
from ostiary.pki import crl_rules, depth_rules, kdf_work, keys, pem, signatures, trust_rules
from ostiary.pki.crl_rules import CRL
from ostiary.pki.extensions import extension
from ostiary.pki.names import name_text
from ostiary.pki.trust_rules import who

_MIB: Final = 1024 * 1024
_CERTIFICATES_LIMIT: Final = 1 * _MIB
_CERTIFICATES_MAX: Final = 1000
_CRLS_LIMIT: Final = 8 * _MIB
_PKCS12_LIMIT: Final = 1 * _MIB
_CHAIN_MAX: Final = 10

_CERTIFICATE_LABELS: Final = ("CERTIFICATE", "X509 CERTIFICATE")
_CRL_LABELS: Final = ("X509 CRL",)
_SERVER_AUTH: Final = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT_AUTH: Final = ExtendedKeyUsageOID.CLIENT_AUTH

_AS_NAMED: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Identity:
    """A certificate that one side of TLS presents: its chain, leaf first and without the root, and the key to it, both PEM.

    `is_anchored`: the root above it was brought too, or it is a root itself, so that nothing is missing between.
    """

    chain_pem: str
    key_pem: bytes = dataclass_field(repr=False)
    leaf: x509.Certificate
    is_anchored: bool


@dataclass(frozen=True)
class ServerIdentity(Identity):
    """What a listener presents."""


@dataclass(frozen=True)
class ClientIdentity(Identity):
    """What we present to the members of a pool."""


_Kind = TypeVar("_Kind", bound=Identity)
_PURPOSES: Final[Mapping[type[Identity], x509.ObjectIdentifier]] = {ServerIdentity: _SERVER_AUTH, ClientIdentity: _CLIENT_AUTH}


def read_certificates(pem_text: bytes, field: str) -> tuple[x509.Certificate, ...]:
    """All certificates in PEM form, in order, each once. Anything else between BEGIN and END is refused, keys above all."""
    ders = dict.fromkeys(pem.ders(pem_text, _CERTIFICATE_LABELS, "certificate", field, limit=_CERTIFICATES_LIMIT))
    if len(ders) > _CERTIFICATES_MAX:
        raise Invalid(field, f"it holds more than {_CERTIFICATES_MAX} certificates; leave out those that are not needed.")
    certificates = tuple(_certificate(der, number, field) for number, der in enumerate(ders, start=1))
    trust_rules.refuse_unreadable(certificates, field)
    return certificates


def read_client_ca(pem_text: bytes, at: datetime, field: str) -> tuple[x509.Certificate, ...]:
    """The authorities whose clients are let in: roots, and intermediates on the way to them."""
    return _read_authorities(pem_text, _CLIENT_AUTH, at, field)


def read_server_ca(pem_text: bytes, at: datetime, field: str) -> tuple[x509.Certificate, ...]:
    """The authorities that may have signed the certificates of a pool's members."""
    return _read_authorities(pem_text, _SERVER_AUTH, at, field)


def read_crls(pem_text: bytes, authorities: Sequence[x509.Certificate], at: datetime, field: str) -> tuple[CRL, ...]:
    """The revocation lists of these authorities, one for each that needs one."""
    lists: dict[crl_rules.Signer, CRL] = {}
    for der in dict.fromkeys(pem.ders(pem_text, _CRL_LABELS, "revocation list", field, limit=_CRLS_LIMIT)):
        crl = _crl(der, at, field)
        signer = crl_rules.signer(crl, authorities, field)
        if signer in lists:
            raise Invalid(field, f"it holds more than one revocation list of '{name_text(crl.issuer)}'; leave only the newest.")
        lists[signer] = crl
    for authority in authorities:
        if crl_rules.identify(authority) not in lists and crl_rules.must_have_list(authority, authorities):
            raise Invalid(
                field,
                f"the revocation list of {who(authority)} is missing, and without it the engine refuses every client of that "
                "authority; add it (an empty one will do), or leave that authority out.",
            )
    return tuple(lists.values())


def read_server_identity(
    certificate: bytes,
    private_key: bytes,
    intermediates: bytes,
    passphrase: bytes | None,
    at: datetime | None,
    fields: Mapping[str, str] = _AS_NAMED,
) -> ServerIdentity:
    """A listener's certificate and key, PEM; `intermediates` may be empty, and the chain may be in any order.

    `fields` says how the caller calls `certificate`, `private_key` and `intermediates`, for the messages. `at` None asks
    everything but whether they are valid today: for what was checked when it was chosen.
    """
    return _read_identity(ServerIdentity, (certificate, private_key, intermediates), passphrase, at, fields)


def read_client_identity(
    certificate: bytes,
    private_key: bytes,
    intermediates: bytes,
    passphrase: bytes | None,
    at: datetime | None,
    fields: Mapping[str, str] = _AS_NAMED,
) -> ClientIdentity:
    """The certificate and key that we present to members; otherwise as `read_server_identity`."""
    return _read_identity(ClientIdentity, (certificate, private_key, intermediates), passphrase, at, fields)


def read_pkcs12(data: bytes, passphrase: bytes | None, at: datetime | None, field: str) -> ServerIdentity:
    """A listener's certificate, key and chain in one PKCS#12 file. Deriving its key takes CPU: keep it off the event loop."""
    return _read_pkcs12(ServerIdentity, data, passphrase, at, field)


def read_client_pkcs12(data: bytes, passphrase: bytes | None, at: datetime | None, field: str) -> ClientIdentity:
    """The same for what we present to members."""
    return _read_pkcs12(ClientIdentity, data, passphrase, at, field)


def read_authority_pkcs12(
    data: bytes, passphrase: bytes | None, at: datetime, field: str
) -> tuple[x509.Certificate, keys.PrivateKey]:
    """An authority whose clients are let in, with its key, in one PKCS#12 file; those above it in there are left aside."""
    key, certificates = _opened_pkcs12(data, passphrase, field)
    authority = _leaf(certificates, key, field)
    trust_rules.refuse_unless_authority(authority, _CLIENT_AUTH, at, field)
    return authority, key


def to_pem(things: Iterable[x509.Certificate | CRL]) -> str:
    """Certificates or revocation lists as PEM, one after the other, with nothing around them."""
    return "".join(thing.public_bytes(Encoding.PEM).decode("ascii") for thing in things)


def plain_certificates(pem_text: bytes, field: str) -> str:
    """The same certificates with nothing around them: what an engine may be handed instead of somebody's text."""
    return to_pem(read_certificates(pem_text, field))


def plain_crls(pem_text: bytes, field: str) -> str:
    """The same revocation lists with nothing around them. Whether they are fit for use is `read_crls`' question."""
    found = pem.ders(pem_text, _CRL_LABELS, "revocation list", field, limit=_CRLS_LIMIT)
    try:
        return to_pem(x509.load_der_x509_crl(der) for der in found)
    except pem.MALFORMED:
        raise Invalid(field, "a revocation list in it cannot be read; check it with 'openssl crl -text'.") from None


def crl_pem(der: bytes) -> str:
    """A revocation list that we signed or checked before, as PEM. It is not read again: it may be long."""
    text = base64.encodebytes(der).decode("ascii")
    return f"-----BEGIN X509 CRL-----\n{text}-----END X509 CRL-----\n"


def _certificate(der: bytes, number: int, field: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except pem.MALFORMED:
        raise Invalid(field, f"certificate number {number} in it cannot be read; check it with 'openssl x509 -text'.") from None


def _crl(der: bytes, at: datetime, field: str) -> CRL:
    try:
        crl = x509.load_der_x509_crl(der)
        _ = (*crl.issuer, *crl.extensions)
    except pem.MALFORMED:
        raise Invalid(field, "a revocation list in it cannot be read; check it with 'openssl crl -text'.") from None
    crl_rules.refuse_unusable(crl, at, field)
    return crl


def _read_authorities(pem_text: bytes, purpose: x509.ObjectIdentifier, at: datetime, field: str) -> tuple[x509.Certificate, ...]:
    authorities = read_certificates(pem_text, field)
    for authority in authorities:
        trust_rules.refuse_unless_authority(authority, purpose, at, field)
    trust_rules.refuse_look_alikes(authorities, field)
    depth_rules.refuse_too_deep(authorities, field)
    return authorities


def _read_identity(
    kind: type[_Kind], parts: tuple[bytes, bytes, bytes], passphrase: bytes | None, at: datetime | None, fields: Mapping[str, str]
) -> _Kind:
    certificate, private_key, intermediates = parts
    certificate_field, key_field, chain_field = (
        fields.get(name, name) for name in ("certificate", "private_key", "intermediates")
    )
    key = keys.load(private_key, passphrase, key_field)
    first = read_certificates(certificate, certificate_field)
    rest = read_certificates(intermediates, chain_field) if intermediates.strip() else ()
    leaf = _leaf(first, key, key_field)
    return _identity(kind, leaf, (*first, *rest), key, at, (certificate_field, chain_field if rest else certificate_field))


def _read_pkcs12(kind: type[_Kind], data: bytes, passphrase: bytes | None, at: datetime | None, field: str) -> _Kind:
    key, certificates = _opened_pkcs12(data, passphrase, field)
    return _identity(kind, _leaf(certificates, key, field), certificates, key, at, (field, field))


def _opened_pkcs12(data: bytes, passphrase: bytes | None, field: str) -> tuple[keys.PrivateKey, tuple[x509.Certificate, ...]]:
    if len(data) > _PKCS12_LIMIT:
        raise Invalid(
            field, f"it is larger than {_PKCS12_LIMIT // 1024} KiB; a PKCS#12 file holds one certificate and its chain."
        )
    unreadable = "it is not a PKCS#12 file that opens with this passphrase; check it with 'openssl pkcs12'."
    kdf_work.refuse_excessive(data, field, unreadable)
    try:
        bundle = pkcs12.load_pkcs12(data, passphrase)
    except pem.MALFORMED:
        raise Invalid(field, unreadable) from None
    held = [entry.certificate for entry in (bundle.cert, *bundle.additional_certs) if entry]
    if bundle.key is None or not held:
        raise Invalid(field, "the PKCS#12 file must hold a certificate and its private key; export it with both.")
    key = keys.usable(bundle.key, field)
    certificates = tuple(dict.fromkeys(held))
    trust_rules.refuse_unreadable(certificates, field)
    return key, certificates


def _leaf(certificates: Sequence[x509.Certificate], key: keys.PrivateKey, field: str) -> x509.Certificate:
    for certificate in certificates:
        if keys.matches(certificate, key):
            return certificate
    raise Invalid(field, "the private key does not belong to the certificate; give the key that its request was made with.")


def _identity(
    kind: type[_Kind],
    leaf: x509.Certificate,
    certificates: Sequence[x509.Certificate],
    key: keys.PrivateKey,
    at: datetime | None,
    fields: tuple[str, str],
) -> _Kind:
    certificate_field, chain_field = fields
    trust_rules.refuse_unfit(leaf, at, certificate_field)
    trust_rules.refuse_other_purpose(leaf, _PURPOSES[kind], certificate_field)
    if kind is ServerIdentity:
        trust_rules.refuse_unservable(leaf, certificate_field)
    usage = extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        # Envoy does not load such an EC certificate (seen), and TLS 1.3 and (EC)DHE cannot do without.
        raise Invalid(certificate_field, f"{who(leaf)} may not sign (its key usage lacks digitalSignature), which TLS needs.")
    chain = _in_order(leaf, certificates, chain_field)
    for authority in chain[1:]:
        trust_rules.refuse_unless_authority(authority, _PURPOSES[kind], at, chain_field)
    is_anchored = any(trust_rules.is_self_issued(one) for one in certificates)
    return kind(chain_pem=to_pem(chain), key_pem=keys.to_pem(key), leaf=leaf, is_anchored=is_anchored)


def _in_order(leaf: x509.Certificate, certificates: Sequence[x509.Certificate], field: str) -> tuple[x509.Certificate, ...]:
    """The leaf, then each one's issuer. A root is left out: whoever verifies has it already (RFC 8446 4.4.2)."""
    if len(certificates) > _CHAIN_MAX:
        raise Invalid(field, f"it holds more than {_CHAIN_MAX} certificates; a chain is the certificate and those above it.")
    chain, rest = [leaf], [certificate for certificate in certificates if certificate != leaf]
    while issuer := next((one for one in rest if signatures.is_signed_by(chain[-1], one)), None):
        rest.remove(issuer)
        chain.append(issuer)
    if rest:
        raise Invalid(field, f"{who(rest[0])} is not part of the chain above {who(leaf)}; leave it out.")
    if len(chain) > 1 and trust_rules.is_self_issued(chain[-1]):
        chain.pop()
    return tuple(chain)
