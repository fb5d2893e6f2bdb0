"""What answers without a token: which versions there are, whether we are alive and ready, and the certificates of authorities."""

import ssl
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ostiary.api.accept import admits
from ostiary.api.declared import Sys, described, public
from ostiary.api.downloads import download
from ostiary.api.queries import base_url
from ostiary.errors import NotFound
from ostiary.ops import authorities, gateways, handout
from ostiary.ops.caller import SYSTEM

# Each minor version of Octavia's API stands for a feature (octavia/api/root_controller.py). 2.8 is client authentication; 2.9,
# the status of L7 redirects, is not there yet.
MINOR: Final = 8
UPDATED: Final = "2016-12-11T00:00:00Z"
DER: Final = "application/pkix-cert"
PEM: Final = ("application/x-pem-file", "application/pem-certificate-chain", "text/plain")

router = APIRouter(tags=["discovery"])


@router.get("/", dependencies=[public], **described(200))
def versions(request: Request) -> JSONResponse:
    """List the versions of the load-balancing and key-manager APIs."""
    # barbicanclient takes the first of them for its own (v1/client.py, _get_min_max_version); the others look for their number.
    return JSONResponse({"versions": [_barbican(request), *(_octavia(request, minor) for minor in range(MINOR + 1))]})


@router.get("/v2", dependencies=[public], **described(200))
def octavia_version(request: Request) -> JSONResponse:
    """Show the version of the load-balancing API."""
    return JSONResponse({"version": _octavia(request, MINOR)})


@router.get("/v1", dependencies=[public], **described(200))
def barbican_version(request: Request) -> JSONResponse:
    """Show the version of the key-manager API."""
    return JSONResponse({"version": _barbican(request)})


@router.get("/healthz", dependencies=[public], **described(200))
def alive() -> JSONResponse:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", dependencies=[public], **described(200))
def ready(system: Sys) -> JSONResponse:
    """Whether the database answers; `gateway` tells whether one is connected, without which changes wait."""
    state = gateways.ready(system)
    reply = {"status": "ok" if state.database else "unavailable", "database": state.database, "gateway": state.gateways > 0}
    return JSONResponse(reply, 200 if state.database else 503)


@router.get("/pki/{name}", dependencies=[public], **described(200))
def authority_certificate(request: Request, system: Sys, name: str) -> Response:
    """An authority's certificate: `{id}.crt` is DER (RFC 5280 4.2.2.1), or PEM for who accepts only that.

    Also `{id}.pem`, and `{id}.mobileconfig` for Apple's devices.
    """
    authority_id, _, extension = name.rpartition(".")
    if extension in {"pem", "mobileconfig"}:
        return download(handout.authority_file(system, SYSTEM, authority_id, extension))
    if extension != "crt":
        raise NotFound("Page", f"/pki/{name}")
    # A certificate is public: it is shown on nobody's authority but our own.
    pem = authorities.get(system, SYSTEM, authority_id).certificate
    accept = request.headers.getlist("accept")
    if not admits(accept, DER):
        for media_type in PEM:
            if admits(accept, media_type):
                return Response(pem, media_type=media_type)
    return Response(ssl.PEM_cert_to_DER_cert(pem), media_type=DER)


def _octavia(request: Request, minor: int) -> dict[str, Any]:
    return {
        "id": f"v2.{minor}",
        "status": "CURRENT" if minor == MINOR else "SUPPORTED",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{base_url(request)}/v2"}],
    }


def _barbican(request: Request) -> dict[str, Any]:
    return {
        "id": "v1",
        "status": "CURRENT",
        "min_version": "1.0",
        "max_version": "1.1",
        "links": [{"rel": "self", "href": f"{base_url(request)}/v1/"}],
    }
