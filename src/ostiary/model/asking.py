"""Whether a listener asks less of its clients than it did."""

from collections.abc import Iterator
from typing import Final

from ostiary.model.listener import Listener

# How much it asks: everybody is served, whoever shows nothing bad is, holders only are.
RANKS: Final = {"NONE": 0, "REHEARSAL": 0, "OPTIONAL": 1, "MANDATORY": 2}
_STALE: Final = {"REFUSE": 0, "ALLOW": 1}


def asks_less(was: Listener, now: Listener) -> Iterator[str]:
    """Each way in which it does, as a code (`ops.why_words`)."""
    if RANKS[now.client_authentication] < RANKS[was.client_authentication]:
        yield "mode_lowered"
    if was.client_crl_container_ref and now.client_crl_container_ref != was.client_crl_container_ref:
        yield "lists_changed"
    before, after = _STALE[was.stale_revocation], _STALE[now.stale_revocation]
    if after > before or (after and now.stale_allow_hours > was.stale_allow_hours):
        yield "stale_allowed"
