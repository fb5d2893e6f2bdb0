"""The inventory: find certificates by what people remember of them, a page at a time or all."""

from collections.abc import Iterator
from dataclasses import replace

from ostiary.model.authority import Certificate
from ostiary.model.inventory import Wanted
from ostiary.model.query import PAGE_MAX, Page
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import inventory


def find(system: System, caller: Caller, wanted: Wanted) -> Page[Certificate]:
    """One page of certificates that match. Raises `Invalid` naming the parameter that makes no sense."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return inventory.page(reader, wanted)


def each_page(system: System, caller: Caller, wanted: Wanted) -> Iterator[tuple[Certificate, ...]]:
    """All that match, page by page, so that never more than one is in memory; each page is as of its own moment."""
    query = replace(wanted.query, limit=PAGE_MAX)
    while True:
        page = find(system, caller, replace(wanted, query=query))
        yield page.items
        if not page.more:
            return
        query = replace(query, marker=page.items[-1].id)
