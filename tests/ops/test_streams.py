"""Which long streams may not go on: by what was last published, as of now."""

from datetime import timedelta
from typing import Any

import pytest

from ostiary.envoy.resources import Snapshot
from ostiary.model.desired import Desired
from ostiary.ops import streams
from ostiary.ops.system import System

ALICE, BOB = "a" * 64, "b" * 64


def told(fingerprint: str = ALICE, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "listener": "l1", "fingerprint": fingerprint, **fields}


def publish(system: System, **fields: Any) -> None:
    system.fleet.want(Desired(**fields), Snapshot())


def test_who_is_denied_may_not_go_on(system: System) -> None:
    publish(system, denied=frozenset({ALICE}))
    assert streams.to_end(system, {1: told(ALICE), 2: told(BOB)}) == {1: "revoked"}


def test_who_has_expired_may_not_go_on(system: System) -> None:
    publish(system)
    past, future = (
        (system.clock() + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for seconds in (-1, 60)
    )
    assert streams.to_end(system, {1: told(not_after=past), 2: told(not_after=future)}) == {1: "expired"}


def test_before_the_first_publication_nobody_is_ended(system: System) -> None:
    assert streams.to_end(system, {1: told()}) == {}


@pytest.mark.parametrize("nonsense", [{}, {"listener": 5}, told(not_after="soon"), told("f" * 2000)])
def test_one_that_makes_no_sense_may_not_go_on(system: System, nonsense: dict[str, Any]) -> None:
    publish(system)
    assert streams.to_end(system, {1: nonsense, 2: told()}) == {1: "malformed"}


def test_what_newer_gateways_tell_besides_changes_nothing(system: System) -> None:
    publish(system)
    assert streams.to_end(system, {1: told(colour="red")}) == {}
