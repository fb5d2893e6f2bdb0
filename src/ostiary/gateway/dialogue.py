"""The keeper's half of its conversation with the control plane: it answers for its Envoy, resource by resource. No I/O."""

from collections.abc import Iterable
from typing import Final

from ostiary.envoy.resources import Key
from ostiary.gateway.ledger import Ledger, Verdict
from ostiary.xds.stream import EVERYTHING, RELAY, Request, Send

# Nothing is ever of this type. On an ordered stream, the answer that there is nothing of it comes after all else asked for.
LAST: Final = "type.googleapis.com/google.protobuf.Empty"


class Dialogue:
    """One connection's worth. `news` says that the ledger changed and is to be published."""

    def __init__(self, ledger: Ledger) -> None:
        self.news = False
        self._ledger = ledger
        self._open: dict[Key, str] = {}  # nonces to answer once Envoy has; an answer also speaks for older ones of that resource
        self._told: dict[Key, Verdict] = {}
        self._asking: set[Key] = set()

    def begin(self) -> list[Request]:
        """Ask for everything, and say what is there already: what Envoy has, and names it may have."""
        requests = [Request(kind, (EVERYTHING,), initial_versions=self._declared(kind)) for kind in RELAY.order]
        return [*requests, Request(LAST, (EVERYTHING,))]

    def _declared(self, kind: str) -> dict[str, str]:
        declared = {}
        for key in self._ledger.wanted:
            if key[0] != kind:
                continue
            verdict = self._ledger.verdict(key)
            if verdict is not None and verdict.version is not None and verdict.error is None:
                self._told[key] = verdict
                declared[key[1]] = verdict.version
            else:
                # No version: send it again, so that there is a nonce to answer; or tell that it is gone.
                self._asking.add(key)
                declared[key[1]] = ""
        return declared

    def hear(self, send: Send) -> list[Request]:
        """Take what the control plane says; returns what can be answered at once."""
        if send.type_url == LAST:
            self.news |= self._ledger.told_all()
            return [Request(LAST, nonce=send.nonce)]
        if not send.resources and not send.removed:
            return [Request(send.type_url, nonce=send.nonce)]
        for resource in send.resources:
            self.news |= self._ledger.want(resource)
        for name in send.removed:
            self.news |= self._ledger.drop((send.type_url, name))
        keys = [*(one.key for one in send.resources), *((send.type_url, name) for name in send.removed)]
        for key in keys:
            self._open[key] = send.nonce
            self._told.pop(key, None)
            self._asking.discard(key)
        return self.answer(keys)

    def answer(self, keys: Iterable[Key]) -> list[Request]:
        """Tell what Envoy said to these, as far as it has and we have not told."""
        return [request for key in keys if (request := self._answer_one(key))]

    def _answer_one(self, key: Key) -> Request | None:
        verdict = self._ledger.verdict(key)
        if verdict is None:
            return None
        if (nonce := self._open.pop(key, None)) is not None:
            self._told[key] = verdict
            return Request(key[0], nonce=nonce, error=verdict.error)
        told = self._told.get(key)
        if told is not None and told != verdict and verdict.version is not None and key not in self._asking:
            # Envoy changed its mind: a port became free, or was taken while it was down. An answer needs a question, so ask for
            # the resource by name: "the server must still provide those resources" (xDS protocol), with a nonce to answer.
            self._asking.add(key)
            return Request(key[0], subscribe=(key[1],))
        return None
