"""The place of a refusal in a request that holds more than one resource."""

from collections.abc import Iterator
from contextlib import contextmanager

from ostiary.errors import Conflict, Invalid


@contextmanager
def within(place: str) -> Iterator[None]:
    """Whatever is refused here is named by where it stands: `name` within `pools.0` is `pools.0.name`."""
    try:
        yield
    except Invalid as error:
        raise Invalid(f"{place}.{error.field}", error.message) from error
    except Conflict as error:
        raise Conflict(error.message, f"{place}.{error.field}" if error.field else place) from error
