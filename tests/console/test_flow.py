"""The flow of MISSION.md, page by page, without scripts."""

from typing import Any

import pytest

from console.visitor import Visitor
from ostiary.model.authority import NewAuthority
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.ops import authorities, balancers, listeners
from support.systems import ADMIN


@pytest.fixture
def ca(visitor: Visitor) -> Any:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Partners", kind="root"))


@pytest.fixture
def listener(visitor: Visitor) -> Listener:
    balancer = balancers.create(visitor.system, ADMIN, LoadBalancer(name="shop", vip_address="127.0.0.1"))
    wanted = Listener(name="door", loadbalancer_id=balancer.id, protocol="TERMINATED_HTTPS", protocol_port=8443)
    return listeners.create(visitor.system, ADMIN, wanted)


def read(visitor: Visitor, listener: Listener) -> Listener:
    return listeners.get(visitor.system, ADMIN, listener.id)


@pytest.mark.parametrize("start", ["/", "/console", "/vserver/load-balancer/vlb", "/console/balancers"])
def test_the_homepage_is_at_each_of_its_addresses(visitor: Visitor, listener: Listener, start: str) -> None:
    page = visitor.get(start)
    assert page.status == 200
    assert page.root.one("h1").text == "Load Balancers"
    assert page.rows()[0][0] == "shop"
    assert listener.protocol_port == 8443


def test_client_ca_is_switched_on_and_off_as_the_mission_says(visitor: Visitor, listener: Listener, ca: Any) -> None:
    home = visitor.get("/console/balancers")
    details = visitor.get(home.root.one("tbody").one("a").attrs["href"])
    tab = next(link for link in details.root.one("nav", class_="tabs").every("a") if link.text == "Listener")
    assert tab.attrs["aria-current"] == "page"
    edit = next(link for link in details.root.every("a", class_="tool") if link.attrs["title"] == "Edit")
    popup = visitor.get(edit.attrs["href"])
    dialog = popup.root.one("dialog")
    assert dialog.one("label", class_="switch").text == "Enable Client CA"
    row = next(row for row in popup.root.one("dialog").every("tr") if "Partners" in row.text)
    assert ca.subject in row.text
    assert "EC P-256" in row.text
    buttons = [button.text for button in dialog.one("footer").every("button")]
    assert buttons == ["Save"]

    form = popup.form(f"/console/listeners/{listener.id}/edit")
    saved = form.send(enable_client_ca="true", client_ca_tls_container_ref=f"/v1/authorities/{ca.id}")
    assert saved.status == 200
    assert saved.said == "door was saved."
    assert "Mandatory Partners" in saved.text
    now = read(visitor, listener)
    assert (now.client_authentication, now.client_ca_tls_container_ref) == ("MANDATORY", f"/v1/authorities/{ca.id}")

    off = visitor.get(edit.attrs["href"]).form(f"/console/listeners/{listener.id}/edit").send(enable_client_ca=None)
    assert off.said == "door was saved."
    now = read(visitor, listener)
    assert (now.client_authentication, now.client_ca_tls_container_ref) == ("NONE", None)
