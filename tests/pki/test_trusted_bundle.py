"""A bundle of CA certificates is one hierarchy, in whatever order it comes."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki.trusted_bundle import arranged, refuse_unless_all_can_be_checked
from support.certs import Authority

ROOT = Authority.root("Root")
ISSUING = ROOT.intermediate("Issuing", path_length=None)
BELOW = ISSUING.intermediate("Below")
TWIN = Authority.root("Root")
OTHER = Authority.root("Other")
BUNDLE = [one.certificate for one in (ROOT, ISSUING, BELOW, TWIN, OTHER)]


@given(st.permutations(BUNDLE))
def test_each_comes_after_the_one_that_signed_it_whatever_order_is_given(shuffled: list[x509.Certificate]) -> None:
    placed = arranged(shuffled)
    assert placed == arranged(BUNDLE)
    assert {one.certificate for one in placed} == set(BUNDLE)
    parents = {one.certificate: placed[one.parent].certificate if one.parent is not None else None for one in placed}
    assert parents == dict(zip(BUNDLE, [None, ROOT.certificate, ISSUING.certificate, None, None], strict=True))
    assert all(one.parent is None or one.parent < place for place, one in enumerate(placed))


def test_a_certificate_given_twice_is_placed_once() -> None:
    assert len(arranged([ROOT.certificate, ISSUING.certificate, ROOT.certificate])) == 2


def test_authorities_that_signed_each_other_find_a_place() -> None:
    one, two = Authority.root("One"), Authority.root("Two")
    as_ca = ((x509.BasicConstraints(ca=True, path_length=None), True),)
    crossed = [ca.sign(other.certificate.subject, other.key, as_ca) for ca, other in ((one, two), (two, one))]
    placed = arranged([*crossed, one.certificate, two.certificate])
    assert len(placed) == 4
    assert all(one.parent is None or one.parent < place for place, one in enumerate(placed))


def test_lists_can_be_checked_for_roots_with_what_is_below_them_or_for_loose_ends_but_not_for_both() -> None:
    refuse_unless_all_can_be_checked(BUNDLE, "x")
    refuse_unless_all_can_be_checked([ISSUING.certificate, OTHER.intermediate("Other issuing").certificate], "x")
    with pytest.raises(Invalid, match="'CN=Issuing': its own CA is not in the bundle"):
        refuse_unless_all_can_be_checked([ISSUING.certificate, OTHER.certificate], "x")
