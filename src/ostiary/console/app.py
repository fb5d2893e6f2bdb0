"""The console as one ASGI application: whose visit it is, what they sent, which page answers, and what is shown when none can."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Match
from starlette.routing import Route as Matching
from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary import logs
from ostiary.asgi.answered import KEY
from ostiary.asgi.doors import CONSOLE_KNOCK, ConsoleKnock
from ostiary.asgi.edge import Edge
from ostiary.asgi.limits import counted, fits, no_control_characters
from ostiary.console import (
    access,
    access_exceptions,
    access_form,
    access_tokens,
    approvals,
    audit,
    authorities,
    balancer_create,
    balancer_edit,
    balancers,
    break_glass,
    certificates,
    clients,
    denials,
    expiring,
    explain,
    gateways,
    issuing,
    listener_page,
    listeners,
    notifications,
    overview,
    people,
    pool_check,
    pool_members,
    pools,
    preferences,
    profiles,
    rehearsals,
    reports,
    requests,
    reviews,
    revisions,
    revoking,
    rotations,
    server_certificates,
    settings,
    signed_in,
    signing_in,
    users,
    warnings,
)
from ostiary.console.visit import HEADERS, SAID, Form, Route, Secrets, Visit, read
from ostiary.errors import (
    Awaits,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Refusal,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from ostiary.ops import sessions
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.web import words
from ostiary.web.formats import zone
from ostiary.web.pages import render
from ostiary.web.words import _

# A PKCS#12 file, a bundle of authorities. No more than what is kept in memory while it is read: keys must not touch a disk.
BODY_MAX: Final = 2**20
FIELDS_MAX: Final = 2000
FILES_MAX: Final = 8
_LIVE_ROUND: Final = 0.25  # seconds between two looks at what may have changed
_LIVE_ANYWAY: Final = 12  # rounds after which is looked whatever we have heard: another control plane may have written
_LIVE_ROUNDS: Final = 2400  # ten minutes; then the browser comes again, and is asked anew who it is
_LIVE_BEAT: Final = 60  # rounds without news after which a comment keeps the connection alive

# What the console answers. Everything else on this port is the API's.
PREFIXES: Final = ("/console", "/vserver")

# In the order in which they are tried.
ROUTES: Final[tuple[Route, ...]] = (
    *signing_in.ROUTES,
    *preferences.ROUTES,
    *balancer_create.ROUTES,  # before those in whose path an id stands in the place of a verb
    *balancers.ROUTES,
    *balancer_edit.ROUTES,
    *listeners.ROUTES,
    *listener_page.ROUTES,
    *pool_members.ROUTES,
    *pool_check.ROUTES,
    *pools.ROUTES,
    *server_certificates.ROUTES,
    *issuing.ROUTES,
    *revoking.ROUTES,  # before those in whose path an id stands in the place of a verb
    *certificates.ROUTES,
    *rotations.ROUTES,
    *authorities.ROUTES,
    *requests.ROUTES,
    *approvals.ROUTES,
    *break_glass.ROUTES,
    *profiles.ROUTES,
    *expiring.ROUTES,
    *warnings.ROUTES,
    *notifications.ROUTES,
    *reports.ROUTES,  # before those in whose path a number stands in the place of this word
    *audit.ROUTES,
    *reviews.ROUTES,
    *revisions.ROUTES,
    *gateways.ROUTES,
    *clients.ROUTES,
    *denials.ROUTES,
    *explain.ROUTES,
    *rehearsals.ROUTES,
    *access_exceptions.ROUTES,  # before those in whose path an id stands in the place of this word
    *access.ROUTES,
    *access_form.ROUTES,
    *people.ROUTES,
    *access_tokens.ROUTES,
    *users.ROUTES,
    *signed_in.ROUTES,
    *settings.ROUTES,
    *overview.ROUTES,
)
# Where the pages of the product we are compared with are; people have them in their fingers (VLB.md).
ELSEWHERE: Final = {
    "/": "/console/balancers",
    "/console": "/console/balancers",
    "/vserver": "/console/balancers",
    "/vserver/load-balancer": "/console/balancers",
    "/vserver/load-balancer/vlb": "/console/balancers",
    "/vserver/load-balancer/certificate": "/console/server-certificates",
}

_STATUSES: Final[tuple[tuple[type[Refusal], int], ...]] = (
    (TooLarge, 413),
    (Invalid, 400),
    (Unauthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooMany, 429),
    (Unavailable, 503),
)
_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,255}")


class Console:
    """ASGI: the console. `is_admin_token` tells the one token that lies in the data directory (`api.identity`)."""

    def __init__(self, system: System, is_admin_token: signing_in.TokenCheck) -> None:
        self._system = system
        self._keys = signing_in.Keys(is_admin_token)
        self._routes = _routes()
        self._app: ASGIApp = Edge(self._answer, _crashed, partial(system.meters.answered, "console"), system.traced)
        self._closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def close(self) -> None:
        """Let go of who watches: nobody waits for them when the process is to end."""
        self._closing.set()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = _stranger(self._system, scope)
        try:
            no_control_characters(scope)
            fits(Headers(scope=scope), BODY_MAX)
            reply = await self._reply(Request(scope, counted(receive, BODY_MAX)), visit)
        except Refusal as refused:
            reply = _refused(visit, refused)
        await reply(scope, receive, send)

    async def _reply(self, request: Request, visit: Visit) -> Response:
        if request.method in {"GET", "HEAD"} and (elsewhere := ELSEWHERE.get(request.url.path.rstrip("/") or "/")):
            return RedirectResponse(elsewhere, 303)
        route, path = self._route(request.scope)
        visit = replace(visit, path=path, current=route.current, keys=self._keys)
        one = request.scope[KEY]
        one.route = route.path
        visit = await self._known(request, visit)
        one.is_stranger = visit.session is None
        logs.also(actor=visit.caller.name, role=visit.caller.role)
        try:
            return await self._known_reply(request, visit, route)
        except Awaits as waits:
            said = visit.say(_("Not done yet: another person has to agree first. It waits here for them."))
            return visit.see(f"/console/approvals/{waits.approval_id}", said)
        except Refusal as refused:
            return _refused(visit, refused)

    async def _known_reply(self, request: Request, visit: Visit, route: Route) -> Response:
        if visit.session is None and not route.public:
            return _to_sign_in(request, visit)
        if not route.public:
            visit.caller.must(route.may)
        if route.method == "POST":
            _from_here(request)
            visit = replace(visit, form=await _form(request))
            if not route.public:
                _meant(visit)
        if route.is_live:
            return StreamingResponse(self._watched(route, visit), media_type="text/event-stream")
        reply: Response = await asyncio.to_thread(route.handler, visit)
        return reply

    def _route(self, scope: Scope) -> tuple[Route, dict[str, str]]:
        """Which answers, with what stands in the path."""
        found_path = False
        for matching, route in self._routes:
            match, child = matching.matches(scope)
            if match is Match.FULL:
                path = {name: str(value) for name, value in child["path_params"].items()}
                if all(_ID.fullmatch(value) for value in path.values()):
                    return route, path
            found_path = found_path or match is Match.PARTIAL
        if found_path:
            raise NotFound("Page", f"{scope['method']} {scope['path']}")
        raise NotFound("Page", scope["path"])

    async def _known(self, request: Request, visit: Visit) -> Visit:
        """The visit of whoever is signed in; that of a stranger when nobody is."""
        secret = request.cookies.get(signing_in.cookie(request.url.scheme), "").encode()
        knock = _knock(request.scope)
        if not secret:
            return visit
        found = await asyncio.to_thread(
            sessions.current,
            self._system,
            secret,
            certificate=knock.certificate if knock else None,
            source=visit.caller.source,
            request_id=visit.caller.request_id,
        )
        if found is None:
            return visit
        session, caller = found
        secrets = Secrets(secret)
        note = secrets.note(unquote(request.cookies.get(SAID, "")))
        return replace(visit, session=session, caller=caller, csrf=sessions.csrf(secret), secrets=secrets, said=note)

    def _goes_on(self, visit: Visit) -> bool:
        return visit.session is not None and sessions.goes_on(self._system, visit.session, visit.certificate)

    async def _watched(self, route: Route, visit: Visit) -> AsyncIterator[str]:
        """The piece of the page, at first and whenever it is another; ended before a session can outlive its end by much."""
        last, text, quiet, seen = None, "", 0, None
        for number in range(_LIVE_ROUNDS):
            now = self._system.clock()
            news = (self._system.store.commits, self._system.fleet.changes)
            if news != seen or number % _LIVE_ANYWAY == 0:
                # What was committed may have ended the session: signed out elsewhere, its token deleted, its certificate revoked.
                if not await asyncio.to_thread(self._goes_on, visit):
                    return
                seen, text = news, await asyncio.to_thread(route.handler, replace(visit, at=now))
            if visit.session is None or now >= visit.session.expires_at:
                return
            if text != last:
                yield _event(text)
                last, quiet = text, 0
            elif (quiet := quiet + 1) % _LIVE_BEAT == 0:
                yield ": still here\n\n"
            if await _set_within(self._closing, _LIVE_ROUND):
                return


@cache
def _routes() -> tuple[tuple[Matching, Route], ...]:
    """Each with what matches its path."""
    return tuple((Matching(route.path, _nothing, methods=[route.method]), route) for route in ROUTES)


def answers(path: str) -> bool:
    """Whether the console answers at this path."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


async def _nothing(_request: Request) -> Response:
    """Routes are matched here, and answered elsewhere."""
    raise AssertionError


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _event(text: str) -> str:
    """A server-sent event (WHATWG HTML 9.2)."""
    return "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


def _knock(scope: Scope) -> ConsoleKnock | None:
    knock: ConsoleKnock | None = scope.get(CONSOLE_KNOCK)
    return knock


def _stranger(system: System, scope: Scope) -> Visit:
    request = Request(scope)
    knock = _knock(scope)
    source = knock.source if knock else str(scope["client"][0]) if scope.get("client") else ""
    caller = Caller(name="anonymous", role="public", source=source, request_id=scope["request_id"])
    zone_name = unquote(request.cookies.get(preferences.ZONE, ""))[:64] or "UTC"
    query = request.url.query
    return Visit(
        system,
        caller,
        system.clock(),
        place=request.url.path + (f"?{query}" if query else ""),
        query=dict(request.query_params),
        language=words.of_reader(request.cookies, request.headers.get("accept-language", "")),
        zone_name=zone_name,
        zone=zone(zone_name),
        base=f"{request.url.scheme}://{request.url.netloc}",
        certificate=knock.certificate if knock else None,
    )


def _to_sign_in(request: Request, visit: Visit) -> Response:
    if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
        # Our cookie does not come along from another site's link (SameSite=Strict). Asked for once more, from here, it does.
        text = render("console/once_more.html", visit.language, visit=visit, now=visit.at, languages=words.LANGUAGES)
        return HTMLResponse(text, headers=HEADERS)
    return RedirectResponse(signing_in.place(visit.place if request.method == "GET" else "/console"), 303)


def _from_here(request: Request) -> None:
    """Raises `Denied` for a form that another site sent. Browsers say so themselves, in one header or the other."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Denied("This form was sent from another site; open the page here and send it again.")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.url.netloc:
        raise Denied("This form was sent from another site; open the page here and send it again.")


def _meant(visit: Visit) -> None:
    """Raises `Denied` unless the form holds what only our own page could have put there."""
    if not sessions.csrf_matches(visit.secrets.key, visit.form.text("csrf")):
        raise Denied("This form is from before you signed in; open the page anew and send it again.")


async def _form(request: Request) -> Form:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise Invalid("body", "is not a form")
    try:
        async with request.form(max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=BODY_MAX) as form:
            found = await read(form)
    except MultiPartException as error:
        raise Invalid("body", str(error.message)) from None
    if any("\0" in text for texts in found.texts.values() for text in texts):
        raise Invalid("body", "NUL characters are not allowed")
    return found


def _refused(visit: Visit, refused: Refusal) -> Response:
    """The page that says why not, and where to go from here."""
    if isinstance(refused, Denied):
        visit.system.refused_calls.note(visit.caller, refused)
    status = next((status for kind, status in _STATUSES if isinstance(refused, kind)), 400)
    return visit.page("refused.html", status, code=status, why=refused)


def _crashed(path: str, request_id: str) -> ASGIApp:
    """The page where an error of ours ended a request; it needs nothing that could fail again."""
    del path
    text = render("console/crashed.html", request_id=request_id)
    return HTMLResponse(text, 500, headers=HEADERS)


def routes() -> Iterable[Route]:
    """All of them, for tests and documentation."""
    return ROUTES


def beside(api: ASGIApp, console: Console) -> ASGIApp:
    """Both on one port: pages to who asks for pages, the API to everybody else."""

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and (answers(scope["path"]) or (scope["path"] == "/" and _reads_pages(scope)))
        await (console if is_page else api)(scope, receive, send)

    return both


def _reads_pages(scope: Any) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "").lower()
