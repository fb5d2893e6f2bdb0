"""What a request, and what a handshake, costs our Envoy: all of it, and with one thing after another taken away.

    .venv/bin/python benchmarks/request_cost.py
    .venv/bin/python benchmarks/request_cost.py --only ostiary 'Envoy (bare)' 'nginx (Debian)' --rounds 25

`ostiary` is an Envoy that was handed what the product hands over for a listener with everything on: rules, revocation lists, a
thousand certificates refused one by one, identity headers, the record of each request; `the same again` is another that was
handed the same, and tells the noise: processes have luck of their own. Those called `without …` are the same but for that, so
that the difference is what it costs; those called `with …` have what we took away, as Envoy has it by itself. Beside them bare
Envoy and nginx, which do the same job (`benchmarks.peers`). All have one worker on one processor; the load, the backend and who
takes the record have the other. CPU is that of all threads of the contender, user and system. Rounds are short and many, and
the first quarter of what they say is told, too: what others do on the machine only ever adds.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.deny import denied  # noqa: E402 (after the path is set)
from benchmarks.generator import Mode, Target, Work, run  # noqa: E402 (likewise)
from benchmarks.lab import Notebook  # noqa: E402 (likewise)
from benchmarks.peers import ALL, programs  # noqa: E402 (likewise)
from benchmarks.peers.house import House, house  # noqa: E402 (likewise)
from benchmarks.peers.ostiary import HEADERS, RULES  # noqa: E402 (likewise)
from envoy.config.listener.v3 import listener_pb2  # noqa: E402 (likewise)
from envoy.config.route.v3 import route_pb2  # noqa: E402 (likewise)
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: E402 (likewise)
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: E402 (likewise)

from ostiary.envoy.resources import EXTENSION, LISTENER, ROUTE, Snapshot, pack  # noqa: E402 (likewise)
from ostiary.envoy.snapshot import snapshot  # noqa: E402 (likewise)
from ostiary.model.access import AccessRule  # noqa: E402 (likewise)
from ostiary.model.desired import Desired, DesiredAccess  # noqa: E402 (likewise)
from ostiary.model.fields import Private  # noqa: E402 (likewise)
from ostiary.model.tls import Identity, Trust  # noqa: E402 (likewise)
from support.desired import listener, member, pool  # noqa: E402 (likewise)
from support.ports import free_port  # noqa: E402 (likewise)
from support.tiny_ads import Engine  # noqa: E402 (likewise)

BESIDE: Final = ("Envoy (bare)", "nginx (Debian)")
CONNECTIONS: Final = 8
MEASURES: Final[dict[Mode, str]] = {"keepalive": "CPU per keep-alive request", "handshake": "CPU per full handshake and request"}
# All that could be asked for; HEADERS are those that the peers' job asks for.
MANY_HEADERS: Final = (
    *("X-Forwarded-For", "X-Forwarded-Port", "X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN"),
    *("X-SSL-Issuer", "X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After"),
)

# Of the listener, of its HTTP manager, of its routes.
Change = Callable[[Any, Any, Any], None]


@dataclass(frozen=True)
class Contender:
    """Who is measured: one process behind a port."""

    port: int
    pid: int


def everything(port: int, place: House, headers: tuple[str, ...] = HEADERS) -> Snapshot:
    """What the product hands over for a listener with everything on."""
    papers = place.papers
    rules = tuple(
        AccessRule(id=f"r{number}", listener_id="l1", **_fitting(cast("Mapping[str, Any]", rule)))
        for number, rule in enumerate(RULES)
    )
    key = Private(papers.file("server.key").read_bytes())
    door = listener(
        protocol_port=port,
        trust=Trust(name="trust/clients", certificates=papers.clients.cert_pem, crls=papers.crl),
        identities=(Identity(name="identity/server", certificate_chain=papers.file("server.pem").read_text(), private_key=key),),
        client_authentication="MANDATORY",
        tls_versions=("TLSv1.3",),
        default_pool_id="p1",
        insert_headers=dict.fromkeys(headers, "true"),
        access=DesiredAccess(rules=rules),
    )
    backend = pool("p1", member(port=place.backend_port))
    return snapshot(Desired(listeners=(door,), pools=(backend,), denied=denied(1000)))


def _fitting(rule: Mapping[str, Any]) -> dict[str, Any]:
    """As the model has it, of what the API is told."""
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in rule.items()}
    certificate: Mapping[str, Any] = said.pop("certificate", {})
    holders = {name: tuple(value) for name, value in certificate.items()}
    return {**said, "certificate": holders}


def changed(made: Snapshot, change: Change) -> Snapshot:
    """The same with a change."""
    (key,) = (each for each in made.resources if each[0] == LISTENER)
    (route_key,) = (each for each in made.resources if each[0] == ROUTE)
    message = listener_pb2.Listener.FromString(made.resources[key].body)
    routes = route_pb2.RouteConfiguration.FromString(made.resources[route_key].body)
    last = message.filter_chains[0].filters[-1]
    manager = http_connection_manager_pb2.HttpConnectionManager()
    last.typed_config.Unpack(manager)
    change(message, manager, routes)
    last.typed_config.Pack(manager, deterministic=True)
    resources = dict(made.resources) | {key: pack(LISTENER, key[1], message), route_key: pack(ROUTE, route_key[1], routes)}
    asked_for = {each.name for each in manager.http_filters}
    resources = {each: one for each, one in resources.items() if each[0] != EXTENSION or each[1] in asked_for}
    return Snapshot(made.revision, MappingProxyType(resources))


def _as_it_is(_listener: Any, _manager: Any, _routes: Any) -> None:
    pass


def _without_filters(*names: str) -> Change:
    def change(_listener: Any, manager: Any, routes: Any) -> None:
        kept = [each for each in manager.http_filters if not each.name.startswith(names)]
        del manager.http_filters[:]
        manager.http_filters.extend(kept)
        for place in (routes, *(route for host in routes.virtual_hosts for route in host.routes)):
            for name in list(place.typed_per_filter_config):
                if name.startswith(names):
                    del place.typed_per_filter_config[name]

    return change


def _without_record(listener: Any, manager: Any, _routes: Any) -> None:
    del manager.access_log[:]
    del listener.access_log[:]
    manager.ClearField("access_log_options")


def _without_removal(_listener: Any, manager: Any, _routes: Any) -> None:
    del manager.early_header_mutation_extensions[:]


def _without_headers(_listener: Any, _manager: Any, routes: Any) -> None:
    for route in routes.virtual_hosts[0].routes:
        del route.request_headers_to_add[:]
        del route.request_headers_to_remove[:]


def _without_timers(_listener: Any, manager: Any, routes: Any) -> None:
    manager.stream_idle_timeout.seconds = 0
    manager.ClearField("request_headers_timeout")
    for route in routes.virtual_hosts[0].routes:
        if route.HasField("route"):
            route.route.ClearField("idle_timeout")


def _with_one_reading_of_paths_only(_listener: Any, manager: Any, _routes: Any) -> None:
    manager.ClearField("normalize_path")
    manager.ClearField("path_with_escaped_slashes_action")
    manager.merge_slashes = False


# What we have otherwise than Envoy has it by itself, put back.


def _with_request_ids(_listener: Any, manager: Any, _routes: Any) -> None:
    manager.ClearField("generate_request_id")


def _with_statistics_by_status(_listener: Any, manager: Any, _routes: Any) -> None:
    last = manager.http_filters[-1]
    router = router_pb2.Router()
    last.typed_config.Unpack(router)
    router.ClearField("dynamic_stats")
    last.typed_config.Pack(router, deterministic=True)


def _with_each_filter_always(_listener: Any, manager: Any, _routes: Any) -> None:
    for one in manager.http_filters:
        one.disabled = False


_OURS: Final = ("ostiary.", "denied", "members/", "envoy.filters.http.header_mutation")

VARIANTS: Final[dict[str, Change]] = {
    "ostiary": _as_it_is,
    "the same again": _as_it_is,
    "without the denied": _without_filters("denied"),
    "without the guard": _without_filters("ostiary.guard"),
    "without rules": _without_filters("ostiary.access"),
    "without a look at trailers": _without_filters("envoy.filters.http.header_mutation"),
    "without any filter of ours": _without_filters(*_OURS),
    "without the record": _without_record,
    "without removal of forged headers": _without_removal,
    "without headers": _without_headers,
    "without one reading of paths": _with_one_reading_of_paths_only,
    "without timers": _without_timers,
    "with request ids": _with_request_ids,
    "with statistics by status": _with_statistics_by_status,
    "with each filter always": _with_each_filter_always,
}


@contextmanager
def ours(folder: Path, place: House, port: int, made: Snapshot) -> Iterator[Contender]:
    """An Envoy as ostiary runs it, handed this."""
    folder.mkdir()
    with Engine(folder) as engine:
        if refused := engine.apply(made):
            raise RuntimeError(f"Envoy refused: {refused}")
        engine.listens_on(port)
        programs.bind(engine.pid, place.core)
        yield Contender(port, engine.pid)


@contextmanager
def beside(name: str, folder: Path, place: House) -> Iterator[Contender]:
    """One of the peers."""
    with ALL[name].running(folder, place) as served:
        yield Contender(served.port, served.pids()[-1])  # of nginx, the worker


def cost(of: Contender, place: House, mode: Mode, requests: int) -> float:
    """CPU for each request, µs."""
    target = Target(of.port, place.papers.file("client.both.pem"), place.papers.file("server-ca.pem"), path="/100")
    work = Work(mode, CONNECTIONS, requests=requests)
    return 1e6 * run(target, work, cpu=place.other_core, meter=lambda: programs.cpu_seconds([of.pid])).sound().metered_each


def contenders(names: list[str], place: House, folder: Path, stack: ExitStack) -> dict[str, Contender]:
    """Start them all."""
    started = {}
    for number, name in enumerate(names):
        its = folder / str(number)
        if name in BESIDE:
            started[name] = stack.enter_context(beside(name, its, place))
        else:
            port = free_port()
            made = everything(port, place, MANY_HEADERS if name == "with many headers" else HEADERS)
            started[name] = stack.enter_context(ours(its, place, port, changed(made, VARIANTS.get(name, _as_it_is))))
    return started


def measure(names: list[str], rounds: int, work: dict[Mode, int], *, has_record: bool = True) -> Notebook:
    """Each in turn, so many requests and handshakes a turn."""
    notebook = Notebook("request_cost")
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as made, ExitStack() as stack:
        folder = Path(made)
        place = stack.enter_context(house(folder, has_record=has_record))
        found = contenders(names, place, folder, stack)

        def turn(name: str, round_: int) -> None:
            cost(found[name], place, "keepalive", 300)  # the processor's caches hold another program's code
            for mode, requests in work.items():
                notebook.note(MEASURES[mode], "µs", name, cost(found[name], place, mode, requests), round_=round_)

        for each in found.values():
            cost(each, place, "keepalive", 500)
        notebook.interleaved({name: partial(turn, name) for name in found}, rounds)
    return notebook


def tell(notebook: Notebook, reference: str) -> None:
    """The first quarter of each, and how far it is from the reference's."""
    for measure_ in dict.fromkeys(one.measure for one in notebook.samples):
        of: dict[str, list[float]] = {}
        for one in notebook.samples:
            if one.measure == measure_:
                of.setdefault(one.subject, []).append(one.value)
        quarters = {name: statistics.quantiles(values, n=4)[0] for name, values in of.items()}
        print(f"\n{measure_}, first quarter of {len(of[reference])} rounds [µs]")
        for name, quarter in quarters.items():
            print(f"  {name:<34}{quarter:>8.1f}{quarter - quarters[reference]:>+8.1f}{quarter / quarters[reference]:>7.2f} times")


def main() -> None:
    """Run it."""
    names = [*BESIDE, *VARIANTS, "with many headers"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these alone")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--requests", type=int, default=1500, help="a turn (default 1500; 0: none)")
    parser.add_argument("--handshakes", type=int, default=200, help="a turn (default 200; 0: none)")
    parser.add_argument("--no-record", action="store_true", help="let the peers write no record; ours does")
    options = parser.parse_args()
    work: dict[Mode, int] = {"keepalive": options.requests, "handshake": options.handshakes}
    done = {mode: requests for mode, requests in work.items() if requests}
    notebook = measure(options.only, options.rounds, done, has_record=not options.no_record)
    notebook.save()
    notebook.tell("ostiary" if "ostiary" in options.only else options.only[0])
    tell(notebook, "ostiary" if "ostiary" in options.only else options.only[0])


if __name__ == "__main__":
    main()
