"""Talk to a running ostiary as its REST API expects it.

With what Python brings along: an HTTP client with more to it takes longer to load than most commands to run.
"""

import http.client
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlencode, urlsplit

from ostiary.errors import Refusal
from ostiary.settings import DEFAULT_LISTEN, default_data_dir, from_environment

_APPROVALS: Final = "/v1/approvals/"
_PATIENCE: Final = 60.0
_CHUNK: Final = 65_536
_PLAIN: Final = "/?&=%:@!$'()*+,;~"  # what a path and a query are written with; all else is encoded
_ID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class Failed(Refusal):
    """The API refused, or could not be reached; the message is one clear line."""


class Waits(Failed):
    """It was not done yet: another person has to agree, and the message says where they do."""


@dataclass(frozen=True)
class Client:
    """A caller of the API. The token is read from the environment or from the data directory, never from an argument."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Client({self.url})"

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; the decoded reply, or None when there is none. Raises `Failed`."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self._asked(method, path, query, None if body is None else json.dumps(body).encode(), headers)

    def send(self, path: str, content: bytes, **query: Any) -> Any:
        """Put a file there as it is; otherwise as `call`."""
        return self._asked("PUT", path, query, content, {})

    def _asked(self, method: str, path: str, query: Mapping[str, Any], body: bytes | None, headers: Mapping[str, str]) -> Any:
        with self._reply(method, path, query, body, headers) as reply:
            decoded = self._decoded(reply)
            if _succeeded(reply) and not _waits(reply):
                return decoded
            raise _failed(reply, decoded or {})

    def fetch(self, path: str, **query: Any) -> bytes:
        """A file. Raises `Failed`."""
        content = io.BytesIO()
        self.stream(path, content, **query)
        return content.getvalue()

    def stream(self, path: str, into: BinaryIO, **query: Any) -> None:
        """A file, written as it comes, however long it is. Raises `Failed`."""
        with self._reply("GET", path, query, None, {}) as reply:
            self._write(reply, into)

    def make(self, path: str, body: Any, into: BinaryIO) -> None:
        """A file that is made for who asks, written as it comes. Raises `Failed`."""
        with self._reply("POST", path, {}, json.dumps(body).encode(), {"Content-Type": "application/json"}) as reply:
            self._write(reply, into)

    def _write(self, reply: http.client.HTTPResponse, into: BinaryIO) -> None:
        if not _succeeded(reply):
            raise _failed(reply, self._decoded(reply) or {})
        while chunk := self._read(reply, _CHUNK):
            into.write(chunk)

    @contextmanager
    def _reply(
        self, method: str, path: str, query: Mapping[str, Any], body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """One request and its reply, whose body has not been read yet. Raises `Failed` when nobody answers, or not to the end."""
        params = urlencode({name: _param(value) for name, value in query.items() if value is not None})
        asked = quote(f"{path}{'&' if '?' in path else '?'}{params}" if params else path, safe=_PLAIN)
        with self._reaching():
            connection = _connection(self.url)
        with closing(connection):
            with self._reaching():
                connection.request(
                    method, urlsplit(self.url).path + asked, body, {"X-Auth-Token": self.token, **_why(), **headers}
                )
                reply = connection.getresponse()
            yield reply

    def _read(self, reply: http.client.HTTPResponse, most: int | None = None) -> bytes:
        """What comes next of a body; empty at its end. Raises `Failed` when it breaks off."""
        with self._reaching():
            content = reply.read(most)
            if not content and reply.length:  # Python does not mind when less comes than was announced.
                raise http.client.IncompleteRead(content, reply.length)
            return content

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Whatever goes wrong on the way there and back, as one clear line."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error).rstrip(".") or type(error).__name__
            raise Failed(
                f"cannot reach ostiary at {self.url}: {why}. Is `ostiary up` running? Set OSTIARY_URL if elsewhere."
            ) from None

    def _decoded(self, reply: http.client.HTTPResponse) -> dict[str, Any] | None:
        """The JSON object of a reply, None when it is empty. Raises `Failed` when somebody else answered."""
        content = self._read(reply)
        if not content:
            return None
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Failed(f"{self.url} answers {reply.status}, but not as ostiary does. Set OSTIARY_URL.")
        return body

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


def _why() -> dict[str, str]:
    """What the environment says of why it is needed, for whoever has to agree."""
    why = from_environment("JUSTIFICATION")
    return {"X-Justification": quote(why, safe=" ")} if why else {}


def _connection(url: str) -> http.client.HTTPConnection:
    """A connection to where a URL leads. No proxy, whatever the environment says: the token is for ostiary alone.

    Raises `ValueError` for what is no URL.
    """
    parts = urlsplit(url)
    kinds: dict[str, type[http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    if parts.scheme not in kinds or not parts.hostname:
        raise ValueError("that is no http or https URL")
    return kinds[parts.scheme](parts.hostname, parts.port, timeout=_PATIENCE)


def _param(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _succeeded(reply: http.client.HTTPResponse) -> bool:
    return 200 <= reply.status < 300


def _waits(reply: http.client.HTTPResponse) -> bool:
    """Whether another person has to agree first: that is no failure of the API's, and not done either."""
    return (reply.getheader("Location") or "").startswith(_APPROVALS)


def _failed(reply: http.client.HTTPResponse, body: dict[str, Any]) -> Failed:
    return (Waits if _waits(reply) else Failed)(_words(reply, body))


def _words(reply: http.client.HTTPResponse, body: dict[str, Any]) -> str:
    """What a refusal says, whichever form it has."""
    words = body.get("faultstring") or body.get("detail") or body.get("description") or body.get("title")
    return str(words or f"{reply.status} {reply.reason}")
