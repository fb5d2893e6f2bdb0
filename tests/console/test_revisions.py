"""Revisions in the console: what each changed, in words; and going back, after it was said what that would do."""

import pytest

from console.visitor import Element, Page, Visitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member
from ostiary.model.query import Query
from ostiary.ops import balancers, containers, listeners, members, pools, revisions
from support.certs import Authority
from support.made import a_balancer, a_container, a_listener, a_member, a_pool, an_authority
from support.systems import ADMIN

PLACE = "/console/revisions"


@pytest.fixture
def listener(visitor: Visitor) -> Listener:
    balancer = a_balancer(visitor.system, name="shop")
    return a_listener(visitor.system, balancer)


def tables(page: Page) -> dict[str, list[list[str]]]:
    """By what was changed, its settings as they were and as they are."""
    return {section.one("h2").text: rows(section) for section in page.root.every("section", class_="change")}


def rows(section: Element) -> list[list[str]]:
    bodies = section.every("tbody")
    return [[cell.text for cell in row.every() if cell.tag in {"th", "td"}] for body in bodies for row in body.every("tr")]


def test_they_are_listed_newest_first_with_who_what_and_how_much(visitor: Visitor, listener: Listener) -> None:
    listeners.update(visitor.system, ADMIN, listener.id, {"name": "gate"})
    listed = visitor.get(PLACE).rows()
    assert [row[0] for row in listed] == ["3", "2", "1"]
    assert listed[0][2:5] == ["admin", "Changed a listener current", "1"]
    assert [row[5] for row in listed] == ["", "Go back to this (2)", "Go back to this (1)"]


def test_pages_lead_on_and_back(visitor: Visitor) -> None:
    balancer = a_balancer(visitor.system)
    for number in range(60):
        balancers.update(visitor.system, ADMIN, balancer.id, {"description": f"{number}"})
    first = visitor.get(PLACE)
    second = visitor.get(next(link for link in first.root.every("a") if link.text == "Next").attrs["href"])
    assert [int(row[0]) for row in (*first.rows(), *second.rows())] == list(range(61, 0, -1))
    back = next(link for link in second.root.every("a") if link.text == "Previous").attrs["href"]
    assert visitor.get(back).rows() == first.rows()


def test_a_revision_tells_field_by_field_with_names_for_ids(visitor: Visitor, listener: Listener) -> None:
    partners = an_authority(visitor.system, "Partners")
    pool = a_pool(visitor.system, balancers.get(visitor.system, ADMIN, listener.loadbalancer_id), name="servers")
    wanted = {
        "client_authentication": "OPTIONAL",
        "client_ca_tls_container_ref": f"/v1/authorities/{partners.id}",
        "default_pool_id": pool.id,
        "timeout_client_data": 30_000,
    }
    made = listeners.update(visitor.system, ADMIN, listener.id, wanted)
    page = visitor.get(f"{PLACE}/{made.revision}")
    (told,) = tables(page).values()
    assert {label: (before, after) for label, before, after in told} == {
        "Default Pool": ("\N{EN DASH}", "servers"),
        "Authentication mode": ("Off: nobody is asked for a certificate", "Optional: checked when shown"),
        "Client CA": ("\N{EN DASH}", "Partners"),
        "Client timeout": ("50,000 ms", "30,000 ms"),
    }
    links = {link.text: link.attrs["href"] for link in page.root.one("main").every("a")}
    assert links["door"] == f"/console/listeners/{listener.id}"
    assert links["Partners"] == f"/console/authorities/{partners.id}"


def test_what_is_gone_is_named_and_not_linked(visitor: Visitor) -> None:
    balancer = a_balancer(visitor.system, name="old shop")
    balancers.delete(visitor.system, ADMIN, balancer.id)
    page = visitor.get(f"{PLACE}/2")
    assert list(tables(page)) == ["Load Balancer old shop deleted"]
    assert "old shop" not in [link.text for link in page.root.every("a")]


def test_a_revision_of_many_things_is_shown_page_by_page(visitor: Visitor) -> None:
    pool = a_pool(visitor.system, a_balancer(visitor.system))
    wanted = [Member(name=f"m{port}", address="127.0.0.1", protocol_port=port) for port in range(9000, 9120)]
    members.replace(visitor.system, ADMIN, pool.id, wanted)
    page = visitor.get(f"{PLACE}/3")
    seen = list(tables(page))
    assert len(seen) == 50
    assert len(page.reply.content) < 100_000
    while link := [one for one in page.root.every("a", rel="next") if "from=" in one.attrs["href"]]:
        page = visitor.get(link[0].attrs["href"])
        seen += list(tables(page))
    assert len(set(seen)) == 120


def test_going_back_asks_first_and_says_exactly_what_will_change(visitor: Visitor, listener: Listener) -> None:
    listeners.update(visitor.system, ADMIN, listener.id, {"name": "gate", "connection_limit": 5})
    added = a_pool(visitor.system, balancers.get(visitor.system, ADMIN, listener.loadbalancer_id), name="new pool")
    before = revisions.current(visitor.system, ADMIN)
    page = visitor.get(f"{PLACE}/2/revert")
    assert revisions.current(visitor.system, ADMIN) == before
    assert "2 things would change" in page.text
    told = tables(page)
    assert told["Listener gate will be changed"] == [["Name", "gate", "door"], ["Connection limit", "5", "-1"]]
    assert "Pool new pool will be deleted" in told

    done = page.form(f"{PLACE}/2/revert").send()
    assert done.said == f"All is as it was after revision 2. This became revision {before + 1}."
    assert done.reply.url.path == f"{PLACE}/{before + 1}"
    assert listeners.get(visitor.system, ADMIN, listener.id).name == "door"
    assert added.id not in {one.id for one in pools.find(visitor.system, ADMIN, Query(limit=0)).items}
    assert "Nothing would change" in visitor.get(f"{PLACE}/2/revert").text


def test_what_was_deleted_comes_back(visitor: Visitor, listener: Listener) -> None:
    listeners.delete(visitor.system, ADMIN, listener.id)
    page = visitor.get(f"{PLACE}/2/revert")
    assert "Listener door comes back" in tables(page)
    page.form(f"{PLACE}/2/revert").send()
    assert listeners.get(visitor.system, ADMIN, listener.id).protocol_port == listener.protocol_port


def test_the_newest_revision_is_undone_with_one_click_more(visitor: Visitor, listener: Listener) -> None:
    made = listeners.update(visitor.system, ADMIN, listener.id, {"name": "gate"})
    undo = next(link for link in visitor.get(f"{PLACE}/{made.revision}").root.every("a") if link.text == "Undo this revision")
    visitor.get(undo.attrs["href"]).form(undo.attrs["href"]).send()
    assert listeners.get(visitor.system, ADMIN, listener.id).name == "door"


def test_whoever_looked_before_somebody_changed_more_is_shown_it_first(visitor: Visitor, listener: Listener) -> None:
    listeners.update(visitor.system, ADMIN, listener.id, {"name": "gate"})
    form = visitor.get(f"{PLACE}/2/revert").form(f"{PLACE}/2/revert")
    listeners.update(visitor.system, ADMIN, listener.id, {"description": "theirs"})
    again = form.send()
    assert again.status == 409
    assert "Revision 4 was made meanwhile" in again.text
    assert "Nothing was changed." in again.text
    assert ["Description", "theirs", "\N{EN DASH}"] in tables(again)["Listener gate will be changed"]
    assert listeners.get(visitor.system, ADMIN, listener.id).name == "gate"
    assert again.form(f"{PLACE}/2/revert").send().said.startswith("All is as it was after revision 2.")


def test_why_it_cannot_be_done_is_said_and_nothing_is_changed(visitor: Visitor) -> None:
    """A listener comes back that shows a certificate which was deleted since."""
    shown = Authority.root().server("shop.test")
    reference = a_container(visitor.system, shown.cert_pem, shown.key_pem)
    listener = a_listener(visitor.system, a_balancer(visitor.system), default_tls_container_ref=reference)
    listeners.delete(visitor.system, ADMIN, listener.id)
    containers.delete(visitor.system, ADMIN, reference.rpartition("/")[2])
    place = f"{PLACE}/{listener.revision}/revert"
    before = revisions.current(visitor.system, ADMIN)
    page = visitor.get(place).form(place).send()
    assert page.status == 422
    assert page.root.one("div", class_="problems").text.startswith("Default Certificate: ")
    assert revisions.current(visitor.system, ADMIN) == before


@pytest.mark.parametrize("number", ["999", "x", "9" * 30])
def test_a_revision_that_never_was_is_said_to_be_none(visitor: Visitor, number: str) -> None:
    for place in (f"{PLACE}/{number}", f"{PLACE}/{number}/revert"):
        assert visitor.get(place).status == 404


def test_an_auditor_sees_what_changed_and_is_not_offered_to_go_back(visitor: Visitor, listener: Listener) -> None:
    with visitor.another("olga", "auditor") as auditor:
        for place in (PLACE, f"{PLACE}/{listener.revision}"):
            page = auditor.get(place)
            assert page.status == 200
            assert not [link for link in page.root.every("a") if "/revert" in link.attrs["href"]]
        assert auditor.get(f"{PLACE}/1/revert").status == 403


def test_nothing_yet_is_said_and_what_comes_next(visitor: Visitor) -> None:
    page = visitor.get(PLACE)
    assert "No revision yet" in page.text
    assert "/console/balancers" in [link.attrs["href"] for link in page.root.one("div", class_="nothing").every("a")]


def test_thousands_of_changes_since_are_summed_up_before_they_are_read(visitor: Visitor) -> None:
    pool = a_pool(visitor.system, a_balancer(visitor.system))
    members_ = [a_member(visitor.system, pool, port) for port in range(8000, 8060)]
    assert members_
    page = visitor.get(f"{PLACE}/2/revert")
    assert "60 things would change" in page.text
    assert "50 of 60 are shown." in page.text
    assert len(page.reply.content) < 100_000


def test_it_is_read_in_vietnamese(visitor: Visitor, listener: Listener) -> None:
    assert listener.id
    page = visitor.get(f"{PLACE}/1/revert", headers={"accept-language": "vi"})
    assert "will be deleted" not in page.text
    assert "would change" not in page.text
