"""HTTP/1.1 as uvicorn speaks it, for callers who finish what they begin.

uvicorn closes a connection that is idle *between* requests, and waits for ever for the rest of one that has begun, or for the
first: any stranger could hold as many connections as the process may have (Slowloris), before showing a token.
"""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# For a whole request, body included: enough for the largest secret (8 MiB) over a slow line.
REQUEST_WITHIN: Final = 30.0


class PatientOnce(H11Protocol):
    """A connection that is cut when a request has not come in whole `within` so many seconds of its beginning."""

    within = REQUEST_WITHIN
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it likewise
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._forget()  # All of it is here; how long the answer takes is our business.
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.within, self._cut)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        # Not `close`, which would wait for a caller that does not read either.
        self.transport.abort()


def within(seconds: float) -> type[PatientOnce]:
    """The same with another limit."""
    members: dict[str, Any] = {"within": seconds}
    return type("PatientOnce", (PatientOnce,), members)
