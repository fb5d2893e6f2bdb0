"""Grants and access tokens: what they are good for, how often, how long, and what is kept of them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.authority import Authority, Certificate, RequestedNames
from ostiary.model.query import Query
from ostiary.model.token import NewToken, Token
from ostiary.ops import certificates, enrolling, profiles, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.enrolling import Knocker
from ostiary.ops.system import System
from ostiary.pki.holder import new_key_and_request
from support.made import an_authority
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

SOMEBODY = Knocker("192.0.2.9", "req-1")


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """The same on both databases."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = a_system(url)
    yield made
    made.store.close()


@pytest.fixture
def devices(system: System) -> Authority:
    return an_authority(system, "Devices")


def a_grant(system: System, authority: Authority, **fields: object) -> tuple[Token, bytes]:
    wanted = {"profile": "client", "names": RequestedNames(common_name="sensor"), **fields}
    token, secret = tokens.create(system, ADMIN, NewToken(authority_id=authority.id, **wanted))  # type: ignore[arg-type]
    return token, bytes(secret)


def a_request() -> str:
    return new_key_and_request("any name at all")[1]


def used(system: System, secret: bytes, csr: str | None = None) -> Certificate:
    return enrolling.enroll(system, SOMEBODY, secret, csr or a_request())


def test_a_grant_decides_who_the_certificate_is_for(system: System, devices: Authority) -> None:
    names = RequestedNames(common_name="sensor-7", dns=("sensor-7.test",))
    _, secret = a_grant(system, devices, names=names, groups=("field",), owner="ops team")
    made = used(system, secret)
    assert (made.subject, made.sans) == ("CN=sensor-7", ("DNS:sensor-7.test",))
    assert (made.groups, made.owner, made.profile) == (("field",), "ops team", "client")


def test_a_grant_is_good_as_often_as_it_says(system: System, devices: Authority) -> None:
    _, secret = a_grant(system, devices, uses=2)
    assert used(system, secret).serial != used(system, secret).serial
    with pytest.raises(Denied):
        used(system, secret)


def test_the_same_key_gets_the_same_certificate_again(system: System, devices: Authority, clock: FakeClock) -> None:
    """The first answer may have been lost on its way."""
    token, secret = a_grant(system, devices)
    csr = a_request()
    assert used(system, secret, csr) == used(system, secret, csr)
    assert len(certificates.find(system, ADMIN, Query()).items) == 1
    clock.advance(hours=2)
    with pytest.raises(Denied):
        used(system, secret, csr)
    assert tokens.state(token, system) == "EXPIRED"


def test_what_is_not_good_is_refused_in_the_same_words(system: System, devices: Authority, clock: FakeClock) -> None:
    _, expired = a_grant(system, devices)
    clock.advance(hours=2)
    _, spent = a_grant(system, devices)
    used(system, spent)
    deleted, gone = a_grant(system, devices)
    tokens.delete(system, ADMIN, deleted.id)
    _, access = tokens.create(system, ADMIN, NewToken(name="bob", role="operator"))
    said = set()
    for secret in (expired, spent, gone, bytes(access), b"", b"oe_never-was", "oe_ü".encode()):
        for csr in (a_request(), "no request at all"):
            with pytest.raises(Denied) as refused:
                used(system, secret, csr)
            said.add((type(refused.value), str(refused.value)))
        with pytest.raises(Denied) as refused:
            enrolling.offered(system, secret)
        said.add((type(refused.value), str(refused.value)))
    assert len(said) == 1


def test_a_bad_request_uses_nothing_up(system: System, devices: Authority) -> None:
    _, secret = a_grant(system, devices)
    with pytest.raises(Invalid, match="csr"):
        used(system, secret, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
    assert used(system, secret).subject == "CN=sensor"


def test_a_grant_never_issues_twice_however_many_come_at_once(either: System) -> None:
    _, secret = a_grant(either, an_authority(either, "Devices"), uses=3)
    together = threading.Barrier(12)
    made: list[Certificate] = []
    refused: list[Denied] = []

    def come() -> None:
        csr = a_request()
        together.wait()
        try:
            made.append(used(either, secret, csr))
        except Denied as denied:
            refused.append(denied)

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (3, 9)
    assert {one.id for one in certificates.find(either, ADMIN, Query()).items} == {one.id for one in made}


def test_one_key_that_asks_many_times_at_once_gets_one_certificate(either: System) -> None:
    _, secret = a_grant(either, an_authority(either, "Devices"), uses=5)
    csr = a_request()
    together = threading.Barrier(8)
    made: list[Certificate] = []

    def come() -> None:
        together.wait()
        made.append(used(either, secret, csr))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.id for one in made}) == 1
    assert len(made) == 8
    assert len(certificates.find(either, ADMIN, Query()).items) == 1


def test_of_a_secret_only_its_digest_is_kept(system: System, devices: Authority, tmp_path: Path) -> None:
    token, secret = a_grant(system, devices)
    used(system, secret)
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert secret not in stored
    assert tokens.digest(secret).encode() in stored
    assert secret.decode() not in repr((token, tokens.get(system, ADMIN, token.id)))


def test_the_record_says_which_grant_a_certificate_came_from(system: System, devices: Authority) -> None:
    token, secret = a_grant(system, devices)
    used(system, secret)
    entries = _entries(system)
    enrolled = [entry for entry in entries if '"certificate:enroll"' in entry]
    assert len(enrolled) == 2  # the certificate, and the grant that has one use less
    assert all(f"token:{token.id}" in entry and SOMEBODY.source in entry for entry in enrolled)
    assert not any(secret.decode() in entry or tokens.digest(secret) in entry for entry in entries)


def _entries(system: System) -> list[str]:
    with system.store.read() as reader:
        return [row.entry for row in reader.audit_entries()]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"names": None}, "names"),
        ({"names": RequestedNames()}, "names"),
        ({"names": RequestedNames(dns=("not a name",))}, "names.dns"),
        ({"profile": "nothing"}, "profile"),
        ({"profile": "server", "names": RequestedNames(email=("a@b.test",))}, "names.email"),
    ],
)
def test_what_a_grant_could_not_be_used_for_is_refused_when_it_is_made(
    system: System, devices: Authority, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        a_grant(system, devices, **fields)
    assert refused.value.field == field


def test_no_grant_goes_around_an_approval(system: System, devices: Authority) -> None:
    token, secret = a_grant(system, devices)
    profiles.update(system, ADMIN, "client", {"approval": "one"})
    with pytest.raises(Conflict, match="approval"):
        used(system, secret)
    assert tokens.get(system, ADMIN, token.id).uses_left == 1
    with pytest.raises(Invalid, match="approval"):
        a_grant(system, devices)


def test_a_grant_needs_an_authority_that_can_sign(system: System) -> None:
    for authority_id in ("", "nobody"):
        with pytest.raises(Invalid, match="authority_id"):
            tokens.create(
                system, ADMIN, NewToken(authority_id=authority_id, profile="client", names=RequestedNames(common_name="a"))
            )


def test_tokens_are_forgotten_a_month_after_their_end(system: System, devices: Authority, clock: FakeClock) -> None:
    _, secret = a_grant(system, devices)
    made = used(system, secret)
    clock.advance(days=20)
    newer, _ = a_grant(system, devices)
    assert tokens.forget_old(system) == 0
    clock.advance(days=11)
    assert tokens.forget_old(system) == 1
    assert [token.id for token in tokens.find(system, ADMIN, Query()).items] == [newer.id]
    assert certificates.get(system, ADMIN, made.id) == made


def test_two_people_come_with_two_tokens(system: System, clock: FakeClock) -> None:
    for name, role in (("bob", "operator"), ("ann", "auditor")):
        _, secret = tokens.create(system, ADMIN, NewToken(name=name, role=role))  # type: ignore[arg-type]
        known = tokens.holder(system, bytes(secret), "192.0.2.1", "req-2")
        assert known == Caller(name=name, role=role, source="192.0.2.1", request_id="req-2")
    assert tokens.holder(system, b"oa_wrong", "", "") is None
    assert tokens.holder(system, b"", "", "") is None
    clock.advance(days=91)
    assert tokens.holder(system, bytes(secret), "", "") is None


def test_a_deleted_access_token_opens_nothing(system: System) -> None:
    token, secret = tokens.create(system, ADMIN, NewToken(name="bob", role="operator"))
    tokens.delete(system, ADMIN, token.id)
    assert tokens.holder(system, bytes(secret), "", "") is None


@pytest.mark.parametrize("name", ["bob", "BOB", "admin", "Ostiary", "anonymous"])
def test_no_two_people_have_one_name(system: System, name: str) -> None:
    tokens.create(system, ADMIN, NewToken(name="bob", role="operator"))
    with pytest.raises(Conflict):
        tokens.create(system, ADMIN, NewToken(name=name, role="auditor"))


def test_a_grant_opens_no_api(system: System, devices: Authority) -> None:
    _, secret = a_grant(system, devices)
    assert tokens.holder(system, secret, "", "") is None


def test_an_operator_grants_certificates_and_lets_nobody_into_the_api(system: System, devices: Authority) -> None:
    operator, auditor = Caller("bob", "operator"), Caller("ann", "auditor")
    grant = NewToken(authority_id=devices.id, profile="client", names=RequestedNames(common_name="a"))
    assert tokens.create(system, operator, grant)[0].created_by == "bob"
    for caller, wanted in ((operator, NewToken(name="eve", role="admin")), (auditor, grant)):
        with pytest.raises(Denied):
            tokens.create(system, caller, wanted)
    access, _ = tokens.create(system, ADMIN, NewToken(name="carl", role="admin"))
    with pytest.raises(Denied):
        tokens.delete(system, operator, access.id)


OPERATOR_MAY = {
    "listener:create": True,
    "listener:delete": True,
    "certificate:issue": True,
    "certificate:revoke": True,
    "authority:read": True,
    "authority:create": False,
    "authority:import": False,
    "authority:export": False,
    "profile:read": True,
    "profile:update": False,
    "secret:create": True,
    "secret:decrypt": False,
    "token:create": True,
    "token:access": False,
    "audit:read": True,
}


@pytest.mark.parametrize(("action", "may"), OPERATOR_MAY.items())
def test_an_operator_may_do_all_but_keys_profiles_and_access(action: str, may: bool) -> None:  # noqa: FBT001 (a table)
    try:
        Caller("bob", "operator").must(action)
    except Denied:
        assert not may
    else:
        assert may


def test_an_auditor_reads_and_that_is_all() -> None:
    ann = Caller("ann", "auditor")
    for action in ("certificate:read", "audit:read", "audit:verify"):
        ann.must(action)
    for action in ("certificate:issue", "listener:update", "token:create", "secret:decrypt", "authority:export"):
        with pytest.raises(Denied):
            ann.must(action)


def test_an_unknown_role_may_nothing() -> None:
    with pytest.raises(Denied):
        Caller("x", "nobody").must("certificate:read")
