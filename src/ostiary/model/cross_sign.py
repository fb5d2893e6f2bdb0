"""Cross-signing: a second certificate for an authority, with its name and key, signed by another parent."""

from typing import Annotated

from pydantic import Field

from ostiary.model.authority import NameConstraints
from ostiary.model.fields import Data, Text, setting


class CrossSign(Data):
    """What a caller says to have an authority signed by another parent as well. What limits it already stays."""

    parent_id: Annotated[str, Field(min_length=1, max_length=255)] = setting(description="The authority that is to sign it.")
    name: Text = setting("", "A name for people; empty is that of the authority, and the parent's.")
    lifetime_days: Annotated[int, Field(ge=1, le=36_500)] = setting(
        1825, "How long the certificate is valid; never longer than the authority or the parent.", unit="d"
    )
    path_length: Annotated[int, Field(ge=0, le=10)] | None = setting(
        None, "How many levels of authorities may be below it; empty is what both allow."
    )
    name_constraints: NameConstraints | None = setting(None, "Names it may sign, besides what limits it already.")
