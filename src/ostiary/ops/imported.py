"""Authorities whose key is elsewhere: import them, say how their status is to be learned, take their revocation lists."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography import x509

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Authority, TrustedAuthority
from ostiary.model.fields import Private
from ostiary.model.revocation import ListSource, RevocationList
from ostiary.model.status_check import StatusCheck
from ostiary.ops import gate
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.edit import edited
from ostiary.ops.facts import record
from ostiary.ops.record import entry
from ostiary.ops.series import members
from ostiary.ops.signing import parsed, store_authority
from ostiary.ops.system import System
from ostiary.pki.chain import read_client_ca
from ostiary.pki.foreign_lists import ForeignList, read_lists, refuse_older
from ostiary.pki.names import fingerprint_sha256, subject_text
from ostiary.pki.trusted_bundle import arranged, refuse_unless_all_can_be_checked
from ostiary.store import foreign, revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Change, Facts, Reader, Transaction

Held = Mapping[tuple[str, str], RevocationList]
Found = tuple[ForeignList, str | None]  # a list, and the address it was fetched from


@asks()
def import_bundle(system: System, caller: Caller, wanted: TrustedAuthority) -> Authority:
    """Trust one or many CA certificates whose keys are elsewhere, under one name. Returns the first, a root where there is one.

    Raises `Invalid` unless each could have signed clients (`pki.chain.read_client_ca`), `Conflict` naming those that are here.
    """
    placed = arranged(read_client_ca(wanted.certificate.encode(), system.clock(), "certificate"))
    with change(system, caller, "authority:import") as transaction:
        _refuse_known(transaction, [one.certificate for one in placed])
        ids = [new_id() for _ in placed]
        made = [
            store_authority(
                transaction,
                one.certificate,
                Private(b""),
                id=ids[place],
                name=_name(wanted.name, one.certificate, place),
                kind="imported",
                project_id=wanted.project_id,
                parent_id=None if one.parent is None else ids[one.parent],
                series_id=ids[0],
                generation=place + 1,
            )
            for place, one in enumerate(placed)
        ]
    return made[0]


def update(
    system: System, caller: Caller, authority_id: str, changes: Mapping[str, Any], found: Sequence[Found] = ()
) -> Authority:
    """Change an authority. How its status is learned holds for all that were imported with it.

    `found` are the lists that were fetched for these settings (`ops.status_fetch`). Raises `Invalid` when lists are to be
    checked from now on and one is missing: the engine would refuse every client of that authority.
    """
    with change(system, caller, "authority:update") as transaction:
        authority = transaction.require(AUTHORITY, authority_id)
        after = edited(authority, changes)
        if after.status_check == authority.status_check:
            return transaction.replace(AUTHORITY, authority, after)
        refuse_with_key(authority)
        held = members(transaction, authority.series_id)
        keep(transaction, caller, held, found, "fetched")
        if after.status_check.by_list and not authority.status_check.by_list:
            _refuse_incomplete(transaction, held)
        settle(transaction, held, after.status_check)
        for one in held:
            news = {**({} if one.id != authority_id else changes), "status_check": after.status_check}
            transaction.replace(AUTHORITY, one, edited(one, news))
        return transaction.require(AUTHORITY, authority_id)


@asks(repeats=True)
def upload(system: System, caller: Caller, authority_id: str, data: bytes, *, force: bool = False) -> Authority:
    """Take revocation lists of an imported authority, and of those imported with it: one in DER, or any number in PEM.

    Where lists were not checked, they are from the moment each of them has one. With `force` a list replaces a newer one.
    """
    caller.must("authority:upload")
    with system.store.read() as reader:
        authority = reader.require(AUTHORITY, authority_id)
        refuse_with_key(authority)
        held = members(reader, authority.series_id)
    found = read_lists(data, [parsed(one) for one in held], system.clock(), "crl")
    given: list[Found] = [(one, None) for one in found]
    if not any(parsed(authority) in one.signers for one in found):
        raise Invalid("crl", f"none of these lists is that of {authority.subject}")

    def work(facts: Facts) -> int:
        if force:  # an older list may say less
            needs = gate.why(facts, "LOWER_PROTECTION", "older_list", authority.name or authority.subject)
            gate.ask(facts, caller, "authority:upload", needs, about=[authority_id, hashlib.sha256(data).hexdigest()])
        return keep(facts, caller, held, given, "uploaded", force=force, strict=True)

    record(system, caller, "authority:upload", work)
    with system.store.read() as reader:
        authority = reader.require(AUTHORITY, authority_id)
        is_complete = not without_list(reader, held, system.clock())
    if authority.status_check.revocation_check in {"NONE", "OCSP"} and is_complete:
        wanted = {"NONE": "CRL", "OCSP": "CRL_AND_OCSP"}[authority.status_check.revocation_check]
        news = edited(authority.status_check, {"revocation_check": wanted})
        return update(system, caller, authority_id, {"status_check": news})
    return authority


def keep(
    transaction: Transaction,
    caller: Caller,
    held: Sequence[Authority],
    found: Iterable[Found],
    source: ListSource,
    *,
    force: bool = False,
    strict: bool = False,
) -> int:
    """Store lists that are news; says how many. An older one is left out, or refused when `strict`, unless `force` is given."""
    count = 0
    for one, url in found:
        for authority in (each for each in held if parsed(each) in one.signers):
            count += _kept(transaction, caller, authority, one, (source, url), force=force, strict=strict)
    return count


def settle(transaction: Transaction, held: Sequence[Authority], check: StatusCheck, margin: float = 0.0) -> None:
    """Set lists aside that have ended (or will within `margin` seconds) where clients are let in meanwhile; or put them back."""
    lists = revocations.lists_without_content(transaction, [one.id for one in held])
    for one in held:
        if is_unsettled(check, lists, one, transaction.at, margin):
            (foreign.set_aside if (one.id, "complete") in lists else foreign.put_back)(transaction, one.id)


def is_unsettled(check: StatusCheck, lists: Held, authority: Authority, at: datetime, margin: float) -> bool:
    """Whether its list should be set aside and is not, or is and should not be."""
    current, aside = lists.get((authority.id, "complete")), lists.get((authority.id, "set_aside"))
    if current is not None:
        return current.source != "signed" and _is_let_in(check, current, at, margin)
    return aside is not None and not _is_let_in(check, aside, at, margin)


def without_list(reader: Reader, held: Sequence[Authority], at: datetime) -> tuple[Authority, ...]:
    """Those of whom no current list is held."""
    lists = revocations.lists_without_content(reader, [one.id for one in held])
    return tuple(one for one in held if (one.id, "complete") not in lists or not lists[one.id, "complete"].fresh(at))


def refuse_with_key(authority: Authority) -> None:
    """`Invalid` for an authority of our own: of those we know without asking."""
    if authority.kind != "imported" or authority.has_key:
        raise Invalid("status_check", f"authority {authority.id} is one of ours: its lists are signed here, and always checked")


def _kept(
    transaction: Transaction, caller: Caller, authority: Authority, found: ForeignList, where: tuple[ListSource, str | None],
    *, force: bool, strict: bool,
) -> bool:  # fmt: skip
    source, url = where
    current = revocations.current_list(transaction, authority.id)
    aside = revocations.current_list(transaction, authority.id, "set_aside")
    known = current or aside
    if known is not None and known.der == found.der:
        return False
    if known is not None and not force:
        try:
            refuse_older(found.number, found.this_update, known.number or None, known.this_update, "crl")
        except Invalid:
            if strict:
                raise
            return False
    made = RevocationList(
        authority_id=authority.id,
        kind="complete",
        number=found.number or 0,
        this_update=found.this_update,
        next_update=found.next_update,
        sequence=transaction.status_sequence() + 1,
        entries=found.entries,
        source=source,
        der=found.der,
        url=url,
    )
    foreign.forget_set_aside(transaction, authority.id)
    revocations.put_list(transaction, made)
    told = Change("authority", authority.id, _told(known), _told(made))
    action = "authority:upload" if source == "uploaded" else "authority:fetch"
    transaction.append_audit(entry(caller, action, told, None))
    return True


def _told(held: RevocationList | None) -> dict[str, Any] | None:
    if held is None:
        return None
    times = {name: getattr(held, name).isoformat() for name in ("this_update", "next_update")}
    return {"number": str(held.number), "entries": held.entries, "source": held.source, "url": held.url, **times}


def _is_let_in(check: StatusCheck, held: RevocationList, at: datetime, margin: float) -> bool:
    """Whether clients are let in without this list, which has ended."""
    late = (at - held.next_update).total_seconds()
    if not check.by_list or late < -margin or check.stale_status == "REFUSE":
        return False
    return check.stale_status == "ALARM" or late < check.stale_allow_hours * 3600


def _refuse_incomplete(transaction: Transaction, held: Sequence[Authority]) -> None:
    field = "status_check.revocation_check"
    refuse_unless_all_can_be_checked([parsed(one) for one in held], field)
    for one in without_list(transaction, held, transaction.at):
        raise Invalid(
            field,
            f"no current revocation list of {one.subject} (authority {one.id}) is held or could be fetched, and without it the "
            f"engine refuses all its clients; give crl_urls, or upload it with PUT /v1/authorities/{one.id}/crl",
        )


def _refuse_known(transaction: Transaction, certificates: Sequence[x509.Certificate]) -> None:
    known = [
        f"{one.subject} is authority {one.id} ({one.name})"
        for certificate in certificates
        for one in transaction.all(AUTHORITY, fingerprint_sha256=fingerprint_sha256(certificate))
    ]
    if known:
        others = f" (and {len(known) - 5} more)" if len(known) > 5 else ""
        raise Conflict(f"in the system already: {'; '.join(known[:5])}{others}; leave them out.", "certificate")


def _name(given: str, certificate: x509.Certificate, place: int) -> str:
    subject = subject_text(certificate)
    return (given if given and place == 0 else subject)[:255]
