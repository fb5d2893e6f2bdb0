"""A visit: one request to the console, who makes it, and how it is answered. All that a page's code may know of the web."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ostiary.console import alarms
from ostiary.errors import Denied
from ostiary.model.session import Session
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.web import words
from ostiary.web.pages import POLICY as PLAIN
from ostiary.web.pages import render
from ostiary.web.words import LANGUAGES, of

# Our own scripts and no other; they fetch only from here.
POLICY: Final = f"{PLAIN}; script-src 'self'; connect-src 'self'"
# Told to nobody else where one came from; to ourselves it is, for without it browsers call the origin of a form `null`.
HEADERS: Final = {"content-security-policy": POLICY, "referrer-policy": "same-origin"}
SAID: Final = "ostiary-said"
PRESENT: Final = "present"  # names the fields that a form showed: an unticked box sends nothing
_SAID_MAX: Final = 500


@dataclass(frozen=True)
class Form:
    """What a form sent: texts by name (a name may have several), and files. Bounded before it was read."""

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self.texts

    def has(self, name: str) -> bool:
        """Whether the form showed that field: of a box that is not ticked, nothing else is sent."""
        return name in self.texts or name in self.all(PRESENT)

    def text(self, name: str, default: str = "") -> str:
        """The one text of that name, without the spaces around it."""
        return self.texts.get(name, (default,))[-1].strip()

    def all(self, name: str) -> tuple[str, ...]:
        """All texts of that name that say something."""
        return tuple(text.strip() for text in self.texts.get(name, ()) if text.strip())

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines of a text, or its parts between commas, that say something."""
        return tuple(part.strip() for part in self.text(name).replace(",", "\n").splitlines() if part.strip())

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return self.text(name) != ""

    def seen(self, revision: int) -> int:
        """The revision that the form was made of; that one when the form does not say."""
        text = self.text("revision")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else revision

    def file(self, name: str) -> bytes:
        """The bytes of the file that was chosen; empty when none was."""
        return self.files.get(name, b"")


async def read(form: FormData) -> Form:
    """What a form sent, in memory: the limits were kept while it came."""
    texts: dict[str, tuple[str, ...]] = {}
    files: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = await value.read()
        else:
            texts[name] = (*texts.get(name, ()), value)
    return Form(texts, files)


@dataclass(frozen=True)
class Secrets:
    """What only the session knows, for what travels with its holder."""

    key: bytes = field(default=b"", repr=False)

    def sealed_note(self, text: str) -> str:
        """A note that nobody else can have written."""
        plain = base64.urlsafe_b64encode(json.dumps(text).encode()).decode()
        return f"{plain}.{self._seal(plain)}"

    def note(self, sealed: str) -> str:
        """The note; empty when it is not ours."""
        plain, _, seal = sealed.partition(".")
        if not self.key or not hmac.compare_digest(seal.encode(), self._seal(plain).encode()):
            return ""
        return str(json.loads(base64.urlsafe_b64decode(plain)))

    def _seal(self, plain: str) -> str:
        return hmac.new(self.key, b"ostiary note\0" + plain.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Visit:
    """One request. `csrf` is what forms have to send back; empty before sign-in."""

    system: System
    caller: Caller
    at: datetime
    session: Session | None = None
    csrf: str = field(default="", repr=False)
    path: Mapping[str, str] = field(default_factory=dict)
    place: str = ""  # path and query as asked for, to come back to
    query: Mapping[str, str] = field(default_factory=dict)
    form: Form = field(default_factory=Form, repr=False)
    language: str = "en"
    zone_name: str = "UTC"
    zone: tzinfo = UTC
    base: str = ""  # scheme and host it was asked at
    said: str = ""  # what the page before left to be said here
    current: str = ""  # the part of the navigation that is open
    secrets: Secrets = field(default_factory=Secrets, repr=False)
    certificate: bytes | None = field(default=None, repr=False)  # DER, verified, of whoever came by the console's own door
    keys: Any = field(default=None, repr=False)  # what sign-in needs (`signing_in.Keys`)

    def say(self, sentence: str, **values: object) -> str:
        """A sentence in the reader's language; `%(name)s` in it are filled in afterwards."""
        return of(self.language).gettext(sentence) % values if values else words.sentence(sentence, self.language)

    def say_many(self, one: str, many: str, count: int, **values: object) -> str:
        """Likewise for a number of things."""
        return of(self.language).ngettext(one, many, count) % {"count": count, **values}

    def can(self, action: str) -> bool:
        """Whether whoever visits may do that: what they may not do is not offered."""
        try:
            self.caller.must(action)
        except Denied:
            return False
        return True

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page of `templates/console/`. Beside `values` it knows the visit, as `visit`."""
        text = render(
            f"console/{template}",
            self.language,
            visit=self,
            now=self.at,
            zone=self.zone,
            languages=LANGUAGES,
            alarms=alarms.of(self),
            **values,
        )
        reply = HTMLResponse(text, status, headers=HEADERS)
        if self.said:
            reply.delete_cookie(SAID, path="/console", httponly=True, samesite="strict")
        return reply

    def part(self, template: str, **values: Any) -> str:
        """A piece of a page, for what changes while somebody looks (`live`)."""
        return render(
            f"console/{template}", self.language, visit=self, now=self.at, zone=self.zone, languages=LANGUAGES, **values
        )

    def see(self, place: str, said: str = "") -> Response:
        """Send on to another page (RFC 9110 15.4.4), which says that sentence once. A reload of it sends nothing again."""
        reply = RedirectResponse(place, 303)
        if said:
            sealed = self.secrets.sealed_note(said[:_SAID_MAX])
            reply.set_cookie(SAID, sealed, max_age=60, path="/console", httponly=True, samesite="strict")
        return reply

    def within(self, **values: Any) -> "Visit":
        """The same visit with something about it changed."""
        return replace(self, **values)


@dataclass(frozen=True)
class Route:
    """A page or an action. `may` is what its caller must be allowed to do; `public` ones answer before sign-in."""

    method: str
    path: str
    handler: Callable[[Visit], Any]
    may: str
    current: str = ""
    public: bool = False
    is_live: bool = False


def page(path: str, handler: Callable[[Visit], Response], may: str, current: str = "") -> Route:
    """What GET shows."""
    return Route("GET", path, handler, may, current)


def action(path: str, handler: Callable[[Visit], Response], may: str, current: str = "") -> Route:
    """What POST does. It answers with another page to see, or with the form once more and what is wrong with it."""
    return Route("POST", path, handler, may, current)


def live(path: str, handler: Callable[[Visit], str], may: str) -> Route:
    """A piece of a page that is sent again whenever it changes (server-sent events)."""
    return Route("GET", path, handler, may, is_live=True)


def url(path: str, /, **query: object) -> str:
    """A path with a query; what is None or empty is left out."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{quote(path, safe='/:@')}?{urlencode(given)}" if given else quote(path, safe="/:@")
