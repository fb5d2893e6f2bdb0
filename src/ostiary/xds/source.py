"""What is published, to everyone who listens: the link between one set of resources and many conversations."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ostiary.envoy.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, Key, Snapshot
from ostiary.measuring import OTHER, Tally
from ostiary.xds.stream import ENVOY, Etiquette, Rejection, Request, Send, Stream

_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(frozen=True)
class StreamState:
    """What one gateway has and refuses, as of its last answer. Copies: safe to read from any thread.

    `fresh`: it has just connected and will say what it has. `changed`: whose answer changed since the state before.
    """

    connected: bool
    fresh: bool = False
    accepted: Mapping[Key, str] = field(default_factory=lambda: _NOTHING)
    rejected: Mapping[Key, Rejection] = field(default_factory=lambda: _NOTHING)
    changed: frozenset[Key] = frozenset()


# What messages are about, as a monitoring system calls it.
TYPES: Final = {
    LISTENER: "listener",
    ROUTE: "route",
    CLUSTER: "cluster",
    ENDPOINT: "endpoint",
    SECRET: "secret",
    EXTENSION: "extension",
}

OnChange = Callable[[str, StreamState], None]


class Conversation:
    """One connected gateway. Messages for it wait in `outbox`, in order; None means that a newer connection took its place."""

    def __init__(self, gateway_id: str, etiquette: Etiquette, changed: Callable[["Conversation"], None], answers: Tally) -> None:
        self.gateway_id = gateway_id
        self.stream = Stream(etiquette)
        self.outbox: asyncio.Queue[Send | None] = asyncio.Queue()
        self._changed = changed
        self._answers = answers

    def hear(self, request: Request) -> None:
        """Take one message from the gateway."""
        if request.nonce:
            answer = "ack" if request.error is None else "nack"
            self._answers.add(self.gateway_id, TYPES.get(request.type_url, OTHER), answer)
        self.send(self.stream.hear(request))
        self._changed(self)

    def send(self, sends: list[Send]) -> None:
        """Put messages on their way to the gateway."""
        for send in sends:
            self.outbox.put_nowait(send)


class Source:
    """The resources that every listener should have. To be used from its event loop only.

    `on_change(gateway_id, state)` is told when a gateway connects, answers or goes; answers of one turn of the loop, at once.
    `answers` counts each answer, by gateway, type and whether it accepts (ack) or refuses (nack).
    """

    def __init__(self, on_change: OnChange, etiquette: Etiquette = ENVOY, answers: Tally | None = None) -> None:
        self._on_change = on_change
        self._etiquette = etiquette
        self._answers = answers or Tally("gateway", "type", "answer")
        self._snapshot: Snapshot | None = None
        self._conversations: dict[str, Conversation] = {}
        self._to_tell: dict[Conversation, None] = {}

    def publish(self, snapshot: Snapshot) -> None:
        """Make this what every gateway should have. Content that they have already is not sent."""
        before, self._snapshot = self._snapshot, snapshot
        changed = snapshot.changed(before.resources) if before is not None else None
        for conversation in self._conversations.values():
            conversation.send(conversation.stream.publish(snapshot.resources, changed))
            self._tell_soon(conversation)

    def retry(self, keys: Iterable[Key] | None = None) -> None:
        """Send again what was refused, all or these."""
        for conversation in self._conversations.values():
            conversation.send(conversation.stream.retry(keys))
            self._tell_soon(conversation)

    def open(self, gateway_id: str) -> Conversation:
        """A gateway connects. A former connection of the same gateway is dead or about to be, and is closed."""
        former = self._conversations.get(gateway_id)
        if former is not None:
            former.outbox.put_nowait(None)
        conversation = Conversation(gateway_id, self._etiquette, self._tell_soon, self._answers)
        if self._snapshot is not None:
            conversation.send(conversation.stream.publish(self._snapshot.resources))
        self._conversations[gateway_id] = conversation
        self._on_change(gateway_id, StreamState(connected=True, fresh=True))
        return conversation

    def close(self, conversation: Conversation) -> None:
        """A connection ended. Nobody is told if the gateway has a newer one."""
        if self._conversations.get(conversation.gateway_id) is conversation:
            del self._conversations[conversation.gateway_id]
            self._to_tell.pop(conversation, None)
            self._on_change(conversation.gateway_id, _state(conversation, connected=False))

    def _tell_soon(self, conversation: Conversation) -> None:
        if not self._to_tell:
            asyncio.get_running_loop().call_soon(self._tell)
        self._to_tell[conversation] = None

    def _tell(self) -> None:
        waiting, self._to_tell = self._to_tell, {}
        for conversation in waiting:
            if self._conversations.get(conversation.gateway_id) is conversation and (state := _state(conversation)).changed:
                self._on_change(conversation.gateway_id, state)


def _state(conversation: Conversation, *, connected: bool = True) -> StreamState:
    stream = conversation.stream
    return StreamState(connected, accepted=dict(stream.accepted), rejected=dict(stream.rejected), changed=stream.take_changed())
