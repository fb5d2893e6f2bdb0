"""What keeps a client with one member.

Members are picked by a hash on a ring (RING_HASH): of the client's address, or of a cookie that we make up. So no cookie says
which member a client is with: the cookies of other load balancers give member addresses away. A member that comes or
goes moves only its own share of the clients.
"""

from typing import Literal

from ostiary.model.pool import Pool

_COOKIE = "SRV"

By = Literal["source", "cookie"]


def of(pool: Pool) -> By | None:
    """By what clients are told apart, if at all. Persistence, when set, outweighs the algorithm."""
    persistence = pool.session_persistence
    if persistence is not None and persistence.type != "SOURCE_IP":
        return "cookie"
    if persistence is not None or pool.lb_algorithm == "SOURCE_IP":
        return "source"
    return None


def cookie(pool: Pool) -> str:
    """The name of the cookie we make up.

    APP_COOKIE names a cookie of the application's. We do not hash that one: it only exists after the first answer, from a member
    picked without it, and its hash would then pick another, where the session is not. A cookie of our own beside it, from the
    first request on, keeps the client where its session is made.
    """
    persistence = pool.session_persistence
    if persistence is None or persistence.cookie_name is None:
        return _COOKIE
    return persistence.cookie_name if persistence.type == "HTTP_COOKIE" else f"{persistence.cookie_name}-{_COOKIE}"
