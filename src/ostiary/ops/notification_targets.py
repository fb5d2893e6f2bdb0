"""Notification targets: who is told what ends and what is wrong. Add, change, delete, try; and send one thing to one of them.

What is secret of a target, a password, or the key of signatures and the address with it, goes in and is never shown again.
"""

import base64
import binascii
import ipaddress
import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary import fetch, mail
from ostiary.errors import Conflict, Invalid, Unavailable
from ostiary.ids import new_id
from ostiary.model.fields import Private
from ostiary.model.notification import Message, NotificationTarget, Outcome, Standing
from ostiary.model.query import Page, Query
from ostiary.model.warning import Severity, at_least
from ostiary.ops import letters
from ostiary.ops.caller import Caller
from ostiary.ops.change import sealed
from ostiary.ops.edit import edited
from ostiary.ops.facts import record
from ostiary.ops.letters import SECRET_PREFIX
from ostiary.ops.record import note
from ostiary.ops.system import System
from ostiary.ops.warning_words import line
from ostiary.pki.chain import read_certificates
from ostiary.store import notifications
from ostiary.store.kinds import NOTIFICATION_TARGET
from ostiary.store.notifications import target_context
from ostiary.store.store import Facts, Reader
from ostiary.web import words
from ostiary.web.words import _

SECONDS: Final = 20.0  # for one attempt, all of it
TARGETS_MAX: Final = 50
_KEY_OCTETS: Final = 32
_REPLY_MAX: Final = 65_536
_PASSWORD_MAX: Final = 1000
_LOOPBACK: Final = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))
# Whoever may change where a password is sent without knowing it could have it sent to themselves.
_WHERE: Final = ("host", "port", "security", "username", "trusted_certificates", "private_networks")


_OF_CHANGES: Final[Severity] = "WARNING"
_FROM: Final = _("From")
_MEANT: Final = _("See that this was meant: nobody is told of anything at a target that was taken away.")
_OF_MAIL: Final = ("host", "port", "username", "sender", "recipients")


@dataclass(frozen=True)
class Secrets:
    """What is secret of a target, as a caller gives it; empty is not given."""

    password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Shown:
    """A target, how it stands with it, and its last messages."""

    target: NotificationTarget
    standing: Standing
    messages: tuple[Message, ...] = ()


def create(system: System, caller: Caller, wanted: NotificationTarget, given: Secrets) -> tuple[NotificationTarget, Private]:
    """Add a target. With it comes the key of a webhook's signatures, where we made it: it is not shown again."""
    caller.must("notification-target:create")
    kept, made = _first(wanted, given)
    target = _with(system, wanted.model_copy(update={"id": new_id()}), kept)
    _check(target, kept)

    def work(facts: Facts) -> NotificationTarget:
        if facts.count(NOTIFICATION_TARGET) >= TARGETS_MAX:
            raise Conflict(f"there are {TARGETS_MAX} targets, which is the most; delete some.")
        _refuse_name(facts, target)
        stored = facts.insert(NOTIFICATION_TARGET, target)
        _tell_others(facts, caller, stored, _("%(who)s added notification target %(name)s"))
        notifications.begin(facts, stored.id, facts.audit_head()[0])
        return stored

    return record(system, caller, "notification-target:create", work), made


def get(system: System, caller: Caller, target_id: str) -> NotificationTarget:
    """One target, without what is secret. Raises `NotFound`."""
    caller.must("notification-target:read")
    with system.store.read() as reader:
        return reader.require(NOTIFICATION_TARGET, target_id)


def find(system: System, caller: Caller, query: Query) -> Page[NotificationTarget]:
    """Targets that match."""
    caller.must("notification-target:read")
    with system.store.read() as reader:
        return reader.find(NOTIFICATION_TARGET, query)


def show(system: System, caller: Caller, target_id: str, most: int = 20) -> Shown:
    """One target with its last messages. Raises `NotFound`."""
    caller.must("notification-target:read")
    with system.store.read() as reader:
        target = reader.require(NOTIFICATION_TARGET, target_id)
        standing = notifications.standings(reader).get(target_id, Standing())
        return Shown(target, standing, notifications.messages(reader, target_id, most))


def standings(system: System, caller: Caller) -> Mapping[str, Standing]:
    """How it stands with each target, by id."""
    caller.must("notification-target:read")
    with system.store.read() as reader:
        return notifications.standings(reader)


def update(
    system: System, caller: Caller, target_id: str, changes: Mapping[str, Any], given: Secrets | None = None
) -> NotificationTarget:
    """Change a target; what is secret stays unless it is given. What waits for it is tried at once.

    Raises `Invalid` when letters would go elsewhere and the password is not given with that.
    """
    told = given or Secrets()

    def work(facts: Facts) -> NotificationTarget:
        before = facts.require(NOTIFICATION_TARGET, target_id)
        after = edited(before, changes)
        kept = _next(_opened(system, before), told, before, after)
        after = _with(system, after, kept) if kept != _opened(system, before) else after
        _check(after, kept)
        _refuse_name(facts, after)
        notifications.wake(facts, target_id)
        if after != before:
            _tell_others(facts, caller, before, _("%(who)s changed notification target %(name)s"))
        return facts.replace(NOTIFICATION_TARGET, before, after)

    return record(system, caller, "notification-target:update", work)


def delete(system: System, caller: Caller, target_id: str) -> None:
    """Remove a target, and what waits for it. Raises `NotFound`."""

    def work(facts: Facts) -> None:
        target = facts.require(NOTIFICATION_TARGET, target_id)
        notifications.forget_target(facts, target_id)
        facts.delete(NOTIFICATION_TARGET, target)
        _tell_others(facts, caller, target, _("%(who)s deleted notification target %(name)s"))

    record(system, caller, "notification-target:delete", work)


def test(system: System, caller: Caller, target_id: str) -> Outcome:
    """Send a test at once, past all that waits, and say what came of it; on record. Where it is taken, what waits is tried."""
    caller.must("notification-target:test")
    at = system.clock()
    with system.store.read() as reader:
        target = reader.require(NOTIFICATION_TARGET, target_id)
    message = new_message(target, "test", letters.test_body(target, at), at)
    outcome = send(system, target, message)
    note(
        system.store,
        caller,
        "notification-target:test",
        NOTIFICATION_TARGET.name,
        target_id,
        {"name": target.name, "problem": outcome.error},
    )
    if outcome.is_taken:
        system.store.record(lambda facts: _works(facts, target_id))
    return outcome


def send(system: System, target: NotificationTarget, message: Message) -> Outcome:
    """Hand it over now. Never raises: what went wrong is in the outcome, without what the other side said."""
    try:
        kept = _opened(system, target)
        return _post(system, target, message, kept) if target.kind == "WEBHOOK" else _mail(target, message, kept)
    except mail.NotSent as problem:
        return Outcome(str(problem), problem.refused)
    except (Unavailable, Invalid) as problem:
        return Outcome(str(problem))


def new_message(target: NotificationTarget, kind: letters.Type, body: str, at: Any) -> Message:
    """A message that was not sent yet."""
    return Message(
        id=f"msg_{secrets.token_hex(16)}",
        target_id=target.id,
        sequence=0,
        type=kind,
        state="WAITING",
        created_at=at,
        next_at=at,
        attempts=0,
        refused=False,
        body=body,
    )


def _tell_others(facts: Facts, caller: Caller, target: NotificationTarget, event: str) -> None:
    """Tell the other targets: whoever wants to do something unseen begins with what would tell of it."""
    about = {"who": line(caller.name), "name": line(target.name)}
    for other in facts.all(NOTIFICATION_TARGET):
        if other.id == target.id or not other.enabled or "NOTIFICATIONS" not in other.topics:
            continue
        if not at_least(_OF_CHANGES, other.severity):
            continue
        said = words.of(other.language)
        lines = (f"{said.gettext(_FROM)}: {caller.source}", said.gettext(_MEANT))
        data = {"topic": "NOTIFICATIONS", "severity": _OF_CHANGES, "target_id": target.id, "actor": about["who"]}
        body = letters.event_body(said.gettext(event) % about, lines, data, facts.at)
        notifications.put(facts, new_message(other, "event", body, facts.at))


def _works(facts: Facts, target_id: str) -> None:
    notifications.move_marks(facts, target_id, failing_since=None)
    notifications.wake(facts, target_id)


def _post(system: System, target: NotificationTarget, message: Message, kept: Secrets) -> Outcome:
    place = fetch.place_of(kept.url)
    status = fetch.deliver(
        kept.url,
        post=fetch.Post(message.body.encode(), "application/json"),
        headers=letters.webhook_headers(_key(kept.secret), message, system.clock()),
        limits=fetch.Limits(_REPLY_MAX, SECONDS),
        allow=_networks(target),
        tls=ssl.create_default_context(cadata=target.trusted_certificates) if target.trusted_certificates else None,
    )
    if 200 <= status < 300:
        return Outcome()
    if 300 <= status < 400:
        return Outcome(f"{place} redirects ({status}), which is not followed; give the address it leads to.")
    # Too early, too much, too slow: it may take the same later. Any other 4xx is about this message.
    return Outcome(f"{place} answered with status {status}.", refused=400 <= status < 500 and status not in {408, 425, 429})


def _mail(target: NotificationTarget, message: Message, kept: Secrets) -> Outcome:
    port = target.mail_port
    addresses = fetch.addresses(target.host, port, _networks(target))
    if target.security == "PLAIN" and kept.password and not all(_is_loopback(one) for one in addresses):
        raise Unavailable(f"{target.host}: no password is sent without encryption but to this machine.")
    server = mail.Server(
        host=target.host,
        port=port,
        addresses=addresses,
        security=target.security,
        username=target.username,
        password=kept.password,
        trusted_certificates=target.trusted_certificates,
        seconds=SECONDS,
    )
    return Outcome(note=mail.send(server, letters.letter(target, message), target.sender or "", target.recipients))


def _first(wanted: NotificationTarget, given: Secrets) -> tuple[Secrets, Private]:
    """What is kept of a new target, and what its maker is to be shown once."""
    if wanted.kind == "EMAIL":
        _refuse(given.url or given.secret, "url", "letters have no url and no secret; leave them out.")
        return Secrets(password=given.password), Private(b"")
    _refuse(given.password, "password", "a webhook has no password; give a secret, or have one made.")
    if not given.url:
        raise Invalid("url", "say where it is, such as https://alerts.example.com/ostiary")
    made = "" if given.secret else SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_KEY_OCTETS)).decode()
    return Secrets(url=given.url, secret=given.secret or made), Private(made.encode())


def _next(known: Secrets, given: Secrets, before: NotificationTarget, after: NotificationTarget) -> Secrets:
    """What is kept of one that is changed."""
    if before.kind == "EMAIL":
        _refuse(given.url or given.secret, "url", "letters have no url and no secret; leave them out.")
        moved = [name for name in _WHERE if getattr(before, name) != getattr(after, name)]
        if not after.username:
            return Secrets(password=given.password)
        if known.password and moved and not given.password:
            raise Invalid("password", "give it again: where it is sent, or as whom, is to change.")
        return Secrets(password=given.password or known.password)
    _refuse(given.password, "password", "a webhook has no password; give a secret, or have one made.")
    url = "" if given.url == before.url_shown else given.url  # as it was shown
    return Secrets(url=url or known.url, secret=given.secret or known.secret)


def _with(system: System, target: NotificationTarget, kept: Secrets) -> NotificationTarget:
    """The target with these secrets, sealed, and of the address as much as may be shown."""
    held = {name: value for name, value in vars(kept).items() if value}
    shown = ""
    if kept.url:
        place = _place(kept.url)
        shown = kept.url if kept.url in {place, f"{place}/"} else f"{place}/…"
    return target.model_copy(
        update={
            "sealed": sealed(system, json.dumps(held).encode(), target_context(target.id)),
            "has_secret": bool(kept.password or kept.secret),
            "url_shown": shown,
        }
    )


def _opened(system: System, target: NotificationTarget) -> Secrets:
    return Secrets(**json.loads(system.sealer.open(target.sealed, target_context(target.id))))


def _check(target: NotificationTarget, kept: Secrets) -> None:
    """What the fields together must be. Raises `Invalid`."""
    if target.trusted_certificates:
        read_certificates(target.trusted_certificates.encode(), "trusted_certificates")
    if target.kind == "WEBHOOK":
        for name in _OF_MAIL:
            _refuse(getattr(target, name), name, "a webhook has none; leave it out.")
        if _place(kept.url).startswith("http://") and not target.private_networks:
            raise Invalid("url", "http is not encrypted: use https, or say in private_networks where it may be sent so.")
        _key(kept.secret)
    else:
        _check_mail(target, kept)


def _check_mail(target: NotificationTarget, kept: Secrets) -> None:
    for name in ("host", "sender", "recipients"):
        if not getattr(target, name):
            raise Invalid(name, "is needed for letters")
    if kept.password and not target.username:
        raise Invalid("username", "say whose password it is")
    if target.username and not kept.password:
        raise Invalid("password", "say the password of that user")
    if any(ord(character) < 0x20 or ord(character) > 0x7E for character in kept.password + target.username):
        raise Invalid("password", "user and password must be printable ASCII characters")
    if len(kept.password) > _PASSWORD_MAX:
        raise Invalid("password", f"must not be longer than {_PASSWORD_MAX} characters")


def _place(url: str) -> str:
    try:
        return fetch.place_of(url)
    except fetch.NotFetched as problem:
        raise Invalid("url", str(problem)) from None


def _key(secret: str) -> bytes:
    """The octets of `whsec_…`. Raises `Invalid`."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True) if secret.startswith(SECRET_PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise Invalid("secret", f"must be {SECRET_PREFIX} and 24 to 64 random octets in base64, as Standard Webhooks has it")
    return key


def _refuse(given: object, name: str, why: str) -> None:
    if given:
        raise Invalid(name, why)


def _refuse_name(reader: Reader, target: NotificationTarget) -> None:
    if any(one.id != target.id for one in reader.all(NOTIFICATION_TARGET, name=target.name)):
        raise Conflict(f"there is a target named '{target.name}' already; choose another name.", "name")


def _networks(target: NotificationTarget) -> tuple[fetch.Network, ...]:
    return tuple(map(ipaddress.ip_network, target.private_networks))


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return any(found in network for network in _LOOPBACK if network.version == found.version)
