"""A process with many threads has few heaps."""

import subprocess
import sys

ASK = """
import threading
from ostiary import heaps
{before}
def use():
    kept.append([bytes(100_000) for _ in range(10)])
    together.wait()
kept, together = [], threading.Barrier(8)
threads = [threading.Thread(target=use) for _ in range(8)]
[each.start() for each in threads]; [each.join() for each in threads]
import ctypes
ctypes.CDLL(None).malloc_stats()
"""


def heaps_used(before: str) -> int:
    told = subprocess.run([sys.executable, "-c", ASK.format(before=before)], check=True, capture_output=True, text=True).stderr
    return told.count("Arena ")


def test_threads_share_the_few_heaps_there_are() -> None:
    assert 1 <= heaps_used("heaps.few()") <= 2
