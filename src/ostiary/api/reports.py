"""/v1/audit/report: an evidence pack for an auditor."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.queries import boolean, parameters
from ostiary.ops import reports
from ostiary.ops.evidence.controls import FRAMEWORKS

MEDIA_TYPE: Final = "application/zip"
router = APIRouter(prefix="/v1/audit/report", tags=["audit"])


@router.get(
    "",
    dependencies=[may("audit:report")],
    **described(
        200,
        query={
            "framework": f"For which standard: {', '.join(FRAMEWORKS)}; several are joined by commas.",
            "from": "The beginning of the period: a day such as 2026-10-01 (UTC), or a time.",
            "to": "Its end. A day is in the period; a time is not. What is not over yet ends now.",
            "record": "false leaves the audit record out, which may be long; then the pack cannot be checked by itself.",
        },
    ),
)
def report(request: Request, system: Sys, caller: Who) -> StreamingResponse:
    """Make an evidence pack: a ZIP file, sent as it is made. That it was asked for is on record, and the hash of its manifest."""
    given = parameters(request, {"framework", "from", "to", "record"})
    wanted = reports.asked(
        (name for text in given.get("framework", ()) for name in text.split(",") if name),
        given.get("from", [""])[0],
        given.get("to", [""])[0],
        record=boolean(given.get("record", ["true"])[0], "record"),
    )
    name = reports.name_of(wanted)
    headers = {"content-disposition": f'attachment; filename="{name}.zip"', "cache-control": "no-store"}
    return StreamingResponse(reports.make(system, caller, wanted), media_type=MEDIA_TYPE, headers=headers)
