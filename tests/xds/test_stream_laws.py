"""Whatever happens between an Envoy and us, in whatever order: once all is answered, it has what it should have."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ostiary.envoy.resources import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Key, Resource
from ostiary.xds.stream import ENVOY, EVERYTHING, RELAY, Etiquette, Request, Send, Stream

TYPES = (CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET)
WILDCARD = (CLUSTER, LISTENER)
NAMES = ("a", "b", "c")
BAD = "bad"  # a version that the client refuses

versions = st.sampled_from(["1", "2", BAD])
worlds = st.dictionaries(st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES)), versions)


def resources(world: dict[Key, str]) -> dict[Key, Resource]:
    return {key: Resource(*key, version, version.encode()) for key, version in world.items()}


@dataclass
class Client:
    """What an Envoy does: asks, keeps what it is given, refuses what is bad and then keeps what it had."""

    has: dict[Key, str] = field(default_factory=dict)
    everything: set[str] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=dict)
    cured: bool = False

    def wants(self, key: Key) -> bool:
        return key[0] in self.everything or key[1] in self.names.get(key[0], set())

    def first(self, kind: str) -> Request:
        had = {name: version for (type_url, name), version in self.has.items() if type_url == kind and self.wants((kind, name))}
        names = tuple(sorted(self.names.get(kind, set())))
        if kind in self.everything and kind not in WILDCARD:
            names += (EVERYTHING,)
        elif kind in self.everything and names:
            names += (EVERYTHING,)  # once a name is given, the wildcard has to be too
        return Request(kind, subscribe=names, initial_versions=had)

    def take(self, send: Send) -> Request:
        for resource in send.resources:
            if resource.version == BAD and not self.cured:
                return Request(send.type_url, nonce=send.nonce, error=f"{resource.name} is bad")
            if self.wants(resource.key):
                self.has[resource.key] = resource.version
        for name in send.removed:
            self.has.pop((send.type_url, name), None)
        return Request(send.type_url, nonce=send.nonce)


class Conversation(RuleBasedStateMachine):
    """Messages wait in two queues, one each way; rules say things, or let one message arrive."""

    etiquette: Etiquette = ENVOY

    def __init__(self) -> None:
        super().__init__()
        self.client = Client()
        self.world: dict[Key, str] | None = None
        self.down: deque[Send] = deque()
        self.up: deque[Request] = deque()
        self.stream = Stream(self.etiquette)
        self.adding: dict[str, str] = {}  # nonce → type of additions that were sent and not answered
        self.met: set[str] = set()
        self.said: dict[str, tuple[Key, str]] = {}

    @initialize(relay=st.booleans())
    def connects(self, relay: bool) -> None:  # noqa: FBT001 (hypothesis draws it)
        self.client.everything = set(TYPES) if relay else set(WILDCARD)
        self.reconnects()

    @rule()
    def reconnects(self) -> None:
        self.stream = Stream(self.etiquette)
        self.down.clear()
        self.up.clear()
        self.adding.clear()
        self.met = set(self.client.everything) | {kind for kind, names in self.client.names.items() if names}
        if self.world is not None:
            assert self.stream.publish(resources(self.world)) == []
        for kind in sorted(self.met):
            self.up.append(self.client.first(kind))

    @rule(world=worlds)
    def publishes(self, world: dict[Key, str]) -> None:
        self.world = world
        self._sent(self.stream.publish(resources(world)))
        assert self.stream.publish(resources(world)) == []

    @rule(kind=st.sampled_from([ENDPOINT, ROUTE, SECRET]), names=st.sets(st.sampled_from(NAMES), min_size=1))
    def asks(self, kind: str, names: set[str]) -> None:
        if kind not in self.met:
            self.client.names[kind] = names
            self.met.add(kind)
            self.up.append(self.client.first(kind))
            return
        for name in names:
            self.client.has.pop((kind, name), None)  # it may have forgotten, which is why it asks
        self.client.names.setdefault(kind, set()).update(names)
        self.up.append(Request(kind, subscribe=tuple(sorted(names))))

    @rule(kind=st.sampled_from([ENDPOINT, ROUTE, SECRET]), names=st.sets(st.sampled_from(NAMES), min_size=1))
    def drops(self, kind: str, names: set[str]) -> None:
        if kind not in self.met:
            return
        self.client.names.setdefault(kind, set()).difference_update(names)
        for name in names:
            self.client.has.pop((kind, name), None)
        self.up.append(Request(kind, unsubscribe=tuple(sorted(names))))

    @precondition(lambda self: self.down)
    @rule()
    def a_message_reaches_the_client(self) -> None:
        self.up.append(self.client.take(self.down.popleft()))

    @precondition(lambda self: self.up)
    @rule()
    def a_message_reaches_us(self) -> None:
        request = self.up.popleft()
        before = dict(self.stream.accepted)
        self.adding.pop(request.nonce, None)
        self._sent(self.stream.hear(request))
        for key, version in self.stream.accepted.items():
            if before.get(key) != version and request.nonce:
                assert request.error is None
                assert self.said[request.nonce] == (key, version)

    @rule(
        nonce=st.sampled_from(["", "0", "999999", "nonsense"]), kind=st.sampled_from(TYPES), error=st.sampled_from([None, "no"])
    )
    def something_stale_arrives(self, nonce: str, kind: str, error: str | None) -> None:
        if kind not in self.met or any(not request.nonce for request in self.up):
            return
        before = dict(self.stream.accepted), dict(self.stream.rejected)
        assert self.stream.hear(Request(kind, nonce=nonce, error=error)) == []
        assert before == (self.stream.accepted, self.stream.rejected)

    @rule()
    def we_retry(self) -> None:
        self._sent(self.stream.retry())

    @rule(cured=st.booleans())
    def what_is_bad_changes(self, cured: bool) -> None:  # noqa: FBT001 (hypothesis draws it)
        self.client.cured = cured

    @invariant()
    def once_all_is_answered_it_has_what_it_should_have(self) -> None:
        if self.down or self.up:
            return
        self._agrees()

    def teardown(self) -> None:
        while self.down or self.up:
            if self.down:
                self.a_message_reaches_the_client()
            else:
                self.a_message_reaches_us()
        self._agrees()

    def _agrees(self) -> None:
        assert self.client.has == self.stream.accepted
        if self.world is None:
            return
        assert self.stream.settled
        wanted = {key: version for key, version in self.world.items() if self.client.wants(key)}
        refused = self.stream.rejected.keys()
        assert {key: version for key, version in self.client.has.items() if key not in refused} == {
            key: version for key, version in wanted.items() if key not in refused
        }
        assert all(wanted[key] == rejection.version == BAD for key, rejection in self.stream.rejected.items())

    def _sent(self, sends: Iterable[Send]) -> None:
        for send in sends:
            assert len(send.resources) + len(send.removed) <= 1
            for resource in send.resources:
                assert self.world is not None
                assert self.world[resource.key] == resource.version
                self.adding[send.nonce] = send.type_url
                self.said[send.nonce] = (resource.key, resource.version)
            for name in send.removed:
                assert self.world is not None
                assert (send.type_url, name) not in self.world
                self._waited_its_turn(send, name)
            self.down.append(send)

    def _waited_its_turn(self, send: Send, name: str) -> None:
        if not self.etiquette.holds_removals:
            return
        if (send.type_url, name) not in self.client.has:
            return  # an answer to a question about what is not there
        alive = {kind for nonce, kind in self.adding.items() if nonce in self.stream._flights}
        assert LISTENER not in alive if send.type_url == LISTENER else not alive


class RelayConversation(Conversation):
    etiquette = RELAY


TestEnvoy = Conversation.TestCase
TestRelay = RelayConversation.TestCase
TestEnvoy.settings = TestRelay.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
