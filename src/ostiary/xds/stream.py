"""One incremental (delta) ADS conversation: what a client asks for, has, refuses, and is to be sent next. No I/O, no clock.

The rules are those of the xDS protocol (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol, "Incremental xDS"):
one ordered stream for all types, content-hash versions, an answer is about exactly the message whose nonce it carries.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from ostiary.envoy.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ORDER, ROUTE, SECRET, Key, Resource, Snapshot
from ostiary.xds.references import clusters_of

EVERYTHING: Final = "*"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Request:
    """What the client says (DeltaDiscoveryRequest). `error` is set when it refuses what `nonce` brought."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    nonce: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Send:
    """What the server says (DeltaDiscoveryResponse). At most one resource or removal: a refusal is about exactly that one."""

    type_url: str
    nonce: str
    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


class Rejection(NamedTuple):
    """A version that the client refused (empty: a removal), and its own words."""

    version: str
    message: str


@dataclass(frozen=True)
class Etiquette:
    """How to treat a kind of client.

    `order`: of types within one publication; removals have their own.
    `holds_removals`: whether removals wait until what goes before them was answered.
    `patient`: types for which a name that does not exist is answered when it appears; for others, at once with "removed".
    `comes_along`: what is sent again with a resource of that type and the same name, although the client has it.
    `needs`: what the client must have accepted before a resource replaces the one of that name that it has.
    """

    order: tuple[str, ...]
    removal_order: tuple[str, ...]
    holds_removals: bool
    patient: frozenset[str] = frozenset()
    comes_along: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    needs: Callable[[Resource], frozenset[Key]] = lambda _: frozenset()


# An Envoy told that its secret does not exist goes on without it: it would bind a port that can only refuse. It may wait instead.
# Its clusters start anew when they change and wait for their endpoints, yet do not ask again for those they were sent before.
# It answers for a cluster when that is warm; a route that got there first would answer 503 until then (seen).
ENVOY: Final = Etiquette(
    order=ORDER,
    removal_order=(LISTENER, EXTENSION, ROUTE, CLUSTER, ENDPOINT, SECRET),
    holds_removals=True,
    patient=frozenset({SECRET, EXTENSION}),
    comes_along=MappingProxyType({CLUSTER: ENDPOINT}),
    needs=clusters_of,
)
# A keeper hands on, and orders for its Envoy itself. What is referred to comes before what refers to it, so that whatever part of
# a publication it has heard stands by itself. Nothing is held: it may be long before its Envoy answers.
RELAY: Final = Etiquette(
    order=(SECRET, ENDPOINT, CLUSTER, EXTENSION, ROUTE, LISTENER),
    removal_order=(LISTENER, EXTENSION, ROUTE, CLUSTER, ENDPOINT, SECRET),
    holds_removals=False,
)

_LEGACY_WILDCARD: Final = frozenset({CLUSTER, LISTENER})


@dataclass
class _Interest:
    everything: bool = False
    names: set[str] = field(default_factory=set)

    def includes(self, name: str) -> bool:
        return self.everything or name in self.names


class _Flight(NamedTuple):
    """A message that has not been answered. No key: it was empty. No version: a removal."""

    type_url: str
    key: Key | None
    version: str | None


class Stream:
    """The server's half of one conversation.

    `accepted` and `rejected` are what the client said it has and refuses; both are never guessed ahead of its answer.
    """

    def __init__(self, etiquette: Etiquette = ENVOY) -> None:
        self.accepted: dict[Key, str] = {}
        self.rejected: dict[Key, Rejection] = {}
        self._etiquette = etiquette
        self._wanted: Mapping[Key, Resource] | None = None  # None: nothing was published, so nothing can be said to be gone
        self._interests: dict[str, _Interest] = {}
        self._held: set[Key] = set()  # what the client may hold: a removal is due for these
        self._asked: set[Key] = set()  # asked for by name: to be sent whatever we think the client has
        self._unanswered: set[str] = set()  # types whose first question has had no answer yet
        self._flights: dict[str, _Flight] = {}
        self._flying: dict[Key, dict[str, str | None]] = {}  # per resource, nonce → version, oldest first
        self._changing: dict[str, set[str]] = {}  # per type, nonces that carry additions or changes
        self._waiting: dict[str, set[Key]] = {}  # per type, removals that are held
        self._early: set[Key] = set()  # changes that are held, for what they need is not there yet
        self._changed: set[Key] = set()
        self._nonces = itertools.count(1)

    @property
    def settled(self) -> bool:
        """Whether the client has, or has refused, everything it asked for."""
        return self._wanted is not None and not self._flights and not self._early and not any(self._waiting.values())

    def take_changed(self) -> frozenset[Key]:
        """The resources whose acceptance or refusal changed since this was last asked."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def publish(self, wanted: Mapping[Key, Resource], changed: Collection[Key] | None = None) -> list[Send]:
        """Make this what the client should have, and return what is to be sent for it.

        `changed`: where it differs from what was published before, where that is known.
        """
        before, self._wanted = self._wanted, wanted
        touched: set[Key] = set()
        if before is None:
            touched |= wanted.keys() | self._held | self._asked
        elif changed is not None:
            touched |= set(changed)
        else:
            touched |= Snapshot(resources=wanted).changed(before)
        for key in touched & self.rejected.keys():
            if self.rejected[key].version != (self._wanted_version(key) or ""):
                self._forget_rejection(key)
        return self._advance(touched)

    def retry(self, keys: Iterable[Key] | None = None) -> list[Send]:
        """Send again what was refused, all or these: the reason, such as a port that was taken, may be gone."""
        refused = set(self.rejected) if keys is None else self.rejected.keys() & set(keys)
        for key in refused:
            self._forget_rejection(key)
        return self._advance(refused)

    def hear(self, request: Request) -> list[Send]:
        """Take one request and return what is to be sent for it."""
        touched = self._take_answer(request)
        first = request.type_url not in self._interests
        interest = self._interests.setdefault(request.type_url, _Interest())
        if first:
            touched |= self._take_first(request, interest)
        else:
            touched |= self._take_subscriptions(request, interest)
        touched |= self._take_unsubscriptions(request, interest)
        return self._advance(touched)

    # What the client says.

    def _take_answer(self, request: Request) -> set[Key]:
        flight = self._flights.get(request.nonce)
        if flight is None or flight.type_url != request.type_url:
            return set()  # about something we did not say on this stream, or that a newer answer has settled
        self._land(request.nonce)
        if flight.key is None:
            return set()
        overtook = self._settle_older(flight.key, request.nonce)
        if not self._includes(flight.key):
            return set()  # it has dropped it since; had it asked anew before it answered, we would have heard of that first
        if request.error is not None:
            if overtook:
                self._forget_acceptance(flight.key)  # it keeps what it had, and that may be one that it never answered for
            self._note_refusal(flight.key, flight.version, request.error)
        elif flight.version is None:
            self._note_removed(flight.key)
        else:
            self._note_accepted(flight.key, flight.version)
        return {flight.key}

    def _settle_older(self, key: Key, nonce: str) -> bool:
        """A client takes messages in order, so an answer to this one also speaks for those before it. Says if there were any."""
        overtaken = list(itertools.takewhile(lambda other: other != nonce, self._flying[key]))
        for earlier in overtaken:
            self._land(earlier)
            self._flying[key].pop(earlier)
        self._flying[key].pop(nonce)
        if not self._flying[key]:
            del self._flying[key]
        return bool(overtaken)

    def _note_accepted(self, key: Key, version: str) -> None:
        self.accepted[key] = version
        self._held.add(key)
        self._changed.add(key)
        if key in self.rejected and self.rejected[key].version == version:
            del self.rejected[key]

    def _note_removed(self, key: Key) -> None:
        if self.accepted.pop(key, None) is not None:
            self._changed.add(key)
        if key not in self._flying:
            self._held.discard(key)
        self._forget_rejection(key)

    def _note_refusal(self, key: Key, version: str | None, message: str) -> None:
        # What it had before, it keeps: `accepted` stays. A refusal of what is no longer wanted is history.
        if version == self._wanted_version(key):
            self.rejected[key] = Rejection(version or "", message)
            self._changed.add(key)

    def _take_first(self, request: Request, interest: _Interest) -> set[Key]:
        kind = request.type_url
        interest.names = set(request.subscribe) - {EVERYTHING}
        interest.everything = EVERYTHING in request.subscribe or (not request.subscribe and kind in _LEGACY_WILDCARD)
        had = {(kind, name): version for name, version in request.initial_versions.items() if interest.includes(name)}
        self._held |= had.keys()
        # An empty version stands for "I may have it, in what version I cannot say": a keeper asks so to be told of removals.
        self.accepted |= {key: version for key, version in had.items() if version}
        self._changed |= had.keys()
        named = {(kind, name) for name in interest.names}
        self._asked |= named - had.keys()
        if interest.everything and not had:
            self._unanswered.add(kind)
        return named | had.keys() | self._wanted_keys(interest, kind)

    def _take_subscriptions(self, request: Request, interest: _Interest) -> set[Key]:
        kind = request.type_url
        interest.names |= set(request.subscribe) - {EVERYTHING}
        asked = {(kind, name) for name in request.subscribe if name != EVERYTHING}
        if EVERYTHING in request.subscribe:
            interest.everything = True
            asked |= self._wanted_keys(interest, kind)
        # "The client may have forgotten those resources despite apparently remaining subscribed": whoever asks is told.
        for key in asked:
            self._asked.add(key)
            self._forget_acceptance(key)
            self._forget_rejection(key)
        return asked

    def _take_unsubscriptions(self, request: Request, interest: _Interest) -> set[Key]:
        kind = request.type_url
        named = {(kind, name) for name in request.unsubscribe if name != EVERYTHING}
        interest.names -= {name for _, name in named}
        gone = set(named)
        if EVERYTHING in request.unsubscribe:
            interest.everything = False
            gone |= self._known_keys(kind)
        for key in gone:
            if not interest.includes(key[1]):
                self._forget(key)
        # Still covered by "everything", yet perhaps dropped by the client, which now waits to be told.
        kept = {key for key in named if interest.everything}
        self._asked |= kept
        return kept

    def _forget(self, key: Key) -> None:
        """The client threw it away."""
        self._forget_acceptance(key)
        self._forget_rejection(key)
        self._held.discard(key)
        self._asked.discard(key)
        self._waiting.get(key[0], set()).discard(key)

    def _forget_acceptance(self, key: Key) -> None:
        if self.accepted.pop(key, None) is not None:
            self._changed.add(key)

    def _forget_rejection(self, key: Key) -> None:
        if self.rejected.pop(key, None) is not None:
            self._changed.add(key)

    # What is to be sent.

    def _advance(self, touched: Iterable[Key]) -> list[Send]:
        if self._wanted is None:
            return []
        due = {key for key in self._early.union(touched) if self._is_due(key)}
        self._early = {key for key in due if self._is_early(key)}
        due -= self._early
        changes = {key for key in due if key in self._wanted}
        changes |= {other for key in changes if (other := self._companion(key))}
        sends = [self._send_resource(self._wanted[key]) for key in _sorted(changes, self._etiquette.order)]
        absent = {key for key in due - changes if key in self._asked and key not in self._held and key not in self._flying}
        sends += [
            self._send_removal(key)
            for key in _sorted(absent, self._etiquette.removal_order)
            if key[0] not in self._etiquette.patient
        ]
        for key in due - changes - absent:
            self._waiting.setdefault(key[0], set()).add(key)
        sends += self._release_removals()
        self._unanswered -= {send.type_url for send in sends}
        sends += [self._send_empty(kind) for kind in sorted(self._unanswered)]
        self._unanswered.clear()
        return sends

    def _is_due(self, key: Key) -> bool:
        if not self._includes(key):
            return False
        if key in self._asked:
            return True
        version = self._wanted_version(key)
        if flying := self._flying.get(key):
            return next(reversed(flying.values())) != version
        if key in self.rejected and self.rejected[key].version == (version or ""):
            return False
        if version is None:
            return key in self._held
        return self.accepted.get(key) != version

    def _is_early(self, key: Key) -> bool:
        """Whether it would put something that does not work yet in the place of what does."""
        resource = self._wanted.get(key) if self._wanted is not None else None
        if resource is None or key in self._asked or key not in self.accepted:
            return False
        return any(need in (self._wanted or ()) and need not in self.accepted for need in self._etiquette.needs(resource))

    def _companion(self, key: Key) -> Key | None:
        """What has to be sent along with it, although the client has it already."""
        other = (self._etiquette.comes_along.get(key[0], ""), key[1])
        return other if self._wanted and other in self._wanted and self._includes(other) else None

    def _release_removals(self) -> list[Send]:
        kinds = [kind for kind, keys in self._waiting.items() if keys and not self._is_held_up(kind)]
        ready = {key for kind in kinds for key in self._waiting.pop(kind)}
        # Some may have come back, or been dropped by the client, while they waited.
        still = {key for key in ready if self._wanted_version(key) is None and self._is_due(key)}
        return [self._send_removal(key) for key in _sorted(still, self._etiquette.removal_order)]

    def _is_held_up(self, kind: str) -> bool:
        # A listener that was taken out of service waits for listeners only, which are answered at once. Answers about clusters
        # come when those are warm, and that may take as long as their members like: nobody must be let in meanwhile.
        if not self._etiquette.holds_removals:
            return False
        if kind == LISTENER:
            return bool(self._changing.get(LISTENER))
        return bool(self._early) or any(self._changing.values())

    def _send_resource(self, resource: Resource) -> Send:
        self._asked.discard(resource.key)
        self._held.add(resource.key)
        nonce = self._take_off(resource.key, resource.version)
        self._changing.setdefault(resource.type_url, set()).add(nonce)
        return Send(resource.type_url, nonce, resources=(resource,))

    def _send_removal(self, key: Key) -> Send:
        self._asked.discard(key)
        return Send(key[0], self._take_off(key, None), removed=(key[1],))

    def _send_empty(self, kind: str) -> Send:
        """Say that there is nothing of this: Envoy waits for an answer to its first question before it goes on."""
        nonce = str(next(self._nonces))
        self._flights[nonce] = _Flight(kind, None, None)
        return Send(kind, nonce)

    def _take_off(self, key: Key, version: str | None) -> str:
        nonce = str(next(self._nonces))
        self._flights[nonce] = _Flight(key[0], key, version)
        self._flying.setdefault(key, {})[nonce] = version
        return nonce

    def _land(self, nonce: str) -> None:
        flight = self._flights.pop(nonce)
        self._changing.get(flight.type_url, set()).discard(nonce)

    # What we know.

    def _includes(self, key: Key) -> bool:
        interest = self._interests.get(key[0])
        return interest is not None and interest.includes(key[1])

    def _wanted_version(self, key: Key) -> str | None:
        resource = self._wanted.get(key) if self._wanted is not None else None
        return resource.version if resource else None

    def _wanted_keys(self, interest: _Interest, kind: str) -> set[Key]:
        return {key for key in self._wanted or () if key[0] == kind and interest.includes(key[1])}

    def _known_keys(self, kind: str) -> set[Key]:
        everything: Sequence[Iterable[Key]] = (self.accepted, self.rejected, self._held, self._asked, self._flying)
        return {key for keys in everything for key in keys if key[0] == kind}


def _sorted(keys: Iterable[Key], order: tuple[str, ...]) -> list[Key]:
    return sorted(keys, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), key[1]))
