"""How soon a change was in force: a revocation or a revision, at one gateway."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import Data

Changed = Literal["revocation", "revision"]


class Effect(Data):
    """One gateway had taken up one change. `number` is the revision's, or that of the status sequence for a revocation.

    `milliseconds` run from just before the change was committed until the gateway had acknowledged all of the first configuration
    that holds it: they include the commit, reading and translating the configuration, and the way to the gateway and back. What
    another control plane committed, and what a gateway took up after it had been away, is measured by the clock on the wall.
    """

    changed: Changed
    number: int
    gateway_id: str
    committed_at: datetime
    applied_at: datetime
    milliseconds: Annotated[int, Field(ge=0)]
