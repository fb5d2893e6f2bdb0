"""How much a scrape costs where there are many listeners: what is told by one gateway, what is written down, what is handed out.

.venv/bin/python benchmarks/metrics.py [LISTENERS]
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from api.client import a_client
from ostiary import logs
from ostiary.gateway import numbers
from ostiary.gateway.numbers import Numbers
from ostiary.model.numbers import CLASSES, HANDSHAKE_FAILURES, LATENCIES
from ostiary.ops import gateway_numbers
from ostiary.store import measured
from ostiary.xds import wire
from support.scraped import OPENMETRICS

T = TypeVar("T")


def main(count: int) -> None:
    logs.configure("warning")
    with tempfile.TemporaryDirectory() as folder, a_client(Path(folder)) as client:
        ids = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(count)]
        client.get("/metrics")  # what loads once is no cost of a scrape
        statuses, counted, text = what_envoy_says(ids)
        print(f"{count} listeners, each with every counter and its histogram in use")
        latency = timed("the keeper reads Envoy's histograms", lambda: numbers.read_latency(text), len(text))
        told = timed("and puts its counters together", lambda: numbers.of_listeners(statuses, counted, latency))
        book = Numbers()
        messages = list(book.news(1, 60.0, told))
        about = {"whole": {}, "keeper": {"pid": 1}}
        sent = timed("tells all of it at once", lambda: [wire.write_seen("g1", {**one, **about}) for one in messages])
        print(f"  {sum(map(len, sent)) / 1024:8.0f} KiB in {len(sent)} messages; later only listeners that differ")
        timed("the control plane takes it, and writes it down", lambda: take(client.system, sent))
        written = json.dumps(client.system.gateway_numbers.known["g1"].document(is_final=False))
        print(f"  {len(written) / 1024:8.0f} KiB on record, once a minute")
        # The listeners are not in the database: to make so many takes longer than all that is measured here.
        measured.listeners = lambda reader: {one: f"listener {one[:8]}" for one in ids}  # noqa: ARG005 (as it is called)
        for headers, form in (({}, "text"), (OPENMETRICS, "OpenMetrics")):
            reply = timed(f"a scrape, as {form}", lambda headers=headers: client.get("/metrics", headers=headers))  # type: ignore[misc]
            lines = [line for line in reply.text.splitlines() if not line.startswith("#")]
            print(f"  {len(reply.content) / 1024:8.0f} KiB, {len(lines)} series")


def take(system: Any, sent: list[bytes]) -> None:
    for data in sent:
        gateway_id, body = wire.read_seen(data)
        gateway_numbers.told(system, gateway_id, body)
    gateway_numbers.write(system)


def what_envoy_says(ids: list[str]) -> tuple[dict[str, Any], dict[str, int], str]:
    """Its listeners, its counters, and its page for Prometheus."""
    statuses: list[dict[str, Any]] = []
    counted: dict[str, int] = {}
    lines: list[str] = []
    for number, one in enumerate(ids):
        address = {"socket_address": {"address": "127.0.0.1", "port_value": 10_000 + number}}
        statuses.append({"name": f"listener/{one}", "local_address": address})
        scope, http = f"listener.127.0.0.1_{10_000 + number}", f"http.listener/{one}"
        names = [f"{scope}.downstream_cx_total", f"{scope}.downstream_cx_active", f"{scope}.ssl.handshake"]
        names += [f"{scope}.ssl.{failure}" for failure in HANDSHAKE_FAILURES]
        names += [f"{http}.downstream_cx_{way}_bytes_total" for way in ("rx", "tx")]
        names += [f"{http}.downstream_rq_{kind}" for kind in ("total", *CLASSES)]
        counted |= dict.fromkeys((*names, f"{http}.rq_total", f"{http}.downstream_cx_drain_close"), 1000000 + number)
        where = f'envoy_http_conn_manager_prefix="listener/{one}"'
        bounds = [*(f"{end:g}" for end in LATENCIES), "300000", "600000", "1800000", "3600000", "+Inf"]
        lines += [f'envoy_http_downstream_rq_time_bucket{{{where},le="{end}"}} {1_000_000 + number}' for end in bounds]
        lines += [f"envoy_http_downstream_rq_time_{what}{{{where}}} {1_000_000 + number}" for what in ("sum", "count")]
    return {"listener_statuses": statuses}, counted, "\n".join(lines)


def timed(what: str, do: Callable[[], T], size: int = 0) -> T:
    """CPU time of one."""
    began = time.process_time()
    done = do()
    print(f"  {(time.process_time() - began) * 1000:8.1f} ms  {what}{f' ({size / 1024:.0f} KiB)' if size else ''}")
    return done


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
