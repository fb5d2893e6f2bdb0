"""Processes that compute certificates beside ours: Python does one thing at a time in a process, and signing is much of it.

They are started when many ask at once, and not before. Each does what `pki.making` does, with what it is given over a pipe that
only we hold the other end of: the keys of authorities that are kept in files (those in a token never leave it, so who asks for
such a certificate is served here). It writes nothing, hears of nobody else, and ends when its pipe does.
"""

import contextlib
import copyreg
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid, Refusal, Unavailable
from ostiary.pki import keys, request
from ostiary.pki.issue import Issuer
from ostiary.pki.making import Bench, Made, granted, made
from ostiary.pki.names import Names
from ostiary.pki.profile import Profile
from ostiary.pki.urls import Urls

# How what is in a profile travels; neither type says it itself.
copyreg.pickle(x509.ObjectIdentifier, lambda oid: (x509.ObjectIdentifier, (oid.dotted_string,)))
copyreg.pickle(MappingProxyType, lambda mapping: (MappingProxyType, (dict(mapping),)))

MANY: Final = 4  # this many at once are worth a process of their own
_AT_A_TIME: Final = 16
_BENCHES: Final = 32


@dataclass(frozen=True)
class Order:
    """One certificate to make: what `pki.making` takes. `bench` names a bench and a profile, which travel once."""

    bench: str
    csr: str
    names: Names | None
    lifetime: timedelta | None
    at: datetime


@dataclass(frozen=True)
class _Material:
    """A bench and a profile, as they travel: the key in clear, over a pipe between two processes of ours."""

    certificate: bytes
    key: bytes
    above: tuple[bytes, ...]
    urls: Urls
    authority_keys: frozenset[str]
    profile: Profile

    def __repr__(self) -> str:
        return "<_Material>"


BenchMaker = Callable[[], tuple[Bench, Profile]]


class Signers:
    """Some processes, once they are needed; with none, everything is computed here. Safe from any thread."""

    def __init__(self, count: int = 0) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._turn = 0
        self.processes = [_Process() for _ in range(count)]

    def __repr__(self) -> str:
        return f"<Signers {len(self.processes)}>"

    @contextmanager
    def counted(self) -> Iterator[bool]:
        """While one certificate is asked for; says whether it should be made by a process of its own.

        They are started when so many are asked for; once they are there, they are there for everybody.
        """
        with self._lock:
            self._asking += 1
            many = self._asking >= MANY
        try:
            yield bool(self.processes) and all(process.is_ready(start=many) for process in self.processes)
        finally:
            with self._lock:
                self._asking -= 1

    def make(self, order: Order, bench: BenchMaker) -> Made:
        """The certificate. Raises what policy raises, and `Unavailable` when the process ended meanwhile."""
        (answer,) = self.make_all([(order, bench)])
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def make_all(self, orders: Sequence[tuple[Order, BenchMaker]]) -> list[Made | Refusal]:
        """The certificates, or what `make` would raise, each in its place; all by the process whose turn it is."""
        with self._lock:
            self._turn = (self._turn + 1) % len(self.processes)
            process = self.processes[self._turn]
        return process.make_all(orders)

    def close(self) -> None:
        """End all of them, and with them what they know of keys. They are started anew when needed."""
        for process in self.processes:
            process.close()


def for_this_machine() -> Signers:
    """One process a processor: while some compute, we wait for the disk."""
    return Signers(min(4, os.cpu_count() or 1))


class _Task:
    __slots__ = ("answer", "bench", "order")

    def __init__(self, order: Order, bench: BenchMaker) -> None:
        self.order, self.bench = order, bench
        self.answer: Made | Refusal | None = None


class _Process:
    """One process. Whoever comes first sends the orders of all who came meanwhile, and hands out the answers."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: deque[_Task] = deque()
        self._starting = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None
        self._known: set[str] = set()

    def is_ready(self, *, start: bool = True) -> bool:
        """Whether it answers; when it does not, it is started if so wanted, beside whatever goes on."""
        if self._pipe is not None:
            return True
        if start and self._starting.acquire(blocking=False):
            threading.Thread(target=self._start, daemon=True).start()
        return False

    def make_all(self, orders: Sequence[tuple[Order, BenchMaker]]) -> list[Made | Refusal]:
        tasks = [_Task(*order) for order in orders]
        self._waiting.extend(tasks)
        while any(task.answer is None for task in tasks):
            with self._turn:
                if any(task.answer is None for task in tasks):
                    self._exchange([self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_A_TIME))])
        return [task.answer for task in tasks if task.answer is not None]

    def close(self) -> None:
        with self._turn:
            self._end()

    def _start(self) -> None:
        try:
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True, name="signer")
            process.start()
            theirs.close()
            ours.recv()  # it has loaded what it needs
            self._process, self._known, self._pipe = process, set(), ours
        except (OSError, EOFError):
            pass  # tried again with the next that asks
        finally:
            self._starting.release()

    def _end(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _exchange(self, batch: list[_Task]) -> None:
        try:
            if self._pipe is None:
                raise EOFError  # noqa: TRY301 (as when it ends now)
            # Each revision of the configuration has benches of its own: now and then they forget the old ones.
            anew = len(self._known) >= _BENCHES
            if anew:
                self._known.clear()
            news = {task.order.bench: task for task in batch if task.order.bench not in self._known}
            materials = {name: _material(*task.bench()) for name, task in news.items()}
            self._pipe.send((anew, materials, [task.order for task in batch]))
            self._known.update(news)
            answers = self._pipe.recv()
        except Exception:  # noqa: BLE001 (whatever it is, those who wait must be told)
            self._end()
            answers = [Unavailable("The process that signs has ended; try again.")] * len(batch)
        for task, answer in zip(batch, answers, strict=True):
            task.answer = answer


def _material(bench: Bench, profile: Profile) -> _Material:
    return _Material(
        certificate=bench.issuer.certificate.public_bytes(Encoding.DER),
        key=keys.to_pem(bench.issuer.key),
        above=tuple(one.public_bytes(Encoding.DER) for one in bench.above),
        urls=bench.urls,
        authority_keys=bench.authority_keys,
        profile=profile,
    )


def _serve(pipe: Connection) -> None:
    """What a process does: make what is ordered, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us; we end with the pipe
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    benches: dict[str, tuple[Bench, Profile]] = {}
    with contextlib.suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            anew, news, orders = pipe.recv()
            if anew:
                benches.clear()
            benches.update((name, _bench(material)) for name, material in news.items())
            pipe.send([_answer(order, benches) for order in orders])


def _bench(material: _Material) -> tuple[Bench, Profile]:
    issuer = Issuer(x509.load_der_x509_certificate(material.certificate), keys.load(material.key, None, "authority_id"))
    above = tuple(x509.load_der_x509_certificate(one) for one in material.above)
    return Bench(issuer, above, material.urls, material.authority_keys), material.profile


def _answer(order: Order, benches: dict[str, tuple[Bench, Profile]]) -> Made | Refusal:
    bench, profile = benches[order.bench]
    try:
        asked = request.read(order.csr)
        return made(granted(asked, profile, order.names, order.lifetime, bench, order.at), bench, order.at)
    except Invalid as refusal:
        return _Refused(refusal.field, refusal.message)
    except Refusal as refusal:
        return Unavailable(str(refusal))


class _Refused(Invalid):
    """An `Invalid` that can travel: exceptions are pickled with the one text they were made of, and this has two."""

    def __reduce__(self) -> tuple[type[Invalid], tuple[str, str]]:
        return Invalid, (self.field, self.message)
