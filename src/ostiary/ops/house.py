"""What people decided about this ostiary as a whole, as it is in force: for whoever has to go by it."""

from typing import Final

from ostiary.model.house import HouseSettings
from ostiary.store.kinds import HOUSE_SETTINGS
from ostiary.store.store import Reader

ID: Final = "house"


def read(reader: Reader) -> HouseSettings:
    """As it is in force; the defaults until somebody decides otherwise."""
    return reader.get(HOUSE_SETTINGS, ID) or HouseSettings(id=ID)
