"""/v1/containers: a certificate, its key and what belongs to them under one reference, in Barbican's form."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.keymanager import PAGING, Consumer, Consumers, absolute, common, listed
from ostiary.api.nouns import Noun
from ostiary.model.fields import Data
from ostiary.model.secret import Container, SecretRef
from ostiary.ops import containers

NOUN: Final = Noun("container", "containers", Container)
FILTERS: Final = {"name": "name", "type": "type", "project_id": "project_id"}


class ContainerRefReply(Data):
    """The reply to a container made."""

    container_ref: str


class ContainerMetadata(Data):
    """A container."""

    name: str
    status: str
    creator_id: str | None
    created: str | None
    updated: str | None
    container_ref: str
    type: str
    secret_refs: tuple[SecretRef, ...]
    consumers: tuple[Consumer, ...]


class ContainerList(Data):
    """The reply that lists containers."""

    containers: tuple[ContainerMetadata, ...]
    total: int
    next: str | None = None
    previous: str | None = None


router = APIRouter(prefix="/v1/containers", tags=["containers"])


@router.post("", dependencies=[may("container:create")], **described(201, takes=NOUN.new, answers=ContainerRefReply))
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Put secrets together."""
    wanted, _ = NOUN.made_from(decode(raw, NOUN.new, NOUN.why_not_new))
    href = _href(request, containers.create(system, caller, wanted).id)
    return JSONResponse({"container_ref": href}, 201, {"Location": href})


@router.get(
    "",
    dependencies=[may("container:read")],
    **described(200, answers=ContainerList, query={**PAGING, **{name: f"Only those with this {name}." for name in FILTERS}}),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List containers."""
    return listed(
        request,
        "containers",
        lambda query: containers.find(system, caller, query),
        lambda container: _shown(request, container),
        FILTERS,
    )


@router.get("/{container_id}", dependencies=[may("container:read")], **described(200, answers=ContainerMetadata))
def get(request: Request, system: Sys, caller: Who, container_id: str) -> JSONResponse:
    """Show a container."""
    return JSONResponse(_shown(request, containers.get(system, caller, container_id)))


@router.delete("/{container_id}", dependencies=[may("container:delete")], **described(204))
def delete(system: Sys, caller: Who, container_id: str) -> Response:
    """Remove a container that nothing refers to; its secrets stay."""
    containers.delete(system, caller, container_id)
    return Response(status_code=204)


@router.get("/{container_id}/consumers", dependencies=[may("container:read")], **described(200, answers=Consumers))
def consumers(system: Sys, caller: Who, container_id: str) -> JSONResponse:
    """Always empty: who uses a container is found by looking, not by registration."""
    containers.get(system, caller, container_id)
    return JSONResponse({"consumers": [], "total": 0})


@router.post("/{container_id}/consumers", dependencies=[may("container:read")], **described(200, answers=ContainerMetadata))
@router.delete("/{container_id}/consumers", dependencies=[may("container:read")], **described(200, answers=ContainerMetadata))
def register(request: Request, system: Sys, caller: Who, container_id: str) -> JSONResponse:
    """Answered for OpenStack services; changes nothing."""
    return JSONResponse(_shown(request, containers.get(system, caller, container_id)))


def _href(request: Request, container_id: str) -> str:
    return absolute(request, f"/v1/containers/{container_id}")


def _shown(request: Request, container: Container) -> dict[str, Any]:
    return {
        **common(container),
        "container_ref": _href(request, container.id),
        "type": container.type,
        "secret_refs": [{"name": part.name, "secret_ref": absolute(request, part.secret_ref)} for part in container.secret_refs],
        "consumers": [],
    }
