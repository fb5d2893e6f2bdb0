"""What a device believes of a link and of who answers."""

import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.errors import Denied, Invalid
from ostiary.holder.door import Door, door_of, fingerprint_of, matching
from support.certs import Authority


@pytest.mark.parametrize(
    ("link", "door", "token"),
    [
        ("https://a.test:9443/enroll/oe_x", Door("a.test", 9443), "oe_x"),
        ("https://a.test/enroll/oe_x/", Door("a.test", 443), "oe_x"),
        ("https://[::1]:9443/enroll/oe_x", Door("::1", 9443), "oe_x"),
        ("https://a.test:9443/enroll", Door("a.test", 9443), ""),
        ("https://a.test:9443", Door("a.test", 9443), ""),
    ],
)
def test_a_link_is_a_door_and_a_token(link: str, door: Door, token: str) -> None:
    assert door_of(link) == (door, token)


@pytest.mark.parametrize(
    "link", ["", "http://a.test/enroll/x", "a.test/enroll/x", "https://", "https://a:x/", "https://a/b/x", "https://[/"]
)
def test_anything_else_is_no_link(link: str) -> None:
    with pytest.raises(Invalid, match="URL"):
        door_of(link)


def test_a_fingerprint_may_be_written_as_tools_write_it() -> None:
    digits = "ab" * 32
    for text in (digits, digits.upper(), ":".join(["AB"] * 32), f"SHA256={digits}"):
        assert fingerprint_of(text) == digits
    for text in ("", "ab", digits + "ab", "zz" * 32):
        with pytest.raises(Invalid):
            fingerprint_of(text)


def test_of_several_authorities_the_pinned_one_alone_is_taken() -> None:
    ours, other = Authority.root("Ours"), Authority.root("Ours")
    bundle = (other.cert_pem + ours.cert_pem).encode()
    assert matching(bundle, ours.certificate.fingerprint(hashes.SHA256()).hex()).decode() == ours.cert_pem
    for offered in (other.cert_pem.encode(), b"", b"rubbish"):
        with pytest.raises(Denied):
            matching(offered, ours.certificate.fingerprint(hashes.SHA256()).hex())
