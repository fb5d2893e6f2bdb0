"""A small CA for tests: make authorities, client and server certificates, revocation lists and requests, good and bad.

    ca = Authority.root("Test root")
    issuing = ca.intermediate("Test issuing")
    alice = issuing.client("alice", sans=("URI:spiffe://test/alice",))
    paths = alice.write(tmp_path)          # paths.chain, paths.key, paths.ca …
    crl = issuing.crl(revoked=[alice]) + ca.crl()

It is built on `cryptography` alone and shares no code with `ostiary.pki`, so that it can also make what ostiary must refuse.
All PEM values are `str`; keys are EC P-256 (quick to make) unless given.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypedDict

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ostiary.clock import now

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

CLIENT_AUTH: Final = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH: Final = ExtendedKeyUsageOID.SERVER_AUTH
NO_EKU: Final[tuple[x509.ObjectIdentifier, ...]] = ()
DAY: Final = timedelta(days=1)


class Validity(TypedDict):
    """From when to when, to be given to a builder as `**validity`."""

    not_before: datetime
    not_after: datetime


class Updates(TypedDict):
    """When a revocation list was made and when the next one is due, to be given to `crl` as `**updates`."""

    last_update: datetime
    next_update: datetime


def new_key() -> ec.EllipticCurvePrivateKey:
    """An EC P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def new_rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key; slow to make, so share it within a test module."""
    return rsa.generate_private_key(65537, bits)


def new_ed25519_key() -> ed25519.Ed25519PrivateKey:
    """An Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()


def name(cn: str, **other: str) -> x509.Name:
    """A subject: `name("alice", O="Acme", OU="Sales")`."""
    oids = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME}
    parts = [x509.NameAttribute(oids[part], value) for part, value in other.items()]
    return x509.Name([*parts, *([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])])


def san(text: str) -> x509.GeneralName:
    """`DNS:a.test`, `IP:127.0.0.1`, `URI:spiffe://…`, `email:a@b.test`; without a prefix an IP address or else a DNS name."""
    kind, _, value = text.partition(":")
    match kind:
        case "DNS":
            return x509.DNSName(value)
        case "IP":
            return x509.IPAddress(ipaddress.ip_address(value))
        case "URI":
            return x509.UniformResourceIdentifier(value)
        case "email":
            return x509.RFC822Name(value)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def pem(thing: x509.Certificate | x509.CertificateRevocationList | x509.CertificateSigningRequest) -> str:
    """Any of these as PEM."""
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Key, passphrase: str | None = None) -> str:
    """A private key as PKCS#8 PEM, encrypted when there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def csr(key: Key, cn: str, *, sans: Sequence[str] = (), extensions: Iterable[tuple[x509.ExtensionType, bool]] = ()) -> str:
    """A certificate signing request as PEM; `extensions` are (value, critical)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(cn))
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName([san(text) for text in sans]), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return pem(builder.sign(key, _hash_for(key)))


@dataclass(frozen=True)
class Paths:
    """Files that `Leaf.write` made: `chain` (leaf and intermediates), `key` and `ca` (the root) are what curl wants."""

    cert: Path
    key: Path
    chain: Path
    ca: Path


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key and the authorities above it, nearest first, root last (empty when self-signed)."""

    certificate: x509.Certificate
    key: Key
    authorities: tuple[x509.Certificate, ...] = ()

    @property
    def cert_pem(self) -> str:
        """The certificate alone."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> str:
        """Its key, PKCS#8, not encrypted."""
        return key_pem(self.key)

    @property
    def intermediates_pem(self) -> str:
        """The authorities between it and the root; empty under a root."""
        return "".join(pem(authority) for authority in self.authorities[:-1])

    @property
    def chain_pem(self) -> str:
        """What a TLS peer presents: the certificate, then its intermediates, without the root."""
        return self.cert_pem + self.intermediates_pem

    @property
    def root_pem(self) -> str:
        """The root above it, or itself when self-signed."""
        return pem(self.authorities[-1]) if self.authorities else self.cert_pem

    def pkcs12(self, passphrase: str | None = None) -> bytes:
        """Certificate, key and intermediates as PKCS#12."""
        # A low iteration count: strong key derivation only costs time here.
        kdf = serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2000)
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = kdf.build(passphrase.encode())
        return pkcs12.serialize_key_and_certificates(
            b"test", self.key, self.certificate, self.authorities[:-1] or None, encryption
        )

    def write(self, folder: Path, stem: str = "leaf") -> Paths:
        """Write it as PEM files named after `stem`; the key is 0600."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = Paths(*(folder / f"{stem}{end}" for end in (".pem", ".key", ".chain.pem", ".ca.pem")))
        paths.cert.write_text(self.cert_pem)
        paths.key.touch(mode=0o600)
        paths.key.write_text(self.key_pem)
        paths.chain.write_text(self.chain_pem)
        paths.ca.write_text(self.root_pem)
        return paths


@dataclass(frozen=True)
class Authority:
    """A CA. `above` are the authorities that signed it, nearest first, root last; empty for a root."""

    certificate: x509.Certificate
    key: Key
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def root(
        cls,
        common_name: str = "Test root",
        *,
        key: Key | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        path_length: int | None = None,
    ) -> "Authority":
        """A self-signed CA, valid from a day ago for ten years unless told otherwise."""
        key = key or new_key()
        certificate = _sign(
            name(common_name),
            key,
            name(common_name),
            key,
            _authority_extensions(path_length),
            (not_before, not_after, 3650 * DAY),
        )
        return cls(certificate, key)

    def intermediate(
        self,
        common_name: str = "Test issuing",
        *,
        key: Key | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        path_length: int | None = 0,
    ) -> "Authority":
        """A CA that this one signed, valid from a day ago for five years unless told otherwise."""
        key = key or new_key()
        certificate = self.sign(
            name(common_name),
            key,
            _authority_extensions(path_length),
            not_before=not_before,
            not_after=not_after,
            days=1825,
        )
        return Authority(certificate, key, (self.certificate, *self.above))

    @property
    def cert_pem(self) -> str:
        """Its certificate alone."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> str:
        """Its key, PKCS#8, not encrypted."""
        return key_pem(self.key)

    @property
    def bundle_pem(self) -> str:
        """Its certificate and all above it, the root too: a Client CA bundle."""
        return self.cert_pem + "".join(pem(authority) for authority in self.above)

    def client(
        self,
        cn: str = "client",
        *,
        subject: x509.Name | None = None,
        sans: Sequence[str] = (),
        key: Key | None = None,
        days: float = 30,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        eku: Sequence[x509.ObjectIdentifier] = (CLIENT_AUTH,),
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> Leaf:
        """A client certificate; `days` counts from now, `eku=NO_EKU` leaves the extension out."""
        key = key or new_key()
        wanted = [*_leaf_extensions(eku, sans), *extensions]
        certificate = self.sign(subject or name(cn), key, wanted, not_before=not_before, not_after=not_after, days=days)
        return Leaf(certificate, key, (self.certificate, *self.above))

    def server(
        self,
        *names: str,
        key: Key | None = None,
        days: float = 30,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        eku: Sequence[x509.ObjectIdentifier] = (SERVER_AUTH,),
    ) -> Leaf:
        """A server certificate for DNS names and IP addresses; for localhost and 127.0.0.1 when none are given."""
        names = names or ("localhost", "127.0.0.1")
        return self.client(names[0], sans=names, key=key, days=days, not_before=not_before, not_after=not_after, eku=eku)

    def expired_client(self, cn: str = "expired") -> Leaf:
        """It was valid until an hour ago."""
        return self.client(cn, not_before=now() - 10 * DAY, not_after=now() - timedelta(hours=1))

    def future_client(self, cn: str = "not yet valid") -> Leaf:
        """It will be valid from tomorrow."""
        return self.client(cn, not_before=now() + DAY, not_after=now() + 10 * DAY)

    def server_only_client(self, cn: str = "server only") -> Leaf:
        """Its purpose (extended key usage) is serverAuth alone."""
        return self.client(cn, eku=(SERVER_AUTH,))

    def crl(
        self,
        revoked: Iterable[Leaf | x509.Certificate | int] = (),
        *,
        last_update: datetime | None = None,
        next_update: datetime | None = None,
        number: int = 1,
    ) -> str:
        """Its revocation list as PEM, good for a week; `revoked` are leaves, certificates or serial numbers."""
        last_update = last_update or now() - timedelta(hours=1)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(last_update)
            .next_update(next_update or now() + 7 * DAY)
            .add_extension(_authority_key_identifier(self.key), critical=False)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for item in revoked:
            serial = item if isinstance(item, int) else _certificate(item).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(last_update)
            builder = builder.add_revoked_certificate(entry.build())
        return pem(builder.sign(self.key, _hash_for(self.key)))

    def sign(
        self,
        subject: x509.Name,
        key: Key,
        extensions: Iterable[tuple[x509.ExtensionType, bool]],
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        days: float = 30,
    ) -> x509.Certificate:
        """Anything at all, signed by this CA: for cases the friendly builders do not cover."""
        wanted = [*extensions, (_authority_key_identifier(self.key), False)]
        return _sign(subject, key, self.certificate.subject, self.key, wanted, (not_before, not_after, days * DAY))


def self_signed_client(cn: str = "self-signed", *, sans: Sequence[str] = ()) -> Leaf:
    """A client certificate that signed itself."""
    key = new_key()
    certificate = _sign(name(cn), key, name(cn), key, _leaf_extensions((CLIENT_AUTH,), sans), (None, None, 30 * DAY))
    return Leaf(certificate, key)


def word_for_word(real: x509.Certificate, public_key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    """What a certificate says, but for its extensions, of this key; not signed yet."""
    return (
        x509.CertificateBuilder()
        .subject_name(real.subject)
        .issuer_name(real.issuer)
        .public_key(public_key)
        .serial_number(real.serial_number)
        .not_valid_before(real.not_valid_before_utc)
        .not_valid_after(real.not_valid_after_utc)
    )


def _certificate(item: Leaf | x509.Certificate) -> x509.Certificate:
    return item.certificate if isinstance(item, Leaf) else item


def _hash_for(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _authority_key_identifier(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _authority_extensions(path_length: int | None) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.BasicConstraints(ca=True, path_length=path_length), True), (usage("key_cert_sign", "crl_sign"), True)]


def _leaf_extensions(eku: Sequence[x509.ObjectIdentifier], sans: Sequence[str]) -> list[tuple[x509.ExtensionType, bool]]:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage("digital_signature"), True),
    ]
    if eku:
        extensions.append((x509.ExtendedKeyUsage(eku), False))
    if sans:
        extensions.append((x509.SubjectAlternativeName([san(text) for text in sans]), False))
    return extensions


def usage(*allowed: str) -> x509.KeyUsage:
    """A key usage extension that allows just these, by the names `cryptography` has for them."""
    kinds = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{kind: kind in allowed for kind in kinds})


def _sign(
    subject: x509.Name,
    key: Key,
    issuer: x509.Name,
    issuer_key: Key,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    validity: tuple[datetime | None, datetime | None, timedelta],
) -> x509.Certificate:
    not_before, not_after, lifetime = validity
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now() - DAY)
        .not_valid_after(not_after or now() + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(issuer_key, _hash_for(issuer_key))
