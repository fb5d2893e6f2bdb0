"""Pools, their members and health checks, page by page, without scripts."""

from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.model.authority import NewAuthority
from ostiary.model.balancer import LoadBalancer
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool, SessionPersistence
from ostiary.model.query import Query
from ostiary.ops import authorities, balancers, listeners, members, monitors, pools
from support.systems import ADMIN

EVERY = Query(limit=0)
DASH = "\N{EN DASH}"
HOSTILE = "<script>alert('ổ')</script>\" onfocus=\"x"


@pytest.fixture
def balancer(visitor: Visitor) -> LoadBalancer:
    return balancers.create(visitor.system, ADMIN, LoadBalancer(name="shop", vip_address="127.0.0.1"))


@pytest.fixture
def pool(visitor: Visitor, balancer: LoadBalancer) -> Pool:
    wanted = Pool(name="carts", loadbalancer_id=balancer.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    return pools.create(visitor.system, ADMIN, wanted, with_members=[Member(address="10.0.0.1", protocol_port=80)])


def read(visitor: Visitor, pool: Pool) -> Pool:
    return pools.get(visitor.system, ADMIN, pool.id)


def its_members(visitor: Visitor, pool: Pool) -> tuple[Member, ...]:
    return members.find(visitor.system, ADMIN, pool.id, EVERY).items


def send(visitor: Visitor, place: str, **typed: Any) -> Page:
    return visitor.get(place).form(place).send(**typed)


def test_a_pool_is_created_from_its_tab_and_its_page_says_what_comes_next(visitor: Visitor, balancer: LoadBalancer) -> None:
    tab = visitor.get(f"/console/balancers/{balancer.id}?tab=pool")
    assert "No pool yet" in tab.text
    (link,) = [one for one in tab.root.every("a", class_="primary") if one.text == "Create Pool"]
    page = send(visitor, link.attrs["href"], name="carts", **{"session_persistence.type": "HTTP_COOKIE"})
    (made,) = pools.find(visitor.system, ADMIN, EVERY).items
    assert page.reply.url.path == f"/console/pools/{made.id}"
    assert page.said == "carts was created."
    assert "No member yet" in page.text
    assert "members are taken to be well" in page.text
    assert (made.protocol, made.lb_algorithm, made.tls_enabled) == ("HTTP", "ROUND_ROBIN", False)
    assert made.session_persistence == SessionPersistence(type="HTTP_COOKIE")
    row = visitor.get(f"/console/balancers/{balancer.id}?tab=pool").rows()[0]
    assert row[:4] == ["carts", "HTTP", "Round Robin", "0"]


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"protocol": "TCP", "session_persistence.type": "HTTP_COOKIE"}, "session_persistence.type", "does not see cookies"),
        ({"session_persistence.type": "APP_COOKIE"}, "session_persistence.cookie_name", "needs the name"),
        (
            {"session_persistence.type": "APP_COOKIE", "session_persistence.cookie_name": "a b"},
            "session_persistence.cookie_name",
            "does not have the form",
        ),
        ({"name": "x" * 256}, "name", "must not be longer"),
        ({"tls_enabled": "true", "tls_ciphers": "ROT13"}, "tls_ciphers", "not a cipher suite"),
        ({"tls_enabled": "true", "tls_versions": []}, "tls_versions", "is needed"),
    ],
)
def test_bad_input_is_beside_its_field_and_nothing_is_made(
    visitor: Visitor, balancer: LoadBalancer, typed: dict[str, Any], field: str, said: str
) -> None:
    place = f"/console/balancers/{balancer.id}/pools/create"
    page = send(visitor, place, **typed)
    assert page.status == 422
    assert said in page.error(field)
    kept = page.form(place)
    assert all(kept.values(name) == ([value] if isinstance(value, str) else value) for name, value in typed.items())
    assert pools.find(visitor.system, ADMIN, EVERY).items == ()


def test_a_pool_is_edited_with_tls_to_its_members_and_without_again(visitor: Visitor, pool: Pool) -> None:
    ca = authorities.create(visitor.system, ADMIN, NewAuthority(name="Backends", kind="root"))
    place = f"/console/pools/{pool.id}/edit"
    on = {"tls_enabled": "true", "ca_tls_container_ref": f"/v1/authorities/{ca.id}", "name": "baskets"}
    page = send(visitor, place, **on)
    assert page.said == "carts was saved."
    now = read(visitor, pool)
    assert (now.name, now.tls_enabled, now.ca_tls_container_ref) == ("baskets", True, f"/v1/authorities/{ca.id}")
    assert "Backends" in page.root.one("main").text, "what is chosen is shown by its name"
    form = visitor.get(place).form(place)
    assert form.values("ca_tls_container_ref") == [f"/v1/authorities/{ca.id}"]
    assert form.send(tls_enabled=None).said == "baskets was saved."
    now = read(visitor, pool)
    assert (now.tls_enabled, now.ca_tls_container_ref) == (False, None)


def test_a_revision_is_kept_over_a_mistake_and_the_second_editor_is_told(visitor: Visitor, pool: Pool) -> None:
    place = f"/console/pools/{pool.id}/edit"
    form = visitor.get(place).form(place)
    pools.update(visitor.system, ADMIN, pool.id, {"lb_algorithm": "SOURCE_IP"})
    mistaken = form.send(name="x" * 300)
    assert mistaken.status == 422
    told = mistaken.form(place).send(name="mine")
    assert told.status == 409
    assert ["Algorithm", "Round Robin", "Source IP"] in told.rows()
    assert read(visitor, pool).name == "carts"
    assert told.form(place).values("name") == ["mine"]
    assert told.form(place).send().said == "carts was saved."
    assert read(visitor, pool).name == "mine"


def test_deleting_a_pool_says_what_goes_with_it_and_who_is_left_without(
    visitor: Visitor, balancer: LoadBalancer, pool: Pool
) -> None:
    wanted = Listener(name="door", loadbalancer_id=balancer.id, protocol="HTTP", protocol_port=8080, default_pool_id=pool.id)
    listeners.create(visitor.system, ADMIN, wanted)
    place = f"/console/pools/{pool.id}/delete"
    asked = visitor.get(place).root.one("dialog").text
    assert "1 member goes with it" in asked
    assert "have no default pool then" in asked
    assert "door" in asked
    assert send(visitor, place).said == "carts was deleted."
    assert pools.find(visitor.system, ADMIN, EVERY).items == ()


def test_members_are_attached_edited_and_removed(visitor: Visitor, pool: Pool) -> None:
    place = f"/console/pools/{pool.id}/members/create"
    page = send(visitor, place, address="fd00::1", protocol_port="8080", weight="3", backup="true")
    assert page.said == "[fd00::1]:8080 was attached."
    rows = page.rows()
    assert [row[:4] for row in rows] == [["10.0.0.1:80", DASH, "1", DASH], ["[fd00::1]:8080", DASH, "3", "Yes"]]
    member = next(one for one in its_members(visitor, pool) if one.backup)
    edit = f"/console/pools/{pool.id}/members/{member.id}/edit"
    form = visitor.get(edit).form(edit)
    assert form.values("weight") == ["3"]
    assert form.send(weight="0", backup=None, name="spare", monitor_port="81").said == "[fd00::1]:8080 was saved."
    now = members.get(visitor.system, ADMIN, pool.id, member.id)
    assert (now.weight, now.backup, now.name, now.monitor_port) == (0, False, "spare", 81)
    remove = f"/console/pools/{pool.id}/members/{member.id}/delete"
    assert "1 other member stays" in visitor.get(remove).root.one("dialog").text
    assert send(visitor, remove).said == "spare was removed."
    assert len(its_members(visitor, pool)) == 1


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"address": ""}, "address", "is not an IP address"),
        ({"address": "backend.test"}, "address", "is not an IP address"),
        ({"address": "10.0.0.1", "protocol_port": "80"}, "protocol_port", "already has member"),
        ({"address": "10.0.0.2", "protocol_port": "0"}, "protocol_port", "must be 1 or more"),
        ({"address": "10.0.0.2", "weight": "257"}, "weight", "must be 256 or less"),
        ({"address": "10.0.0.2", "monitor_address": "x"}, "monitor_address", "is not an IP address"),
    ],
)
def test_a_member_that_cannot_be_is_refused_beside_its_field(
    visitor: Visitor, pool: Pool, typed: dict[str, str], field: str, said: str
) -> None:
    place = f"/console/pools/{pool.id}/members/create"
    page = send(visitor, place, **typed)
    assert page.status == 422
    assert said in page.error(field)
    assert all(page.form(place).values(name) == [value] for name, value in typed.items())
    assert len(its_members(visitor, pool)) == 1


def test_the_second_editor_of_a_member_is_told(visitor: Visitor, pool: Pool) -> None:
    (member,) = its_members(visitor, pool)
    place = f"/console/pools/{pool.id}/members/{member.id}/edit"
    form = visitor.get(place).form(place)
    members.update(visitor.system, ADMIN, pool.id, member.id, {"weight": 7})
    told = form.send(name="mine")
    assert told.status == 409
    assert ["Weight", "1", "7"] in told.rows()
    assert members.get(visitor.system, ADMIN, pool.id, member.id).weight == 7


def test_a_member_of_another_pool_is_not_found(visitor: Visitor, balancer: LoadBalancer, pool: Pool) -> None:
    other = pools.create(visitor.system, ADMIN, Pool(loadbalancer_id=balancer.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN"))
    (member,) = its_members(visitor, pool)
    assert visitor.get(f"/console/pools/{other.id}/members/{member.id}/edit").status == 404


def test_a_health_check_is_set_up_changed_and_ended(visitor: Visitor, pool: Pool) -> None:
    base = f"/console/pools/{pool.id}/check"
    page = send(visitor, f"{base}/create", type="HTTP", url_path="/healthz", expected_codes="200-204")
    assert page.said == "The health check was set up."
    assert "HTTP GET /healthz" in page.text
    (monitor,) = monitors.find(visitor.system, ADMIN, EVERY).items
    assert (monitor.type, monitor.delay, monitor.timeout, monitor.expected_codes) == ("HTTP", 10, 5, "200-204")
    again = send(visitor, f"{base}/edit", delay="4", timeout="5")
    assert again.status == 422
    assert "longer than the delay" in again.error("timeout")
    assert again.form(f"{base}/edit").send(delay="20").said == "The health check was saved."
    assert send(visitor, f"{base}/delete").said == "The health check was deleted."
    assert monitors.find(visitor.system, ADMIN, EVERY).items == ()
    assert visitor.get(f"{base}/edit").status == 404


def test_a_tcp_check_takes_nothing_of_requests(visitor: Visitor, pool: Pool) -> None:
    base = f"/console/pools/{pool.id}/check"
    assert send(visitor, f"{base}/create", type="TCP", url_path="nonsense").status == 200
    (monitor,) = monitors.find(visitor.system, ADMIN, EVERY).items
    assert (monitor.type, monitor.url_path) == ("TCP", "/")
    assert visitor.get(f"{base}/edit").form(f"{base}/edit").values("url_path") == []
    second = send(visitor, f"{base}/create")
    assert second.status == 422
    assert "already has health monitor" in second.text


def test_the_second_editor_of_a_health_check_is_told(visitor: Visitor, pool: Pool) -> None:
    monitor = monitors.create(
        visitor.system, ADMIN, HealthMonitor(pool_id=pool.id, type="TCP", delay=10, timeout=5, max_retries=2)
    )
    place = f"/console/pools/{pool.id}/check/edit"
    form = visitor.get(place).form(place)
    monitors.update(visitor.system, ADMIN, monitor.id, {"delay": 30})
    told = form.send(timeout="3")
    assert told.status == 409
    assert ["Interval", "10 s", "30 s"] in told.rows()


def test_hostile_names_stay_text(visitor: Visitor, pool: Pool) -> None:
    pools.update(visitor.system, ADMIN, pool.id, {"name": HOSTILE})
    (member,) = its_members(visitor, pool)
    members.update(visitor.system, ADMIN, pool.id, member.id, {"name": HOSTILE})
    for place in ("", "/edit", "/delete", f"/members/{member.id}/edit", f"/members/{member.id}/delete"):
        page = visitor.get(f"/console/pools/{pool.id}{place}")
        assert page.status == 200
        assert page.root.one("h1").text == HOSTILE
        assert len(page.root.every("script")) == 1


def test_an_auditor_reads_and_is_offered_nothing(visitor: Visitor, balancer: LoadBalancer, pool: Pool) -> None:
    with visitor.another("ann", "auditor") as auditor:
        page = auditor.get(f"/console/pools/{pool.id}")
        assert page.status == 200
        assert [link.text for link in page.root.one("main").every("a", class_="button")] == []
        assert page.rows()[0][6] == ""
        for place in ("/edit", "/delete", "/members/create", "/check/create"):
            assert auditor.get(f"/console/pools/{pool.id}{place}").status == 403
        assert auditor.get(f"/console/balancers/{balancer.id}/pools/create").status == 403


def test_it_reads_in_vietnamese(visitor: Visitor, pool: Pool) -> None:
    with visitor.another("van", "operator", language="vi") as van:
        page = van.get(f"/console/pools/{pool.id}")
        assert page.root.one("html").attrs["lang"] == "vi"
        assert page.rows()[0][0] == "10.0.0.1:80"
