"""How much came through, minute by minute: whatever restarts, however many gateways there are, nothing counts twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import Denied, Invalid, Unavailable
from ostiary.model.traffic import ALL, HOURS_KEPT, MINUTES_KEPT, Counts, Traffic
from ostiary.ops import counting, denials, traffic
from ostiary.ops.caller import Caller
from ostiary.ops.counting import Counting, minute_of, moment_of, spread
from ostiary.ops.system import System
from ostiary.xds import wire
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

AT = datetime(2026, 11, 23, 10, 0, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(AT)


def told(counted: dict[str, Counts], run: int | None = 1, uptime: float | None = 1, **more: Any) -> dict[str, Any]:
    """As it arrives: over the wire."""
    listeners = {f"listener/{listener_id}": {"bytes_in": 1, **counts._asdict()} for listener_id, counts in counted.items()}
    return wire.read_report(wire.write_report({"pid": run, "uptime": uptime, "listeners": listeners, **more}))


class House:
    """Gateways tell, a control plane counts, ends, and is there again."""

    def __init__(self, system: System, clock: FakeClock) -> None:
        self.system = system
        self.clock = clock

    def hear(
        self, gateway_id: str = "g1", run: int | None = 1, uptime: float | None = 1, after: float = 1, **counted: Counts
    ) -> None:
        self.clock.advance(seconds=after)
        self.system.counting.told(gateway_id, told(counted, run, uptime), self.clock.at)

    def write(self) -> None:
        traffic.write(self.system)

    def restart(self) -> None:
        """Another control plane on the same data."""
        self.system = System(store=self.system.store, sealer=self.system.sealer, clock=self.clock)

    def series(self, listener_id: str | None = None, last: timedelta = HOUR, **more: Any) -> Traffic:
        now = self.clock.at
        return traffic.series(self.system, ADMIN, since=now - last, until=now, listener_id=listener_id, **more)

    def total(self, listener_id: str | None = None, last: timedelta = HOUR) -> Counts:
        found = self.series(listener_id, last)
        return Counts(*(sum(getattr(one, name) for one in found.buckets) for name in Counts._fields))


@pytest.fixture
def house(system: System, clock: FakeClock) -> House:
    return House(system, clock)


def busy(house: House, last: timedelta = HOUR, **options: Any) -> dict[str, int]:
    """When requests came: time of day of the bucket → how many."""
    return {f"{one.at:%H:%M}": one.requests for one in house.series(last=last, **options).buckets if one.requests}


def test_differences_are_counted_in_the_minute_in_which_they_came(house: House) -> None:
    house.hear(a=Counts(1, 0, 3, 2))
    house.write()
    house.hear(a=Counts(4, 1, 10, 8))
    house.hear(a=Counts(4, 1, 11, 9), after=60)
    house.hear(a=Counts(4, 1, 12, 9))
    assert house.total("a") == Counts(4, 1, 12, 9)
    assert busy(house) == {"10:00": 10, "10:01": 2}
    house.write()
    assert house.total("a") == house.total() == Counts(4, 1, 12, 9)


def test_what_was_not_written_yet_is_shown_and_what_is_written_is_shown_once(house: House) -> None:
    house.hear(a=Counts(requests=1))
    house.write()
    house.hear(a=Counts(requests=6))
    pending = house.system.counting.writing()
    assert house.total().requests in {1, 6}
    house.system.store.record(lambda facts: traffic._put(facts, pending))
    house.hear(a=Counts(requests=9))
    assert house.total().requests == 6  # what is being written is left out rather than counted twice
    house.system.counting.wrote(pending, house.clock.at, done=True)
    assert house.total().requests == 9


def test_what_could_not_be_written_is_written_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.hear(a=Counts(requests=1))
    house.write()
    house.hear(a=Counts(requests=6))

    def fail(*_: Any) -> None:
        raise Unavailable("The database does not answer; try again.")

    with monkeypatch.context() as patched:
        patched.setattr(traffic, "_put", fail)
        with pytest.raises(Unavailable):
            house.write()
    assert house.total().requests == 6
    house.hear(a=Counts(requests=7))
    house.write()
    house.restart()
    assert house.total().requests == 7


def test_an_envoy_that_begins_anew_adds_to_what_the_one_before_it_counted(house: House) -> None:
    house.hear(a=Counts(requests=10))
    house.write()
    house.hear(a=Counts(requests=12))
    house.hear(run=2, uptime=0, a=Counts(requests=3))
    house.hear(run=2, uptime=1, a=Counts(requests=5))
    house.hear(run=2, uptime=0, a=Counts(requests=50))  # the same number of a process, by chance
    assert house.total().requests == 12 + 5 + 50


def test_a_keeper_that_does_not_know_its_envoys_process_yet_is_taken_for_the_same(house: House) -> None:
    house.hear(a=Counts(requests=10), uptime=100)
    house.write()
    house.hear(run=None, a=Counts(requests=11), uptime=101)
    house.hear(run=1, a=Counts(requests=12), uptime=102)
    assert house.total().requests == 12
    house.hear(run=None, uptime=None, a=Counts(requests=13))
    house.hear(run=2, uptime=None, a=Counts(requests=20))
    assert house.total().requests == 13 + 20
    house.write()
    house.restart()
    house.hear(run=None, uptime=103, a=Counts(requests=21))
    house.write()
    assert house.total().requests == 34


def test_counters_of_a_listener_that_begin_anew_are_never_less_than_nothing(house: House) -> None:
    house.hear(a=Counts(10, 10, 10, 10), b=Counts(requests=1))
    house.write()
    house.hear(a=Counts(2, 30, 10, 9), b=Counts(requests=2))
    assert house.total("a") == Counts(12, 30, 10, 19)
    assert house.total("b") == Counts(requests=2)


def test_what_came_in_a_second_is_reckoned_by_the_time_that_is_over(house: House) -> None:
    house.hear(after=25)  # half past the minute
    house.write()
    house.hear(after=-20, a=Counts(handshakes=30))
    house.clock.advance(seconds=20)
    (now,) = house.series(last=timedelta(seconds=20)).buckets
    assert now.in_a_second(now.handshakes) == pytest.approx(1, rel=0.01)


def test_a_listener_that_is_off_for_a_moment_is_not_counted_again(house: House) -> None:
    house.hear(a=Counts(requests=10))
    house.write()
    house.hear()
    house.hear(a=Counts(requests=11))
    assert house.total().requests == 11
    house.hear()
    house.write()
    house.restart()
    house.hear(a=Counts(requests=12))
    house.write()
    assert house.total().requests == 12
    house.hear()
    house.hear(after=3601)
    assert house.system.counting.writing().gateways["g1"][1].listeners == {}


def test_gateways_add_up(house: House) -> None:
    for gateway_id in ("g1", "g2", "g3"):
        house.hear(gateway_id, a=Counts(requests=10, admitted=4), b=Counts(requests=1))
    house.write()
    for gateway_id in ("g1", "g2", "g3"):
        house.hear(gateway_id, a=Counts(requests=20, admitted=5), b=Counts(requests=1))
    assert house.total("a") == Counts(requests=60, admitted=15)
    assert house.total() == Counts(requests=63, admitted=15)


def test_a_control_plane_that_is_there_again_goes_on_where_the_one_before_it_had_written(house: House) -> None:
    house.hear(a=Counts(requests=10))
    house.write()
    house.hear(a=Counts(requests=15))  # in memory only
    house.restart()
    assert house.total().requests == 10
    house.hear(a=Counts(requests=130), uptime=400, after=10 * 60)
    house.write()
    assert house.total().requests == 130
    spread_out = busy(house)
    assert spread_out.pop("10:00") in {20, 21}
    assert len(spread_out) == 10
    assert set(spread_out.values()) <= {10, 11}


def test_an_envoy_that_began_anew_while_no_control_plane_ran_is_counted_from_its_beginning(house: House) -> None:
    house.hear(a=Counts(requests=10), uptime=500)
    house.write()
    house.restart()
    house.hear(a=Counts(requests=11), uptime=3, after=600)
    house.write()
    assert house.total().requests == 21


def test_a_gateway_heard_of_for_the_first_time_is_counted_from_its_beginning_unless_that_was_long_ago(house: House) -> None:
    house.hear("new", a=Counts(requests=60), uptime=120)
    house.hear("old", a=Counts(requests=10**9), uptime=4000)
    house.hear("mute", a=Counts(requests=10**9), uptime=None)
    house.write()
    assert busy(house) == {"09:58": 20, "09:59": 20, "10:00": 20}
    house.hear("old", a=Counts(requests=10**9 + 1), uptime=4001)
    assert house.total().requests == 61


def test_what_an_envoy_counted_under_a_keeper_of_before_is_not_taken_for_what_came_now(house: House) -> None:
    before = {"pid": 1, "listeners": {"listener/a": {"bytes_in": 5}}}
    house.system.counting.told("g1", before, house.clock.at)
    house.hear(a=Counts(requests=10**9), uptime=10**6)
    house.write()
    house.hear(a=Counts(requests=10**9 + 3), uptime=10**6 + 1)
    assert house.total().requests == 3


def test_what_a_clock_that_was_put_back_tells_is_counted(house: House) -> None:
    house.hear(a=Counts(requests=1))
    house.write()
    house.hear(a=Counts(requests=4), after=-30)
    house.clock.advance(minutes=1)
    assert house.total(last=2 * HOUR).requests == 4


def test_doors_of_our_own_are_counted_by_themselves(house: House) -> None:
    house.hear(a=Counts(requests=1), enrolment=Counts(requests=7))
    house.write()
    assert (house.total().requests, house.total("enrolment").requests) == (1, 7)


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"listeners": None},
        {"listeners": []},
        {"listeners": {"listener/a": None}},
        {"listeners": {"listener/a": {"requests": "7"}}},
        {"listeners": {"listener/a": {"requests": -7}}},
        *({"listeners": {"listener/a": {"requests": number}}} for number in (float("nan"), float("inf"), 2.0**53)),
        {"listeners": {f"listener/{'a' * 37}": {"requests": 7}}},
        {"listeners": {"listener/": {"requests": 7}}},
    ],
)
def test_reports_that_make_no_sense_count_nothing(house: House, nonsense: dict[str, Any]) -> None:
    house.system.counting.told("g1", {"pid": "x", "uptime": "y", **nonsense}, house.clock.at)
    house.write()
    assert house.total() == Counts()


def test_it_is_written_once_a_minute_and_when_a_gateway_is_new(house: House) -> None:
    counting, at = house.system.counting, house.clock.at
    assert not counting.is_due(at)
    house.hear(a=Counts(requests=1))
    assert counting.is_due(at)
    house.write()
    for second in (10, 20, 30):
        house.hear(a=Counts(requests=second), after=10)
        assert not counting.is_due(house.clock.at)
    house.clock.advance(minutes=1)
    assert counting.is_due(house.clock.at)
    house.write()
    house.clock.advance(minutes=1)
    assert not counting.is_due(house.clock.at)  # nobody told anything


def refusals(clock: FakeClock, count: int, code: str, ago: float = 0, until: float = 0, **fields: Any) -> dict[str, Any]:
    first, last = ((clock.at - timedelta(seconds=seconds)).isoformat() for seconds in (ago, until))
    usual = {"listener_id": "a", "stage": "request", "code": code, "who": "", "first": first, "last": last, "count": count}
    return {**usual, **fields}


def refuse(house: House, sequence: int, *entries: dict[str, Any]) -> None:
    assert denials.denied(house.system, "g1", {"sequence": sequence, "denials": list(entries)}) == 0


def test_refusals_are_counted_by_code_when_they_were_and_once(house: House) -> None:
    clock = house.clock
    entries = (
        refusals(clock, 3, "expired"),
        refusals(clock, 4, "expired", ago=300, until=300),
        refusals(clock, 6, "revoked", ago=120, until=0, listener_id="b"),
        refusals(clock, 9, "tls_failed", stage="handshake"),
    )
    for sequence in (1, 1, 1):
        refuse(house, sequence, *entries)
    found = house.series()
    assert found.refused == {"expired": 7, "revoked": 6}
    assert list(found.refused) == ["expired", "revoked"]
    when = {f"{one.at:%H:%M}": dict(one.refused) for one in found.buckets if one.refused}
    assert when == {
        "09:55": {"expired": 4},
        "09:58": {"revoked": 2},
        "09:59": {"revoked": 2},
        "10:00": {"expired": 3, "revoked": 2},
    }
    assert house.series("b").refused == {"revoked": 6}


def test_minutes_become_hours_and_hours_go(house: House) -> None:
    for number in range(4):
        house.hear(a=Counts(requests=10 * (number + 1)), after=30 * 60)
        refuse(house, number + 1, refusals(house.clock, 2, "expired"))
        house.write()
    assert traffic.forget_old(house.system) == 0
    house.clock.at = AT + MINUTES_KEPT + timedelta(hours=1)
    assert traffic.forget_old(house.system) > 0
    assert traffic.forget_old(house.system) == 0
    assert house.total(last=timedelta(days=4)).requests == 40
    assert house.series(last=timedelta(days=4)).refused == {"expired": 8}
    hours = house.series(last=timedelta(hours=52))
    assert hours.step == HOUR
    house.clock.at = AT + HOURS_KEPT - timedelta(hours=1)
    while traffic.forget_old(house.system):
        pass
    assert house.total(last=HOURS_KEPT).requests == 40
    house.clock.at = AT + HOURS_KEPT + timedelta(days=1)
    assert traffic.forget_old(house.system) > 0
    assert house.total(last=HOURS_KEPT).requests == 0


def test_many_minutes_become_hours_a_few_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.hear(a=Counts(requests=1))
    house.write()
    house.restart()
    house.hear(a=Counts(requests=1001), uptime=10**6, after=20 * 3600)
    house.write()
    house.clock.advance(days=3)
    monkeypatch.setattr(traffic, "_AT_ONCE", 7)
    rounds = 0
    while traffic.forget_old(house.system):
        rounds += 1
        assert house.total(last=timedelta(days=5)).requests == 1001
    assert rounds > 5


@pytest.mark.parametrize(
    ("last", "points", "step"),
    [
        (MINUTE, 120, MINUTE),
        (HOUR, 120, MINUTE),
        (HOUR, 61, MINUTE),
        (HOUR, 60, 2 * MINUTE),
        (24 * HOUR, 120, 15 * MINUTE),
        (24 * HOUR, 25, HOUR),
        (timedelta(days=3), 1000, HOUR),
        (timedelta(days=7), 120, 2 * HOUR),
        (timedelta(days=30), 120, 12 * HOUR),
        (timedelta(days=30), 121, 6 * HOUR),
        (timedelta(days=400), 120, timedelta(days=7)),
        (timedelta(days=400), 2, timedelta(days=7 * 64)),
    ],
)
def test_steps_are_as_fine_as_there_may_be_points(house: House, last: timedelta, points: int, step: timedelta) -> None:
    found = house.series(last=last, points=points)
    assert found.step == step
    assert 1 <= len(found.buckets) <= points
    assert found.buckets[0].at <= found.since < found.buckets[0].at + step
    assert found.buckets[-1].at < found.until <= found.buckets[-1].at + step
    assert all(after.at - before.at == step for before, after in zip(found.buckets, found.buckets[1:], strict=False))
    assert all(one.seconds == step.total_seconds() for one in found.buckets[:-1])
    assert 0 < found.buckets[-1].seconds <= step.total_seconds()


def test_weeks_begin_on_mondays(house: House) -> None:
    assert {one.at.weekday() for one in house.series(last=timedelta(days=400)).buckets} == {0}


def test_what_makes_no_sense_is_refused(house: House) -> None:
    now = house.clock.at
    for since, until, points in (
        (now, now, 120),
        (now + HOUR, now + 2 * HOUR, 120),
        (now - timedelta(days=401), now, 120),
        (now - HOUR, now, 1),
        (now - HOUR, now, 1001),
    ):
        with pytest.raises(Invalid):
            traffic.series(house.system, ADMIN, since=since, until=until, points=points)
    with pytest.raises(Denied):
        traffic.series(house.system, Caller(name="x", role="holder"), since=now - HOUR, until=now)
    traffic.series(house.system, Caller(name="x", role="auditor"), since=now - HOUR, until=now + HOUR)


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the zone is beside it)


@given(st.integers(0, 10**9), TIMES, TIMES)
def test_nothing_is_lost_by_being_spread(count: int, first: datetime, last: datetime) -> None:
    shares = list(spread(count, first, last))
    assert sum(share for _, share in shares) == count
    assert all(share > 0 for _, share in shares)
    assert len({minute for minute, _ in shares}) == len(shares) <= 60
    assert all(min(minute_of(first), minute_of(last)) <= minute <= minute_of(last) for minute, _ in shares)
    assert all(moment_of(minute_of(at)) <= at < moment_of(minute_of(at) + 1) for at in (first, last))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, FakeClock]]:
    clock = FakeClock(AT)
    system = a_system(sqlite_url(Path(tmp_path_factory.mktemp("shared"))), clock)
    yield system, clock
    system.store.close()


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.integers(0, 1), st.integers(0, 50)),
        st.tuples(st.just("tell"), st.integers(0, 1), st.integers(1, 200)),
        st.tuples(st.just("restart"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("write"), st.just(0), st.just(0)),
        st.tuples(st.just("end"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(EVENTS)
def test_in_any_order_each_request_is_counted_once(shared: tuple[System, FakeClock], events: list[tuple[str, int, int]]) -> None:
    """Two gateways; an Envoy is asked a last time before it begins anew, and the control plane may end at any moment."""
    system, clock = shared
    clock.advance(days=1)  # each example has a day, and gateways, of its own
    began = clock.at
    names = [f"g{clock.at.timestamp()}{number}" for number in range(2)]
    serving, counted, run, started = [0, 0], 0, [1, 1], [clock.at, clock.at]
    living = Counting()

    def tell(number: int) -> None:
        uptime = (clock.at - started[number]).total_seconds()
        living.told(names[number], told({"x": Counts(requests=serving[number])}, run[number], uptime), clock.at)

    def here() -> System:
        return System(store=system.store, sealer=system.sealer, clock=clock, counting=living)

    for what, number, amount in events:
        if what == "serve":
            serving[number] += amount
            counted += amount
        elif what == "tell":
            clock.advance(seconds=amount)
            tell(number)
        elif what == "restart":
            clock.advance(seconds=1)
            tell(number)
            traffic.write(here())
            serving[number], run[number], started[number] = 0, run[number] + 1, clock.at
        elif what == "write":
            traffic.write(here())
        else:
            living = Counting()
    for number in range(2):
        clock.advance(seconds=1)
        tell(number)
    traffic.write(here())
    found = traffic.series(system, ADMIN, since=began - HOUR, until=clock.at, listener_id="x")
    assert sum(one.requests for one in found.buckets) == counted


def test_all_listeners_together_have_rows_of_their_own(house: House) -> None:
    house.hear(a=Counts(requests=1), b=Counts(requests=2))
    house.write()
    assert house.total(ALL) == house.total(None) == Counts(requests=3)
    assert counting.refused(()) == {}
