"""Certificates made by processes of their own are those that would be made here; what dies is told and started again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from cryptography import x509

from ostiary import signers
from ostiary.errors import Invalid, Unavailable
from ostiary.model.authority import Authority, Certificate, NewCertificate
from ostiary.ops import audit, certificates
from ostiary.ops.system import System
from ostiary.signers import MANY, Signers
from support.certs import csr, new_key
from support.made import an_authority
from support.systems import ADMIN, a_system, sqlite_url
from support.wait import eventually


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = replace(a_system(sqlite_url(tmp_path)), signers=Signers(1))
    yield made
    made.signers.close()
    made.store.close()


def issue(system: System, authority: Authority, cn: str, request: str | None = None) -> Certificate:
    return certificates.issue(system, ADMIN, NewCertificate(authority_id=authority.id, csr=request or csr(new_key(), cn)))


def together(system: System, authority: Authority, names: list[str]) -> list[Certificate]:
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: issue(system, authority, name), names))


def started(system: System, authority: Authority) -> psutil.Process:
    """The process, once many have asked for it."""

    def is_there() -> bool:
        together(system, authority, [f"early {number}" for number in range(2 * MANY)])
        return system.signers.processes[0].is_ready()

    eventually(is_there)
    (process,) = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
    return process


def test_one_who_comes_alone_needs_no_process(system: System) -> None:
    authority = an_authority(system)
    issue(system, authority, "alone")
    assert [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())] == []


def test_what_they_make_is_what_is_made_here(system: System) -> None:
    authority = an_authority(system)
    here = issue(system, authority, "here")
    started(system, authority)
    names = [f"there {number}" for number in range(12)]
    made = together(system, authority, names)
    assert [one.subject for one in made] == [f"CN={name}" for name in names]
    ca = x509.load_pem_x509_certificate(authority.certificate.encode())
    for one in made:
        x509.load_pem_x509_certificate(one.certificate.encode()).verify_directly_issued_by(ca)
        assert (one.authority_id, one.profile, one.chain) == (here.authority_id, here.profile, here.chain)
    assert audit.verify(system, ADMIN).problem is None


def test_a_refusal_is_that_of_the_one_who_asked(system: System) -> None:
    authority = an_authority(system)
    started(system, authority)
    key = new_key()

    def ask(number: int) -> Certificate | Invalid:
        bad = number % 2
        try:
            return issue(system, authority, f"n{number}", csr(key, f"n{number}").replace("MI", "MJ", 1) if bad else None)
        except Invalid as refused:
            return refused

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(24)))
    assert [isinstance(answer, Invalid) for answer in answers] == [bool(number % 2) for number in range(24)]
    assert {answer.field for answer in answers if isinstance(answer, Invalid)} == {"csr"}


def test_one_that_is_killed_is_told_loses_nothing_that_was_acknowledged_and_is_started_again(system: System) -> None:
    authority = an_authority(system)
    process = started(system, authority)
    process.kill()
    process.wait()

    def ask(number: int) -> Certificate | None:
        try:
            return issue(system, authority, f"n{number}")
        except Unavailable:
            return None

    with ThreadPoolExecutor(12) as pool:
        acknowledged = [one for one in pool.map(ask, range(24)) if one is not None]
    for one in acknowledged:
        assert certificates.get(system, ADMIN, one.id) == one
    assert started(system, authority).pid != process.pid


def test_they_follow_the_configuration_however_often_it_changes(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signers, "_BENCHES", 2)
    authority = an_authority(system)
    started(system, authority)
    for number in range(6):  # each is another revision, and so another bench
        other = an_authority(system, f"CA {number}")
        made = [*together(system, authority, ["a"] * MANY), *together(system, other, ["b"] * MANY)]
        assert [one.authority_id for one in made] == [authority.id] * MANY + [other.id] * MANY


def test_they_end_when_they_are_let_go_and_with_them_what_they_know(system: System) -> None:
    authority = an_authority(system)
    process = started(system, authority)
    system.signers.close()
    assert not process.is_running()
    issue(system, authority, "still served")
