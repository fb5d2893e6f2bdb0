"""A process with many threads has few heaps, and looks for garbage seldom."""

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


def test_garbage_is_looked_for_seldom_but_it_is() -> None:
    ask = "import gc; from ostiary import heaps; heaps.look_for_garbage_seldom(); print(gc.isenabled(), *gc.get_threshold())"
    told = subprocess.run([sys.executable, "-c", ask], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert told.split() == ["True", "20000", "10", "10"]
