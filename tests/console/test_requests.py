"""Requests that wait for approval, in the console: four eyes, reasons, what it would become."""

from pathlib import Path
from typing import Any

import pytest

from console.visitor import Page, Visitor, a_visitor
from ostiary.model.authority import Authority, NewAuthority, NewCertificate, RequestedNames
from ostiary.model.query import Query
from ostiary.model.request import CertificateRequest
from ostiary.model.revocation import Revoke
from ostiary.ops import authorities, profiles, requests, revocation
from ostiary.pki.holder import new_key_and_request
from support.systems import ADMIN, FakeClock

HOME = "/console/requests"
HOSTILE = "<script>alert(1)</script>\"'&amp;"


@pytest.fixture
def issuing(visitor: Visitor) -> Authority:
    profiles.update(visitor.system, ADMIN, "client", {"approval": "one"})
    root = authorities.create(visitor.system, ADMIN, NewAuthority(name="Root", kind="root"))
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices", kind="intermediate", parent_id=root.id))


def ask(visitor: Visitor, authority: Authority, name: str = "alice", **fields: Any) -> CertificateRequest:
    _key, csr = new_key_and_request(name)
    names = RequestedNames(common_name=name, dns=("alice.example",))
    return requests.submit(
        visitor.system, ADMIN, NewCertificate(authority_id=authority.id, csr=csr, names=names, owner="Alice", **fields)
    )


def read(visitor: Visitor, asked: CertificateRequest) -> CertificateRequest:
    return requests.get(visitor.system, ADMIN, asked.id)


def decide(visitor: Visitor, asked: CertificateRequest, verb: str, **sent: str) -> Page:
    return visitor.get(f"{HOME}/{asked.id}").form(f"{HOME}/{asked.id}/{verb}").send(**sent)


def test_where_nothing_waits_it_says_so(visitor: Visitor) -> None:
    assert "Nothing waits" in visitor.get(HOME).text
    assert "There is none" in visitor.get(f"{HOME}?status=REFUSED").text


def test_who_waits_is_counted_on_the_certificates_page_and_listed(visitor: Visitor, issuing: Authority) -> None:
    asked = ask(visitor, issuing, justification="for the field")
    tab = next(link for link in visitor.get("/console/certificates").root.every("a") if link.attrs["href"] == HOME)
    assert tab.text == "Requests 1 waits"
    (row,) = visitor.get(HOME).rows()
    assert row[0] == "alice for the field"
    assert row[1:6] == ["admin", "client", "Devices", "Waits", "0 / 1"]
    assert "No request is called like this" in visitor.get(f"{HOME}?q=nobody").text
    assert asked.status == "PENDING"


def test_it_tells_what_the_request_would_become(visitor: Visitor, issuing: Authority) -> None:
    asked = ask(visitor, issuing)
    page = visitor.get(f"{HOME}/{asked.id}")
    facts = [(one.one("dt").text, one.one("dd").text) for one in page.root.every("div") if len(one.every("dt")) == 1]
    assert ("Names in the certificate", "Common name: alice DNS names: alice.example") in facts
    assert ("Key", "EC P-256") in facts
    (findings,) = [value for name, value in facts if name == "Checked against RFC 5280"]
    assert "ERROR" not in findings
    revocation.revoke_authority(visitor.system, ADMIN, issuing.id, Revoke())
    with visitor.another("bob", "operator") as bob:
        page = bob.get(f"{HOME}/{asked.id}")
        assert "It would be refused:" in page.text
        assert "disabled" in page.root.one("form", action=f"{HOME}/{asked.id}/approve").one("button").attrs


def test_whoever_asked_cannot_agree_and_is_told_so(visitor: Visitor, issuing: Authority) -> None:
    asked = ask(visitor, issuing)
    page = visitor.get(f"{HOME}/{asked.id}")
    assert "You asked for it, so another person has to agree." in page.text
    place = f"{HOME}/{asked.id}/approve"
    assert page.root.every("form", action=place) == []
    tried = visitor.post(place, [("csrf", page.form(f"{HOME}/{asked.id}/refuse").values("csrf")[0])])
    assert tried.status == 403
    assert "admin asked for it, so another person has to agree." in tried.root.one("p", role="alert").text
    assert read(visitor, asked).status == "PENDING"


def test_another_person_agrees_and_it_is_issued(visitor: Visitor, issuing: Authority) -> None:
    asked = ask(visitor, issuing)
    with visitor.another("bob", "operator") as bob:
        page = decide(bob, asked, "approve", reason="called back")
        assert page.said == "You agreed, and the certificate was issued."
    now = read(visitor, asked)
    assert page.reply.url.path == f"/console/certificates/{now.certificate_id}"
    assert [(one.by, one.approved, one.reason) for one in now.decisions] == [("bob", True, "called back")]
    told = visitor.get(f"{HOME}/{asked.id}")
    assert told.rows()[-1][:3] == ["bob", "agreed", "called back"]


def test_where_two_must_agree_two_people_are_needed(visitor: Visitor, issuing: Authority) -> None:
    profiles.update(visitor.system, ADMIN, "client", {"approval": "two"})
    asked = ask(visitor, issuing)
    with visitor.another("bob", "operator") as bob, visitor.another("eve", "operator") as eve:
        assert decide(bob, asked, "approve").said == "You agreed. Somebody else has to agree as well."
        again = bob.get(f"{HOME}/{asked.id}")
        assert "You have agreed already" in again.text
        assert again.root.every("form", action=f"{HOME}/{asked.id}/approve") == []
        assert decide(eve, asked, "approve").said == "You agreed, and the certificate was issued."


def test_it_is_refused_with_a_reason_and_taken_back_by_whoever_asked(visitor: Visitor, issuing: Authority) -> None:
    asked, other = ask(visitor, issuing), ask(visitor, issuing, "bob")
    with visitor.another("bob", "operator") as bob:
        empty = decide(bob, asked, "refuse", reason=" ")
        assert empty.status == 422
        assert "say why it is refused" in empty.root.one("p", role="alert").text
        long = decide(bob, asked, "refuse", reason="x" * 256)
        assert long.status == 422
        assert decide(bob, asked, "refuse", reason=HOSTILE).said == "The request was refused."
    told = visitor.get(f"{HOME}/{asked.id}")
    assert HOSTILE in told.text
    assert "<script>alert" not in told.reply.text
    assert read(visitor, asked).status == "REFUSED"
    assert decide(visitor, other, "refuse", reason="not needed").said == "The request was refused."
    late = visitor.post(f"{HOME}/{other.id}/approve", [("csrf", _csrf(visitor))])
    assert late.status == 409
    assert "was decided" in late.root.one("p", role="alert").text


def _csrf(visitor: Visitor) -> str:
    return visitor.get(HOME).root.every("input", name="csrf")[0].attrs["value"]


def test_an_auditor_sees_and_cannot(visitor: Visitor, issuing: Authority) -> None:
    asked = ask(visitor, issuing)
    with visitor.another("olga", "auditor") as olga:
        page = olga.get(f"{HOME}/{asked.id}")
        assert page.status == 200
        assert "Decide" not in page.text
        assert olga.post(f"{HOME}/{asked.id}/approve", [("csrf", _csrf(olga))]).status == 403
    assert read(visitor, asked).decisions == ()


def test_what_has_lapsed_is_not_approved(tmp_path: Path) -> None:
    clock = FakeClock()
    with a_visitor(tmp_path, clock=clock) as visitor:
        profiles.update(visitor.system, ADMIN, "client", {"approval": "one"})
        root = authorities.create(visitor.system, ADMIN, NewAuthority(name="Root", kind="root"))
        asked = ask(visitor, root)
        clock.advance(days=8)
        with visitor.another("bob", "operator") as bob:
            page = bob.get(f"{HOME}/{asked.id}").form(f"{HOME}/{asked.id}/approve").send()
            assert page.status == 409
            assert "lapsed" in page.root.one("p", role="alert").text


def test_requests_are_paged(visitor: Visitor, issuing: Authority) -> None:
    for number in range(52):
        ask(visitor, issuing, f"device-{number}")
    first = visitor.get(HOME)
    assert len(first.rows()) == 50
    (after,) = [link.attrs["href"] for link in first.root.every("a", rel="next")]
    assert [row[0] for row in visitor.get(after).rows()] == ["device-50", "device-51"]
    assert requests.find(visitor.system, ADMIN, Query()).more is False
    assert visitor.get("/console/requests/nobody").status == 404
