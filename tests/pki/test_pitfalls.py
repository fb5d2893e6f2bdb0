"""One test for every security pitfall of PKI.md §5 that issuing and trusting certificates can fall into, by its number there."""

import base64
import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ostiary.errors import Invalid, Refusal, Unavailable
from ostiary.pki import chain, issue, keys, names, policy, renewal, request
from ostiary.pki.issue import Issuer
from ostiary.pki.names import Names, SubjectFields
from ostiary.pki.profile import BUILT_IN
from ostiary.pki.sealing import Sealer, new_kek
from support.certs import DAY, Authority, csr, key_pem, new_key, new_rsa_key, pem

AT = datetime(2026, 6, 1, tzinfo=UTC)


def an_issuer(lifetime: timedelta = 3650 * DAY) -> Issuer:
    key = new_key()
    return Issuer(issue.create_root(SubjectFields(CN="Root"), key, lifetime, AT), key)


ISSUER = an_issuer()


def sign(text: str, given_names: Names | None = None, at: datetime = AT) -> x509.Certificate:
    asked = request.read(text)
    approved = policy.approve(asked, BUILT_IN["client"], names=given_names, lifetime=None, issuer=ISSUER.certificate, at=at)
    return issue.issue(approved, ISSUER, at)


def test_pitfall_1_serial_numbers_are_long_positive_random_and_never_repeat() -> None:
    asked = csr(new_key(), "alice")
    serials = [sign(asked).serial_number for _ in range(300)]
    assert len(set(serials)) == len(serials)
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials).bit_length() > 150  # 159 random bits: that 300 of them all begin with nine zeros happens never


def test_pitfall_2_possession_of_the_key_is_proved_before_anything_is_granted() -> None:
    der = bytearray(x509.load_pem_x509_csr(csr(new_key(), "alice").encode()).public_bytes(Encoding.DER))
    der[der.index(b"alice")] ^= 1
    with pytest.raises(Invalid, match="no proof of possession"):
        sign(pem(x509.load_der_x509_csr(bytes(der))))


def test_pitfall_3_an_email_in_the_subject_does_not_become_a_name_and_a_dn_is_not_read_as_text() -> None:
    key = new_key()
    email = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "alice"), x509.NameAttribute(NameOID.EMAIL_ADDRESS, "root@a.test")]
    )
    asking = x509.CertificateSigningRequestBuilder().subject_name(email).sign(key, hashes.SHA256())
    with pytest.raises(Invalid, match=r"asks for .*=root@a.test, which profile 'client' does not allow"):
        sign(pem(asking))
    assert names.sans_text(sign(pem(asking), Names("alice"))) == ()
    signed = sign(csr(new_key(), "mallory,CN=root"))
    assert [part.value for part in signed.subject] == ["mallory,CN=root"]
    assert names.subject_text(signed) == r"CN=mallory\,CN=root"


def test_pitfall_4_extensions_are_not_copied_and_no_request_makes_an_authority() -> None:
    code_signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    signed = sign(csr(new_key(), "alice", extensions=[(code_signing, True)]))
    assert [*signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value] == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(Invalid, match="CA:TRUE"):
        sign(csr(new_key(), "alice", extensions=[(x509.BasicConstraints(ca=True, path_length=0), True)]))


def test_pitfall_5_path_length_and_name_constraints_are_enforced_when_signing() -> None:
    key = new_key()
    below = Issuer(issue.create_intermediate(SubjectFields(CN="Issuing"), key, ISSUER, 100 * DAY, AT), key)
    with pytest.raises(Invalid, match="path length 0"):
        issue.create_intermediate(SubjectFields(CN="Third"), new_key(), below, 10 * DAY, AT)
    above = Authority(ISSUER.certificate, new_key())
    constraints = (x509.NameConstraints([x509.DNSName("a.test")], None), True)
    usage = (ISSUER.certificate.extensions.get_extension_for_class(x509.KeyUsage).value, True)
    extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), usage, constraints]
    constrained = above.sign(ISSUER.certificate.subject, key, extensions, not_before=AT - DAY, not_after=AT + 100 * DAY)
    issuer = Issuer(constrained, key)

    def approved(wanted: Names) -> policy.Approved:
        asked = request.read(csr(new_key(), "anyone", sans=("DNS:evil.test",)))
        return policy.approve(asked, BUILT_IN["client"], names=wanted, lifetime=None, issuer=constrained, at=AT)

    with pytest.raises(Invalid, match=r"names\.dns: dns 'b\.test' is not within what is permitted \(a\.test\)"):
        approved(Names("alice", dns=("b.test",)))
    good = issue.issue(approved(Names("alice", dns=("b.a.test",))), issuer, AT)
    assert renewal.names_in(issue.issue(approved(renewal.names_in(good)), issuer, AT)) == Names("alice", dns=("b.a.test",))
    # Signed before there were constraints, or by whoever had the key: not renewed.
    bad = Authority(constrained, key).client("alice", sans=("DNS:b.test",)).certificate
    with pytest.raises(Invalid, match="is not within what is permitted"):
        approved(renewal.names_in(bad))


def test_pitfall_6_weak_keys_and_the_authoritys_own_key_are_refused_whoever_calls() -> None:
    weak = request.SigningRequest(new_rsa_key(1024).public_key(), Names("alice"))  # as a protocol that reads no CSR would make it
    for asked in (weak, request.SigningRequest(ISSUER.key.public_key(), Names("alice"))):
        with pytest.raises(Invalid, match="csr"):
            policy.approve(asked, BUILT_IN["client"], names=None, lifetime=None, issuer=ISSUER.certificate, at=AT)


def test_pitfall_7_backdating_is_bounded_and_the_end_is_never_cut_silently() -> None:
    assert AT - sign(csr(new_key(), "alice")).not_valid_before_utc == timedelta(minutes=5)
    with pytest.raises(Invalid, match="lifetime"):
        sign(csr(new_key(), "alice"), at=ISSUER.certificate.not_valid_after_utc - DAY)
    approved = policy.approve(
        request.read(csr(new_key(), "a")), BUILT_IN["client"], names=None, lifetime=None, issuer=ISSUER.certificate, at=AT
    )
    with pytest.raises(Unavailable, match="another time"):
        issue.issue(approved, ISSUER, AT - DAY)


def test_pitfall_19_keys_at_rest_are_sealed_and_never_seen_in_errors_or_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = new_key()
    secrets = [line for line in key_pem(key).splitlines() if "-----" not in line]
    sealed = Sealer(new_kek()).seal(keys.to_pem(key), "authority 1")
    broken = key_pem(key).replace(secrets[1][:4], "!!!!")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: Sealer(new_kek()).open(sealed, "authority 1"),
        lambda: keys.load(broken.encode(), None, "key"),
        lambda: keys.load((key_pem(key) * 2).encode(), None, "key"),
        lambda: chain.read_certificates(key_pem(key).encode(), "certificate"),
        lambda: request.read(key_pem(key)),
        lambda: Issuer(ISSUER.certificate, key),
        lambda: chain.read_pkcs12(key_pem(key).encode(), None, AT, "tls_ref"),
    )
    seen = repr(Issuer(ISSUER.certificate, ISSUER.key)) + sealed.hex()
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            attempt()
        seen += "".join(traceback.format_exception(refused.value)) + caplog.text
    assert not any(secret in seen for secret in secrets)


@pytest.mark.parametrize(
    ("read", "size"),
    [
        (lambda data: request.read(data.decode()), 64 * 1024),
        (lambda data: keys.load(data, None, "key"), 64 * 1024),
        (lambda data: chain.read_certificates(data, "ca"), 1024 * 1024),
        (lambda data: chain.read_crls(data, (ISSUER.certificate,), AT, "crl"), 8 * 1024 * 1024),
        (lambda data: chain.read_pkcs12(data, None, AT, "tls_ref"), 1024 * 1024),
    ],
    ids=["csr", "key", "certificates", "crls", "pkcs12"],
)
def test_pitfall_22_everything_hostile_has_a_size_beyond_which_it_is_not_parsed(
    read: Callable[[bytes], object], size: int
) -> None:
    with pytest.raises(Invalid, match="it is larger than"):
        read(b"x" * (size + 1))


def test_pitfall_22_certificates_that_all_claim_to_be_each_others_issuer_are_not_searched() -> None:
    many = "".join(Authority.root("Same").cert_pem for _ in range(11))
    leaf = Authority.root("Same").server("a.test")
    with pytest.raises(Invalid, match="more than 10 certificates"):
        chain.read_server_identity(
            leaf.cert_pem.encode(), leaf.key_pem.encode(), many.encode(), None, leaf.certificate.not_valid_before_utc
        )


def test_pitfall_23_what_the_engine_gets_is_only_what_was_understood() -> None:
    authority = Authority.root("Root")
    read = chain.read_client_ca(
        ("words before\n" + authority.cert_pem + "words after").encode(), authority.certificate.not_valid_before_utc, "ca"
    )
    assert chain.to_pem(read) == authority.cert_pem
    der = authority.certificate.public_bytes(Encoding.DER)
    trailing = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der + b'0').decode()}\n-----END CERTIFICATE-----\n"
    with pytest.raises(Invalid, match="cannot be read"):
        chain.read_client_ca(trailing.encode(), authority.certificate.not_valid_before_utc, "ca")


def test_pitfall_24_an_authority_is_told_from_its_namesake_by_key_and_not_by_name() -> None:
    first, second = Authority.root("Root"), Authority.root("Root")
    leaf = first.server("a.test")
    with pytest.raises(Invalid, match="is not part of the chain"):
        chain.read_server_identity(
            leaf.cert_pem.encode(), leaf.key_pem.encode(), second.cert_pem.encode(), None, leaf.certificate.not_valid_before_utc
        )
    at = first.certificate.not_valid_before_utc + DAY
    with pytest.raises(Invalid, match="is not signed by any"):
        chain.read_crls(first.crl().encode(), (second.certificate,), at, "crl")
