"""/v1/authorities/{id}/export: an authority's key, encrypted, for a safe or for another system."""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from ostiary.api import authorities
from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.nouns import wrapped
from ostiary.model.fields import Data
from ostiary.model.key_transfer import KeyExport, KeyFormat
from ostiary.ops import key_transfer

Export: Final = wrapped("export", KeyExport)


class ExportedKey(Data):
    """A key on its way out. It is shown this once and is nowhere kept in this form."""

    format: KeyFormat = Field(description="As it was asked for.")
    content: str = Field(description="PEM text for PKCS#8, base64 for PKCS#12; encrypted under the passphrase.")
    removed: bool = Field(description="Whether the key is gone here: the authority is offline.")


Reply: Final = wrapped("export", ExportedKey)
router = APIRouter(prefix=authorities.router.prefix, tags=["authorities"])


@router.post("/{authority_id}/export", dependencies=[may("authority:export-key")], **described(200, takes=Export, answers=Reply))
def export(system: Sys, caller: Who, authority_id: str, raw: Raw) -> JSONResponse:
    """Get an authority's key, encrypted; with `remove` it is not here any more, and the authority is offline."""
    body: Any = decode(raw, Export)
    made = key_transfer.export_key(system, caller, authority_id, body.export)
    shown = {"format": body.export.format, "content": made.content, "removed": body.export.remove}
    return JSONResponse({"export": shown})
