"""The bodies and replies of a noun, derived from its model: a new field of the model is in all of them, and in /openapi.json."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from ostiary.api.bodies import Wrapped, decode
from ostiary.errors import Invalid
from ostiary.model.fields import Data, Private, traits
from ostiary.model.resource import Resource

R = TypeVar("R", bound=Resource)

Extra = Mapping[str, tuple[Any, Any]]  # as create_model takes them: name → (type, default or Field)


class Id(Data):
    """A reference to another resource, as OpenStack writes it."""

    id: str


def openstack_time(at: datetime) -> str:
    """`2017-02-28T00:42:44`, as OpenStack writes times; always UTC."""
    return at.astimezone(UTC).isoformat()[:19]


def zulu_time(at: datetime) -> str:
    """`2017-02-28T00:42:44Z` (RFC 3339)."""
    return f"{openstack_time(at)}Z"


def _whole_seconds(at: datetime) -> datetime:
    """So that pydantic writes it as `zulu_time` does."""
    if at.tzinfo is not UTC and at.utcoffset():
        at = at.astimezone(UTC)
    return at.replace(microsecond=0) if at.microsecond else at


@dataclass(frozen=True)
class Noun(Generic[R]):
    """A resource as the API shows it.

    `given` are fields of the creation body that the model does not have, `given_later` those of the update body,
    `shown` those that a reply adds. `not_within` are left out within the body of what it belongs to. `aliases` are other
    names for attributes in queries.
    """

    one: str
    many: str
    model: type[R]
    given: Extra = field(default_factory=dict)
    given_later: Extra = field(default_factory=dict)
    shown: Extra = field(default_factory=dict)
    not_within: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    time: Callable[[datetime], str] = zulu_time

    @cached_property
    def new(self) -> type[BaseModel]:
        """What a caller says to create one: every field that is not derived. Null is the same as left out."""
        return _model(f"New{self._title}", self._settable)

    def within(self, **other: tuple[Any, Any]) -> type[BaseModel]:
        """What a caller says to create one within the body of what it belongs to. `other` are fields that differ there."""
        fields = {name: described for name, described in self._settable.items() if name not in self.not_within}
        return _model(f"Nested{self._title}", {**fields, **other})

    @cached_property
    def creation(self) -> type[BaseModel]:
        """The body that creates one."""
        return wrapped(self.one, self.new)

    @cached_property
    def update(self) -> type[BaseModel]:
        """The body that changes one: every field that is neither fixed nor derived, each optional. Null resets to the default."""
        fields = {name: _optional(info) for name, info in self._public() if not _settled(info)}
        return wrapped(self.one, _model(f"{self._title}Changes", {**fields, **self.given_later}))

    @cached_property
    def item(self) -> type[BaseModel]:
        """One, as it is shown."""
        own = {name: (info.annotation, _described(info)) for name, info in self._public()}
        return _model(self._title, {**own, **self.shown})

    @cached_property
    def reply(self) -> type[BaseModel]:
        """The reply that shows one."""
        return wrapped(self.one, self.item, f"{self._title}Reply")

    @cached_property
    def list_reply(self) -> type[BaseModel]:
        """The reply that lists them."""
        item: Any = self.item
        links = (tuple[Link, ...], Field(description="Where the pages before and after this one are."))
        return _model(f"{self._title}List", {self.many: (tuple[item, ...], ...), f"{self.many}_links": links})

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The names of the model that a caller may filter and sort by."""
        return frozenset(name for name, _ in self._public())

    def decode_new(self, raw: bytes) -> tuple[R, dict[str, Any]]:
        """What to create, and the `given` fields beside it. Raises `Invalid`."""
        return self.made_from(getattr(decode(raw, self.creation, self.why_not_new), self.one))

    def made_from(self, body: BaseModel) -> tuple[R, dict[str, Any]]:
        """What to create, and the `given` fields beside it, from a decoded `new`."""
        values = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
        _one_project(values)
        own = {name: value for name, value in values.items() if name not in self.given}
        return self.model(**own), {name: value for name, value in values.items() if name in self.given}

    def decode_changes(self, raw: bytes) -> dict[str, Any]:
        """What to change: only what was given, None for what goes back to its default. Raises `Invalid`."""
        body = getattr(decode(raw, self.update, self._why_not_later), self.one)
        return {name: getattr(body, name) for name in body.model_fields_set if name not in self.given_later}

    def show(self, thing: R) -> dict[str, Any]:
        """The model's part of a reply."""
        # Dumped whole and then chosen from: what pydantic is told to include it asks about field by field, three times as long.
        values, told, own = thing.model_dump(mode="json"), self.attributes, vars(thing)
        times = {name: self.time(value) for name, value in own.items() if isinstance(value, datetime)}
        return {name: value for name, value in (values | times).items() if name in told}

    def written(self, thing: R, **shown: Any) -> bytes:
        """The JSON of `show`, with what a reply adds, written in one go: for long lists of what has `zulu_time`."""
        told = self.attributes
        values = {
            name: _whole_seconds(value) if isinstance(value, datetime) else value
            for name, value in vars(thing).items()
            if name in told
        }
        return to_json(values | shown)

    def _public(self) -> Iterable[tuple[str, FieldInfo]]:
        return ((name, info) for name, info in self.model.model_fields.items() if info.annotation is not Private)

    @cached_property
    def _settable(self) -> Extra:
        fields = {name: _or_null(info) for name, info in self._public() if not traits(info).get("derived")}
        return {**fields, **self.given}

    @property
    def _title(self) -> str:
        return self.model.__name__

    @cached_property
    def why_not_new(self) -> dict[str, str]:
        """Why fields that exist may not be given at creation."""
        return {name: "is set by ostiary" for name, info in self.model.model_fields.items() if traits(info).get("derived")}

    @cached_property
    def _why_not_later(self) -> dict[str, str]:
        fixed = {name: "cannot be changed" for name, info in self.model.model_fields.items() if traits(info).get("fixed")}
        return {**fixed, "tenant_id": "cannot be changed", **self.why_not_new}


def wrapped(one: str, shape: type[BaseModel], name: str | None = None) -> type[BaseModel]:
    """A body that holds a shape under its resource's name, as OpenStack does."""
    return _model(name or f"{shape.__name__}Body", {one: (shape, ...)}, Wrapped)


class Link(Data):
    """Where another page of a list is."""

    rel: Literal["next", "previous"]
    href: str


def _settled(info: FieldInfo) -> bool:
    return bool(traits(info).get("fixed") or traits(info).get("derived"))


def _full_type(info: FieldInfo) -> Any:
    """A field's type together with its limits, which pydantic keeps apart."""
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _described(info: FieldInfo, default: Any = ...) -> Any:
    return Field(default, description=info.description, json_schema_extra=traits(info) or None)


def _or_null(info: FieldInfo) -> tuple[Any, Any]:
    if info.is_required():
        return _full_type(info), _described(info)
    return _full_type(info) | None, _described(info, info.get_default())


def _optional(info: FieldInfo) -> tuple[Any, Any]:
    """A required field may be left as it is, but there is no default to reset it to."""
    kind = _full_type(info)
    return (kind if info.is_required() else kind | None), _described(info, None)


def _one_project(values: dict[str, Any]) -> None:
    tenant = values.pop("tenant_id", None)
    if tenant is not None and values.setdefault("project_id", tenant) != tenant:
        raise Invalid("tenant_id", "differs from project_id, which is the same thing")


def _model(name: str, fields: Mapping[str, tuple[Any, Any]], base: type[Data] = Data) -> type[BaseModel]:
    return cast("type[BaseModel]", create_model(name, __base__=base, **cast("dict[str, Any]", dict(fields))))
