"""What a target is sent: the words once, as JSON, from which a letter or the body of a webhook is made; and its signature."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final, Literal

from ostiary.model.notification import Message, NotificationTarget
from ostiary.model.warning import Notice
from ostiary.ops import warning_words
from ostiary.ops.warning_words import line
from ostiary.web import words
from ostiary.web.words import _

TOGETHER: Final = 100  # warnings in one message; more are several messages
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (what such keys begin with, by Standard Webhooks)

Type = Literal["warnings", "event", "test"]


def warnings_body(raised: Sequence[Notice], resolved: Sequence[Notice], language: str, at: datetime) -> str:
    """The body that tells of warnings, and of those that are over: of each the first hundred, and how many more there are."""
    data = {
        "raised": [_told(one, language, at) for one in raised[:TOGETHER]],
        "resolved": [_told(one, language, at) for one in resolved[:TOGETHER]],
        "more": max(0, len(raised) - TOGETHER) + max(0, len(resolved) - TOGETHER),
    }
    return _body("warnings", at, data, _subject(raised, resolved, language))


def event_body(title: str, lines: Sequence[str], data: dict[str, Any], at: datetime) -> str:
    """The body that tells of something that somebody did."""
    return _body("event", at, {**data, "lines": [line(one) for one in lines]}, title)


def test_body(target: NotificationTarget, at: datetime) -> str:
    """The body of a test."""
    said = words.of(target.language)
    told = said.gettext(_("This is a test: what ostiary warns of comes here."))
    return _body("test", at, {"lines": [told]}, said.gettext(_("A test")))


def letter(target: NotificationTarget, message: Message) -> EmailMessage:
    """The letter of a message. Whom it is from and for was checked when it was set; a line break in a header is refused here."""
    told = json.loads(message.body)
    made = EmailMessage(policy=SMTP)
    made["From"] = f"ostiary <{target.sender}>"
    made["To"] = ", ".join(target.recipients)
    made["Subject"] = line(f"[ostiary] {told['subject']}")
    made["Date"] = format_datetime(datetime.fromisoformat(told["timestamp"]))
    # The same each time it is sent, so that who has it already can tell.
    made["Message-ID"] = f"<{message.id}@{(target.sender or '').rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is answered
    made.set_content("\n".join(_lines(told, target.language)) + "\n", charset="utf-8")
    return made


def webhook_headers(key: bytes, message: Message, at: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: which message, when it is sent, and our word for both and for the body."""
    sent = str(int(at.timestamp()))
    return {
        "webhook-id": message.id,
        "webhook-timestamp": sent,
        "webhook-signature": signature(key, message.id, sent, message.body),
    }


def signature(key: bytes, message_id: str, timestamp: str, body: str) -> str:
    """`v1,` and the HMAC-SHA256 over id, time and body (Standard Webhooks 1.0)."""
    mac = hmac.new(key, f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def _body(kind: Type, at: datetime, data: dict[str, Any], subject: str) -> str:
    told = {"type": f"ostiary.{kind}", "timestamp": _time(at), "subject": subject, "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _told(notice: Notice, language: str, at: datetime) -> dict[str, Any]:
    """A warning as programs read it, and in words."""
    return {
        **{name: getattr(notice, name) for name in ("id", "kind", "topic", "severity", "stage", "within_days", "thing_id")},
        **{name: line(getattr(notice, name)) for name in ("name", "owner", "detail")},
        "ends_at": _time(notice.ends_at),
        "last_seen": _time(notice.last_seen),
        "listeners": [line(one) for one in notice.listeners],
        "title": warning_words.title(notice, language, at),
        "facts": list(warning_words.facts(notice, language)),
        "what_to_do": warning_words.way(notice, language),
        "command": line(notice.command),
    }


def _subject(raised: Sequence[Notice], resolved: Sequence[Notice], language: str) -> str:
    said = words.of(language)
    if not raised:
        told = said.ngettext("%(num)s warning is over", "%(num)s warnings are over", len(resolved))
        return told % {"num": warning_words.count(len(resolved), language)}
    critical = sum(one.severity == "CRITICAL" for one in raised)
    if critical:
        told = said.ngettext("%(num)s critical warning", "%(num)s critical warnings", critical)
        return told % {"num": warning_words.count(critical, language)}
    told = said.ngettext("%(num)s warning", "%(num)s warnings", len(raised))
    return told % {"num": warning_words.count(len(raised), language)}


def _lines(told: dict[str, Any], language: str) -> list[str]:
    """The text of a letter: what is most urgent first, a paragraph each."""
    said, data = words.of(language), told["data"]
    lines = list(data.get("lines", ()))
    for one in data.get("raised", ()):
        urgency = warning_words.SEVERITIES[one["severity"]]
        lines += [f"{said.gettext(urgency)}: {one['title']}", *(f"  {fact}" for fact in one["facts"])]
        lines += [f"  {one['what_to_do']}"] if one["what_to_do"] else []
        lines += [f"  $ {one['command']}"] if one["command"] else []
        lines.append("")
    if data.get("resolved"):
        lines.append(said.gettext(_("Over, for it was renewed, or is there no longer:")))
        kinds = {kind: said.gettext(text) for kind, text in warning_words.KINDS.items()}
        lines += [f"  {kinds[one['kind']]} {one['name']}".rstrip() for one in data["resolved"]]
    if more := data.get("more"):
        told_of = said.ngettext("And %(num)s more: ostiary expiring", "And %(num)s more: ostiary expiring", more)
        lines.append(told_of % {"num": warning_words.count(more, language)})
    return lines


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
