"""Profiles: what each kind of certificate may hold. Some are built in and may be adjusted; others are made by operators."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.ids import new_id
from ostiary.model import profile as model
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.edit import edited
from ostiary.ops.system import System
from ostiary.pki.profile import BUILT_IN, KEY_USAGES, PURPOSES, Profile, key_usage_name, purpose_name
from ostiary.pki.profile_rules import rules
from ostiary.store.kinds import CERTIFICATE, PROFILE
from ostiary.store.store import Reader

# What makes a built-in profile that profile stays: whoever asks for `client` gets something for clients. The rest is theirs.
ADJUSTABLE: Final = frozenset(
    {
        "description",
        "name_patterns",
        "max_alternatives",
        "key_types",
        "min_rsa_bits",
        "default_lifetime",
        "max_lifetime",
        "backdate",
        "renewal_window",
        "allow_key_reuse",
        "approval",
    }
)
_MEANT: Final = tuple(field.name for field in fields(Profile))


@dataclass(frozen=True)
class Known:
    """A profile as it is in force. `adjusted` are the fields in which it differs from the one that is built in."""

    profile: model.Profile
    built_in: bool
    adjusted: tuple[str, ...]
    rules: Mapping[str, str]


def effective(reader: Reader, name: str, field: str = "profile") -> Profile:
    """The profile of this name, as it is in force. Raises `Invalid` when there is none."""
    stored = _stored(reader, name)
    if stored is not None:
        return meaning(stored)
    if name not in BUILT_IN:
        raise Invalid(field, f"there is no profile '{name}'; choose from {', '.join(sorted(_names(reader)))}")
    return BUILT_IN[name]


def all_effective(reader: Reader) -> tuple[Profile, ...]:
    """All of them, as they are in force."""
    return tuple(effective(reader, name) for name in _names(reader))


def find(system: System, caller: Caller) -> tuple[Known, ...]:
    """All of them, those that are built in first."""
    caller.must("profile:read")
    with system.store.read() as reader:
        return tuple(_known(reader, name) for name in _names(reader))


def get(system: System, caller: Caller, name: str) -> Known:
    """One of them. Raises `NotFound`."""
    caller.must("profile:read")
    with system.store.read() as reader:
        return _known(reader, name)


def create(system: System, caller: Caller, wanted: model.Profile) -> Known:
    """Add a profile. Raises `Invalid` for one that makes no sense, `Conflict` when the name is taken."""
    with change(system, caller, "profile:create") as transaction:
        if wanted.name in _names(transaction):
            raise Conflict(f"there is a profile '{wanted.name}' already; change that, or choose another name.", "name")
        meaning(wanted)
        transaction.insert(PROFILE, wanted.model_copy(update={"id": new_id()}))
        return _known(transaction, wanted.name)


def update(system: System, caller: Caller, name: str, changes: Mapping[str, Any]) -> Known:
    """Change a profile; None puts a field back. Of one that is built in, what it is for stays as it is.

    What was issued before stays as it was. Raises `NotFound` and `Invalid`.
    """
    with change(system, caller, "profile:update") as transaction:
        before = _known(transaction, name).profile
        if name in BUILT_IN:
            original = as_stored(BUILT_IN[name])
            for field in changes.keys() - ADJUSTABLE:
                if changes[field] != getattr(before, field):
                    raise Invalid(field, f"it is part of what profile '{name}' is; make a profile of your own instead.")
            changes = {field: getattr(original, field) if value is None else value for field, value in changes.items()}
        after = edited(before, changes)
        meaning(after)
        if before.id:
            transaction.replace(PROFILE, before, after)
        elif after != before:
            transaction.insert(PROFILE, after.model_copy(update={"id": new_id()}))
        return _known(transaction, name)


def delete(system: System, caller: Caller, name: str) -> None:
    """Remove a profile that nothing on record was issued by, or put one that is built in back to what it was."""
    with change(system, caller, "profile:delete") as transaction:
        stored = _stored(transaction, name)
        if stored is None:
            if name in BUILT_IN:
                raise Conflict(f"Profile '{name}' is built in and as it always was; there is nothing to put back.")
            raise NotFound("Profile", name)
        issued = transaction.count(CERTIFICATE, profile=name)
        if issued and name not in BUILT_IN:
            raise Conflict(f"Profile '{name}' is that of {issued} certificates on record, which renew by it; keep it.")
        transaction.delete(PROFILE, stored)


def meaning(stored: model.Profile) -> Profile:
    """What a stored profile means. Raises `Invalid`, with the field named, when it makes no sense."""
    values = {name: getattr(stored, name) for name in _MEANT}
    return Profile(
        **{
            **values,
            "extended_key_usages": tuple(PURPOSES[name] for name in stored.extended_key_usages),
            "key_usages": tuple(KEY_USAGES[name] for name in stored.key_usages),
            "rsa_key_usages": tuple(KEY_USAGES[name] for name in stored.rsa_key_usages),
        }
    )


def as_stored(profile: Profile) -> model.Profile:
    """A profile as the API shows it and the store keeps it."""
    values = {name: getattr(profile, name) for name in _MEANT}
    return model.Profile(
        **{
            **values,
            "extended_key_usages": tuple(map(purpose_name, profile.extended_key_usages)),
            "key_usages": tuple(map(key_usage_name, profile.key_usages)),
            "rsa_key_usages": tuple(map(key_usage_name, profile.rsa_key_usages)),
        }
    )


def _stored(reader: Reader, name: str) -> model.Profile | None:
    return next((one for one in reader.all(PROFILE) if one.name == name), None)  # all of them are read once


def _names(reader: Reader) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*BUILT_IN, *(stored.name for stored in reader.all(PROFILE)))))


def _known(reader: Reader, name: str) -> Known:
    stored, original = _stored(reader, name), BUILT_IN.get(name)
    if stored is None:
        if original is None:
            raise NotFound("Profile", name)
        return Known(as_stored(original), built_in=True, adjusted=(), rules=rules(original))
    meant = meaning(stored)
    differs = () if original is None else tuple(field for field in _MEANT if getattr(meant, field) != getattr(original, field))
    return Known(stored, built_in=original is not None, adjusted=differs, rules=rules(meant))
