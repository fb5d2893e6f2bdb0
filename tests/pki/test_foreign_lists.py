"""Lists of authorities whose key is elsewhere: theirs, whole, current, and never older than what is held."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki.foreign_lists import SIZE_MAX, ForeignList, read_lists, refuse_older, revoked_serials
from ostiary.pki.list_ends import NOBODYS_LIST
from support.certs import DAY, Authority, Updates, Validity, pem

AT = datetime(2026, 6, 1, tzinfo=UTC)
SPAN = Validity(not_before=AT - DAY, not_after=AT + 1000 * DAY)
FRESH = Updates(last_update=AT - DAY, next_update=AT + 7 * DAY)
ROOT = Authority.root("Root", **SPAN)
ISSUING = ROOT.intermediate("Issuing", **SPAN)
BOTH = (ROOT.certificate, ISSUING.certificate)


def der(text: str) -> bytes:
    return x509.load_pem_x509_crl(text.encode()).public_bytes(Encoding.DER)


def read(data: bytes | str, *authorities: x509.Certificate) -> tuple[ForeignList, ...]:
    return read_lists(data.encode() if isinstance(data, str) else data, authorities or BOTH, AT, "crl")


def test_a_list_is_read_in_der_or_pem_alike() -> None:
    text = ISSUING.crl([5, 7], number=9, **FRESH)
    (found,) = read(text)
    assert (found,) == read(der(text))
    assert (found.number, found.entries, found.signers) == (9, 2, (ISSUING.certificate,))
    assert (found.this_update, found.next_update, found.next_publish) == (AT - DAY, AT + 7 * DAY, None)
    assert revoked_serials(found.der) == {5, 7}


def test_several_lists_in_one_file_are_told_apart() -> None:
    assert [one.issuer for one in read(ROOT.crl(**FRESH) + ISSUING.crl(**FRESH))] == ["CN=Root", "CN=Issuing"]
    with pytest.raises(Invalid, match="more than one revocation list of one authority"):
        read(ROOT.crl(**FRESH) + ROOT.crl(number=2, **FRESH))


def test_a_renewed_authority_shares_its_list_with_the_old_one() -> None:
    renewed = Authority.root("Root", key=ROOT.key, **SPAN).certificate
    assert read(ROOT.crl(**FRESH), *BOTH, renewed)[0].signers == (ROOT.certificate, renewed)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (Authority.root("Root", **SPAN).crl(**FRESH), "not signed by any"),
        (Authority.root("Other", **SPAN).crl(**FRESH), "not signed by any"),
        (ROOT.crl(last_update=AT - 9 * DAY, next_update=AT - DAY), "ended at"),
        (ROOT.crl(last_update=AT + DAY, next_update=AT + 2 * DAY), "begins only at"),
        (ROOT.cert_pem, "holds a 'CERTIFICATE'"),
        ("", "holds no revocation list"),
        ("0\x82 not DER", "cannot be read"),
        ("<html>Sign in first</html>", "holds no revocation list"),
        ("x" * (SIZE_MAX + 1), "larger than 8 MiB"),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_what_is_not_a_sound_current_list_of_theirs_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        read(text)
    assert refused.value.field == "crl"


def test_when_the_next_one_will_be_published_is_taken_from_a_list_that_says_so() -> None:
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.311.21.4")

    def saying(value: bytes) -> datetime | None:
        builder = x509.CertificateRevocationListBuilder().issuer_name(ROOT.certificate.subject)
        builder = builder.last_update(AT - DAY).next_update(AT + DAY)
        made = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False).sign(ROOT.key, hashes.SHA256())
        return read(pem(made))[0].next_publish

    assert saying(b"\x17\x0d260601120000Z") == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert saying(b"\x18\x0f20260601120000Z") == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert [saying(odd) for odd in (b"", b"\x17", b"\x17\x0dxxxxxxxxxxxxx", b"\x04\x0d260601120000Z")] == [None] * 4


@pytest.mark.parametrize(
    ("number", "days", "held", "older"),
    [
        (5, 0, 5, False),
        (6, 0, 5, False),
        (4, 1, 5, True),
        (6, -1, 5, True),
        (None, 1, 5, False),
        (None, -1, 5, True),
        (5, 0, None, False),
    ],
)
def test_a_list_older_than_the_one_held_would_take_revocations_back(
    number: int | None,
    days: int,
    held: int | None,
    older: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    if not older:
        refuse_older(number, AT + days * DAY, held, AT, "crl")
        return
    with pytest.raises(Invalid, match=r"it is older .* than the list that is held"):
        refuse_older(number, AT + days * DAY, held, AT, "crl")


def test_nobodys_list_is_nobodys() -> None:
    with pytest.raises(Invalid, match="ended at 2000-01-02"):
        read(NOBODYS_LIST)
