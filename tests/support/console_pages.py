"""All pages that the console answers, with something in each address that has parts to fill in (`support.town`)."""

from collections.abc import Iterator
from typing import Final

from ostiary.console.app import routes
from ostiary.console.visit import Route
from support.town import Town

# Further sides of a page.
SIDES: Final = {
    "/console/balancers": ("?q=nothing+is+called+so",),
    "/console/balancers/{balancer_id}": ("?tab=pool", "?tab=settings", "?q=nothing+is+called+so"),
    "/console/certificates/create": ("?how=csr", "?how=grant"),
}


def pages() -> Iterator[Route]:
    """What somebody who is signed in may look at."""
    yield from (route for route in routes() if route.method == "GET" and not route.is_live and not route.public)


def addresses(town: Town) -> Iterator[str]:
    """Where they are, and their further sides. A new page that nobody said how to fill in fails the test."""
    for route in pages():
        filled = town.filled(route.path)
        assert filled is not None, f"{route.path}: say in support.town (PARTS, OTHERWISE) which thing of the town fills it in"
        yield filled
        yield from (f"{filled}{side}" for side in SIDES.get(route.path, ()))
