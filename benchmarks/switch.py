"""Switch Client CA off and on, many times in a row, under load: does any request fail, and how soon is each switch in force?

    .venv/bin/python benchmarks/switch.py                     # starts an `ostiary demo` of its own and stops it afterwards
    .venv/bin/python benchmarks/switch.py --url http://127.0.0.1:9876 --token-file data/admin.token --port 8443 --files data/demo

Meanwhile clients with a valid certificate open new connections and use open ones (`benchmarks/load.py`). A switch is in force
when a new connection *without* a certificate is treated as the new mode says, and stays so. Exits 1 if any request failed.
"""

import argparse
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.lab import percentile  # noqa: E402 (likewise)

from benchmarks import load, stack  # noqa: E402 (after the path is set)
from support.tls_clients import Refused, TLSClient  # noqa: E402 (after the path is set)

STEADY: Final = 8  # As many probes in a row must agree, because each of Envoy's workers changes over by itself.
PATIENCE: Final = 30.0
SHOWN: Final = 10


@dataclass(frozen=True)
class Switch:
    """One switch. `began` is the API call; seconds from it, `replied` is the API's answer, `in_force` the first steady probe."""

    mode: str
    began: float
    replied: float
    in_force: float


def is_let_in(port: int, ca: Path) -> bool:
    """Whether a new connection without a certificate is served; if not, it is refused in TLS, or (in between) by 403."""
    try:
        status = TLSClient(port, ca=ca).get("/").status
    except Refused:
        return False
    if status not in {200, 403}:
        raise RuntimeError(f"a client without a certificate was answered {status}")
    return status == 200


def switch(ostiary: stack.Stack, mode: str) -> Switch:
    """Switch, and find out when it is in force."""
    began = time.monotonic()
    ostiary.change_listener(client_authentication=mode)
    replied = time.monotonic()
    wanted, agreed, first = mode == "NONE", 0, 0.0
    while agreed < STEADY:
        if is_let_in(ostiary.door.port, ostiary.door.ca) == wanted:
            first = first if agreed else time.monotonic()
            agreed += 1
        else:
            agreed = 0
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"client_authentication {mode} was not in force after {PATIENCE:g} s")
    return Switch(mode, began, replied - began, first - began)


def measure(
    ostiary: stack.Stack, times: int, fresh: int, keepalive: int, hold: float
) -> tuple[list[Switch], load.Tally, load.Tally]:
    """Switch so many times under load, starting from MANDATORY and ending there."""
    ostiary.wait_until_active()
    switches = []
    with load.running(ostiary.door, fresh=fresh, keepalive=keepalive) as clients:
        for number in range(times):
            switches.append(switch(ostiary, "MANDATORY" if number % 2 else "NONE"))
            ostiary.wait_until_active()
            time.sleep(hold)  # Let traffic flow in this mode; nothing waits for anything here.
        ostiary.change_listener(client_authentication="MANDATORY")
        return switches, *clients.stop()


def report(switches: list[Switch], fresh: load.Tally, kept: load.Tally) -> None:
    """Print what was seen."""
    seconds = switches[-1].began - switches[0].began
    print(f"Client CA switched {len(switches)} times in {seconds:.1f} s, NONE ↔ MANDATORY, while requests flowed\n")
    print(f"{'clients with a certificate':<28}{'answered 200':>14}{'failed':>10}{'connections':>14}")
    for name, tally in (("a connection per request", fresh), ("keep-alive", kept)):
        print(f"{name:<28}{tally.answered:>14,}{tally.failed:>10,}{tally.connections:>14,}")
    print(f"{fresh.unasked + kept.unasked} requests were refused on connections opened while no certificate was asked for")
    print(f"\n{'in force after':<28}{'p50':>14}{'p99':>10}{'max':>14}")
    # A probe may see the change before the API's reply has reached us; that is "at once".
    rows = {
        "the call": [each.in_force for each in switches],
        "the API's reply": [max(0.0, each.in_force - each.replied) for each in switches],
    }
    rows |= {f"the call, to {mode}": [each.in_force for each in switches if each.mode == mode] for mode in ("NONE", "MANDATORY")}
    for name, values in rows.items():
        p50, p99, most = (f"{1000 * value:.0f} ms" for value in (percentile(values, 0.5), percentile(values, 0.99), max(values)))
        print(f"{name:<28}{p50:>14}{p99:>10}{most:>14}")
    late = sum(each.in_force >= 1 for each in switches)
    print(f"\n{fresh.failed + kept.failed} failed requests; {late} of {len(switches)} switches took 1 s or longer")
    for kind, tally in (("fresh", fresh), ("keep-alive", kept)):
        for at, what in tally.failures[:SHOWN]:
            before = [each for each in switches if each.began <= at]
            after = f"{at - before[-1].began:.3f} s after a switch to {before[-1].mode}" if before else "before the first switch"
            print(f"  {kind}: {after}: {what}")


def main() -> int:
    """Run it; 1 if any request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=50, help="how many switches (default 50)")
    parser.add_argument("--fresh", type=int, default=2, help="clients that open a connection for each request (default 2)")
    parser.add_argument("--keepalive", type=int, default=2, help="clients that keep theirs open (default 2)")
    parser.add_argument("--hold", type=float, default=0.1, help="seconds to stay in each mode once it is in force (default 0.1)")
    parser.add_argument("--url", help="the API of an ostiary that runs already; without it, one is started")
    parser.add_argument("--token-file", help="its admin token; without it, OSTIARY_TOKEN")
    parser.add_argument("--port", type=int, default=8443, help="its HTTPS listener's port (default 8443)")
    parser.add_argument("--files", type=Path, default=Path("data/demo"), help="where its ca.pem, client.pem and client.key are")
    options = parser.parse_args()
    if options.times < 2:
        parser.error("--times: at least 2, once off and once on")
    chosen: AbstractContextManager[stack.Stack] = stack.demo()
    if options.url:
        chosen = stack.attached(options.url, stack.token_from(options.token_file), options.port, options.files)
    with chosen as ostiary:
        switches, fresh, kept = measure(ostiary, options.times, options.fresh, options.keepalive, options.hold)
    report(switches, fresh, kept)
    return 1 if fresh.failed + kept.failed else 0


if __name__ == "__main__":
    sys.exit(main())
