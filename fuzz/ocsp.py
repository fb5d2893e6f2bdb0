"""Fuzz OCSP: questions that anybody may ask us, in bodies and in URLs, and answers that other responders give."""

import base64
import contextlib
from datetime import timedelta
from typing import Final

import atheris

with atheris.instrument_imports(include=["ostiary"]):
    from ostiary.errors import Invalid
    from ostiary.pki import issue, ocsp, ocsp_client
    from ostiary.pki.issue import Issuer
    from ostiary.pki.names import SubjectFields

from target import AT, KEY, run

DAYS: Final = timedelta(days=1)
ROOT: Final = Issuer(issue.create_root(SubjectFields(CN="Root"), KEY, 3650 * DAYS, AT), KEY)
QUESTION: Final = ocsp_client.question(ROOT.certificate, 4711, bytes(32))
STATUSES: Final = (ocsp.Good(), ocsp.Revoked(AT - DAYS, "keyCompromise"), ocsp.Unknown())


def one(data: bytes) -> None:
    """The first octet says whether the rest is a question, a question in a URL, or an answer."""
    kind, rest = data[:1], data[1:]
    with contextlib.suppress(Invalid):
        if kind < b"\x55":
            answer(rest)
        elif kind < b"\xaa":
            answer(ocsp.from_path(rest.decode("latin-1")))
        else:
            said = ocsp_client.answer(rest, QUESTION, AT)
            assert said.this_update <= AT + ocsp_client.SKEW


def answer(der: bytes) -> None:
    """As our responder does, with whatever status."""
    asked = ocsp.read(der)
    status = STATUSES[asked.subject.serial % len(STATUSES)]
    answered = ocsp.answer(asked, status, ROOT, ROOT.certificate, AT - DAYS, AT + DAYS)
    assert answered[:1] == b"\x30"


def seeds() -> list[bytes]:
    answers = [
        ocsp.answer(ocsp.read(QUESTION.der), status, ROOT, ROOT.certificate, AT - timedelta(hours=1), AT + DAYS)
        for status in STATUSES
    ]
    return [
        b"\x00" + QUESTION.der,
        b"\x60" + base64.b64encode(QUESTION.der),
        *(b"\xb0" + each for each in answers),
        b"\xb0" + ocsp.failure("tryLater"),
    ]


if __name__ == "__main__":
    run(one, seeds())
