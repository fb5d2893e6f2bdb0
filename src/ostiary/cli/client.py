"""Talk to a running ostiary as its REST API expects it."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx

from ostiary.errors import Refusal
from ostiary.settings import DEFAULT_LISTEN, default_data_dir, from_environment

_ID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


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
        return self._asked(method, path, query, json=body)

    def send(self, path: str, content: bytes, **query: Any) -> Any:
        """Put a file there as it is; otherwise as `call`."""
        return self._asked("PUT", path, query, content=content)

    def _asked(self, method: str, path: str, query: Mapping[str, Any], **options: Any) -> Any:
        with self._reply(method, path, query, **options) as reply:
            reply.read()
            decoded = _decoded(reply)
        if reply.is_success:
            return decoded
        raise Failed(_words(reply, decoded or {}))

    def fetch(self, path: str, **query: Any) -> bytes:
        """A file. Raises `Failed`."""
        content = io.BytesIO()
        self.stream(path, content, **query)
        return content.getvalue()

    def stream(self, path: str, into: BinaryIO, **query: Any) -> None:
        """A file, written as it comes, however long it is. Raises `Failed`."""
        with self._reply("GET", path, query) as reply:
            if not reply.is_success:
                reply.read()
                raise Failed(_words(reply, _decoded(reply) or {}))
            into.writelines(reply.iter_bytes())

    @contextmanager
    def _reply(self, method: str, path: str, query: Mapping[str, Any], **options: Any) -> Iterator[httpx.Response]:
        """One request and its reply, whose body has not been read yet. Raises `Failed` when nobody answers, or not to the end."""
        params = {name: value for name, value in query.items() if value is not None}
        headers = {"X-Auth-Token": self.token}
        try:
            with (
                httpx.Client(trust_env=False, timeout=60) as client,
                client.stream(method, self.url + path, params=params, headers=headers, **options) as reply,
            ):
                yield reply
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error).rstrip(".") or type(error).__name__
            raise Failed(
                f"cannot reach ostiary at {self.url}: {why}. Is `ostiary up` running? Set OSTIARY_URL if elsewhere."
            ) from None

    def find(self, path: str, one: str, plural: str, name_or_id: str) -> dict[str, Any]:
        """The one thing with this id or name. Raises `Failed` when there is none or more than one."""
        found = self.call("GET", path, id=name_or_id)[plural] or self.call("GET", path, name=name_or_id)[plural]
        # Issuing CAs that work under one name, one after the other, are one authority to whoever names it.
        if len({thing.get("series_id", thing["id"]) for thing in found}) == 1:
            return dict(found[0])
        if not found:
            raise Failed(f"there is no {one} '{name_or_id}'")
        raise Failed(f"there are {len(found)} {plural} named '{name_or_id}'; use the id: {', '.join(one['id'] for one in found)}")


def listener_id(client: Client, name_or_id: str | None) -> str | None:
    """The id of a listener that is meant by name or id; None where none is. Raises `Failed`.

    An id that is not there any more is taken as it is: what is told of a listener outlives it.
    """
    if name_or_id is None or _ID.fullmatch(name_or_id):
        return name_or_id
    return str(client.find("/v2/lbaas/listeners", "listener", "listeners", name_or_id)["id"])


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
