"""SVG as text: elements, and words within them that may hold anything."""

import re
import unicodedata
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

_LONGEST: Final = 200  # characters of a label
# What no XML document may hold (XML 1.0, 2.2), and what turns the direction of the text after it.
_UNFIT: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def element(name: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """An element; an underscore in an attribute's name stands for a hyphen, and one at its end for nothing."""
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(_written(value)))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(child if isinstance(child, Markup) else escape(_plain(child)) for child in children)
    return Markup("<{}{}>{}</{}>").format(name, given, inside, name) if children else Markup("<{}{}/>").format(name, given)


def label(text: str) -> str:
    """Words from outside, as plain text that is not longer than anyone reads."""
    plain = text.unescape() if isinstance(text, Markup) else text
    return _plain(plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…")


def _plain(text: str) -> str:
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(text: str, room: float, letter: float) -> str:
    """As much of it as there is room for, where a letter takes up so much at most."""
    if width(text, letter) <= room:
        return text
    kept = text
    while kept and width(f"{kept}…", letter) > room:
        kept = kept[:-1]
    return f"{kept}…"


def width(text: str, letter: float) -> float:
    """How much room a text takes up at most."""
    return sum(letter * (1.7 if unicodedata.east_asian_width(one) in "WF" else 1) for one in text)


def path(*parts: str | float) -> str:
    """A path, as short as it may be: commands, which are one letter or all of one, and coordinates."""
    written = [part if isinstance(part, str) else f" {_written(part)}" for part in parts]
    return "".join(one if one[0] != " " or before[-1:].isdigit() else one[1:] for before, one in pairwise(("", *written)))


def _written(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
