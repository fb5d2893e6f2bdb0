"""Who asks, and what they may do."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ostiary.errors import Denied

# What each role may do. Actions are `noun:verb`, rules are patterns of them, and one with a `-` before it forbids; of all rules
# that fit, the longest decides.
ROLES: dict[str, frozenset[str]] = {
    "admin": frozenset({"*"}),
    # Everything that happens from day to day: not who signs what, not keys, and not who may come to the API. So whoever makes a
    # request that needs another person's approval can be told from that person.
    "operator": frozenset(
        {
            "*",
            "-authority:*",
            "authority:read",
            "-profile:*",
            "profile:read",
            "-token:access",
            "-user:*",
            "user:read",
            "-session:others",
            "-settings:*",
            "settings:read",
            # Where it is told what we warn of, networks of ours among it.
            "-notification-target:*",
            "notification-target:read",
            "-break-glass:*",
            "break-glass:read",
            "-secret:decrypt",
            "-backup:*",
        }
    ),
    # Signing in and out, and signing a review off, changes nothing of what they look at.
    "auditor": frozenset(
        {
            "*:read",
            "audit:*",
            "break-glass:review",
            "review:create",
            "session:begin",
            "session:end",
            "sign-in-link:create",
        }
    ),
    # A program that asks for numbers, and whose token lies on another machine.
    "monitor": frozenset({"metrics:read"}),
    # Not people: whoever shows a grant, and whoever shows the certificate that is to be renewed.
    "enrolling": frozenset({"certificate:enroll"}),
    "holder": frozenset({"certificate:renew"}),
}


@dataclass(frozen=True)
class Clearance:
    """Who agreed that something is done which somebody else asked for. It is believed only as far as the store says the same."""

    approval_id: str
    approver: "Caller"
    reason: str = ""


@dataclass(frozen=True)
class Caller:
    """Who asks: proven by the edge that let them in. `source` is their address; `session_id` that of the session they are in.

    `credential` is what they showed: `admin-token`, or `token:`, `session:`, `link:`, `certificate:` and which; never a secret.
    `justification` is what they say of why, where another person has to agree; `clearance` that one did (`ops.approvals`).
    """

    name: str
    role: str
    source: str = ""
    request_id: str = ""
    session_id: str | None = field(default=None, compare=False)
    credential: str = field(default="", compare=False)
    justification: str = field(default="", compare=False)
    clearance: Clearance | None = field(default=None, compare=False, repr=False)

    def must(self, action: str) -> None:
        """Raises `Denied` unless this caller may do that."""
        fitting = [rule for rule in ROLES.get(self.role, ()) if fnmatchcase(action, rule.removeprefix("-"))]
        if not fitting or max(fitting, key=_weight).startswith("-"):
            raise Denied(f"{self.name} ({self.role}) may not {action}.", action)


def _weight(rule: str) -> tuple[int, bool]:
    forbids = rule.startswith("-")
    return len(rule) - forbids, forbids


SYSTEM = Caller(name="ostiary", role="admin", source="local")
