"""/v1/profiles: what each kind of certificate may hold, and the rule behind each limit."""

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.nouns import Noun, wrapped
from ostiary.model.profile import Profile
from ostiary.ops import profiles
from ostiary.ops.profiles import Known

NOUN: Final = Noun(
    "profile",
    "profiles",
    Profile,
    shown={
        "built_in": (bool, Field(description="Whether it is there by itself.")),
        "adjusted": (tuple[str, ...], Field(description="The fields in which it differs from the one that is built in.")),
        "rules": (dict[str, str], Field(description="The rule behind each limit, and where it stands.")),
    },
)
_items: Any = tuple[NOUN.item, ...]  # type: ignore[name-defined]  # a shape that is made from the model
ListReply: Final = wrapped("profiles", _items, "ProfileList")
router = APIRouter(prefix="/v1/profiles", tags=["profiles"])


@router.post("", dependencies=[may("profile:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Make a profile of your own."""
    wanted, _ = NOUN.decode_new(raw)
    return JSONResponse({NOUN.one: _shown(profiles.create(system, caller, wanted))}, 201)


@router.get("", dependencies=[may("profile:read")], **described(200, answers=ListReply))
def find(system: Sys, caller: Who) -> JSONResponse:
    """List the kinds of certificates there are."""
    return JSONResponse({NOUN.many: [_shown(known) for known in profiles.find(system, caller)]})


@router.get("/{name}", dependencies=[may("profile:read")], **described(200, answers=NOUN.reply))
def get(system: Sys, caller: Who, name: str) -> JSONResponse:
    """Show what a kind of certificate may hold."""
    return JSONResponse({NOUN.one: _shown(profiles.get(system, caller, name))})


@router.put("/{name}", dependencies=[may("profile:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(system: Sys, caller: Who, name: str, raw: Raw) -> JSONResponse:
    """Change a profile. Null puts a field back. Certificates that were issued before stay as they are."""
    return JSONResponse({NOUN.one: _shown(profiles.update(system, caller, name, NOUN.decode_changes(raw)))})


@router.delete("/{name}", dependencies=[may("profile:delete")], **described(204))
def delete(system: Sys, caller: Who, name: str) -> Response:
    """Remove a profile, or put one that is built in back to what it was."""
    profiles.delete(system, caller, name)
    return Response(status_code=204)


def _shown(known: Known) -> dict[str, Any]:
    durations = {name: _duration(value) for name, value in known.profile if isinstance(value, timedelta)}
    return {
        **NOUN.show(known.profile),
        **durations,
        "built_in": known.built_in,
        "adjusted": list(known.adjusted),
        "rules": dict(known.rules),
    }


def _duration(length: timedelta) -> str:
    """ISO 8601 in days, hours, minutes and seconds: a year is not the same length everywhere."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{length.days}D" if length.days else ""
    time = "".join(f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value)
    return f"P{days}T{time}" if time else f"P{days}" if days else "PT0S"
