"""What an Envoy of `support.tiny_ads` tells of requests and connections, read as the keeper reads it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ostiary.envoy import records
from ostiary.envoy.records import FEED, Kind, Told
from ostiary.gateway.feed import Chunk
from ostiary.gateway.place import Place


class Tail:
    """Reads on in what the Envoy that runs in `folder` tells."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FEED
        self._place = 0
        self._told: list[Told] = []

    def told(self, kind: Kind) -> list[Told]:
        """All of this kind, in order. Raises `Invalid` for a line that is no record."""
        with self._file.open("rb") as file:
            file.seek(self._place)
            whole = file.read().rpartition(b"\n")
        self._place += len(whole[0]) + len(whole[1])
        self._told += map(records.read, filter(None, whole[0].split(b"\n")))
        return [one for one in self._told if one.kind == kind]


AT: Final = 1_763_892_000_000_000_000  # 2025-11-23T10:00Z


def line(kind: Kind, fields: Mapping[str, str | bytes], began: int = AT, listener_id: str = "l1") -> bytes:
    """One line as Envoy writes it, with its end."""
    if kind == "connection":
        values = [str(began), listener_id, "-", *(fields.get(name) for name in records.FIELDS["connection"]), str(began)]
        return _list(records.CONNECTION_FORM, values) + b"\n"
    plain = (fields.get(name, b"-") for name in records.FIELDS["request"])
    holder = _list(records.HOLDER_FORM, [*(fields.get(name) for name in records.HOLDER), fields.get("connection", "-")])
    parts = [records.REQUEST_FORM, str(began), listener_id, *plain, str(began), holder]
    return records.BETWEEN.encode().join(part if isinstance(part, bytes) else part.encode() for part in parts) + b"\n\n"


def chunk(*lines: bytes, number: int = 1, offset: int = 0, lost: int = 0) -> Chunk:
    """These lines, as if they had been read from there."""
    placed = []
    for one in lines:
        placed.append((offset, one.rstrip(b"\n")))
        offset += len(one)
    return Chunk(number, placed, Place(number, offset), lost)


def _list(form: str, values: list[str | bytes | None]) -> bytes:
    return b'{"%s":[%s]}' % (form.encode(), b",".join(map(_text, values)))


def _text(value: str | bytes | None) -> bytes:
    if value is None:
        return b"null"
    octets = value.encode() if isinstance(value, str) else value
    try:
        return json.dumps(octets.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:  # then Envoy escapes octet by octet
        plain = set(range(0x20, 0x7F)) - {*b'"\\'}
        return b'"%s"' % b"".join(bytes((one,)) if one in plain else b"\\u%04x" % one for one in octets)
