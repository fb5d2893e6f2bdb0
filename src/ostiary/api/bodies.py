"""From the bytes of a body to checked data. Whatever is wrong is said with the name of the field, as the caller wrote it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ostiary.errors import Invalid
from ostiary.model.fields import Data

M = TypeVar("M", bound=BaseModel)

# Plainer words than pydantic's for what callers meet most.
_WORDS: Final = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
}
_NO_REASONS: Final[Mapping[str, str]] = {}


class Wrapped(Data):
    """A body that holds one resource under its name. The core does not know that name, so no error shows it either."""


# Which of several shapes a value has. Pydantic puts that into the path to an error, as it does `[key]` at names of a dictionary.
WHOLE: Final = "[whole]"
NAME: Final = "[name]"
NOTHING: Final = "[nothing]"
_MARKS: Final = frozenset({"[key]", WHOLE, NAME, NOTHING})


def decode(raw: bytes, shape: type[M], why_not: Mapping[str, str] = _NO_REASONS) -> M:
    """The body as `shape`. `why_not` gives the reason for fields that exist but may not be given here. Raises `Invalid`."""
    parse(raw)
    try:
        return shape.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = first["loc"]
        if issubclass(shape, Wrapped) and len(place) > 1:
            place = place[1:]
        raise Invalid(_dotted(place), _said(first, why_not if len(place) == 1 else _NO_REASONS)) from None


def parse(raw: bytes) -> Any:
    """The JSON in it, refusing what readers of JSON disagree about: names given twice, NaN, half of a surrogate pair, NUL."""
    try:
        tree = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
        _plain_text(tree)
    except Invalid:
        raise
    except RecursionError:
        raise Invalid("body", "is nested too deeply") from None
    except ValueError:
        raise Invalid("body", "is not valid JSON in UTF-8") from None
    if not isinstance(tree, dict):
        raise Invalid("body", "must be a JSON object")
    return tree


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise Invalid(_shown(next(name for name in names if names.count(name) > 1)), "is given more than once")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


def _plain_text(tree: Any) -> None:
    for text in _strings(tree):
        if "\0" in text:
            raise Invalid("body", "NUL characters are not allowed")
        text.encode()  # A lone surrogate cannot be: UnicodeEncodeError is a ValueError.


def _strings(tree: Any) -> Iterator[str]:
    """Every string in it, names included."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())


def _dotted(location: tuple[int | str, ...]) -> str:
    """`insert_headers.X-Foo`, without the marks."""
    return ".".join(_shown(str(part)) for part in location if part not in _MARKS) or "body"


def _shown(name: str) -> str:
    """A caller's name for a field, short enough to say back, and on one line."""
    plain = "".join(character if character.isprintable() else "�" for character in name[:64])
    return plain if len(name) <= 64 else f"{plain}…"


def _said(error: ErrorDetails, why_not: Mapping[str, str]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return why_not.get(str(error["loc"][-1]), _WORDS[kind])
    if kind == "json_invalid":
        return "is nested too deeply"  # Valid JSON by `parse`; the only thing the two readers differ in.
    return _WORDS.get(kind) or error["msg"].removeprefix("Value error, ")
