"""When lists end is read from their beginnings, however long they are."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ostiary.clock import now
from ostiary.pki.list_ends import NOBODYS_LIST, earliest
from support.certs import DAY, Authority, new_key

SOON = now().replace(microsecond=0) + timedelta(hours=1)


def test_the_first_that_ends_counts() -> None:
    one, other = Authority.root("One"), Authority.root("Other")
    lists = one.crl(next_update=SOON + DAY) + other.crl(range(1, 2000), next_update=SOON)
    assert earliest(lists) == SOON


def test_lists_that_end_beyond_2049_are_read() -> None:
    far = SOON.replace(year=2055, month=1, day=1)
    assert earliest(Authority.root().crl(next_update=far)) == far


def test_a_name_that_is_longer_than_the_beginning_is_no_hindrance() -> None:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 60)] * 120))
        .last_update(now() - DAY)
        .next_update(SOON)
    )
    made = builder.sign(new_key(), hashes.SHA256())
    assert earliest(made.public_bytes(Encoding.PEM).decode()) == SOON


@pytest.mark.parametrize(
    "text", ["", "nothing", "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", "-----BEGIN X509 CRL-----"]
)
def test_what_is_no_list_never_ends(text: str) -> None:
    assert earliest(text) is None


def test_nobodys_list_ended_long_ago() -> None:
    end = earliest(NOBODYS_LIST)
    assert end is not None
    assert end.year == 2000
