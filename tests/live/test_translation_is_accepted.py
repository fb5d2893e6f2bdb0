"""What the translator makes, a real Envoy takes: every golden case, and whatever hypothesis thinks of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from support.desired import desired, from_yaml
from support.ports import free_port
from support.tiny_ads import Engine

pytestmark = pytest.mark.live

CASES = sorted((Path(__file__).parents[1] / "envoy" / "golden").iterdir())
PORTS = tuple(free_port() for _ in range(6))  # the last two for doors of our own


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("envoy")) as running:
        yield running


def on_this_machine(given: Desired) -> Desired:
    """The same, with addresses and ports that can be bound here."""
    moved = (
        each.model_copy(
            update={
                "address": "127.0.0.1",
                "listener": each.listener.model_copy(update={"id": f"l{place}", "protocol_port": port}),
            }
        )
        for place, (each, port) in enumerate(zip(given.listeners, PORTS[:-2], strict=False))
    )
    # Each kind of door has a port of its own: one that comes cannot have that of one that goes in the same moment.
    ports = dict(zip(("enrolment", "console"), PORTS[-2:], strict=True))
    doors = (each.model_copy(update={"address": "127.0.0.1", "port": ports[each.kind]}) for each in given.doors)
    return given.model_copy(update={"listeners": tuple(moved), "doors": tuple(doors)})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_golden_case_is_accepted(engine: Engine, case: Path) -> None:
    assert engine.apply(snapshot(on_this_machine(from_yaml(case / "desired.yaml")))) == {}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(wanted=desired(ports=PORTS[:-2]))
def test_whatever_the_model_allows_is_accepted(engine: Engine, wanted: Desired) -> None:
    assert engine.apply(snapshot(wanted)) == {}
