"""What was revoked in the period, why and by whom, and how soon that was in force at each gateway."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary.model.effect import Effect
from ostiary.model.revocation import HOLD
from ostiary.ops.evidence.section import WHO, Column, Row, Rows, Scope, Section, link, said, who
from ostiary.store import effects, evidence
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.presented import many
from ostiary.store.store import AuditRow, Reader

_REVOKING: Final = ("certificate:revoke", "authority:revoke")


def _revocations(scope: Scope) -> Rows:
    for page in scope.entries(actions=_REVOKING):
        told = [
            (row, entry) for row in page if (entry := said(row)).get("kind") in {"certificate", "authority"} and entry["after"]
        ]
        with scope.system.store.read() as reader:
            things = _things(reader, told)
            last = _last_words(reader, told, scope)
            rows = [_revocation(reader, row, entry, things, last) for row, entry in told]
        if rows:
            yield tuple(rows)


def _things(reader: Reader, told: list[tuple[AuditRow, dict[str, Any]]]) -> Mapping[str, Any]:
    ids = [entry["resource_id"] for _row, entry in told]
    return {**many(reader, CERTIFICATE, ids), **many(reader, AUTHORITY, ids)}


def _last_words(reader: Reader, told: list[tuple[AuditRow, dict[str, Any]]], scope: Scope) -> dict[str, int]:
    """By certificate, the last entry that says something of its revocation: how soon earlier ones were in force is not kept."""
    about = evidence.about(reader, [entry["resource_id"] for _row, entry in told], upto=scope.head.sequence)
    return {
        one: max(row.sequence for row in rows if said(row).get("action") in _REVOKING)
        for one, rows in about.items()
        if any(said(row).get("action") in _REVOKING for row in rows)
    }


def _revocation(
    reader: Reader, row: AuditRow, entry: Mapping[str, Any], things: Mapping[str, Any], last: Mapping[str, int]
) -> Row:
    one = things.get(entry["resource_id"])
    after = entry["after"]
    values = {
        **who(entry),
        "deed": _deed(after),
        "reason": after.get("revocation_reason") or "",
        "invalidity_date": after.get("invalidity_date"),
        "kind": entry["kind"],
        "subject": getattr(one, "subject", ""),
        "owner": getattr(one, "owner", getattr(one, "name", "")),
        "serial": getattr(one, "serial", ""),
        "id": entry["resource_id"],
        **_in_force(reader, row, entry, one, last),
    }
    return Row(values, (link(row),))


def _deed(after: Mapping[str, Any]) -> str:
    if "revoked_at" in after and after["revoked_at"] is None:
        return "released from hold"
    return "put on hold" if after.get("revocation_reason") == HOLD else "revoked"


def _in_force(reader: Reader, row: AuditRow, entry: Mapping[str, Any], one: Any, last: Mapping[str, int]) -> dict[str, Any]:
    """Gateway by gateway: when it had acknowledged the first configuration that holds it."""
    found = _measured(reader, row, entry, one, last)
    if not found:
        why = "no gateway told so: none has it yet, or it is longer ago than such numbers are kept (400 days)"
        return {"gateways": 0, "slowest": "", "effects": (), "known": why}
    slowest = max(found, key=lambda effect: effect.milliseconds)
    return {
        "gateways": len(found),
        "slowest": _seconds(slowest),
        "effects": tuple(f"{one.gateway_id}: {_seconds(one)} ({one.applied_at:%Y-%m-%d %H:%M:%S.%f} UTC)" for one in found),
        "known": "measured",
    }


def _measured(reader: Reader, row: AuditRow, entry: Mapping[str, Any], one: Any, last: Mapping[str, int]) -> tuple[Effect, ...]:
    if entry["kind"] == "authority":
        return effects.of(reader, "revision", int(entry["revision"] or 0))
    if "status_sequence" in entry:
        return effects.of(reader, "revocation", int(entry["status_sequence"]))
    # An entry of before these numbers were on record: what was said last of a certificate can be found all the same.
    if one is None or last.get(entry["resource_id"], row.sequence) != row.sequence:
        return ()
    return effects.of_revocation(reader, one.authority_id, one.serial)


def _seconds(effect: Effect) -> str:
    return f"{effect.milliseconds / 1000:.3f} s"


REVOCATIONS: Final = Section(
    "revocations",
    "Revocations, and how soon they were in force",
    "Everything that was revoked, put on hold or released in the period: when, by whom, for which reason, and for each gateway "
    "how long it took from the commit until that gateway had acknowledged the first configuration that holds it. From then on "
    "the gateway refuses the certificate at the handshake and, on connections that are open, at the next request; long streams "
    "are ended within the listener's “Recheck streams every”. When the person left or the device was lost is not known to the "
    "system: compare “When” with your list of leavers.",
    "Who, when and why: the record. The times to effect are measurements, kept beside it for 400 days.",
    (
        *WHO,
        Column("deed", "What"),
        Column("reason", "Reason"),
        Column("kind", "Of", wide=True),
        Column("subject", "Subject"),
        Column("owner", "Holder"),
        Column("serial", "Serial", wide=True),
        Column("invalidity_date", "Key not to be trusted since", wide=True),
        Column("gateways", "Gateways measured"),
        Column("slowest", "Slowest of them"),
        Column("effects", "Gateway by gateway"),
        Column("known", "Measured"),
        Column("id", "Id", wide=True),
    ),
    _revocations,
)
