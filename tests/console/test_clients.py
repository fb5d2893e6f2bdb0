"""Clients: who was let in, found by what people know of them, a page at a time."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Visitor
from ostiary.ops import sightings
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.statements import counted

HOSTILE = "<script>alert('x')</script>\"&, O=Nguyễn & con"


def seen(visitor: Visitor, number: int = 1, **fields: Any) -> dict[str, Any]:
    at = visitor.system.clock().isoformat()
    usual = {
        "fingerprint_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "listener_id": "l1",
        "subject": f"CN=client-{number}",
        "requests": 3,
    }
    return {**usual, "first_seen": at, "last_seen": at, "addresses": ["192.0.2.1"], **fields}


def tell(visitor: Visitor, *entries: dict[str, Any]) -> None:
    for sequence, begin in enumerate(range(0, len(entries), 500), start=1):
        batch = {"sequence": sequence, "sightings": list(entries[begin : begin + 500]), "certificates": {}}
        assert sightings.seen(visitor.system, f"g{visitor.system.clock()}", batch) == 0


def test_whoever_was_let_in_is_shown_with_where_and_from_where(visitor: Visitor) -> None:
    door = a_listener(visitor.system, a_balancer(visitor.system), name="Cửa chính")
    ours = a_certificate(visitor.system, an_authority(visitor.system), cn="alice")
    tell(visitor, seen(visitor, fingerprint_sha256=ours.fingerprint_sha256, subject="CN=alice", listener_id=door.id))
    page = visitor.get("/console/clients")
    ((who, where, _when, requests, addresses, _actions),) = page.rows()
    assert ("CN=alice" in who, where, requests, addresses) == (True, "Cửa chính", "3", "192.0.2.1")
    links = [link.attrs["href"] for link in page.root.one("tbody").every("a")]
    assert links == [
        f"/console/certificates/{ours.id}",
        f"/console/listeners/{door.id}",
        f"/console/explain?listener_id={door.id}&certificate=id%3A{ours.id}",
    ]


def test_what_is_not_of_here_and_what_is_gone_is_said(visitor: Visitor) -> None:
    tell(visitor, seen(visitor, subject=HOSTILE))
    ((who, where, *_rest),) = visitor.get("/console/clients").rows()
    assert "<script>alert('x')</script>\"&, O=Nguyễn & con not issued here" in who
    assert where == "l1 deleted"


def test_a_certificate_that_may_have_been_copied_is_marked(visitor: Visitor) -> None:
    places = [f"192.0.2.{number}" for number in range(9)]
    tell(visitor, seen(visitor, addresses=places), seen(visitor, 2))
    page = visitor.get("/console/clients?many=true")
    ((_who, _where, _when, _requests, addresses, _actions),) = page.rows()
    assert "many addresses" in addresses
    assert "and 6 more" in addresses
    assert "may have been copied" in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=client-2", ["2"]),
        ("q=CLIENT", ["1", "2"]),
        ("q=%25", []),
        ("listener_id=l2", ["2"]),
        ("since=1h", ["1"]),
        ("since=7d", ["1", "2"]),
        ("since=nonsense", ["1", "2"]),
        ("after=nonsense", ["1", "2"]),
        ("after=2026-01-01T00:00:00Z|x|y|z", ["1", "2"]),
    ],
)
def test_they_are_found_by_what_people_know(visitor: Visitor, query: str, found: list[str]) -> None:
    old = (visitor.system.clock() - timedelta(hours=3)).isoformat()
    tell(visitor, seen(visitor, 1), seen(visitor, 2, listener_id="l2", first_seen=old, last_seen=old))
    page = visitor.get(f"/console/clients?{query}")
    assert page.status == 200
    assert [row[0].partition("client-")[2][0] for row in page.rows()] == found
    if not found:
        assert "No client is like this" in page.text


def test_ten_thousand_are_read_page_by_page_with_as_many_questions_as_ten(visitor: Visitor) -> None:
    a_listener(visitor.system, a_balancer(visitor.system))
    tell(visitor, *(seen(visitor, number) for number in range(10)))
    visitor.get("/console/clients")
    with counted(visitor.system.store) as few:
        visitor.get("/console/clients")
    tell(visitor, *(seen(visitor, number, subject="CN=" + "ở" * 200) for number in range(10, 10_000)))
    with counted(visitor.system.store) as many:
        page = visitor.get("/console/clients")
    assert many.count == few.count
    assert len(page.rows()) == 50
    assert len(page.reply.content) < 100_000
    names = [row[0] for row in page.rows()]
    following = visitor.get(next(link for link in page.root.every("a") if link.text == "Older").attrs["href"])
    assert len(following.rows()) == 50
    assert not set(names) & {row[0] for row in following.rows()}
    newest = next(link for link in following.root.every("a") if link.text == "Newest").attrs["href"]
    assert [row[0] for row in visitor.get(newest).rows()] == names


def test_nobody_yet_is_said_and_what_comes_next_in_the_reader_s_words(visitor: Visitor) -> None:
    page = visitor.get("/console/clients")
    assert "Nobody was let in yet" in page.text
    assert "ai được cho vào" in visitor.get("/console/clients", headers={"accept-language": "vi"}).text


def test_an_auditor_reads_them(visitor: Visitor) -> None:
    tell(visitor, seen(visitor))
    with visitor.another("ada", "auditor") as auditor:
        assert len(auditor.get("/console/clients").rows()) == 1
