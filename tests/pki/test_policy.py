"""Policy: what a request is granted, and everything it is not granted."""

import copy
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ostiary.errors import Invalid
from ostiary.pki import policy, request
from ostiary.pki.names import Names
from ostiary.pki.policy import Approved, approve
from ostiary.pki.profile import BUILT_IN, Profile
from support.certs import DAY, SERVER_AUTH, Authority, csr, name, new_ed25519_key, new_key

CLIENT, SERVER = BUILT_IN["client"], BUILT_IN["server"]
AT = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
ISSUING = Authority.root("Issuing", not_before=AT - 400 * DAY, not_after=AT.replace(microsecond=0) + 2000 * DAY)
KEY = new_key()


def granted(
    *sans: str,
    cn: str = "alice",
    profile: Profile = CLIENT,
    names: Names | None = None,
    lifetime: timedelta | None = None,
    issuer: x509.Certificate = ISSUING.certificate,
    at: datetime = AT,
) -> Approved:
    asked = request.read(csr(KEY, cn, sans=sans))
    return approve(asked, profile, names=names, lifetime=lifetime, issuer=issuer, at=at)


def authority(*extensions: tuple[x509.ExtensionType, bool], not_before: datetime = AT - DAY) -> x509.Certificate:
    return ISSUING.sign(name("Odd"), new_key(), extensions, not_before=not_before, not_after=AT + 1000 * DAY)


CA = (x509.BasicConstraints(ca=True, path_length=None), True)
MAY_SIGN = (
    x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    ),
    True,
)


def test_the_names_of_the_request_are_granted_when_the_profile_allows_them() -> None:
    assert granted("DNS:A.test", "email:a@b.test").names == Names("alice", dns=("a.test",), email=("a@b.test",))


def test_the_names_the_caller_gives_replace_those_of_the_request() -> None:
    assert granted("DNS:evil.test", names=Names("bob")).names == Names("bob")


def test_an_approval_lasts_from_a_little_before_now_for_the_default_lifetime() -> None:
    approval = granted()
    assert approval.not_before == AT.replace(microsecond=0) - timedelta(minutes=5)
    assert approval.not_after == AT.replace(microsecond=0) + timedelta(days=90)


def test_backdating_never_reaches_before_the_issuer() -> None:
    young = authority(CA, MAY_SIGN, not_before=AT.replace(microsecond=0) - timedelta(seconds=30))
    assert granted(issuer=young).not_before == young.not_valid_before_utc


def test_the_longest_lifetime_is_granted_and_one_second_more_is_not() -> None:
    longest = CLIENT.max_lifetime
    assert granted(lifetime=longest).not_after == AT.replace(microsecond=0) + longest
    with pytest.raises(Invalid, match="lifetime: profile 'client' allows at most P366D"):
        granted(lifetime=longest + timedelta(seconds=1))


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(microseconds=1)])
def test_no_lifetime_at_all_is_refused(lifetime: timedelta) -> None:
    with pytest.raises(Invalid, match="lifetime: it must be longer than nothing"):
        granted(lifetime=lifetime)


@pytest.mark.parametrize("lifetime", [None, timedelta(days=80)])
def test_a_lifetime_beyond_the_issuers_is_refused_with_the_longest_possible(lifetime: timedelta | None) -> None:
    late = ISSUING.certificate.not_valid_after_utc - timedelta(days=30, hours=5, minutes=7)
    with pytest.raises(Invalid, match=r"^lifetime: .* at most P30DT5H7M is possible"):
        granted(lifetime=lifetime, at=late)
    assert granted(lifetime=timedelta(days=30, hours=5, minutes=7), at=late).not_after == ISSUING.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=90), "P90D"),
        (timedelta(hours=2, minutes=3, seconds=9), "PT2H3M"),
        (timedelta(days=1, seconds=59), "P1D"),
        (timedelta(seconds=42), "PT42S"),
    ],
)
def test_durations_are_written_so_that_they_can_be_pasted(duration: timedelta, text: str) -> None:
    assert text == policy.duration_text(duration)


def test_an_issuer_outside_its_own_time_is_refused() -> None:
    with pytest.raises(Invalid, match=r"authority_id: .* is not valid before"):
        granted(at=ISSUING.certificate.not_valid_before_utc - DAY)
    with pytest.raises(Invalid, match=r"authority_id: .* expired at"):
        granted(at=ISSUING.certificate.not_valid_after_utc)


@pytest.mark.parametrize(
    "extensions",
    [
        (),
        (CA,),
        (MAY_SIGN,),
        ((x509.BasicConstraints(ca=False, path_length=None), True), MAY_SIGN),
    ],
)
def test_an_issuer_that_is_no_authority_is_refused(extensions: tuple[tuple[x509.ExtensionType, bool], ...]) -> None:
    with pytest.raises(Invalid, match=r"authority_id: .* may not sign certificates"):
        granted(issuer=authority(*extensions))


def test_an_issuer_for_other_purposes_is_refused() -> None:
    with pytest.raises(Invalid, match=r"authority_id: .* limited to other purposes"):
        granted(issuer=authority(CA, MAY_SIGN, (x509.ExtendedKeyUsage([SERVER_AUTH]), False)))


def test_a_key_that_is_the_authoritys_own_is_refused() -> None:
    asked = request.read(csr(ISSUING.key, "alice"))
    with pytest.raises(Invalid, match="csr: its key is the authority's own"):
        approve(asked, CLIENT, names=None, lifetime=None, issuer=ISSUING.certificate, at=AT)


@pytest.mark.parametrize("key", [new_ed25519_key(), ec.generate_private_key(ec.SECP521R1())])
def test_keys_that_envoy_does_not_take_from_clients_are_refused(key: object) -> None:
    asked = request.read(csr(key, "alice"))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match=r"csr: a key of kind .* does not fit profile 'client'; use EC P-256 or EC P-384 or RSA"):
        approve(asked, CLIENT, names=None, lifetime=None, issuer=ISSUING.certificate, at=AT)


@pytest.mark.parametrize(
    ("profile", "given_names", "wrong", "why"),
    [
        (CLIENT, Names("a", dns=("*.a.test",)), "names.dns", "does not allow the wildcard"),
        (CLIENT, Names("a", dns=("a\0.test",)), "names.dns", "is not a DNS name"),
        (CLIENT, Names(), "names", "needs a name"),
        (CLIENT, Names(organization="Acme"), "names", "needs a name"),
        (CLIENT, Names(ip=("10.0.0.1",)), "names", "needs a name"),
        (SERVER, Names("a.test"), "names", "needs a name: dns or ip"),
        (SERVER, Names("b.test", dns=("a.test",)), "names.common_name", "is not among the DNS names"),
        (SERVER, Names(dns=("a.test",), uri=("spiffe://a.test/x",)), "names.uri", "does not allow uri"),
        (SERVER, Names(dns=("a.test",), email=("a@a.test",)), "names.email", "does not allow email"),
    ],
)
def test_a_name_the_profile_does_not_allow_is_named_and_refused(
    profile: Profile, given_names: Names, wrong: str, why: str
) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        granted(profile=profile, names=given_names)
    assert wrong == refused.value.field


@pytest.mark.parametrize("given_names", [Names(dns=("*.a.test", "a.test")), Names("a.test", dns=("a.test",)), Names(ip=("::1",))])
def test_a_server_is_granted_dns_names_wildcards_and_addresses(given_names: Names) -> None:
    assert granted(profile=SERVER, names=given_names).names == given_names


def test_what_a_request_asks_beyond_the_profile_is_refused_and_not_dropped() -> None:
    asked = request.SigningRequest(KEY.public_key(), Names("alice"), ("C=NO", "emailAddress=a@b.test"))
    with pytest.raises(Invalid, match=r"csr: it asks for C=NO, emailAddress=a@b.test, which profile 'client' does not allow"):
        approve(asked, CLIENT, names=None, lifetime=None, issuer=ISSUING.certificate, at=AT)
    assert approve(asked, CLIENT, names=Names("alice"), lifetime=None, issuer=ISSUING.certificate, at=AT).names == Names("alice")


def test_nobody_else_can_make_an_approval() -> None:
    real = granted()
    values = {field.name: getattr(real, field.name) for field in dataclasses.fields(real)}
    with pytest.raises(TypeError, match=r"only ostiary.pki.policy.approve"):
        Approved(**values, proof=object())
    with pytest.raises(ValueError, match="proof"):
        dataclasses.replace(real, names=Names("root"))  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        real.names = Names("root")  # type: ignore[misc]
    assert copy.copy(real) == real


def test_the_built_in_profiles_are_bounded() -> None:
    for called, profile in BUILT_IN.items():
        assert called == profile.name
        assert timedelta(0) < profile.default_lifetime <= profile.max_lifetime
        assert profile.backdate <= timedelta(minutes=10)
        assert "key_cert_sign" not in (*profile.key_usages, *profile.rsa_key_usages)
        assert set(profile.names_required) <= set(profile.names_allowed)
