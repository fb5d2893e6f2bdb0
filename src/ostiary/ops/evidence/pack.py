"""A pack as a ZIP file, written as it is read: each section as CSV and JSON, a page for people, the record, and a manifest.

Nothing of it is whole in memory. The JSON of a section waits in a temporary file while its CSV is sent, for a ZIP file has one
entry after the other. The manifest has the SHA-256 of each file, and the record has that of the manifest.
"""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, Final

from ostiary.ops.evidence.section import Row, Scope, Section
from ostiary.web import spreadsheet

SHOWN: Final = 50  # rows of a section that the page shows
_LONG: Final = 500  # characters of one cell that the page shows
_IN_MEMORY: Final = 2**20
_CHUNK: Final = 2**16
_LINKED: Final = ("audit_sequences", "audit_hashes")


@dataclass
class Written:
    """One file of the pack, as the manifest lists it."""

    name: str
    sha256: str
    size: int


@dataclass
class Summary:
    """A section as the page shows it: its first rows, and how many there are."""

    section: Section
    rows: list[Row] = field(default_factory=list)
    count: int = 0


class Archive:
    """A ZIP file that is taken away in pieces while it is written."""

    def __init__(self, at: datetime) -> None:
        self._out = _Out()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]  # only written to
        self._time = at.astimezone(UTC).timetuple()[:6]
        self.files: list[Written] = []

    def add(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Write a file; yields what of the ZIP file is ready."""
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name, self._time)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        with self._zip.open(info, "w", force_zip64=True) as entry:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                entry.write(chunk)
                yield from self._out.taken()
        self.files.append(Written(name, digest.hexdigest(), size))
        yield from self._out.taken()

    def close(self) -> Iterator[bytes]:
        """The end of the ZIP file."""
        self._zip.close()
        yield from self._out.taken()


class _Out:
    """What `zipfile` writes to: a file that cannot be gone back in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def taken(self) -> Iterator[bytes]:
        """What was written since."""
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)


def written(archive: Archive, scope: Scope, section: Section, summary: Summary) -> Iterator[bytes]:
    """Put a section into the archive, as CSV and as JSON, and note its first rows."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as aside:
        yield from archive.add(f"sections/{section.name}.csv", _csv(scope, section, summary, aside))
        aside.seek(0)
        yield from archive.add(f"sections/{section.name}.json", iter(lambda: aside.read(_CHUNK), b""))


def _csv(scope: Scope, section: Section, summary: Summary, aside: IO[bytes]) -> Iterator[bytes]:
    names = [column.name for column in section.columns]
    head = {"section": section.name, "title": section.title, "about": section.about, "source": section.source}
    aside.write(json.dumps(head, ensure_ascii=False, indent=1)[:-2].encode() + b',\n "rows": [')
    yield spreadsheet.line([*names, *_LINKED]).encode()
    separator = b"\n"
    for page in section.rows(scope):
        lines = []
        for row in page:
            lines.append(spreadsheet.line([*(_flat(row.values.get(name)) for name in names), *_linked(row)]))
            aside.write(separator + _as_json(names, row))
            separator = b",\n"
        summary.rows += page[: max(0, SHOWN - len(summary.rows))]
        summary.count += len(page)
        yield "".join(lines).encode()
    aside.write(b"\n]}\n")


def _linked(row: Row) -> tuple[str, str]:
    return " ".join(str(one.sequence) for one in row.links), " ".join(one.hash for one in row.links)


def _flat(value: Any) -> Any:
    """A value that fits into one cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    if isinstance(value, str):
        return _moment(value) or value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else value


def _as_json(names: Iterable[str], row: Row) -> bytes:
    told = {name: _plain(row.values.get(name)) for name in names}
    told["audit"] = [{"sequence": one.sequence, "hash": one.hash} for one in row.links]
    return json.dumps(told, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return list(value) if isinstance(value, tuple) else value


def cell(value: Any) -> str:
    """A value as the page shows it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    flat = _flat(value)
    if isinstance(flat, datetime):
        return cell(flat)
    text = str(flat)
    return text if len(text) <= _LONG else f"{text[:_LONG]}… (whole in the files)"


def _moment(text: str) -> datetime | None:
    """A time as the record writes it."""
    if not (19 < len(text) < 40 and text[4:5] == "-" and text[10:11] == "T"):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
