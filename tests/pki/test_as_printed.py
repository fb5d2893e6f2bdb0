"""What the engine prints of a certificate; `tests/live/test_as_printed.py` asks the engine itself."""

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki.as_printed import AsPrinted, holder_facts
from support import strange
from support.certs import Authority, name

NOBODY = strange.tlv(0x30)
CN, OU = "2.5.4.3", "2.5.4.11"


def facts_of(subject: bytes = NOBODY, extensions: Sequence[bytes] = (), serial: int = 1) -> AsPrinted:
    return holder_facts(certificate(subject, extensions, serial))


def certificate(subject: bytes = NOBODY, extensions: Sequence[bytes] = (), serial: int = 1) -> bytes:
    return strange.certificate(strange.seeded(1), subject=subject, issuer=NOBODY, extensions=extensions, serial=serial)


def subject(*parts: tuple[bytes, ...]) -> str:
    """How a subject of these parts is printed."""
    wanted = strange.tlv(0x30, *(strange.tlv(0x31, *rdn) for rdn in parts))
    return facts_of(wanted).subject


def attribute(text: str, kind: str = CN, tag: int = 0x0C) -> bytes:
    return strange.attribute(kind, strange.text(tag, text))


def alternatives(*names: bytes) -> list[bytes]:
    return [strange.extension("2.5.29.17", strange.tlv(0x30, *names))]


def test_a_certificate_is_printed_as_envoy_prints_it() -> None:
    sans = ("DNS:a.test", "URI:spiffe://a.test/x", "DNS:b.test", "email:a@a.test", "IP:192.0.2.1", "IP:2001:db8::1")
    leaf = Authority.root("Some root").client(subject=name("alice", O="Acme", OU="Sales, EMEA"), sans=sans)
    facts = holder_facts(leaf.certificate)
    assert (facts.subject, facts.issuer) == (r"CN=alice,OU=Sales\, EMEA,O=Acme", "CN=Some root")
    assert (facts.dns, facts.uri, facts.email) == ("a.test,b.test", "spiffe://a.test/x", "a@a.test")
    assert facts.ip == "192.0.2.1,2001:db8::1"
    assert int(facts.serial, 16) == leaf.certificate.serial_number
    assert len(facts.serial) % 2 == 0
    assert facts == holder_facts(leaf.certificate.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("", ""),
        (" a ", r"\ a\ "),
        (" ", r"\ "),
        ("#a#", r"\#a#"),
        ('a,b+c"<d>;\\=', r"a\,b\+c\"\<d\>\;\\="),
        ("æ\x00\x7f\n", r"\C3\A6\00\7F\0A"),
        ("😀", r"\F0\9F\98\80"),
    ],
)
def test_what_could_be_mistaken_is_escaped(text: str, printed: str) -> None:
    assert subject((attribute(text),)) == f"CN={printed}"


@pytest.mark.parametrize("tag", [0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E])
def test_a_text_is_printed_alike_whatever_its_encoding(tag: int) -> None:
    assert subject((attribute("bjørn", tag=tag),)) == r"CN=bj\C3\B8rn"


def test_the_last_part_comes_first_also_within_a_set() -> None:
    assert subject((attribute("1"), attribute("2", OU)), (attribute("3"),)) == "CN=3,OU=2+CN=1"


def test_what_is_no_text_or_of_an_unknown_kind_is_dumped() -> None:
    assert subject((strange.attribute(CN, strange.integer(1)),)) == "CN=#020101"
    assert subject((attribute("NO", "1.3.6.1.4.1.311.60.2.1.3"),)) == "1.3.6.1.4.1.311.60.2.1.3=#0C024E4F"
    assert subject((attribute("x", f"1.3.{2**64}"),)) == "=#0C0178"


@pytest.mark.parametrize(("serial", "printed"), [(0, "0"), (1, "01"), (255, "ff"), (0xABC, "0abc"), (-1, "-01")])
def test_serial_numbers_come_in_whole_octets(serial: int, printed: str) -> None:
    assert facts_of(serial=serial).serial == printed


def test_an_alternative_name_is_printed_octet_by_octet() -> None:
    names = alternatives(strange.tlv(0x82, b"a\x00b,c"), strange.tlv(0x82, b"\xff"))
    facts = facts_of(extensions=names)
    assert facts.dns.encode("utf-8", "surrogateescape") == b"a\x00b,c,\xff"


@pytest.mark.parametrize(
    ("octets", "printed"),
    [
        ("c0000201", "192.0.2.1"),
        ("00000000000000000000ffffc0000201", "::ffff:192.0.2.1"),
        ("000000000000000000000000c0000201", "::192.0.2.1"),
        ("00000000000000000000000000000001", "::1"),
        ("0102", ""),
    ],
)
def test_addresses_are_printed_as_the_c_library_does(octets: str, printed: str) -> None:
    names = alternatives(strange.tlv(0x87, bytes.fromhex(octets)))
    assert facts_of(extensions=names).ip == printed


def test_alternative_names_that_cannot_be_read_or_are_there_twice_are_none() -> None:
    good = alternatives(strange.tlv(0x82, b"a.test"))
    assert facts_of(extensions=good).dns == "a.test"
    assert facts_of(extensions=good + good).dns == ""
    bad = alternatives(strange.tlv(0x82, b"a.test"), strange.tlv(0x8F, b""))
    assert facts_of(extensions=bad).dns == ""


@pytest.mark.parametrize("der", [b"", b"garbage", b"\x30\x80", certificate()[:-1], certificate() + b"\x00"])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(Invalid):
        holder_facts(der)
