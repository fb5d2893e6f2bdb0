"""How soon a change was in force at a gateway, as the API shows it beside the change."""

from datetime import datetime
from typing import Any

from ostiary.api.nouns import zulu_time
from ostiary.model.effect import Effect
from ostiary.model.fields import Data


class EffectItem(Data):
    """At one gateway: when it had taken the change up, and how long after the commit that was."""

    gateway_id: str
    applied_at: datetime
    milliseconds: int


def shown_effect(effect: Effect) -> dict[str, Any]:
    """One gateway's."""
    return {"gateway_id": effect.gateway_id, "applied_at": zulu_time(effect.applied_at), "milliseconds": effect.milliseconds}
