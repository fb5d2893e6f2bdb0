"""Sign in, be signed in, sign out. A session begins with a link, a token or a certificate, and ends with it at the latest.

Of a session's secret only its SHA-256 is kept, as of tokens (`ops.tokens`). Whether a session is over is decided in one place
(`_state`), and where it is, it is deleted, in a transaction that has looked again: what was over once never comes back.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from ostiary.errors import Denied, NotFound
from ostiary.ids import new_id
from ostiary.model.fields import Private
from ostiary.model.session import SESSION_IDLE, SESSION_LIFETIME, How, Session
from ostiary.ops import people, sign_in_links, tokens, users
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.facts import record
from ostiary.ops.people import Standing
from ostiary.ops.system import System
from ostiary.ops.tokens import digest
from ostiary.store import sessions as stored
from ostiary.store.kinds import SESSION, SIGN_IN_LINK
from ostiary.store.store import Change, Facts, Reader

PREFIX: Final = "os_"
SEEN_EACH: Final = timedelta(minutes=1)
_SECRET_BYTES: Final = 24
_CSRF: Final = b"ostiary: a form of this session"

# One sentence for all, so that nothing is learned from it.
_LINK_NOT_GOOD: Final = "This link is not good: it is wrong, was used, or has expired. Make another one: ostiary console."
_TOKEN_NOT_GOOD: Final = "This token is not good: it is wrong, was deleted, or has expired."  # noqa: S105 (a sentence)


class _State(Enum):
    ALIVE = "alive"
    ELSEWHERE = "elsewhere"  # it is not to be used here and so; that says nothing of whether it is over
    OVER = "over"


# Begin.


def by_link(system: System, secret: bytes, source: str, request_id: str) -> tuple[Session, Private]:
    """Follow a link, which is used up by that: of all who come with it, one gets in. Raises `Denied`."""
    with _noted(system, "link", source):
        link = sign_in_links.offered(system, secret)
        if link is None:
            raise Denied(_LINK_NOT_GOOD)

        def use(facts: Facts) -> Standing:
            now = sign_in_links.found(facts, secret)
            if now is None or not sign_in_links.is_good(facts, system, now, facts.at):
                raise Denied(_LINK_NOT_GOOD)
            facts.delete(SIGN_IN_LINK, now)
            return Standing(now.name, now.role, now.token_id, now.user_id)

        return _begun(system, Caller(link.name, link.role, source, request_id, credential=f"link:{link.id}"), "link", use)


def by_token(
    system: System,
    secret: bytes,
    is_admin_token: bool,  # noqa: FBT001 (the edge's word, as it comes)
    source: str,
    request_id: str,
) -> tuple[Session, Private]:
    """Sign in with a token. Whether it is the admin token, the edge has found out. Raises `Denied`."""
    with _noted(system, "token", source):
        if is_admin_token:
            admin = Caller(people.ADMIN, "admin", source, request_id, credential="admin-token")
            return _begun(system, admin, "token", lambda _: people.admin(system))
        caller = tokens.holder(system, secret, source, request_id)
        if caller is None:
            raise Denied(_TOKEN_NOT_GOOD)

        def show(facts: Facts) -> Standing:
            token = tokens.found(facts, secret)
            if token is None or facts.at >= token.expires_at:
                raise Denied(_TOKEN_NOT_GOOD)
            return people.holder(token)

        return _begun(system, caller, "token", show)


def by_certificate(system: System, der: bytes, source: str, request_id: str) -> tuple[Session, Private]:
    """Sign in with the certificate that was verified in the handshake. Raises `Denied`, and says why."""
    with _noted(system, "certificate", source):
        with system.store.read() as reader:
            user = users.with_certificate(reader, system, der, system.clock())

        def show(facts: Facts) -> Standing:
            now = users.with_certificate(facts, system, der, facts.at)
            if (now.id, now.name, now.role) != (user.id, user.name, user.role):
                raise Denied("This certificate is somebody else's now.")
            return Standing(now.name, now.role, user_id=now.id)

        fingerprint = hashlib.sha256(der).hexdigest()
        caller = Caller(user.name, user.role, source, request_id, credential=f"certificate:{fingerprint}")
        return _begun(system, caller, "certificate", show, fingerprint=fingerprint)


def _begun(
    system: System, caller: Caller, how: How, prove: Callable[[Facts], Standing], fingerprint: str | None = None
) -> tuple[Session, Private]:
    """A new session, with a secret that nobody has had a hand in; what it stands on is proven where it is committed."""
    secret = Private((PREFIX + secrets.token_urlsafe(_SECRET_BYTES)).encode())

    def work(facts: Facts) -> Session:
        who = prove(facts)
        session = Session(
            id=new_id(),
            name=who.name,
            role=who.role,
            how=how,
            token_id=who.token_id,
            user_id=who.user_id,
            fingerprint_sha256=fingerprint,
            source=caller.source[:255],
            seen_at=facts.at,
            expires_at=facts.at + SESSION_LIFETIME,
        )
        return facts.insert(SESSION, session, secret_sha256=digest(bytes(secret)))

    return record(system, caller, "session:begin", work), secret


@contextmanager
def _noted(system: System, how: How, source: str) -> Iterator[None]:
    try:
        yield
    except Denied:
        system.failed_sign_ins.note(how, source)
        tell_refused(system)
        raise


def tell_refused(system: System) -> int:
    """Put on record who was refused, at most once a minute. Returns how many entries that made."""
    told = system.failed_sign_ins.due(system.clock())
    if told is None:
        return 0
    record(system, SYSTEM, "session:refuse", lambda facts: facts.changed.append(Change("session", "", None, told)))
    return 1


def _credential(session: Session) -> str:
    """What whoever is in this session showed: the session, and the certificate that its every request shows, if any."""
    certificate = f" certificate:{session.fingerprint_sha256}" if session.fingerprint_sha256 else ""
    return f"session:{session.id}{certificate}"


# Go on.


def current(
    system: System, secret: bytes, *, certificate: bytes | None, source: str, request_id: str
) -> tuple[Session, Caller] | None:
    """Whose session this is, and who they are; None when it is over, or may not be used like this.

    `certificate` (DER) is the one that the connection of this request shows and that was verified, if any.
    """
    if not secret.startswith(PREFIX.encode()):
        return None
    at = system.clock()
    with system.store.read() as reader:
        session = _found(reader, secret)
        state = _state(reader, system, session, certificate, at)
    if state is _State.OVER or (state is _State.ALIVE and session is not None and at - session.seen_at >= SEEN_EACH):
        session, state = record(system, SYSTEM, "session:lapse", lambda facts: _seen(facts, system, secret, certificate))
    if session is None or state is not _State.ALIVE:
        return None
    return session, Caller(session.name, session.role, source, request_id, session.id, _credential(session))


def goes_on(system: System, session: Session, certificate: bytes | None) -> bool:
    """Whether what goes on in this session (a page that tells what happens) may go on. Looking does not count as use."""
    with system.store.read() as reader:
        now = reader.get(SESSION, session.id)
        return _state(reader, system, now, certificate, system.clock()) is _State.ALIVE


def _found(reader: Reader, secret: bytes) -> Session | None:
    return next(iter(reader.all(SESSION, secret_sha256=digest(secret))), None)


def _seen(facts: Facts, system: System, secret: bytes, certificate: bytes | None) -> tuple[Session | None, _State]:
    """Look again, as of now and with nobody else writing: it is used once more, or over for good."""
    session = _found(facts, secret)
    state = _state(facts, system, session, certificate, facts.at)
    if session is not None and state is _State.OVER:
        facts.delete(SESSION, session)
    if session is not None and state is _State.ALIVE:
        stored.seen(facts, session.id, facts.at)
        session = session.model_copy(update={"seen_at": facts.at})
    return session, state


def _state(reader: Reader, system: System, session: Session | None, certificate: bytes | None, at: datetime) -> _State:
    """What a request with this session finds. Nothing but what is known to be good is."""
    if session is None:
        return _State.ELSEWHERE
    if not _is_in_time(session, at) or not people.stands(reader, session, at):
        return _State.OVER
    if people.is_elsewhere(system, session):
        return _State.ELSEWHERE
    return _with(reader, system, session, certificate, at) if session.how == "certificate" else _State.ALIVE


def _with(reader: Reader, system: System, session: Session, certificate: bytes | None, at: datetime) -> _State:
    """What becomes of a session that goes with a certificate, when a request shows this one or none."""
    if certificate is None or hashlib.sha256(certificate).hexdigest() != session.fingerprint_sha256:
        return _State.ELSEWHERE  # the cookie is in other hands; that ends nothing for whom it belongs to
    try:
        user = users.with_certificate(reader, system, certificate, at, unchanged_since=session.created_at)
    except Denied:
        return _State.OVER
    return _State.ALIVE if user.id == session.user_id else _State.OVER


def _is_in_time(session: Session, at: datetime) -> bool:
    """Within its hours, and used not long ago. A clock that was put back gives nobody more time."""
    begun = session.expires_at - SESSION_LIFETIME
    if not begun - people.SKEW <= at < session.expires_at:
        return False
    return session.seen_at - people.SKEW <= at < session.seen_at + SESSION_IDLE


# Look, and end.


def find(system: System, caller: Caller) -> tuple[Session, ...]:
    """The caller's sessions, those that could go on now, newest first; of all people, to who may see to that."""
    caller.must("session:read")
    at = system.clock()
    with system.store.read() as reader:
        every = reader.all(SESSION) if _may_others(caller) else reader.all(SESSION, name=caller.name)
        return tuple(one for one in reversed(every) if _is_in_time(one, at) and people.stands(reader, one, at))


def get(system: System, caller: Caller, session_id: str) -> Session:
    """One of those that `find` finds. Raises `NotFound`, also for somebody else's."""
    for session in find(system, caller):
        if session.id == session_id:
            return session
    raise NotFound("Session", session_id)


def end(system: System, caller: Caller, session_id: str) -> None:
    """Sign out one browser. Raises `NotFound`, also for somebody else's."""

    def work(facts: Facts) -> None:
        session = facts.get(SESSION, session_id)
        if session is None or not (session.name == caller.name or _may_others(caller)):
            raise NotFound("Session", session_id)
        facts.delete(SESSION, session)

    record(system, caller, "session:end", work)


def end_all(system: System, caller: Caller, name: str) -> int:
    """Sign a person out everywhere, and make their links good for nothing. Returns of how many sessions that was the end."""
    if name != caller.name:
        caller.must("session:others")

    def work(facts: Facts) -> int:
        for link in facts.all(SIGN_IN_LINK, name=name):
            facts.delete(SIGN_IN_LINK, link)
        found = facts.all(SESSION, name=name)
        for session in found:
            facts.delete(SESSION, session)
        return len(found)

    return record(system, caller, "session:end", work)


def forget_old(system: System) -> int:
    """Delete sessions whose time is over, for nobody will come with them. Returns how many."""
    at = system.clock()
    with system.store.read() as reader:
        old = stored.over(reader, at, at - SESSION_IDLE)

    def work(facts: Facts) -> int:
        found = [one for one_id in old if (one := facts.get(SESSION, one_id)) is not None and not _is_in_time(one, facts.at)]
        for session in found:
            facts.delete(SESSION, session)
        return len(found)

    return record(system, SYSTEM, "session:lapse", work) if old else 0


def _may_others(caller: Caller) -> bool:
    try:
        caller.must("session:others")
    except Denied:
        return False
    return True


# Forms.


def csrf(secret: bytes) -> str:
    """What each form of a session carries, to show that a page of ours made it: nobody else can know it or make it up."""
    return hmac.new(secret, _CSRF, hashlib.sha256).hexdigest()


def csrf_matches(secret: bytes, shown: str) -> bool:
    """Whether a form carries what it should; in constant time."""
    return hmac.compare_digest(csrf(secret).encode(), shown.encode("utf-8", "surrogatepass"))
