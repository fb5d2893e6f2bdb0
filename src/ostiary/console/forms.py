"""Forms made from a model's own fields: what each is called, what it may be, what was typed, and what is wrong with it.

A field is described once, where it is defined (`model.fields.setting`). Its label, help, unit, limits and kind of control follow
from there, so a new setting is in its form, and in the right place, without a line here.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from ostiary.console import visit as visit_of
from ostiary.console.visit import Form, Visit
from ostiary.errors import Conflict, Invalid
from ostiary.model.fields import Private, traits
from ostiary.web.words import _

Kind = Literal["text", "number", "tick", "ticks", "choice", "lines", "duration", "moment"]
Values = Mapping[str, Any]
Choices = Sequence[tuple[str, str]]  # value, and what people read

PRESENT: Final = visit_of.PRESENT

# What pydantic calls it → what people read. The words in `%(…)s` are pydantic's context.
_SAID: Final = {
    "missing": _("is needed"),
    "int_type": _("must be a whole number"),
    "int_parsing": _("must be a whole number"),
    "greater_than_equal": _("must be %(ge)s or more"),
    "less_than_equal": _("must be %(le)s or less"),
    "string_too_short": _("is needed"),
    "string_too_long": _("must not be longer than %(max_length)s characters"),
    "too_short": _("needs at least %(min_length)s"),
    "too_long": _("must not be more than %(max_length)s"),
    "literal_error": _("is not one of the choices"),
    "string_pattern_mismatch": _("does not have the form that is asked for"),
    "time_delta_parsing": _("is not a length of time such as 90d, 12h or 30m"),
    "time_delta_type": _("is not a length of time such as 90d, 12h or 30m"),
    "datetime_from_date_parsing": _("is not a day and time such as 2027-01-31T12:00"),
    "datetime_parsing": _("is not a day and time such as 2027-01-31T12:00"),
    "datetime_type": _("is not a day and time such as 2027-01-31T12:00"),
}

# Lengths of time as people write them. Years and months are not among them: they are not the same length everywhere.
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_LENGTH: Final = re.compile(r"(?:\s*\d{1,9}\s*[dhms])+\s*", re.IGNORECASE | re.ASCII)
_PART: Final = re.compile(r"(\d+)\s*([dhms])", re.IGNORECASE | re.ASCII)

# How choices read that are written in capitals for machines. What is not here reads as it is written.
CHOICES: Final = {
    "NONE": _("Off: nobody is asked for a certificate"),
    "OPTIONAL": _("Optional: checked when shown"),
    "MANDATORY": _("Mandatory: nobody without a valid certificate"),
    "REHEARSAL": _("Rehearsal: everybody is served, and you see who would be refused"),
    "ROUND_ROBIN": _("Round Robin"),
    "LEAST_CONNECTIONS": _("Least Connections"),
    "SOURCE_IP": _("Source IP"),
    "HTTP_COOKIE": _("Cookie made by ostiary"),
    "APP_COOKIE": _("Cookie of the application"),
    "TERMINATED_HTTPS": "HTTPS",
    "PROXY": _("PROXY protocol, version 1"),
    "PROXYV2": _("PROXY protocol, version 2"),
    "CLIENT_CA": _("Adding or removing a Client CA"),
    "LOWER_PROTECTION": _("Asking less of clients than before"),
    "MASS_REVOCATION": _("Revoking many certificates at once"),
    "KEY_EXPORT": _("Taking a private key out"),
    "NEW_PERSON": _("Letting in another person"),
    "REFUSE": _("Refuse all"),
    "ALLOW": _("Allow those not known to be revoked, with an alarm"),
}


@dataclass(frozen=True)
class Control:
    """One field of a form. `value` is what stands in it: a text, or for several the texts that are chosen."""

    name: str
    kind: Kind
    label: str
    help: str = ""
    value: str | tuple[str, ...] = ""
    default: str | tuple[str, ...] = ""
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[str, ...] = ()  # of texts that anything may stand in
    unit: str = ""
    least: int | None = None
    most: int | None = None
    is_needed: bool = False
    is_advanced: bool = False
    group: str = ""  # the others it stands with
    error: str = ""

    @property
    def chosen(self) -> str:
        """What people read of the choice that stands in it."""
        return next((text for value, text in self.choices if value == self.value), "")

    @property
    def is_changed(self) -> bool:
        """Whether it differs from what it would be if nobody had said anything."""
        return self.value != self.default


@dataclass(frozen=True)
class Filled:
    """A form as it is shown: its controls by name, and what is wrong with the whole of it."""

    controls: Mapping[str, Control]
    errors: Mapping[str, str] = field(default_factory=dict)  # of fields that are here, and of others

    def __getitem__(self, name: str) -> Control:
        return self.controls[name]

    def __contains__(self, name: str) -> bool:
        return name in self.controls

    @property
    def elsewhere(self) -> dict[str, str]:
        """What is wrong with no field of this form."""
        return {name: why for name, why in self.errors.items() if not self.place(name)}

    def place(self, name: str) -> str:
        """The field that this is said of: itself, or what it is a part of; empty when it is not of this form."""
        while name and name not in self.controls:
            name = name.rpartition(".")[0]
        return name

    def part(self, path: str) -> tuple[Control, ...]:
        """The fields of one part of it (`under`)."""
        return tuple(one for one in self.controls.values() if one.name.startswith(path))

    def advanced(self) -> tuple[Control, ...]:
        """The advanced ones, in order."""
        return tuple(one for one in self.controls.values() if one.is_advanced)

    def together(self, group: str) -> tuple[Control, ...]:
        """Those of a group, in order."""
        return tuple(one for one in self.controls.values() if one.group == group)


def made(visit: Visit, model: type[BaseModel], names: Iterable[str], values: Values, **choices: Choices) -> Filled:
    """The form of these fields with these values. `choices` are those that only the page knows, such as which pools there are."""
    return Filled({name: _control(visit, model, name, values.get(name), choices.get(name)) for name in names})


def settable(model: type[BaseModel], *, later: bool = False) -> tuple[str, ...]:
    """The names of the fields that a caller may set; with `later`, also once it exists."""
    return tuple(
        name
        for name, info in model.model_fields.items()
        if not traits(info).get("derived") and not (later and traits(info).get("fixed"))
    )


def typed(filled: Filled, form: Form, errors: Mapping[str, str] | None = None) -> Filled:
    """The same form as it was sent, with what is wrong with it."""
    wrong = dict(errors or {})
    controls = {name: replace(one, value=_sent(one, form), error=_about(name, wrong)) for name, one in filled.controls.items()}
    return Filled(controls, wrong)


def decoded(visit: Visit, model: type[BaseModel], filled: Filled, form: Form, *, path: str = "") -> dict[str, Any]:
    """What was typed, as the model's own types. Raises `Wrong` with every field that is not right.

    `path` is what stands before their names where the model is a part of another (`under`), such as `names.`.
    """
    names = tuple(name for name in model.model_fields if path + name in filled.controls)
    document = {name: _value(_schema(model)[name], filled[path + name], form, visit.zone) for name in names}
    try:
        checked = _of(model, names).model_validate_json(json.dumps({k: v for k, v in document.items() if v is not None}))
    except ValidationError as error:
        raise Wrong(
            {path + _place(one): _said(visit, one) for one in reversed(error.errors(include_url=False, include_input=False))}
        ) from None
    return {name: getattr(checked, name) if document[name] is not None else None for name in names}


def every(*parts: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """What each of several parts of a form says. Raises one `Wrong` for all that is wrong in any of them."""
    found, errors = [], {}
    for part in parts:
        try:
            found.append(part())
        except Wrong as wrong_part:
            errors.update(wrong_part.errors)
    if errors:
        raise Wrong(errors)
    return tuple(found)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was said at all: what is None stands for the default."""
    return {name: value for name, value in values.items() if value is not None}


def differing(thing: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are not so already; None stands for the default."""
    fields = type(thing).model_fields
    wanted = {
        name: fields[name].get_default(call_default_factory=True) if value is None else value for name, value in values.items()
    }
    return {name: values[name] for name, value in wanted.items() if getattr(thing, name) != value}


def under(filled: Filled, prefix: str) -> Filled:
    """The same form, its fields called `prefix` and their names: where a page has several forms in one."""
    controls = {f"{prefix}{name}": replace(one, name=f"{prefix}{name}") for name, one in filled.controls.items()}
    return Filled(controls, {f"{prefix}{name}": why for name, why in filled.errors.items()})


def together(*parts: Filled) -> Filled:
    """Several forms as one."""
    controls: dict[str, Control] = {}
    errors: dict[str, str] = {}
    for part in parts:
        controls |= part.controls
        errors |= part.errors
    return Filled(controls, errors)


def only(filled: Filled, names: Iterable[str]) -> Filled:
    """These fields of it."""
    return Filled({name: filled[name] for name in names}, filled.errors)


def completed(filled: Filled, form: Form) -> Form:
    """As if all of it had been sent: what was not stands as it stands in the form."""
    texts = dict(form.texts)
    for name, one in filled.controls.items():
        if not form.has(name):
            texts[name] = one.value if isinstance(one.value, tuple) else (one.value,)
    return Form({**texts, PRESENT: (*form.all(PRESENT), *filled.controls)}, form.files)


class Wrong(Exception):
    """A form cannot be taken as it is: by field, why."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(errors))
        self.errors = dict(errors)


def wrong(visit: Visit, error: Invalid | Conflict | Wrong) -> dict[str, str]:
    """What is wrong, by field, in the reader's words."""
    if isinstance(error, Wrong):
        return error.errors
    return {error.field or "": visit.say(error.message)}


def _control(visit: Visit, model: type[BaseModel], name: str, value: Any, given: Choices | None) -> Control:
    info, schema = model.model_fields[name], _schema(model)[name]
    extra = traits(info)
    kind = "choice" if given is not None and _kind(schema) == "text" else _kind(schema)
    if given is not None and _kind(schema) == "lines":
        kind = "ticks"
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    plain = _plain(schema)
    choices = tuple(given) if given is not None else tuple((one, visit.say(CHOICES.get(one, one))) for one in _enum(schema))
    return Control(
        name,
        kind,
        label=visit.say(str(extra.get("label") or name.replace("_", " ").capitalize())),
        help=visit.say(info.description) if info.description else "",
        value=shown(kind, value if value is not None else default, visit.zone),
        default=shown(kind, default, visit.zone),
        choices=choices,
        unit=str(extra.get("unit", "")),
        least=plain.get("minimum"),
        most=plain.get("maximum"),
        is_needed=info.is_required(),
        is_advanced=bool(extra.get("advanced")),
        group=str(extra.get("group", "")),
    )


def shown(kind: Kind, value: Any, zone: tzinfo = UTC) -> str | tuple[str, ...]:
    """A value as it stands in a control; a point in time on the wall clock of `zone`."""
    if kind == "ticks":
        if isinstance(value, Mapping):
            return tuple(str(one) for one, wanted in value.items() if wanted == "true")
        return tuple(str(one) for one in value or ())
    if kind == "lines":
        return "\n".join(str(one) for one in value or ())
    if kind == "tick":
        return "true" if value else ""
    return "" if value is None else _text(value, zone)


def _text(value: Any, zone: tzinfo) -> str:
    if isinstance(value, timedelta):
        return length(value)
    return value.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if isinstance(value, datetime) else str(value)


def length(of: timedelta) -> str:
    """A length of time as it is typed: `90d`, `12h`, `1d 12h`."""
    left, found = int(of.total_seconds()), []
    for unit, seconds in _UNITS.items():
        count, left = divmod(left, seconds)
        if count:
            found.append(f"{count}{unit}")
    return " ".join(found) or "0s"


def moment(text: str, zone: tzinfo) -> datetime | None:
    """What was typed into a control for a point in time, on the wall clock of `zone`; None when it is none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _sent(one: Control, form: Form) -> str | tuple[str, ...]:
    if not form.has(one.name):
        return one.value
    if one.kind == "ticks":
        return form.all(one.name)
    return form.texts.get(one.name, ("",))[-1]


def _value(schema: dict[str, Any], one: Control, form: Form, zone: tzinfo) -> Any:
    """What was typed, as JSON; None for nothing, which is the default."""
    kind, plain = one.kind, _plain(schema)
    if not form.has(one.name):
        return None
    several: dict[Kind, Any] = {
        "tick": form.ticked(one.name),
        "ticks": dict.fromkeys(form.all(one.name), "true") if "propertyNames" in plain else list(form.all(one.name)),
        "lines": [_number(text) if plain.get("items", {}).get("type") == "integer" else text for text in form.lines(one.name)],
    }
    if kind in several:
        return several[kind]
    text = form.text(one.name)
    if not text:
        return "" if one.is_needed and kind == "text" else None
    if kind == "moment":
        at = moment(text, zone)
        return text if at is None else at.isoformat()
    if kind == "duration":
        return _seconds(text)
    return _number(text) if kind == "number" else text


def _seconds(text: str) -> str:
    """A length of time in ISO 8601; what is none stays as it is, to be refused by the model."""
    if not _LENGTH.fullmatch(text):
        return text
    return f"PT{sum(int(count) * _UNITS[unit.lower()] for count, unit in _PART.findall(text))}S"


def _number(text: str) -> int | str:
    """The number that was typed; the text itself when it is none, to be refused by the model."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else text


def _about(name: str, errors: Mapping[str, str]) -> str:
    """What is wrong with a field or with a part of it."""
    return next((why for place, why in errors.items() if place == name or place.startswith(f"{name}.")), "")


def _place(error: ErrorDetails) -> str:
    return str(error["loc"][0]) if error["loc"] else ""


def _said(visit: Visit, error: ErrorDetails) -> str:
    if error["type"] == "too_short" and error.get("ctx", {}).get("min_length") == 1:
        return visit.say(_SAID["missing"])
    known = _SAID.get(error["type"])
    if known is None:
        return visit.say(error["msg"].removeprefix("Value error, "))
    return visit.say(known, **error.get("ctx", {}))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    told = tuple(name for name, info in model.model_fields.items() if info.annotation is not Private)
    whole = _of(model, told).model_json_schema()
    definitions = whole.get("$defs", {})
    return {name: _resolved(schema, definitions) for name, schema in whole["properties"].items()}


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: _resolved(value, definitions) for name, value in schema.items()}
    return [_resolved(one, definitions) for one in schema] if isinstance(schema, list) else schema


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the null that an optional field may be."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return options[0] if options else schema


def _kind(schema: dict[str, Any]) -> Kind:
    plain = _plain(schema)
    if plain.get("type") == "boolean":
        return "tick"
    if plain.get("type") in {"integer", "number"}:
        return "number"
    if plain.get("type") == "array":
        return "ticks" if _enum(schema) else "lines"
    if plain.get("type") == "object":
        return "ticks"
    formats: dict[str, Kind] = {"duration": "duration", "date-time": "moment"}
    return "choice" if _enum(schema) else formats.get(plain.get("format", ""), "text")


def _enum(schema: dict[str, Any]) -> list[str]:
    plain = _plain(schema)
    for place in (plain, plain.get("items", {}), plain.get("propertyNames", {})):
        if "enum" in place:
            return list(place["enum"])
        if "const" in place:
            return [place["const"]]
    return []


@cache
def _of(model: type[BaseModel], names: tuple[str, ...]) -> type[BaseModel]:
    """A model of these fields, each as the model has it. All that is wrong with them is told at once."""
    fields: dict[str, Any] = {name: (model.model_fields[name].annotation, model.model_fields[name]) for name in names}
    return create_model(f"{model.__name__}Form", __config__=ConfigDict(strict=True, extra="forbid"), **fields)


def plain(value: Any) -> str:
    """A stored value as people read it, wherever it is told."""
    if value in (None, "", (), [], {}):
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return str(value)
