"""Rehearsals: what they found, whom it would shut out to end them by enforcing, and that nobody is by accident."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from console.visitor import Page, Visitor
from ostiary.model.access import AccessRule
from ostiary.model.listener import Listener
from ostiary.ops import access, listeners, rehearsals
from support.certs import Authority
from support.made import a_balancer, a_certificate, a_listener, a_secret, an_authority
from support.statements import counted
from support.systems import ADMIN

CA = Authority.root("Rehearsed root")
EXPIRED = CA.expired_client()


@pytest.fixture
def door(visitor: Visitor) -> Listener:
    return a_rehearsal(visitor)


def a_rehearsal(visitor: Visitor, **fields: Any) -> Listener:
    trust = {"client_ca_tls_container_ref": a_secret(visitor.system, CA.cert_pem), "client_authentication": "REHEARSAL"}
    return a_listener(visitor.system, a_balancer(visitor.system), **{**trust, **fields})


def came(visitor: Visitor, door: Listener, who: str = "192.0.2.1", **fields: Any) -> dict[str, Any]:
    at = visitor.system.clock().isoformat()
    example = {"client": "192.0.2.1", "host": "api.test", "method": "GET", "path": "/x"}
    usual = {"listener_id": door.id, "stage": "request", "code": "no_certificate", "rule_id": "", "who": who, "example": example}
    its = {"first": at, "last": at, "count": 1, "addresses": ["192.0.2.1"], "trust_revision": door.trust_revision}
    return {**usual, **its, **fields}


def expired(visitor: Visitor, door: Listener, **fields: Any) -> dict[str, Any]:
    fingerprint = EXPIRED.certificate.fingerprint(hashes.SHA256()).hex()
    example = {"client": "192.0.2.2", "fingerprint_sha256": fingerprint, "subject": "CN=<b>old</b>"}
    return came(visitor, door, fingerprint, code="unverified", certificate=EXPIRED.cert_pem, example=example, **fields)


def tell(visitor: Visitor, *entries: dict[str, Any]) -> None:
    for sequence, begin in enumerate(range(0, len(entries), 500), start=1):
        batch = {"sequence": sequence, "denials": list(entries[begin : begin + 500])}
        assert rehearsals.rehearsed(visitor.system, f"g{visitor.system.clock()}", batch) == 0


def tables(page: Page) -> dict[str, list[list[str]]]:
    """The rows of each table, by its caption."""
    found = {}
    for table in page.root.every("table"):
        rows = [[cell.text for cell in row.every() if cell.tag in {"td", "th"}] for row in table.one("tbody").every("tr")]
        found[table.one("caption").text] = rows
    return found


def mode(visitor: Visitor, door: Listener) -> str:
    return listeners.get(visitor.system, ADMIN, door.id).client_authentication


def test_what_is_rehearsed_is_listed_with_whom_it_would_hit(visitor: Visitor, door: Listener) -> None:
    tell(visitor, came(visitor, door), came(visitor, door, "192.0.2.3", code="allowed", count=7), expired(visitor, door))
    page = visitor.get("/console/rehearsals")
    ((name, what, _since, clients, refused, lately, _last),) = tables(page)["Rehearsals"]
    assert (name, what, clients, refused, lately) == ("door", "All of it", "3", "2", "2 / 3")
    report = visitor.get(page.root.one("tbody").one("a").attrs["href"])
    assert report.root.one("h1").text == "Rehearsal: door"


def test_the_report_says_who_why_and_what_to_do(visitor: Visitor, door: Listener) -> None:
    tell(
        visitor, came(visitor, door, count=220), came(visitor, door, "192.0.2.3", code="allowed", count=7), expired(visitor, door)
    )
    page = visitor.get(f"/console/rehearsals/{door.id}")
    found = tables(page)
    why = {row[0]: row for row in found["Why clients would be refused"]}
    assert why["no_certificate"][2:4] == ["1", "220"]
    assert rehearsals.fix("expired") in why["expired"][5]
    who = {row[1]: row for row in found["Who would be refused"]}
    assert who["no_certificate"][0] == "none shown"
    assert who["no_certificate"][5:7] == ["192.0.2.1", "GET api.test/x"]
    assert "CN=<b>old</b>" in who["expired"][0]
    assert "1 client, 7 requests" in page.text
    assert "2 clients, 221 requests" in page.text
    links = [link.attrs["href"] for link in page.root.every("a") if link.text.startswith("Explain ")]
    assert len(links) == 2
    for link in links:
        assert visitor.get(link).root.every("section", class_="verdict")


def test_enforcing_says_first_who_would_be_refused_and_names_them(visitor: Visitor, door: Listener) -> None:
    tell(visitor, came(visitor, door), came(visitor, door, "192.0.2.3", code="allowed"), expired(visitor, door))
    place = f"/console/rehearsals/{door.id}/enforce"
    page = visitor.get(place)
    mandatory, optional = (one.text for one in page.root.every("div", class_="effect"))
    assert "3 clients seen in the last 24 h. 2 of them would be refused." in mandatory
    assert "without certificate, from 192.0.2.1: no_certificate" in mandatory
    assert "CN=<b>old</b>: expired" in mandatory
    assert "1 of them would be refused." in optional
    assert "no_certificate" not in optional
    preview = rehearsals.preview(visitor.system, ADMIN, door.id, client_authentication="MANDATORY")
    assert (preview.clients, preview.refused) == (3, 2)
    assert mode(visitor, door) == "REHEARSAL"
    cancel, enforce = page.root.one("footer").every()
    assert (cancel.text, "autofocus" in cancel.attrs, enforce.text) == ("Cancel", True, "Enforce now")
    done = page.form(place).send()
    assert done.said == "door asks for certificates from now on."
    assert mode(visitor, door) == "MANDATORY"
    assert "Nothing is rehearsed here" in visitor.get(place).text


def test_it_may_be_enforced_as_optional(visitor: Visitor, door: Listener) -> None:
    place = f"/console/rehearsals/{door.id}/enforce"
    visitor.get(place).form(place).send(client_authentication="OPTIONAL")
    assert mode(visitor, door) == "OPTIONAL"


@pytest.mark.parametrize("typed", ["", "NONE", "REHEARSAL", "<script>"])
def test_no_other_mode_is_taken(visitor: Visitor, door: Listener, typed: str) -> None:
    place = f"/console/rehearsals/{door.id}/enforce"
    page = visitor.get(place).form(place).send(client_authentication=typed)
    assert (page.status, page.error("client_authentication")) == (422, "Choose how it is to be enforced.")
    assert mode(visitor, door) == "REHEARSAL"


def test_whoever_looked_at_something_older_is_told(visitor: Visitor, door: Listener) -> None:
    place = f"/console/rehearsals/{door.id}/enforce"
    mine = visitor.get(place).form(place)
    listeners.update(visitor.system, ADMIN, door.id, {"description": "theirs"})
    page = mine.send()
    assert page.status == 409
    assert "theirs" in page.root.one("div", class_="problems").text
    assert mode(visitor, door) == "REHEARSAL"
    assert page.form(place).send().said == "door asks for certificates from now on."


def test_a_rehearsal_is_stopped_after_asking(visitor: Visitor, door: Listener) -> None:
    place = f"/console/rehearsals/{door.id}/stop"
    page = visitor.get(place)
    assert "Nobody is asked for a certificate any more" in page.text
    assert page.form(place).send().said == "door rehearses no more, and asks nobody for a certificate."
    after = listeners.get(visitor.system, ADMIN, door.id)
    assert (after.client_authentication, after.client_ca_tls_container_ref) == ("NONE", door.client_ca_tls_container_ref)
    assert "Nothing is rehearsed here" in visitor.get(place).text


def test_rules_that_are_rehearsed_by_themselves_are_told_and_enforced_one_by_one(visitor: Visitor) -> None:
    door = a_rehearsal(visitor, client_authentication="MANDATORY")
    rule = access.create(visitor.system, ADMIN, AccessRule(name="closed", listener_id=door.id, action="DENY", shadow=True))
    tell(visitor, came(visitor, door, "a" * 64, code="denied_by_rule", rule_id=rule.id, trust_revision=0, count=5))
    page = visitor.get(f"/console/rehearsals/{door.id}")
    assert "Access rules are rehearsed" in page.text
    assert not [link for link in page.root.every("a") if link.attrs["href"].endswith(("/stop", f"{door.id}/enforce"))]
    ((name, action, _rehearsed, refuse, admit, enforce),) = tables(page)["What each access rule would decide"]
    assert (name, action, refuse, admit, enforce) == ("closed", "Deny", "5", "0", "Enforce closed")
    asked = visitor.get(f"/console/access/{rule.id}/enforce")
    assert "1 of them would be refused." in asked.text
    for what in ("stop", "enforce"):  # a form of before, when all of it was rehearsed
        fields = [("csrf", _csrf(visitor, rule)), ("client_authentication", "OPTIONAL")]
        assert visitor.post(f"/console/rehearsals/{door.id}/{what}", fields).status == 422
    assert mode(visitor, door) == "MANDATORY"


def _csrf(visitor: Visitor, rule: AccessRule) -> str:
    place = f"/console/access/{rule.id}/enforce"
    return visitor.get(place).form(place).values("csrf")[0]


def test_nobody_came_yet_and_nobody_would_be_refused(visitor: Visitor, door: Listener) -> None:
    assert "Nobody came yet" in visitor.get(f"/console/rehearsals/{door.id}").text
    tell(visitor, came(visitor, door, code="allowed"))
    assert "Nobody would be refused" in visitor.get(f"/console/rehearsals/{door.id}").text


def test_nothing_is_rehearsed_and_how_to_begin_is_said(visitor: Visitor) -> None:
    page = visitor.get("/console/rehearsals")
    assert "Nothing is rehearsed" in page.text
    assert "under Advanced Settings enable Client CA with the mode Rehearsal" in page.text
    door = a_rehearsal(visitor, client_authentication="MANDATORY")
    there = visitor.get(f"/console/rehearsals/{door.id}")
    assert f"/console/listeners/{door.id}/edit" in [link.attrs["href"] for link in there.root.every("a")]
    assert visitor.get("/console/rehearsals/gone").status == 404


def test_an_auditor_reads_and_changes_nothing(visitor: Visitor, door: Listener) -> None:
    tell(visitor, came(visitor, door))
    with visitor.another("ada", "auditor") as auditor:
        page = auditor.get(f"/console/rehearsals/{door.id}")
        assert tables(page)["Who would be refused"]
        assert "Enforce now" not in page.text
        for what in ("enforce", "stop"):
            place = f"/console/rehearsals/{door.id}/{what}"
            assert auditor.get(place).status == 403
            token = auditor.get("/console/explain").form("/console/explain").values("csrf")[0]
            assert auditor.post(place, [("csrf", token), ("client_authentication", "MANDATORY")]).status == 403
    assert mode(visitor, door) == "REHEARSAL"


def test_ten_thousand_clients_are_read_page_by_page_with_as_many_questions_as_ten(visitor: Visitor, door: Listener) -> None:
    def entry(number: int) -> dict[str, Any]:
        at = (visitor.system.clock() - timedelta(seconds=number)).isoformat()
        return came(visitor, door, f"{number:064x}", code="no_rule_allows", first=at, last=at)

    place = f"/console/rehearsals/{door.id}"
    tell(visitor, *(entry(number) for number in range(10)))
    visitor.get(place)
    with counted(visitor.system.store) as few:
        visitor.get(place)
    tell(visitor, *(entry(number) for number in range(10, 9_999)))
    with counted(visitor.system.store) as many:
        page = visitor.get(place)
    assert many.count == few.count
    assert len(tables(page)["Who would be refused"]) == 50
    assert len(page.reply.content) < 100_000
    older = visitor.get(next(link for link in page.root.every("a") if link.text == "Older").attrs["href"])
    assert len(tables(older)["Who would be refused"]) == 50


def test_many_rehearsals_are_a_page_at_a_time(visitor: Visitor, door: Listener) -> None:
    balancer = a_balancer(visitor.system, vip_address="127.0.0.2")
    trust = {"client_ca_tls_container_ref": door.client_ca_tls_container_ref, "client_authentication": "REHEARSAL"}
    for number in range(55):
        a_listener(visitor.system, balancer, name=f"gate {number:02}", protocol_port=10_000 + number, **trust)
    with counted(visitor.system.store) as asked:
        page = visitor.get("/console/rehearsals")
    assert asked.count < 20
    assert len(tables(page)["Rehearsals"]) == 50
    rest = visitor.get(next(link for link in page.root.every("a") if link.text == "Next").attrs["href"])
    assert [row[0] for row in tables(rest)["Rehearsals"]] == [f"gate {number:02}" for number in range(49, 55)]
    assert [row[0] for row in tables(visitor.get("/console/rehearsals?q=gate+07"))["Rehearsals"]] == ["gate 07"]
    assert "No rehearsal is like this" in visitor.get("/console/rehearsals?q=nothing").text


def test_it_is_all_there_in_vietnamese(visitor: Visitor, door: Listener) -> None:
    ours = a_certificate(visitor.system, an_authority(visitor.system))
    tell(visitor, came(visitor, door, ours.fingerprint_sha256, code="no_rule_allows"))
    vi = {"headers": {"accept-language": "vi"}}
    page = visitor.get(f"/console/rehearsals/{door.id}", **vi)
    assert page.root.one("h1").text == "Diễn tập: door"
    assert rehearsals.fix("no_rule_allows") not in page.text
    asked = visitor.get(f"/console/rehearsals/{door.id}/enforce", **vi).text
    assert ("Áp dụng ngay" in asked, "would be refused" in asked) == (True, False)
