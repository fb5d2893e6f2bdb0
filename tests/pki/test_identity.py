"""Certificates with their keys and chains: sorted out when sound, refused when anything does not belong."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ostiary.errors import Invalid
from ostiary.pki import chain
from support.certs import (
    CLIENT_AUTH,
    DAY,
    NO_EKU,
    SERVER_AUTH,
    Authority,
    Key,
    Leaf,
    Validity,
    key_pem,
    name,
    new_ed25519_key,
    new_key,
    new_rsa_key,
    pem,
)

AT = datetime(2026, 6, 1, tzinfo=UTC)
SPAN = Validity(not_before=AT - DAY, not_after=AT + 1000 * DAY)
ROOT = Authority.root("Root", **SPAN)
MIDDLE = ROOT.intermediate("Middle", path_length=1, **SPAN)
ISSUING = MIDDLE.intermediate("Issuing", **SPAN)
SERVER = ISSUING.server("a.test", **SPAN)
FIELDS = {"certificate": "tls_ref.certificate", "private_key": "tls_ref.private_key", "intermediates": "tls_ref.intermediates"}


def read(
    leaf: Leaf = SERVER, *, certificate: str | None = None, key: str | None = None, above: str | None = None, at: datetime = AT
) -> chain.ServerIdentity:
    parts = (leaf.cert_pem if certificate is None else certificate, key or leaf.key_pem)
    above = leaf.intermediates_pem if above is None else above
    return chain.read_server_identity(parts[0].encode(), parts[1].encode(), above.encode(), None, at, FIELDS)


def test_a_certificate_its_key_and_its_chain_make_an_identity() -> None:
    identity = read()
    assert (identity.leaf, identity.chain_pem, identity.key_pem.decode()) == (
        SERVER.certificate,
        SERVER.chain_pem,
        SERVER.key_pem,
    )


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(read())


@pytest.mark.parametrize(
    ("certificate", "above"),
    [
        (SERVER.cert_pem, pem(MIDDLE.certificate) + pem(ISSUING.certificate)),
        (SERVER.cert_pem, pem(ROOT.certificate) + pem(MIDDLE.certificate) + pem(ISSUING.certificate) + SERVER.cert_pem),
        (SERVER.chain_pem, ""),
        (pem(ROOT.certificate) + pem(MIDDLE.certificate) + pem(ISSUING.certificate) + SERVER.cert_pem, "\n"),
    ],
    ids=["mixed up", "with root and leaf", "all in one", "all in one, root first"],
)
def test_the_chain_comes_out_leaf_first_without_the_root_whatever_order_it_came_in(certificate: str, above: str) -> None:
    assert read(certificate=certificate, above=above).chain_pem == SERVER.chain_pem


def test_a_self_signed_certificate_is_its_own_chain() -> None:
    key = new_key()
    lone = Authority.root("a.test", key=key, **SPAN)
    usable = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    both = pem(lone.sign(name("a.test"), key, [(x509.BasicConstraints(ca=True, path_length=None), True), (usable, True)], **SPAN))
    assert read(certificate=both, key=key_pem(key), above="").chain_pem == both


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(Invalid, match="the private key does not belong to the certificate") as refused:
        read(key=key_pem(new_key()))
    assert refused.value.field == "tls_ref.private_key"


def test_an_encrypted_key_is_opened_with_its_passphrase() -> None:
    key = key_pem(SERVER.key, "open sesame").encode()
    identity = chain.read_server_identity(SERVER.cert_pem.encode(), key, b"", b"open sesame", AT)
    assert identity.key_pem.decode() == SERVER.key_pem


def test_a_certificate_that_is_not_part_of_the_chain_is_refused() -> None:
    with pytest.raises(Invalid, match=r"'CN=Other' is not part of the chain above 'CN=a.test'") as refused:
        read(above=SERVER.intermediates_pem + Authority.root("Other", **SPAN).cert_pem)
    assert refused.value.field == "tls_ref.intermediates"


def test_a_chain_with_a_gap_is_refused() -> None:
    with pytest.raises(Invalid, match="'CN=Middle' is not part of the chain"):
        read(above=pem(MIDDLE.certificate))


def test_an_impostor_with_the_issuers_name_is_not_part_of_the_chain() -> None:
    with pytest.raises(Invalid, match="'CN=Issuing' is not part of the chain"):
        read(above=Authority.root("Issuing", **SPAN).cert_pem)


def test_a_chain_of_more_than_ten_is_not_searched() -> None:
    many = "".join(Authority.root(f"CA {number}", **SPAN).cert_pem for number in range(10))
    with pytest.raises(Invalid, match="more than 10 certificates"):
        read(above=many)


def test_a_certificate_outside_its_time_is_refused() -> None:
    with pytest.raises(Invalid, match=r"'CN=a.test' expired at") as refused:
        read(at=AT + 1001 * DAY)
    assert refused.value.field == "tls_ref.certificate"
    with pytest.raises(Invalid, match=r"'CN=a.test' is not valid before"):
        read(at=AT - 2 * DAY)


def test_what_was_checked_when_it_was_chosen_can_be_read_after_its_end_and_with_no_less_care_otherwise() -> None:
    parts = (SERVER.cert_pem.encode(), SERVER.key_pem.encode(), SERVER.intermediates_pem.encode())
    assert chain.read_server_identity(*parts, None, None).chain_pem == SERVER.chain_pem
    with pytest.raises(Invalid, match="not for client authentication"):
        chain.read_client_identity(*parts, None, None)


def test_an_expired_intermediate_is_refused_under_its_own_field() -> None:
    old = ROOT.intermediate("Old", not_before=AT - 10 * DAY, not_after=AT - DAY)
    with pytest.raises(Invalid, match="'CN=Old' expired at") as refused:
        read(old.server("a.test", **SPAN))
    assert refused.value.field == "tls_ref.intermediates"


def test_a_leaf_that_signed_the_leaf_is_no_intermediate() -> None:
    false_issuer = ROOT.client("mallory", eku=NO_EKU, **SPAN)
    with pytest.raises(Invalid, match="'CN=mallory' is not a CA certificate"):
        read(Authority(false_issuer.certificate, false_issuer.key, (ROOT.certificate,)).server("a.test", **SPAN))


@pytest.mark.parametrize("eku", [NO_EKU, (SERVER_AUTH,), (CLIENT_AUTH, SERVER_AUTH)])
def test_a_certificate_for_servers_or_for_anything_may_serve(eku: tuple[x509.ObjectIdentifier, ...]) -> None:
    leaf = ROOT.server("a.test", eku=eku, **SPAN)
    assert read(leaf).leaf == leaf.certificate


def test_a_client_certificate_does_not_serve_and_a_server_certificate_is_not_shown_to_members() -> None:
    client = ROOT.client("alice", **SPAN)
    with pytest.raises(Invalid, match="'CN=alice' is not for server authentication"):
        read(client)
    parts = (SERVER.cert_pem.encode(), SERVER.key_pem.encode(), b"", None, AT)
    with pytest.raises(Invalid, match=r"certificate: 'CN=a.test' is not for client authentication"):
        chain.read_client_identity(*parts)
    shown = chain.read_client_identity(client.cert_pem.encode(), client.key_pem.encode(), b"", None, AT)
    assert (type(shown), shown.chain_pem) == (chain.ClientIdentity, client.chain_pem)


@pytest.mark.parametrize("alternative", [None, x509.RFC822Name("a@b.test"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))])
def test_a_certificate_without_a_name_of_a_server_does_not_serve(alternative: x509.GeneralName | None) -> None:
    extensions = [(x509.SubjectAlternativeName([alternative]), True)] if alternative else []
    nameless = ISSUING.client("", eku=(SERVER_AUTH,), extensions=extensions, **SPAN)
    with pytest.raises(Invalid, match=r"^tls_ref.certificate: .* no name that clients could know it by"):
        read(nameless)
    named = ISSUING.client("a.test", eku=(SERVER_AUTH,), extensions=extensions, **SPAN)
    assert read(named).leaf == named.certificate


def test_a_certificate_that_must_be_stapled_does_not_serve() -> None:
    feature = x509.TLSFeature([x509.TLSFeatureType.status_request_v2, x509.TLSFeatureType.status_request])
    stapled = ISSUING.client("a.test", sans=("a.test",), eku=(SERVER_AUTH, CLIENT_AUTH), extensions=[(feature, False)], **SPAN)
    with pytest.raises(Invalid, match=r"^tls_ref.certificate: .*must-staple"):
        read(stapled)
    shown = chain.read_client_identity(stapled.cert_pem.encode(), stapled.key_pem.encode(), b"", None, AT, FIELDS)
    assert shown.leaf == stapled.certificate


def test_a_certificate_that_may_not_sign_is_refused() -> None:
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    key = new_key()
    certificate = ROOT.sign(name("a.test"), key, [(usage, True)], **SPAN)
    with pytest.raises(Invalid, match="lacks digitalSignature"):
        read(Leaf(certificate, key, (ROOT.certificate,)))


@pytest.mark.parametrize(
    "key", [new_rsa_key(), ec.generate_private_key(ec.SECP521R1()), new_ed25519_key()], ids=lambda key: type(key).__name__
)
def test_every_kind_of_key_the_engine_serves_with_is_accepted(key: Key) -> None:
    leaf = ROOT.server("a.test", key=key, **SPAN)
    assert read(leaf).leaf == leaf.certificate


def test_a_key_marked_for_rsa_pss_alone_is_refused(tmp_path: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes", "-days", "1"]
    subprocess.run(
        [*made, "-subj", "/CN=pss", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True, capture_output=True
    )
    certificate, key = (tmp_path / "cert").read_bytes(), (tmp_path / "key").read_bytes()
    (parsed,) = chain.read_certificates(certificate, "certificate")
    with pytest.raises(Invalid):
        chain.read_server_identity(certificate, key, b"", None, parsed.not_valid_before_utc)
    with pytest.raises(Invalid, match="RSA-PSS alone"):
        chain.read_client_ca(certificate, parsed.not_valid_before_utc, "client_ca")


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_pkcs12_holds_all_in_one(passphrase: str | None) -> None:
    identity = chain.read_pkcs12(SERVER.pkcs12(passphrase), passphrase.encode() if passphrase else None, AT, "tls_ref")
    assert (identity.chain_pem, identity.key_pem.decode()) == (SERVER.chain_pem, SERVER.key_pem)


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_pkcs12_that_openssl_made_is_read(passphrase: str, tmp_path: Path) -> None:
    paths = SERVER.write(tmp_path)
    made = ["openssl", "pkcs12", "-export", "-in", str(paths.chain), "-inkey", str(paths.key), "-passout", f"pass:{passphrase}"]
    data = subprocess.run(made, check=True, capture_output=True).stdout
    assert chain.read_pkcs12(data, passphrase.encode() or None, AT, "tls_ref").chain_pem == SERVER.chain_pem


def test_pkcs12_for_members_must_be_for_clients() -> None:
    client = ISSUING.client("alice", **SPAN)
    assert chain.read_client_pkcs12(client.pkcs12(), None, AT, "tls_ref").chain_pem == client.chain_pem
    with pytest.raises(Invalid, match="tls_ref: 'CN=alice' is not for server authentication"):
        chain.read_pkcs12(client.pkcs12(), None, AT, "tls_ref")


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_pkcs12_with_the_wrong_passphrase_is_refused_without_a_trace_of_it(passphrase: bytes | None) -> None:
    with pytest.raises(Invalid, match="not a PKCS#12 file that opens with this passphrase") as refused:
        chain.read_pkcs12(SERVER.pkcs12("right"), passphrase, AT, "tls_ref")
    assert refused.value.__suppress_context__
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "why"), [(b"", "not a PKCS#12"), (b"0\x82", "not a PKCS#12"), (b"x" * 2_000_000, "larger")], ids=len
)
def test_anything_but_pkcs12_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        chain.read_pkcs12(data, None, AT, "tls_ref")


def test_pkcs12_without_a_key_is_refused(tmp_path: Path) -> None:
    paths = SERVER.write(tmp_path)
    made = ["openssl", "pkcs12", "-export", "-nokeys", "-in", str(paths.chain), "-passout", "pass:x"]
    data = subprocess.run(made, check=True, capture_output=True).stdout
    with pytest.raises(Invalid, match="must hold a certificate and its private key"):
        chain.read_pkcs12(data, b"x", AT, "tls_ref")
