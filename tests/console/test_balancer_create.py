"""Create a Load Balancer: four steps, one call in the end."""

from typing import Any

import pytest

from console.visitor import Form, Page, Visitor, a_visitor
from ostiary.model.authority import NewAuthority
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.ops import authorities, balancers, listeners, members, monitors, pools
from support.systems import ADMIN

PLACE = "/console/balancers/create"
EVERY = Query(limit=0)


def wizard(page: Page) -> Form:
    return page.form(PLACE)


def step(page: Page) -> str:
    return page.root.one("button", **{"aria-current": "step"}).text


def made(visitor: Visitor) -> tuple[LoadBalancer, Listener]:
    (balancer,) = balancers.find(visitor.system, ADMIN, EVERY).items
    (listener,) = listeners.find(visitor.system, ADMIN, EVERY).items
    return balancer, listener


def summary(page: Page) -> str:
    return page.root.one("aside").text


def test_next_next_next_create_makes_something_that_works(visitor: Visitor) -> None:
    page = visitor.get(PLACE)
    for expected in ("1 Load Balancer", "2 Listener", "3 Default Pool"):
        assert step(page) == expected
        page = wizard(page).send(go="next")
        assert page.status == 200
    assert step(page) == "4 Pool Members"
    row = {"members.0.address": "127.0.0.1", "members.0.protocol_port": "8080"}
    page = wizard(page).send(go="create", **row)
    balancer, listener = made(visitor)
    assert page.reply.url.path == f"/console/balancers/{balancer.id}"
    assert page.said == f"{balancer.name} was created."
    assert balancer.name.startswith("lb-")
    assert balancer.vip_address == "127.0.0.1"
    assert (listener.name, listener.protocol, listener.protocol_port) == ("https-443", "TERMINATED_HTTPS", 443)
    assert listener.insert_headers == dict.fromkeys(("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port"), "true")
    assert listener.default_tls_container_ref, "ostiary issued one"
    (pool,) = pools.find(visitor.system, ADMIN, EVERY).items
    assert (listener.default_pool_id, pool.protocol, pool.lb_algorithm) == (pool.id, "HTTP", "ROUND_ROBIN")
    assert pool.name == "https-443"
    (member,) = members.find(visitor.system, ADMIN, pool.id, EVERY).items
    assert (member.address, member.protocol_port, member.weight) == ("127.0.0.1", 8080, 1)
    (monitor,) = monitors.find(visitor.system, ADMIN, EVERY).items
    assert (monitor.type, monitor.pool_id) == ("TCP", pool.id)


def test_it_can_be_created_in_the_first_step(visitor: Visitor) -> None:
    wizard(visitor.get(PLACE)).send(go="create", **{"balancer.name": "shop"})
    balancer, listener = made(visitor)
    assert balancer.name == "shop"
    assert listener.protocol_port == 443


def test_what_was_typed_is_kept_from_step_to_step_and_back(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="next", **{"balancer.name": "shop", "balancer.vip_address": "0.0.0.0"})
    page = wizard(page).send(
        go="next", **{"listener.protocol": "HTTP", "listener.protocol_port": "8081", "listener.insert_headers": "X-Forwarded-For"}
    )
    page = wizard(page).send(
        go="next", **{"pool.lb_algorithm": "SOURCE_IP", "monitor.type": "HTTP", "monitor.url_path": "/healthz"}
    )
    assert "shop" in summary(page)
    assert "HTTP:8081" in summary(page)
    assert "HTTP /healthz" in summary(page)
    page = wizard(page).send(go="back", **{"members.0.address": "127.0.0.1"})
    page = wizard(page).send(go="back")
    assert step(page) == "2 Listener"
    assert wizard(page).values("listener.protocol") == ["HTTP"]
    assert wizard(page).values("listener.insert_headers") == ["X-Forwarded-For"]
    page = wizard(page).send(go="balancer")
    assert wizard(page).values("balancer.name") == ["shop"]
    wizard(page).send(go="create")
    balancer, listener = made(visitor)
    assert balancer.vip_address == "0.0.0.0"
    assert (listener.protocol, listener.protocol_port, listener.name) == ("HTTP", 8081, "http-8081")
    assert listener.insert_headers == {"X-Forwarded-For": "true"}
    (pool,) = pools.find(visitor.system, ADMIN, EVERY).items
    assert pool.lb_algorithm == "SOURCE_IP"
    (monitor,) = monitors.find(visitor.system, ADMIN, EVERY).items
    assert (monitor.type, monitor.url_path) == ("HTTP", "/healthz")
    (member,) = members.find(visitor.system, ADMIN, pool.id, EVERY).items
    assert member.address == "127.0.0.1"


def test_nothing_ticked_stays_nothing_ticked(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="next")
    page = wizard(page).send(go="next", **{"listener.insert_headers": None, "monitor.type": ""})
    page = wizard(page).send(go="next", **{"monitor.type": ""})
    wizard(page).send(go="create")
    _balancer, listener = made(visitor)
    assert listener.insert_headers == {}
    assert monitors.find(visitor.system, ADMIN, EVERY).items == ()


def test_client_ca_can_be_switched_on_while_it_is_made(visitor: Visitor) -> None:
    ca = authorities.create(visitor.system, ADMIN, NewAuthority(name="Partners", kind="root"))
    page = wizard(visitor.get(PLACE)).send(go="next")
    wrong = wizard(page).send(go="next", **{"listener.enable_client_ca": "true"})
    assert wrong.status == 422
    assert wrong.error("listener.client_ca_tls_container_ref") == "Choose a CA certificate from the list."
    chosen = {"listener.client_ca_tls_container_ref": f"/v1/authorities/{ca.id}", "listener.client_authentication": "OPTIONAL"}
    page = wizard(wrong).send(go="next", **chosen)
    assert "Client CA Partners" in summary(page)
    wizard(page).send(go="create")
    _balancer, listener = made(visitor)
    assert listener.client_ca_tls_container_ref == f"/v1/authorities/{ca.id}"
    assert listener.client_authentication == "OPTIONAL"


def test_another_layer_rules_out_what_was_chosen_for_the_first(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="next")
    page = wizard(page).send(go="next")
    page = wizard(page).send(go="balancer", **{"pool.session_persistence.type": "HTTP_COOKIE"})
    page = wizard(page).send(go="next", **{"balancer.layer": "network"})
    assert "Enable Client CA" not in page.text
    assert wizard(page).values("listener.protocol") == ["TCP"]
    wizard(page).send(go="create")
    _balancer, listener = made(visitor)
    assert (listener.protocol, listener.insert_headers) == ("TCP", {})
    (pool,) = pools.find(visitor.system, ADMIN, EVERY).items
    assert (pool.protocol, pool.session_persistence) == ("TCP", None)


def test_rows_are_added_and_removed_and_empty_ones_left_out(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="members")
    page = wizard(page).send(go="add", **{"members.0.address": "10.0.0.1"})
    page = wizard(page).send(go="add", **{"members.1.address": "10.0.0.2"})
    assert len(page.root.every("fieldset", class_="row")) == 3
    page = wizard(page).send(go="remove.0")
    assert [value for row in (1, 2) for value in wizard(page).values(f"members.{row}.address")] == ["10.0.0.2", ""]
    page = wizard(page).send(go="add")
    page = wizard(page).send(go="create", **{"members.2.address": "10.0.0.3", "members.2.weight": "5"})
    (pool,) = pools.find(visitor.system, ADMIN, EVERY).items
    found = members.find(visitor.system, ADMIN, pool.id, EVERY).items
    assert {(one.address, one.weight) for one in found} == {("10.0.0.2", 1), ("10.0.0.3", 5)}


@pytest.mark.parametrize(
    ("at", "typed", "field", "said"),
    [
        ("balancer", {"balancer.vip_address": "nowhere"}, "balancer.vip_address", "'nowhere' is not an IP address"),
        ("balancer", {"balancer.vip_address": "224.0.0.1"}, "balancer.vip_address", "many machines"),
        ("balancer", {"balancer.name": "x" * 256}, "balancer.name", "must not be longer than 255 characters"),
        ("listener", {"listener.protocol_port": "99999"}, "listener.protocol_port", "must be 65535 or less"),
        ("listener", {"listener.protocol_port": ""}, "listener.protocol_port", "is needed"),
        ("listener", {"listener.protocol_port": "https"}, "listener.protocol_port", "must be a whole number"),
        ("pool", {"monitor.type": "HTTP", "monitor.url_path": "healthz"}, "monitor.url_path", "does not have the form"),
        ("pool", {"monitor.timeout": "11"}, "monitor.timeout", "longer than the delay"),
        ("pool", {"pool.session_persistence.type": "APP_COOKIE"}, "pool.session_persistence.cookie_name", "needs the name"),
        ("members", {"members.0.address": "localhost"}, "members.0.address", "is not an IP address"),
        ("members", {"members.0.address": "::1", "members.0.weight": "300"}, "members.0.weight", "must be 256 or less"),
    ],
)
def test_each_step_is_checked_when_it_is_left(visitor: Visitor, at: str, typed: dict[str, str], field: str, said: str) -> None:
    for wish in ("next", "create"):
        page = wizard(wizard(visitor.get(PLACE)).send(go=at)).send(go=wish, **typed)
        assert page.status == 422
        assert said in page.error(field)
        assert all(wizard(page).values(name) == [value] for name, value in typed.items()), "what was typed is kept"
    assert balancers.find(visitor.system, ADMIN, EVERY).items == ()


def test_what_is_wrong_in_an_earlier_step_leads_back_to_it(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="members", **{"balancer.vip_address": "nowhere"})
    page = wizard(page).send(go="create")
    assert (page.status, step(page)) == (422, "1 Load Balancer")
    assert "not an IP address" in page.error("balancer.vip_address")


def test_what_nobody_could_have_chosen_is_refused_and_breaks_nothing(visitor: Visitor) -> None:
    balancer = balancers.create(visitor.system, ADMIN, LoadBalancer(name="old", vip_address="0.0.0.0"))
    listeners.create(visitor.system, ADMIN, Listener(loadbalancer_id=balancer.id, protocol="HTTP", protocol_port=80))
    strange = {"balancer.vip_address": "fe80::1%eth0", "balancer.layer": "sea", "step": "x", "members.07.address": "::1"}
    page = wizard(visitor.get(PLACE)).send(go="listener", **strange)
    assert (page.status, step(page)) == (200, "2 Listener")
    chosen = {
        "listener.enable_client_ca": "true",
        "listener.client_ca_tls_container_ref": "javascript:x",
        "listener.protocol": "GOPHER",
    }
    page = wizard(page).send(go="pool", **chosen)
    assert page.status == 200
    page = wizard(page).send(
        go="create", **{"balancer.vip_address": "127.0.0.1", "pool.protocol": "GOPHER", "monitor.type": "PING"}
    )
    assert page.status == 422
    assert [one.name for one in balancers.find(visitor.system, ADMIN, EVERY).items] == ["old"]


def test_a_port_that_somebody_else_took_meanwhile_leads_back_to_the_listener(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="next")
    page = wizard(page).send(go="next")
    balancer = balancers.create(visitor.system, ADMIN, LoadBalancer(name="faster", vip_address="0.0.0.0"))
    taken = Listener(name="faster", loadbalancer_id=balancer.id, protocol="HTTP", protocol_port=443)
    listeners.create(visitor.system, ADMIN, taken)
    page = wizard(page).send(go="create")
    assert (page.status, step(page)) == (422, "2 Listener")
    assert "is taken by listener" in page.error("listener.protocol_port")
    assert [one.name for one in balancers.find(visitor.system, ADMIN, EVERY).items] == ["faster"]
    assert pools.find(visitor.system, ADMIN, EVERY).items == ()
    page = wizard(page).send(go="next")
    assert page.error("listener.protocol_port") == "Port 443 at 127.0.0.1 is taken; the next that is free is 444."
    assert wizard(visitor.get(PLACE)).send(go="next").form(PLACE).values("listener.protocol_port") == ["444"]


def test_a_member_that_is_given_twice_is_named_in_its_own_row(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="members")
    page = wizard(wizard(page).send(go="add")).send(go="add")
    same: dict[str, Any] = {f"members.{row}.address": "10.0.0.1" for row in (0, 2)}
    page = wizard(page).send(go="create", **same)
    assert page.status == 422
    assert "given twice" in page.error("members.2.address")


def test_hostile_names_stay_text(visitor: Visitor) -> None:
    name = "<script>alert('ổ')</script>\" onfocus=\"x"
    page = wizard(visitor.get(PLACE)).send(go="next", **{"balancer.name": name})
    assert name in page.text
    assert len(page.root.every("script")) == len(visitor.get(PLACE).root.every("script"))
    page = wizard(page).send(go="create")
    assert page.root.one("h1").text == name


def test_no_member_field_of_a_row_that_cannot_be(visitor: Visitor) -> None:
    page = wizard(visitor.get(PLACE)).send(go="members", **{"members.999.address": "10.0.0.1", "members.x.address": "10.0.0.1"})
    assert len(page.root.every("fieldset", class_="row")) == 1


def test_an_auditor_is_not_offered_it_and_refused(visitor: Visitor) -> None:
    with visitor.another("ann", "auditor") as auditor:
        assert "Create a Load Balancer" not in auditor.get("/console/balancers").text
        assert auditor.get(PLACE).status == 403


def test_it_speaks_vietnamese(tmp_path: Any) -> None:
    with a_visitor(tmp_path, language="vi") as visitor:
        assert visitor.get(PLACE).root.one("h1").text == "Tạo Load Balancer"
