"""Bodies: what is not what it should be is refused with the name of the field."""

from typing import Any

import pytest

from ostiary.api.accept import admits
from ostiary.api.bodies import decode, parse
from ostiary.api.nouns import Noun
from ostiary.api.paths import canonical
from ostiary.errors import Invalid
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool

LISTENERS = Noun("listener", "listeners", Listener)
POOLS = Noun("pool", "pools", Pool)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body: is not valid JSON in UTF-8"),
        (b"nonsense", "body: is not valid JSON in UTF-8"),
        (b'{"a": 1,}', "body: is not valid JSON in UTF-8"),
        (b"{'a': 1}", "body: is not valid JSON in UTF-8"),
        (b'{"a": NaN}', "body: is not valid JSON in UTF-8"),
        (b'{"a": -Infinity}', "body: is not valid JSON in UTF-8"),
        (b'{"a": "\xff"}', "body: is not valid JSON in UTF-8"),
        (b'{"a": "\\ud800"}', "body: is not valid JSON in UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "body: is not valid JSON in UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "body: is not valid JSON in UTF-8"),
        (b'{"a": 1} {"a": 1}', "body: is not valid JSON in UTF-8"),
        (b"[]", "body: must be a JSON object"),
        (b"null", "body: must be a JSON object"),
        (b'"text"', "body: must be a JSON object"),
        (b'{"a": 1, "a": 1}', "a: is given more than once"),
        (b'{"a": [{"b": 1, "b": 2}]}', "b: is given more than once"),
        (b'{"a": "\\u0000"}', "body: NUL characters are not allowed"),
        (b'{"a\\u0000": 1}', "body: NUL characters are not allowed"),
        (b"[" * 100_000, "body: is nested too deeply"),
    ],
    ids=repr,
)
def test_what_is_not_one_json_object_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(Invalid, match="^" + words):
        parse(body)


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(Invalid) as refused:
        decode(b'{"listener": {"' + b"x" * 100_000 + b'": 1}}', LISTENERS.creation)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("value", ['"80"', "80.0", "true", "null", "[80]", "{}", "1e2"])
def test_a_number_is_a_number(value: str) -> None:
    body = f'{{"listener": {{"protocol": "HTTP", "protocol_port": {value}}}}}'
    with pytest.raises(Invalid, match=r"^protocol_port: must be a whole number"):
        LISTENERS.decode_new(body.encode())


def test_what_was_given_is_told_apart_from_defaults() -> None:
    assert LISTENERS.decode_changes(b'{"listener": {}}') == {}
    assert LISTENERS.decode_changes(b'{"listener": {"name": "a", "tags": null}}') == {"name": "a", "tags": None}
    assert LISTENERS.decode_changes(b'{"listener": {"tags": ["a"]}}') == {"tags": ("a",)}


def test_nested_data_is_checked_as_strictly() -> None:
    for value, words in (
        ('{"type": "MAGIC"}', r"session_persistence\.type: "),
        ('{"type": "SOURCE_IP", "colour": 1}', r"session_persistence\.colour: is not a known field"),
        ("[]", r"session_persistence: must be an object"),
    ):
        with pytest.raises(Invalid, match="^" + words):
            POOLS.decode_changes(f'{{"pool": {{"session_persistence": {value}}}}}'.encode())


@pytest.mark.parametrize(
    ("asked", "ours"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/v2", "/v2"),
        ("/v2/", "/v2"),
        ("/v2.0", "/v2"),
        ("/v2.0/", "/v2"),
        ("/v2/lbaas/pools", "/v2/lbaas/pools"),
        ("/v2/lbaas/pools/", "/v2/lbaas/pools"),
        ("/v2.0/lbaas/pools/x", "/v2/lbaas/pools/x"),
        ("/v2/v2.0/lbaas/pools", "/v2/lbaas/pools"),
        ("/secrets", "/v1/secrets"),
        ("/containers/x/consumers", "/v1/containers/x/consumers"),
        ("/v2/secrets/x", "/v1/secrets/x"),
        ("/v2.0/secrets", "/v1/secrets"),
        ("/v1/secrets/", "/v1/secrets"),
        ("/v1/v1/secrets", "/v1/secrets"),
        ("/secretsx", "/secretsx"),
        ("/v2.0/lbaasx", "/v2.0/lbaasx"),
        ("/x/v2.0/lbaas/pools", "/x/v2.0/lbaas/pools"),
        ("/v2.0/v2.0/lbaas/pools", "/v2.0/v2.0/lbaas/pools"),
    ],
)
def test_paths_have_one_canonical_spelling(asked: str, ours: str) -> None:
    assert canonical(asked) == ours


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        ([], "text/plain", True),
        ([""], "text/plain", True),
        (["*/*"], "text/plain", True),
        (["text/*"], "text/plain", True),
        (["text/html", "text/plain"], "text/plain", True),
        (["text/html"], "text/plain", False),
        (["text/plain;q=0, */*"], "text/plain", False),
        (["text/*;q=0, */*"], "text/plain", False),
        (["text/plain; q=0.5"], "text/plain", True),
        (["TEXT/Plain"], "text/plain", True),
        (["text/plain;q=high"], "text/plain", False),
        ([";;,;"], "text/plain", False),
    ],
)
def test_accept_is_read_as_the_standard_says(accept: list[str], media_type: str, expected: Any) -> None:
    assert admits(accept, media_type) is expected
