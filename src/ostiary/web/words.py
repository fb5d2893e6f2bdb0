"""Every sentence that a page shows passes here, so that a language can be added without touching a page.

Catalogues are `locale/LANGUAGE/*.po` beside this file, as translators write them (gettext), one for each part of the console; a
sentence that is in none is shown as it is written. They are read once, when somebody first asks for the language.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES: Final = {"en": "English", "vi": "Tiếng Việt"}
CHOSEN: Final = "ostiary-language"  # the cookie
CATALOGUES: Final = Path(__file__).with_name("locale")
_LONGEST: Final = 1000  # of what is looked through for facts
_FACT: Final = re.compile(r"\{(\d+)\}")


def _(sentence: str) -> str:
    """Mark a sentence to be translated. It is translated where it is shown, by `of`."""
    return sentence


@cache
def of(language: str) -> NullTranslations:
    """The words of a language; English for one that is not there."""
    files = _files(language)
    if not files:
        return NullTranslations()
    whole = Catalog(locale=language)
    for file in files:
        with file.open("rb") as opened:
            for message in read_po(opened, locale=language):
                if message.id and message.string and not message.fuzzy:
                    whole.add(message.id, message.string, context=message.context)
    compiled = BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return Translations(compiled)


def sentence(text: str, language: str) -> str:
    """A sentence in this language, also one in which facts stand already.

    Why something is refused is said deep within, with the facts in it, to callers of every kind. The catalogue has such sentences
    with `{0}`, `{1}`, … in place of the facts; here the facts are found in what was said, and put into the translation.
    """
    if not text:
        return ""  # in a catalogue, the empty text stands for what is known of the catalogue itself
    translated = of(language).gettext(text)
    if translated != text or len(text) > _LONGEST:
        return translated
    for pattern, wanted in _patterns(language):
        if found := pattern.fullmatch(text):
            return _FACT.sub(lambda place: found[f"fact{place[1]}"], wanted)
    return text


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Those with facts in them; the ones that say most come first, for another may fit too."""
    with_facts = [(one, other) for one, other in _sentences(language) if _FACT.search(one)]
    return tuple((_pattern(one), other) for one, other in sorted(with_facts, key=lambda both: -len(both[0])))


def _pattern(text: str) -> re.Pattern[str]:
    parts = _FACT.split(text)
    written = "".join(f"(?P<fact{part}>.+?)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile(written, re.DOTALL)


def _sentences(language: str) -> Iterator[tuple[str, str]]:
    for file in _files(language):
        with file.open("rb") as opened:
            for message in read_po(opened, locale=language):
                if isinstance(message.id, str) and isinstance(message.string, str) and message.id and message.string:
                    yield message.id, message.string


def _files(language: str) -> list[Path]:
    return sorted((CATALOGUES / language).glob("*.po")) if language in LANGUAGES else []


def preferred(wanted: Iterable[str]) -> str:
    """The first of these that we speak (`vi`, `vi-VN`, …); English when there is none."""
    for tag in wanted:
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


def of_reader(cookies: Mapping[str, str], accept_language: str) -> str:
    """The language of who reads: the one they chose, or the first of those their browser asks for that we speak."""
    chosen = cookies.get(CHOSEN, "")
    return chosen if chosen in LANGUAGES else preferred(accepted(accept_language))


def accepted(header: str) -> list[str]:
    """The languages of an Accept-Language header, the most wanted first (RFC 9110 12.5.4). What makes no sense is left out."""
    found = []
    for part in header[:500].split(","):
        tag, _sign, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            continue
        if quality > 0:
            found.append((quality, tag))
    return [tag for _quality, tag in sorted(found, key=lambda one: -one[0])]
