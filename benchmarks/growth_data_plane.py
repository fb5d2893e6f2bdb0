"""What a handshake and a request cost when there is much of something: listeners, client CAs, revoked, rules, members.

    .venv/bin/python benchmarks/growth_data_plane.py
    .venv/bin/python benchmarks/growth_data_plane.py --rounds 1 --axes "access rules" "client CAs"

For each size there is an Envoy of its own with what ostiary makes of that configuration, handed over by ADS. All sizes of an axis
run at once and take turns, bound to one processor. What is in the way is always passed: whoever asks is let in by the last rule,
is signed by the last authority, is in the group, and is on no list. CPU and memory are Envoy's own.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.deny import denied  # noqa: E402 (after the path is set)
from benchmarks.generator import Target, Work, run  # noqa: E402 (likewise)
from benchmarks.growth import fitted  # noqa: E402 (likewise)
from benchmarks.idle import memory  # noqa: E402 (likewise)
from benchmarks.lab import ROUNDS, Notebook  # noqa: E402 (likewise)
from benchmarks.peers import programs  # noqa: E402 (likewise)
from benchmarks.peers.house import PATHS, House, house  # noqa: E402 (likewise)
from cryptography import x509  # noqa: E402 (likewise)
from cryptography.hazmat.primitives import hashes  # noqa: E402 (likewise)

from ostiary.access import members  # noqa: E402 (likewise)
from ostiary.envoy.snapshot import snapshot  # noqa: E402 (likewise)
from ostiary.model.access import AccessRule, Holders  # noqa: E402 (likewise)
from ostiary.model.desired import Desired, DesiredAccess, DesiredListener  # noqa: E402 (likewise)
from ostiary.model.fields import Private  # noqa: E402 (likewise)
from ostiary.model.roster import Roster, Table  # noqa: E402 (likewise)
from ostiary.model.tls import Identity, Trust  # noqa: E402 (likewise)
from ostiary.ops import series  # noqa: E402 (likewise)
from support import desired as made  # noqa: E402 (likewise)
from support.certs import Authority  # noqa: E402 (likewise)
from support.ports import free_port  # noqa: E402 (likewise)
from support.tiny_ads import Engine  # noqa: E402 (likewise)

GROUP: Final = "members"
WORKS: Final = {
    "CPU per full handshake": Work("handshake", 8, requests=150),
    "CPU per keep-alive request": Work("keepalive", 16, requests=3_000),
}


@dataclass(frozen=True)
class Door:
    """One listener with everything on, as it is while nothing is many."""

    place: House
    port: int
    authorities: tuple[Authority, ...]  # whom it trusts; the last signed whoever asks
    crls: tuple[str, ...]
    rules: tuple[AccessRule, ...] = ()
    copies: int = 1  # of the listener, on other addresses

    def desired(self, **more: object) -> Desired:
        """The whole configuration, with what else is in it."""
        backend = made.pool("p1", made.member(port=self.place.backend_port))
        doors = tuple(self._listener(number) for number in range(self.copies))
        return Desired(revision=1, listeners=doors, pools=(backend,), **more)  # type: ignore[arg-type] # (checked by the model)

    def _listener(self, number: int) -> DesiredListener:
        papers = self.place.papers
        server = Identity(
            name="identity/server",
            certificate_chain=papers.file("server.pem").read_text(),
            private_key=Private(papers.file("server.key").read_bytes()),
        )
        pem = "".join(one.cert_pem for one in self.authorities)
        return made.listener(
            f"l{number}",
            address=f"127.0.{number // 250}.{1 + number % 250}",
            trust=Trust(name="trust/clients", certificates=pem, crls="".join(self.crls)),
            access=DesiredAccess(
                rules=self.rules, trusted=tuple(map(fingerprint, (one.certificate for one in self.authorities)))
            ),
            identities=(server,),
            protocol_port=self.port,
            client_authentication="MANDATORY",
            default_pool_id="p1",
        )


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def rule(number: int, *, paths: Sequence[str] = (), groups: Sequence[str] = ()) -> AccessRule:
    """One that refuses these paths, or lets in all, or this group."""
    return AccessRule(
        id=f"r{number}",
        listener_id="l0",
        name=f"rule {number}",
        action="DENY" if paths else "ALLOW",
        paths=tuple(paths),
        certificate=Holders(groups=tuple(groups)),
    )


# What there is much of.


def listeners(door: Door, size: int) -> Desired:
    return replace(door, copies=size).desired()


def client_cas(door: Door, size: int) -> Desired:
    others = tuple(Authority.root(f"Other client CA {number}") for number in range(size - 1))
    return replace(door, authorities=(*others, *door.authorities), crls=(*(one.crl() for one in others), *door.crls)).desired()


def revoked(door: Door, size: int) -> Desired:
    serials = [x509.random_serial_number() for _ in range(size)]
    return replace(door, crls=(door.place.papers.clients.crl(serials),)).desired()


def refused(door: Door, size: int) -> Desired:
    return door.desired(denied=denied(size))


def rules(door: Door, size: int) -> Desired:
    refusing = (rule(number, paths=(f"/closed-{number}/*",)) for number in range(size - 1))
    return replace(door, rules=(*refusing, rule(size))).desired()


def group_members(door: Door, size: int) -> Desired:
    entry = members.entry((GROUP,), "client")
    fingerprints = (*(f"{number:064x}" for number in range(size - 1)), fingerprint(door.place.papers.client.certificate))
    return replace(door, rules=(rule(0, groups=(GROUP,)),)).desired(
        roster=Roster(settled=Table(dict.fromkeys(fingerprints, entry)))
    )


@dataclass(frozen=True)
class Axis:
    """What there is much of, and how much."""

    sizes: tuple[int, ...]
    desired: Callable[[Door, int], Desired]


AXES: Final = {
    "listeners": Axis((1, 10, 100, 1_000), listeners),
    "client CAs": Axis((1, 10, 100, 1_000), client_cas),
    "revoked, in the list": Axis(
        (0, 100, 1_000, series.LARGEST, 10_000), revoked
    ),  # ostiary's own lists are no longer than LARGEST
    "revoked, asked at each request": Axis((0, 10, 100, 1_000, 10_000), refused),
    "access rules": Axis((1, 10, 100, 500), rules),  # 500 is the most
    "members of the group": Axis((1, 10, 100, 1_000, 10_000), group_members),
}


@contextmanager
def serving(folder: Path, place: House, axis: Axis, size: int) -> Iterator[tuple[Engine, Target]]:
    """An Envoy with this configuration."""
    folder.mkdir()
    papers = place.papers
    door = Door(place, free_port(), (papers.clients,), (papers.crl,))
    with Engine(folder) as engine:
        verdict = engine.apply(snapshot(axis.desired(door, size)))
        if verdict:
            raise RuntimeError(f"Envoy refused: {verdict}")
        engine.listens_on(door.port)
        programs.bind(engine.pid, place.core)
        target = Target(door.port, papers.file("client.both.pem"), papers.file("server-ca.pem"), path=PATHS["100 B"])
        for work in WORKS.values():  # For nothing: the first ones take memory, and open connections to the backend.
            run(target, work, cpu=place.other_core).sound()
        yield engine, target


def measure(book: Notebook, folder: Path, place: House, name: str, rounds: int) -> None:
    """All sizes of one axis, in turns."""
    axis = AXES[name]
    with ExitStack() as stack:
        running = {
            size: stack.enter_context(serving(folder / f"{number}", place, axis, size)) for number, size in enumerate(axis.sizes)
        }

        def turn(size: int) -> Callable[[int], None]:
            engine, target = running[size]

            def take(round_: int) -> None:
                for measured, work in WORKS.items():
                    load = run(target, work, cpu=place.other_core, meter=lambda: programs.cpu_seconds([engine.pid])).sound()
                    book.note(f"{measured}, by {name}", "µs", "ostiary", load.metered_each * 1e6, size=size, round_=round_)

            return take

        book.interleaved({str(size): turn(size) for size in axis.sizes}, rounds)
        for size, (engine, _) in running.items():
            book.note(f"memory, by {name}", "MiB", "ostiary", memory([engine.pid]), size=size)


def tell(book: Notebook) -> None:
    """The growth of each."""
    for measured in dict.fromkeys(one.measure for one in book.samples):
        points = [(one.size or 0, one.value) for one in book.samples if one.measure == measured]
        fit = fitted(points)
        sizes = sorted({size for size, _ in points})
        print(f"{measured:<60}{fit.name:<12}" + "  ".join(f"{size:,.0f}: {fit.at(size):,.4g}" for size in sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each has its turn (default {ROUNDS})")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), metavar="AXIS", help="not all of them")
    given = parser.parse_args()
    book = Notebook("growth_data_plane")
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, house(Path(folder)) as place:
        for number, name in enumerate(given.axes):
            axis_folder = Path(folder) / str(number)
            axis_folder.mkdir()
            measure(book, axis_folder, place, name, given.rounds)
    tell(book)
    book.save()


if __name__ == "__main__":
    main()
