"""Name constraints: what is allowed below an authority, judged as RFC 5280 says and as engines do."""

import functools
import importlib.resources
import ipaddress
import subprocess
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, event, example, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki import constraints, signatures
from ostiary.pki.constraints import Constraints, given
from support.certs import DAY, Authority, name, new_key, pem, san, usage

AT = datetime(2026, 6, 1, tzinfo=UTC)
Texts = dict[str, list[str]]


def permitting(**kinds: list[str]) -> Constraints:
    return given(kinds, {})


def excluding(**kinds: list[str]) -> Constraints:
    return given({}, kinds)


def judged(held: Constraints, *sans: str, subject: x509.Name | None = None) -> str:
    """What is wrong with a leaf of these names, or nothing."""
    return str(held.allows(subject or x509.Name([]), [san(text) for text in sans]) or "")


@pytest.mark.parametrize(
    ("kind", "constraint", "inside", "outside"),
    [
        (
            "dns",
            "a.test",
            ("DNS:a.test", "DNS:b.a.test", "DNS:c.b.A.test", "DNS:*.a.test"),
            ("DNS:xa.test", "DNS:test", "DNS:*.test"),
        ),
        ("ip", "10.0.0.0/8", ("IP:10.0.0.0", "IP:10.255.255.255"), ("IP:11.0.0.0", "IP:::1", "IP:::ffff:10.0.0.1")),
        ("ip", "2001:db8::/32", ("IP:2001:db8::1",), ("IP:2001:db9::1", "IP:32.1.13.184")),
        ("email", "root@a.test", ("email:root@a.test", "email:root@A.test"), ("email:x@a.test", "email:root@b.a.test")),
        ("email", "a.test", ("email:x@a.test", "email:x@A.TEST"), ("email:x@b.a.test", "email:x@xa.test")),
        ("email", ".a.test", ("email:x@b.a.test", "email:x@c.b.a.test"), ("email:x@a.test", "email:x@xa.test")),
        (
            "uri",
            "a.test",
            ("URI:spiffe://a.test/x", "URI:https://A.test:8443/"),
            ("URI:https://b.a.test/", "URI:https://a.test.evil/"),
        ),
        (
            "uri",
            ".a.test",
            ("URI:https://b.a.test/",),
            ("URI:https://a.test/", "URI:https://xa.test/", "URI:https://b.test/.a.test"),
        ),
    ],
)
def test_what_is_inside_is_permitted_or_excluded_and_what_is_outside_is_not(
    kind: str, constraint: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    permitted, excluded = given({kind: [constraint]}, {}), given({}, {kind: [constraint]})
    for text in inside:
        assert judged(permitted, text) == ""
        assert "is excluded" in judged(excluded, text)
    for text in outside:
        assert "is not within what is permitted" in judged(permitted, text)
        if text != "DNS:*.test":  # that one covers a.test
            assert judged(excluded, text) == ""


def test_the_violation_names_the_name_and_the_constraint() -> None:
    found = permitting(dns=["a.test", "b.test"]).allows(x509.Name([]), [san("DNS:a.test"), san("DNS:evil.test")])
    assert found == constraints.Violation("dns", "evil.test", "is not within what is permitted (a.test, b.test)")


def test_a_kind_that_is_not_mentioned_is_free() -> None:
    assert judged(permitting(dns=["a.test"]), "IP:10.0.0.1", "email:x@b.test", "URI:https://b.test/", "DNS:a.test") == ""


def test_what_is_excluded_is_excluded_within_what_is_permitted_too() -> None:
    held = given({"dns": ["a.test"]}, {"dns": ["secret.a.test"]})
    assert judged(held, "DNS:b.a.test") == ""
    assert "is excluded (secret.a.test)" in judged(held, "DNS:x.secret.a.test")


def test_a_wildcard_must_not_cover_what_is_excluded() -> None:
    held = excluding(dns=["secret.a.test"])
    assert "is excluded" in judged(held, "DNS:*.a.test")
    assert judged(held, "DNS:*.b.a.test") == ""


def test_everything_is_excluded_by_an_empty_dns_name() -> None:
    assert "is excluded" in judged(excluding(dns=[""]), "DNS:a.test")
    with pytest.raises(Invalid, match="leave the kind out"):
        permitting(dns=[""])


def test_an_excluded_mailbox_is_excluded_however_it_is_written() -> None:
    assert "is excluded" in judged(excluding(email=["root@a.test"]), "email:ROOT@a.test")
    assert "not within" in judged(permitting(email=["root@a.test"]), "email:ROOT@a.test")


@pytest.mark.parametrize("uri", ["URI:urn:uuid:1", "URI:https://10.0.0.1/", "URI:https://[::1]/", "URI:https:///x"])
def test_a_uri_without_a_host_name_is_refused_where_uris_are_constrained(uri: str) -> None:
    for held in (permitting(uri=["a.test"]), excluding(uri=["a.test"])):
        assert "names no host" in judged(held, uri)
    assert judged(permitting(dns=["a.test"]), uri) == ""


def test_a_directory_name_is_within_when_it_begins_alike_whatever_the_case_and_spaces() -> None:
    held = permitting(directory=["OU=Sales,O=Acme  Inc"])
    for cn, parts in (("alice", {"O": "Acme Inc", "OU": "Sales"}), ("bob", {"O": "ACME inc", "OU": "sales"})):
        assert judged(held, "DNS:a.test", subject=name(cn, **parts)) == ""
    for parts in ({"O": "Acme Inc"}, {"OU": "Sales", "O": "Acme Inc"}, {"O": "Acme", "OU": "Sales"}):
        assert "not within" in judged(held, "DNS:a.test", subject=name("alice", **parts))
    assert judged(held, "DNS:a.test") == ""  # RFC 5280 4.2.1.10: an empty subject is not restricted


def test_an_address_in_the_subject_is_constrained_like_any_other() -> None:
    email = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "root@evil.test")])
    assert "'root@evil.test' is not within" in judged(permitting(email=["a.test"]), "DNS:a.test", subject=email)


def test_a_common_name_that_is_a_host_name_is_constrained_when_no_dns_name_is_given() -> None:
    held = permitting(dns=["a.test"])
    assert "'www.evil.test' is not within" in judged(held, "email:x@a.test", subject=name("www.evil.test"))
    assert judged(held, "DNS:b.a.test", subject=name("www.evil.test")) == ""
    assert judged(held, "email:x@a.test", subject=name("Alice of evil.test")) == ""


@pytest.mark.parametrize("cn", ["alice", "a.test", "*.a.test", "under_score", "a:b", "a.test."])
def test_a_common_name_that_reads_as_a_host_name_is_not_enough_below_any_constraint(cn: str) -> None:
    for held in (permitting(dns=["a.test"]), permitting(email=["a.test"]), excluding(ip=["10.0.0.0/8"])):
        assert "reads as a host name" in judged(held, subject=name(cn))
        assert "reads as" not in judged(held, "DNS:a.test", subject=name(cn))
    assert judged(Constraints(), subject=name(cn)) == ""
    assert not permitting(email=["a.test"]).allows(name(cn), leaf=False)


@pytest.mark.parametrize("cn", ["Alice Smith", "a..test", "-a", "älice", ""])
def test_a_common_name_that_cannot_be_a_host_name_is_enough(cn: str) -> None:
    assert judged(permitting(dns=["a.test"]), subject=name(cn)) == ""


def raw(*permitted: x509.GeneralName, excluded: tuple[x509.GeneralName, ...] = ()) -> Constraints:
    """As another authority may have written them."""
    authority, key = Authority.root("Root"), new_key()
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (usage("key_cert_sign"), True),
        (x509.NameConstraints(permitted or None, excluded or None), True),
    ]
    return constraints.of(authority.sign(name("Odd"), key, extensions))


def test_a_leading_dot_for_dns_names_permits_only_what_is_below_and_excludes_the_name_too() -> None:
    assert judged(raw(x509.DNSName(".a.test")), "DNS:b.a.test") == ""
    assert "not within" in judged(raw(x509.DNSName(".a.test")), "DNS:a.test")
    assert "is excluded" in judged(raw(excluded=(x509.DNSName(".a.test"),)), "DNS:a.test")


@pytest.mark.parametrize(
    ("odd", "leaf"),
    [
        (x509.DNSName("a..test"), "DNS:a.test"),
        (x509.UniformResourceIdentifier(""), "URI:https://a.test/"),
        (x509.RFC822Name("a..test"), "email:x@a.test"),
    ],
)
def test_what_cannot_be_understood_permits_nothing_and_excludes_everything(odd: x509.GeneralName, leaf: str) -> None:
    assert "not within" in judged(raw(odd), leaf)
    assert "is excluded" in judged(raw(excluded=(odd,)), leaf)


def test_constraints_of_kinds_that_we_never_sign_are_left_to_verifiers() -> None:
    assert judged(raw(x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))), "DNS:a.test") == ""


ALL: Texts = {
    "dns": ["a.test"],
    "ip": ["10.0.0.0/8", "2001:db8::/32"],
    "email": ["a.test", ".a.test", "root@b.test"],
    "uri": [".a.test"],
    "directory": ["OU=Sales,O=Acme,C=NO"],
}


def test_what_is_written_into_a_certificate_is_what_is_read_from_it() -> None:
    held = given(ALL, {**ALL, "dns": ["b.test"], "ip": [], "email": [], "uri": [], "directory": []})
    extension = held.extension()
    assert raw(*(extension.permitted_subtrees or ()), excluded=tuple(extension.excluded_subtrees or ())) == held
    assert held.by_kind()[0] == {kind: tuple(texts) for kind, texts in ALL.items()}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("dns", ".a.test"),
        ("dns", "*.a.test"),
        ("dns", "a..test"),
        ("ip", "10.0.0.1/8"),
        ("ip", "all"),
        ("email", "*@a.test"),
        ("email", "a.test."),
        ("uri", "https://a.test"),
        ("uri", "*.a.test"),
        ("uri", ""),
        ("directory", "Acme"),
        ("directory", ""),
    ],
)
def test_what_engines_would_read_differently_cannot_be_written(kind: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        given({kind: [text]}, {})
    assert refused.value.field == f"name_constraints.permitted.{kind}"


def test_what_is_excluded_cannot_be_permitted_at_once() -> None:
    with pytest.raises(Invalid, match=r"'b.a.test' is excluded too"):
        given({"dns": ["b.a.test"]}, {"dns": ["a.test"]})


def test_there_is_an_end_to_constraints() -> None:
    with pytest.raises(Invalid, match="at most 200"):
        given({"dns": [f"n{number}.test" for number in range(201)]}, {})


@pytest.mark.parametrize(
    ("kind", "outer", "inner"),
    [
        ("dns", "a.test", "b.a.test"),
        ("ip", "10.0.0.0/8", "10.1.0.0/16"),
        ("email", "a.test", "root@a.test"),
        ("email", ".a.test", "b.a.test"),
        ("email", ".a.test", ".b.a.test"),
        ("email", ".a.test", "root@b.a.test"),
        ("uri", ".a.test", "b.a.test"),
        ("directory", "O=Acme", "OU=Sales,O=Acme"),
    ],
)
def test_constraints_lie_within_those_above_or_the_difference_is_named(kind: str, outer: str, inner: str) -> None:
    wide, narrow = given({kind: [outer]}, {}), given({kind: [inner]}, {})
    assert wide.within(wide) is None
    assert narrow.within(wide) is None
    assert f"'{outer}' lies outside of what is permitted above ({kind} '{inner}')" in (wide.within(narrow) or "")
    assert "is excluded above" in (narrow.within(given({}, {kind: [outer]})) or "")
    assert wide.within(given({}, {kind: [inner]})) is None
    assert Constraints().within(narrow) is None


def test_constraints_of_other_kinds_are_within() -> None:
    assert permitting(dns=["a.test"]).within(permitting(email=["b.test"])) is None


# NIST PKITS 4.13: what others made, with the outcome that they say it has.

PKITS = Path(str(importlib.resources.files("cryptography_vectors"))) / "x509" / "PKITS_data" / "certs"


@functools.cache
def pkits() -> tuple[x509.Certificate, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd encodings, which some of them have on purpose
        return tuple(x509.load_der_x509_certificate(file.read_bytes()) for file in sorted(PKITS.glob("*ameConstraint*.crt")))


def above(certificate: x509.Certificate) -> list[x509.Certificate]:
    found = [one for one in pkits() if one != certificate and signatures.is_signed_by(certificate, one)]
    return [found[0], *above(found[0])] if found else []


@pytest.mark.parametrize("case", sorted(file.name for file in PKITS.glob("*ameConstraints*Test*EE.crt")))
def test_pkits_is_judged_as_its_makers_say(case: str) -> None:
    leaf = x509.load_der_x509_certificate((PKITS / case).read_bytes())
    chain = [leaf, *above(leaf)]
    assert len(chain) > 1
    wrong = [
        violation
        for position, certificate in enumerate(chain)
        if certificate is leaf or certificate.subject != certificate.issuer  # RFC 5280 6.1.3 b: not of the self-issued
        for authority in chain[position + 1 :]
        if (
            violation := constraints.of(authority).allows(
                certificate.subject, alternatives(certificate), leaf=certificate is leaf
            )
        )
    ]
    assert bool(wrong) == case.startswith("Invalid"), wrong


def alternatives(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


# The law: what we allow, other engines validate. (They may allow more.)

LABELS = st.sampled_from(["a", "b", "xa", "test"])
HOSTS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
NETWORKS = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32"])
SUBTREES = st.one_of(
    st.tuples(st.just("dns"), HOSTS | st.just("")),
    st.tuples(st.just("ip"), NETWORKS),
    st.tuples(st.just("email"), HOSTS | HOSTS.map(lambda host: f"A@{host}") | HOSTS.map(lambda host: f".{host}")),
)
URI_SUBTREES = st.tuples(st.just("uri"), HOSTS | HOSTS.map(lambda host: f".{host}"))
DIRECTORY_SUBTREES = st.tuples(st.just("directory"), st.sampled_from(["O=Acme", "O=ACME", "OU=Sales,O=Acme", "C=NO"]))
SANS = st.one_of(
    HOSTS.map(lambda host: f"DNS:{host}"),
    HOSTS.map(lambda host: f"DNS:*.{host}.test"),
    st.sampled_from(["IP:10.0.0.1", "IP:10.1.0.1", "IP:192.0.2.1", "IP:2001:db8::1"]),
    st.builds(lambda local, host: f"email:{local}@{host}", st.sampled_from(["a", "A"]), HOSTS),
)
URIS = HOSTS.map(lambda host: f"URI:https://{host}/x")
ACME = (name("A B", O="Acme"), name("A B", O="Acme", OU="Sales"))
SUBJECTS = st.sampled_from([name("Alice A"), name("alice"), name("www.a.test"), *ACME])
ROOT, CA_KEY, LEAF_KEY = Authority.root("Root", not_before=AT - DAY, not_after=AT + 3650 * DAY), new_key(), new_key()


def chain_of(
    permitted: list[tuple[str, str]], excluded: list[tuple[str, str]], subject: x509.Name, sans: list[str]
) -> tuple[str, x509.Certificate, x509.Certificate]:
    """(our judgement, the constrained CA, the leaf)."""
    grouped: list[dict[str, list[str]]] = [{}, {}]
    for group, subtrees in zip(grouped, (permitted, excluded), strict=True):
        for kind, text in subtrees:
            group.setdefault(kind, []).append(text)
    held = given(grouped[0], grouped[1])
    extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (usage("key_cert_sign", "crl_sign"), True)]
    constrained = [(held.extension(), True)] if held else []
    ca = ROOT.sign(name("CA of many words"), CA_KEY, [*extensions, *constrained], not_before=AT - DAY, not_after=AT + 99 * DAY)
    issuing = Authority(ca, CA_KEY, (ROOT.certificate,))
    leaf = issuing.client(subject=subject, sans=sans, key=LEAF_KEY, not_before=AT - DAY, not_after=AT + 9 * DAY).certificate
    return judged(held, *sans, subject=subject), ca, leaf


subtrees = st.lists(SUBTREES, max_size=3)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given_any(permitted=subtrees, excluded=subtrees, subject=SUBJECTS, sans=st.lists(SANS, min_size=1, max_size=3, unique=True))
@example(permitted=[], excluded=[("dns", "b.a.test")], subject=name("A B"), sans=["DNS:*.a.test"])
def test_what_is_allowed_is_accepted_by_cryptography(
    permitted: list[tuple[str, str]], excluded: list[tuple[str, str]], subject: x509.Name, sans: list[str]
) -> None:
    try:
        ours, ca, leaf = chain_of(permitted, excluded, subject, sans)
    except Invalid:
        return
    event("refused" if ours else "allowed")
    verifier = verification.PolicyBuilder().store(verification.Store([ROOT.certificate])).time(AT).build_client_verifier()
    if not ours:
        assert verifier.verify(leaf, [ca]).chain


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)
@given_any(
    permitted=st.lists(SUBTREES | URI_SUBTREES | DIRECTORY_SUBTREES, max_size=3),
    excluded=st.lists(SUBTREES | URI_SUBTREES | DIRECTORY_SUBTREES, max_size=2),
    subject=SUBJECTS,
    sans=st.lists(SANS | URIS, max_size=3, unique=True),
)
def test_what_is_allowed_is_accepted_by_openssl(
    permitted: list[tuple[str, str]], excluded: list[tuple[str, str]], subject: x509.Name, sans: list[str], tmp_path: Path
) -> None:
    try:
        ours, ca, leaf = chain_of(permitted, excluded, subject, sans)
    except Invalid:
        return
    event("refused" if ours else "allowed")
    if not ours:
        assert openssl_verify(ca, leaf, tmp_path) == "OK"


def openssl_verify(ca: x509.Certificate, leaf: x509.Certificate, folder: Path) -> str:
    for file, certificate in (("root", ROOT.certificate), ("ca", ca), ("leaf", leaf)):
        (folder / file).write_text(pem(certificate))
    command = [
        "openssl",
        "verify",
        "-attime",
        str(int(AT.timestamp())),
        "-purpose",
        "sslclient",
        "-CAfile",
        "root",
        "-untrusted",
        "ca",
    ]
    done = subprocess.run([*command, "-untrusted", "ca", "leaf"], capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout.rpartition(":")[2].strip() or done.stderr


def test_networks_are_compared_as_they_are_written() -> None:
    assert permitting(ip=["10.0.0.0/255.0.0.0"]).permitted[0].value == ipaddress.ip_network("10.0.0.0/8")
