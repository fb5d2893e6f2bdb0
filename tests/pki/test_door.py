"""What happens at the handshake, and what is told of it; `tests/live/test_explain_handshake.py` asks a real Envoy the same."""

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ostiary.clock import now
from ostiary.envoy.wire import MAX_ISSUERS
from ostiary.errors import Invalid
from ostiary.model.tls import Trust
from ostiary.pki.door import ISSUERS_MAX, Check, Handshake, judge_handshake
from support import crooked, strange
from support.certs import DAY, NO_EKU, Authority, Leaf, Updates, Validity, key_pem, new_key, self_signed_client

ROOT = Authority.root("root")
ISSUING = ROOT.intermediate("issuing", path_length=None)
OTHER = Authority.root("other")
NAMES = (
    "presented",
    "readable",
    "key",
    "issuer",
    "extensions",
    "purpose",
    "path_length",
    "revocation",
    "signature",
    "validity",
    "names",
    "policies",
)


def trust(*authorities: Authority, lists: str = "") -> Trust:
    return Trust(name="trust", certificates="".join(each.cert_pem for each in authorities or (ROOT,)), crls=lists)


def judge(leaf: Leaf, given: Trust | None = None, at: datetime | None = None) -> Handshake:
    return judge_handshake(leaf.chain_pem, given or trust(), "MANDATORY", at or now())


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def failed(handshake: Handshake) -> Check:
    (found,) = (check for check in handshake.checks if check.passed is False)
    return found


def test_a_good_certificate_is_let_in_and_its_issuer_named() -> None:
    leaf = ISSUING.client("alice")
    handshake = judge(leaf)
    assert (handshake.allowed, handshake.code, handshake.would_be) == (True, None, None)
    assert handshake.fingerprint_sha256 == fingerprint(leaf.certificate)
    assert handshake.issuer_fingerprint_sha256 == fingerprint(ISSUING.certificate)
    assert tuple(check.name for check in handshake.checks) == NAMES
    assert all(check.passed and check.detail for check in handshake.checks)


def test_each_check_says_whether_it_passed_failed_or_was_not_reached() -> None:
    handshake = judge(ISSUING.client("alice", eku=(ExtendedKeyUsageOID.SERVER_AUTH,)))
    assert handshake.code == "wrong_purpose"
    assert [check.passed for check in handshake.checks] == [True] * 5 + [False] + [None] * 6
    assert failed(handshake).name == "purpose"
    assert "'CN=alice' is not for client authentication" in handshake.detail
    assert handshake.issuer_fingerprint_sha256 is None


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")


@pytest.mark.parametrize(
    ("leaf", "code", "check"),
    [
        (OTHER.client(), "unknown_authority", "issuer"),
        (self_signed_client(), "unknown_authority", "issuer"),
        (ROOT.expired_client(), "expired", "validity"),
        (ROOT.future_client(), "not_yet_valid", "validity"),
        (ROOT.server_only_client(), "wrong_purpose", "purpose"),
        (ROOT.client(eku=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)), "wrong_purpose", "purpose"),
        (ROOT.client(extensions=[(UNKNOWN, True)]), "malformed", "extensions"),
        (Authority(OTHER.certificate, ROOT.key).client(), "unknown_authority", "issuer"),
    ],
)
def test_what_is_wrong_has_its_code(leaf: Leaf, code: str, check: str) -> None:
    handshake = judge(leaf)
    assert (handshake.allowed, handshake.code, failed(handshake).name) == (False, code, check)


def test_of_several_things_that_are_wrong_the_engines_first_is_told() -> None:
    gone = Validity(not_before=now() - 9 * DAY, not_after=now() - DAY)
    assert judge(ROOT.client(eku=(ExtendedKeyUsageOID.SERVER_AUTH,), **gone)).code == "wrong_purpose"
    assert judge(OTHER.client(**gone)).code == "unknown_authority"
    leaf = ROOT.client(**gone)
    assert judge(leaf, trust(lists=ROOT.crl([leaf]))).code == "revoked"


def test_a_forged_signature_is_told_with_whose_it_should_be() -> None:
    forger = Authority(ISSUING.certificate, ISSUING.key, ISSUING.above)
    honest = forger.client("alice")
    octets = bytearray(honest.certificate.public_bytes(Encoding.DER))
    octets[-1] ^= 1
    shown = strange.pem("CERTIFICATE", bytes(octets)) + honest.intermediates_pem
    handshake = judge_handshake(shown, trust(), "MANDATORY", now())
    assert (handshake.code, failed(handshake).name) == ("bad_signature", "signature")
    assert "'CN=issuing'" in handshake.detail


def test_no_purpose_is_any_purpose() -> None:
    assert judge(ROOT.client(eku=NO_EKU)).allowed


def test_the_chain_that_is_not_shown_is_missed_unless_it_is_trusted() -> None:
    leaf = Leaf(ISSUING.client().certificate, new_key())
    assert judge(leaf).code == "unknown_authority"
    assert judge(leaf, trust(ROOT, ISSUING)).allowed
    assert judge(leaf, trust(ISSUING)).allowed


def test_lists_are_asked_for_as_envoy_is_told_to() -> None:
    leaf, both = ISSUING.client(), ROOT.crl() + ISSUING.crl()
    assert judge(leaf, trust(lists=both)).allowed
    assert judge(leaf, trust(lists=ISSUING.crl())).code == "status_unknown"
    assert judge(leaf, trust(lists=ROOT.crl() + ISSUING.crl([leaf]))).code == "revoked"
    assert judge(leaf, trust(lists=ROOT.crl([ISSUING.certificate]) + ISSUING.crl())).code == "revoked"
    assert judge(leaf, trust(ISSUING, lists=ISSUING.crl())).allowed
    assert judge(ISSUING.intermediate("below").client(), trust(ISSUING, lists=ISSUING.crl())).code == "unknown_authority"


def test_a_list_that_has_ended_refuses_from_that_second_on() -> None:
    ends = now().replace(microsecond=0) + DAY
    lists, leaf = ROOT.crl(**Updates(last_update=now() - DAY, next_update=ends)), ROOT.client()
    assert judge(leaf, trust(lists=lists), ends - timedelta(seconds=1)).allowed
    late = judge(leaf, trust(lists=lists), ends)
    assert (late.code, failed(late).name) == ("status_unknown", "revocation")


def test_a_certificate_is_good_to_the_second_before_it_ends() -> None:
    ends = now().replace(microsecond=0) + DAY
    leaf = ROOT.client(not_before=now() - DAY, not_after=ends)
    assert judge(leaf, at=ends - timedelta(microseconds=1)).allowed
    assert judge(leaf, at=ends).code == "expired"


def test_more_authorities_than_envoy_goes_through_are_too_many() -> None:
    assert ISSUERS_MAX == MAX_ISSUERS
    levels = [ROOT]
    for number in range(ISSUERS_MAX):
        levels.append(levels[-1].intermediate(f"level {number}", path_length=None))
    assert judge(levels[ISSUERS_MAX - 1].client()).allowed
    assert judge(levels[ISSUERS_MAX].client()).code == "chain_too_long"


def test_without_a_certificate_the_mode_decides() -> None:
    judged = {mode: judge_handshake(None, trust(), mode, now()) for mode in ("OPTIONAL", "MANDATORY", "REHEARSAL")}
    assert [(mode, one.allowed, one.code, one.would_be) for mode, one in judged.items()] == [
        ("OPTIONAL", True, None, None),
        ("MANDATORY", False, "no_certificate", None),
        ("REHEARSAL", True, None, "no_certificate"),
    ]
    assert judge_handshake(None, None, "NONE", now()).allowed


def test_a_door_that_trusts_nobody_is_no_door() -> None:
    with pytest.raises(Invalid):
        judge_handshake(None, None, "OPTIONAL", now())


def test_a_rehearsal_lets_in_and_says_what_it_would_have_been() -> None:
    handshake = judge_handshake(ROOT.expired_client().chain_pem, trust(), "REHEARSAL", now())
    assert (handshake.allowed, handshake.code, handshake.would_be) == (True, None, "expired")
    assert failed(handshake).name == "validity"
    assert judge_handshake(ROOT.client().chain_pem, trust(), "REHEARSAL", now()).would_be is None


def test_what_no_handshake_can_be_made_with_is_refused_in_a_rehearsal_too() -> None:
    garbage = strange.pem("CERTIFICATE", b"garbage")
    handshake = judge_handshake(garbage, trust(), "REHEARSAL", now())
    assert (handshake.allowed, handshake.code, handshake.would_be) == (False, "malformed", None)


def test_where_nobody_is_asked_a_certificate_does_not_matter() -> None:
    assert judge_handshake(OTHER.client().chain_pem, trust(), "NONE", now()).allowed


@pytest.mark.parametrize(
    "text",
    ["", "no PEM", "-----BEGIN CERTIFICATE-----\n", key_pem(ROOT.key), strange.pem("CERTIFICATE", bytes(300_000))],
)
def test_what_is_no_certificate_cannot_be_shown(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        judge_handshake(text, trust(), "MANDATORY", now())
    assert refused.value.field == "certificate"
    assert "PRIVATE" not in str(refused.value)


def test_a_long_chain_is_refused_before_it_is_looked_at() -> None:
    shown = ROOT.client().cert_pem + OTHER.cert_pem * 300
    handshake = judge_handshake(shown, trust(), "MANDATORY", now())
    assert (handshake.code, failed(handshake).name) == ("malformed", "presented")


def test_where_the_engines_choice_cannot_be_told_nobody_is_said_to_be_let_in() -> None:
    old = Authority.root("root", key=ROOT.key, not_before=now() - 9 * DAY, not_after=now() - DAY)
    leaf, many = ROOT.client(), [Authority.root(f"other {number}") for number in range(25)]
    assert judge(leaf, trust(ROOT, old)).allowed  # of a few, the first that fits
    assert judge(leaf, trust(old, ROOT)).code == "expired"
    told = judge(leaf, trust(ROOT, old, *many))
    assert (told.allowed, told.code) == (False, "expired")
    assert "cannot be told" in told.detail
    assert judge(leaf, trust(ROOT, *many)).allowed


def test_trust_that_cannot_be_loaded_is_told() -> None:
    with pytest.raises(Invalid):
        judge_handshake(ROOT.client().cert_pem, Trust(name="trust", certificates="garbage"), "MANDATORY", now())


@given(st.integers(0, 2**32))
def test_whatever_is_shown_there_is_an_answer(seed: int) -> None:
    rng = strange.seeded(seed)
    whole = crooked.chain(rng)
    shown = bytearray(whole.shown[0])
    for _ in range(rng.randrange(3)):
        shown[rng.randrange(len(shown))] = rng.randrange(256)
    text = "".join(strange.pem("CERTIFICATE", der) for der in (bytes(shown), *whole.shown[1:]))
    handshake = judge_handshake(text, Trust(name="trust", certificates=whole.trusted, crls=whole.lists), "MANDATORY", now())
    assert handshake.allowed == (handshake.code is None) == all(check.passed for check in handshake.checks)
    assert len([check for check in handshake.checks if check.passed is False]) == (not handshake.allowed)
    assert handshake.detail.endswith(".")
