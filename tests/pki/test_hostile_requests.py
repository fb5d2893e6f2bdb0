"""Requests that nobody makes by accident: whatever is in them, the answer is `Invalid`, or no more than the profile allows."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki import issue, keys, request
from ostiary.pki.issue import Issuer
from ostiary.pki.names import SubjectFields, sans_text
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from support.certs import DAY, csr, new_key

AT = datetime(2026, 6, 1, tzinfo=UTC)
KEY = new_key()
_KEY = keys.generate("EC-P256")
ISSUER = Issuer(issue.create_root(SubjectFields(CN="Root"), _KEY, 3650 * DAY, AT), _KEY)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


SEQUENCE, SET, OID, OCTETS, BITS, UTF8, PRINTABLE = 0x30, 0x31, 0x06, 0x04, 0x03, 0x0C, 0x13
COMMON_NAME, ALTERNATIVES = b"\x55\x04\x03", b"\x55\x1d\x11"
EXTENSION_REQUEST, CHALLENGE = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"
ECDSA_SHA256 = tlv(SEQUENCE, tlv(OID, b"\x2a\x86\x48\xce\x3d\x04\x03\x02"))


def cn(value: bytes, kind: int = UTF8) -> bytes:
    return tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, tlv(OID, COMMON_NAME), tlv(kind, value))))


def asking_for(*names: bytes) -> bytes:
    """The attribute that asks for these alternative names, each in its own tag."""
    extension = tlv(SEQUENCE, tlv(OID, ALTERNATIVES), tlv(OCTETS, tlv(SEQUENCE, *names)))
    return tlv(SEQUENCE, tlv(OID, EXTENSION_REQUEST), tlv(SET, tlv(SEQUENCE, extension)))


def dns(value: bytes) -> bytes:
    return tlv(0x82, value)


def made(subject: bytes, *attributes: bytes) -> str:
    """A request with this subject and these attributes, soundly signed."""
    spki = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = tlv(SEQUENCE, b"\x02\x01\x00", subject, spki, tlv(0xA0, *attributes))
    signature = KEY.sign(info, ec.ECDSA(hashes.SHA256()))
    der = tlv(SEQUENCE, info, ECDSA_SHA256, tlv(BITS, b"\x00", signature))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE REQUEST-----\n"


def outcome(text: str, profile: str) -> tuple[str, ...] | Invalid:
    """The names of what is issued for it, or why nothing is."""
    try:
        asked = request.read(text)
        approved = approve(asked, BUILT_IN[profile], names=None, lifetime=None, issuer=ISSUER.certificate, at=AT)
    except Invalid as refused:
        return refused
    certificate = issue.issue(approved, ISSUER, AT)
    return (*(str(part.value) for part in certificate.subject), *sans_text(certificate))


def nested_in(levels: int) -> bytes:
    content = b""
    for _ in range(levels):
        content = tlv(SEQUENCE, content)
    return content


CHALLENGED = tlv(SEQUENCE, tlv(OID, CHALLENGE), tlv(SET, tlv(PRINTABLE, b"secret")))
HOSTILE: dict[str, Callable[[], str]] = {
    "NUL in the common name": lambda: made(cn(b"alice\x00.evil")),
    "NUL in a DNS name": lambda: made(cn(b"alice"), asking_for(dns(b"a.test\x00.evil.test"))),
    "NUL in a URI": lambda: made(cn(b"alice"), asking_for(tlv(0x86, b"spiffe://a.test/x\x00y"))),
    "NUL in an address": lambda: made(cn(b"alice"), asking_for(tlv(0x81, b"root@a.test\x00@evil.test"))),
    "a U-label": lambda: made(cn(b"alice"), asking_for(dns("bücher.test".encode()))),
    "an A-label that is none": lambda: made(cn(b"alice"), asking_for(dns(b"xn--a.test"))),
    "an address of three octets": lambda: made(cn(b"alice"), asking_for(tlv(0x87, b"\x0a\x00\x00"))),
    "an address with a mask": lambda: made(cn(b"alice"), asking_for(tlv(0x87, b"\x0a\x00\x00\x00\xff\x00\x00\x00"))),
    "a direction mark": lambda: made(cn("ali\u202ece".encode())),
    "no UTF-8": lambda: made(cn(b"ali\xff")),
    "a common name of 65 octets": lambda: made(cn(b"a" * 65)),
    "a common name of 40 KB": lambda: made(cn(b"a" * 40_000)),
    "a subject of 1 MB": lambda: made(cn(b"a" * 1_000_000)),
    "a thousand names": lambda: made(cn(b"alice"), asking_for(*(dns(f"n{number}.test".encode()) for number in range(1000)))),
    "an empty DNS name": lambda: made(cn(b"alice"), asking_for(dns(b""))),
    "a name of a kind unheard of": lambda: made(cn(b"alice"), asking_for(tlv(0xA3, tlv(SEQUENCE)))),
    "the extension twice": lambda: made(cn(b"alice"), asking_for(dns(b"a.test")), asking_for(dns(b"b.test"))),
    "a subject that is cut": lambda: made(cn(b"alice")[:-1]),
    "two common names": lambda: made(
        tlv(SEQUENCE, *(tlv(SET, tlv(SEQUENCE, tlv(OID, COMMON_NAME), tlv(UTF8, value))) for value in (b"alice", b"root")))
    ),
    "two common names in one": lambda: made(
        tlv(SEQUENCE, tlv(SET, *(tlv(SEQUENCE, tlv(OID, COMMON_NAME), tlv(UTF8, value)) for value in (b"alice", b"root"))))
    ),
    "a set that is not sorted": lambda: made(cn(b"alice"), asking_for(dns(b"a.test")), CHALLENGED),
    "the challenge of SCEP": lambda: made(cn(b"alice"), CHALLENGED, asking_for(dns(b"a.test"))),
    "the same name twice": lambda: made(cn(b"alice"), asking_for(dns(b"a.test"), dns(b"A.test"))),
    "a hundred levels": lambda: made(cn(b"alice"), nested_in(100)),
}
GRANTED = {
    "the challenge of SCEP": ("alice", "DNS:a.test"),
    "the same name twice": ("alice", "DNS:a.test"),
}


@pytest.mark.parametrize("profile", sorted(BUILT_IN))
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_request_is_refused_or_gets_only_what_is_plain_in_it(case: str, profile: str) -> None:
    seen = outcome(HOSTILE[case](), profile)
    if isinstance(seen, Invalid):
        assert seen.field == "csr"
        assert "\x00" not in seen.message
        assert "\u202e" not in seen.message
        assert len(seen.message) < 1000
    else:
        assert seen == GRANTED[case]


@pytest.mark.parametrize("case", GRANTED)
def test_what_is_only_unusual_is_granted(case: str) -> None:
    assert outcome(HOSTILE[case](), "client") == GRANTED[case]


GOOD = x509.load_pem_x509_csr(csr(KEY, "alice", sans=("DNS:a.test", "URI:spiffe://a.test/x")).encode()).public_bytes(Encoding.DER)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    profile=st.sampled_from(sorted(BUILT_IN)),
)
def test_a_request_with_changed_bytes_is_refused_and_nothing_else_happens(changes: list[tuple[int, int]], profile: str) -> None:
    der = bytearray(GOOD)
    for position, value in changes:
        der[position] = value
    text = f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.b64encode(bytes(der)).decode()}\n-----END CERTIFICATE REQUEST-----\n"
    seen = outcome(text, profile)
    event("refused" if isinstance(seen, Invalid) else "granted")
    assert isinstance(seen, Invalid) or bytes(der) == GOOD


@settings(max_examples=300)
@given(data=st.binary(max_size=400))
def test_bytes_that_are_no_request_are_refused(data: bytes) -> None:
    text = f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.b64encode(data).decode()}\n-----END CERTIFICATE REQUEST-----\n"
    assert isinstance(outcome(text, "client"), Invalid)
