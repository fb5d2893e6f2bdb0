"""Issued certificates: what is in them, and that others accept them."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ostiary.errors import Invalid, Unavailable
from ostiary.pki import issue, keys, names, request
from ostiary.pki.issue import Issuer
from ostiary.pki.names import Names, SubjectFields
from ostiary.pki.policy import Approved, approve
from ostiary.pki.profile import BUILT_IN
from support.certs import csr, new_key, new_rsa_key, pem

AT = datetime(2026, 6, 1, 12, 0, 0, 500, tzinfo=UTC)
NOW = AT.replace(microsecond=0)
DAYS = timedelta(days=1)
ALICE = Names("alice", "Acme", "Sales", dns=("alice.test",), uri=("spiffe://a.test/alice",), email=("alice@a.test",))


def root(spec: keys.KeySpec = "EC-P256", lifetime: timedelta = 3650 * DAYS) -> Issuer:
    key = keys.generate(spec)
    return Issuer(issue.create_root(SubjectFields(CN="Root", O="Acme"), key, lifetime, AT), key)


def intermediate(parent: Issuer, spec: keys.KeySpec = "EC-P256", lifetime: timedelta = 1825 * DAYS) -> Issuer:
    key = keys.generate(spec)
    return Issuer(issue.create_intermediate(SubjectFields(CN="Issuing", O="Acme"), key, parent, lifetime, AT), key)


ROOT = root()
ISSUING = intermediate(ROOT)


def approved(wanted: Names = ALICE, profile: str = "client", issuer: Issuer = ISSUING, asked: str = "") -> Approved:
    read = request.read(asked or csr(new_key(), "anyone"))
    return approve(read, BUILT_IN[profile], names=wanted, lifetime=None, issuer=issuer.certificate, at=AT)


def issued(wanted: Names = ALICE, profile: str = "client", issuer: Issuer = ISSUING, asked: str = "") -> x509.Certificate:
    return issue.issue(approved(wanted, profile, issuer, asked), issuer, AT)


def openssl_verify(certificate: x509.Certificate, purpose: str, folder: Path, *authorities: Issuer) -> str:
    leaf, above, anchor = folder / "leaf.pem", folder / "above.pem", folder / "root.pem"
    leaf.write_text(pem(certificate))
    above.write_text("".join(pem(authority.certificate) for authority in authorities[:-1]) or pem(certificate))
    anchor.write_text(pem(authorities[-1].certificate))
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-attime", str(int(AT.timestamp())), "-purpose", purpose]
    done = subprocess.run([*command, "-CAfile", anchor, "-untrusted", above, leaf], capture_output=True, text=True, check=False)
    return done.stdout.rpartition(":")[2].strip() or done.stderr


def test_a_client_certificate_holds_what_was_approved_and_the_profiles_usages() -> None:
    key = new_key()
    certificate = issued(asked=csr(key, "anyone", sans=("DNS:evil.test",)))
    assert keys.matches(certificate, key)
    assert names.subject_text(certificate) == "CN=alice,OU=Sales,O=Acme"
    assert names.sans_text(certificate) == ("DNS:alice.test", "URI:spiffe://a.test/alice", "email:alice@a.test")
    assert certificate.issuer == ISSUING.certificate.subject
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (NOW - timedelta(minutes=5), NOW + 90 * DAYS)
    assert usages(certificate) == {"digital_signature"}
    assert purposes(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).critical
    assert not certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_a_server_certificate_is_for_servers_and_its_rsa_keys_may_encipher() -> None:
    wanted = Names(dns=("a.test",), ip=("10.0.0.1",))
    assert usages(issued(wanted, "server")) == {"digital_signature"}
    certificate = issued(wanted, "server", asked=csr(new_rsa_key(), "x"))
    assert usages(certificate) == {"digital_signature", "key_encipherment"}
    assert purposes(certificate) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert names.sans_text(certificate) == ("DNS:a.test", "IP:10.0.0.1")


def test_alternative_names_are_critical_when_they_are_all_there_is() -> None:
    certificate = issued(Names(dns=("a.test",)))
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_without_alternative_names_there_is_no_such_extension() -> None:
    assert names.sans_text(issued(Names("alice"))) == ()


def test_key_identifiers_lead_from_leaf_to_issuer() -> None:
    certificate = issued()
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = ISSUING.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.key_identifier == subject.digest
    assert (authority.authority_cert_issuer, authority.authority_cert_serial_number) == (None, None)


def test_an_approval_for_one_authority_is_not_signed_by_another() -> None:
    with pytest.raises(Unavailable, match="approved for another authority"):
        issue.issue(approved(), ROOT, AT)


@pytest.mark.parametrize("at", [AT - DAYS, AT + 90 * DAYS])
def test_an_approval_is_not_signed_when_the_clock_has_jumped(at: datetime) -> None:
    with pytest.raises(Unavailable, match="approved for another time"):
        issue.issue(approved(), ISSUING, at)


def test_an_issuer_needs_the_key_of_its_certificate_and_does_not_show_it() -> None:
    with pytest.raises(Unavailable, match="does not belong to this authority's certificate"):
        Issuer(ROOT.certificate, new_key())
    assert "key" not in repr(ROOT)


def test_a_root_may_sign_certificates_and_lists_and_sets_no_depth() -> None:
    certificate = ROOT.certificate
    assert (certificate.subject, usages(certificate)) == (certificate.issuer, {"key_cert_sign", "crl_sign"})
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=None))
    assert certificate.not_valid_after_utc == NOW + 3650 * DAYS


def test_an_intermediate_may_sign_leaves_only() -> None:
    constraints = ISSUING.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    with pytest.raises(Invalid, match=r"parent_id: it may not sign authorities, only leaves"):
        intermediate(ISSUING, lifetime=10 * DAYS)


def test_a_leaf_is_no_parent() -> None:
    key = new_key()
    leaf = issue.issue(approved(asked=csr(key, "x")), ISSUING, AT)
    with pytest.raises(Invalid, match="parent_id: it may not sign authorities"):
        intermediate(Issuer(leaf, key))


def test_an_intermediate_does_not_outlive_its_parent() -> None:
    parent = root(lifetime=100 * DAYS)
    with pytest.raises(Invalid, match=r"lifetime_days: the parent ends at .*; at most 99 days are possible"):
        intermediate(parent, lifetime=101 * DAYS)


def test_a_parent_outside_its_own_time_signs_nothing() -> None:
    with pytest.raises(Invalid, match="parent_id: it is valid only until"):
        issue.create_intermediate(SubjectFields(CN="Late"), new_key(), ROOT, 10 * DAYS, AT + 4000 * DAYS)


def test_an_intermediate_has_a_name_and_a_key_of_its_own() -> None:
    with pytest.raises(Invalid, match="subject: it is the parent's own"):
        issue.create_intermediate(SubjectFields(CN="Root", O="Acme"), new_key(), ROOT, 10 * DAYS, AT)
    with pytest.raises(Invalid, match="key: it is the parent's own"):
        issue.create_intermediate(SubjectFields(CN="Other"), ROOT.key, ROOT, 10 * DAYS, AT)


@pytest.mark.parametrize("lifetime", [timedelta(0), -DAYS, 36_501 * DAYS])
def test_an_authority_without_end_or_beginning_is_refused(lifetime: timedelta) -> None:
    with pytest.raises(Invalid, match="lifetime_days: it must be from 1 to 36500 days"):
        root(lifetime=lifetime)


@pytest.mark.parametrize(
    ("spec", "digest"), [("EC-P256", hashes.SHA256), ("EC-P384", hashes.SHA384), ("RSA-3072", hashes.SHA256), ("ED25519", None)]
)
def test_every_kind_of_authority_signs_with_a_hash_that_fits_its_key(
    spec: keys.KeySpec, digest: type | None, tmp_path: Path
) -> None:
    top = root(spec)
    below = intermediate(top, spec)
    certificate = issued(issuer=below)
    algorithm = certificate.signature_hash_algorithm
    assert (algorithm and type(algorithm)) == digest
    assert openssl_verify(certificate, "sslclient", tmp_path, below, top) == "OK"


def test_openssl_accepts_each_certificate_for_its_own_purpose_only(tmp_path: Path) -> None:
    client, server = issued(), issued(Names(dns=("a.test",)), "server")
    assert openssl_verify(client, "sslclient", tmp_path, ISSUING, ROOT) == "OK"
    assert openssl_verify(server, "sslserver", tmp_path, ISSUING, ROOT) == "OK"
    assert "unsuitable certificate purpose" in openssl_verify(client, "sslserver", tmp_path, ISSUING, ROOT)
    assert "unsuitable certificate purpose" in openssl_verify(server, "sslclient", tmp_path, ISSUING, ROOT)
    assert openssl_verify(ISSUING.certificate, "crlsign", tmp_path, ROOT) == "OK"


def test_cryptography_accepts_client_and_server_chains() -> None:
    policy = verification.PolicyBuilder().store(verification.Store([ROOT.certificate])).time(NOW)
    client = policy.build_client_verifier().verify(issued(), [ISSUING.certificate])
    assert [name.value for name in client.subjects or []] == ["alice.test", "spiffe://a.test/alice", "alice@a.test"]
    server = issued(Names(dns=("a.test",)), "server")
    assert policy.build_server_verifier(x509.DNSName("a.test")).verify(server, [ISSUING.certificate])[-1] == ROOT.certificate


@pytest.mark.parametrize("kind", ["root", "intermediate", "client", "client with a name only", "server"])
def test_pkilint_finds_nothing_wrong(kind: str, tmp_path: Path) -> None:
    # Left out: wildcards and the scheme spiffe, which pkilint's general RFC 5280 rules do not know.
    client = Names("alice", "Acme", "Sales", ("a.test",), ("10.0.0.1",), ("https://a.test/alice",), ("alice@a.test",))
    makers: dict[str, Callable[[], x509.Certificate]] = {
        "root": lambda: ROOT.certificate,
        "intermediate": lambda: ISSUING.certificate,
        "client": lambda: issued(client),
        "client with a name only": lambda: issued(Names("alice")),
        "server": lambda: issued(Names("a.test", dns=("a.test",), ip=("::1",)), "server"),
    }
    file = tmp_path / "certificate.pem"
    file.write_text(pem(makers[kind]()))
    linter = Path(sys.executable).with_name("lint_pkix_cert")
    done = subprocess.run([linter, "lint", "--severity", "NOTICE", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def usages(certificate: x509.Certificate) -> set[str]:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    always = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_cert_sign", "crl_sign")
    return {name for name in (*always, "key_agreement") if getattr(usage, name)}


def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


# The law: whatever is asked, a certificate holds the names that were asked for and allowed, and nothing else that was asked.

KEY = new_key()
LEAF_EXTENSIONS = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
WISHES: list[x509.ExtensionType] = [
    x509.BasicConstraints(ca=False, path_length=None),
    x509.BasicConstraints(ca=True, path_length=3),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
    ROOT.certificate.extensions.get_extension_for_class(x509.KeyUsage).value,
    x509.NameConstraints([x509.DNSName("a.test")], None),
    x509.SubjectKeyIdentifier(b"chosen by the requester"),
    x509.OCSPNoCheck(),
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
]
odd_text = st.text(st.characters(codec="ascii"), max_size=12)
dns_names = st.sampled_from(["a.test", "A.test", "b.test", "*.a.test"])
alternative_names = st.one_of(
    dns_names.map(x509.DNSName),
    odd_text.map(x509.DNSName),
    st.ip_addresses().map(x509.IPAddress),
    st.sampled_from(["spiffe://a.test/x", "https://a.test/"]).map(x509.UniformResourceIdentifier),
    odd_text.map(x509.UniformResourceIdentifier),
    st.just(x509.RFC822Name("a@b.test")),
    st.just(x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
)
subject_parts = st.tuples(
    st.sampled_from([x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME, x509.NameOID.LOCALITY_NAME]),
    st.one_of(st.sampled_from(["alice", "a.test"]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)),
)


@settings(max_examples=300)
@given(
    subject=st.lists(subject_parts, max_size=3),
    alternatives=st.lists(alternative_names, max_size=4),
    wishes=st.lists(st.sampled_from(WISHES), unique_by=lambda wish: wish.oid, max_size=4),
    profile=st.sampled_from(sorted(BUILT_IN)),
    given_names=st.none()
    | st.builds(Names, common_name=st.sampled_from(["", "a.test"]), dns=st.lists(dns_names, max_size=3).map(tuple)),
)
def test_whatever_is_asked_only_approved_names_and_the_profiles_usages_are_signed(
    subject: list[tuple[x509.ObjectIdentifier, str]],
    alternatives: list[x509.GeneralName],
    wishes: list[x509.ExtensionType],
    profile: str,
    given_names: Names | None,
) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(*part) for part in subject]))
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    for wish in wishes:
        builder = builder.add_extension(wish, critical=True)
    try:
        read = request.read(pem(builder.sign(KEY, hashes.SHA256())))
        approval = approve(read, BUILT_IN[profile], names=given_names, lifetime=None, issuer=ISSUING.certificate, at=AT)
    except Invalid as refused:
        event(f"refused: {refused.field}")
        return
    event("issued")
    certificate = issue.issue(approval, ISSUING, AT)
    asked = given_names or read.names
    asked_alternatives = {text.lower() for kind in names.ALTERNATIVE_KINDS for text in asked.of(kind)}
    carried = [text.partition(":")[2] for text in names.sans_text(certificate)]
    assert not any(wish == x509.BasicConstraints(ca=True, path_length=3) for wish in wishes)
    assert {held.oid for held in certificate.extensions} <= LEAF_EXTENSIONS
    assert {text.lower() for text in carried} == asked_alternatives
    assert len(set(carried)) == len(carried)
    assert [part.value for part in certificate.subject] == [part for part in (asked.organization, asked.common_name) if part]
    assert purposes(certificate) == list(BUILT_IN[profile].extended_key_usages)
    assert usages(certificate) == {"digital_signature"}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert ISSUING.certificate.not_valid_before_utc <= certificate.not_valid_before_utc
    assert certificate.not_valid_after_utc <= min(NOW + BUILT_IN[profile].max_lifetime, ISSUING.certificate.not_valid_after_utc)
    certificate.verify_directly_issued_by(ISSUING.certificate)
