"""/v1/settings: what people decide about this ostiary as a whole."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.nouns import Noun
from ostiary.model.house import HouseSettings
from ostiary.ops import house_settings

NOUN: Final = Noun("settings", "settings", HouseSettings)
router = APIRouter(prefix="/v1/settings", tags=["settings"])


@router.get("", dependencies=[may("settings:read")], **described(200, answers=NOUN.reply))
def get(system: Sys, caller: Who) -> JSONResponse:
    """Show what is decided."""
    return JSONResponse({NOUN.one: NOUN.show(house_settings.get(system, caller))})


@router.put("", dependencies=[may("settings:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Change what is given. Null puts a field back to its default."""
    return JSONResponse({NOUN.one: NOUN.show(house_settings.update(system, caller, NOUN.decode_changes(raw)))})
