"""The load balancer homepage, and the details page of one with its tabs."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import lists, status
from ostiary.console.visit import Visit, live, page
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.ops import balancers, listeners, naming, pools, related
from ostiary.ops.client_cas import named
from ostiary.web.words import _

_BELOW: Final = 10  # rows of a page that only its beginning is seen of
# In the order in which they stand.
TABS: Final = {"listener": _("Listener"), "pool": _("Pool"), "settings": _("Settings")}


def home(visit: Visit) -> Response:
    """All load balancers."""
    found = lists.listed(visit, lambda query: balancers.find(visit.system, visit.caller, query))
    its = listeners.first_of(visit.system, visit.caller, [one.id for one in found.items], each=5)
    return visit.page("balancers.html", found=found, rows=[_row(visit, one, its.get(one.id, ())) for one in found.items])


def home_live(visit: Visit) -> str:
    """The statuses on the homepage, as they change."""
    found = lists.listed(visit, lambda query: balancers.find(visit.system, visit.caller, query))
    return visit.part("balancers_live.html", rows=[_row(visit, one, ()) for one in found.items])


def details(visit: Visit) -> Response:
    """One load balancer: its listeners, its pools, its settings."""
    return visit.page("balancer.html", **_details(visit))


def details_live(visit: Visit) -> str:
    """The statuses on a details page, as they change."""
    return visit.part("balancer_live.html", **_details(visit))


def _details(visit: Visit) -> dict[str, Any]:
    return around(visit, visit.path["balancer_id"], visit.query.get("tab", "listener"), most=lists.PAGE)


def around(visit: Visit, balancer_id: str, tab: str, *, most: int = _BELOW) -> dict[str, Any]:
    """All that the details page shows, and the beginning of it below a pop-up."""
    balancer = balancers.get(visit.system, visit.caller, balancer_id)
    its: dict[str, Any] = {
        "balancer": balancer,
        "state": status.applied(visit, balancer),
        "health": status.health(visit, balancer),
        "tab": tab if tab in TABS else "listener",
        "tabs": {name: visit.say(title) for name, title in TABS.items()},
    }
    filters = (("loadbalancer_id", balancer_id),)
    if its["tab"] == "listener":
        found = lists.listed(
            visit,
            lambda query: listeners.find(visit.system, visit.caller, query),
            filters=filters,
            sort=(("protocol_port", False),),
            most=most,
        )
        its |= {"found": found, "rows": listener_rows(visit, found.items)}
    if its["tab"] == "pool":
        found_pools = lists.listed(visit, lambda query: pools.find(visit.system, visit.caller, query), filters=filters, most=most)
        its |= {"found": found_pools, "rows": _pool_rows(visit, found_pools.items)}
    return its


def listener_rows(visit: Visit, found: tuple[Listener, ...]) -> list[dict[str, Any]]:
    """Listeners as rows: with the names of what they refer to, and how far each has come."""
    cas = named(visit.system, visit.caller, [one.client_ca_tls_container_ref for one in found])
    pool_names = naming.pools(visit.system, visit.caller, [one.default_pool_id for one in found if one.default_pool_id])
    return [
        {
            "id": one.id,
            "listener": one,
            "state": status.applied(visit, one),
            "health": status.health(visit, one),
            "ca": cas.get(one.client_ca_tls_container_ref or "", ""),
            "pool": pool_names.get(one.default_pool_id or "", ""),
        }
        for one in found
    ]


def _row(visit: Visit, balancer: LoadBalancer, its: tuple[Listener, ...]) -> Mapping[str, Any]:
    return {
        "balancer": balancer,
        "listeners": its[:4],
        "more": len(its) > 4,
        "state": status.applied(visit, balancer),
        "health": status.health(visit, balancer),
    }


def _pool_rows(visit: Visit, found: tuple[Pool, ...]) -> list[Mapping[str, Any]]:
    counts = related.member_counts(visit.system, [one.id for one in found])
    return [
        {
            "id": one.id,
            "pool": one,
            "members": counts.get(one.id, 0),
            "state": status.applied(visit, one),
            "health": status.health(visit, one),
        }
        for one in found
    ]


ROUTES: Final = (
    page("/console/balancers", home, may="loadbalancer:read", current="balancers"),
    live("/console/balancers/live", home_live, may="loadbalancer:read"),
    page("/console/balancers/{balancer_id}", details, may="loadbalancer:read", current="balancers"),
    live("/console/balancers/{balancer_id}/live", details_live, may="loadbalancer:read"),
)
