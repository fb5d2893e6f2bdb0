"""/v1/secrets: bytes under a name, in Barbican's form. A payload is shown at `/payload` and nowhere else."""

import base64
import binascii
from datetime import UTC
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.accept import admits
from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.keymanager import PAGING, Consumers, absolute, common, listed
from ostiary.api.nouns import Noun, openstack_time
from ostiary.errors import Invalid
from ostiary.model.fields import Data, Private
from ostiary.model.secret import PayloadType, Secret, SecretType
from ostiary.ops import secrets

NOUN: Final = Noun(
    "secret",
    "secrets",
    Secret,
    given={
        "payload": (Annotated[str, Field(min_length=1)], Field(description="The bytes, as text or encoded.")),
        "payload_content_type": (str | None, Field(None, description=f"One of {', '.join(get_args(PayloadType))}.")),
        "payload_content_encoding": (Literal["base64"] | None, Field(None, description="Needed unless it is text.")),
    },
)
FILTERS: Final = {
    "name": "name",
    "alg": "algorithm",
    "bits": "bit_length",
    "mode": "mode",
    "secret_type": "secret_type",
    "project_id": "project_id",
}
BINARY: Final = "application/octet-stream"


class SecretRefReply(Data):
    """The reply to a secret stored."""

    secret_ref: str


class ContentTypes(Data):
    """What the payload is."""

    default: PayloadType


class SecretMetadata(Data):
    """A secret, without its payload."""

    name: str
    status: str
    creator_id: str | None
    created: str | None
    updated: str | None
    secret_ref: str
    secret_type: SecretType
    algorithm: str | None
    bit_length: int | None
    mode: str | None
    expiration: str | None
    content_types: ContentTypes


class SecretList(Data):
    """The reply that lists secrets."""

    secrets: tuple[SecretMetadata, ...]
    total: int
    next: str | None = None
    previous: str | None = None


router = APIRouter(prefix="/v1/secrets", tags=["secrets"])


@router.post("", dependencies=[may("secret:create")], **described(201, takes=NOUN.new, answers=SecretRefReply))
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Store a secret."""
    made = secrets.create(system, caller, _decoded(raw))
    href = _href(request, made.id)
    return JSONResponse({"secret_ref": href}, 201, {"Location": href})


@router.get(
    "",
    dependencies=[may("secret:read")],
    **described(200, answers=SecretList, query={**PAGING, **{name: f"Only those with this {name}." for name in FILTERS}}),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List secrets, without their payloads."""
    return listed(
        request, "secrets", lambda query: secrets.find(system, caller, query), lambda secret: _shown(request, secret), FILTERS
    )


@router.get("/{secret_id}", dependencies=[may("secret:read")], **described(200, answers=SecretMetadata))
def get(request: Request, system: Sys, caller: Who, secret_id: str) -> JSONResponse:
    """Show a secret, without its payload."""
    return JSONResponse(_shown(request, secrets.get(system, caller, secret_id)))


@router.get("/{secret_id}/payload", dependencies=[may("secret:decrypt")], **described(200))
def payload(request: Request, system: Sys, caller: Who, secret_id: str) -> Response:
    """The bytes of a secret."""
    accept = request.headers.getlist("accept")
    kind = secrets.get(system, caller, secret_id).payload_content_type
    served = next((name for name in (kind, BINARY) if admits(accept, name)), None)
    if served is None:
        raise HTTPException(406, f"This payload is {kind}, which the request does not accept.")
    return Response(secrets.payload(system, caller, secret_id), media_type=served)


@router.delete("/{secret_id}", dependencies=[may("secret:delete")], **described(204))
def delete(system: Sys, caller: Who, secret_id: str) -> Response:
    """Remove a secret that nothing refers to."""
    secrets.delete(system, caller, secret_id)
    return Response(status_code=204)


# Octavia's other services register who uses a secret and who may read it. Here references are found by looking, and who may
# decrypt is the caller's role alone: nothing that is said at these places widens or narrows that.


@router.get("/{secret_id}/acl", dependencies=[may("secret:read")], **described(200))
def get_acl(system: Sys, caller: Who, secret_id: str) -> JSONResponse:
    """Who may read it: whoever the caller's role lets."""
    secrets.get(system, caller, secret_id)
    return JSONResponse({"read": {"project-access": True}})


@router.put("/{secret_id}/acl", dependencies=[may("secret:read")], **described(200))
@router.patch("/{secret_id}/acl", dependencies=[may("secret:read")], **described(200))
def set_acl(request: Request, system: Sys, caller: Who, secret_id: str) -> JSONResponse:
    """Answered for OpenStack services; changes nothing."""
    secrets.get(system, caller, secret_id)
    return JSONResponse({"acl_ref": f"{_href(request, secret_id)}/acl"})


@router.delete("/{secret_id}/acl", dependencies=[may("secret:read")], **described(200))
def delete_acl(system: Sys, caller: Who, secret_id: str) -> JSONResponse:
    """Answered for OpenStack services; changes nothing."""
    secrets.get(system, caller, secret_id)
    return JSONResponse({})


@router.get("/{secret_id}/consumers", dependencies=[may("secret:read")], **described(200, answers=Consumers))
def consumers(system: Sys, caller: Who, secret_id: str) -> JSONResponse:
    """Always empty: who uses a secret is found by looking, not by registration."""
    secrets.get(system, caller, secret_id)
    return JSONResponse({"consumers": [], "total": 0})


@router.post("/{secret_id}/consumers", dependencies=[may("secret:read")], **described(200, answers=SecretMetadata))
@router.delete("/{secret_id}/consumers", dependencies=[may("secret:read")], **described(200, answers=SecretMetadata))
def register(request: Request, system: Sys, caller: Who, secret_id: str) -> JSONResponse:
    """Answered for OpenStack services; changes nothing."""
    return JSONResponse(_shown(request, secrets.get(system, caller, secret_id)))


def _decoded(raw: bytes) -> Secret:
    secret, given = NOUN.made_from(decode(raw, NOUN.new, NOUN.why_not_new))
    encoded = "payload_content_encoding" in given
    kind = _payload_type(given.get("payload_content_type"), encoded=encoded)
    if not encoded and kind != "text/plain":
        raise Invalid("payload_content_encoding", f"must be base64 for {kind}")
    content = _base64(given["payload"]) if encoded else given["payload"].encode()
    expiration = secret.expiration
    if expiration is not None and expiration.tzinfo is None:
        expiration = expiration.replace(tzinfo=UTC)  # Barbican's times are in UTC, said or not.
    return secret.model_copy(update={"payload": Private(content), "payload_content_type": kind, "expiration": expiration})


def _payload_type(text: str | None, *, encoded: bool) -> str:
    if text is None:
        return BINARY if encoded else "text/plain"
    kind, _, parameter = text.lower().partition(";")
    if kind.strip() not in get_args(PayloadType) or parameter.replace(" ", "") not in {"", "charset=utf-8"}:
        raise Invalid("payload_content_type", f"must be one of {', '.join(get_args(PayloadType))}")
    return kind.strip()


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("payload", "is not base64") from None


def _href(request: Request, secret_id: str) -> str:
    return absolute(request, f"/v1/secrets/{secret_id}")


def _shown(request: Request, secret: Secret) -> dict[str, Any]:
    return {
        **common(secret),
        "secret_ref": _href(request, secret.id),
        "secret_type": secret.secret_type,
        "algorithm": secret.algorithm,
        "bit_length": secret.bit_length,
        "mode": secret.mode,
        "expiration": openstack_time(secret.expiration) if secret.expiration else None,
        "content_types": {"default": secret.payload_content_type},
    }
