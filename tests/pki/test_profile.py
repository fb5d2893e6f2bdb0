"""Profiles: those that are built in keep to rules that are named, and one that makes no sense cannot be."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki import issue, keys, name_patterns, request
from ostiary.pki.constraints import given as constraints_given
from ostiary.pki.issue import Issuer, Limits
from ostiary.pki.names import NAME_KINDS, Names, SubjectFields, subject_text
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN, Profile
from ostiary.pki.profile_rules import rules
from support.certs import DAY, csr, new_key, new_rsa_key

AT = datetime(2026, 6, 1, tzinfo=UTC)
KEY, KEY_OF_OLD = new_key(), new_key()


def an_issuer(limits: Limits = issue.NO_LIMITS) -> Issuer:
    key = keys.generate("EC-P256")
    return Issuer(issue.create_root(SubjectFields(CN="Root"), key, 3650 * DAY, AT, limits=limits), key)


ISSUER = an_issuer()


def issued(profile: Profile, names: Names, key: Any = KEY, issuer: Issuer = ISSUER) -> x509.Certificate:
    asked = request.read(csr(key, "x"))
    approved = approve(asked, profile, names=names, lifetime=None, issuer=issuer.certificate, at=AT)
    return issue.issue(approved, issuer, AT)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_limit_of_a_built_in_profile_has_its_rule_and_says_where_it_stands(name: str) -> None:
    profile = BUILT_IN[name]
    said = rules(profile)
    assert said.keys() == {field.name for field in fields(profile)} - {"name", "description"}
    sources = ("RFC ", "NIST ", "CA/Browser Forum", "IEEE ", "Apple", "ours")
    assert [limit for limit, rule in said.items() if not any(source in rule for source in sources)] == []


def test_a_limit_that_was_changed_loses_the_reason_for_what_it_was() -> None:
    device = BUILT_IN["device"]
    changed = replace(device, max_lifetime=3650 * DAY)
    assert "Two years" in rules(device)["max_lifetime"]
    assert "Two years" not in rules(changed)["max_lifetime"]
    assert rules(changed)["names_allowed"] == rules(device)["names_allowed"]
    assert rules(Profile("own"))["max_lifetime"] == rules(changed)["max_lifetime"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_lifetime": timedelta(days=10)}, "default_lifetime"),
        ({"max_lifetime": timedelta(0)}, "max_lifetime"),
        ({"default_lifetime": timedelta(0)}, "default_lifetime"),
        ({"default_lifetime": timedelta(days=1, microseconds=1)}, "default_lifetime"),
        ({"backdate": timedelta(hours=2)}, "backdate"),
        ({"backdate": -timedelta(minutes=1)}, "backdate"),
        ({"extended_key_usages": ()}, "extended_key_usages"),
        ({"extended_key_usages": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "extended_key_usages"),
        ({"extended_key_usages": (ExtendedKeyUsageOID.OCSP_SIGNING,)}, "extended_key_usages"),
        ({"extended_key_usages": (ExtendedKeyUsageOID.CODE_SIGNING,)}, "extended_key_usages"),
        ({"key_usages": ("key_cert_sign",)}, "key_usages"),
        ({"rsa_key_usages": ("crl_sign",)}, "rsa_key_usages"),
        ({"key_usages": ()}, "key_usages"),
        ({"names_allowed": ("colour",)}, "names_allowed"),
        ({"names_required": ("email",)}, "names_required"),
        ({"names_required": ()}, "names_required"),
        ({"names_allowed": ("common_name", "common_name")}, "names_allowed"),
        ({"name_patterns": {"dns": ("*.a.test",)}}, "name_patterns.dns"),
        ({"name_patterns": {"common_name": ("a*b",)}}, "name_patterns.common_name"),
        ({"name_patterns": {"common_name": ()}}, "name_patterns.common_name"),
        ({"wildcards": True}, "wildcards"),
        ({"common_name_must_be_alternative": True}, "common_name_must_be_alternative"),
        ({"key_types": ("EC secp256k1",)}, "key_types"),
        ({"min_rsa_bits": 1024}, "min_rsa_bits"),
        ({"max_alternatives": 101}, "max_alternatives"),
        ({"renewal_window": 0}, "renewal_window"),
        ({"renewal_window": 101}, "renewal_window"),
        ({"approval": "three"}, "approval"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        Profile(**{"name": "own", **change})
    assert refused.value.field == field


def test_a_purpose_that_is_not_given_is_named_in_the_refusal() -> None:
    with pytest.raises(Invalid, match=r"'2\.5\.29\.37\.0' is not possible here; choose from clientAuth, serverAuth"):
        Profile("own", extended_key_usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))


def test_a_device_is_known_by_its_serial_number_and_keeps_it_for_two_years_at_most() -> None:
    device = BUILT_IN["device"]
    made = issued(device, Names("sensor 1", serial_number="SN-0001", uri=("urn:dev:1",)))
    assert subject_text(made) == "2.5.4.5=SN-0001,CN=sensor 1"
    assert made.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == "SN-0001"
    assert made.not_valid_after_utc == AT + 365 * DAY
    with pytest.raises(Invalid, match=r"^names\.serial_number: '.*' has characters other than"):
        issued(device, Names(serial_number="SN_1"))
    with pytest.raises(Invalid, match=r"^names\.email: profile 'device' does not allow email"):
        issued(device, Names(serial_number="1", email=("a@a.test",)))


def test_a_user_is_known_by_an_address_and_may_sign_in_but_not_sign_mail() -> None:
    made = issued(BUILT_IN["user"], Names("Alice", email=("alice@a.test",)))
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(Invalid, match="profile 'user' needs a name: email"):
        issued(BUILT_IN["user"], Names("Alice"))
    with pytest.raises(Invalid, match="at most 5 alternative names"):
        issued(BUILT_IN["user"], Names(email=tuple(f"a{number}@a.test" for number in range(6))))


def test_names_match_the_patterns_of_the_profile_or_are_refused_with_them() -> None:
    profile = replace(BUILT_IN["client"], name_patterns={"dns": ("*.a.test", "b.test"), "common_name": ("sensor-*",)})
    issued(profile, Names("sensor-1", dns=("x.a.test", "b.test")))
    issued(profile, Names(uri=("spiffe://b.test/x",)))  # a kind without patterns is free
    with pytest.raises(Invalid, match=r"^names\.dns: 'a\.test' matches none of .* 'client': \*\.a\.test, b\.test"):
        issued(profile, Names("sensor-1", dns=("a.test",)))
    with pytest.raises(Invalid, match=r"^names\.common_name: 'alice' matches none"):
        issued(profile, Names("alice"))


def test_an_rsa_key_is_as_long_as_the_profile_asks() -> None:
    profile = replace(BUILT_IN["client"], min_rsa_bits=3072)
    with pytest.raises(Invalid, match=r"csr: .* at least 3072 bits"):
        issued(profile, Names("alice"), new_rsa_key(2048))
    issued(profile, Names("alice"), new_rsa_key(3072))


@pytest.mark.parametrize("backdate", [timedelta(0), timedelta(minutes=30)])
def test_backdating_is_the_profiles(backdate: timedelta) -> None:
    old = Issuer(issue.create_root(SubjectFields(CN="Old"), KEY_OF_OLD, 99 * DAY, AT - DAY), KEY_OF_OLD)
    assert (
        issued(replace(BUILT_IN["client"], backdate=backdate), Names("alice"), issuer=old).not_valid_before_utc == AT - backdate
    )


# The law: whatever is asked, nothing is issued that the profile's patterns and the constraints above do not allow.

HELD = an_issuer(Limits(constraints=constraints_given({"dns": ["a.test"], "email": ["a.test"]}, {"dns": ["x.a.test"]})))
PATTERNS: dict[Any, tuple[str, ...]] = {
    "dns": ("*.a.test", "b.test"),
    "uri": ("spiffe://a.test/*",),
    "email": ("*@a.test",),
    "ip": ("10.0.0.0/8",),
    "common_name": ("sensor-*", "*.a.test"),
}
HOSTS = st.sampled_from(
    ["a.test", "b.a.test", "x.a.test", "y.x.a.test", "*.a.test", "xa.test", "b.test", "a.test.evil", "A.TEST"]
)
ASKED = st.builds(
    Names,
    common_name=st.sampled_from(["", "sensor-1", "sensor-", "b.a.test", "root", "alice"]),
    serial_number=st.sampled_from(["", "1"]),
    dns=st.lists(HOSTS, max_size=2).map(tuple),
    ip=st.lists(st.sampled_from(["10.1.2.3", "192.0.2.1", "::1"]), max_size=1).map(tuple),
    uri=st.lists(st.sampled_from(["spiffe://a.test/x", "spiffe://a.test", "spiffe://evil/a.test/"]), max_size=1).map(tuple),
    email=st.lists(st.sampled_from(["x@a.test", "x@b.a.test", "x@evil.test"]), max_size=1).map(tuple),
)


@settings(max_examples=400)
@given(name=st.sampled_from(sorted(BUILT_IN)), asked=ASKED, held=st.sampled_from(["", "held"]))
def test_nothing_is_issued_that_patterns_and_constraints_do_not_allow(name: str, asked: Names, held: str) -> None:
    original = BUILT_IN[name]
    patterns = {kind: texts for kind, texts in PATTERNS.items() if kind in original.names_allowed}
    profile, issuer = replace(original, name_patterns=patterns), HELD if held else ISSUER
    try:
        made = issued(profile, asked, issuer=issuer)
    except Invalid as refused:
        event(f"refused: {refused.field}")
        return
    event("issued")
    for kind in NAME_KINDS:
        for text in asked.of(kind):
            assert kind in original.names_allowed
            assert kind not in patterns or name_patterns.allows(patterns[kind], kind, text.lower())
    if held:
        assert not {"x.a.test", "y.x.a.test", "*.a.test", "xa.test", "b.test"} & {*asked.dns}
        assert all(text == "x@a.test" for text in asked.email)
    assert made.not_valid_after_utc - AT <= profile.max_lifetime
    assert [*made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value] == list(original.extended_key_usages)
