"""/v1/access-rules: what clients of a listener may reach, tried in order; and what-if, which changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, create_model

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun, zulu_time
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.access import AccessRule
from ostiary.model.explanation import Explanation
from ostiary.model.fields import Data
from ostiary.model.what_if import Trial, Visitor, WhatIf
from ostiary.ops import access, what_if
from ostiary.ops.system import System

NOUN: Final = Noun(
    "access_rule",
    "access_rules",
    AccessRule,
    shown={
        "listener": (str, Field(description="The listener's name.")),
        "warnings": (tuple[str, ...], Field(description="What about it is probably not what was meant.")),
    },
    not_within=frozenset({"listener_id", "project_id"}),
)
_SHOWN_OF_CLIENTS: Final = 20
_TRIED: Final[Any] = NOUN.within()


def _trying(name: str, model: type[Data]) -> type[BaseModel]:
    """A body in which rules are written as they are created, but for the listener, which is said once."""
    fields: dict[str, Any] = {
        "rules": (tuple[_TRIED, ...] | None, Field(None, max_length=500, description=model.model_fields["rules"].description)),
        "rule": (_TRIED | None, Field(None, description=model.model_fields["rule"].description)),
    }
    return create_model(name, __base__=model, **fields)


TestBody: Final = _trying("AccessTest", WhatIf)
PreviewBody: Final = _trying("AccessTrial", Trial)


class TestItem(Explanation):
    """What would become of the request. `access_rule_id` is null for the rule that was only to be tried; its name is told."""

    access_rule: str | None


class TestReply(Data):
    """The reply to a what-if."""

    test: TestItem


class ShutOutItem(Data):
    """A client that could ask for nothing any more, and why."""

    fingerprint_sha256: str
    certificate_id: str | None
    subject: str
    owner: str
    last_seen: str
    reason: str


class PreviewItem(Data):
    """`clients` came within 24 hours; of `looked_at` of them, `refused` would be refused whatever they ask for."""

    clients: int
    looked_at: int
    refused: int
    some: tuple[ShutOutItem, ...]


class PreviewReply(Data):
    """The reply that says whom rules would shut out."""

    preview: PreviewItem


router = APIRouter(prefix="/v1/access-rules", tags=["access rules"])


@router.post("", dependencies=[may("access-rule:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a rule to a listener, at its position or at the end. With the first one, what no rule allows is refused."""
    wanted, _ = NOUN.decode_new(raw)
    made = access.create(system, caller, wanted)
    return JSONResponse({NOUN.one: _shown(system, [made])[0]}, 201)


@router.post("/test", dependencies=[may("access-rule:read")], **described(200, takes=TestBody, answers=TestReply))
def test(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Ask what would become of a request, by the rules in force or by others. Nothing is changed, no traffic is touched."""
    return JSONResponse({"test": _told(what_if.test(system, caller, _decoded(raw, TestBody, WhatIf)))})


@router.post("/preview", dependencies=[may("access-rule:read")], **described(200, takes=PreviewBody, answers=PreviewReply))
def preview(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Ask which of the clients of the last 24 hours rules would shut out, before they are made. Nothing is changed."""
    shut = what_if.shut_out(system, caller, _decoded(raw, PreviewBody, Trial))
    some = [_shut_out(visitor, code) for visitor, code in shut.refused[:_SHOWN_OF_CLIENTS]]
    counts = {"clients": shut.clients, "looked_at": shut.looked_at, "refused": len(shut.refused)}
    return JSONResponse({"preview": {**counts, "some": some}})


@router.get(
    "", dependencies=[may("access-rule:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes))
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List rules, listener by listener, in the order in which they are tried."""
    wanted = asked(request, NOUN)
    page = access.find(system, caller, wanted.query)
    items = [wanted.pick(one) for one in _shown(system, page.items)]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{rule_id}", dependencies=[may("access-rule:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, rule_id: str) -> JSONResponse:
    """Show a rule."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(_shown(system, [access.get(system, caller, rule_id)])[0])})


@router.put("/{rule_id}", dependencies=[may("access-rule:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(system: Sys, caller: Who, rule_id: str, raw: Raw) -> JSONResponse:
    """Change a rule; another position moves it, and the others make room."""
    after = access.update(system, caller, rule_id, NOUN.decode_changes(raw))
    return JSONResponse({NOUN.one: _shown(system, [after])[0]})


@router.delete("/{rule_id}", dependencies=[may("access-rule:delete")], **described(204))
def delete(system: Sys, caller: Who, rule_id: str) -> Response:
    """Remove a rule. Without any, every valid certificate is let in."""
    access.delete(system, caller, rule_id)
    return Response(status_code=204)


def _shown(system: System, rules: Sequence[AccessRule]) -> list[dict[str, Any]]:
    beside = access.beside(system, rules)
    return [
        {**NOUN.show(rule), "listener": beside[rule.id].listener, "warnings": list(beside[rule.id].warnings)} for rule in rules
    ]


def _decoded(raw: bytes, shape: type[BaseModel], model: type[Trial]) -> Any:
    body: Any = decode(raw, shape, {"listener_id": "is said once, beside the rules", **NOUN.why_not_new})

    def rule(given: BaseModel) -> AccessRule:
        values = {name: value for name in given.model_fields_set if (value := getattr(given, name)) is not None}
        return AccessRule(listener_id=body.listener_id, **values)

    values = {name: getattr(body, name) for name in body.model_fields_set}
    if body.rules is not None:
        values["rules"] = tuple(rule(one) for one in body.rules)
    if body.rule is not None:
        values["rule"] = rule(body.rule)
    return model(**values)


def _told(tried: what_if.Tried) -> dict[str, Any]:
    told: dict[str, Any] = tried.explanation.model_dump(mode="json")
    rule_id = told["access_rule_id"] or told["access_exception_id"]
    for each in (told, told["would_be"] or {}):
        if tried.on_trial is not None and each.get("access_rule_id") == tried.on_trial:
            each["access_rule_id"] = None
    return {**told, "access_rule": tried.names.get(rule_id or "")}


def _shut_out(visitor: Visitor, code: str) -> dict[str, Any]:
    at: datetime = visitor.last_seen
    shown = visitor.model_dump(include={"fingerprint_sha256", "certificate_id", "subject", "owner"})
    return {**shown, "last_seen": zulu_time(at), "reason": code}
