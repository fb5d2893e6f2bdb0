"""Access exceptions: listed, added, renewed, ended, deleted; each with an owner and an end."""

from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.model.access import AccessException
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.ops import exceptions
from support.made import a_balancer, a_listener, an_authority
from support.systems import ADMIN

HOSTILE = '<script>alert(1)</script> "quoted" & Nguyễn'


@pytest.fixture
def door(visitor: Visitor) -> Listener:
    issuer = an_authority(visitor.system)
    trust = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{issuer.id}"}
    return a_listener(visitor.system, a_balancer(visitor.system), **trust)


def an_exception(visitor: Visitor, door: Listener, **fields: Any) -> AccessException:
    end = visitor.system.clock() + timedelta(days=30)
    usual = {"name": "status page", "kind": "PATHS", "paths": ("/status",), "owner": "ann", "not_after": end}
    return exceptions.create(visitor.system, ADMIN, AccessException(**{"listener_id": door.id, **usual, **fields}))


def every(visitor: Visitor) -> tuple[AccessException, ...]:
    return exceptions.find(visitor.system, ADMIN, Query()).items


def add(visitor: Visitor, door: Listener, **fields: Any) -> Page:
    place = "/console/access/exceptions/create"
    return visitor.get(f"{place}?listener_id={door.id}").form(place).send(**fields)


def test_they_are_listed_with_who_answers_for_them_and_when_they_end(visitor: Visitor, door: Listener) -> None:
    an_exception(visitor, door, name=HOSTILE)
    soon = visitor.system.clock() + timedelta(days=3)
    an_exception(visitor, door, name="soon", kind="HEALTH_CHECK", paths=(), sources=("10.0.0.0/8",), not_after=soon)
    ended = an_exception(visitor, door, name="over", paths=("/old",))
    exceptions.end(visitor.system, ADMIN, ended.id)
    page = visitor.get(f"/console/access/exceptions?listener_id={door.id}")
    over, near, far = page.rows()
    assert (over[0], over[5], near[0], near[5], far[0], far[5]) == ("over", "Ended", "soon", "Ends soon", HOSTILE, "In force")
    assert near[1:4] == ["Health checks", "Networks: 10.0.0.0/8", "ann"]
    assert "End now" not in over[6]
    assert len(page.root.every("script")) == 1
    everywhere = visitor.get("/console/access/exceptions")
    assert everywhere.rows()[0][1] == "door"
    assert visitor.get("/console/access/exceptions?q=soon").rows()[0][0] == "soon"


def test_one_is_added_with_an_owner_and_an_end(visitor: Visitor, door: Listener) -> None:
    place = "/console/access/exceptions/create"
    popup = visitor.get(f"{place}?listener_id={door.id}&paths=/health")
    assert "the handshake asks for a certificate and demands none" in popup.text
    form = popup.form(place)
    assert form.values("paths") == ["/health"]
    assert form.values("not_after") != [""]
    visitor.cookies.set("ostiary-zone", "Asia%2FHo_Chi_Minh", domain="ostiary.test", path="/")
    end = (visitor.system.clock() + timedelta(days=20)).strftime("%Y-%m-%dT09:30")
    done = form.send(name="monitor", owner="ops", kind="HEALTH_CHECK", not_after=end, sources="198.51.100.0/24")
    assert done.said == "monitor was added."
    (made,) = every(visitor)
    assert (made.kind, made.owner, made.paths, made.sources) == ("HEALTH_CHECK", "ops", ("/health",), ("198.51.100.0/24",))
    assert (made.not_after.hour, made.not_after.minute) == (2, 30)
    assert made.listener_id == door.id


@pytest.mark.parametrize(
    ("field", "typed", "why"),
    [
        ("owner", "", "is needed"),
        ("name", "", "is needed"),
        ("not_after", "", "is needed"),
        ("not_after", "2001-01-01T00:00", "it is over already"),
        ("not_after", "2099-01-01T00:00", "ends within 366 days"),
        ("not_after", "never", "is not a day and time such as"),
        ("paths", "", "say which paths are to be served without a certificate"),
        ("paths", "/*", "that is everything"),
        ("paths", "status", "is not a path"),
        ("sources", "x", "is not a network"),
        ("kind", "EVERYTHING", "is not one of the choices"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
    visitor: Visitor, door: Listener, field: str, typed: str, why: str
) -> None:
    sent = {"name": "status", "owner": HOSTILE, "kind": "PATHS", "paths": "/status", field: typed}
    page = add(visitor, door, **sent)
    assert page.status == 422
    assert why in page.error(field)
    form = page.form("/console/access/exceptions/create")
    for name in ("name", "owner", "paths"):
        assert form.values(name) == [sent[name]]
    assert every(visitor) == ()


def test_the_same_is_not_added_twice(visitor: Visitor, door: Listener) -> None:
    an_exception(visitor, door)
    page = add(visitor, door, name="again", owner="bob", kind="PATHS", paths="/status")
    assert page.status == 422
    assert "lets the same requests in already; renew that one" in page.text


def test_one_is_renewed_and_keeps_its_end_to_the_second_otherwise(visitor: Visitor, door: Listener) -> None:
    end = visitor.system.clock() + timedelta(days=3, seconds=7)
    made = an_exception(visitor, door, not_after=end)
    place = f"/console/access/exceptions/{made.id}/edit"
    assert visitor.get(place).form(place).send(owner="bob").said == "status page was saved."
    (after,) = every(visitor)
    assert (after.owner, after.not_after, after.kind) == ("bob", end, "PATHS")
    later = (visitor.system.clock() + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M")
    visitor.get(place).form(place).send(not_after=later)
    (after,) = every(visitor)
    assert after.not_after > end
    page = visitor.get(place).form(place).send(not_after="2001-01-01T00:00")
    assert (page.status, page.error("not_after")) == (422, "it is over already")


def test_two_people_at_one_exception_the_second_is_told(visitor: Visitor, door: Listener) -> None:
    made = an_exception(visitor, door)
    place = f"/console/access/exceptions/{made.id}/edit"
    mine = visitor.get(place).form(place)
    exceptions.update(visitor.system, ADMIN, made.id, {"owner": "theirs"})
    page = mine.send(name="mine")
    assert page.status == 409
    assert "Owner ann theirs" in page.text
    assert page.form(place).values("name") == ["mine"]
    page.form(place).send()
    (after,) = every(visitor)
    assert after.name == "mine"


def test_one_is_ended_and_deleted_after_asking(visitor: Visitor, door: Listener) -> None:
    made = an_exception(visitor, door)
    place = f"/console/access/exceptions/{made.id}"
    asked = visitor.get(f"{place}/end")
    assert "need a certificate again, at once" in asked.text
    assert asked.form(f"{place}/end").send().said == "status page has ended."
    assert exceptions.state(every(visitor)[0], visitor.system.clock()) == "ENDED"
    asked = visitor.get(f"{place}/delete")
    assert "It has ended already." in asked.text
    assert asked.form(f"{place}/delete").send().said == "status page was deleted."
    assert every(visitor) == ()
    assert visitor.get(f"{place}/edit").status == 404


def test_none_yet_and_a_listener_that_is_gone(visitor: Visitor, door: Listener) -> None:
    page = visitor.get(f"/console/access/exceptions?listener_id={door.id}")
    assert "No exception" in page.text
    assert "There is no such listener any more." in visitor.get("/console/access/exceptions?listener_id=gone").text
    assert visitor.get("/console/access/exceptions/create?listener_id=gone").status == 404


def test_an_auditor_reads_and_changes_nothing(visitor: Visitor, door: Listener) -> None:
    made = an_exception(visitor, door)
    with visitor.another("ada", "auditor") as auditor:
        page = auditor.get("/console/access/exceptions")
        assert page.rows()[0][0] == "status page"
        assert "End now" not in page.text
        popup = auditor.get(f"/console/access/exceptions/{made.id}/edit")
        assert [one.text for one in popup.root.one("footer").every()] == ["Close"]
        token = popup.form(f"/console/access/exceptions/{made.id}/edit").values("csrf")[0]
        for what in ("edit", "end", "delete"):
            fields = [("csrf", token), ("name", "x")]
            assert auditor.post(f"/console/access/exceptions/{made.id}/{what}", fields).status == 403
        assert auditor.get("/console/access/exceptions/create").status == 403
    assert every(visitor) == (made,)


def test_it_is_all_there_in_vietnamese(visitor: Visitor, door: Listener) -> None:
    made = an_exception(visitor, door)
    vi = {"headers": {"accept-language": "vi"}}
    assert "Ngoại lệ truy cập" in visitor.get("/console/access/exceptions", **vi).root.one("h1").text
    assert "Chủ sở hữu" in visitor.get(f"/console/access/exceptions/{made.id}/edit", **vi).text
