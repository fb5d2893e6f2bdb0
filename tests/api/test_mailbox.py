"""Each who waits in a loop is told by another thread, whether others are told at the same time or not."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ostiary.api.mailbox import Mailbox


def test_each_gets_what_was_put_for_it_and_who_has_gone_is_left_alone() -> None:
    box: Mailbox[int] = Mailbox()

    async def wait() -> list[int]:
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[int]] = [loop.create_future() for _ in range(200)]
        futures[7].cancel()
        with ThreadPoolExecutor(4) as pool:
            told = [pool.submit(box.put, future, number) for number, future in enumerate(futures)]
            found = [await future for future in futures if not future.cancelled()]
            assert all(one.result() is None for one in told)
        return found

    for _ in range(2):  # in one loop after the other
        assert asyncio.run(wait()) == [number for number in range(200) if number != 7]


def test_a_loop_that_is_closed_is_said_to_be_and_forgotten() -> None:
    box: Mailbox[int] = Mailbox()
    loop = asyncio.new_event_loop()
    futures = [loop.create_future() for _ in range(2)]
    loop.close()
    for future in futures:
        with pytest.raises(RuntimeError):
            box.put(future, 1)
