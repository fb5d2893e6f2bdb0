"""From a listener's settings, rules and exceptions to who is refused what, and with which code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ostiary.access import members
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import judge
from ostiary.access.policy import may_knock_without, policy, uses_members
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.desired import DesiredAccess, DesiredListener
from ostiary.model.tls import Trust
from support.desired import listener

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TRUSTED, OTHER = "e" * 64, "d" * 64
NOBODY: frozenset[str] = frozenset()
ALICE = Holder(
    fingerprint="a" * 64,
    issuer_fingerprint=TRUSTED,
    serial="0a",
    subject="CN=alice,OU=Field",
    not_after=AT + DAY,
    dns="alice.a.test,b.test",
    uri="spiffe://a.test/alice",
    email="alice@a.test",
    entry=members.entry(("field", "ops"), "client"),
)


def a_rule(name: str = "r1", **fields: Any) -> AccessRule:
    certificate = Holders(**{key: fields.pop(key) for key in list(fields) if key in Holders.model_fields})
    return AccessRule(**{"id": name, "name": name, "listener_id": "l1", "certificate": certificate, **fields})


def an_exception(kind: str, **fields: Any) -> AccessException:
    return AccessException(
        **{"id": "e1", "name": "e1", "listener_id": "l1", "kind": kind, "owner": "ann", "not_after": AT + DAY, **fields}
    )


def a_door(*rules: AccessRule, exceptions: Any = (), mode: str = "MANDATORY", trust_revision: int = 0) -> DesiredListener:
    access = DesiredAccess(rules=rules, exceptions=exceptions, authorities={"ca": (TRUSTED,)}, trusted=(TRUSTED,))
    trust = None if mode == "NONE" else Trust(name="trust", certificates="-")
    return listener("l1", trust=trust, access=access, client_authentication=mode, trust_revision=trust_revision)


def said(door: DesiredListener, denied: Any = NOBODY, retired: Any = NOBODY, rehearsed: bool = False, **asked: Any) -> str:  # noqa: FBT001, FBT002 (as `judge` has it)
    """The decision's name."""
    usual = {"host": "a.test", "at": AT, "holder": ALICE, "sni": "a.test"}
    verdict = judge(policy(door, frozenset(denied), frozenset(retired)), Request(**{**usual, **asked}), rehearsed=rehearsed)
    return verdict.decision.name


def test_without_rules_every_certificate_gets_in_and_nobody_without() -> None:
    assert said(a_door()) == "allowed"
    assert said(a_door(), holder=None) == "certificate_required"
    assert said(a_door(mode="OPTIONAL"), holder=None) == "allowed"
    assert said(a_door(mode="NONE"), holder=None) == "allowed"


@pytest.mark.parametrize("mode", ["MANDATORY", "OPTIONAL"])
def test_what_no_rule_allows_is_refused(mode: str) -> None:
    door = a_door(a_rule(action="DENY", paths=("/admin/*",)), mode=mode)
    assert said(door, path="/admin/x") == "denied_by_rule:r1"
    assert said(door, path="/") == "no_rule_allows"


def test_the_first_rule_that_fits_decides() -> None:
    allow, deny = a_rule("allow", paths=("/a/*",)), a_rule("deny", action="DENY", paths=("/a/b",))
    assert said(a_door(allow, deny), path="/a/b") == "allowed:allow"
    assert said(a_door(deny, allow), path="/a/b") == "denied_by_rule:deny"
    assert said(a_door(deny, allow), path="/a/c") == "allowed:allow"


@pytest.mark.parametrize(
    ("fits", "fits_not"),
    [
        ({"groups": ("field",)}, {"groups": ("Field",)}),
        ({"groups": ("nobody", "ops")}, {"groups": ("client",)}),
        ({"profiles": ("client",)}, {"profiles": ("field",)}),
        ({"authority_ids": ("ca",)}, {"authority_ids": ("gone",)}),
        ({"fingerprints_sha256": ("b" * 64, "A" * 64)}, {"fingerprints_sha256": ("b" * 64,)}),
        ({"serials": ("00:0A",)}, {"serials": ("a0",)}),
        ({"subject_cn": ("al*",)}, {"subject_cn": ("Field",)}),
        ({"subject_ou": ("Field",)}, {"subject_ou": ("alice",)}),
        ({"san_dns": ("*.a.test",)}, {"san_dns": ("a.test",)}),
        ({"san_uri": ("spiffe://a.test/*",)}, {"san_uri": ("spiffe://b.test/*",)}),
        ({"san_email": ("*@a.test",)}, {"san_email": ("bob@a.test",)}),
        ({"spiffe_ids": ("spiffe://a.test/alice",)}, {"spiffe_ids": ("spiffe://a.test/al",)}),
        ({"hosts": ("A.test",)}, {"hosts": ("*.a.test",)}),
        ({"paths": ("/v1/*",)}, {"paths": ("/v1",)}),
        ({"methods": ("PUT", "GET")}, {"methods": ("POST",)}),
        ({"sources": ("127.0.0.0/8",)}, {"sources": ("::/0",)}),
        ({"not_before": AT - DAY, "not_after": AT + DAY}, {"not_before": AT + DAY}),
        ({}, {"not_after": AT - DAY}),
        ({"groups": ("field",), "methods": ("GET",)}, {"groups": ("field",), "methods": ("POST",)}),
    ],
    ids=str,
)
def test_all_that_a_rule_names_has_to_fit(fits: dict[str, Any], fits_not: dict[str, Any]) -> None:
    assert said(a_door(a_rule(**fits)), path="/v1/x") == "allowed:r1"
    assert said(a_door(a_rule(**fits, action="DENY")), path="/v1/x") == "denied_by_rule:r1"
    refused = said(a_door(a_rule(**fits_not)), path="/v1/x")
    assert refused in {"no_rule_allows", "source_not_allowed:r1"}
    assert said(a_door(a_rule(**fits_not, action="DENY"), a_rule("r2")), path="/v1/x") == "allowed:r2"


def test_who_comes_from_elsewhere_is_told_so_only_if_that_is_all() -> None:
    door = a_door(a_rule(sources=("10.0.0.0/8",), groups=("field",)))
    assert said(door, source="10.1.2.3") == "allowed:r1"
    assert said(door, source="192.0.2.1") == "source_not_allowed:r1"
    assert said(door, source="192.0.2.1", holder=replace(ALICE, entry=",")) == "no_rule_allows"


def test_rules_about_certificates_are_not_asked_of_who_has_none() -> None:
    open_to_all = a_rule("public", paths=("/public/*",))
    door = a_door(a_rule(groups=("field",)), open_to_all, mode="OPTIONAL")
    assert said(door, holder=None, path="/public/x") == "allowed:public"
    assert said(door, holder=None) == "certificate_required"
    assert said(a_door(open_to_all, mode="OPTIONAL"), holder=None) == "no_rule_allows"
    assert said(a_door(open_to_all), holder=None, path="/public/x") == "certificate_required"


def test_what_stands_before_the_rules() -> None:
    door = a_door(a_rule())
    assert said(door, denied={ALICE.fingerprint}) == "revoked"
    assert said(door, at=AT + 2 * DAY) == "expired"
    assert said(door, at=ALICE.not_after) == "allowed:r1"
    assert said(door, host="b.test") == "misdirected"
    assert said(door, host="A.TEST.:8443") == "allowed:r1"
    assert said(door, host="b.test", sni="") == "allowed:r1"
    assert said(door, retired={TRUSTED}) == "authority_removed"
    assert said(door, holder=replace(ALICE, is_unclean=True)) == "malformed"
    assert said(a_door(a_rule(san_dns=("a.test",))), holder=replace(ALICE, dns="a.test\x7f")) == "malformed"


def test_an_authority_that_was_taken_off_is_asked_about_on_older_connections() -> None:
    door = a_door(trust_revision=7)
    elsewhere = replace(ALICE, issuer_fingerprint=OTHER)
    assert said(door, holder=elsewhere, trust_revision=6) == "authority_removed"
    assert said(door, holder=elsewhere, trust_revision=7) == "allowed"  # its handshake has seen the new ones
    assert said(door, trust_revision=6) == "allowed"


PREFLIGHT: dict[str, Any] = {
    "method": "OPTIONS",
    "headers": {"origin": "https://x.test", "access-control-request-method": "PUT"},
    "holder": None,
}


def test_exceptions_let_in_what_they_name_and_nothing_else() -> None:
    cors = a_door(exceptions=(an_exception("CORS_PREFLIGHT"),))
    assert said(cors, **PREFLIGHT) == "exempt:e1"
    assert said(cors, **{**PREFLIGHT, "headers": {"origin": "https://x.test"}}) == "certificate_required"
    assert said(cors, **{**PREFLIGHT, "method": "GET"}) == "certificate_required"
    assert said(cors, **PREFLIGHT, at=AT + 2 * DAY) == "certificate_required"
    health = a_door(exceptions=(an_exception("HEALTH_CHECK", sources=("10.0.0.0/8",)),))
    assert said(health, holder=None, path="/health?x", source="10.0.0.1") == "exempt:e1"
    assert said(health, holder=None, path="/health", source="192.0.2.1") == "certificate_required"
    assert said(health, holder=None, path="/health/x", source="10.0.0.1") == "certificate_required"
    assert said(health, holder=None, path="/health", source="10.0.0.1", method="POST") == "certificate_required"
    paths = a_door(a_rule(groups=("nobody",)), exceptions=(an_exception("PATHS", paths=("/public/*",)),))
    assert said(paths, holder=None, path="/public/x", method="POST") == "exempt:e1"
    assert said(paths, holder=None, path="/Public/x") == "certificate_required"
    assert said(paths, path="/public/x") == "exempt:e1"
    assert said(paths, denied={ALICE.fingerprint}, path="/public/x") == "revoked"


def test_what_is_rehearsed_decides_nothing() -> None:
    door = a_door(a_rule("shadow", action="DENY", shadow=True), a_rule("allow"))
    assert said(door) == "allowed:allow"
    assert said(door, rehearsed=True) == "denied_by_rule:shadow"
    whole = a_door(a_rule(groups=("nobody",)), mode="REHEARSAL")
    assert (said(whole), said(whole, rehearsed=True)) == ("allowed", "no_rule_allows")
    assert said(whole, holder=None, rehearsed=True) == "no_certificate"
    assert said(whole, holder=replace(ALICE, is_verified=False), rehearsed=True) == "unverified"
    # A rule that is only rehearsed does not make the others refuse.
    assert said(a_door(a_rule("shadow", groups=("nobody",), shadow=True))) == "allowed"


def test_what_the_handshake_and_the_long_table_have_to_do() -> None:
    assert not may_knock_without(a_door())
    assert may_knock_without(a_door(exceptions=(an_exception("CORS_PREFLIGHT"),)))
    assert may_knock_without(a_door(mode="OPTIONAL"))
    assert uses_members(a_door(a_rule(profiles=("client",))))
    assert not uses_members(a_door(a_rule(subject_cn=("x",))))
    assert not uses_members(a_door(a_rule(groups=("x",)), mode="NONE"))


def test_each_check_says_what_came_of_it_and_what_was_not_asked() -> None:
    door = a_door(a_rule("deny", action="DENY", paths=("/x",)), a_rule("allow"), a_rule("never"))
    verdict = judge(policy(door, NOBODY, NOBODY), Request(host="a.test", at=AT, holder=ALICE))
    held = {outcome.about: outcome.held for outcome in verdict.outcomes}
    assert (held["rule deny"], held["rule allow"], held["rule never"]) == (False, True, None)


def test_groups_whose_names_are_alike_are_not_the_same() -> None:
    entry = members.entry(("a,b", "c"), "")
    assert members.holds(entry, members.token("group", "a,b"))
    for name in ("a", "b", "C", "c "):
        assert not members.holds(entry, members.token("group", name))
    assert not members.holds(members.entry(("client",), ""), members.token("profile", "client"))
