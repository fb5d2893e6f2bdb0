"""Names: what may go into a certificate, and how what is there is shown."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki import names
from ostiary.pki.names import NameKind, Names, SubjectFields
from support.certs import Authority, name, new_key


def field(kind: NameKind) -> str:
    return f"names.{kind}"


def certificate_with(*sans: x509.GeneralName, subject: x509.Name | None = None) -> x509.Certificate:
    extensions = [(x509.SubjectAlternativeName(sans), False)] if sans else []
    return Authority.root().sign(subject or name("x"), new_key(), extensions)


@pytest.mark.parametrize(
    ("given_names", "canonical"),
    [
        (Names(dns=("A.Test", "a.test")), Names(dns=("a.test",))),
        (Names(dns=("localhost", "xn--bcher-kva.example", "*.a.test")), None),
        (Names(ip=("::1", "0:0:0:0:0:0:0:1", "10.0.0.1")), Names(ip=("::1", "10.0.0.1"))),
        (Names(uri=("spiffe://a.test/ns/x", "https://a.test:8443/p?q#f", "urn:uuid:1", "https://[::1]/")), None),
        (Names(email=("Al.Ice+x@A.test",)), Names(email=("Al.Ice+x@a.test",))),
        (Names(common_name="Ångström Ωmega 名前", organization="Acme, Inc.", organizational_unit="A+B=C"), None),
    ],
)
def test_good_names_are_kept_in_canonical_form_each_once(given_names: Names, canonical: Names | None) -> None:
    assert (canonical or given_names) == names.checked(given_names, field)


BAD: list[tuple[NameKind, str]] = [
    ("dns", ""),
    ("dns", "a.test."),
    ("dns", "a..test"),
    ("dns", "-a.test"),
    ("dns", "a_b.test"),
    ("dns", "a.test\0.evil"),
    ("dns", "a.test\n"),
    ("dns", "bücher.example"),
    ("dns", "xn--a.test"),
    ("dns", "xn--bcher\x01.test"),
    ("dns", "*"),
    ("dns", "*.test"),
    ("dns", "a.*.test"),
    ("dns", "w*.a.test"),
    ("dns", "*.*.test"),
    ("dns", "10.0.0.1"),
    ("dns", "a" * 64 + ".test"),
    ("dns", ".".join(["a" * 60] * 5)),
    ("ip", "10.0.0"),
    ("ip", "10.0.0.0/8"),
    ("ip", "fe80::1%eth0"),
    ("ip", "a.test"),
    ("uri", "/relative"),
    ("uri", "https://"),
    ("uri", "https:///path"),
    ("uri", "https://user@a.test/"),
    ("uri", "https://a_b.test/"),
    ("uri", "https://a.test:99999/"),
    ("uri", "https://[::1/"),
    ("uri", "https://a.test/a b"),
    ("uri", "https://a.test/\0"),
    ("uri", "https://a.test/é"),
    ("uri", "https://a.test/%zz"),
    ("uri", "spiffe://A.test/x"),
    ("uri", "SPIFFE://a.test/x"),
    ("uri", "spiffe://a.test/../x"),
    ("uri", "spiffe://a.test//x"),
    ("uri", "spiffe://a.test/x/"),
    ("uri", "spiffe://a.test:1/x"),
    ("uri", "spiffe://a.test/x?q"),
    ("uri", "urn:" + "a" * 2050),
    ("email", "alice"),
    ("email", "@a.test"),
    ("email", "alice@"),
    ("email", "alice@a.test."),
    ("email", "alice@*.a.test"),
    ("email", "a lice@a.test"),
    ("email", '"a b"@a.test'),
    ("email", "Alice <alice@a.test>"),
    ("email", "alice\0@a.test"),
    ("email", "é@a.test"),
    ("email", "a" * 65 + "@a.test"),
    ("common_name", "a\0b"),
    ("common_name", "a\nb"),
    ("common_name", "a\u202eb"),
    ("common_name", "a\u200bb"),
    ("common_name", " a"),
    ("common_name", "a" * 65),
    ("common_name", "é" * 33),
    ("organization", "a\x7f"),
    ("organizational_unit", "a" * 65),
]


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_a_name_that_could_be_misread_is_refused_under_its_own_field(kind: NameKind, text: str) -> None:
    bad = Names(**{kind: text if kind in names.SUBJECT_KINDS else (text,)})  # type: ignore[arg-type]
    with pytest.raises(Invalid) as refused:
        names.checked(bad, field)
    assert refused.value.field == f"names.{kind}"
    assert refused.value.message.isprintable()


def test_more_than_a_hundred_names_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 100 names"):
        names.checked(Names(dns=tuple(f"h{number}.test" for number in range(101))), field)


@given(st.sampled_from(["dns", "uri", "email"]), st.text(max_size=40))
def test_whatever_is_accepted_is_plain_ascii_and_stays_the_same_when_checked_again(kind: str, text: str) -> None:
    try:
        once = names.checked(Names(**{kind: (text,)}), field)  # type: ignore[arg-type]
    except Invalid:
        return
    (value,) = getattr(once, kind)
    assert value.isascii()
    assert value.isprintable()
    assert once == names.checked(once, field)


def test_an_authority_has_a_name() -> None:
    with pytest.raises(Invalid, match="subject: an authority needs a name"):
        names.authority_subject(SubjectFields(), "subject")


@pytest.mark.parametrize(
    ("subject", "wrong"),
    [
        (SubjectFields(CN="a\0"), "subject.CN"),
        (SubjectFields(CN="a", C="no"), "subject.C"),
        (SubjectFields(CN="a", C="NOR"), "subject.C"),
        (SubjectFields(CN="a", ST="x" * 129), "subject.ST"),
        (SubjectFields(CN="a", L="\u2028"), "subject.L"),
    ],
)
def test_a_subject_that_could_be_misread_is_refused(subject: SubjectFields, wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.authority_subject(subject, "subject")
    assert wrong == refused.value.field


def test_a_subject_is_shown_most_specific_part_first_and_escaped() -> None:
    assert names.subject_text(certificate_with(subject=name("a,b", C="NO", O="Acme"))) == r"CN=a\,b,O=Acme,C=NO"


def test_control_and_direction_characters_of_a_foreign_subject_are_shown_as_escapes() -> None:
    shown = names.subject_text(certificate_with(subject=name("a\nb\u202e\0")))
    assert shown == r"CN=a\0Ab\E2\80\AE\00"


def test_alternative_names_are_shown_with_their_kind() -> None:
    certificate = certificate_with(
        x509.DNSName("a.test"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
        x509.UniformResourceIdentifier("spiffe://a.test/x"),
        x509.RFC822Name("a@b.test"),
    )
    assert names.sans_text(certificate) == ("DNS:a.test", "IP:10.0.0.1", "URI:spiffe://a.test/x", "email:a@b.test")


def test_unusual_alternative_names_are_shown_without_doing_harm() -> None:
    certificate = certificate_with(
        x509.DNSName("a.test\0.evil\n"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x\n")])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    )
    assert names.sans_text(certificate) == (
        r"DNS:a.test\00.evil\0A",
        "otherName:1.3.6.1.4.1.311.20.2.3:0c0161",
        r"dirName:CN=x\0A",
        "RID:1.2.3",
    )


def test_alternative_names_that_cannot_be_read_are_said_to_be_so() -> None:
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x02\x01\x05")
    certificate = Authority.root().sign(name("x"), new_key(), [(broken, False)])
    assert names.sans_text(certificate) == ("(cannot be read)",)


def test_a_certificate_without_alternative_names_has_none() -> None:
    assert names.sans_text(certificate_with()) == ()


def test_fingerprint_and_serial_are_hexadecimal_in_whole_octets() -> None:
    certificate = certificate_with()
    assert len(names.fingerprint_sha256(certificate)) == 64
    assert int(names.serial_hex(certificate), 16) == certificate.serial_number
    assert len(names.serial_hex(certificate)) % 2 == 0
