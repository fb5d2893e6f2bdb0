"""Lists that end: what Envoy is given instead, what its answers then mean, and what people are told."""

from datetime import timedelta
from typing import Any

import pytest

from ostiary.clock import now
from ostiary.envoy import stale
from ostiary.envoy.resources import SECRET, Key, Resource
from ostiary.envoy.snapshot import snapshot
from ostiary.gateway.ledger import Contents, Ledger, Verdict
from ostiary.gateway.report import stale as reported
from ostiary.gateway.stale import AHEAD, REMIND, Alarms, Given, Stale, Staleness, is_alarm
from ostiary.model.desired import Desired
from ostiary.model.listener import StaleRevocation
from ostiary.model.tls import Trust
from ostiary.pki.list_ends import NOBODYS_LIST
from ostiary.xds.source import StreamState
from ostiary.xds.stream import Rejection
from support.certs import Authority
from support.desired import listener

CA = Authority.root("Ends")
END = now().replace(microsecond=0) + timedelta(days=7)
LISTS = CA.crl([7], next_update=END)
HOUR = timedelta(hours=1)


def published(choice: StaleRevocation, lists: str = LISTS, hours: int = 3) -> dict[Key, Resource]:
    trust = Trust(name="trust/clients", certificates=CA.cert_pem, crls=lists)
    settings: dict[str, Any] = {"client_authentication": "MANDATORY", "stale_revocation": choice, "stale_allow_hours": hours}
    return dict(snapshot(Desired(listeners=(listener(trust=trust, **settings),))).resources)


def the_trust(resources: dict[Key, Resource]) -> Resource:
    (found,) = (one for key, one in resources.items() if key[0] == SECRET and key[1].startswith("trust/"))
    return found


def is_timeless(given: Given, key: Key) -> bool:
    return given.resources[key] == stale.timeless(given.resources[key])


def test_the_choice_stands_in_the_name_of_the_trust() -> None:
    assert the_trust(published("REFUSE")).name == "trust/clients"
    allowing = the_trust(published("ALLOW", hours=5))
    assert allowing.name == "trust/clients/stale-allow-5h"
    assert stale.allowed(allowing.name) == 5 * HOUR
    assert stale.allowed("trust/clients") is None


def test_without_lists_there_is_nothing_to_choose() -> None:
    assert the_trust(published("ALLOW", lists="")).name == "trust/clients"


@pytest.mark.parametrize(
    "name", ["trust/stale-allow-h", "trust/stale-allow-1d", "trust/stale-allow-1h/more", "trust/stale-allow--1h"]
)
def test_what_is_no_choice_lets_nobody_in(name: str) -> None:
    assert stale.allowed(name) is None


def test_lists_that_have_not_ended_are_handed_on_as_they_are() -> None:
    for choice in ("REFUSE", "ALLOW"):
        wanted = published(choice)
        given = Staleness().given(wanted, END - AHEAD - HOUR)
        assert given.resources == wanted
        assert given.stale == ()
        assert given.look_again == (END if choice == "REFUSE" else END - AHEAD)


def test_refuse_hands_on_the_ended_list_and_says_so() -> None:
    wanted = published("REFUSE")
    given = Staleness().given(wanted, END)
    assert given.resources == wanted
    assert given.stale == (Stale("trust/clients", ("l1",), END, None),)
    assert not given.stale[0].lets_in(END)
    assert given.look_again is None


def test_allow_has_envoy_look_at_no_time_from_before_the_end_until_the_hours_are_over() -> None:
    wanted = published("ALLOW", hours=3)
    key = the_trust(wanted).key
    staleness = Staleness()
    before = staleness.given(wanted, END - AHEAD)
    assert is_timeless(before, key)
    assert before.stale == ()
    assert before.look_again == END
    after = staleness.given(wanted, END)
    assert is_timeless(after, key)
    assert after.stale == (Stale(key[1], ("l1",), END, END + 3 * HOUR),)
    assert after.stale[0].lets_in(END)
    assert after.look_again == END + 3 * HOUR
    over = staleness.given(wanted, END + 3 * HOUR)
    assert over.resources == wanted
    assert not over.stale[0].lets_in(END + 3 * HOUR)
    assert over.look_again is None


def test_the_lists_stay_so_that_whoever_they_name_is_refused() -> None:
    wanted = published("ALLOW")
    key = the_trust(wanted).key
    assert stale.lists(Staleness().given(wanted, END).resources[key]) == LISTS


def test_a_list_that_is_there_to_refuse_everybody_is_not_one_that_ended() -> None:
    assert Staleness().given(published("ALLOW", lists=NOBODYS_LIST), END).stale == ()


def test_what_envoy_says_of_what_it_was_given_is_said_of_what_is_wanted() -> None:
    wanted = published("ALLOW")
    key = the_trust(wanted).key
    ledger, staleness = Ledger(Contents()), Staleness()
    for one in wanted.values():
        ledger.want(one)
    given = staleness.given(ledger.resources(), END).resources[key].version
    assert given != wanted[key].version
    state = StreamState(True, accepted={key: given}, changed=frozenset({key}))
    ledger.note(staleness.meant(state), 0)
    assert ledger.verdict(key) == Verdict(wanted[key].version)
    assert not ledger.refused
    refusal = StreamState(True, rejected={key: Rejection(given, "no")}, changed=frozenset({key}))
    assert staleness.meant(refusal).rejected == {key: Rejection(wanted[key].version, "no")}
    fresh = the_trust(published("ALLOW", lists=CA.crl(next_update=END + HOUR, number=2)))
    ledger.want(fresh)
    assert staleness.given(ledger.resources(), END).resources[key] == fresh
    ledger.note(staleness.meant(state), 0)  # late news of what it had before
    assert ledger.verdict(key) is None


def test_what_was_read_is_not_read_again_and_what_is_gone_is_forgotten() -> None:
    staleness = Staleness()
    wanted = published("ALLOW")
    first = staleness.given(wanted, END).resources
    key = the_trust(wanted).key
    assert staleness.given(wanted, END).resources[key] is first[key]
    assert staleness.given({}, END).stale == ()
    assert staleness.given({}, END).look_again is None


def test_people_are_told_at_the_beginning_each_hour_at_the_end_and_when_it_is_over() -> None:
    alarms, one = Alarms(), Stale("trust", ("l1",), END, END + 3 * HOUR)
    told = {}
    for minute in range(60 * 5):
        at = END + timedelta(minutes=minute)
        if words := [words for words, _ in alarms.due([one] if minute < 250 else [], at)]:
            told[minute] = words
    assert list(told) == [0, 60, 120, 180, 240, 250]
    assert "let in" in told[0][0]
    assert told[60] == told[0]
    assert "refused" in told[180][0]
    assert told[240] == told[180]
    assert [is_alarm(words[0]) for words in told.values()] == [True, True, True, True, True, False]
    assert timedelta(minutes=60) == REMIND


def test_the_control_plane_is_told() -> None:
    told = reported([Stale("trust", ("l1", "l2"), END, None)])
    assert told == {"stale": [{"listeners": ["l1", "l2"], "since": END.isoformat(), "until": None}]}
