"""Authorities above and below each other: depth, names, cross-signing, and what is said when one is made."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification

from ostiary.errors import Invalid, Unavailable
from ostiary.pki import constraints, issue, keys, request
from ostiary.pki.authority_warnings import warnings
from ostiary.pki.constraints import given
from ostiary.pki.cross_sign import cross_sign
from ostiary.pki.issue import Issuer, Limits
from ostiary.pki.names import Names, SubjectFields, sans_text
from ostiary.pki.path import Path as Authorities
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from ostiary.pki.urls import NOWHERE, Urls
from support.certs import CLIENT_AUTH, DAY, Authority, csr, name, new_key, new_rsa_key, pem, usage

AT = datetime(2026, 6, 1, tzinfo=UTC)
Extensions = tuple[tuple[x509.ExtensionType, bool], ...]
A_TEST = Limits(constraints=given({"dns": ["a.test"]}, {"dns": ["secret.a.test"]}))


def root(cn: str = "Root", spec: keys.KeySpec = "EC-P256", limits: Limits = issue.NO_LIMITS, days: int = 3650) -> Issuer:
    key = keys.generate(spec)
    return Issuer(issue.create_root(SubjectFields(CN=cn), key, days * DAY, AT, limits=limits), key)


def below(
    parent: Issuer,
    *above: x509.Certificate,
    cn: str = "Issuing",
    limits: Limits = issue.NO_LIMITS,
    urls: Urls = NOWHERE,
    days: int = 900,
) -> Issuer:
    key = new_key()
    made = issue.create_intermediate(SubjectFields(CN=cn), key, parent, days * DAY, AT, above=above, limits=limits, urls=urls)
    return Issuer(made, key)


def leaf(issuer: Issuer, *above: x509.Certificate, names: Names, urls: Urls = NOWHERE) -> x509.Certificate:
    asked = request.read(csr(new_key(), "anyone"))
    approved = approve(asked, BUILT_IN["client"], names=names, lifetime=None, issuer=issuer.certificate, above=above, at=AT)
    return issue.issue(approved, issuer, AT, urls)


def path_length(certificate: x509.Certificate) -> int | None:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def openssl(folder: Path, certificate: x509.Certificate, *above: x509.Certificate) -> str:
    """What OpenSSL says of a chain whose last certificate is trusted."""
    for file, held in (("leaf", (certificate,)), ("above", above[:-1] or above), ("root", above[-1:])):
        (folder / file).write_text("".join(map(pem, held)))
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-attime",
        str(int(AT.timestamp())),
        "-CAfile",
        "root",
        "-untrusted",
        "above",
        "leaf",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout.rpartition(":")[2].strip() or done.stderr


# Depth


def test_a_root_may_be_limited_in_depth_and_an_intermediate_signs_leaves_only_unless_told() -> None:
    assert path_length(root(limits=Limits(path_length=2)).certificate) == 2
    assert path_length(root().certificate) is None
    assert path_length(below(root()).certificate) == 0
    assert path_length(below(root(), limits=Limits(path_length=3)).certificate) == 3


@pytest.mark.parametrize("wanted", [2, 3])
def test_an_intermediate_has_less_room_below_it_than_its_parent(wanted: int) -> None:
    top = root(limits=Limits(path_length=2))
    with pytest.raises(Invalid, match=r"^path_length: at most 1 is possible"):
        below(top, limits=Limits(path_length=wanted))
    assert path_length(below(top, limits=Limits(path_length=1)).certificate) == 1


def test_the_room_is_that_of_all_authorities_above(tmp_path: Path) -> None:
    top = root(limits=Limits(path_length=2))
    middle = below(top, cn="Middle", limits=Limits(path_length=1))
    with pytest.raises(Invalid, match=r"^path_length: at most 0 is possible"):
        below(middle, top.certificate, limits=Limits(path_length=1))
    low = below(middle, top.certificate)
    with pytest.raises(Invalid, match=r"^parent_id: it may not sign authorities, only leaves"):
        below(low, middle.certificate, top.certificate, cn="Too low")
    alice = leaf(low, middle.certificate, top.certificate, names=Names("alice"))
    assert openssl(tmp_path, alice, low.certificate, middle.certificate, top.certificate) == "OK"


def foreign(parent: Authority, cn: str, *extensions: tuple[x509.ExtensionType, bool], path_length: int | None = None) -> Issuer:
    """An authority as others make them: with whatever they put in, above what it may sign or not."""
    key = new_key()
    basic = [(x509.BasicConstraints(ca=True, path_length=path_length), True), (usage("key_cert_sign", "crl_sign"), True)]
    made = parent.sign(name(cn), key, [*basic, *extensions], not_before=AT - DAY, not_after=AT + 900 * DAY)
    return Issuer(made, key)


FOREIGN_ROOT = Authority.root("Foreign root", not_before=AT - DAY, not_after=AT + 900 * DAY, path_length=0)


def test_nothing_is_signed_below_an_imported_chain_that_is_deeper_than_it_may_be(tmp_path: Path) -> None:
    deep = foreign(FOREIGN_ROOT, "Deep", path_length=1)
    with pytest.raises(Invalid, match=r"^authority_id: .* has more authorities above it than those allow"):
        leaf(deep, FOREIGN_ROOT.certificate, names=Names("alice"))
    alice = leaf(deep, names=Names("alice"))  # what its parents are is not known to whoever asks so
    assert "path length constraint exceeded" in openssl(tmp_path, alice, deep.certificate, FOREIGN_ROOT.certificate)
    with pytest.raises(Invalid, match=r"^parent_id: it may not sign authorities"):
        below(deep, FOREIGN_ROOT.certificate)


def test_a_chain_that_is_none_signs_nothing() -> None:
    with pytest.raises(Unavailable, match="was not signed by 'CN=Other'"):
        leaf(below(root()), root("Other").certificate, names=Names("alice"))


# Names


def test_names_are_constrained_by_the_issuer_and_by_all_above_it(tmp_path: Path) -> None:
    top = root(limits=A_TEST)
    issuing = below(top, limits=Limits(constraints=given({"dns": ["b.a.test"]}, {})))
    chain = (issuing.certificate, top.certificate)
    for wanted, why in (
        ("c.a.test", "is not within what is permitted \\(b.a.test\\). 'CN=Issuing' is so constrained"),
        ("b.test", "is not within what is permitted"),
    ):
        with pytest.raises(Invalid, match=f"^names.dns: dns '{wanted}' {why}"):
            leaf(issuing, top.certificate, names=Names("alice", dns=(wanted,)))
    assert openssl(tmp_path, leaf(issuing, top.certificate, names=Names("alice", dns=("x.b.a.test",))), *chain) == "OK"
    plain = below(top, cn="Plain")
    with pytest.raises(Invalid, match=r"^names\.dns: dns 'x\.secret\.a\.test' is excluded \(secret\.a\.test\)\. 'CN=Root' is so"):
        leaf(plain, top.certificate, names=Names("alice", dns=("x.secret.a.test",)))


def test_names_of_the_request_are_constrained_too() -> None:
    top = root(limits=A_TEST)
    asked = request.read(csr(new_key(), "alice", sans=("DNS:evil.test",)))
    with pytest.raises(Invalid, match=r"^csr: dns 'evil\.test' is not within"):
        approve(asked, BUILT_IN["client"], names=None, lifetime=None, issuer=top.certificate, at=AT)


def test_an_imported_authoritys_constraints_hold_for_what_is_signed_below_it() -> None:
    held = foreign(FOREIGN_ROOT, "Held", (x509.NameConstraints([x509.RFC822Name("a.test")], None), True), path_length=1)
    issuing = below(held, cn="Ours")
    with pytest.raises(Invalid, match=r"^names\.email: .* is not within what is permitted \(a\.test\)\. 'CN=Held' is so"):
        leaf(issuing, held.certificate, names=Names(email=("x@b.test",)))
    assert sans_text(leaf(issuing, held.certificate, names=Names(email=("x@a.test",)))) == ("email:x@a.test",)


def test_constraints_below_others_lie_within_them() -> None:
    top = root(limits=A_TEST)
    with pytest.raises(Invalid, match=r"^name_constraints\.permitted: dns 'b\.test' lies outside .* by 'CN=Root'"):
        below(top, limits=Limits(constraints=given({"dns": ["b.test"]}, {})))
    with pytest.raises(Invalid, match=r"is excluded above \(dns 'secret\.a\.test'\)"):
        below(top, limits=Limits(constraints=given({"dns": ["x.secret.a.test"]}, {})))


def test_the_name_of_an_authority_is_constrained_as_well() -> None:
    top = root(limits=Limits(constraints=given({"directory": ["O=Acme"]}, {})))
    with pytest.raises(Invalid, match=r"^subject: directory 'CN=Issuing' is not within"):
        below(top)


def test_constraints_are_critical_and_read_as_they_were_given() -> None:
    top = root(limits=A_TEST)
    held = top.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert held.critical
    assert constraints.of(top.certificate) == A_TEST.constraints


# Where an issuer answers

WHERE = Urls(crl="http://pki.test/pki/1.crl", issuer="http://pki.test/pki/1.crt", ocsp="http://pki.test/ocsp/1")


def test_certificates_say_where_their_issuer_answers_and_say_nothing_when_it_does_not(tmp_path: Path) -> None:
    top = root()
    issuing = below(top, urls=WHERE)
    alice = leaf(issuing, top.certificate, names=Names("alice"), urls=WHERE)
    for made in (issuing.certificate, alice):
        (point,) = made.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert [held.value for held in point.full_name or ()] == [WHERE.crl]
        access = made.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert [held.access_location.value for held in access] == [WHERE.ocsp, WHERE.issuer]
    assert openssl(tmp_path, alice, issuing.certificate, top.certificate) == "OK"
    silent = {held.oid for held in leaf(issuing, names=Names("alice")).extensions}
    assert silent.isdisjoint({x509.CRLDistributionPoints.oid, x509.AuthorityInformationAccess.oid})


@pytest.mark.parametrize("url", ["ldap://pki.test/x", "pki.test", "http://a b/", "javascript:alert(1)"])
def test_an_issuer_answers_at_http_addresses_only(url: str) -> None:
    with pytest.raises(Invalid, match=r"^public_url: "):
        Urls(crl=url)


# Cross-signing


def test_a_cross_signed_authority_is_trusted_by_way_of_its_new_parent(tmp_path: Path) -> None:
    old, new = root("Old"), root("New")
    issuing = below(old)
    alice = leaf(issuing, names=Names("alice"))
    crossed = cross_sign(old.certificate, new, 900 * DAY, AT, urls=WHERE)
    assert (crossed.subject, crossed.issuer) == (old.certificate.subject, new.certificate.subject)
    assert keys.matches(crossed, old.key)
    assert crossed.serial_number != old.certificate.serial_number
    assert openssl(tmp_path, alice, issuing.certificate, crossed, new.certificate) == "OK"
    assert "unable to get" in openssl(tmp_path, alice, issuing.certificate, new.certificate)


def test_it_keeps_its_key_identifier_however_that_was_made(tmp_path: Path) -> None:
    key, odd = new_key(), x509.SubjectKeyIdentifier(b"odd")
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Odd")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(AT - DAY).not_valid_after(AT + 900 * DAY).add_extension(odd, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
    theirs, new = Issuer(builder.sign(key, hashes.SHA256()), key), root("New")
    alice = leaf(theirs, names=Names("alice"))
    crossed = cross_sign(theirs.certificate, new, 100 * DAY, AT)
    assert crossed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value == odd
    assert openssl(tmp_path, alice, crossed, new.certificate) == "OK"


def test_cross_signing_proves_that_the_key_is_held() -> None:
    issuing, new = below(root("Old")), root("New")
    with pytest.raises(Invalid, match=r"^certificate: nothing proves that the key of 'CN=Issuing' is held"):
        cross_sign(issuing.certificate, new, 100 * DAY, AT)
    with pytest.raises(Invalid, match=r"^certificate: the key given is not that of 'CN=Issuing'"):
        cross_sign(issuing.certificate, new, 100 * DAY, AT, holder=new.key)
    assert path_length(cross_sign(issuing.certificate, new, 100 * DAY, AT, holder=issuing.key)) == 0


def test_a_self_signature_that_does_not_hold_proves_nothing() -> None:
    forged = Authority(root("Old").certificate, new_key()).sign(
        name("Old"),
        new_key(),
        [(x509.BasicConstraints(ca=True, path_length=None), True), (usage("key_cert_sign"), True)],
        not_before=AT - DAY,
        not_after=AT + 900 * DAY,
    )
    assert forged.subject == forged.issuer
    with pytest.raises(Invalid, match="nothing proves that the key"):
        cross_sign(forged, root("New"), 100 * DAY, AT)


def test_a_cross_signed_authority_may_do_no_more_than_before_nor_than_its_new_parent() -> None:
    old, new = root("Old", limits=A_TEST), root("New", limits=Limits(path_length=3))
    crossed = cross_sign(old.certificate, new, 100 * DAY, AT)
    assert constraints.of(crossed) == A_TEST.constraints
    assert path_length(crossed) == 2
    tighter = Limits(path_length=0, constraints=given({"dns": ["b.a.test"], "email": ["a.test"]}, {"dns": ["x.b.a.test"]}))
    crossed = cross_sign(old.certificate, new, 100 * DAY, AT, limits=tighter)
    assert constraints.of(crossed) == given({"dns": ["b.a.test"], "email": ["a.test"]}, {"dns": ["secret.a.test", "x.b.a.test"]})
    assert path_length(crossed) == 0


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (
            Limits(constraints=given({"dns": ["b.test"]}, {})),
            r"^name_constraints\.permitted: dns 'b\.test' lies outside .* by 'CN=Old'",
        ),
        (Limits(path_length=2), r"^path_length: 'CN=Old' itself allows 1"),
    ],
)
def test_cross_signing_widens_nothing(limits: Limits, why: str) -> None:
    old = root("Old", limits=replace(A_TEST, path_length=1))
    with pytest.raises(Invalid, match=why):
        cross_sign(old.certificate, root("New"), 100 * DAY, AT, limits=limits)


def test_what_the_subject_permits_must_be_permitted_by_the_new_parent() -> None:
    new = root("New", limits=Limits(constraints=given({"dns": ["other.test"]}, {})))
    with pytest.raises(Invalid, match=r"^name_constraints\.permitted: dns 'a\.test' lies outside .* by 'CN=New'"):
        cross_sign(root("Old", limits=A_TEST).certificate, new, 100 * DAY, AT)


def test_a_cross_signed_authority_outlives_neither_parent_nor_itself() -> None:
    old, new = root("Old", days=200), root("New", days=300)
    with pytest.raises(Invalid, match=r"^lifetime_days: 'CN=Old' itself ends sooner; at most 200 days"):
        cross_sign(old.certificate, new, 250 * DAY, AT)
    with pytest.raises(Invalid, match=r"^lifetime_days: the parent ends at"):
        cross_sign(old.certificate, new, 350 * DAY, AT)


def test_authorities_do_not_cross_sign_themselves_or_those_above_them() -> None:
    top = root(limits=Limits(path_length=3))
    middle = below(top, limits=Limits(path_length=1))
    for parent, above in ((top, ()), (middle, (top.certificate,))):
        with pytest.raises(Invalid, match=r"^certificate: 'CN=Root' is the parent itself, or above it"):
            cross_sign(top.certificate, parent, 100 * DAY, AT, above=above)


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        (((usage("key_cert_sign"), True),), "no authority"),
        (((x509.BasicConstraints(ca=True, path_length=None), True), (usage("digital_signature"), True)), "no authority"),
        (
            (
                (x509.BasicConstraints(ca=True, path_length=None), True),
                (usage("key_cert_sign"), True),
                (x509.InhibitAnyPolicy(0), True),
            ),
            "limited by certificate policies",
        ),
        (
            (
                (x509.BasicConstraints(ca=True, path_length=None), True),
                (usage("key_cert_sign"), True),
                (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),
            ),
            "critical extension",
        ),
    ],
)
def test_what_cannot_be_carried_over_is_not_cross_signed(
    extensions: tuple[tuple[x509.ExtensionType, bool], ...], why: str
) -> None:
    key = new_key()
    theirs = FOREIGN_ROOT.sign(name("Theirs"), key, extensions, not_before=AT - DAY, not_after=AT + 100 * DAY)
    with pytest.raises(Invalid, match=f"^certificate: .*{why}"):
        cross_sign(theirs, root("New"), 50 * DAY, AT, holder=key)


def test_purposes_stay_limited() -> None:
    only_clients = (x509.ExtendedKeyUsage([CLIENT_AUTH]), False)
    theirs = foreign(FOREIGN_ROOT, "Clients", only_clients)
    crossed = cross_sign(theirs.certificate, root("New"), 100 * DAY, AT, holder=theirs.key)
    assert crossed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == only_clients[0]


def test_a_weak_key_is_not_cross_signed() -> None:
    weak = Authority.root("Weak", key=new_rsa_key(1024), not_before=AT - DAY, not_after=AT + 100 * DAY)
    with pytest.raises(Invalid, match="1024 bits"):
        cross_sign(weak.certificate, root("New"), 50 * DAY, AT)


# What is said when an authority is made


def accepted_by_cryptography(issuer: Issuer, names: Names) -> bool:
    alice = leaf(issuer, names=names)
    store = verification.Store([issuer.certificate])
    try:
        verification.PolicyBuilder().store(store).time(AT).build_client_verifier().verify(alice, [])
    except verification.VerificationError:
        return False
    return True


ALICE = Names("alice", dns=("a.test",))


def test_nothing_is_said_of_a_plain_authority_and_cryptography_accepts_it() -> None:
    assert warnings(root().certificate) == ()
    assert accepted_by_cryptography(root(), ALICE)


def test_an_ed25519_authority_is_refused_by_cryptography_and_that_is_said() -> None:
    made = root(spec="ED25519")
    assert "signs with Ed25519" in warnings(made.certificate)[0]
    assert not accepted_by_cryptography(made, ALICE)


@pytest.mark.parametrize(
    ("permitted", "names", "accepted", "said"),
    [
        ({"dns": ["a.test"]}, ALICE, "accepted", ""),
        ({"email": ["a.test"]}, Names(email=("x@a.test",)), "accepted", ""),
        ({"ip": ["10.0.0.0/8"]}, Names("alice", ip=("10.0.0.1",)), "accepted", "BoringSSL"),
        ({"uri": ["a.test"]}, Names(uri=("spiffe://a.test/x",)), "refused", "cryptography"),
        ({"directory": ["CN=alice"]}, ALICE, "refused", "cryptography"),
    ],
)
def test_constraints_that_some_engine_cannot_read_are_said(
    permitted: dict[str, list[str]], names: Names, accepted: str, said: str
) -> None:
    made = root(limits=Limits(constraints=given(permitted, {})))
    (kind,) = permitted
    assert accepted_by_cryptography(made, names) == (accepted == "accepted")
    about_kind = [text for text in warnings(made.certificate) if text.startswith("It constrains")]
    assert [said in text for text in about_kind] == ([True] if said else []), kind


def test_what_is_left_free_is_said_and_is_free() -> None:
    made = root(limits=Limits(constraints=given({"dns": ["a.test"]}, {})))
    assert (
        "It does not constrain IP addresses, e-mail addresses, URIs: certificates below it may carry any of those."
        in warnings(made.certificate)
    )
    anything = Names("alice", dns=("a.test",), ip=("192.0.2.1",), uri=("https://b.test/",), email=("x@b.test",))
    assert accepted_by_cryptography(made, anything)


def test_a_name_that_engines_would_refuse_alone_is_said_and_not_issued() -> None:
    made = root(limits=Limits(constraints=given({"email": ["a.test"]}, {})))
    assert any("as 'alice' does" in text for text in warnings(made.certificate))
    with pytest.raises(Invalid, match="reads as a host name"):
        leaf(made, names=Names("alice"))


def test_a_slow_key_is_said() -> None:
    key = rsa.generate_private_key(65537, 4096)
    made = issue.create_root(SubjectFields(CN="Slow"), key, 100 * DAY, AT)
    assert "RSA 4096" in warnings(made)[0]


def test_an_end_after_2049_is_written_in_another_form_and_that_is_said() -> None:
    late, soon = root(days=36_500).certificate, root(days=8000).certificate
    assert "GeneralizedTime" in warnings(late)[0]
    assert b"\x18\x0f2126" in late.tbs_certificate_bytes
    assert b"\x18\x0f" not in soon.tbs_certificate_bytes
    assert warnings(soon) == ()


@pytest.mark.parametrize("spec", ["EC-P256", "EC-P384", "ED25519", "RSA-3072"])
def test_every_kind_of_key_makes_a_hierarchy_that_openssl_validates(spec: keys.KeySpec, tmp_path: Path) -> None:
    top = root(spec=spec, limits=Limits(path_length=1))
    issuing = below(top, limits=A_TEST)
    alice = leaf(issuing, top.certificate, names=ALICE)
    chain: Authorities = (issuing.certificate, top.certificate)
    assert openssl(tmp_path, alice, *chain) == "OK"
