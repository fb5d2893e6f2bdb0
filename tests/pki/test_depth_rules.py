"""Path lengths within one Client CA: what an authority says about those below it holds, though the engine does not ask."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ostiary.errors import Invalid
from ostiary.pki import chain
from support.certs import DAY, Authority, Validity, name, new_key, pem, usage

AT = datetime(2026, 6, 1, tzinfo=UTC)
SPAN = Validity(not_before=AT - timedelta(days=1), not_after=AT + timedelta(days=100))


def root(path_length: int | None = None) -> Authority:
    return Authority.root("Root", path_length=path_length, **SPAN)


def below(parent: Authority, common_name: str, path_length: int | None = None) -> Authority:
    return parent.intermediate(common_name, path_length=path_length, **SPAN)


def read(*authorities: Authority) -> int:
    return len(chain.read_client_ca("".join(one.cert_pem for one in authorities).encode(), AT, "ca"))


def test_an_authority_below_one_that_may_have_none_below_it_is_refused() -> None:
    top = root()
    issuing = below(top, "Issuing", 0)
    with pytest.raises(Invalid, match="'CN=Below' stands deeper below 'CN=Issuing' than the path lengths above it allow"):
        read(top, issuing, below(issuing, "Below"))
    assert read(top, issuing) == 2


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_path_length_counts_all_authorities_below_it_in_whatever_order_they_are_given(allowed: int) -> None:
    downwards = [root(allowed)]
    for level in range(allowed + 1):
        downwards.append(below(downwards[-1], f"Level {level}"))
    for given in (downwards, downwards[::-1]):
        assert read(*(one for one in given if one is not downwards[-1])) == allowed + 1
        with pytest.raises(Invalid, match=f"'CN=Level {allowed}' stands deeper"):
            read(*given)


def test_the_shortest_of_several_path_lengths_decides() -> None:
    top = root(1)
    widened = below(top, "Issuing", 5)
    assert read(top, widened) == 2
    with pytest.raises(Invalid, match="'CN=Below' stands deeper below 'CN=Issuing'"):
        read(top, widened, below(widened, "Below", 3))


def test_an_authority_whose_issuer_is_not_in_the_bundle_is_an_anchor_of_its_own() -> None:
    issuing = below(root(0), "Issuing")
    assert read(below(issuing, "Below")) == 1


def test_one_issuer_that_allows_it_is_enough() -> None:
    """A root that was made anew with the same name and key, without the narrow path length of the old one."""
    old = root(0)
    new = Authority.root("Root", key=old.key, **SPAN)
    assert read(old, new, below(old, "Issuing")) == 3


def test_an_authority_that_certifies_itself_anew_takes_no_room() -> None:
    top = root()
    old = below(top, "Issuing", 0)
    key = new_key()
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (usage("key_cert_sign", "crl_sign"), True),
    ]
    assert read(top, old, Authority(old.sign(name("Issuing"), key, extensions, **SPAN), key)) == 3


def test_not_every_namesake_is_tried_as_the_issuer_of_every_other() -> None:
    """Verifying takes a signature each: a thousand that all could have signed each other would take minutes."""
    top = root()
    with pytest.raises(Invalid, match=r"more than 20 authorities in it may have signed 'CN=Twin'"):
        chain.read_client_ca("".join(twin(top, number) for number in range(22)).encode(), AT, "ca")


def twin(signer: Authority, number: int) -> str:
    """One of several with one name, issued by that name, with key identifiers of their own and no word on who signed."""
    key = new_key()
    builder = x509.CertificateBuilder(name("Twin"), name("Twin"), key.public_key(), 100 + number, AT - DAY, AT + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    return pem(builder.sign(signer.key, hashes.SHA256()))
