"""Few heaps for many threads: what one thread has freed, the next one takes, in place of memory of its own."""

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8  # mallopt(3)
_HEAPS: Final = 2


def few() -> None:
    """To be called before there are threads. Nothing where the C library is another than GNU's.

    It gives up to eight heaps a processor to threads that allocate at the same time, and each keeps what its busiest moment
    took: sixteen pages of a thousand certificates read at once left 293 MiB in use, and 249 with two heaps. Python computes in
    one thread at a time, so two are enough (`benchmarks/million.py`).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)
