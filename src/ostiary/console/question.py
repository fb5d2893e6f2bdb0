"""A question that several pages ask: what becomes of a client with this certificate that asks for that.

All that is asked can stand in an address, so that the answer can be linked to, but for a certificate that is pasted.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from ostiary.console import forms
from ostiary.console.forms import Filled, Wrong
from ostiary.console.visit import Form, Visit
from ostiary.errors import Invalid, NotFound
from ostiary.model.explanation import CERTIFICATE_MAX, ExplainRequest
from ostiary.model.inventory import Wanted
from ostiary.model.query import Query
from ostiary.ops import certificates, edit, explained, explaining, inventory
from ostiary.web.words import _

Q = TypeVar("Q", bound=ExplainRequest)

FIELDS: Final = ("host", "path", "method", "source", "sni", "at")
NONE: Final = "none"
PASTED: Final = "pasted"
_OFFERED: Final = 10
_BY_ID, _BY_FINGERPRINT = "id:", "sha256:"
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Candidate:
    """A certificate to choose. `value` is how it is named in forms and addresses."""

    value: str
    name: str
    serial: str = ""
    not_after: datetime | None = None


@dataclass(frozen=True)
class Question:
    """What was asked so far. `certificate` is `none`, `pasted`, or a candidate's value; names of fields begin with `prefix`."""

    prefix: str
    form: Filled
    certificate: str
    candidates: tuple[Candidate, ...]
    search: str
    pem: str
    headers: str

    def errors(self, name: str) -> str:
        """What is wrong with a field that is none of the model's."""
        return self.form.errors.get(f"{self.prefix}{name}", "")


def sent(visit: Visit) -> Form:
    """What was sent, in a form or in the address."""
    return visit.form if visit.form.texts else Form({name: (text,) for name, text in visit.query.items()})


def question(visit: Visit, given: Form, listener_id: str, prefix: str = "", errors: dict[str, str] | None = None) -> Question:
    """The question as it stands, with certificates to choose from."""
    made = _form(visit, prefix)
    search = given.text(f"{prefix}search")[:200]
    chosen = _chosen(given, prefix)
    pem = _pasted(given, prefix)
    return Question(
        prefix,
        forms.typed(made, given, errors),
        chosen,
        tuple(_candidates(visit, chosen, search, listener_id)),
        search,
        "" if "PRIVATE KEY" in pem else pem,  # a key that was pasted by mistake is not sent about once more
        given.text(f"{prefix}headers"),
    )


def asked(visit: Visit, given: Form, listener_id: str, prefix: str = "") -> dict[str, Any]:
    """What is asked, as the fields of a request to explain. Raises `Wrong`, naming the fields of the form."""
    made = _form(visit, prefix)
    (fields, shown, headers) = forms.every(
        lambda: forms.decoded(visit, ExplainRequest, made, given, path=prefix),
        lambda: _shown(visit, given, listener_id, prefix),
        lambda: _headers(visit, given, prefix),
    )
    return {**forms.given(fields), **shown, **headers}


def built(visit: Visit, model: type[Q], fields: dict[str, Any], prefix: str = "") -> Q:
    """The request to explain. Raises `Wrong` for what its parts do not allow."""
    try:
        return model(**fields)
    except ValidationError as error:
        why = edit.explained(error)
        raise Wrong({f"{prefix}{why.field.partition('.')[0]}": visit.say(why.message)}) from None


def address(given: Form, prefix: str = "") -> dict[str, str]:
    """What of it stands in an address: all but what was pasted."""
    names = (*FIELDS, "search", "headers")
    found = {f"{prefix}{name}": given.text(f"{prefix}{name}")[:1000] for name in names}
    return {**found, f"{prefix}certificate": _chosen(given, prefix)}


def is_pasted(given: Form, prefix: str = "") -> bool:
    """Whether it holds a certificate that has no place in an address."""
    return _chosen(given, prefix) == PASTED


def _form(visit: Visit, prefix: str) -> Filled:
    made = forms.made(visit, ExplainRequest, FIELDS, {})
    # Left empty it is the default here: that somebody names no host at all can be asked by the API.
    help_ = visit.say(_("The name they give in the handshake; that of the host where this is left empty."))
    return forms.under(Filled({**made.controls, "sni": replace(made["sni"], help=help_)}), prefix)


def _chosen(given: Form, prefix: str) -> str:
    if _pasted(given, prefix):
        return PASTED
    if by_id := given.text("certificate_id")[:64]:
        return f"{_BY_ID}{by_id}"
    return given.text(f"{prefix}certificate")[:100] or NONE


def _pasted(given: Form, prefix: str) -> str:
    """PEM, as it was pasted or as the file has it."""
    file = given.file(f"{prefix}file")[: CERTIFICATE_MAX + 1]
    if file[:1] == b"\x30":  # DER
        return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(file).decode()}-----END CERTIFICATE-----\n"
    return file.decode("utf-8", "replace").strip() or given.text(f"{prefix}pem")[: CERTIFICATE_MAX + 1]


def _candidates(visit: Visit, chosen: str, search: str, listener_id: str) -> Iterator[Candidate]:
    if chosen.startswith(_BY_FINGERPRINT) and (seen := _seen(visit, chosen, listener_id)) is not None:
        yield seen
    query = Query(limit=_OFFERED, sort=(("created_at", True),))
    wanted = Wanted(query, visit.at, search=tuple(search.split()[:10]))
    found = inventory.find(visit.system, visit.caller, wanted).items
    every = [Candidate(f"{_BY_ID}{one.id}", one.subject or one.name or one.serial, one.serial, one.not_after) for one in found]
    if chosen.startswith(_BY_ID) and all(one.value != chosen for one in every):
        yield from _issued(visit, chosen)
    yield from every


def _issued(visit: Visit, chosen: str) -> Iterator[Candidate]:
    try:
        one = certificates.get(visit.system, visit.caller, chosen.removeprefix(_BY_ID))
    except NotFound:
        return
    yield Candidate(chosen, one.subject or one.name or one.serial, one.serial, one.not_after)


def _seen(visit: Visit, chosen: str, listener_id: str) -> Candidate | None:
    """One that is on record because it was shown to a listener."""
    pem = _told(visit, chosen, listener_id)
    if pem is None:
        return None
    first = explained.shown(pem)[0]
    return Candidate(chosen, first.subject or first.fingerprint_sha256, not_after=first.not_after)


def _told(visit: Visit, chosen: str, listener_id: str) -> str | None:
    fingerprint = chosen.removeprefix(_BY_FINGERPRINT).replace(":", "").lower()
    if len(fingerprint) != 64 or not set(fingerprint) <= _HEX:
        return None
    return explaining.told(visit.system, visit.caller, fingerprint, listener_id)


def _shown(visit: Visit, given: Form, listener_id: str, prefix: str) -> dict[str, Any]:
    """What the client shows, as `certificate` or `certificate_id`."""
    chosen, field = _chosen(given, prefix), f"{prefix}certificate"
    if chosen == NONE:
        return {}
    if chosen == PASTED:
        return {"certificate": _read(visit, _pasted(given, prefix), f"{prefix}pem")}
    if chosen.startswith(_BY_ID):
        if not list(_issued(visit, chosen)):
            raise Wrong({field: visit.say(_("There is no such certificate any more."))})
        return {"certificate_id": chosen.removeprefix(_BY_ID)}
    pem = _told(visit, chosen, listener_id) if chosen.startswith(_BY_FINGERPRINT) else None
    if pem is None:
        raise Wrong({field: visit.say(_("This certificate was not kept here; paste it below."))})
    return {"certificate": pem}


def _read(visit: Visit, pem: str, field: str) -> str:
    if len(pem) > CERTIFICATE_MAX:
        raise Wrong({field: visit.say(_("is larger than %(most)s bytes"), most=CERTIFICATE_MAX)})
    try:
        explained.first_of(pem)
    except Invalid as error:
        raise Wrong({field: visit.say(error.message)}) from None
    return pem


def _headers(visit: Visit, given: Form, prefix: str) -> dict[str, Any]:
    """Headers as people write them, one in a line."""
    found: dict[str, str] = {}
    for line in given.text(f"{prefix}headers").splitlines()[:100]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Wrong({f"{prefix}headers": visit.say(_("is not a header such as Origin: https://a.test"))})
        found[name.strip()] = value.strip()
    return {"headers": found} if found else {}
