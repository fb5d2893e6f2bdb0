"""What can be asked of a request: small questions, and how they are put together.

Each is asked in two places that have to agree: by the engine, in its own terms (`envoy.matchers`), and by us (`access.judge`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

# What is noted of the certificate after the handshake, and what the request itself says. `trust_revision` is the listener's when
# the connection was opened, with zeros before it (`patterns.less_than`).
Noted = Literal["fingerprint", "issuer_fingerprint", "serial", "subject", "dns", "uri", "email", "trust_revision"]
Said = Literal["host", "path", "method", "origin", "access-control-request-method"]


@dataclass(frozen=True)
class Is:
    """A text is this one, to the letter."""

    of: Noted | Said
    value: str


@dataclass(frozen=True)
class Matches:
    """A text is, as a whole, what a regular expression describes; in what RE2 and Python understand alike (`patterns`)."""

    of: Noted | Said
    pattern: str


@dataclass(frozen=True)
class Member:
    """The certificate is in a group, or of a profile, by its token (`members`)."""

    token: str


@dataclass(frozen=True)
class Within:
    """The client connects from one of these networks."""

    networks: tuple[str, ...]


@dataclass(frozen=True)
class During:
    """It is not earlier than the one time and not later than the other, where they are given."""

    not_before: datetime | None
    not_after: datetime | None


@dataclass(frozen=True)
class Every:
    """All of these hold; nothing asked is nothing failed."""

    of: "tuple[Condition, ...]"


@dataclass(frozen=True)
class Some:
    """At least one of these holds."""

    of: "tuple[Condition, ...]"


@dataclass(frozen=True)
class No:
    """This does not hold; also where there is no such text."""

    of: "Condition"


Condition: TypeAlias = Is | Matches | Member | Within | During | Every | Some | No


@dataclass(frozen=True)
class Decision:
    """What becomes of a request, and why; a rule when it was one that decided."""

    allowed: bool
    code: str
    rule_id: str | None = None

    @property
    def name(self) -> str:
        """As the engine writes it into its log."""
        return f"{self.code}:{self.rule_id}" if self.rule_id else self.code


@dataclass(frozen=True)
class Check:
    """One step: what it is about, in words, as a condition, and what follows where that holds.

    Of what refuses, the words say what it should be; of a rule or an exception, which one it is.
    """

    about: str
    when: Condition
    then: Decision


@dataclass(frozen=True)
class Checks:
    """Steps in order; the first whose condition holds decides."""

    steps: tuple[Check, ...]
    otherwise: Decision
