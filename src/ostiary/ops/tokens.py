"""Tokens: make one and show its secret once, list, delete; and who comes with an access token.

Of a secret only its SHA-256 is kept, and what is presented is looked up by its SHA-256. So neither the database nor the time that
a look-up takes tells anything about a secret: it is 192 random bits, and whoever could steer its digest had broken SHA-256.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.fields import Private
from ostiary.model.query import Page, Query
from ostiary.model.token import ACCESS_LIFETIME, GRANT_LIFETIME, NewToken, Token
from ostiary.ops import apart, gate, people, profiles
from ostiary.ops.asking import asks
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.desk import at as desk_at
from ostiary.ops.facts import record
from ostiary.ops.issuing import names_from
from ostiary.ops.system import System
from ostiary.pki import keys
from ostiary.pki.names import Names
from ostiary.pki.policy import approve
from ostiary.pki.profile import Profile
from ostiary.pki.request import SigningRequest
from ostiary.store import tokens as stored_tokens
from ostiary.store.kinds import TOKEN
from ostiary.store.store import Facts, Reader

# So that a secret that turns up where it should not be can be told for what it is.
GRANT_PREFIX: Final = "oe_"
ACCESS_PREFIX: Final = "oa_"
_SECRET_BYTES: Final = 24
_SHOWN_AFTERWARDS: Final = timedelta(days=30)


@asks(repeats=True)
def create(system: System, caller: Caller, wanted: NewToken) -> tuple[Token, Private]:
    """Make a token; with it comes its secret, which is not kept and cannot be shown again."""
    caller.must("token:create")
    token = _access(system, caller, wanted) if wanted.role is not None else _grant(system, caller, wanted)
    prefix = ACCESS_PREFIX if token.kind == "access" else GRANT_PREFIX
    secret = Private((prefix + secrets.token_urlsafe(_SECRET_BYTES)).encode())

    def work(facts: Facts) -> Token:
        if token.role is not None:
            people.refuse_name(facts, token.name, token.role, facts.at, of=Token)
        if token.role not in {None, "monitor"}:  # a program that reads numbers is no person
            about = [token.name, token.role, token.project_id, str(wanted.expires_in)]
            needs = gate.why(facts, "NEW_PERSON", "new_token", f"{token.name} ({token.role})")
            gate.ask(facts, caller, "token:create", needs, about=about)
        its = apart.let_in(facts, caller) if token.role is not None else {}
        return facts.insert(TOKEN, token.model_copy(update=its), secret_sha256=digest(bytes(secret)))

    return record(system, caller, "token:create", work), secret


def get(system: System, caller: Caller, token_id: str) -> Token:
    """One token. Raises `NotFound`."""
    caller.must("token:read")
    with system.store.read() as reader:
        return reader.require(TOKEN, token_id)


def find(system: System, caller: Caller, query: Query) -> Page[Token]:
    """Tokens that match."""
    caller.must("token:read")
    with system.store.read() as reader:
        return reader.find(TOKEN, query)


def delete(system: System, caller: Caller, token_id: str) -> None:
    """From now on it opens nothing. Raises `NotFound`."""
    caller.must("token:delete")
    if get(system, caller, token_id).kind == "access":
        caller.must("token:access")
    record(system, caller, "token:delete", lambda facts: facts.delete(TOKEN, facts.require(TOKEN, token_id)))


def forget_old(system: System) -> int:
    """Delete tokens that expired a month ago: until then they show what was handed out. Returns how many."""
    with system.store.read() as reader:
        old = stored_tokens.expired_before(reader, system.clock() - _SHOWN_AFTERWARDS)

    def work(facts: Facts) -> int:
        found = [token for token_id in old if (token := facts.get(TOKEN, token_id)) is not None]
        for token in found:
            facts.delete(TOKEN, token)
        return len(found)

    return record(system, SYSTEM, "token:forget", work) if old else 0


def state(token: Token, system: System) -> str:
    """VALID, USED or EXPIRED, as of now."""
    if system.clock() >= token.expires_at:
        return "EXPIRED"
    return "USED" if token.kind == "enrolment" and not token.uses_left else "VALID"


def digest(secret: bytes) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret).hexdigest()


def found(reader: Reader, secret: bytes) -> Token | None:
    """The token with this secret, whether or not it is still good."""
    return next(iter(reader.all(TOKEN, secret_sha256=digest(secret))), None)


def holder(system: System, secret: bytes, source: str, request_id: str) -> Caller | None:
    """Who comes with this access token; None when it is none, or not good any more."""
    if not secret.startswith(ACCESS_PREFIX.encode()):
        return None
    with system.store.read() as reader:
        token = found(reader, secret)
    if token is None or token.role is None or system.clock() >= token.expires_at:
        return None
    return Caller(token.name, token.role, source, request_id, credential=f"token:{token.id}")


def _access(system: System, caller: Caller, wanted: NewToken) -> Token:
    caller.must("token:access")
    if not wanted.name:
        raise Invalid("name", "says who it is for, and what the record calls them; give one.")
    return Token(
        id=new_id(),
        name=wanted.name,
        project_id=wanted.project_id,
        kind="access",
        created_by=caller.name,
        role=wanted.role,
        expires_at=system.clock() + (wanted.expires_in or ACCESS_LIFETIME),
    )


def _grant(system: System, caller: Caller, wanted: NewToken) -> Token:
    """A grant, tried out: what it could not be used for later is refused now."""
    names = names_from(wanted.names)
    if names is None or names == Names():
        raise Invalid("names", "a grant is bound to names: say which the certificate is to carry.")
    with system.store.read() as reader:
        profile = profiles.effective(reader, wanted.profile)
        if profile.approval != "automatic":
            raise Invalid("profile", f"'{profile.name}' asks for approval of each request; submit a certificate request.")
        if not wanted.authority_id:
            raise Invalid("authority_id", "is needed: say which authority is to sign.")
        desk = desk_at(reader, system, wanted.authority_id)
    at = system.clock()
    tried = approve(
        SigningRequest(public_key=_some_key(profile).public_key(), names=names),
        profile,
        names=names,
        lifetime=wanted.lifetime,
        issuer=desk.bench.issuer.certificate,
        above=desk.bench.above,
        at=at,
    )
    return Token(
        id=new_id(),
        name=wanted.name or _first(tried.names),
        project_id=wanted.project_id,
        kind="enrolment",
        created_by=caller.name,
        expires_at=at + (wanted.expires_in or GRANT_LIFETIME),
        authority_id=wanted.authority_id,
        profile=profile.name,
        names=wanted.names,
        owner=wanted.owner or _first(tried.names),
        groups=wanted.groups,
        lifetime=wanted.lifetime,
        uses=wanted.uses,
    )


def _some_key(profile: Profile) -> keys.PrivateKey:
    """A key that fits the profile, to try out the rest with."""
    quick: tuple[tuple[str, keys.KeySpec], ...] = (("EC P-256", "EC-P256"), ("EC P-384", "EC-P384"), ("Ed25519", "ED25519"))
    return keys.generate(next((spec for kind, spec in quick if kind in profile.key_types), "RSA-3072"))


def _first(names: Names) -> str:
    """What people call who has these names."""
    return (names.common_name or next(name for kind in ("dns", "uri", "email", "ip") for name in names.of(kind)))[:255]
