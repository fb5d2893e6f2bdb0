"""/v1/authorities, those whose key is elsewhere: how their status is learned, and their revocation lists."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.authorities import NOUN, shown
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.queries import boolean, parameters
from ostiary.model.status_check import StatusCheck
from ostiary.ops import authorities, imported, status_fetch

router = APIRouter(prefix="/v1/authorities", tags=["authorities"])

_LISTS: Final = described(200, answers=NOUN.reply, query={"force": "true takes a list that is older than the one held."})
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_LISTS["openapi_extra"]["requestBody"] = {
    "required": True,
    "content": {"application/x-pem-file": _BYTES, "application/pkix-crl": _BYTES},
}


@router.patch("/{authority_id}", dependencies=[may("authority:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(request: Request, system: Sys, caller: Who, authority_id: str, raw: Raw) -> JSONResponse:
    """Change an authority. Of `status_check` only what is given changes, for all that were imported together; null resets it."""
    changes = NOUN.decode_changes(raw)
    wanted = changes.get("status_check")
    if isinstance(wanted, StatusCheck):
        before = authorities.get(system, caller, authority_id).status_check
        given = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        changes["status_check"] = before.model_copy(update=given)
    after = status_fetch.update(system, caller, authority_id, changes)
    return JSONResponse({NOUN.one: shown(request, system, caller, after)})


@router.put("/{authority_id}/crl", dependencies=[may("authority:upload")], **_LISTS)
def upload(request: Request, system: Sys, caller: Who, authority_id: str, raw: Raw) -> JSONResponse:
    """Take revocation lists of an imported authority, and of those imported with it: the body is PEM, or one list in DER."""
    force = boolean(parameters(request, {"force"}).get("force", ["false"])[0], "force")
    after = imported.upload(system, caller, authority_id, raw, force=force)
    return JSONResponse({NOUN.one: shown(request, system, caller, after)})


@router.post("/{authority_id}/crl/fetch", dependencies=[may("authority:fetch")], **described(200, answers=NOUN.reply))
def fetch(request: Request, system: Sys, caller: Who, authority_id: str) -> JSONResponse:
    """Ask for an imported authority's revocation lists now. What came of it is in `status_check_state`."""
    after = status_fetch.fetch_now(system, caller, authority_id)
    return JSONResponse({NOUN.one: shown(request, system, caller, after)})
