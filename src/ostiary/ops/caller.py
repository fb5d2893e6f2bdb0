"""Who asks, and what they may do."""

from dataclasses import dataclass

from ostiary.errors import Denied

# What each role may do: actions are `noun:verb`; a role with `*` may do everything.
ROLES: dict[str, frozenset[str]] = {"admin": frozenset({"*"})}


@dataclass(frozen=True)
class Caller:
    """Who asks: proven by the edge that let them in. `source` is their address."""

    name: str
    role: str
    source: str = ""
    request_id: str = ""

    def must(self, action: str) -> None:
        """Raises `Denied` unless this caller may do that."""
        allowed = ROLES.get(self.role, frozenset())
        if "*" not in allowed and action not in allowed:
            raise Denied(f"{self.name} ({self.role}) may not {action}.")


SYSTEM = Caller(name="ostiary", role="admin", source="local")
