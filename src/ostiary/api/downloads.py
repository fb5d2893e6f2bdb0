"""Certificates and authorities as files that a browser saves rather than shows."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.queries import parameters
from ostiary.ops import handout
from ostiary.ops.handout import AUTHORITY_FORMATS, CERTIFICATE_FORMATS, File

router = APIRouter(prefix="/v1", tags=["certificates"])


@router.get(
    "/certificates/{certificate_id}/download",
    dependencies=[may("certificate:read")],
    **described(200, query={"format": f"One of {', '.join(CERTIFICATE_FORMATS)}; pem is the default."}),
)
def certificate(request: Request, system: Sys, caller: Who, certificate_id: str) -> Response:
    """Download a certificate, alone or with the authorities above it. Its key is not here."""
    return download(handout.certificate_file(system, caller, certificate_id, _format(request)))


@router.get(
    "/authorities/{authority_id}/download",
    dependencies=[may("authority:read")],
    **described(200, query={"format": f"One of {', '.join(AUTHORITY_FORMATS)}; pem is the default."}),
)
def authority(request: Request, system: Sys, caller: Who, authority_id: str) -> Response:
    """Download an authority's certificate."""
    return download(handout.authority_file(system, caller, authority_id, _format(request)))


def download(file: File) -> Response:
    """A reply that is saved under the file's name. The name is plain ASCII (`handout.file_name`), so it needs no escaping."""
    headers = {"content-disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, media_type=file.media_type, headers=headers)


def _format(request: Request) -> str:
    return parameters(request, {"format"}).get("format", ["pem"])[0]
