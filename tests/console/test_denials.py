"""Refusals: who was refused, why, how much of it, and the way to what helps."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.access.words import FIXES, HANDSHAKE_CODES, REQUEST_CODES
from ostiary.console.denials import _HELP, CODES
from ostiary.model.denial import DenialQuery
from ostiary.model.listener import Listener
from ostiary.ops import denials
from support.certs import Authority
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.statements import counted
from support.systems import ADMIN

HOSTILE = "CN=<script>alert('x')</script>\"&"
STRANGER = Authority.root("Elsewhere").client("mallory")


@pytest.fixture
def door(visitor: Visitor) -> Listener:
    return a_listener(visitor.system, a_balancer(visitor.system), name="Cửa chính")


def refused(visitor: Visitor, door: Listener | None = None, who: str = "a" * 64, ago: float = 0, **fields: Any) -> dict[str, Any]:
    at = (visitor.system.clock() - timedelta(seconds=ago)).isoformat()
    example = {"client": "192.0.2.1", "fingerprint_sha256": who, "serial": "0a1b", "subject": "CN=alice", "sans": ["DNS:a.test"]}
    example |= {"host": "api.test:8443", "method": "POST", "path": "/v1/x"}
    usual = {"listener_id": door.id if door else "l1", "stage": "request", "code": "no_rule_allows", "rule_id": "", "who": who}
    its = {"first": at, "last": at, "count": 1, "addresses": ["192.0.2.1"], "references": [], "example": example}
    return {**usual, **its, **fields}


def tell(visitor: Visitor, *entries: dict[str, Any]) -> None:
    for sequence, begin in enumerate(range(0, len(entries), 500), start=1):
        batch = {"sequence": sequence, "denials": list(entries[begin : begin + 500])}
        assert denials.denied(visitor.system, f"g{visitor.system.clock()}", batch) == 0


def tables(page: Page) -> dict[str, list[list[str]]]:
    """The rows of each table, by its caption."""
    found = {}
    for table in page.root.every("table"):
        rows = [[cell.text for cell in row.every() if cell.tag in {"td", "th"}] for row in table.one("tbody").every("tr")]
        found[table.one("caption").text] = rows
    return found


def the_one(visitor: Visitor) -> Page:
    (found,) = denials.find(visitor.system, ADMIN, DenialQuery()).items
    return visitor.get(f"/console/denials/{found.id}")


def test_who_was_refused_is_listed_below_why_with_numbers_and_shares(visitor: Visitor, door: Listener) -> None:
    tell(
        visitor,
        refused(visitor, door, count=3, references=[1795631990709]),
        refused(visitor, door, "192.0.2.9", ago=60, stage="handshake", code="no_certificate", example={"client": "192.0.2.9"}),
    )
    found = tables(visitor.get("/console/denials"))
    first, second = found["Refusals by reason"]
    assert first[:3] == ["no_rule_allows Request", "3", "75 % 75 %"]
    assert first[4] == FIXES["no_rule_allows"]
    assert second[:3] == ["no_certificate Handshake", "1", "25 % 25 %"]
    last, before = found["Refusals"]
    assert last[1] == "Cửa chính"
    assert last[2].startswith("CN=alice not issued here")
    assert last[3:] == ["no_rule_allows Request", "3", "192.0.2.1", "POST api.test:8443/v1/x", "1795631990709"]
    assert before[2] == "none shown"


def test_what_was_shown_runs_nothing(visitor: Visitor) -> None:
    example = {"client": "192.0.2.1", "fingerprint_sha256": "b" * 64, "subject": HOSTILE, "host": "<b>", "path": "/\"'<i>"}
    tell(visitor, refused(visitor, who="b" * 64, example={**example, "method": "<u>"}, listener_id="<l>"))
    page = visitor.get("/console/denials")
    assert HOSTILE in tables(page)["Refusals"][0][2]
    details = the_one(visitor)
    assert HOSTILE in details.text
    for one in (page, details):
        assert len(one.root.every("script")) == 1
        assert not one.root.every("i")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("code=revoked", 1),
        ("code=tls_failed", 1),
        ("stage=handshake", 1),
        ("q=alice", 3),
        ("q=0A:1B", 3),
        ("q=mallory", 0),
        ("address=192.0.2.1", 3),
        ("address=192.0.2.77", 0),
        ("since=1h", 2),
        ("since=24h", 3),
        ("listener_id=l2", 1),
        ("listener_id=nowhere", 0),
        ("code=%3Cscript%3E", 0),
        ("after=2001-01-01T00:00:00Z|x", 0),
        ("after=rubbish", 3),
    ],
)
def test_they_are_found_by_what_people_know(visitor: Visitor, query: str, found: int) -> None:
    tell(
        visitor,
        refused(visitor),
        refused(visitor, code="revoked", stage="handshake", listener_id="l2"),
        refused(visitor, code="expired", ago=7200),
        refused(visitor, code="tls_failed", stage="handshake", who="", example={}),
    )
    page = visitor.get(f"/console/denials?{query}")
    assert page.status == 200
    assert len(tables(page).get("Refusals", [])) == found
    if not found and "after" not in query:
        assert "Nobody was refused in that way" in page.text


def test_what_a_client_quotes_leads_to_its_refusal(visitor: Visitor, door: Listener) -> None:
    at = visitor.system.clock()
    reference = int(at.timestamp() * 1000)
    tell(visitor, refused(visitor, door, references=[reference]), refused(visitor, door, "c" * 64))
    form = next(
        form for form in visitor.get("/console/denials").root.every("form") if "Reference" in form.attrs.get("aria-label", "")
    )
    assert form.attrs["method"] == "get"
    page = visitor.get(f"/console/denials?reference={reference}")
    assert page.root.one("h1").text == "Refusal: no_rule_allows"
    assert f"This is what reference {reference} leads to." in page.text
    nobody = visitor.get("/console/denials?reference=1")
    assert "No refusal has this reference" in nobody.text


@pytest.mark.parametrize("typed", ["abc", "-1", "1" * 17, "99999999999999999999", "<script>", "\uff11\uff12", "9007199254740993"])
def test_what_is_no_reference_is_said_beside_it_and_stays(visitor: Visitor, typed: str) -> None:
    page = visitor.get("/console/denials", params={"reference": typed})
    assert page.status == 422
    assert "is not a reference" in page.error("reference")
    assert page.root.one("input", id="field-reference").attrs["value"] == typed[:64]


def test_what_helps_is_a_link_that_begins_it(visitor: Visitor, door: Listener) -> None:
    ours = a_certificate(visitor.system, an_authority(visitor.system))
    tell(visitor, refused(visitor, door, ours.fingerprint_sha256))
    page = the_one(visitor)
    links = {link.text: link.attrs["href"] for link in page.root.one("section").every("a")}
    add = links["Add a rule for this certificate"]
    form = visitor.get(add).form("/console/access/create")
    assert form.values("certificate.fingerprints_sha256") == [ours.fingerprint_sha256]
    assert (form.values("hosts"), form.values("paths"), form.values("methods")) == (["api.test"], ["/v1/x"], ["POST"])
    assert links["See the rules of the listener"] == f"/console/access?listener_id={door.id}"
    explained = visitor.get(links["Explain: would it be refused now?"])
    assert explained.status == 200
    assert explained.root.every("section", class_="verdict")


def test_a_certificate_of_somebody_else_is_explained_by_what_was_told_of_it(visitor: Visitor, door: Listener) -> None:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    fingerprint = STRANGER.certificate.fingerprint(hashes.SHA256()).hex()
    tell(visitor, refused(visitor, door, fingerprint, stage="handshake", code="unknown_authority", certificate=STRANGER.cert_pem))
    page = the_one(visitor)
    assert "Nobody verified it" in page.text
    assert "BEGIN CERTIFICATE" in page.root.one("pre").text
    link = next(link for link in page.root.one("section").every("a") if link.text.startswith("Explain"))
    explained = visitor.get(link.attrs["href"])
    assert "CN=mallory" in explained.root.one("fieldset", id="field-certificate").text
    assert explained.root.every("section", class_="verdict")


@pytest.mark.parametrize("code", [*HANDSHAKE_CODES, *REQUEST_CODES, "tls_failed", "of_tomorrow"])
def test_each_reason_has_its_sentence_and_links_that_lead_somewhere(visitor: Visitor, door: Listener, code: str) -> None:
    ours = a_certificate(visitor.system, an_authority(visitor.system))
    stage = "handshake" if code in HANDSHAKE_CODES else "request"
    tell(visitor, refused(visitor, door, ours.fingerprint_sha256, code=code, stage=stage, rule_id="gone"))
    (found,) = denials.find(visitor.system, ADMIN, DenialQuery(code=code)).items
    page = visitor.get(f"/console/denials/{found.id}")
    assert denials.fix(code) in page.text
    assert code in _HELP or code in {"misdirected", "tls_failed", "of_tomorrow"}
    for link in page.root.one("section").every("a"):
        assert visitor.get(link.attrs["href"]).status in ({200, 404} if "gone" in link.attrs["href"] else {200}), link.text


def test_every_reason_there_is_can_be_chosen() -> None:
    assert set(CODES) == {*HANDSHAKE_CODES, *REQUEST_CODES, "tls_failed"}


def test_many_clients_are_one_sum(visitor: Visitor, door: Listener) -> None:
    tell(visitor, refused(visitor, door, "", count=4711, example={}))
    page = visitor.get("/console/denials")
    assert tables(page)["Refusals"][0][2] == "many clients"
    assert "4,711" in tables(page)["Refusals by reason"][0][1]
    assert "more clients within an hour than are told apart" in the_one(visitor).text


def test_what_is_not_there_is_not_found(visitor: Visitor) -> None:
    assert visitor.get("/console/denials/none").status == 404


def test_nobody_was_refused_yet(visitor: Visitor) -> None:
    page = visitor.get("/console/denials")
    assert "Nobody was refused" in page.text
    assert not tables(page)


def test_an_auditor_is_offered_only_what_they_may(visitor: Visitor, door: Listener) -> None:
    tell(visitor, refused(visitor, door))
    (found,) = denials.find(visitor.system, ADMIN, DenialQuery()).items
    with visitor.another("ada", "auditor") as auditor:
        assert tables(auditor.get("/console/denials"))["Refusals"]
        page = auditor.get(f"/console/denials/{found.id}")
        texts = [link.text for link in page.root.one("section").every("a")]
        assert texts == ["See the rules of the listener", "Explain: would it be refused now?"]


def test_ten_thousand_are_read_page_by_page_with_as_many_questions_as_ten(visitor: Visitor, door: Listener) -> None:
    def entry(number: int) -> dict[str, Any]:
        code = REQUEST_CODES[number % len(REQUEST_CODES)]
        who = hashlib.sha256(str(number).encode()).hexdigest()
        return refused(visitor, door, who, ago=number * 20, code=code)

    tell(visitor, *(entry(number) for number in range(10)))
    visitor.get("/console/denials")
    with counted(visitor.system.store) as few:
        visitor.get("/console/denials")
    tell(visitor, *(entry(number) for number in range(10, 10_000)))
    with counted(visitor.system.store) as many:
        page = visitor.get("/console/denials")
    assert many.count == few.count
    assert len(tables(page)["Refusals"]) == 50
    assert len(page.reply.content) < 100_000
    seen = {link.attrs["href"] for link in page.root.every("a") if link.attrs["href"].startswith("/console/denials/")}
    older = visitor.get(next(link for link in page.root.every("a") if link.text == "Older").attrs["href"])
    following = {link.attrs["href"] for link in older.root.every("a") if link.attrs["href"].startswith("/console/denials/")}
    assert (len(seen), len(following), seen & following) == (50, 50, set())
    assert tables(older)["Refusals by reason"] == tables(page)["Refusals by reason"]


def test_it_is_all_there_in_vietnamese(visitor: Visitor, door: Listener) -> None:
    tell(visitor, refused(visitor, door))
    vi = {"headers": {"accept-language": "vi"}}
    page = visitor.get("/console/denials", **vi)
    assert page.root.one("h1").text == "Từ chối"
    assert FIXES["no_rule_allows"] not in page.text
    (found,) = denials.find(visitor.system, ADMIN, DenialQuery()).items
    assert "Thêm quy tắc cho chứng chỉ này" in visitor.get(f"/console/denials/{found.id}", **vi).text
