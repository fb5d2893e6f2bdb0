"""What a listener's clients may reach, as it is on record: rules in order, exceptions, and which certificates they speak of."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from sqlalchemy import Table, func, select

from ostiary.errors import Invalid
from ostiary.model.access import AccessException, AccessRule
from ostiary.model.desired import DesiredAccess
from ostiary.model.tls import Trust
from ostiary.pki.names import fingerprint_sha256
from ostiary.store import tables
from ostiary.store.kinds import ACCESS_EXCEPTION, ACCESS_RULE, AUTHORITY
from ostiary.store.material import Materials
from ostiary.store.store import Reader


class AccessRecords:
    """The rules of all listeners, in order, and the exceptions that have not ended; read at once."""

    def __init__(self, reader: Reader, materials: Materials, at: datetime) -> None:
        self._materials = materials
        rules: dict[str, list[AccessRule]] = {}
        exceptions: dict[str, list[AccessException]] = {}
        for rule in reader.all(ACCESS_RULE):
            rules.setdefault(rule.listener_id, []).append(rule)
        for exception in reader.all(ACCESS_EXCEPTION):
            if exception.not_after > at:
                exceptions.setdefault(exception.listener_id, []).append(exception)
        self.rules = {one: tuple(sorted(its, key=lambda rule: rule.position or 0)) for one, its in rules.items()}
        self.exceptions = {one: tuple(its) for one, its in exceptions.items()}

    def of(self, listener_id: str, trust: Trust | None) -> DesiredAccess:
        """Those of one listener. Raises `Invalid` for a rule that names an authority which is not there."""
        rules, exceptions = self.rules.get(listener_id, ()), self.exceptions.get(listener_id, ())
        named = dict.fromkeys(one for rule in rules for one in rule.certificate.authority_ids)
        return DesiredAccess(
            rules=rules,
            exceptions=exceptions,
            authorities={one: signers(self._materials, one) for one in named},
            trusted=fingerprints(trust.certificates) if trust is not None else (),
        )


def counts(reader: Reader, listener_ids: Iterable[str], at: datetime) -> dict[str, tuple[int, int]]:
    """By listener, how many rules there are, and how many exceptions that have not ended; those are left out that have none."""
    wanted = tuple(listener_ids)
    rules = _counted(reader, tables.access_rules, wanted)
    exceptions = _counted(reader, tables.access_exceptions, wanted, after=at)
    return {one: (rules.get(one, 0), exceptions.get(one, 0)) for one in rules.keys() | exceptions.keys()}


def _counted(reader: Reader, table: Table, listener_ids: tuple[str, ...], after: datetime | None = None) -> dict[str, int]:
    statement = select(table.c.listener_id, func.count()).where(table.c.listener_id.in_(listener_ids))
    if after is not None:
        statement = statement.where(table.c.not_after > after)
    rows = reader.connection.execute(statement.group_by(table.c.listener_id))
    return {listener_id: int(count) for listener_id, count in rows}


def signers(materials: Materials, authority_id: str) -> tuple[str, ...]:
    """The fingerprints of an authority that a rule names, of those that work under its name, and of all below."""
    return fingerprints(materials.anchors(authority_id, "certificate.authority_ids").pem.decode())


@lru_cache(maxsize=1024)
def fingerprints(certificates: str) -> tuple[str, ...]:
    """The SHA-256 fingerprints of PEM certificates."""
    try:
        return tuple(fingerprint_sha256(one) for one in x509.load_pem_x509_certificates(certificates.encode()))
    except ValueError as error:
        raise Invalid("client_ca_tls_container_ref", "holds no PEM certificate that can be read.") from error


def retired(reader: Reader, at: datetime) -> frozenset[str]:
    """The fingerprints of authorities that were revoked, and of those below them; of those whose time is not over."""
    every = reader.all(AUTHORITY)
    gone = {one.id for one in every if one.revoked_at is not None}
    while below := {one.id for one in every if one.parent_id in gone} - gone:
        gone |= below
    return frozenset(one.fingerprint_sha256 for one in every if one.id in gone and one.not_after > at)
