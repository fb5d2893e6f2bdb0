"""What ends, what was told and what waits to be sent, on each database: through the use cases that ask it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ostiary.model.access import AccessException
from ostiary.model.authority import NewAuthority
from ostiary.model.notification import NotificationTarget
from ostiary.model.revocation import Revoke
from ostiary.model.token import NewToken
from ostiary.ops import authorities, certificates, exceptions, notification_targets, revocation, sightings, tokens
from ostiary.ops.notification_targets import Secrets, new_message
from ostiary.ops.system import System
from ostiary.pki.holder import new_key_and_request
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store import notifications, watched
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock, a_store


@pytest.fixture
def system(url: str) -> Iterator[System]:
    clock = FakeClock()
    made = System(store=a_store(url, clock), sealer=Sealer(new_kek()), clock=clock)
    yield made
    made.store.close()


def test_what_ends_is_found_and_what_has_a_successor_is_known(system: System) -> None:
    at = system.clock()
    root = an_authority(system, "Root", lifetime_days=400)
    authorities.create(system, ADMIN, NewAuthority(name="Short", kind="intermediate", parent_id=root.id, lifetime_days=40))
    ours = [a_certificate(system, root, f"c{number}", lifetime=timedelta(days=20)) for number in range(3)]
    revocation.revoke(system, ADMIN, ours[2].id, Revoke())
    seen: dict[str, Any] = {"listener_id": "door", "first_seen": at.isoformat(), "last_seen": at.isoformat(), "addresses": {}}
    ends = at + timedelta(days=5)
    entries = [{**seen, "fingerprint_sha256": one.fingerprint_sha256} for one in ours]
    entries += [
        {**seen, "fingerprint_sha256": "a" * 64, "subject": "CN=x", "issuer": "CN=y", "not_after": ends.isoformat()},
        {
            **seen,
            "fingerprint_sha256": "b" * 64,
            "subject": "CN=x",
            "issuer": "CN=y",
            "not_after": (2 * (ends - at) + at).isoformat(),
        },
    ]
    assert sightings.seen(system, "g", {"sequence": 1, "sightings": entries, "certificates": {}}) == 0
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{root.id}"}
    listener = a_listener(system, a_balancer(system), **on)
    exception = AccessException(listener_id=listener.id, name="e", kind="HEALTH_CHECK", owner="ann", not_after=ends)
    exceptions.create(system, ADMIN, exception)
    tokens.create(system, ADMIN, NewToken(name="t", role="auditor", expires_in=timedelta(days=9)))
    _key, csr = new_key_and_request("c0")
    successor = certificates.renew(system, ADMIN, ours[0].id, csr)
    until, since = at + timedelta(days=60), at - timedelta(days=30)
    with system.store.read() as reader:
        mine = watched.ours_in_use(reader, since, at, until)
        others = watched.others_in_use(reader, since, at, until)
        assert {one.certificate_id for one in mine} == {ours[0].id, ours[1].id}
        assert {one.not_before for one in mine} == {ours[0].not_before}
        assert watched.renewed(reader, [one.certificate_id for one in mine]) == {ours[0].id}
        assert [one.fingerprint_sha256[0] for one in others] == ["a", "b"]
        assert list(watched.later_of(reader, others, since).values()) == [others[1].not_after]
        assert watched.told_whole(reader, ["a" * 64]) == {}  # no gateway told it
        assert watched.seen_at(reader, ["a" * 64], since) == {"a" * 64: ("door",)}
        assert [one.name for one in watched.authorities(reader, at, until)] == ["Short"]
        assert [one.name for one in watched.access_tokens(reader, at, until)] == ["t"]
        assert [one.name for one in watched.exceptions(reader, at, until)] == ["e"]
        assert watched.known_authorities(reader, [root.fingerprint_sha256, "0" * 64]) == {root.fingerprint_sha256}
        assert watched.signers(reader) == {}
        assert watched.waiting_requests(reader, at, 10) == ()
        assert watched.waiting_approvals(reader, at, 10) == ()
    assert successor.replaces == ours[0].id


def test_messages_wait_in_order_are_noted_counted_and_forgotten(system: System) -> None:
    made, _key = notification_targets.create(
        system, ADMIN, NotificationTarget(name="hook", kind="WEBHOOK"), Secrets(url="https://a.test/x")
    )
    at = system.clock()

    def put() -> None:
        message = new_message(made, "test", "{}", at)
        system.store.record(lambda facts: notifications.put(facts, message))

    for _ in range(4):
        put()
    with system.store.read() as reader:
        waiting = notifications.waiting(reader, made.id, 10)
        assert [one.sequence for one in waiting] == [1, 2, 3, 4]
        assert notifications.targets_with_mail(reader) == (made.id,)
        assert notifications.message(reader, waiting[0].id) == waiting[0]
        assert notifications.emergencies_on_record(reader, 0, at, 10) == ()
    assert system.store.record(lambda facts: notifications.give_up_oldest(facts, made.id, 3, "too many")) == 1
    system.store.record(lambda facts: notifications.note_failing(facts, made.id))
    with system.store.read() as reader:
        standing = notifications.standings(reader)[made.id]
        assert (standing.waiting, standing.dead, standing.given_up, standing.last_error) == (3, 1, 1, "too many")
        assert standing.failing_since is not None
        assert not notifications.has_old(reader, at)
        assert notifications.has_old(reader, at + timedelta(days=1))
        assert [one.sequence for one in notifications.messages(reader, made.id, 2)] == [4, 3]
    assert system.store.record(lambda facts: notifications.forget_old(facts, at + timedelta(days=1))) == 1
    notification_targets.delete(system, ADMIN, made.id)
    with system.store.read() as reader:
        assert notifications.standings(reader) == {}
