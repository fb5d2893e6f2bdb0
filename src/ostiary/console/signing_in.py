"""Signing in and out: with a link that works once, a token, or the client certificate shown at the console's own door."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.responses import RedirectResponse, Response

from ostiary.asgi.attempts import Attempts
from ostiary.console.visit import SAID, Route, Visit, action, url
from ostiary.errors import Denied, NotFound, TooMany
from ostiary.model.fields import Private
from ostiary.model.session import SESSION_COOKIE, Session
from ostiary.ops import sessions, sign_in_links
from ostiary.web.words import _

TokenCheck = Callable[[bytes], bool]
PATH: Final = "/console"
_LONGEST_SECRET: Final = 256
_HOME: Final = "/console/balancers"


@dataclass(frozen=True)
class Keys:
    """What opens the door: the token in the data directory; and who has failed of late."""

    is_admin_token: TokenCheck = field(repr=False)
    attempts: Attempts = field(default_factory=Attempts)


def cookie(scheme: str) -> str:
    """The name of the session's cookie. Over TLS browsers take it from TLS alone (`__Secure-`, RFC 6265bis 4.1.3).

    Browsers tell hosts apart, but not ports: what else listens on our host may be sent our cookies. So it goes to paths below
    `PATH` only, and our gateway hands it to no member (`envoy.route`).
    """
    return f"__Secure-{SESSION_COOKIE}" if scheme == "https" else SESSION_COOKIE


def place(wanted: str) -> str:
    """The page to sign in at, and to go on from to what was wanted."""
    return url("/console/sign-in", next="" if wanted in {"/console", _HOME} else wanted)


def ask(visit: Visit) -> Response:
    """The page to sign in at."""
    if visit.session is not None:
        return visit.see(_next(visit))
    return visit.page("sign_in.html", next=visit.query.get("next", ""), why="", has_certificate=visit.certificate is not None)


def with_token(visit: Visit) -> Response:
    """Sign in with an access token, or with the one in the data directory."""
    secret = visit.form.text("token").encode()[:_LONGEST_SECRET]
    return _signed_in(
        visit,
        lambda: sessions.by_token(
            visit.system, secret, visit.keys.is_admin_token(secret), visit.caller.source, visit.caller.request_id
        ),
    )


def with_certificate(visit: Visit) -> Response:
    """Sign in with the certificate that was shown in the TLS handshake."""

    def begin() -> tuple[Session, Private]:
        if visit.certificate is None:
            raise Denied(visit.say(_("No client certificate was shown; choose one when the browser asks, or use a token.")))
        return sessions.by_certificate(visit.system, visit.certificate, visit.caller.source, visit.caller.request_id)

    return _signed_in(visit, begin)


def offer_link(visit: Visit) -> Response:
    """What a link is good for. Looking uses nothing up: programs that look at links beforehand press no buttons."""
    secret = visit.path["link"].encode()
    try:
        visit.keys.attempts.refuse_if_many(visit.caller.source, visit.at)
    except TooMany as many:
        return _again(visit, str(many), 429)
    offered = sign_in_links.offered(visit.system, secret)
    if offered is None:
        visit.keys.attempts.failed(visit.caller.source, visit.at)
        return _again(visit, visit.say(_("This link was used or has ended. `ostiary console` prints a new one.")), 403)
    return visit.page("sign_in_link.html", link=visit.path["link"], offered=offered)


def with_link(visit: Visit) -> Response:
    """Sign in with a link, which is then used up."""
    secret = visit.path["link"].encode()
    return _signed_in(visit, lambda: sessions.by_link(visit.system, secret, visit.caller.source, visit.caller.request_id))


def out(visit: Visit) -> Response:
    """Sign out: the session is ended here, not only forgotten by the browser."""
    if visit.session is not None:
        sessions.end(visit.system, visit.caller, visit.session.id)
    reply = RedirectResponse("/console/sign-in", 303)
    reply.delete_cookie(cookie(_scheme(visit)), path=PATH, secure=_scheme(visit) == "https", httponly=True, samesite="strict")
    reply.delete_cookie(SAID, path="/console", httponly=True, samesite="strict")
    return reply


def _signed_in(visit: Visit, begin: Callable[[], tuple[Session, Private]]) -> Response:
    attempts: Attempts = visit.keys.attempts
    try:
        attempts.refuse_if_many(visit.caller.source, visit.at)
        _session, secret = begin()
    except TooMany as many:
        return _again(visit, str(many), 429)
    except Denied as refused:
        attempts.failed(visit.caller.source, visit.at)
        return _again(visit, str(refused), 403)
    if visit.session is not None:
        with suppress(NotFound):  # it ended by itself meanwhile
            sessions.end(visit.system, visit.caller, visit.session.id)  # a browser is signed in once; nobody would end that one
    reply = RedirectResponse(_next(visit), 303)
    # It ends with the browser, or before that by its own time (`ops.sessions`); scripts cannot read it, other sites not send it.
    reply.set_cookie(
        cookie(_scheme(visit)),
        bytes(secret).decode(),
        path=PATH,
        secure=_scheme(visit) == "https",
        httponly=True,
        samesite="strict",
    )
    return reply


def _again(visit: Visit, why: str, status: int) -> Response:
    # Whoever reads the page in another language comes back to this one: links that open nothing are not handed on.
    here = replace(visit, place="/console/sign-in")
    return here.page("sign_in.html", status, next=_next(visit), why=why, has_certificate=visit.certificate is not None)


def _next(visit: Visit) -> str:
    """Where to go on to: a page of the console, whatever else a link may say."""
    wanted = visit.form.text("next") or visit.query.get("next", "")
    plain = wanted.startswith("/console/") and not any(sign in wanted for sign in "\\\r\n\t") and "//" not in wanted
    return wanted if plain and not wanted.startswith("/console/sign-in") else _HOME


def _scheme(visit: Visit) -> str:
    return visit.base.partition(":")[0]


ROUTES: Final = (
    Route("GET", "/console/sign-in", ask, may="", public=True),
    Route("POST", "/console/sign-in", with_token, may="", public=True),
    Route("POST", "/console/sign-in/certificate", with_certificate, may="", public=True),
    Route("GET", "/console/sign-in/{link}", offer_link, may="", public=True),
    Route("POST", "/console/sign-in/{link}", with_link, may="", public=True),
    action("/console/sign-out", out, may="session:end"),
)
