"""What there is to translate, and what has been: every sentence that a page can show: from templates, code, models.

python -m support.catalogue vi            # what is missing, in PO form, to be filled in and put into a file of locale/vi
python -m support.catalogue vi --tidy     # drops what no page says any more, and what is translated twice
"""

import ast
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po
from pydantic import BaseModel

from ostiary.access import reasons
from ostiary.console import differences, forms
from ostiary.console.deeds import SORTS
from ostiary.model import resource
from ostiary.model.fields import Private, traits
from ostiary.pki import door_words
from ostiary.web.words import CATALOGUES

SOURCE: Final = Path(forms.__file__).parents[1]
# What refuses says why, in words for people. Which argument that is.
REFUSALS: Final = {
    "Invalid": 1,
    "TooLarge": 1,
    "Conflict": 0,
    "Decided": 0,
    "Denied": 0,
    "Unavailable": 0,
    "TooMany": 0,
    "Unauthenticated": 0,
}

# Said in a terminal, at a start that fails, or to programs.
NOT_ON_PAGES: Final = (
    *("api/", "cli/", "gateway/", "demo/", "holder/", "xds/"),
    *(
        "home.py",
        "paths.py",
        "serve.py",
        "up.py",
        "holding.py",
        "settings.py",
        "signers.py",
        "ops/start.py",
        "ops/house_doors.py",
        "ops/enrolment.py",
    ),
    *("store/engine.py", "store/rows.py", "ops/batches.py", "ops/ocsp.py", "ops/idempotency.py", "store/idempotency.py"),
    *("pki/ocsp.py", "pki/kek.py", "pki/sealing.py", "ops/enrolling.py", "recording.py", "envoy/records.py"),
    *("restoring.py", "ops/restoring.py", "ops/recall.py", "ops/backups.py", "store/dump.py", "pki/sealed_stream.py"),
)

# What else is said deep within and shown on pages: the sentences in these files.
SPOKEN: Final = (
    *("access/words.py", "pki/door_words.py", "ops/rehearsals.py", "ops/what_if.py", "pki/authority_warnings.py"),
    *("ops/explained.py", "ops/access.py", "ops/denials.py"),
)
# What checks are called and what they see, which are no whole sentences: all texts of these functions that have several words.
NOTED: Final = {
    "pki/door_words.py": ("passed", "_purposes", "key", "flaw"),
    "pki/door.py": ("_faults", "_stopped", "_count", "_checks"),
    "access/reasons.py": ("why_not", "_when"),
    "access/judge.py": ("_before",),
    "access/policy.py": ("_without", "_names", "_crooked", "_authority", "_exception", "_elsewhere", "step"),
    "ops/explained.py": ("_network", "_path", "_outcomes"),
    "ops/chain.py": ("begun", "followed", "ended", "unlike", "_headed"),
    "ops/verifying.py": ("_begun",),
}
_KINDS: Final = ("host", "path", "method", "sni", "origin", "access-control-request-method")
_PURPOSES: Final = (
    "its extended key usages do not include clientAuth",
    "extended key usage anyExtendedKeyUsage, which the engine does not take for clientAuth",
)

_METHODS: Final = [("**/templates/console/**.html", "jinja2"), ("**/templates/**.html", "jinja2"), ("**.py", "python")]
_KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "say_many": (1, 2)}
_FORMS: Final = re.compile(r"forms\.(?:made|decoded)\(\s*visit,\s*(\w+)")

Key = str | tuple[str, str]


@dataclass
class Wanted:
    """Sentences by where they are said. Those of refusals have `{0}`, `{1}`, … where facts stand."""

    places: dict[Key, set[str]] = field(default_factory=dict)

    def add(self, key: Key, place: str) -> None:
        if key and key != ("", ""):
            self.places.setdefault(key, set()).add(place)


def wanted() -> Wanted:
    """All there is to translate."""
    found = Wanted()
    for name, _line, message, _comments, _context in extract_from_dir(
        str(SOURCE), method_map=_METHODS, keywords=_KEYWORDS, options_map={"**.html": {"trimmed": "true", "silent": "false"}}
    ):
        found.add(message if isinstance(message, str) else (str(message[0]), str(message[1])), name)
    for model in models():
        for name, info in model.model_fields.items():
            if traits(info).get("derived"):
                continue
            found.add(str(traits(info).get("label") or name.replace("_", " ").capitalize()), f"model {model.__name__}")
            found.add(info.description or "", f"model {model.__name__}")
    for text in forms.CHOICES.values():
        found.add(text, "console/forms.py")
    for text, place in (*refusals(), *spoken(), *noted(), *recorded()):
        found.add(text, place)
    return found


def models() -> list[type[BaseModel]]:
    """Those that the console has forms of."""
    found: dict[str, type[BaseModel]] = {}
    for file in sorted((SOURCE / "console").glob("*.py")):
        names = set(_FORMS.findall(file.read_text()))
        module = importlib.import_module(f"ostiary.console.{file.stem}") if names else None
        found |= {
            name: thing
            for name in names
            if isinstance(thing := getattr(module, name, None), type) and issubclass(thing, BaseModel)
        }
    return list(found.values())


def recorded() -> Iterator[tuple[str, str]]:
    """What the record calls the fields of whatever may be in it, those that nobody sets among them."""
    left = [sort.model for sort in SORTS.values() if sort.model is not None]
    for model in left:
        for name, info in model.model_fields.items():
            if name in resource.NOTED or info.annotation is Private:
                continue
            yield differences.title(model, name), f"record of {model.__name__}"
            inner = differences.model_of(model, name)
            if inner is not None and inner not in left:
                left.append(inner)


def refusals() -> Iterator[tuple[str, str]]:
    """Why something is refused, wherever that is said: the sentences, with `{0}` for the first fact in them, and so on."""
    for file in sorted(SOURCE.rglob("*.py")):
        place = str(file.relative_to(SOURCE))
        if place.startswith(NOT_ON_PAGES):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            position = REFUSALS.get(node.func.id, 0 if node.func.id == "ValueError" and place.startswith("model/") else None)
            if position is not None and len(node.args) > position:
                yield from ((text, place) for text in _texts(node.args[position]))


def spoken() -> Iterator[tuple[str, str]]:
    """Sentences that refuse nothing: all texts of a file that end like one, but for what describes the code."""
    for place in SPOKEN:
        tree = ast.parse((SOURCE / place).read_text())
        described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and id(node) not in described | within:
                yield from ((text.strip(), place) for text in _texts(node) if " " in text and text.endswith((".", "?")))


def noted() -> Iterator[tuple[str, str]]:
    """What checks are called and what they see, as Explain shows it."""
    for place, functions in NOTED.items():
        tree = ast.parse((SOURCE / place).read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name in functions:
                yield from ((text, place) for text in _several_words(function) if not _is_only_facts(text))
    yield from ((text, "pki/door.py") for text in ("none", "none, and none is demanded"))
    for text in door_words._SAID.values():
        for one in {text.replace("{purposes}", purpose).replace("{why}", why) for purpose in _PURPOSES for why in ("", "{why}")}:
            yield _numbered(one), "pki/door_words.py"
    for name in (*reasons._NAMES.values(), *(f"the {kind}" for kind in _KINDS)):
        yield from ((f"{name}: {what}", "access/reasons.py") for what in ("{0}", "none"))


def _several_words(function: ast.FunctionDef) -> Iterator[str]:
    described = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Expr)}
    within = {id(part) for node in ast.walk(function) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(function):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in described | within:
            yield from (text for text in _texts(node) if " " in text)


def _is_only_facts(text: str) -> bool:
    return not re.sub(r"\{\d+\}|[\W\d_]", "", text) or text in {"the {0}", "{0}: none"}


def _numbered(text: str) -> str:
    """`{who} expired` as `{0} expired`: in the order in which they stand there."""
    names = list(dict.fromkeys(re.findall(r"\{([a-z_]+)\}", text)))
    return re.sub(r"\{([a-z_]+)\}", lambda found: f"{{{names.index(found[1])}}}", text)


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield _numbered(node.value)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        count, text = 0, ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
            else:
                text, count = f"{text}{{{count}}}", count + 1
        if any(character.isalpha() for character in re.sub(r"\{\d+\}", "", text)):
            yield text


def translated(language: str) -> dict[Path, Catalog]:
    """The catalogues of a language, by file."""
    found = {}
    for file in sorted((CATALOGUES / language).glob("*.po")):
        with file.open("rb") as opened:
            found[file] = read_po(opened, locale=language, abort_invalid=True)
    return found


def keys(catalogue: Catalog) -> list[Key]:
    """What a catalogue translates."""
    return [_key(message.id) for message in catalogue if message.id]


def _key(message_id: object) -> Key:
    return (str(message_id[0]), str(message_id[1])) if isinstance(message_id, tuple | list) else str(message_id)


def missing(language: str) -> dict[Key, set[str]]:
    """What nobody has translated yet."""
    every = [one for catalogue in translated(language).values() for one in catalogue]
    done = {_key(one.id) for one in every if one.id and one.string and not one.fuzzy}
    return {key: places for key, places in wanted().places.items() if key not in done and _first(key) not in done}


def _first(key: Key) -> Key:
    return key[0] if isinstance(key, tuple) else key


def tidy(language: str) -> None:
    """Drop what no page says any more; of what is in two files, the second."""
    still, seen = wanted().places, Counter[Key]()
    for file, catalogue in translated(language).items():
        for key in keys(catalogue):
            seen[key] += 1
            if key not in still or seen[key] > 1:
                catalogue.delete(key)
        written = BytesIO()
        write_po(written, catalogue, width=120, omit_header=False, sort_output=False, ignore_obsolete=True, include_lineno=False)
        file.write_bytes(written.getvalue())


def main() -> None:
    """What is said above."""
    language = sys.argv[1]
    if "--tidy" in sys.argv:
        tidy(language)
    lacking = Catalog(locale=language, charset="utf-8")
    for key, places in sorted(missing(language).items(), key=lambda one: (min(one[1]), str(one[0]))):
        lacking.add(key, locations=[(place, 0) for place in sorted(places)[:2]])
    write_po(sys.stdout.buffer, lacking, width=120, omit_header=True, include_lineno=False)
    print(f"# {len(lacking)} of {len(wanted().places)} are missing", file=sys.stderr)  # noqa: T201 (a chore prints)


if __name__ == "__main__":
    main()
