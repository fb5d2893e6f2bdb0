"""Requests without end, to show that something done meanwhile costs none of them."""

import threading
from collections.abc import Callable
from typing import Self

from support.tls_clients import Refused, TLSClient
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
            self._count(lambda: self._client.get("/new").status)

    def _kept(self) -> None:
        while not self._stop.is_set():
            with self._client.connect() as connection:
                closing = False
                while not closing and not self._stop.is_set():
                    answer = connection.get("/kept")
                    self._count(lambda status=answer.status: status)  # type: ignore[misc]  # the default binds now
                    closing = answer.closes

    def _count(self, request: Callable[[], int]) -> None:
        try:
            status = request()
        except (Refused, OSError) as error:
            self.failures.append(repr(error))
        else:
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
