"""Revocation lists that we sign: what is in them, and that others accept them."""

import itertools
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID
from hypothesis import given
from hypothesis import strategies as st

from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.pki import chain, crl, issue, keys, lint, signing
from ostiary.pki.issue import Issuer
from ostiary.pki.names import SubjectFields
from support.certs import Authority, name, pem, usage

AT = datetime(2026, 6, 1, 12, 0, 0, 500, tzinfo=UTC)
THIS = AT.replace(microsecond=0)
NEXT = THIS + timedelta(days=7)
HOUR = timedelta(hours=1)


def root(key: keys.PrivateKey | None = None) -> Issuer:
    key = key or keys.generate("EC-P256")
    return Issuer(issue.create_root(SubjectFields(CN="Root", O="Acme"), key, timedelta(days=3650), AT), key)


ROOT = root()
OF_EVERY_KIND: tuple[keys.KeySpec, ...] = ("EC-P256", "EC-P384", "ED25519", "RSA-3072")
ISSUERS = {spec: root(keys.generate(spec)) for spec in OF_EVERY_KIND} | {"EC-P521": root(ec.generate_private_key(ec.SECP521R1()))}


def signed(
    issuer: Issuer = ROOT, entries: tuple[bytes, ...] = (), number: int = 7, **more: Any
) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(crl.sign(issuer, number, AT, NEXT, entries, **more))


def built(issuer: Issuer, entries: list[x509.RevokedCertificate], *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """The same list by the library's own builder, as it is before the signature (which differs every time)."""
    builder = x509.CertificateRevocationListBuilder(revoked_certificates=entries)
    builder = builder.issuer_name(issuer.certificate.subject).last_update(THIS).next_update(NEXT)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(issuer.key, signing.hash_for(issuer.key)).tbs_certlist_bytes


def built_entry(
    serial: int, at: datetime, reason: str | None = None, invalidity_date: datetime | None = None
) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
    if reason not in (None, "unspecified"):
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
    if invalidity_date is not None:
        builder = builder.add_extension(x509.InvalidityDate(invalidity_date.replace(tzinfo=None)), critical=False)
    return builder.build()


def key_identifier(issuer: Issuer) -> tuple[x509.ExtensionType, bool]:
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
def test_a_list_is_what_the_librarys_builder_makes_octet_for_octet(issuer: Issuer) -> None:
    revoked = [
        (1, AT, None, None),
        (127, AT, "keyCompromise", AT - HOUR),
        (128, AT - HOUR, "unspecified", None),
        (x509.random_serial_number(), AT, "superseded", None),
        (2**159 - 1, datetime(2051, 1, 1, tzinfo=UTC), "certificateHold", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ]
    ours = signed(issuer, tuple(crl.entry(*one) for one in revoked))
    entries = [built_entry(*one) for one in revoked]
    assert ours.tbs_certlist_bytes == built(issuer, entries, key_identifier(issuer), (x509.CRLNumber(7), False))
    assert ours.is_signature_valid(issuer.certificate.public_key())  # type: ignore[arg-type]


@given(
    st.integers(0, 2**159 - 1),
    st.datetimes(datetime(1951, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 (made aware below; before 1950 is outside X.509)
    st.sampled_from([None, *crl.REASONS]),
    st.none() | st.datetimes(datetime(1951, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 (likewise)
)
def test_an_entry_says_what_was_put_in(serial: int, at: datetime, reason: str | None, since: datetime | None) -> None:
    at, since = at.replace(tzinfo=UTC), since and since.replace(tzinfo=UTC)
    (found,) = signed(entries=(crl.entry(serial, at, reason, since),))
    assert (found.serial_number, found.revocation_date_utc) == (serial, at.replace(microsecond=0))
    said = {held.oid: held.value for held in found.extensions}
    assert not any(held.critical for held in found.extensions)
    wanted: dict[x509.ObjectIdentifier, x509.ExtensionType] = {}
    if reason not in (None, "unspecified"):
        wanted[x509.CRLReason.oid] = x509.CRLReason(x509.ReasonFlags(reason))
    if since is not None:
        wanted[x509.InvalidityDate.oid] = x509.InvalidityDate(since.replace(microsecond=0, tzinfo=None))
    assert said == wanted


def test_the_reasons_are_those_of_rfc_5280_and_the_unspecified_one_is_left_out() -> None:
    assert set(crl.REASONS) == {flag.value for flag in x509.ReasonFlags}
    assert crl.entry(1, AT, "unspecified") == crl.entry(1, AT)
    with pytest.raises(KeyError):
        crl.entry(1, AT, "boredom")


def test_a_list_is_of_version_2_with_a_number_and_the_key_it_is_signed_with() -> None:
    ours = signed(number=2**100)
    assert (ours.issuer, ours.last_update_utc, ours.next_update_utc) == (ROOT.certificate.subject, THIS, NEXT)
    assert {held.oid for held in ours.extensions} == {ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER}
    assert ours.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2**100
    assert not any(held.critical for held in ours.extensions)


def test_no_list_has_an_issuing_distribution_point() -> None:
    for found in (signed(), signed(base_number=6), signed(freshest="http://pki.test/a.delta.crl")):
        with pytest.raises(x509.ExtensionNotFound):
            found.extensions.get_extension_for_oid(ExtensionOID.ISSUING_DISTRIBUTION_POINT)


def test_an_empty_list_leaves_out_what_is_revoked() -> None:
    assert len(signed()) == 0
    assert signed().tbs_certlist_bytes == built(ROOT, [], key_identifier(ROOT), (x509.CRLNumber(7), False))


def test_a_delta_says_critically_what_it_builds_on_and_may_take_a_hold_back() -> None:
    delta = signed(entries=(crl.entry(5, AT, "removeFromCRL"),), base_number=6)
    indicator = delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert (indicator.critical, indicator.value.crl_number) == (True, 6)
    released = delta.get_revoked_certificate_by_serial_number(5)
    assert released is not None
    assert released.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.remove_from_crl


def test_a_complete_list_may_say_where_its_deltas_are() -> None:
    (where,) = signed(freshest="http://pki.test/a.delta.crl").extensions.get_extension_for_class(x509.FreshestCRL).value
    assert where.full_name == [x509.UniformResourceIdentifier("http://pki.test/a.delta.crl")]


def test_a_name_is_written_as_the_certificate_has_it() -> None:
    """Imported authorities have names in encodings of their own; verifiers compare octets before they compare letters."""
    key = keys.generate("EC-P256")
    odd = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Acme Ñ", x509.name._ASN1Type.BMPString),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root", x509.name._ASN1Type.PrintableString),
        ]
    )
    certificate = Authority.root().sign(odd, key, [(usage("crl_sign"), True)])
    ours = signed(Issuer(certificate, key))
    assert ours.issuer.public_bytes() == certificate.subject.public_bytes()
    assert certificate.subject.public_bytes() in certificate.tbs_certificate_bytes


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"next_update": AT}, "next_update: it must come after this_update"),
        ({"next_update": AT - HOUR}, "next_update: it must come after this_update"),
        ({"number": -1}, "number: it must not be negative"),
        ({"number": 2**159}, "number: .* must fit into 20 octets"),
        ({"base_number": 7}, "base_number: it must be that of an earlier list"),
        ({"base_number": -1}, "base_number: it must be that of an earlier list"),
        ({"base_number": 6, "freshest": "http://pki.test/a"}, "freshest: a delta list must not say where deltas are"),
    ],
    ids=str,
)
def test_what_cannot_be_said_in_a_list_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        crl.sign(ROOT, **(dict[str, Any](number=7, this_update=AT, next_update=NEXT, entries=()) | wrong))


def test_an_authority_that_may_not_sign_lists_signs_none() -> None:
    key = keys.generate("EC-P256")
    issuer = Issuer(Authority.root().sign(name("no lists"), key, [(usage("key_cert_sign"), True)]), key)
    with pytest.raises(Invalid, match="authority: it may not sign revocation lists"):
        signed(issuer)


def test_a_key_that_can_do_nothing_but_sign_will_do() -> None:
    """As those in tokens: the list is not handed to the library, which might want more of them."""

    class InToken(ec.EllipticCurvePrivateKey):
        curve, key_size = ec.SECP256R1(), 256
        sign, public_key = ROOT.key.sign, ROOT.key.public_key  # type: ignore[assignment]  # bound to the key that does the work
        exchange = private_numbers = private_bytes = __copy__ = __deepcopy__ = None  # type: ignore[assignment]  # not there

    found = signed(Issuer(ROOT.certificate, InToken()), (crl.entry(5, AT),))
    assert found.is_signature_valid(ROOT.key.public_key())


def test_an_authority_without_any_key_usage_may_sign_lists() -> None:
    key = keys.generate("EC-P256")
    assert len(signed(Issuer(Authority.root().sign(name("old"), key, []), key))) == 0


def test_entries_are_taken_one_after_the_other_and_only_once() -> None:
    """A million of them come from a query: they are never all held apart, nor asked for twice."""
    held, most = 0, 0

    class Entry(bytes):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def rows() -> Iterator[bytes]:
        nonlocal held, most
        for serial in range(1, 30_001):
            held += 1
            most = max(most, held)
            yield Entry(crl.entry(serial, AT))

    found = x509.load_der_x509_crl(crl.sign(ROOT, 7, AT, NEXT, rows()))
    assert len(found) == 30_000
    assert [one.serial_number for one in itertools.islice(found, 3)] == [1, 2, 3]
    assert most <= 10_001


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
def test_what_we_sign_we_would_take_from_others(issuer: Issuer) -> None:
    """The way in for lists that operators bring is the strictest reader here: it knows what the engine refuses."""
    ours = signed(issuer)
    assert chain.read_crls(pem(ours).encode(), [issuer.certificate], AT + HOUR, "crl") == (ours,)


@pytest.mark.parametrize("more", [{}, {"base_number": 6}, {"freshest": "http://pki.test/a.delta.crl"}], ids=str)
@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
def test_the_linter_finds_nothing(issuer: Issuer, more: dict[str, Any]) -> None:
    entries = tuple(crl.entry(serial, AT, reason, AT - HOUR) for serial, reason in enumerate(crl.REASONS, 1))
    assert lint.revocation_list(signed(issuer, entries, **more)) == ()
    assert lint.revocation_list(signed(issuer, **more)) == ()


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
def test_openssl_verifies_it_and_refuses_who_is_in_it(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pem(issuer.certificate))
    revoked, valid = (leaf(issuer) for _ in range(2))
    found = signed(issuer, (crl.entry(revoked.serial_number, AT, "keyCompromise"),))
    (tmp_path / "crl.pem").write_text(pem(found))
    done = run("openssl", "crl", "-verify", "-CAfile", tmp_path / "ca.pem", "-in", tmp_path / "crl.pem", "-noout")
    assert "verify OK" in done.stderr
    (tmp_path / "revoked.pem").write_text(pem(revoked))
    (tmp_path / "valid.pem").write_text(pem(valid))
    verify = ("openssl", "verify", "-crl_check", "-attime", str(int((AT + HOUR).timestamp())), "-CAfile", tmp_path / "ca.pem")
    assert "certificate revoked" in run(*verify, "-CRLfile", tmp_path / "crl.pem", tmp_path / "revoked.pem").stderr
    assert "valid.pem: OK" in run(*verify, "-CRLfile", tmp_path / "crl.pem", tmp_path / "valid.pem").stdout


def test_openssl_joins_a_delta_to_its_list(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pem(ROOT.certificate))
    # OpenSSL looks for deltas of lists that are named as having some, by the list or the certificate (x509_vfy.c, get_delta_sk).
    complete = signed(freshest="http://pki.test/a.delta.crl")
    revoked = leaf(ROOT)
    delta = signed(entries=(crl.entry(revoked.serial_number, AT, "superseded"),), number=8, base_number=7)
    (tmp_path / "crls.pem").write_text(pem(complete) + pem(delta))
    (tmp_path / "leaf.pem").write_text(pem(revoked))
    verify = ("openssl", "verify", "-crl_check", "-attime", str(int((AT + HOUR).timestamp())), "-CAfile", tmp_path / "ca.pem")
    with_lists = (*verify, "-CRLfile", tmp_path / "crls.pem")
    assert "leaf.pem: OK" in run(*with_lists, tmp_path / "leaf.pem").stdout
    assert "certificate revoked" in run(*with_lists, "-use_deltas", tmp_path / "leaf.pem").stderr


@pytest.mark.parametrize("spec", OF_EVERY_KIND)
def test_gnutls_verifies_it_and_not_when_another_authority_signed_it(spec: keys.KeySpec, tmp_path: Path) -> None:
    today(tmp_path, ISSUERS[spec].key)
    verify = ("certtool", "--verify-crl", "--infile", tmp_path / "crl.pem", "--load-ca-certificate")
    assert "Verified. The certificate is trusted." in run(*verify, tmp_path / "ca.pem").stdout
    (tmp_path / "other.pem").write_text(pem(ROOT.certificate))
    assert run(*verify, tmp_path / "other.pem").returncode == 1


@pytest.mark.parametrize("spec", ["EC-P256", "EC-P384", "RSA-3072"])  # NSS of Debian 12 has no Ed25519
def test_nss_verifies_it_and_not_when_another_authority_signed_it(spec: keys.KeySpec, tmp_path: Path) -> None:
    today(tmp_path, ISSUERS[spec].key)
    database = ("-d", f"sql:{tmp_path}")
    take = ("crlutil", *database, "-I", "-i", tmp_path / "crl.der")
    assert run("certutil", *database, "-N", "--empty-password").returncode == 0
    assert "SEC_ERROR_UNKNOWN_ISSUER" in run(*take).stderr
    added = run("certutil", *database, "-A", "-n", "ca", "-t", "CT,C,C", "-i", tmp_path / "ca.pem")
    assert (added.returncode, run(*take).returncode) == (0, 0)
    assert "5 (0x5)" in run("crlutil", *database, "-L", "-n", "ca").stdout


def today(folder: Path, key: keys.PrivateKey) -> None:
    """An authority and its list, valid now: not every tool can be told what time it is."""
    at = now()
    issuer = Issuer(issue.create_root(SubjectFields(CN="Today"), key, timedelta(days=30), at), key)
    der = crl.sign(issuer, 7, at, at + timedelta(days=7), [crl.entry(5, at, "keyCompromise", at - HOUR)])
    (folder / "ca.pem").write_text(pem(issuer.certificate))
    (folder / "crl.der").write_bytes(der)
    (folder / "crl.pem").write_text(pem(x509.load_der_x509_crl(der)))


def leaf(issuer: Issuer) -> x509.Certificate:
    above = Authority(issuer.certificate, issuer.key)
    return above.client("leaf", not_before=AT - HOUR, not_after=AT + timedelta(days=30)).certificate


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
