"""Control plane, keeper and Envoy, with restarts of each: once all is answered, both ends agree on what Envoy has and refuses."""

from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.envoy.resources import CLUSTER, LISTENER, Key, Resource
from ostiary.gateway.dialogue import Dialogue
from ostiary.gateway.ledger import Contents, Ledger
from ostiary.xds.source import StreamState
from ostiary.xds.stream import ENVOY, RELAY, Request, Send, Stream

NAMES = ("a", "b", "c")
FATAL = "refused"
GIVEN = ", made to last"  # how a version is called that Envoy is given in place of one that is wanted
worlds = st.dictionaries(
    st.tuples(st.sampled_from([CLUSTER, LISTENER]), st.sampled_from(NAMES)), st.sampled_from(["1", "2", FATAL]), max_size=4
)


def resources(world: dict[Key, str]) -> dict[Key, Resource]:
    return {key: Resource(*key, version, version.encode()) for key, version in world.items()}


class Door:
    """`control` ⇄ `dialogue`/`ledger`/`stream` ⇄ `has`. Everything that travels waits in a queue until a rule moves it."""

    def __init__(self) -> None:
        self.at = 0.0
        self.world: dict[Key, str] | None = None
        self.lists_ended = False  # then Envoy is given something else in place of what is wanted (ostiary.gateway.stale)
        self.taken: set[Key] = set()  # listeners whose port somebody else has
        self.has: dict[Key, str] = {}
        self.disk: Contents | None = None
        self.disk_was_lost = False
        self.dropped: set[Key] = set()  # names come back here as they never do in life; nothing good is remembered of those
        self._keeper_starts()

    # The parts start.

    def _keeper_starts(self) -> None:
        self.ledger = Ledger(self.disk)
        self._envoy_connects()
        self._control_connects()

    def _envoy_connects(self) -> None:
        self.stream = Stream(ENVOY)
        self.to_envoy: deque[Send] = deque()
        self.from_envoy: deque[Request] = deque()
        self.dialogue: Dialogue | None = getattr(self, "dialogue", None)
        if self.ledger.whole:
            self.stream.publish(self._given())
        self._note(fresh=True)
        for kind in (CLUSTER, LISTENER):
            had = {name: version for (type_url, name), version in self.has.items() if type_url == kind}
            self.from_envoy.append(Request(kind, initial_versions=had))

    def _control_connects(self) -> None:
        self.control = Stream(RELAY)
        self.down: deque[Send] = deque()
        if self.world is not None:
            self.control.publish(resources(self.world))
        self.dialogue = Dialogue(self.ledger)
        self.up: deque[Request] = deque(self.dialogue.begin())

    # Things happen.

    def the_control_plane_publishes(self, world: dict[Key, str]) -> None:
        self.dropped |= (self.world or {}).keys() - world.keys()
        self.world = world
        self.down.extend(self.control.publish(resources(world)))

    def some_are_killed(self, who: set[str]) -> None:
        if "envoy" in who:
            self.has = {}
        if "disk" in who:
            self.disk = None
            self.disk_was_lost = True
        if who & {"keeper", "disk"}:
            del self.dialogue
            self._keeper_starts()
            return
        if "envoy" in who:
            self._envoy_connects()
        if "control plane" in who:
            self._control_connects()

    def a_port_is_taken(self, name: str) -> None:
        self.taken ^= {(LISTENER, name)}

    def lists_end_or_are_fresh_again(self) -> None:
        self.lists_ended = not self.lists_ended
        self._publish()

    def time_passes(self, seconds: float) -> None:
        self.at += seconds
        if due := self.ledger.try_again(self.at):
            self._publish()
            self.to_envoy.extend(self.stream.retry(due))

    # Things arrive.

    def some_messages_arrive(self, picks: list[int]) -> None:
        for pick in picks:
            if waiting := self._waiting():
                waiting[pick % len(waiting)]()

    def all_messages_arrive(self) -> None:
        self._settle()

    def the_control_plane_hears(self) -> None:
        self.down.extend(self.control.hear(self.up.popleft()))

    def the_keeper_hears_the_control_plane(self) -> None:
        assert self.dialogue is not None
        self.up.extend(self.dialogue.hear(self.down.popleft()))
        if self.dialogue.news:
            self.dialogue.news = False
            self._publish()

    def envoy_hears(self) -> None:
        send = self.to_envoy.popleft()
        for resource in send.resources:
            busy = resource.key in self.taken and resource.key not in self.has
            if resource.version.startswith(FATAL) or busy:
                self.from_envoy.append(Request(send.type_url, nonce=send.nonce, error="no"))
                return
            self.has[resource.key] = resource.version
        for name in send.removed:
            self.has.pop((send.type_url, name), None)
        self.from_envoy.append(Request(send.type_url, nonce=send.nonce))

    def the_keeper_hears_envoy(self) -> None:
        self.to_envoy.extend(self.stream.hear(self.from_envoy.popleft()))
        self._note()

    # What the keeper does between them (ostiary.gateway.keeper).

    def _note(self, *, fresh: bool = False) -> None:
        changed = self.stream.take_changed()
        accepted = {key: version.removesuffix(GIVEN) for key, version in self.stream.accepted.items()}
        rejected = {key: one._replace(version=one.version.removesuffix(GIVEN)) for key, one in self.stream.rejected.items()}
        state = StreamState(True, fresh, accepted, rejected, changed)
        before = set(self.ledger.refused)
        keys = self.ledger.note(state, self.at)
        if not keys.isdisjoint(before | self.ledger.refused.keys()):
            self._publish()
        if self.dialogue is not None:
            self.up.extend(self.dialogue.answer(keys))

    def _publish(self) -> None:
        if self.ledger.whole:
            self.disk = Contents(tuple(self.ledger.wanted.values()), tuple(self.ledger.standing_in().values()))
            self.to_envoy.extend(self.stream.publish(self._given()))

    def _given(self) -> dict[Key, Resource]:
        wanted = dict(self.ledger.resources())
        if not self.lists_ended:
            return wanted
        return {key: Resource(*key, one.version + GIVEN, one.body) if key[1] == "a" else one for key, one in wanted.items()}

    # Laws.

    def ends(self) -> None:
        self._comes_to_rest()
        self._agrees()
        if not self.taken and not self.disk_was_lost:
            before = self._lasting()
            self.some_are_killed({"envoy"})
            self._settle()
            assert self._lasting() == before, "an Envoy that starts anew serves what it served"
        self.taken.clear()
        self._comes_to_rest()
        self._agrees()

    def _lasting(self) -> dict[Key, str]:
        return {key: version for key, version in self.has.items() if key not in self.dropped}

    def _comes_to_rest(self) -> None:
        for _ in range(2):
            self._settle()
            self.at += 60
            self.time_passes(0.5)
        self._settle()

    def _agrees(self) -> None:
        if self.world is None:
            return
        good = {
            key: version for key, version in self.world.items() if version != FATAL and (key not in self.taken or key in self.has)
        }
        had = {key: version for key, version in self.has.items() if key in good}
        assert had == {key: version + GIVEN * (self.lists_ended and key[1] == "a") for key, version in good.items()}
        assert not [key for key in self.has if key[0] == LISTENER and key not in self.world], (
            "a listener that is gone still serves"
        )
        told = {key: version for key, version in self.control.accepted.items() if key in good}
        assert told == good
        assert self.control.rejected.keys() == self.world.keys() - good.keys()
        if not self.ledger.refused:
            assert self.has == had
            assert self.control.settled

    def _settle(self) -> None:
        for _ in range(2000):
            waiting = self._waiting()
            if not waiting:
                return
            waiting[0]()
        raise AssertionError("they never stop talking")

    def _waiting(self) -> list[Callable[[], None]]:
        moves = (
            (self.up, self.the_control_plane_hears),
            (self.down, self.the_keeper_hears_the_control_plane),
            (self.to_envoy, self.envoy_hears),
            (self.from_envoy, self.the_keeper_hears_envoy),
        )
        return [move for queue, move in moves if queue]


EVENTS = st.one_of(
    st.tuples(st.just("the_control_plane_publishes"), worlds),
    st.tuples(st.just("some_are_killed"), st.sets(st.sampled_from(["control plane", "envoy", "keeper", "disk"]), min_size=1)),
    st.tuples(st.just("a_port_is_taken"), st.sampled_from(NAMES)),
    st.tuples(st.just("lists_end_or_are_fresh_again")),
    st.tuples(st.just("time_passes"), st.sampled_from([0.5, 5.0, 60.0])),
    st.tuples(st.just("some_messages_arrive"), st.lists(st.integers(0, 3), min_size=1, max_size=12)),
    st.tuples(st.just("all_messages_arrive")),
)


@settings(max_examples=400)
@given(first=worlds, events=st.lists(EVENTS, min_size=4, max_size=16))
def test_both_ends_agree_whatever_happens_between(first: dict[Key, str], events: list[tuple[Any, ...]]) -> None:
    door = Door()
    door.the_control_plane_publishes(first)
    door.all_messages_arrive()
    for event, *given_with in events:
        getattr(door, event)(*given_with)
    door.ends()


@settings(max_examples=100)
@given(events=st.lists(EVENTS.filter(lambda event: event[0] != "the_control_plane_publishes"), min_size=2, max_size=8))
def test_nothing_is_taken_away_before_a_control_plane_has_published(events: list[tuple[Any, ...]]) -> None:
    door = Door()
    door.has = {(LISTENER, "a"): "1", (CLUSTER, "b"): "1"}  # an Envoy that runs; nobody knows why
    for event, *given_with in events:
        if event != "some_are_killed":
            getattr(door, event)(*given_with)
        elif others := given_with[0] - {"envoy"}:
            door.some_are_killed(others)
        assert door.has == {(LISTENER, "a"): "1", (CLUSTER, "b"): "1"}
