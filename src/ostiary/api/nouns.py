"""The bodies and replies of a noun, derived from its model: a new field of the model is in all of them, and in /openapi.json."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from ostiary.api.bodies import decode
from ostiary.errors import Invalid
from ostiary.model.fields import Data, Private, Text, traits
from ostiary.model.resource import Resource

R = TypeVar("R", bound=Resource)

Extra = Mapping[str, tuple[Any, Any]]  # as create_model takes them: name → (type, default or Field)
ProvisioningStatus = Literal["ACTIVE", "PENDING_CREATE", "PENDING_UPDATE", "ERROR"]


class Id(Data):
    """A reference to another resource, as OpenStack writes it."""

    id: str


def _nothing(value: Any) -> None:
    if value not in (None, [], {}, "", False):
        raise ValueError("is not supported")


# What OpenStack clients always send and we do not have: fine while it is empty.
NotSupported = Annotated[Any, AfterValidator(_nothing)]
NOT_SUPPORTED: Final = (NotSupported, Field(None, description="Accepted when empty, for OpenStack clients."))


@dataclass(frozen=True)
class Noun(Generic[R]):
    """A resource as the API shows it.

    `given` are fields of the creation body that the model does not have, `given_later` those of the update body,
    `shown` those that a reply adds.
    """

    one: str
    many: str
    model: type[R]
    given: Extra = field(default_factory=dict)
    given_later: Extra = field(default_factory=dict)
    shown: Extra = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    @cached_property
    def creation(self) -> type[BaseModel]:
        """The body that creates one: every field that is not derived. Null is the same as left out."""
        fields = {name: _or_null(info) for name, info in self._given() if not traits(info).get("derived")}
        tenant = (Text | None, Field(None, description="The older name of project_id.", deprecated=True))
        return _wrapped(f"New{self._title}", self.one, {**fields, "tenant_id": tenant, **self.given})

    @cached_property
    def update(self) -> type[BaseModel]:
        """The body that changes one: every field that is neither fixed nor derived, each optional. Null resets to the default."""
        fields = {name: _optional(info) for name, info in self._given() if not _settled(info)}
        return _wrapped(f"{self._title}Changes", self.one, {**fields, **self.given_later})

    @cached_property
    def item(self) -> type[BaseModel]:
        """One, as it is shown."""
        shown: dict[str, tuple[Any, Any]] = {name: (info.annotation, _described(info)) for name, info in self._public()}
        tenant = (str, Field(description="The older name of project_id."))
        return _model(self._title, {**shown, "tenant_id": tenant, **self.shown})

    @cached_property
    def reply(self) -> type[BaseModel]:
        """The reply that shows one."""
        return _model(f"{self._title}Reply", {self.one: (self.item, ...)})

    @cached_property
    def list_reply(self) -> type[BaseModel]:
        """The reply that lists them."""
        links = (tuple[Link, ...], Field(description="Where the pages before and after this one are."))
        return _model(f"{self._title}List", {self.many: (tuple[self.item, ...], ...), f"{self.many}_links": links})

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The names a caller may filter, sort by, or choose to see."""
        return frozenset(name for name, _ in self._public())

    def decode_new(self, raw: bytes) -> tuple[R, dict[str, Any]]:
        """What to create, and the `given` fields beside it. Raises `Invalid`."""
        return self.new_from(getattr(decode(raw, self.creation, self._why_not_new), self.one))

    def new_from(self, body: BaseModel) -> tuple[R, dict[str, Any]]:
        """What to create, from a decoded `creation`."""
        values = _given_values(body)
        _one_project(values, self.one)
        own = {name: value for name, value in values.items() if name in self.model.model_fields}
        return self.model(**own), {name: value for name, value in values.items() if name in self.given}

    def decode_changes(self, raw: bytes) -> dict[str, Any]:
        """What to change: only what was given, None for what goes back to its default. Raises `Invalid`."""
        body = getattr(decode(raw, self.update, self._why_not_later), self.one)
        return {name: getattr(body, name) for name in body.model_fields_set if name not in self.given_later}

    def show(self, thing: R) -> dict[str, Any]:
        """The model's part of a reply, times still as times."""
        values = thing.model_dump(mode="json", include=set(self.attributes))
        times = {name: value for name, value in thing if isinstance(value, datetime) and name in self.attributes}
        return {**values, **times, "tenant_id": thing.project_id}

    def _given(self) -> Iterable[tuple[str, FieldInfo]]:
        return ((name, info) for name, info in self.model.model_fields.items() if info.annotation is not Private)

    def _public(self) -> Iterable[tuple[str, FieldInfo]]:
        return ((name, info) for name, info in self._given() if name not in self.hidden)

    @property
    def _title(self) -> str:
        return self.model.__name__

    @cached_property
    def _why_not_new(self) -> dict[str, str]:
        return {name: "is set by ostiary" for name, info in self.model.model_fields.items() if traits(info).get("derived")}

    @cached_property
    def _why_not_later(self) -> dict[str, str]:
        fixed = {name: "cannot be changed" for name, info in self.model.model_fields.items() if traits(info).get("fixed")}
        return {**fixed, "tenant_id": "cannot be changed", **self._why_not_new}


class Link(Data):
    """Where another page of a list is."""

    rel: Literal["next", "previous"]
    href: str


def openstack_time(at: datetime) -> str:
    """`2017-02-28T00:42:44`, as OpenStack writes times; always UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def zulu_time(at: datetime) -> str:
    """`2017-02-28T00:42:44Z` (RFC 3339)."""
    return f"{openstack_time(at)}Z"


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


def _given_values(body: BaseModel) -> dict[str, Any]:
    return {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}


def _one_project(values: dict[str, Any], one: str) -> None:
    tenant = values.pop("tenant_id", None)
    if tenant is not None and values.setdefault("project_id", tenant) != tenant:
        raise Invalid(f"{one}.tenant_id", "differs from project_id, which is the same thing")


def _model(name: str, fields: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    return cast("type[BaseModel]", create_model(name, __base__=Data, **cast("dict[str, Any]", dict(fields))))


def _wrapped(name: str, one: str, fields: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    return _model(f"{name}Body", {one: (_model(name, fields), ...)})
