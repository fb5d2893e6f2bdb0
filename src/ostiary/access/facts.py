"""What is known of a request when it is decided about: the same texts that the engine has."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ostiary.access.patterns import padded


@dataclass(frozen=True)
class Holder:
    """What the handshake noted of a certificate, as the engine prints it. Names of one kind are joined by commas.

    `issuer_fingerprint` is that of the verified issuer. `entry` are its groups and profile (`members.entry`).
    `is_verified` is false only in a rehearsal, where certificates are let through that the handshake would refuse. `is_unclean`:
    one of its names holds a sign that separates names.
    """

    fingerprint: str
    issuer_fingerprint: str
    serial: str
    subject: str
    not_after: datetime
    dns: str = ""
    uri: str = ""
    email: str = ""
    entry: str = ","
    is_verified: bool = True
    is_unclean: bool = False


@dataclass(frozen=True)
class Request:
    """One request. `host` and `path` are as they reach us; `path` with its query, made plain as the engine does."""

    host: str
    at: datetime
    path: str = "/"
    method: str = "GET"
    source: str = "127.0.0.1"
    sni: str = ""
    holder: Holder | None = None
    headers: dict[str, str] = field(default_factory=dict)
    trust_revision: int | None = None  # of the listener when the connection was opened; None: as it is now

    def text(self, of: str) -> str | None:
        """A text by its name in `conditions`; None where there is none."""
        if of in _SAID:
            return str(getattr(self, of)) if of in _OWN else self.headers.get(of)
        if of == "trust_revision":
            return None if self.holder is None or self.trust_revision is None else padded(self.trust_revision)
        return None if self.holder is None else str(getattr(self.holder, of))


_OWN: Final = ("host", "path", "method")
_SAID: Final = (*_OWN, "origin", "access-control-request-method")
