"""Two people at the same thing: whoever comes second is told what changed meanwhile, before anything of theirs is written."""

from collections.abc import Collection
from typing import Any, Final

from ostiary.errors import Overtaken
from ostiary.model.fields import traits
from ostiary.model.resource import Resource
from ostiary.store.kinds import Kind
from ostiary.store.store import Transaction

_BESIDES: Final = {"revision", "updated_at"}


def refuse_if_overtaken(
    transaction: Transaction, kind: Kind[Any], thing: Resource, since: int | None, *, but: Collection[str] = ()
) -> None:
    """Raises `Overtaken` when a setting of it was changed after revision `since`, which the caller has seen; None: never.

    What happened to the settings in `but` matters to nobody.
    """
    if since is None or thing.revision <= since:
        return
    its = [one for one in transaction.changes(after=since) if (one.kind, one.resource_id) == (kind.name, thing.id)]
    if not its:
        return  # what hangs on it was changed, not the thing itself
    before, after = its[0].before or {}, its[-1].after or {}
    ours = {name for name, info in type(thing).model_fields.items() if traits(info).get("derived")} | _BESIDES | set(but)
    differing = {
        name: (before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if name not in ours and before.get(name) != after.get(name)
    }
    if differing:
        raise Overtaken(transaction.one_revision(thing.revision).actor, differing)
