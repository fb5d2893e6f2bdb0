"""What changed since a file was written whole, noted behind one another in a second file: one wait for the disk each.

Each note is sealed, bound to the very file that it continues and to its place among the notes: none can be left out, repeated,
moved, or taken for one of another file. What a crash cut off was never said to be kept, and is where reading ends.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.files import replace_private

_NONCE: Final = 12
_SIZE: Final = 8
_PURPOSE: Final = b"ostiary last-good since\n"
# Room for so much is made at once: to write where a file has room takes the disk half as long as to make it longer.
_LEAST_ROOM: Final = 1024 * 1024
_MOST_ROOM: Final = 32 * 1024 * 1024


class Notes:
    """Those that continue one file, which `nonce` tells from others of its name. `room` is how many octets there are for them."""

    def __init__(self, file: Path, cipher: AESGCM, nonce: bytes) -> None:
        self._path = file.with_name(file.name + ".since")
        self._cipher = cipher
        self._of = nonce
        self._count = 0
        self._end = 0
        self.room = 0

    def begin(self, size: int) -> None:
        """Make room, the more the larger the file is that is to be written again when it is full. Raises `OSError`."""
        self.room = min(max(size // 4, _LEAST_ROOM), _MOST_ROOM)
        replace_private(self._path, bytes(self.room))

    def add(self, note: bytes) -> bool:
        """Put it on the disk; False when there is no room left. Raises `OSError`."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, note, self._place())
        record = len(sealed).to_bytes(_SIZE) + sealed
        if self._end + len(record) + _SIZE > self.room:
            return False
        handle = os.open(self._path, os.O_WRONLY)
        try:
            written = os.pwrite(handle, record, self._end)
            os.fdatasync(handle)
        finally:
            os.close(handle)
        if written != len(record):
            return False
        self._end += len(record)
        self._count += 1
        return True

    def read(self) -> list[bytes]:
        """All of them, in order, up to where they end or do not belong together any more."""
        found: list[bytes] = []
        with contextlib.suppress(FileNotFoundError, InvalidTag, ValueError):  # the last: too short for a nonce
            whole = self._path.read_bytes()
            while size := int.from_bytes(whole[self._end : self._end + _SIZE]):
                start = self._end + _SIZE
                sealed = whole[start : start + size]
                found.append(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._place()))
                self._end, self._count = start + size, self._count + 1
        return found

    def _place(self) -> bytes:
        return _PURPOSE + self._of + self._count.to_bytes(_SIZE)
