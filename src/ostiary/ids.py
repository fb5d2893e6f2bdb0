"""Identifiers: random, so that nothing can be learned or guessed from one."""

import uuid


def new_id() -> str:
    """A new UUID in its canonical text form, as OpenStack clients expect."""
    return str(uuid.uuid4())
