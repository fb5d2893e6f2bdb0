"""Every sentence that a page shows passes here, so that a language can be added without touching a page.

Catalogues are `locale/LANGUAGE/LC_MESSAGES/ostiary.mo` beside this file (gettext); without one a sentence is shown as written.
"""

import gettext
from pathlib import Path
from typing import Final

DOMAIN: Final = "ostiary"
LANGUAGES: Final = ("en",)
CATALOGUES: Final = Path(__file__).with_name("locale")


def _(sentence: str) -> str:
    """Mark a sentence to be translated. It is translated where it is shown, by `of`."""
    return sentence


def of(language: str) -> gettext.NullTranslations:
    """The words of a language; English for one that is not there."""
    return gettext.translation(DOMAIN, CATALOGUES, [language], fallback=True)
