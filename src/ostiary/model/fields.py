"""How a setting is described: once, here, for validation, storage, API schema, command line and form alike.

A field's metadata (`setting(...)`) says who may set it and when:

* default: given at creation, changed later
* `fixed`: given at creation, never changed
* `derived`: ours to say; a caller may never give it
"""

import ipaddress
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

MILLISECONDS_MAX: Final = 2_073_600_000  # 24 days; Octavia's own limit.


class Data(BaseModel):
    """Frozen, complete, and strict about what it does not know."""

    # Deferred: made when it is first used. Most processes use a few of the several hundred shapes there are.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True)


def setting(  # noqa: PLR0913 (each is named where it is given)
    default: Any = ...,
    description: str = "",
    *,
    fixed: bool = False,
    derived: bool = False,
    advanced: bool = False,
    unit: str | None = None,
    label: str | None = None,
    group: str | None = None,
    needs: Literal["tls", "requests"] | None = None,
    **limits: Any,
) -> Any:
    """Describe one field; `limits` go to pydantic (`ge`, `le`, `max_length`, …).

    `label` is what people call it, where its name with spaces does not say so; `group` is with which others it stands in a form.
    What `needs` something only a listener has that terminates TLS, or that understands requests.
    """
    extra: dict[str, Any] = {}
    if fixed:
        extra["fixed"] = True
    if derived:
        extra["derived"] = True
    if advanced:
        extra["advanced"] = True
    if unit:
        extra["unit"] = unit
    extra |= {name: text for name, text in (("label", label), ("group", group), ("needs", needs)) if text}
    return Field(default, description=description, json_schema_extra=extra or None, **limits)


def traits(field: FieldInfo) -> dict[str, Any]:
    """The metadata that `setting` attached to a field."""
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text


def _ip_address(text: str) -> str:
    if "%" in text:
        raise ValueError(f"'{text}' has a zone, which is not supported")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"'{text}' is not an IP address") from None


def _cidr(text: str) -> str:
    if "%" in text:
        raise ValueError(f"'{text}' has a zone, which is not supported")
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"'{text}' is not a network such as 192.0.2.0/24: {error}") from None


Text = Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(_printable)]
Port = Annotated[int, Field(ge=1, le=65535)]
Milliseconds = Annotated[int, Field(ge=0, le=MILLISECONDS_MAX)]
IPAddress = Annotated[str, AfterValidator(_ip_address)]
CIDR = Annotated[str, AfterValidator(_cidr)]
Tags = Annotated[tuple[Text, ...], Field(max_length=100)]


class Private(bytes):
    """Bytes that must not be seen: every way of printing them shows a placeholder (compare Envoy Gateway's PrivateBytes)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<private>"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "<private>"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        """Only a `Private` will do, and no form of serialization includes it."""
        return core_schema.is_instance_schema(cls, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: None))
