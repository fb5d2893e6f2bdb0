"""Talk to a running ostiary as its REST API expects it."""

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
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error).rstrip(".") or type(error).__name__
            raise Failed(
                f"cannot reach ostiary at {self.url}: {why}. Is `ostiary up` running? Set OSTIARY_URL if elsewhere."
            ) from None
        body = _decoded(reply)
        if reply.is_success:
            return body
        raise Failed(_words(reply, body or {}))

    def find(self, path: str, one: str, plural: str, name_or_id: str) -> dict[str, Any]:
        """The one thing with this id or name. Raises `Failed` when there is none or more than one."""
        found = self.call("GET", path, id=name_or_id)[plural] or self.call("GET", path, name=name_or_id)[plural]
        if len(found) == 1:
            return dict(found[0])
        if not found:
            raise Failed(f"there is no {one} '{name_or_id}'")
        raise Failed(f"there are {len(found)} {plural} named '{name_or_id}'; use the id: {', '.join(one['id'] for one in found)}")


def connect(data_dir: Path | None) -> Client:
    """A client for the ostiary that the environment or the data directory points to. Raises `Failed`."""
    url = from_environment("URL") or f"http://{from_environment('LISTEN') or DEFAULT_LISTEN}"
    token = from_environment("TOKEN")
    if token is None:
        file = (data_dir or default_data_dir()) / "admin.token"
        try:
            token = file.read_text("latin-1").strip()
        except OSError as error:
            raise Failed(f"no token: set OSTIARY_TOKEN or OSTIARY_DATA_DIR ({file}: {error.strerror})") from None
    if not (token.isascii() and token.isprintable()):
        raise Failed("what OSTIARY_TOKEN or the file admin.token holds is not a token")  # And must not be shown.
    return Client(url.rstrip("/"), token)


def _decoded(reply: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of a reply, None when it is empty. Raises `Failed` when somebody else answered."""
    if not reply.content:
        return None
    try:
        body = reply.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Failed(
            f"{reply.url.copy_with(path='/', query=None)} answers {reply.status_code}, but not as ostiary does. Set OSTIARY_URL."
        )
    return body


def _words(reply: httpx.Response, body: dict[str, Any]) -> str:
    """What a refusal says, whichever form it has."""
    words = body.get("faultstring") or body.get("detail") or body.get("description") or body.get("title")
    return str(words or f"{reply.status_code} {reply.reason_phrase}")
