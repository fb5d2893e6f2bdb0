"""Look for secrets where they must not be, in whatever form they may have been written."""

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@dataclass
class Watcher:
    """Looks at the arguments of every process on the machine, over and over."""

    seen: set[bytes] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(file.read_bytes())
                except OSError:
                    continue  # it has ended


def forms(secret: bytes) -> set[bytes]:
    """A secret as it may be written: as it is, hexadecimal, and base64 wherever it begins within what was encoded."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # The first and last letters also hold bits of what stands around.
        inner = encoded[4 if before else 0 :].rstrip(b"=")[:-2]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def key_forms(pem: bytes, passphrase: bytes | None = None) -> set[bytes]:
    """A private key in every form. All its encodings hold its number; what else they hold is public."""
    key = load_pem_private_key(pem, passphrase)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    return forms(number.to_bytes(32)) | {str(number).encode()}


def hidden_in(text: bytes, wanted: set[bytes]) -> bool:
    # PEM and MIME break lines, and JSON writes each break as two characters, or as three within JSON.
    whole = re.sub(rb"\s|\\+[nr]", b"", text)
    return any(secret in text or secret in whole for secret in wanted)
