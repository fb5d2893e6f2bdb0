"""Every sentence that a page shows passes here, so that a language can be added without touching a page.

Catalogues are `locale/LANGUAGE/*.po` beside this file, as translators write them (gettext), one for each part of the console; a
sentence that is in none is shown as it is written. They are read once, when somebody first asks for the language.
"""

from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES: Final = {"en": "English", "vi": "Tiếng Việt"}
CATALOGUES: Final = Path(__file__).with_name("locale")


def _(sentence: str) -> str:
    """Mark a sentence to be translated. It is translated where it is shown, by `of`."""
    return sentence


@cache
def of(language: str) -> NullTranslations:
    """The words of a language; English for one that is not there."""
    if language not in LANGUAGES:
        return NullTranslations()
    files = sorted((CATALOGUES / language).glob("*.po"))
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


def preferred(wanted: Iterable[str]) -> str:
    """The first of these that we speak (`vi`, `vi-VN`, …); English when there is none."""
    for tag in wanted:
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


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
