"""What waits for another person: who asks for what and why, what it would change and for whom, and the decision."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import decisions, lists
from ostiary.console.differences import Told, told
from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Denied, Invalid, Refusal
from ostiary.model.approval import Approval, Why
from ostiary.ops import approvals, lately, rehearsals
from ostiary.ops.why_words import KINDS, REASONS, facts
from ostiary.web.words import _

STATES: Final[dict[str, tuple[str, Tone]]] = {
    "PENDING": (_("Waits"), "busy"),
    "GRANTED": (_("Agreed, to be sent once more"), "busy"),
    "DONE": (_("Agreed and done"), "good"),
    "REFUSED": (_("Refused"), "off"),
    "WITHDRAWN": (_("Taken back"), "off"),
    "LAPSED": (_("Lapsed"), "off"),
    "OVERTAKEN": (_("Overtaken by other changes"), "bad"),
}
_SETTINGS: Final = frozenset(
    {"access_exception", "access_rule", "healthmonitor", "listener", "loadbalancer", "member", "pool"}
)  # fmt: skip
_MODE: Final = "client_authentication"
_CA: Final = "client_ca_tls_container_ref"


@dataclass(frozen=True)
class Effect:
    """Whom it is about at a listener: who came there lately, and whom it would shut out, None where nobody knows."""

    name: str
    place: str
    clients: int
    refused: int
    shut_out: int | None
    notes: tuple[str, ...]


def home(visit: Visit) -> Response:
    """Those that wait, or how the others ended."""
    chosen = visit.query.get("status", "PENDING")
    chosen = chosen if chosen in STATES else ""
    found = lists.listed(
        visit,
        lambda query: approvals.find(visit.system, visit.caller, query),
        filters=(("status", chosen),) if chosen else (),
        sort=(("created_at", chosen != "PENDING"),),
    )
    return visit.page(
        "approvals.html",
        found=found,
        rows=[_row(visit, one) for one in found.items],
        chosen=chosen,
        states={name: visit.say(word) for name, (word, _tone) in STATES.items()},
    )


def details(visit: Visit) -> Response:
    """One of them, with all that whoever decides wants to know."""
    return _details(visit)


def approve(visit: Visit) -> Response:
    """Agree; then it is done."""
    try:
        after = approvals.approve(visit.system, visit.caller, visit.path["approval_id"], decisions.reason(visit))
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error)
    if after.status == "GRANTED":
        return visit.see(_place(visit), visit.say(_("You agreed. Whoever asked sends it once more now; nobody else can.")))
    return visit.see(_place(visit), visit.say(_("You agreed, and it was done.")))


def refuse(visit: Visit) -> Response:
    """Refuse it."""
    try:
        approvals.refuse(visit.system, visit.caller, visit.path["approval_id"], decisions.reason(visit))
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error, "refuse")
    return visit.see(_place(visit), visit.say(_("It was refused, and nothing was done.")))


def withdraw(visit: Visit) -> Response:
    """Take back what one asked for oneself."""
    try:
        approvals.withdraw(visit.system, visit.caller, visit.path["approval_id"], decisions.reason(visit))
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error, "withdraw")
    return visit.see(_place(visit), visit.say(_("You took it back, and nothing was done.")))


def justify(visit: Visit) -> Response:
    """Say why it is needed."""
    try:
        words = decisions.reason(visit, "justification")
        if not words:
            raise Invalid("justification", "say why it is needed; whoever decides will read it")  # noqa: TRY301 (as the core does)
        approvals.justify(visit.system, visit.caller, visit.path["approval_id"], words)
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error, "justify")
    return visit.see(_place(visit), visit.say(_("Whoever decides reads why it is needed.")))


def _details(visit: Visit, error: Refusal | None = None, about: str = "approve") -> Response:
    asked = approvals.get(visit.system, visit.caller, visit.path["approval_id"])
    standing = approvals.standing(visit.system, visit.caller, asked.id)
    return visit.page(
        "approval.html",
        decisions.status(error),
        asked=asked,
        title=title(visit, asked),
        state=_state(visit, asked),
        kinds=[visit.say(KINDS[kind]) for kind in asked.kinds],
        because=because(visit, asked),
        told=_told(visit, asked),
        arguments=_arguments(asked),
        effects=_effects(visit, asked) if asked.status == "PENDING" else (),
        standing=standing,
        why_not=visit.say(standing.why_not) if standing.why_not else "",
        error=decisions.words(visit, error),
        about=about,
        reason=visit.form.text("reason"),
        is_mine=visit.caller.name == asked.requested_by,
        back=_place(visit),
    )


def title(visit: Visit, asked: Approval) -> str:
    """The first reason: it says what would be so, for nothing was done yet."""
    return next(iter(because(visit, asked)), asked.action)


def because(visit: Visit, asked: Approval) -> list[str]:
    """Why another person has to agree, in words."""
    return [visit.say(REASONS[one.code], **_facts(visit, one)) for one in asked.reasons]


def _facts(visit: Visit, one: Why) -> dict[str, object]:
    """What is written in capitals for machines, in words."""
    about = visit.say(KINDS[one.about]) if one.code == "approval_off" and one.about in KINDS else one.about
    return {**facts(one), "about": about}


def _told(visit: Visit, asked: Approval) -> tuple[Told, ...]:
    # Of settings, what follows from them by itself is left out; of all else, that is what matters.
    return told(visit, asked.changes, only_settings=all(one.kind in _SETTINGS for one in asked.changes))


def _arguments(asked: Approval) -> list[tuple[str, str]]:
    """What was asked for beside the changes: of many things, which ones."""
    if asked.changes and asked.deed != "revocation.revoke_matching":
        return []
    which = asked.arguments.get("which") or {}
    return [(name.replace("_", " "), str(value)) for name, value in which.items() if value not in (None, "")]


def _effects(visit: Visit, asked: Approval) -> tuple[Effect, ...]:
    """By listener that it is about."""
    ids = dict.fromkeys(one.listener_id for one in asked.reasons if one.listener_id)
    documents = {one.resource_id: one for one in asked.changes if one.kind == "listener"}
    found = []
    for listener_id in ids:
        change = documents.get(listener_id)
        if change is not None and change.before is None:
            continue  # nobody came there yet
        seen = lately.at_listeners(visit.system, visit.caller, [listener_id])
        shut_out, notes = _shut_out(visit, listener_id, change.after if change is not None else None)
        name = next((one.about for one in asked.reasons if one.listener_id == listener_id), listener_id)
        place = f"/console/listeners/{listener_id}"
        found.append(Effect(name, place, seen.clients, seen.refused, shut_out, notes))
    return tuple(found)


def _shut_out(visit: Visit, listener_id: str, after: dict[str, Any] | None) -> tuple[int | None, tuple[str, ...]]:
    if after is None:
        return None, ()
    try:
        preview = rehearsals.preview(
            visit.system, visit.caller, listener_id, client_authentication=after.get(_MODE), client_ca=after.get(_CA)
        )
    except Refusal:
        return None, ()  # it is gone by now
    return preview.refused, tuple(visit.say(note) for note in preview.notes)


def _row(visit: Visit, one: Approval) -> dict[str, Any]:
    return {"asked": one, "title": title(visit, one), "state": _state(visit, one), "because": because(visit, one)[1:]}


def _state(visit: Visit, one: Approval) -> Shown:
    word, tone = STATES[one.status]
    return Shown(visit.say(word), tone)


def _place(visit: Visit) -> str:
    return f"/console/approvals/{visit.path['approval_id']}"


_ONE: Final = "/console/approvals/{approval_id}"

ROUTES: Final = (
    page("/console/approvals", home, may="approval:read", current="approvals"),
    page(_ONE, details, may="approval:read", current="approvals"),
    action(f"{_ONE}/approve", approve, may="approval:approve", current="approvals"),
    action(f"{_ONE}/refuse", refuse, may="approval:approve", current="approvals"),
    action(f"{_ONE}/withdraw", withdraw, may="approval:withdraw", current="approvals"),
    action(f"{_ONE}/justify", justify, may="approval:ask", current="approvals"),
)
