"""/install: how people install a certificate, as pages and as text. Public: it holds nothing but what everybody may know."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from ostiary.api.declared import Sys, described, public
from ostiary.api.queries import base_url, parameters
from ostiary.errors import Invalid, NotFound
from ostiary.ops import handout
from ostiary.ops.caller import SYSTEM
from ostiary.ops.system import System
from ostiary.web import install as pages
from ostiary.web.install import AuthorityFiles, Form
from ostiary.web.pages import POLICY, static_file
from ostiary.web.words import of_reader

_FORMATS: dict[str, Form] = {"html": "html", "text": "txt"}
_QUERY = {
    "authority": "Id of the authority to link to.",
    "format": "html or text; without it browsers get pages, and whoever does not ask for HTML gets text.",
}
_FOR_EVER = "public, max-age=31536000, immutable"  # the address of a static file holds its content's hash

router = APIRouter(tags=["install"])


@router.get("/install", dependencies=[public], **described(200, query=_QUERY))
def index(request: Request, system: Sys) -> Response:
    """List the platforms that there are installation steps for."""
    form, authority = _asked(request, system)
    return _reply(form, pages.index(form, base_url(request), authority, _language(request)))


@router.get("/install/{platform}", dependencies=[public], **described(200, query=_QUERY))
def guide(request: Request, system: Sys, platform: str) -> Response:
    """Show how to install a certificate on a platform."""
    form, authority = _asked(request, system)
    return _reply(form, pages.guide(platform, form, base_url(request), authority, _language(request)))


@router.get("/static/{name}", dependencies=[public], **described(200))
def static(name: str) -> Response:
    """A file that pages are made of."""
    found = static_file(name)
    if found is None:
        raise NotFound("File", name)
    content, media_type = found
    return Response(content, media_type=media_type, headers={"cache-control": _FOR_EVER})


def _asked(request: Request, system: System) -> tuple[Form, AuthorityFiles | None]:
    given = parameters(request, _QUERY)
    (wanted,) = given.get("format", ["html" if _reads_html(request) else "text"])
    if wanted not in _FORMATS:
        raise Invalid("format", f"is one of {', '.join(_FORMATS)}")
    authority_id = given.get("authority", [""])[0]
    return _FORMATS[wanted], _files(request, system, authority_id) if authority_id else None


def _language(request: Request) -> str:
    return of_reader(request.cookies, request.headers.get("accept-language", ""))


def _reads_html(request: Request) -> bool:
    """Browsers name text/html; curl and its like say that they take anything, and are read in a terminal."""
    return "text/html" in request.headers.get("accept", "").lower()


def _files(request: Request, system: System, authority_id: str) -> AuthorityFiles:
    # Its certificate is public: it is shown on nobody's authority but our own.
    found = handout.anchor(system, SYSTEM, authority_id)
    start = f"{base_url(request)}/pki/{found.id}"
    return AuthorityFiles(found.id, found.name, found.fingerprint_sha256, f"{start}.pem", f"{start}.crt", f"{start}.mobileconfig")


def _reply(form: Form, text: str) -> Response:
    if form == "txt":
        return PlainTextResponse(text)
    return HTMLResponse(text, headers={"content-security-policy": POLICY})
