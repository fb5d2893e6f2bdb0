"""What refused clients read has words for every reason, in both languages, and asks for nothing from elsewhere."""

import re

from ostiary.access.words import PUBLIC, REQUEST_CODES
from ostiary.envoy.refusal_pages import _VIETNAMESE, local_replies

PAGES = [mapper.body_format_override.text_format_source.inline_string for mapper in local_replies().mappers]


def test_every_reason_has_its_words_in_both_languages() -> None:
    assert set(PUBLIC) == set(_VIETNAMESE) == set(REQUEST_CODES)


def test_no_code_is_the_beginning_of_another() -> None:
    assert [(one, other) for one in REQUEST_CODES for other in REQUEST_CODES if one != other and other.startswith(one)] == []


def test_no_word_of_ours_ends_the_expression_it_stands_in() -> None:
    for sentence in (*PUBLIC.values(), *_VIETNAMESE.values()):
        assert not re.search(r"""['"%\\<>&(){}]""", sentence)


def test_pages_ask_for_nothing_from_elsewhere_and_hold_no_script() -> None:
    pages = [text for text in PAGES if text]
    assert len(pages) == 2
    for page in pages:
        assert not re.search(r"<script|<link|<img|src=|href=|url\(|https?:|@import", page)


def test_four_mappers_do_for_all_reasons() -> None:
    assert [mapper.status_code.value for mapper in local_replies().mappers] == [421, 421, 403, 403]
