"""CA certificates as people look for them, on every database."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ostiary.clock import now
from ostiary.model.authority import Authority, NewAuthority
from ostiary.model.query import Query
from ostiary.model.revocation import Revoke
from ostiary.ops import authorities, authority_view, revocation, series
from ostiary.ops.system import System
from ostiary.store import authority_list
from support.systems import ADMIN, a_system


@pytest.fixture
def system(url: str) -> Iterator[System]:
    made = a_system(url)
    yield made
    made.store.close()


def made(system: System, name: str, **fields: object) -> Authority:
    return authorities.create(system, ADMIN, NewAuthority.model_validate({"name": name, **fields}))


def found(system: System, *words: str) -> list[str]:
    with system.store.read() as reader:
        return [one.name for one in authority_list.page(reader, Query(search=words, sort=(("name", False),))).items]


def test_one_stands_for_all_of_its_name_and_is_found_by_any(system: System) -> None:
    root = made(system, "Root")
    devices = made(system, "Devices", kind="intermediate", parent_id=root.id)
    newer = series.roll(system, ADMIN, devices.id)
    assert found(system) == ["Devices", "Root"]
    assert found(system, "g2") == ["Devices"]
    assert found(system, newer.fingerprint_sha256[:12].upper()) == ["Devices"]
    assert found(system, "devices", "cn=") == ["Devices"]
    assert found(system, "100%") == found(system, "_") == []
    with system.store.read() as reader:
        assert authority_list.sizes(reader, [devices.id, root.id]) == {devices.id: 2, root.id: 1}


def test_who_can_sign_comes_with_intermediates_first_and_without_those_that_cannot(system: System) -> None:
    root = made(system, "A root")
    good = made(system, "Z good", kind="intermediate", parent_id=root.id)
    gone = made(system, "B gone", kind="intermediate", parent_id=root.id)
    revocation.revoke_authority(system, ADMIN, gone.id, Revoke())
    assert [one.id for one in authority_view.able(system, ADMIN)] == [good.id, root.id]
    with system.store.read() as reader:
        assert authority_list.able(reader, now() + timedelta(days=40_000), 10) == ()
        assert [one.id for one in authority_list.able(reader, now(), 1)] == [good.id]


def test_what_ends_soon_is_told_and_what_was_revoked_is_not(system: System) -> None:
    root = made(system, "Root")
    soon = made(system, "Soon", kind="intermediate", parent_id=root.id, lifetime_days=5)
    gone = made(system, "Gone", kind="intermediate", parent_id=root.id, lifetime_days=4)
    revocation.revoke_authority(system, ADMIN, gone.id, Revoke())
    assert [one.authority.id for one in authority_view.ending(system, ADMIN, timedelta(days=7))] == [soon.id]
    assert authority_view.ending(system, ADMIN, timedelta(days=3)) == ()
