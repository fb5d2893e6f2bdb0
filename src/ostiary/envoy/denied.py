"""Who is refused whatever they ask for, revoked or on hold: one table for all listeners, so that a revocation is one message.

Envoy takes it in for each listener by itself, some 16 µs and another 0.3 for each entry; told to each listener in its routes, it
took 1,000 µs and 10 (docs/decisions/0033-who-is-denied-is-told-once.md).
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2

from ostiary.access.conditions import Decision
from ostiary.envoy import apart, matchers, names, noted
from ostiary.envoy.resources import Resource

# Where the rehearsed one leaves its decisions.
REHEARSED: Final = "ostiary_rehearsed_denied_"
_REVOKED: Final = Decision(allowed=False, code="revoked")
_PASS: Final = Decision(allowed=True, code="-")


def table(fingerprints: frozenset[str], owners: Iterable[str], *, rehearsed: bool) -> Resource:
    """Who is refused, or who would be; the `owners` are the listeners that ask for it, and what they belong to."""
    return apart.content(names.denied(rehearsed=rehearsed), _rbac(fingerprints, rehearsed=rehearsed), owners)


@lru_cache(maxsize=4)
def _rbac(fingerprints: frozenset[str], *, rehearsed: bool) -> bytes:
    if not fingerprints:
        return b""
    matcher = matchers.among(noted.FINGERPRINT, fingerprints, _REVOKED, _PASS)
    made: Any = http_rbac_pb2.RBAC(shadow_rules_stat_prefix=REHEARSED) if rehearsed else http_rbac_pb2.RBAC()
    return apart.with_matcher(made, "shadow_matcher" if rehearsed else "matcher", matcher)
