"""Fuzz certificate requests: none crashes us, and none gets more than the profile allows.

Half of the inputs are DER as it comes. The other half steer how a request is put together (names, extensions, attributes, in
any order and as often as wanted) that its sender then signs properly: a random one would never come past the signature.
"""

import base64
import contextlib
from datetime import timedelta
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["ostiary"]):
    from ostiary.errors import Invalid
    from ostiary.pki import der, issue, keys, request, signing
    from ostiary.pki.issue import Issuer
    from ostiary.pki.names import ALTERNATIVE_KINDS, Names, SubjectFields
    from ostiary.pki.policy import approve
    from ostiary.pki.profile import BUILT_IN, Profile

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID
from target import AT, KEY, OTHER_KEY, run

ISSUER: Final = Issuer(issue.create_root(SubjectFields(CN="Fuzz"), OTHER_KEY, timedelta(days=3650), AT), OTHER_KEY)
KEYS: Final = (KEY, ec.derive_private_key(4713, ec.SECP384R1()), ec.derive_private_key(4714, ec.SECP521R1()), OTHER_KEY)

SUBJECT_OIDS: Final = (
    "2.5.4.3",
    "2.5.4.10",
    "2.5.4.11",
    "2.5.4.5",
    "2.5.4.6",
    "1.2.840.113549.1.9.1",
    "0.9.2342.19200300.100.1.25",
)
STRING_TAGS: Final = (0x0C, 0x13, 0x16, 0x14, 0x1E, 0x1C, 0x12, 0x03, 0x30)
NAME_TAGS: Final = (0x82, 0x81, 0x86, 0x87, 0x88, 0xA0, 0xA4, 0xA3, 0x85)
TEXTS: Final = (
    b"alice", b"a.test", b"A.TEST.", b"*.a.test", b"*", b"a\x00.test", b"xn--bcher-kva.test", b"xn--a", "bücher.test".encode(),
    b"\xe2\x80\xaeab", b"a,CN=admin", b"\n", b"", b" ", b"1.2.3.4", b"\x7f\x00\x00\x01", b"\x00" * 16, b"a@b.test", b"@", b"spiffe://a/b",
    b"spiffe://a/../b", b"https://a.test/", b"https://u@a.test", b"urn:x:y", b"a" * 65, b"a" * 300, b"\xff\xfe", b"\x30\x00",
)  # fmt: skip
# What profiles allow, so that not every request fails for one of its names.
GOOD_PARTS: Final = (
    ("2.5.4.3", b"alice"),
    ("2.5.4.3", b"a.test"),
    ("2.5.4.10", "Åcme".encode()),
    ("2.5.4.11", b"x"),
    ("2.5.4.5", b"47"),
)
GOOD_NAMES: Final = (
    (0x82, b"a.test"), (0x82, b"*.a.test"), (0x82, b"A.test"), (0x81, b"a@b.test"),
    (0x86, b"spiffe://a/b"), (0x87, b"\x7f\x00\x00\x01"),
)  # fmt: skip
WISHES: Final = (
    x509.BasicConstraints(ca=False, path_length=None),
    x509.BasicConstraints(ca=True, path_length=None),
    x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.5.29.37.0"), x509.ObjectIdentifier("1.3.6.1.5.5.7.3.9")]),
    x509.NameConstraints([x509.DNSName("a.test")], None),
    x509.SubjectKeyIdentifier(b"mine"),
    x509.OCSPNoCheck(),
    x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]),
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
)
ALLOWED: Final = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
SUBJECT_KINDS: Final = {
    NameOID.COMMON_NAME: "common_name",
    NameOID.ORGANIZATION_NAME: "organization",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organizational_unit",
    NameOID.SERIAL_NUMBER: "serial_number",
}
SET: Final = 0x31


def made(choices: Any) -> bytes:
    """A request as the choices have it, signed by its sender, DER."""
    key = KEYS[choices.ConsumeIntInRange(0, len(KEYS) - 1)]
    subject = der.sequence(*(relative_name(choices) for _ in range(choices.ConsumeIntInRange(0, 4))))
    attributes = [attribute(choices) for _ in range(choices.ConsumeIntInRange(0, 2))]
    about = der.sequence(der.integer(0), subject, keys.spki(key.public_key()), der.tlv(0xA0, *attributes))
    signature = signing.sign(key, about)
    return der.sequence(about, signing.algorithm(key), der.bit_string(signature))


def relative_name(choices: Any) -> bytes:
    return der.tlv(SET, *(part(choices) for _ in range(1 + is_rare(choices))))


def part(choices: Any) -> bytes:
    if is_rare(choices):
        return der.sequence(der.oid(pick(choices, SUBJECT_OIDS)), der.tlv(pick(choices, STRING_TAGS), text(choices)))
    kind, value = pick(choices, GOOD_PARTS)
    return der.sequence(der.oid(kind), der.tlv(0x0C, value))


def attribute(choices: Any) -> bytes:
    if is_rare(choices):
        return der.sequence(der.oid("1.2.840.113549.1.9.7"), der.tlv(SET, der.tlv(0x0C, text(choices))))  # challengePassword
    wanted = [extension(choices) for _ in range(choices.ConsumeIntInRange(0, 4))]
    return der.sequence(der.oid("1.2.840.113549.1.9.14"), der.tlv(SET, der.sequence(*wanted)))


def extension(choices: Any) -> bytes:
    if choices.ConsumeBool():
        names = [general_name(choices) for _ in range(choices.ConsumeIntInRange(0, 5))]
        return der.extension("2.5.29.17", der.sequence(*names), critical=choices.ConsumeBool())
    wish = pick(choices, WISHES)
    value = text(choices) if is_rare(choices) else wish.public_bytes()
    return der.extension(wish.oid.dotted_string, value, critical=choices.ConsumeBool())


def general_name(choices: Any) -> bytes:
    return der.tlv(*(pick(choices, NAME_TAGS), text(choices)) if is_rare(choices) else pick(choices, GOOD_NAMES))


def is_rare(choices: Any) -> bool:
    return bool(choices.ConsumeIntInRange(0, 5) == 0)


def text(choices: Any) -> bytes:
    return pick(choices, TEXTS) if choices.ConsumeBool() else bytes(choices.ConsumeBytes(choices.ConsumeIntInRange(0, 24)))


def pick(choices: Any, of: tuple[Any, ...]) -> Any:
    return of[choices.ConsumeIntInRange(0, len(of) - 1)]


def one(data: bytes) -> None:
    """Ask for a certificate of each profile."""
    choices = atheris.FuzzedDataProvider(data[1:])
    asked = made(choices) if data[:1] < b"\x80" else data[1:]
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.encodebytes(asked).decode()}-----END CERTIFICATE REQUEST-----\n"
    with contextlib.suppress(Invalid):
        read = request.read(pem)
        for profile in BUILT_IN.values():
            with contextlib.suppress(Invalid):
                approved = approve(read, profile, names=None, lifetime=None, issuer=ISSUER.certificate, at=AT)
                refuse_excess(issue.issue(approved, ISSUER, AT), profile, read.names)


def refuse_excess(certificate: x509.Certificate, profile: Profile, asked: Names) -> None:
    """Fail when the certificate holds anything that the profile does not allow, or that was not asked for."""
    held = {each.oid: each.value for each in certificate.extensions}
    assert held.keys() <= ALLOWED, held.keys()
    assert held[ExtensionOID.BASIC_CONSTRAINTS] == x509.BasicConstraints(ca=False, path_length=None)
    assert list(held[ExtensionOID.EXTENDED_KEY_USAGE]) == list(profile.extended_key_usages)
    assert certificate.not_valid_after_utc - AT <= profile.max_lifetime
    kinds = [SUBJECT_KINDS[part.oid] for part in certificate.subject]
    assert len(kinds) == len(set(kinds))
    assert {*kinds} <= {*profile.names_allowed}
    names = [str(name.value).lower() for name in held.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ())]
    allowed = [kind for kind in ALTERNATIVE_KINDS if kind in profile.names_allowed]
    assert {*names} <= {value.lower() for kind in allowed for value in asked.of(kind)}
    assert not any(name.startswith("*") for name in names) or profile.wildcards
    assert all(name.isascii() and name.isprintable() for name in names)


def seeds() -> list[bytes]:
    steering = [bytes(range(start, start + 60)) for start in range(0, 120, 20)]
    return [*steering, b"\x80" + made(atheris.FuzzedDataProvider(b"\x07" * 80))]


if __name__ == "__main__":
    run(one, seeds())
