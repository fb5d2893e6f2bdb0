"""/v1/explain: what becomes of a client and its request at a listener, and why."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.model.explanation import ExplainRequest, Explanation
from ostiary.model.fields import Data
from ostiary.ops import explaining


class ExplanationReply(Data):
    """The reply that explains."""

    explanation: Explanation


router = APIRouter(prefix="/v1/explain", tags=["access"])


# It changes nothing: it is a question, whose words are too many for a query.
@router.post("", dependencies=[may("access-rule:read")], **described(200, takes=ExplainRequest, answers=ExplanationReply))
def explain(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Say what becomes of a client and its request at a listener, with every check that is made."""
    explanation = explaining.explain(system, caller, decode(raw, ExplainRequest))
    return JSONResponse({"explanation": explanation.model_dump(mode="json")})
