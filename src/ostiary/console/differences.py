"""What differs between before and after, field by field, as people call the fields and read what is in them.

A record has ids, codes and the times of machines; here they become names with links, words, and the reader's wall clock. All
names are asked for at once, however much is shown.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, get_args

from markupsafe import Markup
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from ostiary.console.deeds import SORTS, sort
from ostiary.console.forms import CHOICES
from ostiary.console.visit import Visit
from ostiary.model.fields import traits
from ostiary.model.resource import NOTED
from ostiary.ops.spoken_of import named
from ostiary.web import formats
from ostiary.web.words import _

Document = Mapping[str, Any]
Key = tuple[str, str]  # kind, id

_REFERS: Final = {
    "loadbalancer_id": "loadbalancer",
    "default_pool_id": "pool",
    "pool_id": "pool",
    "listener_id": "listener",
    "authority_id": "authority",
    "authority_ids": "authority",
    "parent_id": "authority",
    "series_id": "authority",
    "from_series_id": "authority",
    "to_series_id": "authority",
    "cross_of": "authority",
    "certificate_id": "certificate",
    "replaces": "certificate",
    "token_id": "token",
    "user_id": "user",
}
_OF_OTHERS: Final = {"parent_id", "series_id", "from_series_id", "to_series_id", "cross_of", "replaces"}  # several of one kind
_HREF: Final = re.compile(r"(?:https?://[^/\s]{1,255})?/?(?:v1/)?(authorities|secrets|containers)/([0-9a-f-]{36})/?")
_PLURALS: Final = {"authorities": "authority", "secrets": "secret", "containers": "container"}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LONG: Final = 400  # characters that are shown at once
_MANY: Final = 50  # parts of one value
_LENGTH: Final = TypeAdapter(timedelta)


@dataclass(frozen=True)
class Part:
    """A piece of a value: what is read, and the page of what it names. `rest` is what is shown when asked for."""

    text: str
    place: str = ""
    rest: str = ""


@dataclass(frozen=True)
class Row:
    """One field, as it was and as it is; without parts there was, or is, nothing in it."""

    label: str
    before: tuple[Part, ...]
    after: tuple[Part, ...]


@dataclass(frozen=True)
class Thing:
    """What something was done to. `place` is its page, while it is there."""

    sort: str
    name: str
    place: str = ""


@dataclass(frozen=True)
class Told:
    """One thing, how it differs, and whether it was there before and after."""

    thing: Thing
    rows: tuple[Row, ...]
    was: bool
    is_now: bool


class Changed(Protocol):
    """A kind, an id, and the thing before and after; None where it was not there."""

    @property
    def kind(self) -> str: ...
    @property
    def resource_id(self) -> str: ...
    @property
    def before(self) -> Document | None: ...
    @property
    def after(self) -> Document | None: ...


@dataclass(frozen=True)
class Change:
    """A change as an entry of the record tells it."""

    kind: str
    resource_id: str
    before: Document | None
    after: Document | None


def told(visit: Visit, changes: Iterable[Changed], *, only_settings: bool = False) -> tuple[Told, ...]:
    """These changes in words. `only_settings` leaves out what follows from the settings by itself."""
    listed = tuple(changes)
    names = named(visit.system, visit.caller, _spoken_of(listed))
    return tuple(
        Told(
            _thing(visit, one, names),
            tuple(_rows(visit, one, names, only_settings=only_settings)),
            one.before is not None,
            one.after is not None,
        )
        for one in listed
    )


def things(visit: Visit, changes: Iterable[Changed]) -> tuple[Thing, ...]:
    """Only what these changes were done to."""
    listed = tuple(changes)
    names = named(visit.system, visit.caller, _of_themselves(listed))
    return tuple(_thing(visit, one, names) for one in listed)


def place_of(key: Key, names: Mapping[Key, str]) -> str:
    """The page of a thing that is there; empty when it is gone, or has none."""
    known = SORTS.get(key[0])
    return known.place.format(id=key[1]) if known is not None and known.place and key in names else ""


def _thing(visit: Visit, one: Changed, names: Mapping[Key, str]) -> Thing:
    key = (one.kind, one.resource_id)
    if one.kind == "ocsp_signer":
        key = ("authority", one.resource_id)
    document = one.after or one.before or {}
    name = names.get(key) or document.get("name") or (one.before or {}).get("name") or document.get("subject")
    return Thing(sort(visit, one.kind), str(name or one.resource_id), place_of(key, names) or _shown_with(one, names))


def _shown_with(one: Changed, names: Mapping[Key, str]) -> str:
    """The page of what it belongs to, where it has none of its own."""
    document = one.after or one.before or {}
    for field in ("pool_id", "listener_id"):
        if place := place_of((_REFERS[field], str(document.get(field))), names):
            return place
    return ""


def _of_themselves(changes: Iterable[Changed]) -> Iterator[Key]:
    for one in changes:
        yield ("authority" if one.kind == "ocsp_signer" else one.kind, one.resource_id)
        for field in ("pool_id", "listener_id"):
            if other := (one.after or one.before or {}).get(field):
                yield (_REFERS[field], str(other))


def _spoken_of(changes: Iterable[Changed]) -> Iterator[Key]:
    for one in changes:
        yield from _of_themselves((one,))
        for document in (one.before, one.after):
            yield from _referred_to("", document)


def _referred_to(field: str, value: Any) -> Iterator[Key]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _referred_to(name, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _referred_to(field, inner)
    elif isinstance(value, str) and (key := _key(field, value)):
        yield key


def _key(field: str, text: str) -> Key | None:
    if match := _HREF.fullmatch(text):
        return _PLURALS[match[1]], match[2]
    return (_REFERS[field], text) if field in _REFERS and len(text) <= 255 else None


def _rows(visit: Visit, one: Changed, names: Mapping[Key, str], *, only_settings: bool) -> Iterator[Row]:
    known = SORTS.get(one.kind)
    model = known.model if known is not None else None
    before, after = one.before or {}, one.after or {}
    for name in _ordered(model, before.keys() | after.keys()):
        if name in NOTED or (only_settings and _follows(model, name)) or before.get(name) == after.get(name):
            continue
        if (one.before is None or one.after is None) and _is_usual(model, name, (one.after or before).get(name)):
            continue  # of what came or went, only what somebody chose
        was, now = (tuple(_parts(visit, model, name, document.get(name), names)) for document in (before, after))
        if was or now:
            yield Row(label(visit, model, name), was, now)


def _ordered(model: type[BaseModel] | None, found: Iterable[str]) -> list[str]:
    """As the model has them; what it does not know comes last."""
    order = list(model.model_fields) if model is not None else []
    return sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))


def _follows(model: type[BaseModel] | None, name: str) -> bool:
    return model is not None and name in model.model_fields and bool(traits(model.model_fields[name]).get("derived"))


def _is_usual(model: type[BaseModel] | None, name: str, value: Any) -> bool:
    """Whether it is what a field is when nobody says anything."""
    info = model.model_fields.get(name) if model is not None else None
    if info is None or info.is_required():
        return False
    usual = to_jsonable_python(info.get_default(call_default_factory=True), serialize_unknown=True)
    return bool(value == usual)


def label(visit: Visit, model: type[BaseModel] | None, name: str) -> str:
    """What people call a field."""
    return visit.say(title(model, name))


def title(model: type[BaseModel] | None, name: str) -> str:
    """The same, not translated yet. What refers to something is called by what that is, unless it has a name of its own."""
    info = model.model_fields.get(name) if model is not None else None
    given = traits(info).get("label") if info is not None else None
    if given is None and name in _REFERS and name not in _OF_OTHERS:
        return SORTS[_REFERS[name]].word
    return str(given or name.replace("_", " ").capitalize())


def _parts(visit: Visit, model: type[BaseModel] | None, name: str, value: Any, names: Mapping[Key, str]) -> Iterator[Part]:
    """A value in words; nothing for what is empty."""
    if value in (None, "", [], {}):
        return
    if isinstance(value, Mapping):
        yield from _of_mapping(visit, model_of(model, name), value, names)
    elif isinstance(value, list | tuple):
        for one in value[:_MANY]:
            if isinstance(one, Mapping):
                yield Part(Markup(", ").join(part.text for part in _of_mapping(visit, model_of(model, name), one, names)))
            else:
                yield from _parts(visit, model, name, one, names)
        if len(value) > _MANY:
            yield Part(visit.say_many("and %(count)s more", "and %(count)s more", len(value) - _MANY))
    else:
        yield _part(visit, model, name, value, names)


def _of_mapping(visit: Visit, inner: type[BaseModel] | None, value: Document, names: Mapping[Key, str]) -> Iterator[Part]:
    """The parts of a value that has fields of its own; without a model of them they are called as they are written."""
    for key in _ordered(inner, value):
        title = key if inner is None else label(visit, inner, key)
        for part in _parts(visit, inner, key, value[key], names):
            yield Part(Markup("{}: {}").format(title, part.text), part.place, part.rest)


def _part(visit: Visit, model: type[BaseModel] | None, name: str, value: Any, names: Mapping[Key, str]) -> Part:
    if not isinstance(value, str):
        return Part(_counted(visit, model, name, value))
    if (key := _key(name, value)) is not None:
        return Part(names.get(key) or value, place_of(key, names))
    if len(value) > _LONG or value.startswith("-----BEGIN "):
        return Part(value.partition("\n")[0][:80], rest=value)
    return Part(_word(visit, model, name, value))


def _counted(visit: Visit, model: type[BaseModel] | None, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return visit.say(_("Yes") if value else _("No"))
    info = model.model_fields.get(name) if model is not None else None
    unit = traits(info).get("unit") if info is not None else None
    return f"{formats.number(value, visit.language)} {unit}" if unit else str(value)


def _word(visit: Visit, model: type[BaseModel] | None, name: str, text: str) -> str:
    if _MOMENT.fullmatch(text):
        with suppress(ValueError, OverflowError):  # what somebody typed may only look like one
            return formats.moment(datetime.fromisoformat(text), visit.language, visit.zone)
    if text.startswith("P") and (length := _length(model, name, text)) is not None:
        return formats.duration(length, visit.language)
    if text == "NONE" and name != "client_authentication":
        return visit.say(_("Off"))
    if text in CHOICES and (text != "ALLOW" or name.startswith("stale")):  # a rule's ALLOW allows
        return visit.say(CHOICES[text])
    return text


def _length(model: type[BaseModel] | None, name: str, text: str) -> timedelta | None:
    """What it says where the field holds lengths of time."""
    if model is None or name not in model.model_fields or timedelta not in set(_types(model.model_fields[name].annotation)):
        return None
    try:
        return _LENGTH.validate_python(text)
    except ValidationError:
        return None


def model_of(model: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """The model of a field's own parts, if it has one."""
    if model is None or name not in model.model_fields:
        return None
    types = _types(model.model_fields[name].annotation)
    return next((one for one in types if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for one in get_args(annotation):
        yield from _types(one)
