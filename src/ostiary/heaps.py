"""Memory of a server with many threads: few heaps, and garbage that is looked for when there is some."""

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8  # mallopt(3)
_HEAPS: Final = 2
_OBJECTS: Final = 20_000


def few() -> None:
    """Share few heaps. To be called before there are threads. Nothing where the C library is another than GNU's.

    It gives up to eight heaps a processor to threads that allocate at the same time, and each keeps what its busiest moment
    took: sixteen pages of a thousand certificates read at once left 293 MiB in use, and 249 with two heaps. Python computes in
    one thread at a time, so two are enough (`benchmarks/million.py`).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)


def look_for_garbage_seldom() -> None:
    """Only cycles are looked for; what nobody refers to goes at once, as ever.

    A request makes some thousand objects and hardly a cycle. To look after every 700 of them, as Python does, was a tenth of
    what a certificate costs; after 20,000 some MiB may wait to be found.
    """
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
