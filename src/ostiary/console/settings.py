"""What is decided about the whole; the system as it runs, which option of the start says so; and how the reader wants to read."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import groupby
from typing import Any, Final
from zoneinfo import available_timezones

from starlette.responses import Response

from ostiary.console import forms
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Control, Filled
from ostiary.console.visit import Visit, action, page
from ostiary.model.denial import LONGEST_KEPT as REFUSALS_KEPT
from ostiary.model.house import HouseSettings
from ostiary.model.house_door import HouseDoorKind
from ostiary.model.session import LINK_LIFETIME, SESSION_IDLE, SESSION_LIFETIME
from ostiary.model.token import ACCESS_LIFETIME, GRANT_LIFETIME
from ostiary.model.traffic import HOURS_KEPT, MINUTES_KEPT
from ostiary.ops import house_settings, setup
from ostiary.ops.setup import Setup
from ostiary.web.words import _

# Continents and oceans; what is called otherwise names no place.
_REGIONS: Final = (
    "Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
)  # fmt: skip


PLACE: Final = "/console/settings"
# What the settings are about, in the order in which they stand: by the group of their fields.
GROUPS: Final = {"record": _("The audit record"), "approvals": _("Another person's approval")}


@dataclass(frozen=True)
class Fact:
    """Something about the system, and the option that sets it; `value` is empty where nothing was said."""

    title: str
    value: str
    option: str = ""
    note: str = ""


@dataclass(frozen=True)
class Limit:
    """How long something lasts or is kept."""

    title: str
    lasts: str


def show(visit: Visit) -> Response:
    """All of it on one page."""
    return visit.page("settings.html", **_behind(visit))


def edit(visit: Visit) -> Response:
    """The pop-up in which people decide."""
    decided = house_settings.get(visit.system, visit.caller)
    return _popup(visit, decided, _form(visit, decided))


def save(visit: Visit) -> Response:
    """Take what was sent."""
    decided = house_settings.get(visit.system, visit.caller)
    done = attempt(visit, "house_settings", lambda: _update(visit, decided))
    if done.is_done:
        return visit.see(PLACE, visit.say(_("The settings were saved.")))
    newest = house_settings.get(visit.system, visit.caller)
    return _popup(visit, newest, forms.typed(_form(visit, newest), visit.form, done.errors), done)


def _update(visit: Visit, decided: HouseSettings) -> None:
    values = forms.decoded(visit, HouseSettings, _form(visit, decided), visit.form)
    changes = forms.differing(decided, {name: value for name, value in values.items() if visit.form.has(name)})
    house_settings.update(visit.system, visit.caller, changes, since=visit.form.seen(decided.revision))


def _form(visit: Visit, decided: HouseSettings) -> Filled:
    return forms.made(visit, HouseSettings, forms.settable(HouseSettings, later=True), dict(decided))


def _popup(visit: Visit, decided: HouseSettings, form: Filled, done: Attempt = NOT_YET) -> Response:
    about = {"form": form, "revision": done.seen(visit, decided), "meanwhile": done.meanwhile, "groups": _grouped(visit, form)}
    return visit.page("settings_edit.html", done.status, **_behind(visit), **about)


def _grouped(visit: Visit, form: Filled) -> list[tuple[str, tuple[Control, ...]]]:
    """The fields with the title of what they are about."""
    return [(visit.say(title), found) for group, title in GROUPS.items() if (found := form.together(group))]


def _behind(visit: Visit) -> dict[str, Any]:
    """What the page shows, also behind the pop-up."""
    shown = setup.show(visit.system, visit.caller)
    decided = house_settings.get(visit.system, visit.caller)
    return {
        "decided": _grouped(visit, _form(visit, decided)),
        "facts": _facts(visit, shown),
        "limits": [Limit(visit.say(title), _exactly(visit, lasts)) for title, lasts in _LIMITS],
        "setup": shown,
        "zones": zones(),
        "back": PLACE,
    }


_LIMITS: Final = (
    (_("A session at the longest"), SESSION_LIFETIME),
    (_("A session that nobody uses"), SESSION_IDLE),
    (_("A link to sign in"), LINK_LIFETIME),
    (_("An access token, unless said otherwise"), ACCESS_LIFETIME),
    (_("A grant to enrol, unless said otherwise"), GRANT_LIFETIME),
    (_("Who was refused and why is kept"), REFUSALS_KEPT),
    (_("Traffic by the minute is kept"), MINUTES_KEPT),
    (_("Traffic by the hour is kept"), HOURS_KEPT),
)


def _exactly(visit: Visit, lasts: timedelta) -> str:
    """In days, hours or minutes, whichever says it in a whole number."""
    minutes = int(lasts.total_seconds()) // 60
    if minutes % 1440 == 0:
        return visit.say_many("%(count)s day", "%(count)s days", minutes // 1440)
    if minutes % 60 == 0:
        return visit.say_many("%(count)s hour", "%(count)s hours", minutes // 60)
    return visit.say_many("%(count)s minute", "%(count)s minutes", minutes)


def _facts(visit: Visit, shown: Setup) -> list[Fact]:
    protected = _("under a passphrase") if shown.passphrase else _("without a passphrase: whoever reads the file has the key")
    kept = shown.recording
    serves_on = _("serves on") if shown.leave_gateway else _("stops too")
    return [
        Fact(visit.say(_("Version")), shown.version),
        Fact(visit.say(_("Data directory")), shown.data_dir, "--data-dir, OSTIARY_DATA_DIR"),
        Fact(visit.say(_("Database")), f"{shown.database_kind} {shown.database}".strip(), "--database, OSTIARY_DATABASE"),
        Fact(visit.say(_("API and console")), shown.listen, "--listen, OSTIARY_LISTEN"),
        _door(visit, "console", visit.say(_("The console's own door")), "--console-listen, --console-name"),
        _door(visit, "enrolment", visit.say(_("The door to enrolment")), "--enroll-listen, --enroll-name"),
        Fact(
            visit.say(_("Public address of revocation lists and OCSP")),
            shown.public_url,
            "--public-url, OSTIARY_PUBLIC_URL",
            "" if shown.public_url else visit.say(_("Without it, certificates do not say where others can ask about them.")),
        ),
        Fact(
            visit.say(_("Key-encryption key")),
            shown.kek_file,
            "ostiary kek protect, OSTIARY_PASSPHRASE_FILE",
            visit.say(protected),
        ),
        Fact(
            visit.say(_("PKCS#11 token for keys of authorities")),
            f"{shown.token} ({shown.token_module})" if shown.token else "",
            "OSTIARY_PKCS11_MODULE, OSTIARY_PKCS11_TOKEN, OSTIARY_PKCS11_PIN_FILE",
        ),
        Fact(visit.say(_("When ostiary is stopped, the gateway")), visit.say(serves_on), "--leave-gateway"),
        Fact(
            visit.say(_("The access record is kept")),
            visit.say(_("%(time)s, at most %(count)s files"), time=_exactly(visit, kept.keep), count=kept.files),
            "--access-log-keep, --access-log-keep-files",
        ),
        Fact(
            visit.say(_("The access record is sent to")),
            ", ".join(one.name for one in kept.exports),
            "--access-log-export, OSTIARY_ACCESS_LOG_EXPORTS",
        ),
    ]


def _door(visit: Visit, kind: HouseDoorKind, title: str, options: str) -> Fact:
    door = visit.system.door(kind)
    if door is None:
        return Fact(title, "", options)
    demands = visit.say(_("Nobody gets in there without a client certificate.")) if door.demands_certificate else ""
    return Fact(title, door.url, options, demands)


@cache
def zones() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Time zones to choose from, by continent."""
    named = sorted(name for name in available_timezones() if name.partition("/")[0] in _REGIONS)
    by_region = groupby(named, key=lambda name: name.partition("/")[0])
    return (("UTC", ("UTC",)), *((region, tuple(names)) for region, names in by_region))


ROUTES: Final = (
    page(PLACE, show, may="settings:read", current="settings"),
    page(f"{PLACE}/edit", edit, may="settings:update", current="settings"),
    action(f"{PLACE}/edit", save, may="settings:update", current="settings"),
)
