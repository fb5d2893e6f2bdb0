"""A load balancer is changed, taken out of service and deleted, each with its consequences said before."""

from datetime import timedelta

import pytest

from console.visitor import Visitor
from ostiary.clock import now
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.query import Query
from ostiary.model.whole import WholeListener, WholePool
from ostiary.ops import balancers, listeners, pools, sightings
from support.systems import ADMIN

EVERY = Query(limit=0)


@pytest.fixture
def balancer(visitor: Visitor) -> LoadBalancer:
    pool = WholePool(pool=Pool(name="carts", protocol="HTTP", lb_algorithm="ROUND_ROBIN"))
    its = [
        WholeListener(listener=Listener(name="door", protocol="TERMINATED_HTTPS", protocol_port=8443), default_pool=pool),
        WholeListener(listener=Listener(name="side", protocol="HTTP", protocol_port=8080)),
    ]
    return balancers.create(visitor.system, ADMIN, LoadBalancer(name="shop", vip_address="127.0.0.1"), with_listeners=its)


def read(visitor: Visitor, balancer: LoadBalancer) -> LoadBalancer:
    return balancers.get(visitor.system, ADMIN, balancer.id)


def place(balancer: LoadBalancer, verb: str) -> str:
    return f"/console/balancers/{balancer.id}/{verb}"


def test_the_settings_tab_leads_to_all_that_can_be_done(visitor: Visitor, balancer: LoadBalancer) -> None:
    page = visitor.get(f"/console/balancers/{balancer.id}?tab=settings")
    links = {link.text: link.attrs["href"] for link in page.root.one("main").every("a", class_="button")}
    assert links == {
        "Edit": place(balancer, "edit"),
        "Take out of service": place(balancer, "service"),
        "Delete": place(balancer, "delete"),
    }


def test_it_is_renamed_and_described(visitor: Visitor, balancer: LoadBalancer) -> None:
    form = visitor.get(place(balancer, "edit")).form(place(balancer, "edit"))
    page = form.send(name="store", description="of all things", tags="a\nb, c")
    assert page.said == "shop was saved."
    now_is = read(visitor, balancer)
    assert (now_is.name, now_is.description, now_is.tags) == ("store", "of all things", ("a", "b", "c"))
    assert "of all things" in page.text


def test_bad_input_is_beside_its_field_and_changes_nothing(visitor: Visitor, balancer: LoadBalancer) -> None:
    page = visitor.get(place(balancer, "edit")).form(place(balancer, "edit")).send(name="x" * 256, description="kept")
    assert page.status == 422
    assert page.error("name") == "must not be longer than 255 characters"
    assert page.form(place(balancer, "edit")).values("description") == ["kept"]
    assert read(visitor, balancer) == balancer


def test_the_second_editor_is_told(visitor: Visitor, balancer: LoadBalancer) -> None:
    form = visitor.get(place(balancer, "edit")).form(place(balancer, "edit"))
    balancers.update(visitor.system, ADMIN, balancer.id, {"description": "theirs", "admin_state_up": False})
    told = form.send(description="mine")
    assert told.status == 409
    assert ["In service", "Yes", "No"] in told.rows()
    assert read(visitor, balancer).description == "theirs"
    assert told.form(place(balancer, "edit")).send().said == "shop was saved."
    assert read(visitor, balancer).description == "mine"


def test_what_hangs_on_it_may_change_while_it_is_edited(visitor: Visitor, balancer: LoadBalancer) -> None:
    form = visitor.get(place(balancer, "edit")).form(place(balancer, "edit"))
    listener = listeners.find(visitor.system, ADMIN, EVERY).items[0]
    listeners.update(visitor.system, ADMIN, listener.id, {"description": "theirs"})
    assert form.send(description="mine").said == "shop was saved."


def test_it_is_taken_out_of_service_and_put_back(visitor: Visitor, balancer: LoadBalancer) -> None:
    asked = visitor.get(place(balancer, "service"))
    assert "2 listeners are closed" in asked.root.one("dialog").text
    page = asked.form(place(balancer, "service")).send()
    assert page.said == "shop is out of service."
    assert not read(visitor, balancer).admin_state_up
    asked = visitor.get(place(balancer, "service"))
    assert "2 listeners are opened again" in asked.root.one("dialog").text
    assert asked.form(place(balancer, "service")).send().said == "shop is in service."
    assert read(visitor, balancer).admin_state_up


def test_deleting_says_what_goes_with_it_and_who_was_there(visitor: Visitor, balancer: LoadBalancer) -> None:
    at = now() - timedelta(hours=1)
    for listener in listeners.find(visitor.system, ADMIN, EVERY).items:
        # The same client at both of them is one client.
        seen = {"fingerprint_sha256": "a" * 64, "listener_id": listener.id, "first_seen": at, "last_seen": at, "requests": 1}
        sightings.seen(visitor.system, listener.id, {"sequence": 1, "sightings": [seen], "certificates": {}})
    asked = visitor.get(place(balancer, "delete"))
    text = asked.root.one("dialog").text
    assert "2 listeners, with their access rules" in text
    assert "1 pool, with its members and health check" in text
    assert "1 client was let in there in the last 24 h." in text
    page = asked.form(place(balancer, "delete")).send()
    assert page.reply.url.path == "/console/balancers"
    assert page.said == "shop was deleted."
    for find in (balancers.find, listeners.find, pools.find):
        assert find(visitor.system, ADMIN, EVERY).items == ()


def test_an_auditor_is_offered_nothing_and_refused(visitor: Visitor, balancer: LoadBalancer) -> None:
    with visitor.another("ann", "auditor") as auditor:
        page = auditor.get(f"/console/balancers/{balancer.id}?tab=settings")
        assert [link.text for link in page.root.one("main").every("a", class_="button")] == []
        for verb in ("edit", "service", "delete"):
            assert auditor.get(place(balancer, verb)).status == 403
    assert read(visitor, balancer) == balancer
