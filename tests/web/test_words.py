"""Nothing is left in English where somebody chose another language, and what is translated says the same."""

import re
from collections import Counter

import pytest
from babel.messages import Message

from ostiary.web import words
from support import catalogue
from support.catalogue import Key

LANGUAGES = [language for language in words.LANGUAGES if language != "en"]
_PLACES = re.compile(r"%\(\w+\)[sd]|\{\d+\}")


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def messages(language: str) -> list[Message]:
    return [one for file in catalogue.translated(language).values() for one in file if one.id]


def test_every_sentence_is_translated(language: str) -> None:
    lacking = catalogue.missing(language)
    how = f"`cd tests && python -m support.catalogue {language}` lists them"
    assert not lacking, f"{len(lacking)} are missing; {how}: {list(lacking)[:5]}"


def test_nothing_is_translated_that_no_page_says(language: str) -> None:
    wanted = catalogue.wanted().places
    singulars = {key[0] if isinstance(key, tuple) else key for key in wanted}
    over = [key for file in catalogue.translated(language).values() for key in catalogue.keys(file) if key not in wanted]
    assert [key for key in over if key not in singulars] == []


def test_nothing_is_translated_twice(language: str) -> None:
    counted = Counter[Key](key for file in catalogue.translated(language).values() for key in catalogue.keys(file))
    assert [key for key, count in counted.items() if count > 1] == []


def test_the_same_facts_stand_in_a_translation(language: str) -> None:
    for message in messages(language):
        originals = list(message.id) if isinstance(message.id, tuple | list) else [message.id]
        strings = list(message.string) if isinstance(message.string, tuple | list) else [message.string]
        wanted = set(_PLACES.findall(str(originals[-1])))
        for string in strings:
            assert set(_PLACES.findall(str(string))) == wanted, message.id


def test_a_sentence_with_facts_in_it_is_translated_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (("there is no pool {0}", "không có pool {0}"), ("port {0} at {1} is taken", "tại {1}, cổng {0} đã dùng"))
    monkeypatch.setattr(words, "_sentences", lambda _language: iter(said))
    words._patterns.cache_clear()
    assert words.sentence("there is no pool a {1} b", "vi") == "không có pool a {1} b"
    assert words.sentence("port 443 at 127.0.0.1 is taken", "vi") == "tại 127.0.0.1, cổng 443 đã dùng"
    assert words.sentence("nobody translated this", "vi") == "nobody translated this"
    assert words.sentence("", "vi") == ""
    words._patterns.cache_clear()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("vi", "vi"),
        ("vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        ("en-US,vi;q=0.5", "en"),
        ("fr,de", "en"),
        ("", "en"),
        ("vi;q=0", "en"),
        ("x;q=y", "en"),
    ],
)
def test_a_language_is_chosen_as_the_browser_asks(header: str, language: str) -> None:
    assert words.preferred(words.accepted(header)) == language
