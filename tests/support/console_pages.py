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
    "/console/people": ("?tab=users", "?tab=sessions", "?tab=grants", "?tab=roles"),
    "/console/overview": ("?span=7d",),
    "/console/clients": ("?many=1",),
    "/console/approvals": ("?status=ALL",),
}
# What people look at most.
MAIN: Final = (
    "/console/balancers",
    "/console/balancers/{balancer_id}",
    "/console/balancers/create",
    "/console/listeners/{listener_id}/edit",
    "/console/overview",
    "/console/clients",
    "/console/denials",
    "/console/rehearsals/{listener_id}",
    "/console/certificates",
    "/console/certificates/{certificate_id}",
    "/console/certificates/create",
    "/console/authorities",
    "/console/access",
    "/console/audit",
)
# Pieces that a page asks for: no pages.
_PIECES: Final = ("/effect",)


def pages() -> Iterator[Route]:
    """What somebody who is signed in may look at."""
    yield from (
        route
        for route in routes()
        if route.method == "GET" and not route.is_live and not route.public and not route.path.endswith(_PIECES)
    )


def addresses(town: Town) -> Iterator[str]:
    """Where they are, and their further sides. A new page that nobody said how to fill in fails the test."""
    for route in pages():
        filled = town.filled(route.path)
        assert filled is not None, f"{route.path}: say in support.town (PARTS, OTHERWISE) which thing of the town fills it in"
        yield filled
        yield from (f"{filled}{side}" for side in SIDES.get(route.path, ()))
