"""What every stored thing has."""

from datetime import datetime
from typing import Final

from ostiary.model.fields import Data, Tags, Text, setting

# What each has that nobody decides: of which one it is, and when and by what it came to be as it is.
NOTED: Final = frozenset({"id", "revision", "created_at", "updated_at"})


class Resource(Data):
    """A thing with an identity and a history. `revision` is the configuration revision that last changed it."""

    id: str = setting("", "Identifier.", derived=True)
    project_id: Text = setting("", "The project that owns it.", fixed=True)
    name: Text = setting("", "A name for people.")
    created_at: datetime | None = setting(None, "When it was created (UTC).", derived=True)
    updated_at: datetime | None = setting(None, "When it was last changed (UTC).", derived=True)
    revision: int = setting(0, "The configuration revision that last changed it.", derived=True)


class Configured(Resource):
    """A thing that an operator configures."""

    description: Text = setting("", "A note for people.")
    admin_state_up: bool = setting(True, "Whether it does its work; false takes it out of service.", label="In service")
    tags: Tags = setting((), "Words to find it by.")
