"""The rotation of an authority: the new one beside the old, until no client holds a certificate of the old one any more."""

from datetime import datetime
from typing import Literal

from ostiary.model.fields import Text, setting
from ostiary.model.resource import Resource

RotationState = Literal["UNDER_WAY", "FINISHED", "UNDONE"]


class Rotation(Resource):
    """While it is under way, every listener that trusts the one authority trusts the other too."""

    from_series_id: str = setting(description="The authority that is to go.", fixed=True, label="The CA that goes")
    to_series_id: str = setting(description="The authority that takes its place.", fixed=True, label="The CA that comes")
    state: RotationState = setting("UNDER_WAY", "How far it is.", derived=True)
    started_at: datetime = setting(description="When the new one was added.", derived=True, label="Started")
    ended_at: datetime | None = setting(
        None, "When the old one was removed, or the new one taken back.", derived=True, label="Ended"
    )
    ended_by: Text = setting("", "Who did that.", derived=True, label="Ended by")
    forced: bool = setting(False, "Whether clients of the old one were shut out.", derived=True, label="Clients shut out")
    clients_shut_out: int = setting(
        0, "How many clients still held a certificate of the old one at the end.", derived=True, label="How many were shut out"
    )
    moved: tuple[str, ...] = setting(
        (), "The listeners and pools that were turned to the new one.", derived=True, label="What was turned to the new CA"
    )
