"""Replace a CA by another: the new one beside the old, who is left on the old, the end, and the way back."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import authorities, certificates, forms
from ostiary.console.forms import Filled, Wrong
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Authority
from ostiary.model.rotation import Rotation
from ostiary.ops import authority_view, naming, rotations
from ostiary.ops.rotations import SEEN_WITHIN
from ostiary.web.words import _

STATES: Final = {
    "UNDER_WAY": _("Under way"),
    "FINISHED": _("Finished"),
    "UNDONE": _("Undone"),
}
_SHOWN: Final = 20


def ask_start(visit: Visit) -> Response:
    """By which one it is to be replaced."""
    return _start(visit, {})


def start(visit: Visit) -> Response:
    """Put the new one beside the old wherever that is trusted. Nobody is refused by this."""
    to_id = visit.form.text("to_id")
    try:
        if not to_id:
            raise Wrong({"to_id": visit.say(_("Choose a CA certificate from the list."))})  # noqa: TRY301 (told as the others)
        made = rotations.start(visit.system, visit.caller, visit.path["authority_id"], to_id)
    except (Invalid, Conflict, Wrong) as error:
        return _start(visit, forms.wrong(visit, error))
    said = _("From now on, whoever trusts the old CA trusts both. Have clients renew; then finish.")
    return visit.see(f"/console/rotations/{made.id}", visit.say(said))


def details(visit: Visit) -> Response:
    """How far it is, and who is left on the old one."""
    return visit.page("rotation.html", **_around(visit))


def ask_finish(visit: Visit) -> Response:
    """Whether the old one is to go; and whom that would shut out."""
    return visit.page("rotation_finish.html", **_around(visit), error="")


def finish(visit: Visit) -> Response:
    """Remove the old one from every listener and pool."""
    try:
        rotations.finish(visit.system, visit.caller, visit.path["rotation_id"], force=_is_forced(visit))
    except Conflict as error:
        return visit.page("rotation_finish.html", 409, **_around(visit), error=visit.say(error.message))
    return visit.see(_place(visit), visit.say(_("The old CA is not trusted any more.")))


def ask_undo(visit: Visit) -> Response:
    """Whether the new one is to be taken off again, or the old one to be put back."""
    return visit.page("rotation_undo.html", **_around(visit), error="")


def undo(visit: Visit) -> Response:
    """Back to how it was."""
    try:
        rotations.undo(visit.system, visit.caller, visit.path["rotation_id"])
    except (Conflict, Invalid) as error:
        return visit.page("rotation_undo.html", 409, **_around(visit), error=visit.say(error.message))
    return visit.see(_place(visit), visit.say(_("The old CA is trusted as before, and the new one is not.")))


def _is_forced(visit: Visit) -> bool:
    """Whether somebody has typed how many are shut out: then they know."""
    left = rotations.progress(visit.system, visit.caller, visit.path["rotation_id"], show=0)
    return bool(left.shut_out) and visit.form.text("confirm") == str(left.shut_out)


def _around(visit: Visit) -> dict[str, Any]:
    rotation: Rotation = rotations.get(visit.system, visit.caller, visit.path["rotation_id"])
    left = rotations.progress(visit.system, visit.caller, rotation.id, show=_SHOWN)
    names = naming.authorities(visit.system, visit.caller, [rotation.from_series_id, rotation.to_series_id])
    return {
        "rotation": rotation,
        "left": left,
        "old": names[rotation.from_series_id] or rotation.from_series_id,
        "new": names[rotation.to_series_id] or rotation.to_series_id,
        "state": visit.say(STATES[rotation.state]),
        "rows": certificates.rows(visit, left.some),
        "days": SEEN_WITHIN.days,
        "back": _place(visit),
    }


def _start(visit: Visit, errors: dict[str, str]) -> Response:
    its = authorities.around(visit)
    return visit.page(
        "authority_rotate.html",
        422 if errors else 200,
        form=Filled({}, errors),
        others=_others(visit, its["authority"]),
        chosen=visit.form.text("to_id"),
        **its,
    )


def _others(visit: Visit, old: Authority) -> list[dict[str, Any]]:
    """Those that could take its place."""
    found = [one for one in authority_view.choices(visit.system, visit.caller) if one.series_id != old.series_id]
    return [row for row in authorities.rows(visit, found) if not row["its"].is_over and not row["is_of_servers"]]


def _place(visit: Visit) -> str:
    return f"/console/rotations/{visit.path['rotation_id']}"


_ONE: Final = "/console/rotations/{rotation_id}"

ROUTES: Final = (
    page("/console/authorities/{authority_id}/rotate", ask_start, may="rotation:start", current="authorities"),
    action("/console/authorities/{authority_id}/rotate", start, may="rotation:start", current="authorities"),
    page(_ONE, details, may="rotation:read", current="authorities"),
    page(f"{_ONE}/finish", ask_finish, may="rotation:finish", current="authorities"),
    action(f"{_ONE}/finish", finish, may="rotation:finish", current="authorities"),
    page(f"{_ONE}/undo", ask_undo, may="rotation:undo", current="authorities"),
    action(f"{_ONE}/undo", undo, may="rotation:undo", current="authorities"),
)
