"""Server certificates: what is in them is read from them, who uses them is said, and nothing is left half made."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from console.visitor import Page, Visitor, a_visitor
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Private
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.secret import Secret
from ostiary.ops import authorities, balancers, containers, listeners, secrets, served
from support.certs import Authority, Leaf, key_pem
from support.systems import ADMIN, FakeClock

ALL = "/console/server-certificates"
UPLOAD = f"{ALL}/upload"
EVERY = Query(limit=0)
ROOT = Authority.root("Shop root")
ISSUING = ROOT.intermediate("Shop issuing")
SHOP = ISSUING.server("shop.test", "www.shop.test", "api.shop.test", "more.shop.test")


def upload(visitor: Visitor, leaf: Leaf = SHOP, **changes: Any) -> Page:
    typed = {"name": "Shop", "certificate": leaf.cert_pem, "private_key": leaf.key_pem, "intermediates": leaf.intermediates_pem}
    return visitor.get(UPLOAD).form(UPLOAD).send(**{**typed, **changes})


def a_listener(visitor: Visitor, reference: str) -> Listener:
    balancer = balancers.create(visitor.system, ADMIN, LoadBalancer(name="lb", vip_address="127.0.0.1"))
    wanted = Listener(
        name="door",
        loadbalancer_id=balancer.id,
        protocol="TERMINATED_HTTPS",
        protocol_port=8443,
        default_tls_container_ref=reference or None,
    )
    return listeners.create(visitor.system, ADMIN, wanted)


def the_one(visitor: Visitor) -> served.ServerCertificate:
    (one,) = served.find(visitor.system, ADMIN, Query(limit=50)).items
    return one


def nothing_stored(visitor: Visitor) -> bool:
    stored = (*containers.find(visitor.system, ADMIN, EVERY).items, *secrets.find(visitor.system, ADMIN, EVERY).items)
    return not stored and not authorities.find(visitor.system, ADMIN, EVERY).items


def test_the_page_is_also_where_people_have_it_in_their_fingers(visitor: Visitor) -> None:
    page = visitor.get("/vserver/load-balancer/certificate")
    assert page.reply.url.path == ALL
    assert "No server certificate yet" in page.text


def test_one_is_uploaded_and_shown_with_what_is_in_it(visitor: Visitor) -> None:
    page = upload(visitor)
    one = the_one(visitor)
    assert page.reply.url.path == f"{ALL}/{one.id}"
    assert page.said == "Shop was uploaded."
    assert "DNS:more.shop.test" in page.text
    assert "CN=Shop issuing" in page.text
    listener = a_listener(visitor, one.href)
    (row,) = visitor.get(ALL).rows()
    assert row[0] == "Shop"
    assert row[1] == "shop.test, www.shop.test, api.shop.test and 1 more"
    assert row[3:6] == ["29 days left", "EC P-256", "door"]
    assert f"/console/listeners/{listener.id}" in visitor.get(ALL).reply.text


def test_files_may_be_chosen_in_place_of_pasting(visitor: Visitor) -> None:
    page = upload(
        visitor,
        certificate="",
        private_key="",
        intermediates="",
        certificate_file=SHOP.certificate.public_bytes(Encoding.DER),
        private_key_file=SHOP.key_pem.encode(),
        intermediates_file=SHOP.intermediates_pem.encode(),
    )
    assert page.said == "Shop was uploaded."


def test_a_pkcs12_file_with_its_passphrase(visitor: Visitor) -> None:
    only_file: dict[str, Any] = {"certificate": "", "private_key": "", "intermediates": "", "name": ""}
    page = upload(visitor, **only_file, pkcs12=SHOP.pkcs12("opens it "), passphrase="opens it ")
    assert page.said == "shop.test was uploaded."
    wrong = upload(visitor, **only_file, pkcs12=SHOP.pkcs12("opens it"), passphrase="something else")
    assert wrong.status == 422
    assert "opens with this passphrase" in wrong.error("pkcs12")
    assert "something else" not in wrong.reply.text


def test_a_ca_becomes_an_authority(visitor: Visitor) -> None:
    page = upload(visitor, type="CA", certificate=ROOT.cert_pem, private_key="", intermediates="")
    (authority,) = authorities.find(visitor.system, ADMIN, EVERY).items
    assert page.reply.url.path == f"/console/authorities/{authority.id}"
    assert (authority.name, authority.kind) == ("Shop", "imported")
    assert secrets.find(visitor.system, ADMIN, EVERY).items == ()


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"private_key": ISSUING.server("other.test").key_pem}, "private_key", "does not belong to the certificate"),
        (
            {"private_key": key_pem(SHOP.key, "right"), "passphrase": "wrong"},
            "private_key",
            "with this passphrase",
        ),
        ({"intermediates": ""}, "intermediates", "the chain is incomplete"),
        ({"certificate": "hello"}, "certificate", ""),
        ({"certificate": ""}, "certificate", "is needed"),
        ({"private_key": ""}, "private_key", "is needed"),
        ({"name": "x" * 256}, "name", "must not be longer than 255 characters"),
        ({"type": "CA", "certificate": SHOP.cert_pem}, "certificate", ""),
    ],
)
def test_what_is_wrong_is_beside_its_field_and_nothing_is_stored(
    visitor: Visitor, changes: dict[str, Any], field: str, said: str
) -> None:
    page = upload(visitor, **changes)
    assert page.status == 422
    assert page.error(field)
    assert said in page.error(field)
    assert nothing_stored(visitor)
    kept = page.form(UPLOAD)
    assert kept.values("name") == [changes.get("name", "Shop")]
    assert kept.values("certificate")[0].strip() == changes.get("certificate", SHOP.cert_pem).strip()
    assert kept.values("private_key") == kept.values("passphrase") == [""], "a key does not come back in a page"


def test_one_that_has_expired_is_refused_and_one_that_expires_later_is_shown(tmp_path: Any) -> None:
    clock = FakeClock()
    with a_visitor(tmp_path, clock=clock) as visitor:
        upload(visitor)
        clock.advance(days=40)
        visitor.sign_in(ADMIN)
        assert visitor.get(ALL).rows()[0][3] == "Expired"
        page = upload(visitor)
        assert page.status == 422
        assert "expired" in page.error("certificate")


def test_it_is_renewed_where_it_is(visitor: Visitor) -> None:
    upload(visitor)
    one = the_one(visitor)
    listener = a_listener(visitor, one.href)
    place = f"{ALL}/{one.id}/renew"
    fewer = ISSUING.server("shop.test", days=90)
    typed = {"certificate": fewer.cert_pem, "private_key": fewer.key_pem, "intermediates": fewer.intermediates_pem}
    popup = visitor.get(place)
    assert "1 uses it" in popup.text
    page = popup.form(place).send(**typed)
    assert page.status == 422
    assert "it is not for www.shop.test" in page.error("certificate")
    page = page.form(place).send(**typed, may_lose_names="true")
    assert page.said == "Shop was renewed."
    assert page.reply.url.path == f"{ALL}/{one.id}"
    assert the_one(visitor).content != one.content
    assert listeners.get(visitor.system, ADMIN, listener.id).default_tls_container_ref == one.href


def test_a_pkcs12_secret_is_listed_and_renewed_by_switching_over(visitor: Visitor) -> None:
    file = Secret(name="file", payload=Private(SHOP.pkcs12()), payload_content_type="application/octet-stream")
    stored = secrets.create(visitor.system, ADMIN, file)
    listener = a_listener(visitor, f"/v1/secrets/{stored.id}")
    assert visitor.get(ALL).rows()[0][0] == "file PKCS#12"
    place = f"{ALL}/{stored.id}/renew"
    typed = {"certificate": SHOP.cert_pem, "private_key": SHOP.key_pem, "intermediates": SHOP.intermediates_pem}
    page = visitor.get(place).form(place).send(**typed)
    assert page.said == "file was renewed."
    assert listeners.get(visitor.system, ADMIN, listener.id).default_tls_container_ref == the_one(visitor).href


def test_one_in_use_is_not_deleted_and_it_says_by_whom(visitor: Visitor) -> None:
    upload(visitor)
    one = the_one(visitor)
    listener = a_listener(visitor, one.href)
    place = f"{ALL}/{one.id}/delete"
    asked = visitor.get(place)
    assert "Listener door" in asked.root.one("dialog").text
    assert [button.text for button in asked.root.one("dialog").every("button")] == []
    page = asked.form(place).send()
    assert page.status == 409
    assert listener.id in page.text
    listeners.delete(visitor.system, ADMIN, listener.id)
    page = visitor.get(place).form(place).send()
    assert page.said == "Shop was deleted."
    assert nothing_stored(visitor)


def test_what_ostiary_issued_itself_cannot_be_touched(visitor: Visitor) -> None:
    a_listener(visitor, "")
    one = the_one(visitor)
    row = visitor.get(ALL).rows()[0]
    assert row[0].startswith("Issued by ostiary for ")
    assert row[6] == ""
    page = visitor.get(f"{ALL}/{one.id}")
    assert "renews it in time" in page.text
    assert [link.text for link in page.root.one("main").every("a", class_="button")] == []


def test_a_file_that_nobody_can_read_is_shown_as_such(visitor: Visitor) -> None:
    file = Secret(name="noise", payload=Private(b"\x00" * 50), payload_content_type="application/octet-stream")
    stored = secrets.create(visitor.system, ADMIN, file)
    assert visitor.get(ALL).rows()[0][3] == "Cannot be read"
    assert "Cannot be read" in visitor.get(f"{ALL}/{stored.id}").text
    text = secrets.create(visitor.system, ADMIN, Secret(name="x", payload=Private(b"x"), payload_content_type="text/plain"))
    assert visitor.get(f"{ALL}/{text.id}").status == 404


def test_search_and_hostile_names(visitor: Visitor) -> None:
    name = "<script>alert('ổ')</script>\" onfocus=\"x"
    upload(visitor, name=name)
    upload(visitor, name="Other")
    page = visitor.get(f"{ALL}?q=script")
    assert [row[0] for row in page.rows()] == [name]
    assert len(page.root.every("script")) == len(visitor.get(UPLOAD).root.every("script"))
    assert "No server certificate is called like this" in visitor.get(f"{ALL}?q=nothing").text


def test_an_auditor_sees_them_and_is_offered_nothing(visitor: Visitor) -> None:
    upload(visitor)
    one = the_one(visitor)
    with visitor.another("ann", "auditor") as auditor:
        page = auditor.get(ALL)
        assert page.rows()[0][6] == ""
        assert "Upload Certificate" not in page.text
        for place in (UPLOAD, f"{ALL}/{one.id}/renew", f"{ALL}/{one.id}/delete"):
            assert auditor.get(place).status == 403


def test_an_operator_is_not_offered_to_import_a_ca(visitor: Visitor) -> None:
    with visitor.another("op", "operator") as operator:
        assert operator.get(UPLOAD).form(UPLOAD).values("type") == ["TLS/SSL"]
        assert upload(operator).said == "Shop was uploaded."
        assert upload(operator, type="CA", certificate=ROOT.cert_pem).status == 403
        assert authorities.find(visitor.system, ADMIN, EVERY).items == ()
