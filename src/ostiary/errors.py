"""What can go wrong, named for the caller's next move. Edges map these to their protocol; the core only raises them."""

import re
from collections.abc import Mapping
from typing import Final

# Somebody puts a key where something else belongs, and the refusal quotes it. Until its end, or that of what is quoted.
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-.*?(?:-END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)


class Refusal(Exception):
    """A request that was understood and is refused; `str()` of it is safe to show to whoever asked."""

    def __init__(self, message: str = "") -> None:
        super().__init__(_without_keys(message))


class NotFound(Refusal):
    """There is no such thing, or the caller may not know of it."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} not found.")


class Conflict(Refusal):
    """It clashes with something that exists: the message says with what. `field` is as in `Invalid`, or None."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field
        self.message = _without_keys(message)


class Invalid(Refusal):
    """A value that cannot be accepted. `field` is the name the caller used for it, dotted when nested."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = _without_keys(message)


class Overtaken(Conflict):
    """Somebody else changed it meanwhile. `changes` are theirs: by field, what it was and what it is."""

    def __init__(self, actor: str, changes: Mapping[str, tuple[object, object]]) -> None:
        super().__init__(f"{actor} has changed {', '.join(sorted(changes))} meanwhile; look at it, and send yours again.")
        self.actor = actor
        self.changes = dict(changes)


class Denied(Refusal):
    """The caller is known and may not do this. `action` is what their role does not allow, where it is that."""

    def __init__(self, message: str, action: str | None = None) -> None:
        super().__init__(message)
        self.action = action


class Unauthenticated(Refusal):
    """The caller did not show who they are."""


class TooLarge(Invalid):
    """More than we read of one request."""


class Unavailable(Refusal):
    """It cannot be done now; trying again later may help."""


class TooMany(Refusal):
    """Too many attempts in a short time; later there may be fewer."""


class Awaits(Refusal):
    """It was not done: another person has to agree first. `approval` is what waits for them, as it is shown.

    `is_alone`: nobody is here who might.
    """

    def __init__(self, approval_id: str, approval: Mapping[str, object], *, is_alone: bool = False) -> None:
        alone = (
            " Nobody is here who may: make tokens or users for two people (`ostiary token create --role admin --name NAME`); "
            "then one of them asks, and the other one agrees."
        )
        super().__init__(
            f"Not done yet: another person has to agree. It waits as approval {approval_id}. They look at it in the console, or "
            f"with `ostiary approval show {approval_id}`, and agree with `ostiary approval approve {approval_id}`."
            f"{alone if is_alone else ''}"
        )
        self.approval_id = approval_id
        self.approval = approval


def _without_keys(message: str) -> str:
    """What is said is answered, written and kept in many places: no private key may be in it."""
    return _PRIVATE_KEY.sub("(a private key)", message) if "PRIVATE KEY-" in message else message
