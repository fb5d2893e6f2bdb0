"""Chains of certificates that may be wrong in any way, each made from a seed: for asking two judges about the same.

    chain = crooked.chain(strange.seeded(7))
    chain.shown            # DER, the holder's first
    chain.trusted          # PEM of the authorities a listener trusts, and
    chain.lists            # of their revocation lists

Signed for real, by keys that are made once: most of a chain is right, or the first thing that is wrong would hide all others.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random  # noqa: TID251 (nothing secret comes of it, and the same again is wanted)
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from ostiary.clock import now
from support import strange
from support.certs import Key, new_ed25519_key, new_key, new_rsa_key
from support.strange import extension, integer, oid, tlv

_KEYS: Final[tuple[Key, ...]] = (new_key(), new_key(), new_key(), new_rsa_key(), new_ed25519_key())

_CLIENT, _SERVER, _ANY = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"
_POLICIES: Final = ("1.2.3.1", "1.2.3.2", "2.5.29.32.0")
_NAMES: Final = (
    tlv(0x82, b"a.test"),
    tlv(0x82, b"b.a.test"),
    tlv(0x82, b"*.a.test"),
    tlv(0x82, b"B.A.TEST."),
    tlv(0x82, b"other"),
    tlv(0x81, b"x@a.test"),
    tlv(0x81, b"X@b.a.test"),
    tlv(0x81, b"no address"),
    tlv(0x86, b"spiffe://a.test/x"),
    tlv(0x86, b"https://b.a.test:443/"),
    tlv(0x86, b"urn:x"),
    tlv(0x86, b"https://10.0.0.1/"),
    tlv(0x87, bytes((10, 0, 0, 1))),
)
_BASES: Final = (
    tlv(0x82, b"a.test"),
    tlv(0x82, b".a.test"),
    tlv(0x82, b"b.a.test"),
    tlv(0x82, b""),
    tlv(0x81, b"a.test"),
    tlv(0x81, b".a.test"),
    tlv(0x81, b"x@a.test"),
    tlv(0x86, b"a.test"),
    tlv(0x86, b".a.test"),
    tlv(0x86, b"10.0.0.1"),
    tlv(0x87, bytes((10, 0, 0, 0, 255, 0, 0, 0))),
    tlv(0xA4, tlv(0x30)),
    tlv(0xA4, tlv(0x30, tlv(0x31, strange.attribute("2.5.4.10", tlv(0x0C, b"ACME"))))),
)
_RSA_ALGORITHMS: Final[tuple[tuple[int, hashes.HashAlgorithm], ...]] = (
    (11, hashes.SHA256()),
    (12, hashes.SHA384()),
    (5, hashes.SHA1()),  # noqa: S303 (the engine takes it)
)
_EC_ALGORITHMS: Final[tuple[tuple[str, hashes.HashAlgorithm], ...]] = (
    ("3.2", hashes.SHA256()),
    ("3.4", hashes.SHA512()),
    ("1", hashes.SHA1()),  # noqa: S303 (see above)
)
_USAGES: Final = (0x80, 0x80, 0x80, 0x08, 0x20, 0x04, 0x06, 0x88, 0x40)


@dataclass(frozen=True)
class Chain:
    """What is shown and what is trusted. `crooks` says in which ways it was made wrong on purpose."""

    shown: tuple[bytes, ...]
    trusted: str
    lists: str
    crooks: tuple[str, ...]


@dataclass
class _Maker:
    """Makes the parts of one chain, and keeps how."""

    rng: Random
    crooks: list[str] = field(default_factory=list)

    def sometimes(self, chance: float, what: str) -> bool:
        """Whether this goes wrong."""
        happens = self.rng.random() < chance
        if happens:
            self.crooks.append(what)
        return happens


@dataclass(frozen=True)
class _Signer:
    name: bytes
    key: Key
    der: bytes = b""


def chain(rng: Random) -> Chain:
    """One chain: a root, up to three authorities below it, a holder; trust in some of them, and perhaps their lists."""
    made = _Maker(rng)
    signers = [_root(made)]
    for place in range(rng.choice((0, 1, 1, 2, 3))):
        signers.append(_authority(made, signers[-1], place))
    holder = _holder(made, signers[-1])
    trusted = _trusted(made, signers)
    shown = [holder, *(signer.der for signer in reversed(signers))]
    if made.sometimes(0.1, "leaves its chain out"):
        shown = shown[:1]
    elif rng.random() < 0.7:
        shown = shown[:-1]
    lists = (
        "".join(_list(made, signer, [holder, *(one.der for one in signers)]) for signer in signers) if rng.random() < 0.4 else ""
    )
    return Chain(tuple(shown), "".join(strange.pem("CERTIFICATE", signer.der) for signer in trusted), lists, tuple(made.crooks))


def _trusted(made: _Maker, signers: list[_Signer]) -> list[_Signer]:
    way = made.rng.random()
    if way < 0.6:
        return signers[:1]
    if way < 0.8:
        return signers
    return [made.rng.choice(signers)]


def _root(made: _Maker) -> _Signer:
    key = made.rng.choice(_KEYS)
    name = _name(made.rng, "root")
    extensions = [_basic(ca=True), _usage(0x06), *_identifiers(made, key, key)]
    return _Signer(name, key, _signed(made, name, _Signer(name, key), key, extensions))


def _authority(made: _Maker, above: _Signer, place: int) -> _Signer:
    rng = made.rng
    key, name = rng.choice(_KEYS), _name(rng, f"authority {place}")
    if made.sometimes(0.03, "names itself as its issuer"):
        name = above.name
    length = rng.choice((None, None, None, 3, 0)) if made.sometimes(0.3, "limits what is below") else None
    extensions = [_basic(ca=not made.sometimes(0.02, "is no CA"), length=length), *_identifiers(made, key, above.key)]
    if rng.random() < 0.8:
        extensions.append(_usage(0x02 if made.sometimes(0.03, "may not sign certificates") else 0x06))
    if rng.random() < 0.2:
        extensions.append(_purposes(made))
    if rng.random() < 0.35:
        extensions.append(_constraints(rng))
    return _Signer(name, key, _signed(made, name, above, key, [*extensions, *_policies(made), *_odd(made)]))


def _holder(made: _Maker, above: _Signer) -> bytes:
    rng = made.rng
    key = rng.choice(_KEYS[:3])  # EC: the handshake is broken off with a signature by such a key
    extensions = [*_identifiers(made, key, above.key)]
    if rng.random() < 0.5:
        extensions.append(_usage(rng.choice(_USAGES) if made.sometimes(0.15, "has another usage") else 0x80))
    if rng.random() < 0.7:
        extensions.append(_purposes(made))
    if rng.random() < 0.6:
        extensions.append(extension("2.5.29.17", tlv(0x30, *rng.sample(_NAMES, rng.randrange(4)))))
    if rng.random() < 0.1:
        extensions.append(_basic(ca=rng.random() < 0.5))
    name = _name(rng, rng.choice(("alice", "Alice Smith", "a.test", "b.a.test")))
    return _signed(made, name, above, key, [*extensions, *_policies(made), *_odd(made)])


def _name(rng: Random, common: str) -> bytes:
    parts = [strange.attribute("2.5.4.10", tlv(rng.choice((0x0C, 0x13)), rng.choice((b"Acme", b"ACME ", b"Other"))))]
    if rng.random() < 0.15:
        parts.append(strange.attribute("1.2.840.113549.1.9.1", tlv(rng.choice((0x16, 0x16, 0x0C)), b"x@a.test")))
    parts.append(strange.attribute("2.5.4.3", tlv(0x0C, common.encode())))
    return tlv(0x30, *(tlv(0x31, part) for part in parts))


def _basic(*, ca: bool, length: int | None = None) -> bytes:
    said = (tlv(0x01, b"\xff"),) if ca else ()
    return extension("2.5.29.19", tlv(0x30, *said, *((integer(length),) if length is not None and ca else ())), critical=True)


def _usage(bits: int) -> bytes:
    unused = (bits & -bits).bit_length() - 1
    return extension("2.5.29.15", tlv(0x03, bytes((unused, bits))), critical=True)


def _purposes(made: _Maker) -> bytes:
    wrong = made.sometimes(0.12, "has another purpose")
    kinds = (
        made.rng.choice(((_SERVER,), (_ANY,), (), (_SERVER, _ANY)))
        if wrong
        else made.rng.choice(((_CLIENT,), (_SERVER, _CLIENT)))
    )
    return extension("2.5.29.37", tlv(0x30, *map(oid, kinds)))


def _identifiers(made: _Maker, own: Key, above: Key) -> list[bytes]:
    found = []
    if made.rng.random() < 0.8:
        found.append(extension("2.5.29.14", tlv(0x04, _key_id(own))))
    if made.rng.random() < 0.7:
        key = b"another" if made.sometimes(0.03, "names another key") else _key_id(above)
        found.append(extension("2.5.29.35", tlv(0x30, tlv(0x80, key))))
    return found


def _constraints(rng: Random) -> bytes:
    def subtrees(tag: int, bases: list[bytes]) -> bytes:
        return tlv(tag, *(tlv(0x30, base) for base in bases)) if bases else b""

    permitted, excluded = rng.sample(_BASES, rng.randrange(3)), rng.sample(_BASES, rng.choice((0, 0, 1)))
    return extension("2.5.29.30", tlv(0x30, subtrees(0xA0, permitted), subtrees(0xA1, excluded)), critical=True)


def _policies(made: _Maker) -> list[bytes]:
    rng = made.rng
    found = []
    if rng.random() < 0.3:
        some = rng.sample(_POLICIES, rng.choice((1, 1, 2)))
        found.append(extension("2.5.29.32", tlv(0x30, *(tlv(0x30, oid(each)) for each in some))))
    if rng.random() < 0.08:
        found.append(extension("2.5.29.33", tlv(0x30, tlv(0x30, oid(_POLICIES[0]), oid(_POLICIES[1])))))
    if rng.random() < 0.12:
        demands = tlv(0x80, bytes((rng.randrange(3),))) + (tlv(0x81, bytes((rng.randrange(2),))) if rng.random() < 0.4 else b"")
        found.append(extension("2.5.29.36", tlv(0x30, demands), critical=True))
    if rng.random() < 0.06:
        found.append(extension("2.5.29.54", integer(rng.randrange(2)), critical=True))
    return found


def _odd(made: _Maker) -> list[bytes]:
    odd: tuple[tuple[str, Callable[[], bytes]], ...] = (
        ("has an unknown critical extension", lambda: extension("1.2.3.4", tlv(0x05), critical=True)),
        ("has an unknown extension", lambda: extension("1.2.3.4", b"anything")),
        ("has basic constraints that cannot be read", lambda: extension("2.5.29.19", tlv(0x30, integer(1)))),
        ("has a key identifier that cannot be read", lambda: extension("2.5.29.14", b"\x04\x7f")),
        ("has alternative names that cannot be read", lambda: extension("2.5.29.17", tlv(0x30, tlv(0x8F, b"")))),
        ("has distribution points", lambda: extension("2.5.29.31", _DISTRIBUTION_POINT)),
        ("has distribution points that cannot be read", lambda: extension("2.5.29.31", tlv(0x30, tlv(0x04)))),
        ("has policies that cannot be read", lambda: extension("2.5.29.32", tlv(0x30))),
        ("says two times what it is for", lambda: extension("2.5.29.37", tlv(0x30, oid(_CLIENT)))),
    )
    what, make = made.rng.choice(odd)
    return [make()] if made.sometimes(0.12, what) else []


_DISTRIBUTION_POINT: Final = tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://a.test/crl")))))


def _signed(made: _Maker, subject: bytes, above: _Signer, key: Key, extensions: list[bytes]) -> bytes:
    algorithm, sign = _algorithm(made.rng, above.key)
    if made.sometimes(0.02, "is signed with MD5 or what is not known") and isinstance(above.key, rsa.RSAPrivateKey):
        algorithm = tlv(0x30, oid(made.rng.choice(("1.2.840.113549.1.1.4", "1.2.3.4"))), tlv(0x05))
    if made.sometimes(0.03, "has a damaged signature"):
        sound = sign
        sign = lambda content: sound(content + b"!")  # noqa: E731 (one line says it)
    return strange.certificate(
        made.rng,
        subject=subject,
        issuer=above.name,
        serial=made.rng.getrandbits(60) + 1,
        extensions=extensions,
        sign=sign,
        algorithm=algorithm,
        spki=_spki(key),
        validity=_validity(made),
        version=1 if not extensions or made.sometimes(0.01, "is of version 1") else 3,
    )


def _validity(made: _Maker) -> tuple[datetime, datetime]:
    today = now()
    if made.sometimes(0.05, "is expired"):
        return today - timedelta(days=9), today - timedelta(hours=1)
    if made.sometimes(0.04, "is not valid yet"):
        return today + timedelta(days=1), today + timedelta(days=9)
    return today - timedelta(days=1), today + timedelta(days=9)


def _algorithm(rng: Random, key: Key) -> tuple[bytes, Callable[[bytes], bytes]]:
    """An algorithm for this key, and signing by it; SHA-1 among them."""
    match key:
        case rsa.RSAPrivateKey():
            number, digest = rng.choice(_RSA_ALGORITHMS)
            named = tlv(0x30, oid(f"1.2.840.113549.1.1.{number}"), tlv(0x05))
            return named, lambda content: key.sign(content, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePrivateKey():
            kind, hashed = rng.choice(_EC_ALGORITHMS)
            return tlv(0x30, oid(f"1.2.840.10045.4.{kind}")), lambda content: key.sign(content, ec.ECDSA(hashed))
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return tlv(0x30, oid("1.3.101.112")), key.sign


def _list(made: _Maker, signer: _Signer, certificates: list[bytes]) -> str:
    """The list of one authority, which may name any certificate."""
    if made.sometimes(0.05, "a list is missing"):
        return ""
    began, ends = now() - timedelta(days=1), now() + timedelta(days=5)
    if made.sometimes(0.05, "a list has ended"):
        began, ends = began - timedelta(days=9), began
    key = made.rng.choice(_KEYS[:3]) if made.sometimes(0.04, "a list has another's signature") else signer.key
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([]))
        .last_update(began)
        .next_update(ends)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    if made.sometimes(0.15, "is revoked"):
        serial = strange.serial_of(made.rng.choice(certificates))
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(began).build()
        )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made_list = builder.sign(key, digest)
    return strange.pem("X509 CRL", _renamed(made_list, signer.name, key))


def _renamed(made: x509.CertificateRevocationList, issuer: bytes, key: Key) -> bytes:
    """The same list of an issuer whose name the builder would encode in another way."""
    content = made.tbs_certlist_bytes
    body = strange.inside(content).replace(tlv(0x30), issuer, 1)
    to_be_signed = tlv(0x30, body)
    match key:
        case rsa.RSAPrivateKey():
            signature = key.sign(to_be_signed, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            signature = key.sign(to_be_signed, ec.ECDSA(hashes.SHA256()))
        case _:
            signature = key.sign(to_be_signed)
    algorithm = strange.inside(made.public_bytes(serialization.Encoding.DER))[len(content) :]
    return tlv(0x30, to_be_signed, strange.first(algorithm), tlv(0x03, b"\x00", signature))


def _key_id(key: Key) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest


def _spki(key: Key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
