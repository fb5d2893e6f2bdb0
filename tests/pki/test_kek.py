"""The key-encryption key in its file: as it is, or under a passphrase."""

import json

import pytest

from ostiary.errors import Invalid, Unavailable
from ostiary.pki import kek
from ostiary.pki.sealing import new_kek

PASSPHRASE = b"correct horse battery staple"
CHEAP = kek.Cost(iterations=1, lanes=1, memory=64)


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_written_is_read(count: int) -> None:
    keys = tuple(new_kek() for _ in range(count))
    assert kek.read(kek.plain(keys), None) == keys
    assert kek.read(kek.protected(keys, PASSPHRASE, CHEAP), PASSPHRASE) == keys


def test_only_the_protected_form_needs_a_passphrase() -> None:
    assert not kek.needs_passphrase(kek.plain([new_kek()]))
    assert not kek.needs_passphrase(kek.plain([new_kek(), new_kek()]))
    assert kek.needs_passphrase(kek.protected([new_kek()], PASSPHRASE, CHEAP))


def test_another_passphrase_does_not_open_it_and_none_is_asked_for() -> None:
    content = kek.protected([new_kek()], PASSPHRASE, CHEAP)
    with pytest.raises(Unavailable, match="does not open with this passphrase") as refused:
        kek.read(content, b"incorrect horse battery staple")
    assert "horse" not in str(refused.value)
    with pytest.raises(Unavailable, match="OSTIARY_PASSPHRASE_FILE"):
        kek.read(content, None)


def test_the_file_holds_neither_the_key_nor_the_passphrase() -> None:
    key = new_kek()
    content = kek.protected([key], PASSPHRASE, CHEAP)
    for secret in (key, key.hex().encode(), kek._text(key).encode(), PASSPHRASE):
        assert secret not in content


def test_the_same_passphrase_never_gives_the_same_file() -> None:
    key = new_kek()
    first, second = (json.loads(kek.protected([key], PASSPHRASE, CHEAP)) for _ in range(2))
    assert first["protection"]["salt"] != second["protection"]["salt"]
    assert first["sealed"] != second["sealed"]


def test_pitfall_19_a_guess_costs_at_least_what_rfc_9106_recommends() -> None:
    cost = kek.Cost()
    assert (cost.iterations, cost.lanes) == (3, 4)
    assert cost.memory >= 64 * 1024  # the second recommended option, in KiB
    content = kek.protected([new_kek()], PASSPHRASE)
    assert json.loads(content)["protection"] | {"salt": ""} == {
        "kdf": "argon2id",
        "salt": "",
        "iterations": 3,
        "lanes": 4,
        "memory": cost.memory,
    }
    kek.read(content, PASSPHRASE)


@pytest.mark.parametrize("short", [b"", b"elevenbytes", b"x" * 1025])
def test_a_passphrase_too_short_to_matter_is_refused(short: bytes) -> None:
    with pytest.raises(Invalid, match="passphrase: it must have 12"):
        kek.protected([new_kek()], short, CHEAP)


def changed(**fields: object) -> bytes:
    held = json.loads(kek.protected([new_kek()], PASSPHRASE, CHEAP))
    protection = held["protection"]
    return json.dumps({**held, "protection": {**protection, **fields}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"{",
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 1, "keys": []}',
        b'{"version": 1, "keys": ["AAAA"]}',
        b"AAAA",
        kek.plain([new_kek()] * 3),
        changed(kdf="md5"),
        changed(memory=2**40),
        changed(iterations=10**9),
        changed(lanes=0),
        changed(memory="much"),
    ],
    ids=range(15),
)
def test_anything_else_is_refused_before_it_costs_anything(content: bytes) -> None:
    with pytest.raises(Unavailable, match="does not hold a key-encryption key"):
        kek.read(content, PASSPHRASE)


def test_a_later_format_is_not_guessed_at() -> None:
    with pytest.raises(Unavailable, match="newer ostiary"):
        kek.read(b'{"version": 2}', None)
