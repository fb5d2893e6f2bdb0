"""/v1/authorities: CA certificates in the system, with a key (we issue) or without (we only trust)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.bodies import decode, parse
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun, wrapped, zulu_time
from ostiary.api.queries import asked, base_url, links, one_asked
from ostiary.model.authority import Authority, NewAuthority, TrustedAuthority
from ostiary.model.cross_sign import CrossSign
from ostiary.model.key_transfer import AuthorityWithKey
from ostiary.model.revocation import Revoke
from ostiary.model.status_check import StatusCheckState
from ostiary.ops import authorities, cross_signing, imported, key_transfer, revocation, series
from ostiary.ops.authorities import Around
from ostiary.ops.caller import Caller
from ostiary.ops.system import System

NOUN: Final = Noun(
    "authority",
    "authorities",
    Authority,
    shown={
        "href": (str, Field(description="What a listener refers to it by.")),
        "has_key": (bool, Field(description="Whether it can issue.")),
        "in_use_by": (tuple[str, ...], Field(description="The listeners and pools that trust it.")),
        "crl_href": (str | None, Field(description="Where its revocation list is; null while there is none.")),
        "series": (tuple[str, ...], Field(description="All that work under its name or were imported with it, itself too.")),
        "status_check_state": (StatusCheckState, Field(description="How it stands with the news of an imported authority.")),
    },
)
Creation: Final = wrapped("authority", NewAuthority)
Import: Final = wrapped("authority", TrustedAuthority)
WithKey: Final = wrapped("authority", AuthorityWithKey)
Crossing: Final = wrapped("authority", CrossSign)
router = APIRouter(prefix="/v1/authorities", tags=["authorities"])


@router.post(
    "",
    dependencies=[may("authority:create", "authority:import", "authority:import-key")],
    **described(201, takes=(Creation, Import, WithKey), answers=NOUN.reply),
)
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Make an authority with a key that stays here; with `certificate`, trust one whose key is elsewhere.

    With `certificate` and `private_key`, or with `pkcs12`, have one sign here, or give one that is here its key back.
    """
    given = _given(raw)
    take = _with_key if given & {"private_key", "pkcs12"} else _imported if "certificate" in given else _created
    made = take(system, caller, raw)
    return JSONResponse({NOUN.one: shown(request, system, caller, made)}, 201)


@router.get(
    "", dependencies=[may("authority:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes))
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List authorities."""
    wanted = asked(request, NOUN)
    page = authorities.find(system, caller, wanted.query)
    items = [wanted.pick(one) for one in all_shown(request, system, caller, page.items)]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{authority_id}", dependencies=[may("authority:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, authority_id: str) -> JSONResponse:
    """Show an authority."""
    picked = one_asked(request, NOUN)
    found = authorities.get(system, caller, authority_id)
    return JSONResponse({NOUN.one: picked.pick(shown(request, system, caller, found))})


@router.delete("/{authority_id}", dependencies=[may("authority:delete")], **described(204))
def delete(system: Sys, caller: Who, authority_id: str) -> Response:
    """Remove an authority that nothing trusts and that has signed nothing."""
    authorities.delete(system, caller, authority_id)
    return Response(status_code=204)


@router.post("/{authority_id}/revoke", dependencies=[may("authority:revoke")], **described(200, takes=Revoke, answers=NOUN.reply))
def revoke(request: Request, system: Sys, caller: Who, authority_id: str, raw: Raw) -> JSONResponse:
    """Revoke an intermediate by the authority above it. It signs no more, and no listener trusts it any longer."""
    gone = revocation.revoke_authority(system, caller, authority_id, decode(raw or b"{}", Revoke))
    return JSONResponse({NOUN.one: shown(request, system, caller, gone)})


@router.post("/{authority_id}/roll", dependencies=[may("authority:roll")], **described(201, answers=NOUN.reply))
def roll(request: Request, system: Sys, caller: Who, authority_id: str) -> JSONResponse:
    """Have a new issuing CA take over under the same name now, rather than when the present one has signed its share."""
    return JSONResponse({NOUN.one: shown(request, system, caller, series.roll(system, caller, authority_id))}, 201)


@router.post(
    "/{authority_id}/cross-sign",
    dependencies=[may("authority:create", "authority:cross-sign")],
    **described(201, takes=Crossing, answers=NOUN.reply),
)
def cross_sign(request: Request, system: Sys, caller: Who, authority_id: str, raw: Raw) -> JSONResponse:
    """Have an authority signed by another parent as well, so that whoever trusts that one trusts it too."""
    body: Any = decode(raw, Crossing, NOUN.why_not_new)
    made = cross_signing.cross_sign(system, caller, authority_id, body.authority)
    return JSONResponse({NOUN.one: shown(request, system, caller, made)}, 201)


def _given(raw: bytes) -> frozenset[str]:
    wanted = parse(raw).get("authority")
    return frozenset(wanted) if isinstance(wanted, dict) else frozenset()


def _created(system: System, caller: Caller, raw: bytes) -> Authority:
    body: Any = decode(raw, Creation, NOUN.why_not_new)
    return authorities.create(system, caller, body.authority)


def _imported(system: System, caller: Caller, raw: bytes) -> Authority:
    body: Any = decode(raw, Import, {"key": "an imported authority has no key here", **NOUN.why_not_new})
    wanted: TrustedAuthority = body.authority
    return imported.import_bundle(system, caller, wanted)


def _with_key(system: System, caller: Caller, raw: bytes) -> Authority:
    body: Any = decode(raw, WithKey, NOUN.why_not_new)
    return key_transfer.import_with_key(system, caller, body.authority)


def shown(request: Request, system: System, caller: Caller, authority: Authority) -> dict[str, Any]:
    """An authority as replies show it."""
    return all_shown(request, system, caller, (authority,))[0]


def all_shown(request: Request, system: System, caller: Caller, held: Sequence[Authority]) -> list[dict[str, Any]]:
    """Several of them."""
    return [_shown(request, one, around) for one, around in zip(held, authorities.around(system, caller, held), strict=True)]


def _shown(request: Request, authority: Authority, around: Around) -> dict[str, Any]:
    signs_lists = authority.has_key or authority.kind != "imported"  # one whose key is offline left a list behind
    return {
        **NOUN.show(authority),
        "href": f"{base_url(request)}/v1/authorities/{authority.id}",
        "has_key": authority.has_key,
        "in_use_by": list(around.in_use_by),
        "crl_href": f"{base_url(request)}/pki/{authority.id}.crl" if signs_lists else None,
        "series": around.series,
        "status_check_state": {**around.news.model_dump(mode="json"), **_times(around.news)},
    }


def _times(news: StatusCheckState) -> dict[str, str]:
    return {name: zulu_time(value) for name, value in news if isinstance(value, datetime)}
