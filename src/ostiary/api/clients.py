"""/v1/clients: certificates that were let in, where and when they were last seen."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import Link, zulu_time
from ostiary.api.queries import RECORD_LIMIT_MAX, boolean, moment, page_limit, page_link, parameters
from ostiary.model.fields import Data
from ostiary.model.sighting import MANY_ADDRESSES, Client, ClientQuery
from ostiary.ops import sightings

_QUERY: Final = {
    "listener_id": "Only those seen at this listener.",
    "fingerprint_sha256": "Only this certificate.",
    "certificate_id": "Only this certificate, of those issued here.",
    "seen_after": "Only those last seen at this time or later.",
    "seen_before": "Only those last seen before this time.",
    "many_addresses": f"true: only certificates that were used from more than {MANY_ADDRESSES} addresses within a day.",
    "limit": f"Most items in one page, at most {RECORD_LIMIT_MAX}.",
    "marker": "Where the page before ended, from its link.",
}


class ClientItem(Data):
    """A certificate at a listener. `certificate_id` is null when it was not issued here.

    `addresses` are the last ones, each IPv6 network of 64 bits as one; `address_count` is how many there were.
    """

    fingerprint_sha256: str
    certificate_id: str | None
    subject: str
    issuer: str
    serial: str
    not_after: str | None
    listener_id: str
    first_seen: str
    last_seen: str
    requests: int
    addresses: tuple[str, ...]
    address_count: int
    many_addresses: bool


class ClientList(Data):
    """The reply that lists clients, last seen first."""

    clients: tuple[ClientItem, ...]
    clients_links: tuple[Link, ...]


router = APIRouter(prefix="/v1/clients", tags=["clients"])


@router.get("", dependencies=[may("client:read")], **described(200, answers=ClientList, query=_QUERY))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List certificates that were let in, last seen first."""
    given = parameters(request, _QUERY)
    words = {name: values[0] for name, values in given.items()}
    moments = {name: moment(words[name], name) for name in ("seen_after", "seen_before") if name in words}
    told: dict[str, Any] = {name: words.get(name) for name in ("listener_id", "fingerprint_sha256", "certificate_id")}
    query = ClientQuery(
        **told,
        seen_after=moments.get("seen_after"),
        seen_before=moments.get("seen_before"),
        many_addresses=boolean(words["many_addresses"], "many_addresses") if "many_addresses" in words else None,
        limit=page_limit(given),
        marker=_marker(words),
    )
    page = sightings.clients(system, caller, query)
    links = [{"rel": "next", "href": page_link(request, {"marker": _mark(page.items[-1])})}] if page.more else []
    return JSONResponse({"clients": [_shown(one) for one in page.items], "clients_links": links})


def _shown(client: Client) -> dict[str, Any]:
    shown = client.model_dump(mode="json")
    for name in ("not_after", "first_seen", "last_seen"):
        at = getattr(client, name)
        shown[name] = zulu_time(at) if at else None
    return shown


def _mark(client: Client) -> str:
    return f"{client.last_seen.isoformat()}|{client.fingerprint_sha256}|{client.listener_id}"


def _marker(words: dict[str, str]) -> tuple[datetime, str, str] | None:
    if "marker" not in words:
        return None
    at, _, rest = words["marker"].partition("|")
    fingerprint, _, listener_id = rest.partition("|")
    return moment(at, "marker"), fingerprint, listener_id
