"""NIST PKITS, asked of our import and of a live Envoy; what came of it is a table in docs/conformance.md.

Each of the 224 paths is tried twice. *By its root*: the Client CA is the trust anchor alone, without revocation lists, and the
client sends its chain. *By all*: the Client CA is every authority of the path with every list, as `pki.chain` imports them. What
our import refuses is put into Envoy all the same, past our checks, to see what those are good for.

`pkits.yaml` says in words why an outcome is not what PKITS expects. A difference without words fails, as do words without one.
"""

import functools
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Invalid
from ostiary.model.desired import Desired, DesiredListener
from ostiary.model.tls import Trust
from ostiary.pki import chain
from support import documents, pkits
from support.desired import listener
from support.pkits import Case, pem
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient

pytestmark = pytest.mark.live

AT: Final = datetime(2026, 6, 1, tzinfo=UTC)  # PKITS's certificates and lists are good until the end of 2030, its CRLs too.
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "conformance.md"
EXPLANATIONS: Final = Path(__file__).with_name("pkits.yaml")


@dataclass(frozen=True)
class ClientCA:
    """Every authority of a path with its lists, as imported, or else as they are with what our import says of them."""

    trust: Trust
    refusal: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one test. `by_root` and `by_all` are what the engine did; `refusal` is empty when our import took all."""

    case: Case
    by_root: str
    refusal: str
    by_all: str

    def differs(self) -> set[str]:
        """In which of the two trials the outcome is not what PKITS expects. Nobody gets in by what was not imported."""
        got_in = {"root": self.by_root == "in", "all": not self.refusal and self.by_all == "in"}
        return {trial for trial, is_in in got_in.items() if is_in != self.case.is_valid}


def client_ca(case: Case) -> ClientCA:
    certificates = "".join(pem("CERTIFICATE", der) for der in (pkits.trust_anchor(), *case.authorities))
    lists = "".join(pem("X509 CRL", der) for der in case.lists)
    name = f"trust/{case.number}"
    try:
        authorities = chain.read_client_ca(certificates.encode(), AT, "client_ca_tls_container_ref")
        crls = chain.read_crls(lists.encode(), authorities, AT, "client_crl_container_ref")
    except Invalid as refused:
        return ClientCA(Trust(name=name, certificates=certificates, crls=lists), refused.message)
    return ClientCA(Trust(name=name, certificates=chain.to_pem(authorities), crls=chain.to_pem(crls)))


def door(port: int, trust: Trust) -> DesiredListener:
    return listener(f"l{port}", protocol_port=port, client_authentication="MANDATORY", trust=trust)


def is_translated(door: DesiredListener) -> bool:
    try:
        snapshot(Desired(listeners=(door,)))
    except Invalid:
        return False
    return True


def verdict(port: int, case: Case, folder: Path) -> str:
    certificates, key = folder / f"{case.number}.pem", folder / f"{case.number}.key"
    certificates.write_text("".join(pem("CERTIFICATE", der) for der in (case.end_entity, *case.authorities)))
    key.write_text(case.key_pem)
    client = TLSClient(port, cert=certificates, key=key, version="TLSv1.2")
    try:
        client.context()
    except ssl.SSLError:
        return "cannot be shown"  # by the client, OpenSSL
    try:
        # Behind these doors is no pool: whoever gets in is answered 503.
        return {503: "in"}[client.get().status]
    except Refused:
        # Not with its alert: a door that shuts while a long chain is still being sent may cut off its own words.
        return "refused"


def outcomes(folder: Path) -> Iterator[Outcome]:
    cases = pkits.cases()
    by_root, by_all = free_port(), {case.number: free_port() for case in cases}
    imported = {case.number: client_ca(case) for case in cases}
    doors = [door(by_all[number], asked.trust) for number, asked in imported.items()]
    opened = [one for one in doors if is_translated(one)]
    opened.append(door(by_root, Trust(name="trust/root", certificates=pem("CERTIFICATE", pkits.trust_anchor()))))
    is_open = {one.listener.protocol_port for one in opened}
    with Engine(folder) as engine:
        assert engine.apply(snapshot(Desired(listeners=tuple(opened)))) == {}
        engine.listens_on(*is_open)
        for case in cases:
            port, asked = by_all[case.number], imported[case.number]
            seen = verdict(port, case, folder) if port in is_open else "cannot be loaded"
            yield Outcome(case, verdict(by_root, case, folder), asked.refusal, seen)


@functools.cache
def explanations() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(EXPLANATIONS.read_text())  # type: ignore[no-any-return]  # the file's form, checked by what is done with it


def explained(trial: str) -> Iterator[str]:
    """The tests whose outcome has its reason."""
    return (str(number) for reason in explanations().values() for number in reason.get(trial, ()))


def test_every_path_of_pkits_ends_as_it_expects_or_there_is_a_reason(tmp_path: Path, update_golden: bool) -> None:  # noqa: FBT001 (a fixture)
    found = list(outcomes(tmp_path))
    differences = {(one.case.number, trial) for one in found for trial in one.differs()}
    has_reason = {(number, trial) for trial in ("root", "all") for number in explained(trial)}
    assert sorted(differences - has_reason) == [], "differs from what PKITS expects, and pkits.yaml does not say why"
    assert sorted(has_reason - differences) == [], "pkits.yaml explains a difference that there is not"
    let_in = {(one.case.section, trial) for one in found for trial in one.differs() if not one.case.is_valid}
    about_revocation = {"4.4", "4.5", "4.7", "4.14", "4.15"}
    assert let_in == {(section, "root") for section in about_revocation}, "let in though no missing list is to blame"
    documents.check(DOCUMENT, "pkits", written(found), update=update_golden)


def written(found: list[Outcome]) -> str:
    """The counts, the tables section by section, what the letters and numbers in them mean."""
    reasons, refusals = list(explanations()), list(dict.fromkeys(essence(one.refusal) for one in found if one.refusal))
    parts = [counts(found)]
    for section, title in pkits.SECTIONS.items():
        rows = [row(one, reasons, refusals) for one in found if one.case.section == section]
        heads = ("test", "path", "PKITS", "root alone", "import", "all, with lists", "why")
        parts.append(f"#### {section} {title}\n\n{documents.table(heads, rows)}")
    parts.append("#### What our import says\n\n" + numbered(refusals, letter))
    words = [f"**{reason}.** {explanations()[reason]['why'].strip()}" for reason in reasons]
    parts.append("#### Why it differs\n\n" + numbered(words, number))
    return "\n".join(parts)


def row(one: Outcome, reasons: list[str], refusals: list[str]) -> list[str]:
    case = one.case
    imported = f"refused ({letter(refusals.index(essence(one.refusal)))})" if one.refusal else "taken"
    # In brackets what the engine does by itself with what our import does not let come to it.
    by_all = f"({one.by_all})" if one.refusal else one.by_all
    why = [
        number(index)
        for index, reason in enumerate(reasons)
        if any(case.number in map(str, explanations()[reason].get(trial, ())) for trial in ("root", "all"))
    ]
    expected = "valid" if case.is_valid else "invalid"
    path = case.title.removeprefix("Invalid ").removeprefix("Valid ")
    return [case.number, path, expected, one.by_root, imported, by_all, ", ".join(why)]


def counts(found: list[Outcome]) -> str:
    trials = {"root": "by the root alone, without lists", "all": "by all authorities, with all lists"}
    rows = []
    for trial, words in trials.items():
        as_expected = [one for one in found if trial not in one.differs()]
        kept_out = [one for one in found if trial in one.differs() and one.case.is_valid]
        let_in = [one for one in found if trial in one.differs() and not one.case.is_valid]
        rows.append([words, *(str(len(some)) for some in (found, as_expected, kept_out, let_in))])
    return documents.table(("", "tests", "as PKITS expects", "valid, kept out", "not valid, let in"), rows)


def essence(refusal: str) -> str:
    """What is wrong, without whom it is wrong with and what to do about it."""
    what = re.sub(r"\(?'(?:CN|OU)=[^']*'(?:, )?\)?", "…", refusal).partition(";")[0]
    return what.removeprefix("…: ").replace(" ……", "").rstrip(".")


def numbered(words: list[str], name: Callable[[int], str]) -> str:
    return "".join(f"- ({name(index)}) {each}\n" for index, each in enumerate(words))


def letter(index: int) -> str:
    return chr(ord("a") + index)


def number(index: int) -> str:
    return str(index + 1)
