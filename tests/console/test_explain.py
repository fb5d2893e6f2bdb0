"""Explain: the answer that the use case gives, check by check, and an address that leads to it again."""

import re
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.console import judged
from ostiary.console.visit import Visit
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.explanation import ExplainRequest
from ostiary.model.listener import Listener
from ostiary.ops import access, exceptions, explaining, listeners
from ostiary.ops.exceptions import ENDS_SOON
from support.certs import Authority
from support.made import a_balancer, a_certificate, a_listener, a_secret, an_authority
from support.systems import ADMIN
from support.visitors import visitors

# What is no sentence, or a name: it reads alike in every language.
SAME = re.compile(r"(EC|RSA|ECDSA|Ed25519|'CN=|none|sha|extended key usage clientAuth|$)", re.IGNORECASE)
STRANGER = Authority.root("Elsewhere").client("mallory")


@pytest.fixture
def issuer(visitor: Visitor) -> Any:
    return an_authority(visitor.system, name="Terminals")


@pytest.fixture
def door(visitor: Visitor, issuer: Any) -> Listener:
    trust = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{issuer.id}"}
    return a_listener(visitor.system, a_balancer(visitor.system), **trust)


def ask(visitor: Visitor, **fields: Any) -> Page:
    return visitor.get("/console/explain").form("/console/explain").send(**fields)


def test_the_answer_is_the_use_case_s_with_each_of_its_checks(visitor: Visitor, door: Listener, issuer: Any) -> None:
    alice = a_certificate(visitor.system, issuer, cn="alice", groups=("field",))
    rule = access.create(
        visitor.system,
        ADMIN,
        AccessRule(name="field reads", listener_id=door.id, certificate=Holders(groups=("field",)), methods=("GET",)),
    )
    page = ask(visitor, listener_id=door.id, certificate=f"id:{alice.id}", host="a.test", path="/x", method="GET")
    asked = ExplainRequest(listener_id=door.id, certificate_id=alice.id, host="a.test", path="/x")
    told = explaining.explain(visitor.system, ADMIN, asked)
    verdict = page.root.one("section", class_="verdict")
    assert "Allowed as things are now allowed · Request · field reads" in verdict.text
    assert told.detail in verdict.text
    assert verdict.one("a").attrs["href"] == f"/console/access/{rule.id}/edit"
    rows = [[cell.text for cell in row.every() if cell.tag in {"td", "th"}] for row in verdict.one("tbody").every("tr")]
    assert [(row[0].lower(), row[2]) for row in rows] == [(one.stage, one.result) for one in told.checks]
    assert [row[3] for row in rows] == [one.detail for one in told.checks]
    chain = page.root.every("table")[-1]
    assert [row.one("th").text for row in chain.one("tbody").every("tr")] == ["CN=alice"]


def test_it_can_be_linked_to_where_no_certificate_is_pasted(visitor: Visitor, door: Listener, issuer: Any) -> None:
    alice = a_certificate(visitor.system, issuer, cn="alice")
    page = ask(visitor, listener_id=door.id, certificate=f"id:{alice.id}", host="a.test", headers="Origin: https://a.test")
    place = str(page.reply.url)
    assert page.reply.history[0].status_code == 303
    assert visitor.get(place).root.one("main").text == page.root.one("main").text
    others = visitor.get(f"/console/explain?listener_id={door.id}&certificate_id={alice.id}")
    assert "Allowed as things are now" in others.text


def test_one_that_is_pasted_is_answered_at_once_and_stands_in_no_address(visitor: Visitor, door: Listener) -> None:
    page = ask(visitor, listener_id=door.id, pem=STRANGER.chain_pem)
    assert page.reply.history == []
    assert str(page.reply.url).endswith("/console/explain")
    assert "Refused as things are now unknown_authority · Handshake" in page.text
    assert "What to do:" in page.text
    assert page.form("/console/explain").values("pem") == [STRANGER.chain_pem.strip()]
    by_file = ask(visitor, listener_id=door.id, file=STRANGER.cert_pem.encode())
    assert "unknown_authority" in by_file.text
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    der = ask(visitor, listener_id=door.id, file=STRANGER.certificate.public_bytes(Encoding.DER))
    assert "unknown_authority" in der.text


def test_nobody_with_no_certificate(visitor: Visitor, door: Listener) -> None:
    page = ask(visitor, listener_id=door.id)
    assert "Refused as things are now no_certificate · Handshake" in page.text
    assert "more that do not fit or were not reached" in page.text
    assert "The certificates that are shown" not in page.text


def test_what_is_rehearsed_is_told_beside_what_is(visitor: Visitor, door: Listener, issuer: Any) -> None:
    alice = a_certificate(visitor.system, issuer, cn="alice")
    rule = AccessRule(name="closed", listener_id=door.id, action="DENY", shadow=True)
    access.create(visitor.system, ADMIN, rule)
    access.create(visitor.system, ADMIN, AccessRule(name="open", listener_id=door.id))
    page = ask(visitor, listener_id=door.id, certificate=f"id:{alice.id}")
    now, would_be = page.root.every("section", class_="verdict")
    assert "Allowed as things are now" in now.text
    assert "Refused if what is rehearsed were in force denied_by_rule · Request · closed" in would_be.text


def test_an_exception_that_lets_in_is_linked(visitor: Visitor, door: Listener) -> None:
    usual: dict[str, Any] = {"name": "monitor", "kind": "HEALTH_CHECK", "owner": "ann", "listener_id": door.id}
    end = visitor.system.clock() + 2 * ENDS_SOON
    made = exceptions.create(visitor.system, ADMIN, AccessException(**usual, not_after=end))
    page = ask(visitor, listener_id=door.id, path="/health")
    assert "Allowed as things are now exempt · Request · monitor" in page.text
    link = page.root.one("section", class_="verdict").one("a").attrs["href"]
    assert link == f"/console/access/exceptions/{made.id}/edit"
    assert visitor.get(link).status == 200


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"certificate": "id:gone"}, "certificate", "no such certificate"),
        ({"certificate": f"sha256:{'0' * 64}"}, "certificate", "was not kept here"),
        ({"pem": "nonsense"}, "pem", "it holds no certificate"),
        ({"pem": "x" * 300_000}, "pem", "is larger than 262144 bytes"),
        ({"path": "x"}, "path", "a path begins with /"),
        ({"host": "a b"}, "host", "does not have the form that is asked for"),
        ({"method": "G E T"}, "method", "does not have the form"),
        ({"source": "<script>"}, "source", "is not an IP address"),
        ({"sni": "a_b!"}, "sni", "does not have the form"),
        ({"at": "31/12/2030"}, "at", "is not a day and time such as"),
        ({"headers": "x"}, "headers", "is not a header"),
    ],
)
def test_what_is_wrong_stands_beside_it_and_what_was_typed_stays(
    visitor: Visitor, door: Listener, sent: dict[str, str], field: str, why: str
) -> None:
    page = ask(visitor, listener_id=door.id, **sent)
    assert page.status == 422
    assert why in page.error(field)
    form = page.form("/console/explain")
    assert form.values("listener_id") == [door.id]
    for name, value in sent.items():
        if name != "certificate" and len(value) < 1000:
            assert form.values(name) == [value]


def test_an_address_is_asked_for_where_the_answer_hangs_on_it(visitor: Visitor, door: Listener, issuer: Any) -> None:
    alice = a_certificate(visitor.system, issuer, cn="alice")
    access.create(visitor.system, ADMIN, AccessRule(name="inside", listener_id=door.id, sources=("10.0.0.0/8",)))
    page = ask(visitor, listener_id=door.id, certificate=f"id:{alice.id}")
    assert "the answer hangs on the network that the client comes from" in page.error("source")
    inside = page.form("/console/explain").send(source="10.1.1.1")
    assert "Allowed as things are now" in inside.text


def test_a_listener_that_is_gone_or_out_of_service_is_said(visitor: Visitor, door: Listener) -> None:
    page = visitor.get("/console/explain?listener_id=gone")
    assert "There is no such listener any more." in page.error("listener_id")
    listeners.update(visitor.system, ADMIN, door.id, {"admin_state_up": False})
    assert "is not in service" in ask(visitor, listener_id=door.id).text


def test_among_many_listeners_one_is_found_by_its_name(visitor: Visitor, door: Listener) -> None:
    balancer = a_balancer(visitor.system, vip_address="127.0.0.2")
    for number in range(60):
        a_listener(visitor.system, balancer, name=f"gate {number:02}", protocol_port=10_000 + number)
    page = visitor.get("/console/explain")
    assert len(page.root.one("select", id="field-listener_id").every("option")) == 50
    found = page.form("/console/explain").send(listener_id=None, listener="gate 59", look="search")
    options = found.root.one("select", id="field-listener_id").every("option")
    assert [one.text for one in options if "selected" in one.attrs] == ["gate 59 · HTTPS:10059"]
    assert len(options) < 10
    assert door.name


def test_no_listener_yet(visitor: Visitor) -> None:
    assert "No HTTPS listener yet" in visitor.get("/console/explain").text


def test_an_auditor_may_ask(visitor: Visitor, door: Listener) -> None:
    with visitor.another("ada", "auditor") as auditor:
        assert "no_certificate" in ask(auditor, listener_id=door.id).text


def test_names_in_certificates_run_nothing(visitor: Visitor, door: Listener) -> None:
    hostile = Authority.root("Elsewhere").client("<script>alert('x')</script>\"&")
    page = ask(visitor, listener_id=door.id, pem=hostile.chain_pem)
    assert "alert('x')" in page.text
    assert len(page.root.every("script")) == 1


def test_it_is_all_there_in_vietnamese(visitor: Visitor, door: Listener) -> None:
    page = visitor.get(f"/console/explain?listener_id={door.id}&certificate=none", headers={"accept-language": "vi"})
    assert page.root.one("h1").text == "Giải thích"
    assert "Máy khách không trình chứng chỉ nào." in page.text
    assert "bị từ chối" in page.text.lower()


def test_whatever_a_check_says_is_said_in_vietnamese(visitor: Visitor) -> None:
    root = Authority.root("Root")
    trust = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": a_secret(visitor.system, root.cert_pem)}
    door = a_listener(visitor.system, a_balancer(visitor.system), **trust)
    usual: dict[str, Any] = {"kind": "HEALTH_CHECK", "owner": "ann", "listener_id": door.id, "name": "probe"}
    exceptions.create(visitor.system, ADMIN, AccessException(**usual, not_after=visitor.system.clock() + ENDS_SOON))
    asked: dict[str, Any] = {
        "hosts": ("a.test",),
        "methods": ("GET",),
        "sources": ("10.0.0.0/8",),
        "certificate": Holders(subject_cn=("x",)),
    }
    for name, value in asked.items():
        access.create(visitor.system, ADMIN, AccessRule(**{"name": name, "listener_id": door.id, name: value, "paths": ("/x",)}))
    access.create(visitor.system, ADMIN, AccessRule(name="dns", listener_id=door.id, certificate=Holders(san_dns=("a.test",))))
    for name, visitor_ in visitors(root).items():
        for path in ("/x", "/%2F"):
            request = ExplainRequest(
                listener_id=door.id,
                certificate=None if visitor_ is None else visitor_.chain_pem,
                path=path,
                host="b.test",
                method="POST",
                source="192.0.2.1",
            )
            told = explaining.explain(visitor.system, ADMIN, request)
            vietnamese = visitor_in(visitor, "vi")
            verdict = judged.verdicts(vietnamese, told, {})["verdict"]
            english = judged.verdicts(visitor_in(visitor, "en"), told, {})["verdict"]
            assert (english.detail, english.fix) == (told.detail, told.fix)
            assert verdict.detail != told.detail, name
            for here, there in zip(verdict.rows, english.rows, strict=True):
                assert here.skipped == there.skipped
                if here.skipped:
                    continue
                assert here.name != there.name
                assert here.detail != there.detail or SAME.match(here.detail), (name, here.detail)


def visitor_in(visitor: Visitor, language: str) -> Visit:
    """A visit in this language."""
    return Visit(visitor.system, ADMIN, visitor.system.clock(), language=language)
