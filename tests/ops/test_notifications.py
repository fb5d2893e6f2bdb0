"""Letters and webhooks, to real servers on loopback: encrypted, signed, again until they are taken, and nothing secret told."""

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.fields import Private
from ostiary.model.notification import Message, NotificationTarget
from ostiary.model.query import Query
from ostiary.model.token import NewToken
from ostiary.ops import letters, notification_targets, outbox, rekey, sightings, tokens, watching
from ostiary.ops.caller import Caller
from ostiary.ops.notification_targets import Secrets
from ostiary.ops.system import System
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store import notifications
from support.certs import Authority, Leaf
from support.mail_sink import MailSink, mail_sink
from support.systems import ADMIN, FakeClock
from support.webhook_sink import WebhookSink, webhook_sink

LOOPBACK = ("127.0.0.0/8", "::1/128")
PASSWORD = "marker-Pa55word"
KEY = "whsec_" + base64.b64encode(b"marker-key-of-thirty-two-octets!").decode()


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Servers' CA")


@pytest.fixture(scope="module")
def leaf(ca: Authority) -> Leaf:
    return ca.server("localhost")


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with webhook_sink() as sink:
        yield sink


@pytest.fixture
def box(tmp_path: Path, leaf: Leaf) -> Iterator[MailSink]:
    with mail_sink(tmp_path, leaf.chain_pem, leaf.key_pem, users={"ostiary": PASSWORD}) as sink:
        yield sink


def to_hook(system: System, sink: WebhookSink, **fields: Any) -> NotificationTarget:
    values: dict[str, Any] = {"name": "hook", "kind": "WEBHOOK", "topics": ("EXPIRY",), "private_networks": LOOPBACK, **fields}
    made, _key = notification_targets.create(system, ADMIN, NotificationTarget(**values), Secrets(url=sink.url, secret=KEY))
    return made


def to_box(system: System, sink: MailSink, ca: Authority, **fields: Any) -> NotificationTarget:
    values: dict[str, Any] = {
        "name": "box",
        "kind": "EMAIL",
        "topics": ("EXPIRY",),
        "host": "localhost",
        "port": sink.port,
        "sender": "ostiary@example.com",
        "recipients": ("pki@example.com", "ops@example.com"),
        "username": "ostiary" if sink.users else "",
        "private_networks": LOOPBACK,
        "trusted_certificates": ca.cert_pem,
        **fields,
    }
    password = PASSWORD if values["username"] else ""
    return notification_targets.create(system, ADMIN, NotificationTarget(**values), Secrets(password=password))[0]


def something(system: System, clock: FakeClock, name: str = "ci") -> None:
    """Something to tell of."""
    tokens.create(system, ADMIN, NewToken(name=name, role="auditor", expires_in=timedelta(days=32)))
    clock.advance(days=3)
    watching.look(system)


def waiting(system: System, target: NotificationTarget) -> tuple[Message, ...]:
    with system.store.read() as reader:
        return notifications.waiting(reader, target.id, 1000)


def all_of(system: System, target: NotificationTarget) -> tuple[Message, ...]:
    return tuple(reversed(notification_targets.show(system, ADMIN, target.id, 1000).messages))


# Webhooks


def test_a_webhook_is_signed_as_standard_webhooks_has_it(system: System, clock: FakeClock, hook: WebhookSink) -> None:
    to_hook(system, hook)
    something(system, clock)
    assert outbox.send_due(system) == 1
    (call,) = hook.calls
    sent_id, at = call.headers["webhook-id"], call.headers["webhook-timestamp"]
    # Computed here anew, from the page of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` with the octets of the key.
    key = b"marker-key-of-thirty-two-octets!"
    mac = hmac.new(key, sent_id.encode() + b"." + at.encode() + b"." + call.body, hashlib.sha256).digest()
    assert call.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert int(at) == int(clock.at.timestamp())
    assert "." not in sent_id
    assert call.headers["content-type"] == "application/json"
    assert call.path == "/hooks/a-secret-path"
    (raised,) = call.told["data"]["raised"]
    assert call.told["type"] == "ostiary.warnings"
    assert (raised["kind"], raised["name"], raised["within_days"]) == ("ACCESS_TOKEN", "ci", 30)
    assert raised["command"] == "ostiary token create --role auditor --name ci"
    assert outbox.send_due(system) == 0


def test_the_example_of_standard_webhooks_is_signed_as_theirs() -> None:
    """The test vector of their libraries: another implementation made it."""
    key = notification_targets._key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = letters.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", '{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("changed", ["id", "timestamp", "body", "key"])
def test_whoever_changes_any_of_it_breaks_the_signature(changed: str) -> None:
    parts = {"key": b"k" * 24, "message_id": "msg_1", "timestamp": "1614265330", "body": '{"a":1}'}
    name = {"id": "message_id"}.get(changed, changed)
    other = {**parts, name: b"x" * 24 if name == "key" else f"{parts[name]!s}0"}
    assert letters.signature(**parts) != letters.signature(**other)  # type: ignore[arg-type]  # names of its parameters


def test_a_receiver_that_is_down_is_tried_again_with_longer_waits_and_then_has_all_in_order(
    system: System, clock: FakeClock
) -> None:
    with webhook_sink() as gone:
        target = to_hook(system, gone, digest_hours=0)
    for name in ("first", "second", "third"):
        something(system, clock, name)
    assert outbox.send_due(system) == 0
    tried = [one.attempts for one in waiting(system, target)]
    assert tried == [1, 0, 0]  # whoever does not answer now is not asked for each
    assert outbox.send_due(system) == 0
    assert [one.attempts for one in waiting(system, target)] == [1, 0, 0]
    waits = []
    for _ in range(8):
        clock.at = waiting(system, target)[0].next_at
        outbox.send_due(system)
        waits.append(waiting(system, target)[0].next_at - clock.at)
    assert waits == sorted(waits)
    assert waits[0] > timedelta(seconds=25)
    assert waits[-1] > timedelta(minutes=50)
    shown = notification_targets.show(system, ADMIN, target.id)
    assert "no connection" in shown.standing.last_error
    assert shown.standing.failing_since is not None
    with webhook_sink() as back:
        notification_targets.update(system, ADMIN, target.id, {}, Secrets(url=back.url))
        assert outbox.send_due(system) == 3
        assert [call.told["data"]["raised"][0]["name"] for call in back.calls] == ["first", "second", "third"]
    assert notification_targets.show(system, ADMIN, target.id).standing.failing_since is None


def test_what_is_not_taken_for_a_day_is_given_up_and_shown_with_the_reason(
    system: System, clock: FakeClock, hook: WebhookSink
) -> None:
    target = to_hook(system, hook)
    hook.answers = lambda _call: 503
    something(system, clock)
    sent_ids = set()
    for _ in range(60):
        held = waiting(system, target)
        if not held:
            break
        clock.at = held[0].next_at
        outbox.send_due(system)
        sent_ids.add(hook.calls[-1].headers["webhook-id"])
    (dead,) = all_of(system, target)
    assert (dead.state, dead.error) == ("DEAD", f"http://localhost:{hook.port} answered with status 503.")
    assert len(sent_ids) == 1  # each attempt under the same id
    assert len({call.headers["webhook-timestamp"] for call in hook.calls}) == len(hook.calls) == dead.attempts
    assert len({call.headers["webhook-signature"] for call in hook.calls}) == len(hook.calls)
    assert timedelta(hours=20) <= clock.at - dead.created_at <= timedelta(hours=28)
    assert dead.attempts == outbox.ATTEMPTS_MAX
    assert watching.counts(system).failed == {"hook": 1}
    # Others are told that this one fails, not itself.
    other = to_hook(system, hook, name="other", topics=("NOTIFICATIONS",))
    assert watching.look(system) == 1
    assert waiting(system, target) == ()
    assert json.loads(waiting(system, other)[0].body)["data"]["raised"][0]["name"] == "hook"


def test_one_that_is_refused_for_itself_holds_up_no_other(system: System, clock: FakeClock, hook: WebhookSink) -> None:
    target = to_hook(system, hook, digest_hours=0)
    hook.answers = lambda call: 400 if b"bad" in call.body else 204
    for name in ("bad", "good"):
        something(system, clock, name)
    assert outbox.send_due(system) == 1
    assert [(one.state, one.refused) for one in all_of(system, target)] == [("WAITING", True), ("SENT", False)]
    assert notification_targets.show(system, ADMIN, target.id).standing.failing_since is None
    clock.advance(minutes=1)
    assert outbox.send_due(system) == 0
    since = notification_targets.show(system, ADMIN, target.id).standing.failing_since
    assert since is not None  # nothing has got through since that


def test_who_dies_between_sending_and_noting_it_sends_it_again_under_the_same_id(
    system: System, clock: FakeClock, hook: WebhookSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = to_hook(system, hook)
    something(system, clock)

    def killed(*_about: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            outbox.send_due(system)
    assert [one.state for one in all_of(system, target)] == ["WAITING"]
    again = System(store=system.store, sealer=system.sealer, clock=clock)
    assert outbox.send_due(again) == 0  # whoever began to send it might still be at it
    clock.advance(seconds=61)
    assert outbox.send_due(again) == 1
    assert len({call.headers["webhook-id"] for call in hook.calls}) == 1
    assert len({call.body for call in hook.calls}) == 1
    assert len(hook.calls) == 2


def test_two_control_planes_on_one_database_send_it_once(system: System, clock: FakeClock, hook: WebhookSink) -> None:
    to_hook(system, hook)
    something(system, clock)
    other = System(store=system.store, sealer=system.sealer, clock=clock)
    taken: list[int] = []

    def meanwhile(_call: object) -> int:
        taken.append(outbox.send_due(other) + watching.look(other))
        return 204

    hook.answers = meanwhile
    assert outbox.send_due(system) == 1
    assert taken == [0]
    assert len(hook.calls) == 1


def test_what_is_to_be_told_and_that_it_was_are_one_commit(
    system: System, clock: FakeClock, hook: WebhookSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = to_hook(system, hook)
    tokens.create(system, ADMIN, NewToken(name="ci", role="auditor", expires_in=timedelta(days=32)))
    clock.advance(days=3)

    def killed(*_about: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "note_told", killed)
        with pytest.raises(KeyboardInterrupt):
            watching.look(system)
    assert waiting(system, target) == ()
    clock.advance(minutes=1)
    assert watching.look(system) == 1
    assert len(waiting(system, target)) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(302, "redirects"), (404, "answered with status 404"), (500, "answered with status 500")]
)
def test_no_redirect_is_followed_and_only_2xx_is_taken(system: System, hook: WebhookSink, status: int, words: str) -> None:
    target = to_hook(system, hook)
    hook.answers, hook.location = lambda _call: status, f"{hook.url}-elsewhere"
    outcome = notification_targets.test(system, ADMIN, target.id)
    assert words in outcome.error
    assert len(hook.calls) == 1


def test_a_reply_of_any_length_is_not_read(system: System) -> None:
    with webhook_sink(reply=b"x" * 5_000_000) as hook:
        assert notification_targets.test(system, ADMIN, to_hook(system, hook).id).is_taken


def test_a_webhook_over_tls_is_verified(system: System, tmp_path: Path, ca: Authority, leaf: Leaf) -> None:
    with webhook_sink(tmp_path, leaf.chain_pem, leaf.key_pem) as hook:
        target = to_hook(system, hook)
        assert "not trusted" in notification_targets.test(system, ADMIN, target.id).error
        assert hook.calls == []
        notification_targets.update(system, ADMIN, target.id, {"trusted_certificates": ca.cert_pem})
        assert notification_targets.test(system, ADMIN, target.id).is_taken
        (call,) = hook.calls
        assert call.told["type"] == "ostiary.test"


@pytest.mark.parametrize(
    ("networks", "words"),
    [((), "this machine"), (("10.0.0.0/8",), "this machine"), (LOOPBACK, "")],
)
def test_addresses_of_our_own_are_reached_only_where_that_is_said(
    system: System, tmp_path: Path, ca: Authority, leaf: Leaf, networks: tuple[str, ...], words: str
) -> None:
    with webhook_sink(tmp_path, leaf.chain_pem, leaf.key_pem) as hook, mail_sink(tmp_path, leaf.chain_pem, leaf.key_pem) as box:
        one = to_hook(system, hook, private_networks=networks, trusted_certificates=ca.cert_pem)
        other = to_box(system, box, ca, private_networks=networks)
        for target in (one, other):
            outcome = notification_targets.test(system, ADMIN, target.id)
            assert words in outcome.error
            assert outcome.is_taken == (not words)
        assert bool(hook.calls) == bool(box.letters) == (not words)


def test_plain_http_is_for_networks_of_our_own(system: System, hook: WebhookSink) -> None:
    with pytest.raises(Invalid, match="use https"):
        to_hook(system, hook, private_networks=())
    with pytest.raises(Invalid, match="user name or password"):
        notification_targets.create(
            system, ADMIN, NotificationTarget(name="x", kind="WEBHOOK"), Secrets(url="https://a:b@example.com/")
        )


# Letters


def test_a_letter_is_encrypted_signed_in_and_says_what_to_do(
    system: System, clock: FakeClock, box: MailSink, ca: Authority
) -> None:
    to_box(system, box, ca)
    for name in ("ci", "deploy"):
        tokens.create(system, ADMIN, NewToken(name=name, role="auditor", expires_in=timedelta(days=32)))
    clock.advance(days=3)
    watching.look(system)
    assert outbox.send_due(system) == 1  # one for both
    (letter,) = box.letters
    assert (letter.encrypted, letter.user) == (True, "ostiary")
    assert (letter.sender, letter.recipients) == ("ostiary@example.com", ("pki@example.com", "ops@example.com"))
    assert letter.message["Subject"] == "[ostiary] 2 warnings"
    assert letter.message["Auto-Submitted"] == "auto-generated"
    assert letter.message["Message-ID"].startswith("<msg_")
    assert "Notice: Access token ci ends in 28 days" in letter.text
    assert "  Make another, and give it to whoever uses this one." in letter.text
    assert "  $ ostiary token create --role auditor --name ci" in letter.text


def test_however_much_there_is_people_get_one_letter(system: System, clock: FakeClock, box: MailSink, ca: Authority) -> None:
    to_box(system, box, ca)
    at, ends = clock().isoformat(), (clock() + timedelta(days=3)).isoformat()
    times = {"first_seen": at, "last_seen": at, "not_after": ends, "addresses": {}, "listener_id": "door"}
    entries = [{"fingerprint_sha256": f"{number:064x}", "subject": f"CN=c{number}", **times} for number in range(250)]
    assert sightings.seen(system, "gateway-1", {"sequence": 1, "sightings": entries, "certificates": {}}) == 0
    assert watching.look(system) == 1
    assert outbox.send_due(system) == 1
    (letter,) = box.letters
    assert letter.message["Subject"] == "[ostiary] 250 warnings"
    assert letter.text.count("Client certificate CN=c") == 100
    assert letter.text.endswith("And 150 more: ostiary expiring\n")
    clock.advance(minutes=1)
    assert watching.look(system) == 0


def test_a_letter_in_vietnamese(system: System, clock: FakeClock, box: MailSink, ca: Authority) -> None:
    to_box(system, box, ca, language="vi")
    something(system, clock)
    assert outbox.send_due(system) == 1
    assert box.letters[0].message["Subject"] == "[ostiary] 1 cảnh báo"
    assert "Token truy cập ci" in box.letters[0].text


def test_tls_from_the_beginning(system: System, tmp_path: Path, ca: Authority, leaf: Leaf) -> None:
    with mail_sink(tmp_path, leaf.chain_pem, leaf.key_pem, implicit=True) as box:
        target = to_box(system, box, ca, security="TLS")
        assert notification_targets.test(system, ADMIN, target.id).is_taken
        assert box.letters[0].encrypted
        assert "This is a test" in box.letters[0].text


@pytest.mark.parametrize("security", ["STARTTLS", "TLS"])
@pytest.mark.parametrize("flaw", ["another CA", "another name"])
def test_a_server_with_a_wrong_certificate_is_told_nothing(
    system: System, tmp_path: Path, ca: Authority, flaw: str, security: str
) -> None:
    wrong = Authority.root("Mallory").server("localhost") if flaw == "another CA" else ca.server("elsewhere.test")
    users = {"ostiary": PASSWORD}
    with mail_sink(tmp_path, wrong.chain_pem, wrong.key_pem, implicit=security == "TLS", users=users) as box:
        target = to_box(system, box, ca, security=security)
        assert "not trusted" in notification_targets.test(system, ADMIN, target.id).error
        assert box.letters == []
        assert "AUTH" not in box.commands


def test_a_server_that_offers_no_encryption_is_told_nothing(system: System, ca: Authority) -> None:
    with mail_sink(users={"ostiary": PASSWORD}) as box:
        target = to_box(system, box, ca)
        assert "STARTTLS" in notification_targets.test(system, ADMIN, target.id).error
        assert box.letters == []
        assert "AUTH" not in box.commands


def test_without_encryption_only_where_that_is_said_and_without_a_password_but_to_this_machine(
    system: System, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_sink(users={"ostiary": PASSWORD}) as box:
        target = to_box(system, box, ca, security="PLAIN")
        assert notification_targets.test(system, ADMIN, target.id).is_taken
        assert not box.letters[0].encrypted
        monkeypatch.setattr(notification_targets, "_LOOPBACK", ())
        assert "no password is sent" in notification_targets.test(system, ADMIN, target.id).error
        assert len(box.letters) == 1


@pytest.mark.parametrize(
    ("says", "words", "is_refused"),
    [
        ({"CONNECT": "554 go away"}, "refuses the letter (554)", True),
        ({"MAIL": "451 later"}, "refuses the letter (451)", False),
        ({"RCPT": "550 nobody"}, "these recipients (550)", True),
        ({"END": "554 spam"}, "refuses the letter (554)", True),
        ({"AUTH": "535 no"}, "the user or the password (535)", False),
        ({"EHLO": "250-" + "x" * 5000}, "does not speak SMTP", False),
        ({"EHLO": "\r\n".join(["250-more"] * 5000)}, "does not speak SMTP", False),
        ({"CONNECT": "hello, who is there"}, "does not speak SMTP", False),
    ],
)
def test_what_a_mail_server_may_say_instead(
    system: System, box: MailSink, ca: Authority, says: dict[str, str], words: str, is_refused: object
) -> None:
    target = to_box(system, box, ca)
    box.says = says
    outcome = notification_targets.test(system, ADMIN, target.id)
    assert words in outcome.error
    assert outcome.refused == is_refused
    for told in says.values():
        assert told[4:14] not in outcome.error  # not a word of theirs


def test_a_letter_that_some_get_is_not_sent_again(system: System, clock: FakeClock, box: MailSink, ca: Authority) -> None:
    target = to_box(system, box, ca)
    box.says = {"RCPT ops@example.com": "550 left the company"}
    something(system, clock)
    assert outbox.send_due(system) == 1
    (sent,) = all_of(system, target)
    assert (sent.state, sent.error) == ("SENT", f"localhost:{box.port} takes nothing for some of the recipients (550).")
    assert box.letters[0].recipients == ("pki@example.com",)


def test_a_server_that_keeps_silent_is_left(system: System, ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_targets, "SECONDS", 0.2)
    left = threading.Event()
    with mail_sink(before=lambda _command: left.wait() and None) as box:
        target = to_box(system, box, ca)
        assert "did not answer within 0.2 seconds" in notification_targets.test(system, ADMIN, target.id).error
        left.set()


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test\r\nBcc: victim@c.test",
        "a@b.test\nX: y",
        "a@b.test, c@d.test",
        "Ann <a@b.test>",
        "a b@c.test",
        "a@b.test>",
        "@b.test",
        "a@",
        "a",
        "ä@b.test",
        "a@b..test",
        f"{'a' * 250}@b.test",
        "a@b.test\x00",
    ],
)
def test_an_address_is_an_address_and_nothing_else(address: str) -> None:
    for field in ({"sender": address, "recipients": ("a@b.test",)}, {"sender": "a@b.test", "recipients": (address,)}):
        with pytest.raises(ValueError, match=r"one e-mail address|at most 254"):
            NotificationTarget(name="x", kind="EMAIL", host="localhost", **field)  # type: ignore[arg-type]  # bad on purpose


def test_a_name_in_a_certificate_writes_no_header_and_no_second_line(
    system: System, clock: FakeClock, box: MailSink, ca: Authority
) -> None:
    to_box(system, box, ca, digest_hours=0)
    at = clock().isoformat()
    entry = {
        "fingerprint_sha256": "a" * 64,
        "listener_id": "door",
        "subject": "CN=x\r\nBcc: victim@example.com\r\n\r\nclick \u202ehere",
        "issuer": "CN=y\nBcc: z@example.com",
        "first_seen": at,
        "last_seen": at,
        "not_after": (clock() + timedelta(days=3)).isoformat(),
        "addresses": {},
    }
    assert sightings.seen(system, "gateway-1", {"sequence": 1, "sightings": [entry], "certificates": {}}) == 0
    watching.look(system)
    assert outbox.send_due(system) == 1
    (letter,) = box.letters
    assert letter.recipients == ("pki@example.com", "ops@example.com")
    assert letter.message["Bcc"] is None
    assert not [line for line in letter.text.splitlines() if line.startswith("Bcc")]
    assert "\u202e" not in letter.text


# What is secret


def test_what_is_secret_is_shown_nowhere(
    system: System, clock: FakeClock, box: MailSink, hook: WebhookSink, ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mail_target, hook_target = to_box(system, box, ca), to_hook(system, hook)
    notification_targets.update(system, ADMIN, mail_target.id, {}, Secrets(password=f"{PASSWORD}-2"))
    notification_targets.update(system, ADMIN, hook_target.id, {"digest_hours": 1}, Secrets(url=f"{hook.url}-2"))
    for target in (mail_target, hook_target):
        notification_targets.test(system, ADMIN, target.id)
    hook.answers = lambda _call: 500
    something(system, clock)
    outbox.send_due(system)
    seen = [caplog.text, repr(mail_target), repr(hook_target)]
    seen += [repr(one) for one in notification_targets.find(system, ADMIN, Query()).items]
    seen += [repr(notification_targets.show(system, ADMIN, target.id)) for target in (mail_target, hook_target)]
    with system.store.read() as reader:
        seen += [row.entry for row in reader.audit_entries()]
        seen += [repr(row) for row in reader.changes(after=0)]
    database = Path(str(system.store._engine.url.database))
    seen += [file.read_bytes().decode("latin-1") for file in database.parent.glob(f"{database.name}*")]
    for marker in (PASSWORD, "a-secret-path", KEY, KEY.removeprefix("whsec_")):
        assert not [text[:80] for text in seen if marker in text], marker
    assert hook_target.url_shown == f"http://localhost:{hook.port}/…"


def test_a_password_is_not_sent_elsewhere_by_who_does_not_know_it(system: System, box: MailSink, ca: Authority) -> None:
    target = to_box(system, box, ca)
    for change in ({"host": "mail.mallory.test"}, {"port": 2525}, {"security": "PLAIN"}, {"trusted_certificates": ""}):
        with pytest.raises(Invalid, match="give it again"):
            notification_targets.update(system, ADMIN, target.id, change)
    notification_targets.update(system, ADMIN, target.id, {"recipients": ("new@example.com",)})
    assert notification_targets.test(system, ADMIN, target.id).is_taken
    notification_targets.update(system, ADMIN, target.id, {"host": "127.0.0.1"}, Secrets(password=PASSWORD))
    notification_targets.update(system, ADMIN, target.id, {"username": ""})
    assert not notification_targets.get(system, ADMIN, target.id).has_secret


def test_secrets_are_sealed_anew_with_the_key_of_all_keys(system: System, hook: WebhookSink) -> None:
    old, new = new_kek(), new_kek()
    first = System(store=system.store, sealer=Sealer(old), clock=system.clock)
    made = to_hook(first, hook)
    assert rekey.rotate(system.store, ADMIN, old, new) == 1
    with_new = System(store=system.store, sealer=Sealer(new), clock=system.clock)
    assert notification_targets.test(with_new, ADMIN, made.id).is_taken
    assert "whsec" not in repr(made)
    assert isinstance(made.sealed, Private)


def test_a_key_is_made_and_shown_once_where_none_is_given(system: System) -> None:
    wanted = NotificationTarget(name="hook", kind="WEBHOOK")
    _made, key = notification_targets.create(system, ADMIN, wanted, Secrets(url="https://a.test/x"))
    octets = base64.b64decode(bytes(key).decode().removeprefix("whsec_"))
    assert len(octets) == 32
    for bad in ("short", "whsec_", "whsec_AAAA", "whsec_!!!", f"whsec_{base64.b64encode(b'x' * 65).decode()}"):
        with pytest.raises(Invalid, match="24 to 64"):
            notification_targets.create(system, ADMIN, wanted, Secrets(url="https://a.test/x", secret=bad))


@pytest.mark.parametrize(
    ("fields", "given", "field"),
    [
        ({"kind": "WEBHOOK"}, {}, "url"),
        ({"kind": "WEBHOOK", "host": "a.test"}, {"url": "https://a.test"}, "host"),
        ({"kind": "WEBHOOK"}, {"url": "https://a.test", "password": "x"}, "password"),
        ({"kind": "WEBHOOK"}, {"url": "ftp://a.test"}, "url"),
        ({"kind": "EMAIL"}, {}, "host"),
        ({"kind": "EMAIL", "host": "a.test", "sender": "a@b.test"}, {}, "recipients"),
        ({"kind": "EMAIL", "host": "a.test", "sender": "a@b.test", "recipients": ("a@b.test",), "username": "x"}, {}, "password"),
        ({"kind": "EMAIL", "host": "a.test", "sender": "a@b.test", "recipients": ("a@b.test",)}, {"password": "x"}, "username"),
        ({"kind": "EMAIL", "host": "a.test", "sender": "a@b.test", "recipients": ("a@b.test",)}, {"url": "https://a"}, "url"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(system: System, fields: dict[str, Any], given: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        notification_targets.create(system, ADMIN, NotificationTarget(name="x", **fields), Secrets(**given))
    assert refused.value.field == field


def test_who_may_and_how_many(system: System, hook: WebhookSink, monkeypatch: pytest.MonkeyPatch) -> None:
    target = to_hook(system, hook)
    with pytest.raises(Conflict, match="another name"):
        to_hook(system, hook)
    for role in ("operator", "auditor"):
        caller = Caller(name="x", role=role)
        assert notification_targets.get(system, caller, target.id).name == "hook"
        for action in (
            lambda caller=caller: notification_targets.update(system, caller, target.id, {"enabled": False}),
            lambda caller=caller: notification_targets.delete(system, caller, target.id),
            lambda caller=caller: notification_targets.test(system, caller, target.id),
        ):
            with pytest.raises(Denied):
                action()
    monkeypatch.setattr(notification_targets, "TARGETS_MAX", 1)
    with pytest.raises(Conflict, match="the most"):
        to_hook(system, hook, name="more")


def test_whoever_changes_a_target_is_told_of_to_the_others(system: System, hook: WebhookSink) -> None:
    watcher = to_hook(system, hook, name="watcher", topics=("NOTIFICATIONS",))
    severe = to_hook(system, hook, name="severe", topics=("NOTIFICATIONS",), severity="CRITICAL")
    mallory = Caller(name="mallory", role="admin", source="192.0.2.66")
    target = to_hook(system, hook)
    notification_targets.update(system, mallory, target.id, {"enabled": False})
    notification_targets.update(system, mallory, target.id, {"enabled": False})
    notification_targets.delete(system, mallory, target.id)
    said = [json.loads(one.body)["subject"] for one in waiting(system, watcher)]
    assert said == [
        "admin added notification target severe",
        "admin added notification target hook",
        "mallory changed notification target hook",
        "mallory deleted notification target hook",
    ]
    assert "From: 192.0.2.66" in json.loads(waiting(system, watcher)[-1].body)["data"]["lines"]
    assert waiting(system, severe) == ()


def test_a_target_that_is_deleted_or_out_of_service_is_sent_nothing(system: System, clock: FakeClock, hook: WebhookSink) -> None:
    target = to_hook(system, hook)
    something(system, clock)
    notification_targets.update(system, ADMIN, target.id, {"enabled": False})
    assert outbox.send_due(system) == 0
    notification_targets.delete(system, ADMIN, target.id)
    assert outbox.send_due(system) == 0
    assert hook.calls == []
    with system.store.read() as reader:
        assert notifications.standings(reader) == {}


def test_no_more_than_so_many_wait_and_what_was_sent_is_forgotten(
    system: System, clock: FakeClock, hook: WebhookSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAITING_MAX", 3)
    target = to_hook(system, hook, digest_hours=0)
    for number in range(5):
        something(system, clock, f"t{number}")
    states = [one.state for one in all_of(system, target)]
    assert states.count("WAITING") == 3
    assert states.index("WAITING") == states.count("DEAD")  # the oldest were given up
    outbox.send_due(system)
    clock.advance(days=31)
    assert outbox.forget_old(system) == len(states)
    assert outbox.forget_old(system) == 0
