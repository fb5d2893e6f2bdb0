"""What every way to send the access record has in common: what is sent, how it fails, and whom to trust."""

import json
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from ostiary.errors import Invalid
from ostiary.gateway import terms
from ostiary.recording import Target

PATIENCE: Final = 10.0  # seconds, for each step: connecting, writing, an answer
_LARGEST_FILE: Final = 1024 * 1024
_SHORT: Final = 64  # characters of a text, where all of them are too much

Sent = Mapping[str, Any]
"""One entry of the record, with its `log.record.uid`."""


class Failed(Exception):
    """It could not be sent now. The message is ours, and quotes nobody. `again_in` is when they want it again, in seconds."""

    def __init__(self, why: str, again_in: float | None = None) -> None:
        super().__init__(why)
        self.again_in = again_in


class Sender(Protocol):
    """One way to one target; for one thread."""

    def send(self, entries: Sequence[Sent]) -> int:
        """Send them in their order; how many of them the target will never take. Raises `Failed` when it is to be tried again."""

    def close(self) -> None:
        """Hang up."""


def trust(target: Target) -> ssl.SSLContext | None:
    """How to speak TLS to the target; None where it is not spoken. Raises `Invalid` for a file that cannot be used."""
    if not target.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=target.ca_file)
    except (OSError, ssl.SSLError) as err:
        raise Invalid("--access-log-export", f"the authorities in {target.ca_file} cannot be read: {why(err)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if target.certificate_file is not None:
        try:
            # A passphrase would be asked for at a terminal that a keeper does not have.
            context.load_cert_chain(target.certificate_file, target.key_file, password=lambda: "")
        except (OSError, ssl.SSLError, ValueError) as err:
            words = f"the certificate in {target.certificate_file} cannot be used: {why(err)}; its key must have no passphrase"
            raise Invalid("--access-log-export", words) from None
    return context


def content(file: Path) -> bytes:
    """A small file that people wrote. Raises `Invalid`."""
    try:
        with file.open("rb") as handle:
            read = handle.read(_LARGEST_FILE + 1)
    except OSError as err:
        raise Invalid("--access-log-export", f"{file} cannot be read: {err.strerror}") from None
    if len(read) > _LARGEST_FILE:
        raise Invalid("--access-log-export", f"{file} is larger than {_LARGEST_FILE // 1024} KiB")
    return read


def why(error: Exception) -> str:
    """What went wrong with a file or a connection, without quoting the other side."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE:g} s"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke"


def as_json(entry: Sent, limit: int) -> bytes:
    """One line of ASCII. What is longer than `limit` says less, and that it does: whoever is recorded must not decide whether."""
    text = _dumped(entry)
    if len(text) <= limit:
        return text
    shorter = {name: value for name, value in entry.items() if name != terms.CERTIFICATE} | {terms.SHORTENED: True}
    text = _dumped(shorter)
    if len(text) <= limit:
        return text
    return _dumped({name: value[:_SHORT] if _may_be_cut(name, value) else value for name, value in shorter.items()})


def _may_be_cut(name: str, value: Any) -> bool:
    return isinstance(value, str) and name != terms.UID


def _dumped(entry: Sent) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode("ascii")
