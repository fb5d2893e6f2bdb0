"""What was issued in the period: who asked, who agreed, by which profile, and how the subject was checked."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary.ops.evidence.inventory import names_of_authorities
from ostiary.ops.evidence.section import WHO, Column, Row, Rows, Scope, Section, link, said, some, who
from ostiary.store import evidence
from ostiary.store.evidence import Link
from ostiary.store.kinds import PROFILE
from ostiary.store.store import AuditRow, Reader
from ostiary.store.then import Then

_ISSUING: Final = ("certificate:issue", "certificate:renew", "certificate:enroll", "certificate:approve")
_HOW: Final = {
    "certificate:issue": "issued directly",
    "certificate:renew": "renewed",
    "certificate:enroll": "enrolled with a grant",
    "certificate:approve": "issued after approval",
}
# A request and the certificate it became, a grant and what it was used for, are committed together: their entries are neighbours.
_NEIGHBOURS: Final = 3


def _issuance(scope: Scope) -> Rows:
    authorities = {one: its.subject for one, its in names_of_authorities(scope).items()}
    with scope.system.store.read() as reader:
        approvals = _approvals(Then(reader, scope.end))
    for page in scope.entries(actions=_ISSUING):
        made = [(row, entry) for row in page if (entry := said(row)).get("kind") == "certificate" and entry["before"] is None]
        with scope.system.store.read() as reader:
            origins = _origins(reader, made, scope)
        rows = [_issued(row, entry, origins.get(entry["resource_id"]), authorities, approvals) for row, entry in made]
        if rows:
            yield tuple(rows)


def _approvals(then: Reader) -> dict[str, str]:
    """By profile, how many had to agree at the end of the period, where that was set here."""
    return {one.name: one.approval for one in then.all(PROFILE)}


class _Origin:
    """The request or the grant that a certificate came from: what it says, and the entries about it."""

    def __init__(self, kind: str, document: Mapping[str, Any], entries: Iterable[AuditRow]) -> None:
        self.kind = kind
        self.entries = tuple(entries)
        self.document = dict(document)
        for row in self.entries:  # what the last of them says, on top of what the first does
            self.document |= said(row).get("after") or {}

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(map(link, self.entries))


def _origins(reader: Reader, made: list[tuple[AuditRow, dict[str, Any]]], scope: Scope) -> dict[str, _Origin]:
    """By certificate, where it came from, for those that were not issued directly."""
    wanted = {entry["resource_id"] for _row, entry in made if entry["action"] in {"certificate:approve", "certificate:enroll"}}
    near = [
        number
        for row, entry in made
        if entry["resource_id"] in wanted
        for number in range(row.sequence - _NEIGHBOURS, row.sequence + _NEIGHBOURS + 1)
    ]
    of: dict[str, tuple[str, str]] = {}
    for row in evidence.of_sequences(reader, near):
        entry = said(row)
        after = entry.get("after") or {}
        if entry.get("kind") == "certificate_request" and after.get("certificate_id") in wanted:
            of[after["certificate_id"]] = ("request", entry["resource_id"])
        if entry.get("kind") == "token":
            used = {str(use.get("certificate_id")) for use in after.get("used_for") or ()}
            of |= dict.fromkeys(used & wanted, ("grant", entry["resource_id"]))
    entries = evidence.about(reader, [origin for _kind, origin in of.values()], upto=scope.end.sequence)
    return {one: _Origin(kind, {"id": origin}, entries.get(origin, ())) for one, (kind, origin) in of.items()}


def _issued(
    row: AuditRow,
    entry: Mapping[str, Any],
    origin: _Origin | None,
    authorities: Mapping[str, str],
    approvals: Mapping[str, str],
) -> Row:
    made = entry["after"]
    names = ("id", "subject", "sans", "owner", "groups", "profile", "serial", "fingerprint_sha256", "not_after", "replaces")
    values = {
        **who(entry),
        **{name: made.get(name) for name in names},
        "issuer": authorities.get(made["authority_id"], made["authority_id"]),
        "how": _HOW[entry["action"]],
        "request": "" if origin is None else f"{origin.kind} {origin.document['id']}",
        **_asked(entry, made, origin),
        "check": _check(entry["action"], made, origin, approvals),
    }
    links = (*(origin.links if origin is not None else ()), link(row))
    return Row(values, some(sorted(set(links), key=lambda one: one.sequence)))


def _asked(entry: Mapping[str, Any], made: Mapping[str, Any], origin: _Origin | None) -> dict[str, Any]:
    """Who asked, why, and who agreed."""
    if origin is None:
        asked = (
            f"the holder of certificate {made['replaces']}"
            if made.get("replaces") and entry["role"] == "holder"
            else entry["actor"]
        )
        return {"requested_by": asked, "justification": "", "approved_by": ()}
    if origin.kind == "grant":
        maker = origin.document.get("created_by", "")
        return {
            "requested_by": "the holder of the grant",
            "justification": origin.document.get("name", ""),
            "approved_by": (maker,),
        }
    agreed = [one for one in origin.document.get("decisions") or () if one.get("approved")]
    return {
        "requested_by": origin.document.get("requested_by", ""),
        "justification": origin.document.get("justification", ""),
        "approved_by": tuple(one["by"] for one in agreed),
    }


def _check(action: str, made: Mapping[str, Any], origin: _Origin | None, approvals: Mapping[str, str]) -> str:
    """How the names came into the certificate. Who compared them with a passport is not for us to say."""
    rule = f"profile '{made['profile']}'"
    if made["profile"] in approvals:
        rule += f" (approval: {approvals[made['profile']]})"
    if action == "certificate:renew":
        return "the same names, holder and groups as the certificate it renewed; possession of the new key proven"
    if origin is not None and origin.kind == "grant":
        return f"names fixed by who made the grant; {rule}; possession of the key proven"
    if origin is not None:
        asked = ", ".join(origin.document.get("asked_for") or ())
        return f"names asked for, and read by who agreed: {asked}; {rule}; possession of the key proven"
    return f"names by {rule}, on the word of who issued it; possession of the key proven, unless the key was made here"


def _requests(scope: Scope) -> Rows:
    for page in scope.entries(actions=("certificate:request", "certificate:approve", "certificate:refuse")):
        decided = [(row, entry) for row in page if (entry := said(row)).get("kind") == "certificate_request"]
        with scope.system.store.read() as reader:
            entries = evidence.about(reader, [entry["resource_id"] for _row, entry in decided], upto=scope.end.sequence)
        rows = [_request(row, entry, entries[entry["resource_id"]]) for row, entry in decided]
        if rows:
            yield tuple(rows)


def _request(row: AuditRow, entry: Mapping[str, Any], entries: Iterable[AuditRow]) -> Row:
    origin = _Origin("request", {"id": entry["resource_id"]}, (one for one in entries if one.sequence <= row.sequence))
    its, last = origin.document, (entry["after"].get("decisions") or [None])[-1]
    values = {
        **who(entry),
        "deed": {"certificate:request": "asked", "certificate:approve": "agreed", "certificate:refuse": "refused"}[
            entry["action"]
        ],
        "reason": last["reason"] if last is not None else its.get("justification", ""),
        "id": entry["resource_id"],
        "status": its.get("status", ""),
        **{
            name: its.get(name)
            for name in ("requested_by", "asked_for", "profile", "owner", "approvals_needed", "certificate_id")
        },
    }
    return Row(values, (link(row),))


ISSUANCE: Final = Section(
    "issuance",
    "Certificates issued in the period",
    "Each certificate that was issued in the period: who asked for it and why, who agreed, by which profile, and how its "
    "subject was checked. It shows what the system asked for and who said yes; that a person looked at an identity document, or "
    "that the key is in hardware, it cannot show.",
    "The record: the entry of the issuance and those of the request or grant that it came from.",
    (
        *WHO,
        Column("subject", "Subject"),
        Column("sans", "Other names", wide=True),
        Column("owner", "Holder"),
        Column("groups", "Groups", wide=True),
        Column("profile", "Profile"),
        Column("issuer", "Issuer", wide=True),
        Column("how", "How"),
        Column("request", "Request or grant"),
        Column("requested_by", "Asked for by"),
        Column("justification", "Why"),
        Column("approved_by", "Agreed"),
        Column("check", "How the subject was checked"),
        Column("serial", "Serial", wide=True),
        Column("not_after", "Expires", wide=True),
        Column("replaces", "Renewed from", wide=True),
        Column("fingerprint_sha256", "SHA-256", wide=True),
        Column("id", "Id", wide=True),
    ),
    _issuance,
)
REQUESTS: Final = Section(
    "requests",
    "Requests and decisions",
    "What was asked of others in the period, and each decision about it, the refusals too. Who asked cannot agree to it, and "
    "nobody agrees twice: the system refuses that.",
    "The record.",
    (
        *WHO,
        Column("deed", "What"),
        Column("reason", "Why"),
        Column("asked_for", "Names asked for"),
        Column("profile", "Profile"),
        Column("owner", "Holder"),
        Column("requested_by", "Asked for by"),
        Column("approvals_needed", "Approvals needed"),
        Column("status", "Then"),
        Column("certificate_id", "Certificate", wide=True),
        Column("id", "Request", wide=True),
    ),
    _requests,
)
