"""An access rule in words: whose certificates, what is asked for, from where and when."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary.console.visit import Visit
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.web.words import _

WORDS: Final = {
    "groups": _("Groups"),
    "profiles": _("Profiles"),
    "authority_ids": _("CA"),
    "fingerprints_sha256": _("Fingerprint"),
    "serials": _("Serial number"),
    "subject_cn": "CN",
    "subject_ou": "OU",
    "san_dns": "DNS",
    "san_uri": "URI",
    "san_email": _("E-mail"),
    "spiffe_ids": "SPIFFE",
    "methods": _("Methods"),
    "hosts": _("Hosts"),
    "paths": _("Paths"),
    "sources": _("Networks"),
}
_OF_REQUESTS: Final = ("methods", "hosts", "paths", "sources")
_MOST: Final = 4  # values of a kind
_LONG: Final = 40  # characters of one


@dataclass(frozen=True)
class Condition:
    """One kind of thing that is asked, and the values of which one has to fit. `more` are left out here."""

    word: str
    values: tuple[str, ...]
    more: int


def whom(visit: Visit, holders: Holders, authorities: Mapping[str, str | None]) -> tuple[Condition, ...]:
    """Whose certificates; nothing is everybody's. `authorities` are names by id."""
    return tuple(_conditions(visit, ((name, _named(name, values, authorities)) for name, values in holders)))


def what(visit: Visit, rule: AccessRule | AccessException) -> tuple[Condition, ...]:
    """What is asked for and from where; nothing is everything."""
    return tuple(_conditions(visit, ((name, getattr(rule, name, ())) for name in _OF_REQUESTS)))


def _conditions(visit: Visit, named: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Condition]:
    for name, values in named:
        if values:
            yield Condition(visit.say(WORDS[name]), tuple(map(_short, values[:_MOST])), max(0, len(values) - _MOST))


def _named(name: str, values: Sequence[str], authorities: Mapping[str, str | None]) -> Sequence[str]:
    return [authorities.get(one) or one for one in values] if name == "authority_ids" else values


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
