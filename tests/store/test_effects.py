"""How soon changes were in force, on each database."""

from datetime import UTC, datetime, timedelta

from ostiary.model.effect import Effect
from ostiary.store import effects
from ostiary.store.effects import Mark
from ostiary.store.store import Store

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def effect(number: int = 1, gateway_id: str = "g1", days: int = 0) -> Effect:
    at = AT + timedelta(days=days)
    return Effect(changed="revocation", number=number, gateway_id=gateway_id, committed_at=at, applied_at=at, milliseconds=number)


def test_each_change_has_a_number_for_each_gateway(store: Store) -> None:
    store.record(lambda facts: effects.add(facts, [effect(1, "g2"), effect(1, "g1"), effect(2, "g1")]))
    with store.read() as reader:
        assert effects.of(reader, "revocation", 1) == (effect(1, "g1"), effect(1, "g2"))
        assert effects.of(reader, "revision", 1) == ()


def test_old_numbers_are_forgotten(store: Store) -> None:
    store.record(lambda facts: effects.add(facts, [effect(1, days=-2), effect(2, days=0)]))
    assert store.record(lambda facts: effects.forget(facts, AT - timedelta(days=1))) == 1
    with store.read() as reader:
        assert [effects.of(reader, "revocation", number) for number in (1, 2)] == [(), (effect(2),)]


def test_each_gateway_is_measured_as_far_as_its_own_mark(store: Store) -> None:
    for gateway, reached in (("g1", Mark(1, 5)), ("g2", Mark(2, 9)), ("g1", Mark(3, 2**53))):
        store.record(lambda facts, g=gateway, r=reached: effects.set_mark(facts, g, r))  # type: ignore[misc]  # bound as it is made
    with store.read() as reader:
        assert [effects.mark(reader, name) for name in ("g1", "g2", "g3")] == [Mark(3, 2**53), Mark(2, 9), None]
