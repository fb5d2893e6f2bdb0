"""Apply changes to frozen data, checked as strictly as when it was made."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ostiary.errors import Invalid
from ostiary.model.fields import Data, traits

D = TypeVar("D", bound=Data)


def edited(thing: D, changes: Mapping[str, Any]) -> D:
    """A copy with these fields changed; None puts a field back to its default. Raises `Invalid`."""
    fields = type(thing).model_fields
    values = dict(thing)
    for name, value in changes.items():
        field = fields.get(name)
        if field is None:
            raise Invalid(name, "there is no such field")
        if traits(field).get("fixed") or traits(field).get("derived"):
            raise Invalid(name, "cannot be changed after creation")
        if value is None and field.is_required():
            raise Invalid(name, "has no default to go back to")
        values[name] = field.get_default(call_default_factory=True) if value is None else value
    try:
        return type(thing).model_validate(values)
    except ValidationError as error:
        raise explained(error) from None


def explained(error: ValidationError) -> Invalid:
    """The first thing pydantic found wrong, with the path to it. Never shows the value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join(str(part) for part in first["loc"]) or "body"
    return Invalid(path, str(first["msg"]).removeprefix("Value error, "))
