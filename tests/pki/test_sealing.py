"""Keys at rest: unreadable without the key-encryption key, and bound to their place."""

import pytest

from ostiary.errors import Unavailable
from ostiary.pki.sealing import Sealer, new_kek

SECRET = b"-----BEGIN PRIVATE KEY----- very private"


def test_what_was_sealed_opens_again_in_its_own_place() -> None:
    sealer = Sealer(new_kek())
    assert sealer.open(sealer.seal(SECRET, "authority 1"), "authority 1") == SECRET


def test_the_same_thing_sealed_twice_looks_different_and_shows_nothing() -> None:
    sealer = Sealer(new_kek())
    first, second = sealer.seal(SECRET, "authority 1"), sealer.seal(SECRET, "authority 1")
    assert first != second
    assert b"private" not in first + second


def test_it_does_not_open_in_another_place() -> None:
    sealer = Sealer(new_kek())
    with pytest.raises(Unavailable, match="authority 2 cannot be decrypted with this key-encryption key"):
        sealer.open(sealer.seal(SECRET, "authority 1"), "authority 2")


def test_it_does_not_open_with_another_key() -> None:
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        Sealer(new_kek()).open(Sealer(new_kek()).seal(SECRET, "authority 1"), "authority 1")


def test_no_changed_byte_goes_unnoticed() -> None:
    sealer = Sealer(new_kek())
    sealed = sealer.seal(SECRET, "authority 1")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(Unavailable):
            sealer.open(bytes(changed), "authority 1")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x01" + bytes(27), b"\x02" + bytes(60)])
def test_what_is_too_short_or_of_another_version_does_not_open(sealed: bytes) -> None:
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        Sealer(new_kek()).open(sealed, "authority 1")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_encryption_key_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(Unavailable, match="must have 32"):
        Sealer(bytes(size))


def test_a_sealer_shows_nothing_of_its_key() -> None:
    assert repr(Sealer(new_kek())) == "<Sealer>"
