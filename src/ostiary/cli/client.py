"""Talk to a running ostiary as its REST API expects it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ostiary.errors import Refusal
from ostiary.settings import DEFAULT_LISTEN, default_data_dir, from_environment


class Failed(Refusal):
    """The API refused, or could not be reached; the message is one clear line."""


@dataclass(frozen=True)
class Client:
    """A caller of the API. The token is read from the environment or from the data directory, never from an argument."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Client({self.url})"

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; the decoded reply, or None when there is none. Raises `Failed`."""
        try:
            reply = httpx.request(
                method,
                self.url + path,
                json=body,
                params={name: value for name, value in query.items() if value is not None},
                headers={"X-Auth-Token": self.token},
                timeout=60,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise Failed(
                f"cannot reach ostiary at {self.url}: {error}. Is `ostiary up` running? Set OSTIARY_URL if elsewhere."
            ) from None
        if reply.is_success:
            return reply.json() if reply.content else None
        raise Failed(_words(reply))

    def find(self, path: str, plural: str, name_or_id: str) -> dict[str, Any]:
        """The one thing with this id or name. Raises `Failed` when there is none or more than one."""
        found = self.call("GET", path, id=name_or_id)[plural] or self.call("GET", path, name=name_or_id)[plural]
        if len(found) == 1:
            return dict(found[0])
        if not found:
            raise Failed(f"there is no {plural.rstrip('s')} '{name_or_id}'")
        raise Failed(f"there are {len(found)} {plural} named '{name_or_id}'; use the id: {', '.join(one['id'] for one in found)}")


def connect(data_dir: Path | None) -> Client:
    """A client for the ostiary that the environment or the data directory points to. Raises `Failed`."""
    url = from_environment("URL") or f"http://{from_environment('LISTEN') or DEFAULT_LISTEN}"
    token = from_environment("TOKEN")
    if token is None:
        file = (data_dir or default_data_dir()) / "admin.token"
        try:
            token = file.read_text().strip()
        except OSError as error:
            raise Failed(f"no token: set OSTIARY_TOKEN or OSTIARY_DATA_DIR ({file}: {error.strerror})") from None
    return Client(url.rstrip("/"), token)


def _words(reply: httpx.Response) -> str:
    """What a refusal says, whichever form it has."""
    try:
        body = reply.json()
    except json.JSONDecodeError:
        return f"{reply.status_code} {reply.reason_phrase}"
    return str(
        body.get("faultstring") or body.get("detail") or body.get("description") or body.get("title") or reply.reason_phrase
    )
