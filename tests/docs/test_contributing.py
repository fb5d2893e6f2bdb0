"""What a developer can type is written down, and what is written down can be typed."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
TARGETS = set(re.findall(r"^\.PHONY: ([a-z]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"tools"}  # Part of `test`.


def test_every_make_target_is_documented() -> None:
    assert {target for target in TARGETS if f"`make {target}`" not in CONTRIBUTING} == set()


def test_every_documented_target_exists() -> None:
    assert set(re.findall(r"`make ([a-z]+)", CONTRIBUTING)) - TARGETS == set()


def test_every_decision_is_listed() -> None:
    decisions = ROOT / "docs/decisions"
    listed = (decisions / "README.md").read_text()
    assert [path.name for path in decisions.glob("0*.md") if f"]({path.name})" not in listed] == []


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    links = [(document, link) for document in documents for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", document.read_text())]
    assert [f"{document.name}: {link}" for document, link in links if not (document.parent / link).exists()] == []
