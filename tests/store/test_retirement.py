"""Who was revoked is refused request by request only until no connection can be older; then the handshake alone guards."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ostiary.envoy.resources import Snapshot
from ostiary.model.desired import Desired
from ostiary.model.revocation import Revoke
from ostiary.ops import revocation
from ostiary.ops.system import System
from ostiary.publisher import Publisher
from ostiary.store.desired import OLDEST_CONNECTION, desired
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

TOGETHER = timedelta(minutes=15)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def system(tmp_path: Path, clock: FakeClock) -> Iterator[System]:
    made = a_system(sqlite_url(tmp_path), clock)
    yield made
    made.store.close()


def wanted(system: System) -> Desired:
    with system.store.read() as reader:
        return desired(reader, system.sealer, system.clock())


def revoked(system: System, *names: str) -> set[str]:
    authority = an_authority(system, "Clients of a door")
    listener = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{authority.id}"}
    a_listener(system, a_balancer(system), **listener)
    people = [a_certificate(system, authority, name) for name in names]
    for one in people:
        revocation.revoke(system, ADMIN, one.id, Revoke(reason="keyCompromise"))
    return {one.fingerprint_sha256 for one in people}


def test_they_leave_once_no_connection_can_be_older_and_not_before(system: System, clock: FakeClock) -> None:
    denied = revoked(system, "alice", "bob")
    assert wanted(system).denied == denied
    clock.advance(seconds=OLDEST_CONNECTION.total_seconds() - 1)
    assert wanted(system).denied == denied
    until = wanted(system).good_until
    assert until is not None
    assert timedelta(0) < until - clock() <= TOGETHER + timedelta(seconds=1)
    clock.at = until
    assert (wanted(system).denied, wanted(system).good_until) == (frozenset(), None)


def test_who_is_released_leaves_nothing_to_wait_for(system: System) -> None:
    authority = an_authority(system)
    alice = a_certificate(system, authority)
    for reason in ("certificateHold", "removeFromCRL"):
        revocation.revoke(system, ADMIN, alice.id, Revoke(reason=reason))
    assert wanted(system).good_until is None


def test_they_leave_also_when_nobody_changes_anything(system: System, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary.publisher.POLL_SECONDS", 0.01)
    denied = revoked(system, "alice")
    with system.store.read() as reader:
        revision = reader.revision()
    published: list[Snapshot] = []

    async def run() -> None:
        asked: asyncio.Queue[Snapshot] = asyncio.Queue()

        def publish(snapshot: Snapshot) -> None:
            published.append(snapshot)
            asked.put_nowait(snapshot)

        work = asyncio.create_task(Publisher(system, publish).run())
        try:
            first = await asyncio.wait_for(asked.get(), 60)
            assert names_in(first, denied)
            clock.advance(seconds=(OLDEST_CONNECTION + TOGETHER).total_seconds())
            second = await asyncio.wait_for(asked.get(), 60)
            assert not names_in(second, denied)
            assert first.revision == second.revision == revision
        finally:
            work.cancel()

    asyncio.run(run())
    assert len(published) == 2


def names_in(snapshot: Snapshot, fingerprints: set[str]) -> bool:
    """Whether any of its resources holds all of these."""
    return any(all(one.encode() in resource.body for one in fingerprints) for resource in snapshot.resources.values())
