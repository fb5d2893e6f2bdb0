"""What the record says of a change. Both write paths, settings and facts, say it the same way."""

from collections.abc import Mapping
from typing import Any

from ostiary.ops.caller import Caller
from ostiary.store.store import Change, Store


def entry(caller: Caller, action: str, changed: Change, revision: int | None) -> dict[str, Any]:
    """Who did what to which resource, and what differs. `revision` is that of the configuration, None for facts."""
    before, after = _difference(changed)
    return {
        "actor": caller.name,
        "role": caller.role,
        "source": caller.source,
        "credential": caller.credential,
        "request_id": caller.request_id,
        "action": action,
        "kind": changed.kind,
        "resource_id": changed.resource_id,
        "revision": revision,
        "before": before,
        "after": after,
    }


def note(store: Store, caller: Caller, action: str, kind: str, resource_id: str, about: Mapping[str, Any]) -> None:
    """Put on record what changed no resource: that something was handed out, signed off, or refused.

    Returns once it is committed. Who may do it is the business of whoever calls; `about` must hold no secret.
    """
    said = entry(caller, action, Change(kind, resource_id, None, dict(about)), None)
    store.record(lambda facts: facts.append_audit(said))


def _difference(changed: Change) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Before and after, reduced to what differs when both are there. Private bytes are not in either (store.rows.public)."""
    if changed.before is None or changed.after is None:
        return changed.before, changed.after
    differing = {name for name in changed.after if changed.before.get(name) != changed.after[name]}
    return (
        {name: changed.before.get(name) for name in sorted(differing)},
        {name: changed.after[name] for name in sorted(differing)},
    )
