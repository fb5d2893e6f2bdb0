"""However much there is, a page stays small and asks the database for little: its time is measured by benchmarks/console.py."""

import re
from collections.abc import Iterator
from typing import Final

import pytest
from sqlalchemy import event

from console.visitor import Visitor
from ostiary.web.pages import static_file
from support.city import Size, a_city
from support.console_pages import addresses
from support.town import Town

MOST_BYTES: Final = 100_000  # with all that the page asks for, as it is sent
MOST_STATEMENTS: Final = 100  # of 50 rows, and of 500 listeners: so no page asks for one row after the other
FILES: Final = (".csv", "/export", "/download")  # made as they are sent, however large


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with a_city(tmp_path_factory.mktemp("city"), Size(entries=20_000)) as city:
        yield city


def weight(html: str) -> int:
    """Of a page and of what its browser fetches for it."""
    files = set(re.findall(r"/static/([\w.-]+)\?", html))
    return len(html.encode()) + sum(len(found[0]) for name in files if (found := static_file(name)) is not None)


def test_every_page_stays_small(city: Town) -> None:
    statements: list[str] = []
    event.listen(city.system.store._engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    found = []
    with Visitor(city.system, is_guest=True) as visitor:
        for address in addresses(city):
            if address.endswith(FILES):
                continue
            statements.clear()
            reply = visitor.raw("GET", address)
            assert reply.status_code == 200, address
            if (bytes_ := weight(reply.text)) > MOST_BYTES:
                found.append(f"{address}: {bytes_} bytes")
            if len(statements) > MOST_STATEMENTS:
                found.append(f"{address}: {len(statements)} statements")
    assert not found, "\n".join(found)


def test_long_lists_come_a_page_at_a_time(city: Town) -> None:
    with Visitor(city.system, is_guest=True) as visitor:
        for path in ("/console/certificates", "/console/balancers", "/console/audit", "/console/denials", "/console/clients"):
            page = visitor.get(path)
            assert len(page.root.every("tbody")[-1].every("tr")) <= 50, path
            assert page.root.every("a", rel="next"), path
