"""Loading hundreds of modules at once, as a server does when it starts."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

# Where it is installed, structlog draws tracebacks with it: we draw none (`logs`), and it is a fifth of what a keeper loads.
_DRAWS: Final = "rich"


@contextmanager
def many_modules() -> Iterator[None]:
    """While this lasts nobody looks for garbage; what is there at its end is never looked through.

    Modules are no garbage. To look through all of them, again and again as they become more, takes a fifth of the time it
    takes to load them.
    """
    gc.disable()
    try:
        with without(_DRAWS):
            import_module("structlog")
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without(package: str) -> Iterator[None]:
    """While this lasts a package that is not loaded yet cannot be."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how Python remembers what there is not
    try:
        yield
    finally:
        del sys.modules[package]
