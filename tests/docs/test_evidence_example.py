"""The evidence pack in docs/examples is what the scripted month (`support.month`) gives; `make golden` rewrites it."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from ostiary import audit_verifier
from ostiary.ops import reports
from support.month import MINH, MONTH, a_month
from support.systems import sqlite_url

EXAMPLE: Final = Path(__file__).parents[2] / "docs/examples/evidence-2026-10"
SAID: Final = ("ostiary", "sequence", "at", "actor", "action", "kind", "resource_id")
LARGEST: Final = 400_000
# What is another each time: keys, and so all that is signed or hashed, and how long that is.
RANDOM: Final = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----(\\n|\n)?", re.DOTALL), "PEM"),
    (re.compile(r"-----BEGIN CERTIFICATE-----[^\"…]*…?"), "PEM"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA-256"),
    (re.compile(r"\b[0-9a-f]{36,40}\b"), "SERIAL"),
    (re.compile(r"[A-Za-z0-9+/]{86}=="), "SIGNATURE"),
    (re.compile(r'"size": \d+'), "SIZE"),
    (re.compile(r"</th><td>\d+</td><td><code>SHA-256"), "SIZE"),
    (re.compile(rf"\b{re.escape(version('ostiary'))}\b"), "VERSION"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    with a_month(sqlite_url(tmp_path_factory.mktemp("month"))) as month:
        content = b"".join(reports.make(month.system, MINH, MONTH))
    with zipfile.ZipFile(io.BytesIO(content)) as pack:
        yield {name: pack.read(name) for name in pack.namelist()}


def there() -> dict[str, bytes]:
    return {str(file.relative_to(EXAMPLE)): file.read_bytes() for file in EXAMPLE.rglob("*") if file.is_file()}


def settled(name: str, content: bytes) -> str:
    text = content.decode()
    if name == "record/audit.jsonl":  # who did what; not each field of a thing, of which there may be more by now
        entries = (json.loads(line) for line in text.splitlines())
        return "\n".join(str({key: entry.get(key) for key in SAID}) for entry in entries)
    for pattern, word in RANDOM:
        text = pattern.sub(word, text)
    return text


def is_the_same(one: dict[str, bytes], other: dict[str, bytes]) -> bool:
    return one.keys() == other.keys() and all(settled(name, one[name]) == settled(name, other[name]) for name in one)


def test_the_example_is_what_the_month_gives(made: dict[str, bytes], update_golden: bool) -> None:  # noqa: FBT001 (a fixture)
    if update_golden and not is_the_same(there(), made):  # keys are others each time, and that is no news
        shutil.rmtree(EXAMPLE, ignore_errors=True)
        for name, content in made.items():
            (EXAMPLE / name).parent.mkdir(parents=True, exist_ok=True)
            (EXAMPLE / name).write_bytes(content)
    found = there()
    assert found.keys() == made.keys()
    for name, content in sorted(made.items()):
        assert settled(name, found[name]) == settled(name, content), f"{name} is another now; look at it, and run: make golden"


def test_it_is_small_and_its_record_is_proven_by_the_verifier() -> None:
    found = there()
    assert sum(map(len, found.values())) < LARGEST
    assert audit_verifier.verify(found["record/audit.jsonl"].splitlines(keepends=True)).problem is None
