"""Who is told of warnings: mailboxes and webhooks, added, tried, changed, deleted; what waits for each, and what was given up."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, lists
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.status import Shown
from ostiary.console.visit import Visit, action, page
from ostiary.errors import NotFound
from ostiary.model.fields import Data, setting
from ostiary.model.notification import Message, NotificationTarget, Standing, TargetKind
from ostiary.model.warning import SEVERITIES, TOPICS
from ostiary.ops import notification_targets as targets
from ostiary.ops import warning_words
from ostiary.ops.notification_targets import Secrets
from ostiary.web.words import LANGUAGES, _

_HOME: Final = "/console/notifications"
_ONE: Final = f"{_HOME}/{{target_id}}"
_OF_BOTH: Final = ("topics", "severity", "language", "digest_hours", "private_networks", "trusted_certificates", "enabled")
_OF_MAIL: Final = ("host", "port", "security", "username", "sender", "recipients")
_KINDS: Final[Mapping[str, TargetKind]] = {"email": "EMAIL", "webhook": "WEBHOOK"}
_SECURITY: Final = (
    ("STARTTLS", _("STARTTLS: encrypted after the first words")),
    ("TLS", _("TLS from the beginning")),
    ("PLAIN", _("None: only within networks that you trust")),
)
_STATES: Final = {
    "WAITING": Shown(_("Waits"), "busy"),
    "SENT": Shown(_("Taken"), "good"),
    "DEAD": Shown(_("Given up"), "bad"),
}
_TYPES: Final = {"warnings": _("Warnings"), "event": _("Break-glass"), "test": _("Test")}


class SecretFields(Data):
    """What is secret of a target, as it is typed."""

    password: str = setting("", "It is not shown again.", label="Password")
    url: str = setting("", "Its path may be a secret: it is not shown again.", label="Address of the webhook")
    secret: str = setting(
        "",
        "The key of signatures, whsec_… as Standard Webhooks has it. Empty: ostiary makes one, and shows it once.",
        label="Key of signatures",
    )


def home(visit: Visit) -> Response:
    """All targets, and how it stands with each."""
    return visit.page("notifications.html", **_behind(visit))


def ask_create(visit: Visit) -> Response:
    """An empty form."""
    return _popup(visit, _kind(visit), None)


def create(visit: Visit) -> Response:
    """Add it; of a webhook, show the key of its signatures where we made one: in this answer and nowhere else."""
    kind = _kind(visit)
    form = _form(visit, kind, None)

    def do() -> Any:
        values = _values(visit, form)
        wanted = NotificationTarget(kind=kind, **forms.given(values))
        return targets.create(visit.system, visit.caller, wanted, _secrets(visit))

    done = attempt(visit, "notification_target", do)
    if not done.is_done:
        return _popup(visit, kind, None, done)
    made, key = done.made
    if key:
        return visit.page("notification_made.html", target=made, secret=bytes(key).decode())
    return visit.see(f"{_HOME}/{made.id}", visit.say(_("%(name)s was added. Now see that it works."), name=made.name))


def show(visit: Visit) -> Response:
    """One target with its last messages."""
    found = targets.show(visit.system, visit.caller, visit.path["target_id"], 50)
    return visit.page(
        "notification.html",
        target=found.target,
        standing=found.standing,
        state=_state(visit, found.target, found.standing),
        messages=[_message(visit, one) for one in found.messages],
        topics=[visit.say(warning_words.TOPICS[one]) for one in found.target.topics],
        severity=visit.say(warning_words.SEVERITIES[found.target.severity]),
        spoken=LANGUAGES[found.target.language],
    )


def test(visit: Visit) -> Response:
    """Send a test at once, and say what came of it."""
    found = targets.get(visit.system, visit.caller, visit.path["target_id"])
    outcome = targets.test(visit.system, visit.caller, found.id)
    if not outcome.is_taken:
        said = visit.say(_("The test was not taken: %(why)s"), why=visit.say(outcome.error))
    elif outcome.note:
        said = visit.say(_("The test was taken, but not for all: %(why)s"), why=outcome.note)
    else:
        said = visit.say(_("The test was taken: see that it has come."))
    return visit.see(f"{_HOME}/{found.id}", said)


def ask_edit(visit: Visit) -> Response:
    """The target as it is, without what is secret."""
    found = targets.get(visit.system, visit.caller, visit.path["target_id"])
    return _popup(visit, found.kind, found)


def edit(visit: Visit) -> Response:
    """Change it. What is secret stays unless it was typed."""
    found = targets.get(visit.system, visit.caller, visit.path["target_id"])
    form = _form(visit, found.kind, found)

    def do() -> NotificationTarget:
        changes = forms.differing(found, _values(visit, form))
        return targets.update(visit.system, visit.caller, found.id, changes, _secrets(visit))

    done = attempt(visit, "notification_target", do)
    if not done.is_done:
        return _popup(visit, found.kind, found, done)
    return visit.see(f"{_HOME}/{found.id}", visit.say(_("%(name)s was saved."), name=done.made.name))


def ask_delete(visit: Visit) -> Response:
    """What goes with it."""
    found = targets.show(visit.system, visit.caller, visit.path["target_id"], 1)
    return visit.page("notification_delete.html", target=found.target, standing=found.standing, **_behind(visit))


def delete(visit: Visit) -> Response:
    """Remove it, and what waits for it."""
    found = targets.get(visit.system, visit.caller, visit.path["target_id"])
    targets.delete(visit.system, visit.caller, found.id)
    return visit.see(_HOME, visit.say(_("%(name)s was deleted."), name=found.name))


def _behind(visit: Visit) -> dict[str, Any]:
    found = lists.listed(visit, lambda query: targets.find(visit.system, visit.caller, query))
    standings = targets.standings(visit.system, visit.caller)
    rows = [
        (one, standings.get(one.id, Standing()), _state(visit, one, standings.get(one.id, Standing()))) for one in found.items
    ]
    return {"found": found, "rows": rows, "severities": _severities(visit), "back": _HOME}


def _kind(visit: Visit) -> TargetKind:
    kind = _KINDS.get(visit.path["kind"])
    if kind is None:
        raise NotFound("Page", visit.path["kind"])
    return kind


def _form(visit: Visit, kind: TargetKind, one: NotificationTarget | None) -> Filled:
    names = ("name", *(_OF_MAIL if kind == "EMAIL" else ()), *_OF_BOTH)
    made = forms.made(
        visit,
        NotificationTarget,
        names,
        dict(one) if one is not None else {"language": visit.language},
        topics=[(topic, visit.say(warning_words.TOPICS[topic])) for topic in TOPICS],
        severity=list(_severities(visit).items()),
        language=list(LANGUAGES.items()),
        security=[(value, visit.say(text)) for value, text in _SECURITY],
    )
    needed = {name: replace(made[name], is_needed=True) for name in ("host", "sender", "recipients") if name in made}
    secret = forms.made(visit, SecretFields, ("password",) if kind == "EMAIL" else ("url", "secret"), {})
    if one is not None:
        kept = visit.say(_("Empty: it stays as it is."))
        secret = Filled({name: replace(each, help=kept) for name, each in secret.controls.items()})
    elif kind == "WEBHOOK":
        secret = Filled({**secret.controls, "url": replace(secret["url"], is_needed=True)})
    return forms.together(Filled({**made.controls, **needed}), secret)


def _values(visit: Visit, form: Filled) -> dict[str, Any]:
    return forms.decoded(visit, NotificationTarget, forms.only(form, _own(form)), visit.form)


def _own(form: Filled) -> list[str]:
    return [name for name in form.controls if name in NotificationTarget.model_fields]


def _secrets(visit: Visit) -> Secrets:
    return Secrets(**{name: visit.form.text(name) for name in SecretFields.model_fields})


def _popup(visit: Visit, kind: TargetKind, one: NotificationTarget | None, done: Attempt = NOT_YET) -> Response:
    form = _form(visit, kind, one)
    if visit.form.texts:
        typed = forms.typed(form, visit.form, done.errors)
        # What was typed of a password or key is not sent back.
        hidden = {name: replace(typed[name], value="") for name in ("password", "secret") if name in typed}
        form = Filled({**typed.controls, **hidden}, typed.errors)
    return visit.page("notification_edit.html", done.status, kind=kind, target=one, form=form, **_behind(visit))


def _severities(visit: Visit) -> dict[str, str]:
    return {one: visit.say(warning_words.SEVERITIES[one]) for one in SEVERITIES}


def _state(visit: Visit, one: NotificationTarget, standing: Standing) -> Shown:
    if not one.enabled:
        return Shown(visit.say(_("Out of service")), "off")
    if standing.failing_since is not None:
        return Shown(visit.say(_("Nothing gets through")), "bad")
    if standing.last_sent_at is not None:
        return Shown(visit.say(_("Works")), "good")
    return Shown(visit.say(_("Nothing sent yet")), "off")


def _message(visit: Visit, one: Message) -> dict[str, Any]:
    state = _STATES[one.state]
    return {
        "message": one,
        "state": Shown(visit.say(state.word), state.tone),
        "type": visit.say(_TYPES.get(one.type, one.type)),
        "why": visit.say(one.error) if one.error else "",
    }


ROUTES: Final = (
    page(_HOME, home, may="notification-target:read", current="notifications"),
    page(f"{_HOME}/create/{{kind}}", ask_create, may="notification-target:create", current="notifications"),
    action(f"{_HOME}/create/{{kind}}", create, may="notification-target:create", current="notifications"),
    page(_ONE, show, may="notification-target:read", current="notifications"),
    action(f"{_ONE}/test", test, may="notification-target:test", current="notifications"),
    page(f"{_ONE}/edit", ask_edit, may="notification-target:update", current="notifications"),
    action(f"{_ONE}/edit", edit, may="notification-target:update", current="notifications"),
    page(f"{_ONE}/delete", ask_delete, may="notification-target:delete", current="notifications"),
    action(f"{_ONE}/delete", delete, may="notification-target:delete", current="notifications"),
)
