"""/v1/clients: certificates that were let in, where and when they were last seen."""

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import Link, zulu_time
from ostiary.api.queries import RECORD_LIMIT_MAX, page_limit, page_link, parameters
from ostiary.errors import Invalid
from ostiary.model.fields import Data
from ostiary.model.sighting import Client, ClientQuery
from ostiary.ops import sightings

_QUERY: Final = {
    "listener_id": "Only those seen at this listener.",
    "fingerprint_sha256": "Only this certificate.",
    "certificate_id": "Only this certificate, of those issued here.",
    "seen_after": "Only those last seen at this time or later.",
    "seen_before": "Only those last seen before this time.",
    "limit": f"Most items in one page, at most {RECORD_LIMIT_MAX}.",
    "marker": "Where the page before ended, from its link.",
}


class ClientItem(Data):
    """A certificate at a listener. `certificate_id` is null when it was not issued here."""

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
    query = ClientQuery(
        **{name: words.get(name) for name in ("listener_id", "fingerprint_sha256", "certificate_id")},
        seen_after=_time(words, "seen_after"),
        seen_before=_time(words, "seen_before"),
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
    return _read_time(at, "marker"), fingerprint, listener_id


def _time(words: dict[str, str], name: str) -> datetime | None:
    return _read_time(words[name], name) if name in words else None


def _read_time(text: str, parameter: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # A '+' that was not escaped arrives as a space.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(parameter, "is not a time such as 2027-01-31T12:00:00Z") from None
