"""The console with as much in it as one installation may come to hold: each page's time on the server, its queries, its bytes.

.venv/bin/python benchmarks/console.py              # 10,000 certificates, 500 listeners, 100,000 entries of the record
.venv/bin/python benchmarks/console.py audit people # only the pages whose addresses hold one of these words

In this process and one page at a time, so that what is measured is the page. What breaks a promise is named at the end:
150 ms of server time (the median), 100 kB with all that the page asks for (style sheets and scripts, as they are sent).
"""

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import event

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from ostiary.console.app import Console  # noqa: E402 (the paths above come first)
from ostiary.ops import sessions, sign_in_links  # noqa: E402 (likewise)
from ostiary.web.pages import static_file  # noqa: E402 (likewise)
from support.city import Size, a_city  # noqa: E402 (likewise)
from support.console_pages import addresses  # noqa: E402 (likewise)
from support.systems import ADMIN  # noqa: E402 (likewise)
from support.town import Town  # noqa: E402 (likewise)

MOST_MILLISECONDS: Final = 150
MOST_BYTES: Final = 100_000
_STATIC: Final = re.compile(r"/static/([\w.-]+)\?")


@dataclass(frozen=True)
class Row:
    """A page. Times are milliseconds; `cpu` is the median of this process's own."""

    address: str
    status: int
    median: float
    p99: float
    cpu: float
    statements: int
    html: int
    static: int

    @property
    def total(self) -> int:
        """Bytes of the page and of all that it asks for."""
        return self.html + self.static


def measured(city: Town, words: list[str], times: int) -> list[Row]:
    """Every page, so many times."""
    console = Console(city.system, lambda _: False)
    statements: list[str] = []
    event.listen(city.system.store._engine, "before_cursor_execute", lambda *call: statements.append(call[2]))  # noqa: SLF001 (nobody else counts)
    _session, secret = sessions.by_link(city.system, bytes(sign_in_links.make(city.system, ADMIN)), "192.0.2.7", "req-bench")
    places = [one for one in addresses(city) if not words or any(word in one for word in words)]
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=console),
        base_url="http://ostiary.test",
        headers={"accept": "text/html"},
        cookies={"ostiary-session": bytes(secret).decode()},
    )
    with asyncio.Runner() as runner:
        return [runner.run(_row(http, address, statements, times)) for address in places]


async def _row(http: httpx.AsyncClient, address: str, statements: list[str], times: int) -> Row:
    answer = await http.get(address)  # what is made when it is first needed
    took, worked = [], []
    for _ in range(times):
        statements.clear()
        began, busy = time.perf_counter(), time.process_time()
        answer = await http.get(address)
        took.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - busy))
    files = {name: static_file(name) for name in _STATIC.findall(answer.text)} if "html" in _kind(answer) else {}
    static = sum(len(found[0]) for found in files.values() if found is not None)
    p99 = sorted(took)[min(len(took) - 1, int(0.99 * len(took)))]
    middle = (statistics.median(took), p99, statistics.median(worked))
    return Row(address, answer.status_code, *middle, len(statements), len(answer.content), static)


def _kind(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))


def show(rows: list[Row]) -> None:
    print(f"{'median':>9}{'p99':>9}{'CPU':>9}{'SQL':>5}{'HTML':>9}{'static':>9}{'all':>9}  page")
    for row in sorted(rows, key=lambda row: -row.median):
        times = "".join(f"{value:>6.0f} ms" for value in (row.median, row.p99, row.cpu))
        sizes = "".join(f"{value / 1000:>6.1f} kB" for value in (row.html, row.static, row.total))
        print(f"{times}{row.statements:>5}{sizes}  {row.address}{'' if row.status == 200 else f'  [{row.status}]'}")
    broken = [
        *(f"{row.address}: {row.median:.0f} ms" for row in rows if row.median > MOST_MILLISECONDS),
        *(f"{row.address}: {row.total / 1000:.1f} kB" for row in rows if row.static and row.total > MOST_BYTES),
        *(f"{row.address}: answered {row.status}" for row in rows if row.status != 200),
    ]
    print("\nEvery page keeps its promise." if not broken else "\nBroken:\n  " + "\n  ".join(broken))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("words", nargs="*", help="only pages whose addresses hold one of these")
    parser.add_argument("--times", type=int, default=20, help="how often each is asked for (default 20)")
    for name, size in vars(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=size)
    options: dict[str, Any] = vars(parser.parse_args())
    words, times = options.pop("words"), options.pop("times")
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, a_city(Path(folder), Size(**options)) as city:
        show(measured(city, words, times))


if __name__ == "__main__":
    main()
