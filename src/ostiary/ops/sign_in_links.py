"""Links that sign in once: whoever has a way in makes one, and follows it in a browser within a quarter of an hour."""

import secrets
from datetime import datetime
from typing import Final

from ostiary.ids import new_id
from ostiary.model.fields import Private
from ostiary.model.session import LINK_LIFETIME, SignInLink
from ostiary.ops import people
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.facts import record
from ostiary.ops.system import System
from ostiary.ops.tokens import digest
from ostiary.store import sessions as stored
from ostiary.store.kinds import SIGN_IN_LINK
from ostiary.store.store import Facts, Reader

PREFIX: Final = "ol_"
_SECRET_BYTES: Final = 24


def make(system: System, caller: Caller) -> Private:
    """Make one for the caller themselves; its secret is not kept and cannot be shown again. Raises `Denied`."""
    caller.must("sign-in-link:create")
    secret = Private((PREFIX + secrets.token_urlsafe(_SECRET_BYTES)).encode())

    def work(facts: Facts) -> None:
        who = people.standing(facts, system, caller, facts.at)
        link = SignInLink(
            id=new_id(),
            name=who.name,
            role=who.role,
            token_id=who.token_id,
            user_id=who.user_id,
            expires_at=facts.at + LINK_LIFETIME,
        )
        facts.insert(SIGN_IN_LINK, link, secret_sha256=digest(bytes(secret)))

    record(system, caller, "sign-in-link:create", work)
    return secret


def url(system: System, secret: Private, base: str) -> str:
    """The whole link: to the console's own door, where it has one that is open to all; else to where it is reached as `base`."""
    door = system.door("console")
    at = door.url if door is not None and not door.demands_certificate else base.rstrip("/")
    return f"{at}/console/sign-in/{bytes(secret).decode()}"


def offered(system: System, secret: bytes) -> SignInLink | None:
    """The link with this secret; None when it is not good. Asking uses nothing up: what previews a link must not follow it."""
    with system.store.read() as reader:
        link = found(reader, secret)
        good = link is not None and is_good(reader, system, link, system.clock())
    return link if good else None


def found(reader: Reader, secret: bytes) -> SignInLink | None:
    """The link with this secret, whether or not it is still good."""
    return next(iter(reader.all(SIGN_IN_LINK, secret_sha256=digest(secret))), None)


def is_good(reader: Reader, system: System, link: SignInLink, at: datetime) -> bool:
    """Whether it signs in: in time, and while who made it could come themselves."""
    # A clock that was put back gives nobody more time.
    in_time = link.expires_at - LINK_LIFETIME - people.SKEW <= at < link.expires_at
    return in_time and not people.is_elsewhere(system, link) and people.stands(reader, link, at)


def forget_old(system: System) -> int:
    """Delete links that nobody followed in time. Returns how many."""
    with system.store.read() as reader:
        old = stored.links_over(reader, system.clock())

    def work(facts: Facts) -> int:
        gone = [link for link_id in old if (link := facts.get(SIGN_IN_LINK, link_id)) is not None]
        for link in gone:
            facts.delete(SIGN_IN_LINK, link)
        return len(gone)

    return record(system, SYSTEM, "sign-in-link:forget", work) if old else 0
