"""A person at the console, in this process, without scripts: reads pages, fills in forms, follows links.

with a_visitor(tmp_path) as visitor:
    page = visitor.get("/console/balancers")
    page = page.form("/console/listeners/…/edit").send(enable_client_ca="true")
    page.text, page.said, page.error("protocol_port")
"""

import asyncio
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from ostiary.console.app import Console
from ostiary.model.token import NewToken, Role
from ostiary.ops import sessions
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

TOKEN: Final = "correct-horse-battery-staple-0123456789"
_VOID: Final = {"input", "meta", "link", "br", "img", "hr", "path", "wbr"}


@dataclass
class Element:
    """A tag with what is in it."""

    tag: str
    attrs: dict[str, str]
    inside: "list[Element | str]" = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that is written in it, with single spaces."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> "list[str]":
        found = []
        for one in self.inside:
            found += [one] if isinstance(one, str) else [" ", *one._texts(), " "] if one.tag not in _INLINE else one._texts()
        return found

    def every(self, tag: str | None = None, **attrs: str) -> "list[Element]":
        """The elements in it with this tag and these attributes; `class_` is one of the classes."""
        found = []
        for one in self.inside:
            if isinstance(one, str):
                continue
            wanted = dict(attrs)
            classes = wanted.pop("class_", None)
            fits = (tag is None or one.tag == tag) and all(one.attrs.get(name) == value for name, value in wanted.items())
            if fits and (classes is None or classes in one.attrs.get("class", "").split()):
                found.append(one)
            found += one.every(tag, **attrs)
        return found

    def one(self, tag: str | None = None, **attrs: str) -> "Element":
        """The only such element."""
        (found,) = self.every(tag, **attrs)
        return found


_INLINE: Final = {"strong", "code", "span", "b", "em", "a", "time"}


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("document", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(made)
        if tag not in _VOID:
            self._open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


def tree(html: str) -> Element:
    """The document; every tag has to be closed where it should."""
    parser = _Tree()
    parser.feed(html)
    parser.close()
    assert parser._open == [parser.root], f"not closed: {parser._open[-1].tag}"
    return parser.root


@dataclass
class Form:
    """A form as it stands on a page. What is not said otherwise is sent as it is."""

    visitor: "Visitor"
    action: str
    fields: list[tuple[str, str]]
    files: dict[str, bytes] = field(default_factory=dict)

    def values(self, name: str) -> list[str]:
        return [value for one, value in self.fields if one == name]

    def send(self, **changes: str | list[str] | bytes | None) -> "Page":
        """Send it with these fields changed; None leaves one out, bytes are a chosen file."""
        sent = [(name, value) for name, value in self.fields if name not in changes]
        files = {}
        for name, value in changes.items():
            if isinstance(value, bytes):
                files[name] = (f"{name}.bin", value)
            elif value is not None:
                sent += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        return self.visitor.post(self.action, sent, files=files)


@dataclass
class Page:
    """What came back, after following to where it led."""

    visitor: "Visitor"
    reply: httpx.Response

    @property
    def status(self) -> int:
        return self.reply.status_code

    @property
    def root(self) -> Element:
        return tree(self.reply.text)

    @property
    def text(self) -> str:
        return self.root.one("body").text

    @property
    def said(self) -> str:
        """What the page says of what was done last."""
        found = self.root.every("p", class_="said")
        return found[0].text if found else ""

    def error(self, name: str) -> str:
        """What is said beside a field."""
        found = self.root.every(id=f"field-{name}-error")
        return found[0].text if found else ""

    def rows(self) -> list[list[str]]:
        """The rows of every table."""
        return [
            [cell.text for cell in row.inside if isinstance(cell, Element)]
            for body in self.root.every("tbody")
            for row in body.every("tr")
        ]

    def form(self, action: str) -> Form:
        """The form that is sent there."""
        found = next(
            one for one in self.root.every("form") if one.attrs.get("action", "").partition("?")[0] == action.partition("?")[0]
        )
        return Form(self.visitor, found.attrs["action"], list(_fields(found)))


def _fields(form: Element) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in form.every():
        name, kind = one.attrs.get("name"), one.attrs.get("type", "text")
        if not name or "disabled" in one.attrs:
            continue
        if one.tag == "input" and kind in {"checkbox", "radio"}:
            found += [(name, one.attrs.get("value", "on"))] if "checked" in one.attrs else []
        elif one.tag == "input" and kind not in {"submit", "file"}:
            found.append((name, one.attrs.get("value", "")))
        elif one.tag == "textarea":
            found.append((name, "".join(part for part in one.inside if isinstance(part, str))))
        elif one.tag == "select":
            options = one.every("option")
            chosen = [option for option in options if "selected" in option.attrs] or options[:1]
            found += [(name, option.attrs["value"]) for option in chosen]
    return found


class Visitor:
    """Reads and fills in pages, in a session of `caller`; nobody's when that is None."""

    def __init__(self, system: System, caller: Caller | None = ADMIN, *, language: str = "en", is_guest: bool = False) -> None:
        self.system = system
        self._is_guest = is_guest  # of another visitor, whose system it is
        self.console = Console(system, lambda shown: shown == TOKEN.encode())
        transport = httpx.ASGITransport(app=self.console, client=("192.0.2.7", 4711))
        headers = {"accept": "text/html", "accept-language": language}
        self._http = httpx.AsyncClient(transport=transport, base_url="http://ostiary.test:9876", headers=headers)
        self._runner = asyncio.Runner()
        if caller is not None:
            self.sign_in(caller)

    def sign_in(self, caller: Caller) -> None:
        """Begin a session with a link, as `ostiary console` hands one out."""
        from ostiary.ops import sign_in_links  # noqa: PLC0415 (only here)

        link = sign_in_links.make(self.system, caller)
        _session, secret = sessions.by_link(self.system, bytes(link), "192.0.2.7", "req-test")
        self._http.cookies.set("ostiary-session", bytes(secret).decode(), domain="ostiary.test", path="/console")

    def another(self, name: str = "", role: Role = "auditor", *, language: str = "en") -> "Visitor":
        """Somebody else at the same console, with a token of their own; without a name, the same person once more."""
        caller = ADMIN
        if name:
            from ostiary.ops import tokens  # noqa: PLC0415 (only here)

            tokens.create(self.system, ADMIN, NewToken(name=name, role=role))
            caller = Caller(name=name, role=role, source="192.0.2.8", request_id="req-test")
        return Visitor(self.system, caller, language=language, is_guest=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()
        if not self._is_guest:
            self.system.store.close()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._http.cookies

    def raw(self, method: str, place: str, **options: Any) -> httpx.Response:
        """One request, as it is answered."""
        return self._runner.run(self._http.request(method, place, **options))

    def get(self, place: str, **options: Any) -> Page:
        """A page, after following to where it leads."""
        return Page(self, self._runner.run(self._http.get(place, follow_redirects=True, **options)))

    def post(self, place: str, fields: list[tuple[str, str]], files: dict[str, Any] | None = None) -> Page:
        """Send fields as a form does, and follow."""
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        # A browser says what kind of form it is also of one without fields.
        headers = {} if files or data else {"content-type": "application/x-www-form-urlencoded"}
        sending = self._http.post(place, data=data, files=files or None, headers=headers, follow_redirects=True)
        reply = self._runner.run(sending)
        return Page(self, reply)


def a_visitor(folder: Path, caller: Caller | None = ADMIN, clock: FakeClock | None = None, *, language: str = "en") -> Visitor:
    """A person at the console of an empty system."""
    return Visitor(a_system(sqlite_url(folder), clock), caller, language=language)
