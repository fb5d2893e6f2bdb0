"""Clients: the certificates that were let in, where, when last, how often, and from where."""

from typing import Final

from starlette.responses import Response

from ostiary.console import marked, which
from ostiary.console.visit import Visit, page, url
from ostiary.model.sighting import MANY_ADDRESSES, Client, ClientQuery
from ostiary.ops import naming, sightings

FILTERS: Final = ("q", "listener_id", "listener", "since", "many")


def listed(visit: Visit) -> Response:
    """The clients that the filters ask for, last seen first."""
    chosen = which.which(visit)
    mark = marked.mark_of(visit)
    query = ClientQuery(
        listener_id=chosen.id or None,
        seen_after=marked.since(visit),
        many_addresses=True if visit.query.get("many") else None,
        search=marked.words(visit, "q"),
        limit=marked.PAGE,
        marker=(mark[0], mark[1][0], mark[1][1]) if mark is not None and len(mark[1]) == 2 else None,
    )
    found = marked.marked(visit, sightings.clients(visit.system, visit.caller, query), _mark)
    return visit.page(
        "clients.html",
        found=found,
        names=naming.listeners(visit.system, visit.caller, [one.listener_id for one in found.items]),
        which=chosen,
        spans=marked.spans(visit),
        is_filtered=marked.filtered(visit, FILTERS),
        many=MANY_ADDRESSES,
        explain=_explain,
    )


def _explain(client: Client) -> str:
    shown = f"id:{client.certificate_id}" if client.certificate_id else f"sha256:{client.fingerprint_sha256}"
    return url("/console/explain", listener_id=client.listener_id, certificate=shown)


def _mark(client: Client) -> str:
    return f"{client.last_seen.isoformat()}|{client.fingerprint_sha256}|{client.listener_id}"


ROUTES: Final = (page("/console/clients", listed, may="client:read", current="clients"),)
