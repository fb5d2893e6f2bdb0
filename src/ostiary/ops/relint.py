"""Lint certificates in full after they were issued: the gate lints each shape once (docs/decisions/0009-lint-gate.md).

Should the gate have missed something, then the alarm is raised within a minute or two: an error in the log, an entry on record.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography import x509

from ostiary.ops.caller import SYSTEM
from ostiary.ops.facts import record
from ostiary.ops.record import entry
from ostiary.ops.system import System
from ostiary.pki import lint
from ostiary.store.samples import certificates_issued
from ostiary.store.store import Change

EVERY: Final = timedelta(minutes=1)
AT_MOST: Final = 200  # a look takes 4 ms of CPU for each, so a second; of more, as many by chance
_AT_FIRST: Final = timedelta(hours=1)  # how far the first look after a start goes back
_OVERLAP: Final = timedelta(seconds=30)  # what is committed late bears the time when it was begun
_UNTIL: Final = "until"
_ACTION: Final = "certificate:lint"

log = structlog.get_logger(source="lint")


def look_over(system: System, at_most: int = AT_MOST) -> int:
    """Lint what was issued since the last look, unless that was just now. Returns how many broke a rule."""
    at: datetime = system.clock()
    since: datetime = system.linted.get(_UNTIL) or at - _AT_FIRST
    if at - since < EVERY:
        return 0
    with system.store.read() as reader:
        issued = certificates_issued(reader, since - _OVERLAP, at, at_most)
    system.linted.keep(_UNTIL, at)
    return sum(_has_raised_alarm(system, certificate_id, pem) for certificate_id, pem in issued.items())


def _has_raised_alarm(system: System, certificate_id: str, pem: str) -> bool:
    found = [str(finding) for finding in lint.certificate(x509.load_pem_x509_certificate(pem.encode())) if finding.refuses]
    if found and not system.linted.get(certificate_id):
        system.linted.keep(certificate_id, thing=True)  # Where looks overlap, one alarm is enough.
        log.error("an issued certificate breaks a rule; revoke it and report this", certificate_id=certificate_id, findings=found)
        told = Change("certificate", certificate_id, None, {"findings": found})
        record(system, SYSTEM, _ACTION, lambda facts: facts.append_audit(entry(SYSTEM, _ACTION, told, None)))
        return True
    return False
