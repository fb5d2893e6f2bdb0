"""What a peer is: something that can be started to do the same job as all others, be changed, and be measured."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.peers import programs
from benchmarks.peers.house import House

from support.ports import free_port
from support.processes import Running
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

Mode = Literal["MANDATORY", "NONE"]


@dataclass
class State:
    """What can be changed while a peer serves."""

    mode: Mode = "MANDATORY"
    revokes_victim: bool = False


@dataclass
class Served:
    """A peer that serves: where, by which processes, and how it is told of changes."""

    peer: "Peer"
    house: House
    folder: Path
    port: int
    process: Running | None = None
    state: State = field(default_factory=State)

    @property
    def name(self) -> str:
        return self.peer.name

    @property
    def client(self) -> Path:
        """Who is let in: certificate and key in one file."""
        return self.house.papers.file("client.both.pem")

    @property
    def server_ca(self) -> Path:
        """Whom clients trust."""
        return self.house.papers.file("server-ca.pem")

    def pids(self) -> list[int]:
        """All processes through which requests go."""
        return programs.tree(self.process.pid) if self.process else []

    def beside(self) -> dict[str, list[int]]:
        """What else works for it, by what it is called; nothing, with most."""
        return {}

    def cpu_seconds(self) -> float:
        """What `pids` have used so far."""
        return programs.cpu_seconds(self.pids())

    def rss(self) -> float:
        """The memory of `pids`, MiB."""
        return programs.rss(self.pids())

    def switch(self, mode: Mode) -> None:
        """Demand client certificates, or ask for none. Returns when the command has; it may not be in force yet."""
        self.state.mode = mode
        self.peer.change(self)

    def victim(self) -> "Victim":
        """Somebody who is let in, and can be revoked, if this peer can do that."""
        return Victim(self.tls_client("victim"), lambda: self._revoke(True), lambda: self._revoke(False))

    def _revoke(self, is_revoked: bool) -> None:  # noqa: FBT001 (it is what is set)
        self.state.revokes_victim = is_revoked
        self.peer.change(self)

    def tls_client(self, name: str | None = "client", alpn: Sequence[str] = ("http/1.1",)) -> TLSClient:
        """One of the papers' clients, or one without a certificate."""
        both = self.house.papers.file(f"{name}.both.pem") if name else None
        return TLSClient(self.port, ca=self.server_ca, cert=both, key=both, version="TLSv1.3", alpn=tuple(alpn))

    def lets_in(self, name: str | None) -> bool:
        """Whether a new connection of this client is served."""
        try:
            return self.tls_client(name).get("/").status == 200
        except Refused:
            return False


@dataclass(frozen=True)
class Victim:
    """Somebody to be revoked. `restore` undoes that, where it can be undone; where it cannot, the next one is somebody else."""

    client: TLSClient
    revoke: Callable[[], None]
    restore: Callable[[], None]


class Peer(ABC):
    """One of the contenders."""

    name: str
    identity: tuple[str, ...]  # the headers by which it tells who the client is, and which no client may make up
    can_revoke = True

    @abstractmethod
    def version(self) -> str:
        """What it says of itself."""

    def record(self, served: Served) -> Path:
        """Where it writes its requests to."""
        return served.folder / "access.log"

    def means_to_revoke(self, served: Served) -> dict[str, Callable[[], Victim]]:
        """All means by which somebody can be revoked, by name: most have one, some none."""
        return {self.name: served.victim} if self.can_revoke else {}

    @abstractmethod
    def running(self, folder: Path, house: House) -> AbstractContextManager[Served]:
        """Start it, bound to the house's processor, wait until it lets in who may come in, and stop it afterwards."""

    @abstractmethod
    def change(self, served: Served) -> None:
        """Have `served.state` put into force, as its operator would."""


class Program(Peer):
    """One that is a program with files of configuration."""

    @abstractmethod
    def write(self, served: Served) -> None:
        """Write its configuration as `served.state` says."""

    @abstractmethod
    def command(self, served: Served) -> list[object]:
        """How to start it in the foreground."""

    @contextmanager
    def running(self, folder: Path, house: House) -> Iterator[Served]:
        """Write, start, wait; stop."""
        folder.mkdir(parents=True, exist_ok=True)
        served = Served(self, house, folder, free_port())
        self.write(served)
        process = programs.start_on(house.core, *self.command(served), folder=folder, name=self.name.split()[0].lower())
        served.process = process

        def is_up() -> bool:
            if not process.is_alive:
                raise RuntimeError(f"{self.name} ended:\n{process.output()}")
            return served.lets_in("client")

        try:
            eventually(is_up, within=30)
            yield served
        finally:
            process.stop()
