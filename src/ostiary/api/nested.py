"""Resources within the body of what they belong to: one call creates them all."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Discriminator, Field, Tag

from ostiary.api.bodies import NAME, NOTHING, WHOLE
from ostiary.model.fields import Data, Text

Given = tuple[Any, Any]  # as create_model takes a field: type, default or Field


class Nothing(Data):
    """An empty object, which some clients send for what they leave out."""


class PoolByName(Data):
    """A pool that the same call creates, by its name."""

    name: Text


def several(shape: type[BaseModel], description: str, most: int) -> Given:
    """A list of them. `most` is told to readers of the schema; the rule itself is the core's."""
    each: Any = shape
    return tuple[each, ...] | None, Field(None, description=description, json_schema_extra={"maxItems": most})


def one(shape: type[BaseModel], description: str) -> Given:
    """One of them, or an empty object for none."""
    whole: Any = shape
    options: Any = Annotated[whole, Tag(WHOLE)] | Annotated[Nothing, Tag(NOTHING)]
    return Annotated[options, Discriminator(_whole_or_nothing)] | None, Field(None, description=description)


def one_or_name(shape: type[BaseModel], description: str) -> Given:
    """One of them, or nothing but the name of a pool that the same call creates, or an empty object for none."""
    whole: Any = shape
    options: Any = Annotated[whole, Tag(WHOLE)] | Annotated[PoolByName, Tag(NAME)] | Annotated[Nothing, Tag(NOTHING)]
    return Annotated[options, Discriminator(_whole_name_or_nothing)] | None, Field(None, description=description)


_ONLY_A_NAME: Final = {"name"}


def _whole_or_nothing(value: Any) -> str:
    return NOTHING if value == {} else WHOLE


def _whole_name_or_nothing(value: Any) -> str:
    return NAME if isinstance(value, dict) and set(value) == _ONLY_A_NAME else _whole_or_nothing(value)
