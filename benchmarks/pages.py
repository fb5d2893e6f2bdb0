"""How long the console's pages take with 10,000 certificates and 500 listeners, and how much they weigh.

.venv/bin/python benchmarks/pages.py

Each page is asked for in process, over ASGI, and timed by the CPU it takes here: the machine may be busy with other things. Bytes
are those of the page with its style sheets and scripts. The bound is 150 ms and 100 kB (issue 5).
"""

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from console.visitor import Visitor
from ostiary.ids import new_id
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.ops import balancers, listeners
from ostiary.store.kinds import CERTIFICATE, LISTENER, LOAD_BALANCER
from support.console_pages import addresses
from support.systems import ADMIN
from support.town import Town, a_town

CERTIFICATES: Final = 10_000
LISTENERS: Final = 500
ROUNDS: Final = 5
_WEB: Final = Path(__file__).parents[1] / "src/ostiary/web"
_STATIC: Final = re.compile(r'(?:href|src)="(/static/[^"?]+)')


def fill(town: Town) -> None:
    """So many, by copying those that are there: what is measured is finding and showing them."""
    system = town.system
    one = next(iter(town.certificates.values()))
    with system.store.write() as transaction:
        for number in range(CERTIFICATES):
            digits = f"{number:032x}"
            copy = {"id": new_id(), "serial": digits, "fingerprint_sha256": digits * 2, "name": f"copy {number}"}
            transaction.insert(CERTIFICATE, one.model_copy(update=copy))
        transaction.changed.clear()
    balancer = balancers.create(system, ADMIN, LoadBalancer(name="many", vip_address="203.0.113.99"))
    listener = listeners.create(
        system, ADMIN, Listener(name="first", loadbalancer_id=balancer.id, protocol="TERMINATED_HTTPS", protocol_port=10_000)
    )
    with system.store.write() as transaction:
        for number in range(1, LISTENERS):
            its: dict[str, Any] = {"id": new_id(), "name": f"gate {number}", "protocol_port": 10_000 + number}
            transaction.insert(LISTENER, listener.model_copy(update=its), address=balancer.vip_address)
        transaction.touch(LOAD_BALANCER, balancer.id)
        transaction.changed.clear()
    town.its |= {"many": balancer.id}


def measure(visitor: Visitor, address: str) -> tuple[float, int]:
    """Median milliseconds of CPU, and bytes with what the page loads."""
    spent = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        reply = visitor.raw("GET", address)
        spent.append((time.process_time() - begin) * 1000)
    parts = {name: (_WEB / name[1:]).stat().st_size for name in _STATIC.findall(reply.text)}
    return statistics.median(spent), len(reply.content) + sum(parts.values())


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ostiary-console-"))
    with a_town(folder) as town:
        fill(town)
        visitor = Visitor(town.system)
        pages = [*(one for one in addresses(town) if ".csv" not in one), f"/console/balancers/{town.its['many']}"]
        found = [(*measure(visitor, address), address) for address in pages]
    for spent, weight, address in sorted(found, reverse=True)[:15]:
        print(f"{spent:7.1f} ms {weight / 1000:6.1f} kB  {address}")
    slow = [address for spent, _, address in found if spent > 150]
    heavy = [address for _, weight, address in found if weight > 100_000]
    median, heaviest = statistics.median(one[0] for one in found), max(one[1] for one in found)
    print(f"{len(found)} pages, median {median:.1f} ms; heaviest {heaviest / 1000:.1f} kB")
    print(f"over 150 ms: {slow or 'none'}; over 100 kB: {heavy or 'none'}")


if __name__ == "__main__":
    main()
