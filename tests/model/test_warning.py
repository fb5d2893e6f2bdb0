"""What ends, and when people should know: thresholds, one word for each, and nothing twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.model.warning import Notice, Thing, judged, news

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAYS = (60, 30, 14, 7, 1)


def ends(days: float, **fields: Any) -> Thing:
    return Thing(**{"kind": "CLIENT_CERTIFICATE", "id": "x", "name": "alice", "ends_at": AT + timedelta(days=days), **fields})


def one(thing: Thing, at: datetime = AT, days: tuple[int, ...] = DAYS) -> Notice | None:
    return next(iter(judged([thing], days, at)), None)


@pytest.mark.parametrize(
    ("left", "stage", "within", "severity"),
    [
        (61, None, None, None),
        (60, "DAYS", 60, "INFO"),
        (30.5, "DAYS", 60, "INFO"),
        (30, "DAYS", 30, "INFO"),
        (14, "DAYS", 14, "WARNING"),
        (6.9, "DAYS", 7, "WARNING"),
        (1, "DAYS", 1, "CRITICAL"),
        (0, "ENDED", None, "CRITICAL"),
        (-3, "ENDED", None, "CRITICAL"),
    ],
)
def test_the_last_threshold_that_was_passed_is_told(
    left: float, stage: str | None, within: int | None, severity: str | None
) -> None:
    found = one(ends(left))
    assert (found and found.stage, found and found.within_days, found and found.severity) == (stage, within, severity)


def test_a_threshold_before_the_thing_was_made_is_none() -> None:
    born = AT - timedelta(days=1)
    assert one(ends(13, counts_from=born)) is None  # of a life of 14 days, those of 60, 30 and 14 are no news
    assert getattr(one(ends(7, counts_from=born)), "within_days", None) == 7


def test_the_end_of_what_passes_no_threshold_in_its_life_is_no_news_where_a_machine_replaces_it() -> None:
    short = {"counts_from": AT, "ends_quietly": True}
    later = AT + timedelta(days=30)
    assert one(ends(1 / 24, **short), later) is None
    assert one(ends(1, **short), later) is None
    assert getattr(one(ends(1.1, **short), later), "stage", None) == "ENDED"
    assert getattr(one(ends(1 / 24, counts_from=AT), later), "stage", None) == "ENDED"


def test_what_renews_itself_is_told_of_only_when_it_did_not() -> None:
    renewal = AT + timedelta(days=20)  # it has 40 days left, and is renewed when 20 are
    thing = ends(40, counts_from=renewal)
    assert one(thing, AT) is None
    assert one(thing, AT + timedelta(days=20)) is None
    late = one(thing, AT + timedelta(days=26))
    assert late is not None
    assert late.within_days == 14


def test_a_list_is_told_of_at_half_of_its_life_and_when_it_has_ended_and_not_between() -> None:
    a_list = Thing(kind="REVOCATION_LIST", id="ca", name="CA", ends_at=AT + timedelta(days=7), half_life=AT + timedelta(days=3.5))
    ranks = [one(a_list, AT + timedelta(days=day)) for day in (0, 3, 3.5, 6.9, 7)]
    assert [found and found.stage for found in ranks] == [None, None, "HALF_LIFE", "HALF_LIFE", "ENDED"]


def test_the_most_severe_come_first_and_among_them_what_ends_first() -> None:
    things = [ends(days, id=str(days)) for days in (20, 3, 0.5, -1, 50)]
    things.append(Thing(kind="GATEWAY", id="none", name=""))
    assert [found.thing_id for found in judged(things, DAYS, AT)] == ["none", "-1", "0.5", "3", "20", "50"]


def test_what_was_renewed_is_another_and_the_old_one_is_over() -> None:
    before, after = one(ends(5)), one(ends(6))
    assert before is not None
    assert after is not None
    told = {before.id: before.rank}
    found = news([after], told)
    assert found.raised == (after,)
    assert found.resolved == (before.id,)


def test_of_what_is_unknown_nothing_is_over() -> None:
    told = {"LISTENER.abc": 0, "ACCESS_TOKEN.abc": 7}
    assert news([], told, ["LISTENER"]).resolved == ("ACCESS_TOKEN.abc",)


thresholds = st.lists(st.integers(1, 400), min_size=1, max_size=10, unique=True).map(tuple)
lives = st.floats(0.01, 800)


@given(days=thresholds, lives=st.lists(lives, min_size=1, max_size=6), steps=st.lists(st.floats(0, 90), max_size=40))
def test_each_threshold_is_told_once_in_order_however_often_one_looks(
    days: tuple[int, ...], lives: list[float], steps: list[float]
) -> None:
    """A law: looked at at any times, with what was told kept, each thing is told of each stage once at most, later ones later."""
    things = [ends(life, id=str(number), counts_from=AT) for number, life in enumerate(lives)]
    told: dict[str, int] = {}
    said: dict[str, list[int]] = {}
    at = AT
    for step in [0.0, *steps]:
        at += timedelta(days=step)
        current = judged(things, days, at)
        found = news(current, told)
        assert found.resolved == ()
        for notice in found.raised:
            said.setdefault(notice.id, []).append(notice.rank)
            told[notice.id] = notice.rank
        assert news(judged(things, days, at), told).raised == ()  # nothing changed: nothing to tell
        for thing in things:
            assert thing.ends_at is not None
            expected = {day for day in days if AT < thing.ends_at - timedelta(days=day) <= at}
            now = next((one for one in current if one.thing_id == thing.id), None)
            if thing.ends_at <= at:
                assert now is not None
                assert now.stage == "ENDED"
            elif expected:
                assert now is not None
                assert now.within_days == min(expected)
            else:
                assert now is None
    for ranks in said.values():
        assert ranks == sorted(set(ranks), reverse=True)


@given(days=thresholds, left=st.floats(-10, 500), moved=st.floats(1, 1000))
def test_a_renewal_resolves_whatever_was_told(days: tuple[int, ...], left: float, moved: float) -> None:
    before = judged([ends(left)], days, AT)
    told = {notice.id: notice.rank for notice in before}
    found = news(judged([ends(left + moved)], days, AT), told)
    assert set(found.resolved) == set(told)
