"""The lint gate: what breaks a rule is refused before the authority's key signs, and a shape that passed is not linted again."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki import issue, keys, lint, request
from ostiary.pki.constraints import given as given_constraints
from ostiary.pki.issue import Issuer, Limits
from ostiary.pki.names import Names, SubjectFields
from ostiary.pki.policy import Approved, approve
from ostiary.pki.profile import BUILT_IN, PURPOSES, Profile
from support.certs import Authority, csr, name, new_key, new_rsa_key, usage

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAYS = timedelta(days=1)
KEY = new_key()
REQUEST = request.read(csr(KEY, "anyone"))


def root(key: keys.PrivateKey | None = None) -> Issuer:
    key = key or new_key()
    return Issuer(issue.create_root(SubjectFields(CN="Root"), key, 3650 * DAYS, AT), key)


ROOT = root()


def approved(wanted: Names, profile: Profile | str = "client", issuer: Issuer = ROOT) -> Approved:
    chosen = BUILT_IN[profile] if isinstance(profile, str) else profile
    return approve(REQUEST, chosen, names=wanted, lifetime=None, issuer=issuer.certificate, at=AT)


class Watched(ec.EllipticCurvePrivateKey):
    """A key that counts what it signs."""

    def __init__(self) -> None:
        self._key = new_key()
        self.signed = 0

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        self.signed += 1
        return self._key.sign(data, signature_algorithm)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.curve

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise NotImplementedError

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        raise NotImplementedError

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002 (its name there)
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> bytes:
        raise NotImplementedError

    def __copy__(self) -> "Watched":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Watched":
        return self


def with_two_names_in_one(key: keys.PrivateKey) -> Issuer:
    """An authority that others made: its subject has one part with two common names (RFC 5280 4.1.2.4, X.501 9.3)."""
    twice = [x509.NameAttribute(NameOID.COMMON_NAME, text) for text in ("One", "Other")]
    subject = x509.Name([x509.RelativeDistinguishedName(twice)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, AT - DAYS, AT + 900 * DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
    return Issuer(builder.sign(key, hashes.SHA256()), key)


def test_what_breaks_a_rule_is_refused_in_the_rules_words_before_the_authority_signs() -> None:
    key = Watched()
    issuer = with_two_names_in_one(key)
    key.signed = 0
    with pytest.raises(Invalid, match=r"duplicate_attribute_types .*tbsCertificate\.issuer") as refused:
        issue.issue(approved(Names("alice"), issuer=issuer), issuer, AT)
    assert (refused.value.field, key.signed) == ("csr", 0)


def test_an_authority_that_would_break_a_rule_is_refused_before_its_parent_signs() -> None:
    key = Watched()
    issuer = with_two_names_in_one(key)
    key.signed = 0
    with pytest.raises(Invalid, match="duplicate_attribute_types") as refused:
        issue.create_intermediate(SubjectFields(CN="Issuing"), new_key(), issuer, 100 * DAYS, AT)
    assert (refused.value.field, key.signed) == ("subject", 0)


def test_a_good_certificate_is_signed_once() -> None:
    key = Watched()
    issuer = root(key)
    key.signed = 0
    issue.issue(approved(Names("alice"), issuer=issuer), issuer, AT)
    issue.issue(approved(Names("bob"), issuer=issuer), issuer, AT)
    assert key.signed == 2


def shaped(make: Callable[[], x509.Certificate], **different: Any) -> lint.Shape:
    extensions: lint.Extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName(different.pop("names", [x509.DNSName("a.test")])), different.pop("critical", False)),
        *different.pop("more", ()),
    ]
    usual: dict[str, Any] = {
        "subject": name("alice"),
        "public_key": KEY.public_key(),
        "validity": (AT, AT + DAYS),
        "extensions": extensions,
        "issuer_fingerprint": "00",
    }
    return lint.shape(**usual | different, make=make)


def maker() -> tuple[Callable[[], x509.Certificate], list[int]]:
    calls = list[int]()

    def make() -> x509.Certificate:
        calls.append(1)
        return ROOT.certificate

    return make, calls


def test_one_certificate_of_a_shape_is_linted_and_the_next_is_known() -> None:
    make, calls = maker()
    lint.refuse_bad_shape(shaped(make, issuer_fingerprint="once"))
    next_one: dict[str, Any] = {"subject": name("bob"), "names": [x509.DNSName("b.test"), x509.DNSName("c.test")]}
    lint.refuse_bad_shape(shaped(make, issuer_fingerprint="once", public_key=new_key().public_key(), **next_one))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "different",
    [
        {"issuer_fingerprint": "another"},
        {"public_key": new_rsa_key().public_key()},
        {"subject": name("alice", O="Acme")},
        {"names": [x509.RFC822Name("a@b.test")]},
        {"critical": True},
        {"validity": (AT, AT.replace(year=2051))},
        {"more": [(x509.OCSPNoCheck(), False)]},
        {"more": [(x509.ExtendedKeyUsage([next(iter(PURPOSES.values()))]), False)]},
    ],
    ids=lambda different: next(iter(different)),
)
def test_whatever_a_rule_may_depend_on_makes_another_shape(different: dict[str, Any]) -> None:
    make, calls = maker()
    lint.refuse_bad_shape(shaped(make, issuer_fingerprint="usual"))
    calls.clear()
    lint.refuse_bad_shape(shaped(make, **{"issuer_fingerprint": "usual", **different}))
    assert len(calls) == 1
    lint.refuse_bad_shape(shaped(make, **{"issuer_fingerprint": "usual", **different}))
    assert len(calls) == 1


def test_a_shape_that_was_refused_is_asked_again() -> None:
    calls = list[int]()

    def make() -> x509.Certificate:
        calls.append(1)
        return with_two_names_in_one(new_key()).certificate

    for _ in range(2):
        with pytest.raises(Invalid):
            lint.refuse_bad_shape(shaped(make, issuer_fingerprint="bad"))
    assert len(calls) == 2


# The law behind linting a shape once: no value that policy approves, in a shape that passed, breaks a rule.

labels = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?|xn--bcher-kva|[a-z]{63}", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
locals_ = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}", fullmatch=True)
uris = st.one_of(
    hosts.map(lambda host: f"https://{host}:8443/%20;a,b?c=d#e"),
    hosts.map(lambda host: f"spiffe://{host}/Some_path/x.1"),
    st.sampled_from(("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "tag:a.test,2020:x", "https://[::1]/", "mailto:a@b.test")),
    st.from_regex(r"[a-z][a-z0-9+.-]{0,8}:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]{1,40}", fullmatch=True),
)
parts = st.text(st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs")), max_size=64)
names = st.builds(
    Names,
    common_name=parts,
    organization=parts,
    organizational_unit=parts,
    serial_number=st.from_regex(r"[A-Za-z0-9 '()+,./:=?-]{0,64}", fullmatch=True),
    dns=st.lists(hosts | hosts.map("*.{}".format), max_size=3).map(tuple),
    ip=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple),
    uri=st.lists(uris, max_size=2).map(tuple),
    email=st.lists(st.tuples(locals_, hosts).map("@".join), max_size=2).map(tuple),
)
ANYTHING = replace(
    BUILT_IN["client"],
    name="anything",
    names_allowed=("common_name", "organization", "organizational_unit", "serial_number", "dns", "ip", "uri", "email"),
    names_required=("common_name", "organization", "organizational_unit", "serial_number", "dns", "ip", "uri", "email"),
    wildcards=True,
)


@settings(max_examples=150)
@given(names)
@example(Names(uri=(f"spiffe://{'.'.join(['a' * 63] * 4)[:253]}/x",)))
@example(Names(dns=(".".join(["a" * 63] * 4)[:253],), email=(f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 61}",)))
def test_no_name_that_policy_approves_breaks_a_rule(wanted: Names) -> None:
    try:
        approval = approved(wanted, ANYTHING)
    except Invalid as refused:
        event(f"refused: {refused.field}")
        return
    assert lint.certificate(issue.issue(approval, ROOT, AT)) == ()
    event("issued")


def test_a_trust_domain_longer_than_a_host_name_is_refused_by_our_own_rule() -> None:
    with pytest.raises(Invalid, match="not a SPIFFE ID"):
        approved(Names(uri=(f"spiffe://{'.'.join(['a' * 63] * 4)[:254]}/x",)))


def test_a_name_that_our_own_rules_refuse_is_not_excused() -> None:
    """The linter's findings about names are dropped only when our own rule, which cites the RFC, finds the name good."""
    signer = Authority.root("Root", not_before=AT - DAYS, not_after=AT + 100 * DAYS)
    good = signer.client(sans=("DNS:localhost", "DNS:*.a.test", "URI:spiffe://a/b", "email:a@host"), not_before=AT)
    assert lint.certificate(good.certificate) == ()
    for bad, code in (
        ("DNS:a..test", "domain_name"),
        ("URI:a/b", "uri"),
        ("email:@a.test", "email_address"),
        ("DNS:a b", "domain_name"),
    ):
        found = lint.certificate(signer.client(sans=(bad,), not_before=AT).certificate)
        assert [(finding.severity, code in finding.code) for finding in found] == [("ERROR", True)], bad
        assert all(finding.refuses for finding in found)


def test_constraints_on_names_are_judged_as_what_they_are_parts_of_names() -> None:
    permitted = {"dns": ["test"], "email": ["root@host", "host", ".host"], "uri": ["host", ".host"], "ip": ["10.0.0.0/8"]}
    limits = Limits(constraints=given_constraints(permitted, {"dns": ["internal.test"], "directory": ["O=Acme"]}))
    certificate = issue.create_root(SubjectFields(CN="Root"), KEY, 100 * DAYS, AT, limits=limits)
    assert lint.certificate(certificate) == ()


def test_what_cannot_be_read_is_a_finding_too() -> None:
    (found,) = lint.ocsp_response(b"0\x03abc")
    assert (found.refuses, found.severity) == (True, "FATAL")


def test_a_warning_is_told_and_does_not_refuse() -> None:
    signer = Authority.root("Root", not_before=AT - DAYS, not_after=AT + 100 * DAYS)
    certificate = signer.sign(name("alice"), KEY, [(usage("digital_signature"), False)], not_before=AT)
    (found,) = lint.refuse_bad(certificate, "csr")
    assert (found.severity, found.refuses, found.code) == ("WARNING", False, "pkix.key_usage_extension_not_critical")


def test_a_bad_list_is_found_bad() -> None:
    signer = Authority.root("Root", not_before=AT - DAYS, not_after=AT + 100 * DAYS)
    good = x509.load_pem_x509_crl(signer.crl([1, 2], last_update=AT, next_update=AT + DAYS).encode())
    assert lint.revocation_list(good) == ()
    builder = x509.CertificateRevocationListBuilder(signer.certificate.subject, AT, AT + DAYS)
    found = lint.revocation_list(builder.sign(signer.key, hashes.SHA256()))
    assert {finding.code for finding in found} == {"pkix.authority_key_identifier_missing", "pkix.crl_number_missing"}


IN_A_NEW_PROCESS = """
import sys, threading
from ostiary.pki import lint
assert not any(name.startswith("pkilint") for name in sys.modules), "imported before anything is linted"
answers, ready = [], threading.Barrier(8)
def ask():
    ready.wait()
    answers.append([finding.severity for finding in lint.ocsp_response(b"0\\x03abc")])
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert answers == [["FATAL"]] * 8, answers
"""


def test_the_linter_is_imported_when_first_needed_by_however_many_at_once() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", IN_A_NEW_PROCESS], check=True)


def test_starting_the_program_does_not_import_the_linter() -> None:
    program = "import sys, ostiary.cli.main, ostiary.serve, ostiary.demo; assert 'pkilint' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_two_threads_may_lint_the_same_shape_at_once() -> None:
    failed = list[BaseException]()
    approval = approved(Names("alice"))

    def work() -> None:
        try:
            issue.issue(approval, ROOT, AT)
        except BaseException as error:  # noqa: BLE001 (told to the main thread)
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
