"""A sealed stream comes back whole, or is refused: every octet of it counts."""

import hashlib
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki import kek
from ostiary.pki.sealed_stream import MAGIC, opened, sealed

PASSPHRASE = b"correct horse battery staple"
CHEAP = kek.Cost(iterations=1, lanes=1, memory=64)
PIECE = 64 * 1024 + 16


def noise(size: int) -> bytes:
    """What cannot be made shorter, the same each time."""
    return hashlib.shake_256(size.to_bytes(4)).digest(size)


def closed(content: bytes) -> bytes:
    return b"".join(sealed([content], PASSPHRASE, CHEAP))


def read(stream: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    return b"".join(opened(io.BytesIO(stream).read, passphrase))


SHORT = closed(b"a few words")
LONG = closed(noise(200_000))
START = len(MAGIC) + 4 + int.from_bytes(SHORT[len(MAGIC) : len(MAGIC) + 4]) + 32


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_what_was_sealed_comes_back(size: int) -> None:
    assert read(closed(noise(size))) == noise(size)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_it_does_not_matter_in_what_pieces_it_comes(pieces: list[bytes]) -> None:
    assert read(b"".join(sealed(pieces, PASSPHRASE, CHEAP))) == b"".join(pieces)


def test_two_streams_of_the_same_are_not_alike() -> None:
    assert closed(b"a few words")[START:] != SHORT[START:]


def test_another_passphrase_opens_nothing_and_a_short_one_seals_nothing() -> None:
    with pytest.raises(Invalid, match="does not open with this passphrase"):
        read(SHORT, b"wrong zebra generator paperclip")
    with pytest.raises(Invalid, match="passphrase"):
        next(sealed([b""], b"short", CHEAP))


@given(st.data())
def test_any_octet_that_was_changed_is_found(data: st.DataObject) -> None:
    stream = bytearray(data.draw(st.sampled_from([SHORT, LONG])))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Invalid):
        read(bytes(stream))


@given(st.data())
def test_a_stream_that_is_cut_short_is_refused(data: st.DataObject) -> None:
    stream = data.draw(st.sampled_from([SHORT, LONG]))
    with pytest.raises(Invalid):
        read(stream[: data.draw(st.integers(0, len(stream) - 1))])


@given(st.binary(min_size=1, max_size=PIECE * 2))
def test_nothing_can_be_added(more: bytes) -> None:
    for stream in (SHORT, LONG):
        with pytest.raises(Invalid):
            read(stream + more)


def test_it_says_what_was_done_to_it() -> None:
    first, second, third = (LONG[START + number * PIECE : START + (number + 1) * PIECE] for number in range(3))
    with pytest.raises(Invalid, match="cut short after piece 2"):
        read(LONG[: START + 2 * PIECE])
    with pytest.raises(Invalid, match="piece 1 of it was altered, is out of its order"):
        read(LONG[:START] + second + first + third + LONG[START + 3 * PIECE :])
    with pytest.raises(Invalid, match="piece 2 of it"):
        read(LONG[:START] + first + third + LONG[START + 3 * PIECE :])
    with pytest.raises(Invalid, match="something was added to it after its end"):
        read(_grown())
    with pytest.raises(Invalid, match="no backup of ostiary's"):
        read(b"PK\x03\x04" + SHORT)
    with pytest.raises(Invalid, match="beginning is damaged"):
        read(SHORT[: len(MAGIC)] + b"\xff\xff\xff\xff" + SHORT[len(MAGIC) + 4 :])


def _grown() -> bytes:
    """A stream whose last piece is as long as any, and one more piece after it."""
    for size in range(65_480, 65_536):
        stream = closed(noise(size))
        if len(stream) == START + PIECE:
            return stream + stream[START:]
    raise AssertionError("no length of the content fills a piece")


@pytest.mark.parametrize("asked", [b'"memory": 4194304', b'"memory": -1', b'"memory": 6e1', b'"memory": true', b'"memory": "64"'])
def test_a_file_does_not_choose_what_it_costs_to_refuse_it(asked: bytes) -> None:
    length = int.from_bytes(SHORT[len(MAGIC) : len(MAGIC) + 4])
    header = SHORT[len(MAGIC) + 4 :][:length].replace(b'"memory": 64', asked)
    with pytest.raises(Invalid, match=r"beginning (is damaged|was altered)"):
        read(MAGIC + len(header).to_bytes(4) + header + SHORT[len(MAGIC) + 4 + length :])


def test_a_little_that_stands_for_very_much_does_not_fill_the_memory() -> None:
    def zeros() -> Iterator[bytes]:
        for _ in range(256):
            yield bytes(1024 * 1024)

    stream = b"".join(sealed(zeros(), PASSPHRASE, CHEAP))
    assert len(stream) < 2 * 1024 * 1024
    tracemalloc.start()
    try:
        total = sum(map(len, opened(io.BytesIO(stream).read, PASSPHRASE)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 256 * 1024 * 1024
    assert most < 32 * 1024 * 1024
