"""Requests without end, to show that something done meanwhile costs none of them."""

import threading
from typing import Self

from support.tls_clients import Connection, Refused, TLSClient
from support.wait import eventually


class Traffic:
    """Requests without end, over new connections and over kept ones, each of which must be answered 200."""

    def __init__(self, client: TLSClient) -> None:
        self._client = client
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.answered = 0
        self._threads = [threading.Thread(target=self._new), threading.Thread(target=self._kept)]

    def _new(self) -> None:
        while not self._stop.is_set():
            try:
                self._note(self._client.get("/new").status)
            except (Refused, OSError) as error:
                self.failures.append(repr(error))

    def _kept(self) -> None:
        while not self._stop.is_set():
            # Whatever goes wrong on the connection, opening it included, is a failed request.
            try:
                with self._client.connect() as connection:
                    self._until_closed(connection)
            except (Refused, OSError) as error:
                self.failures.append(repr(error))

    def _until_closed(self, connection: Connection) -> None:
        while not self._stop.is_set():
            answer = connection.get("/kept")
            self._note(answer.status)
            if answer.closes:
                return

    def _note(self, status: int) -> None:
        self.answered += 1
        if status != 200:
            self.failures.append(str(status))

    def goes_on(self) -> None:
        """Wait until some more requests have been answered."""
        before = self.answered
        eventually(lambda: self.answered > before + 20)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
