"""A listener's pop-ups and its page: what was typed is kept, what others did is told, what is chosen stays chosen."""

from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.clock import now
from ostiary.model.authority import NewAuthority
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Private
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.query import Query
from ostiary.model.secret import Secret
from ostiary.ops import authorities, balancers, listeners, pools, secrets, sightings
from support.certs import Authority
from support.systems import ADMIN

EVERY = Query(limit=0)
HOSTILE = "<script>alert('ổ')</script>\" onfocus=\"x"


@pytest.fixture
def ca(visitor: Visitor) -> Any:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Partners", kind="root"))


@pytest.fixture
def balancer(visitor: Visitor) -> LoadBalancer:
    return balancers.create(visitor.system, ADMIN, LoadBalancer(name="shop", vip_address="127.0.0.1"))


@pytest.fixture
def listener(visitor: Visitor, balancer: LoadBalancer) -> Listener:
    return a_listener(visitor, balancer)


def a_listener(visitor: Visitor, balancer: LoadBalancer, **wanted: Any) -> Listener:
    given = {"name": "door", "protocol": "TERMINATED_HTTPS", "protocol_port": 8443, **wanted}
    return listeners.create(visitor.system, ADMIN, Listener(loadbalancer_id=balancer.id, **given))


def read(visitor: Visitor, listener: Listener) -> Listener:
    return listeners.get(visitor.system, ADMIN, listener.id)


def edit_place(listener: Listener) -> str:
    return f"/console/listeners/{listener.id}/edit"


def edit(visitor: Visitor, listener: Listener, **typed: Any) -> Page:
    return visitor.get(edit_place(listener)).form(edit_place(listener)).send(**typed)


def test_a_listener_is_added_at_the_next_free_port(visitor: Visitor, balancer: LoadBalancer, ca: Any) -> None:
    a_listener(visitor, balancer, protocol_port=443)
    pool = pools.create(
        visitor.system, ADMIN, Pool(name="carts", loadbalancer_id=balancer.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    )
    page = visitor.get(f"/console/balancers/{balancer.id}")
    (link,) = [one for one in page.root.every("a", class_="primary") if one.text == "Add New Listener"]
    place = link.attrs["href"]
    form = visitor.get(place).form(place)
    assert form.values("protocol_port") == ["444"]
    assert form.values("protocol") == ["TERMINATED_HTTPS"]
    saved = form.send(
        name="second",
        default_pool_id=pool.id,
        enable_client_ca="true",
        client_ca_tls_container_ref=f"/v1/authorities/{ca.id}",
        allowed_cidrs="10.0.0.0/8",
    )
    assert saved.said == "second was created."
    made = next(one for one in listeners.find(visitor.system, ADMIN, EVERY).items if one.name == "second")
    assert (made.protocol_port, made.default_pool_id, made.allowed_cidrs) == (444, pool.id, ("10.0.0.0/8",))
    assert (made.client_authentication, made.client_ca_tls_container_ref) == ("MANDATORY", f"/v1/authorities/{ca.id}")
    assert set(made.insert_headers) == {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port"}


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_what_another_protocol_does_not_have_is_left_out(
    visitor: Visitor, balancer: LoadBalancer, ca: Any, protocol: str
) -> None:
    place = f"/console/balancers/{balancer.id}/listeners/create"
    chosen = {"enable_client_ca": "true", "client_ca_tls_container_ref": f"/v1/authorities/{ca.id}", "hsts_max_age": "60"}
    page = visitor.get(place).form(place).send(protocol=protocol, protocol_port="8080", **chosen)
    assert page.status == 200
    (made,) = listeners.find(visitor.system, ADMIN, EVERY).items
    assert (made.protocol, made.client_authentication, made.hsts_max_age) == (protocol, "NONE", None)
    assert bool(made.insert_headers) == (protocol == "HTTP")


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"protocol_port": "8443"}, "protocol_port", "is taken by listener"),
        ({"protocol_port": "0"}, "protocol_port", "must be 1 or more"),
        ({"enable_client_ca": "true"}, "client_ca_tls_container_ref", "Choose a CA certificate from the list."),
        ({"allowed_cidrs": "10.0.0.1/8"}, "allowed_cidrs", "is not a network"),
        ({"timeout_client_data": "-1"}, "timeout_client_data", "must be 0 or more"),
        ({"hsts_preload": "true"}, "hsts_max_age", "is needed for"),
    ],
)
def test_a_new_one_that_cannot_be_is_refused_beside_its_field(
    visitor: Visitor, balancer: LoadBalancer, listener: Listener, typed: dict[str, str], field: str, said: str
) -> None:
    place = f"/console/balancers/{balancer.id}/listeners/create"
    page = visitor.get(place).form(place).send(**typed)
    assert page.status == 422
    assert said in page.error(field)
    assert all(page.form(place).values(name) == [value] for name, value in typed.items())
    assert listeners.find(visitor.system, ADMIN, EVERY).items == (listener,)


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"allowed_cidrs": "10.0.0.0/8\nnowhere"}, "allowed_cidrs", "'nowhere' is not a network"),
        ({"timeout_client_data": "soon"}, "timeout_client_data", "must be a whole number"),
        ({"stream_recheck": "9999"}, "stream_recheck", "must be 3600 or less"),
        ({"tls_ciphers": "ROT13"}, "tls_ciphers", "is not a cipher suite"),
        ({"enable_client_ca": "true"}, "client_ca_tls_container_ref", "Choose a CA certificate from the list."),
        ({"name": "x" * 256}, "name", "must not be longer"),
    ],
)
def test_bad_input_is_beside_its_field_kept_and_changes_nothing(
    visitor: Visitor, listener: Listener, typed: dict[str, str], field: str, said: str
) -> None:
    page = edit(visitor, listener, description="kept all the same", **typed)
    assert page.status == 422
    assert said in page.error(field)
    form = page.form(edit_place(listener))
    assert form.values("description") == ["kept all the same"]
    assert all(form.values(name) == [value] for name, value in typed.items())
    assert read(visitor, listener) == listener


def test_the_second_editor_is_told_also_after_a_mistake_of_theirs(visitor: Visitor, listener: Listener) -> None:
    form = visitor.get(edit_place(listener)).form(edit_place(listener))
    listeners.update(visitor.system, ADMIN, listener.id, {"timeout_client_data": 1000, "allowed_cidrs": ("10.0.0.0/8",)})
    theirs = read(visitor, listener)
    mistaken = form.send(timeout_member_data="x")
    assert mistaken.status == 422
    told = mistaken.form(edit_place(listener)).send(timeout_member_data="7000")
    assert told.status == 409
    assert "admin has changed this while you were editing" in told.text
    assert ["Client timeout", "50,000 ms", "1,000 ms"] in told.rows()
    assert read(visitor, listener) == theirs
    again = told.form(edit_place(listener))
    assert again.values("timeout_member_data") == ["7000"]
    assert again.send().said == "door was saved."
    assert read(visitor, listener).timeout_member_data == 7000


def test_nothing_changed_makes_no_revision(visitor: Visitor, listener: Listener) -> None:
    assert edit(visitor, listener).said == "Nothing was changed."
    assert read(visitor, listener) == listener


def test_advanced_settings_say_how_many_are_changed(visitor: Visitor, listener: Listener) -> None:
    def summaries() -> list[str]:
        page = visitor.get(edit_place(listener))
        return [one.text for one in page.root.one("details", class_="advanced").every("summary")]

    assert summaries()[0] == "Advanced Settings"
    listeners.update(visitor.system, ADMIN, listener.id, {"allowed_cidrs": ("10.0.0.0/8",), "timeout_client_data": 1})
    assert summaries()[0] == "Advanced Settings · 2 changed"
    assert {"Networks and headers · 1 changed", "Timeouts and limits · 1 changed"} <= set(summaries())


def test_the_list_keeps_the_chosen_ca_whatever_is_searched_for(visitor: Visitor, listener: Listener, ca: Any) -> None:
    for number in range(60):
        authorities.create(visitor.system, ADMIN, NewAuthority(name=f"Other {number:02}", kind="root"))
    chosen = f"/v1/authorities/{ca.id}"
    edit(visitor, listener, enable_client_ca="true", client_ca_tls_container_ref=chosen)
    page = visitor.get(edit_place(listener))
    assert page.form(edit_place(listener)).values("client_ca_tls_container_ref") == [chosen]
    assert "25 of 6" in page.text
    found = page.form(edit_place(listener)).send(look="authorities", authority_search="Other 42")
    assert found.form(edit_place(listener)).values("client_ca_tls_container_ref") == [chosen]
    names = [row.one("th").text for row in found.root.one("dialog").every("tbody")[0].every("tr")]
    assert names == ["Partners", "Other 42"]
    saved = found.form(edit_place(listener)).send(description="still the same")
    assert saved.said == "door was saved."
    assert read(visitor, listener).client_ca_tls_container_ref == chosen


def test_a_client_ca_in_a_secret_is_shown_by_its_name_and_kept(visitor: Visitor, balancer: LoadBalancer) -> None:
    bundle = Secret(
        name="partner bundle", payload=Private(Authority.root("P").cert_pem.encode()), payload_content_type="text/plain"
    )
    reference = f"http://localhost:9876/v1/secrets/{secrets.create(visitor.system, ADMIN, bundle).id}"
    listener = a_listener(visitor, balancer, client_authentication="OPTIONAL", client_ca_tls_container_ref=reference)
    page = visitor.get(edit_place(listener))
    assert "partner bundle" in page.root.one("section", class_="client-ca").text
    assert page.form(edit_place(listener)).send(description="new").said == "door was saved."
    now_is = read(visitor, listener)
    assert (now_is.client_ca_tls_container_ref, now_is.client_authentication) == (reference, "OPTIONAL")
    assert "partner bundle" in visitor.get(f"/console/listeners/{listener.id}").text


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_without_tls_no_field_of_tls_is_shown(visitor: Visitor, balancer: LoadBalancer, protocol: str) -> None:
    listener = a_listener(visitor, balancer, protocol=protocol)
    page = visitor.get(edit_place(listener))
    names = {name for name, _value in page.form(edit_place(listener)).fields}
    assert not names & {"enable_client_ca", "tls_versions", "default_tls_container_ref", "hsts_max_age", "client_authentication"}
    assert ("insert_headers" in page.form(edit_place(listener)).values("present")) == (protocol == "HTTP")
    assert edit(visitor, listener, description="plain").said == "door was saved."
    assert "Client CA" not in [one.text for one in visitor.get(f"/console/listeners/{listener.id}").root.every("h2")]


def test_a_certificate_that_was_chosen_stays_chosen_however_it_is_written(visitor: Visitor, listener: Listener) -> None:
    own = listener.default_tls_container_ref
    assert visitor.get(edit_place(listener)).form(edit_place(listener)).values("default_tls_container_ref") == [own]
    assert edit(visitor, listener, description="x").said == "door was saved."
    assert read(visitor, listener).default_tls_container_ref == own


def test_the_page_says_who_is_let_in_who_came_and_what_was_changed(visitor: Visitor, listener: Listener, ca: Any) -> None:
    edit(
        visitor,
        listener,
        enable_client_ca="true",
        client_ca_tls_container_ref=f"/v1/authorities/{ca.id}",
        allowed_cidrs="10.0.0.0/8",
    )
    at = now() - timedelta(hours=1)
    seen = {"fingerprint_sha256": "a" * 64, "listener_id": listener.id, "first_seen": at, "last_seen": at, "requests": 3}
    sightings.seen(visitor.system, "gw", {"sequence": 1, "sightings": [seen], "certificates": {}})
    page = visitor.get(f"/console/listeners/{listener.id}")
    text = page.root.one("main").text
    assert "Mandatory" in text
    assert any(one.attrs["href"] == f"/console/authorities/{ca.id}" and one.text == "Partners" for one in page.root.every("a"))
    assert "Clients let in by certificate, 24 h 1" in text
    assert "Refused, 24 h 0" in text
    assert "Allowed CIDRs 10.0.0.0/8" in text
    assert "Issued by ostiary for" in text
    changes = page.root.one(id="changes")
    assert changes.every("tbody")[0].every("tr")[0].one("th").text == str(read(visitor, listener).revision)
    links = {one.attrs["href"] for one in page.root.one("main").every("a")}
    for place in ("clients", "denials", "access", "explain"):
        assert f"/console/{place}?listener_id={listener.id}" in links


def test_a_rehearsal_is_one_link_away(visitor: Visitor, balancer: LoadBalancer, ca: Any) -> None:
    reference = f"/v1/authorities/{ca.id}"
    listener = a_listener(visitor, balancer, client_authentication="REHEARSAL", client_ca_tls_container_ref=reference)
    page = visitor.get(f"/console/listeners/{listener.id}")
    assert f"/console/rehearsals/{listener.id}" in page.reply.text


def test_hostile_names_stay_text(visitor: Visitor, listener: Listener) -> None:
    listeners.update(visitor.system, ADMIN, listener.id, {"name": HOSTILE, "description": HOSTILE})
    for place in ("", "/edit", "/delete"):
        page = visitor.get(f"/console/listeners/{listener.id}{place}")
        assert page.status == 200
        assert HOSTILE in page.text
        assert len(page.root.every("script")) == 1


def test_an_auditor_reads_the_page_and_is_offered_nothing(visitor: Visitor, balancer: LoadBalancer, listener: Listener) -> None:
    with visitor.another("ann", "auditor") as auditor:
        page = auditor.get(f"/console/listeners/{listener.id}")
        assert page.status == 200
        assert [link.text for link in page.root.one("main").every("a", class_="button")] == []
        assert auditor.get(f"/console/balancers/{balancer.id}/listeners/create").status == 403
        assert auditor.get(f"/console/listeners/{listener.id}/delete").status == 403
        shown = auditor.get(edit_place(listener))
        assert [button.text for button in shown.root.one("dialog").one("footer").every("button")] == []


def test_one_that_is_gone_is_not_found(visitor: Visitor) -> None:
    for place in ("", "/edit", "/delete"):
        assert visitor.get(f"/console/listeners/00000000-0000-4000-8000-000000000000{place}").status == 404
