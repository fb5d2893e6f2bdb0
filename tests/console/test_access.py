"""Access rules: shown in words, added, changed, moved, enforced, deleted; and whom that would shut out is asked first."""

from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.model.access import AccessRule, Holders
from ostiary.model.authority import Certificate
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.what_if import Trial, WhatIf
from ostiary.ops import access, listeners, sightings, what_if
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.statements import counted
from support.systems import ADMIN

HOSTILE = "<script>alert(1)</script> \"quoted\" 'and' & Nguyễn"


@pytest.fixture
def issuer(visitor: Visitor) -> Any:
    return an_authority(visitor.system, name="Terminals")


@pytest.fixture
def alice(visitor: Visitor, issuer: Any) -> Certificate:
    return a_certificate(visitor.system, issuer, cn="alice", groups=("field",))


@pytest.fixture
def door(visitor: Visitor, issuer: Any) -> Listener:
    trust = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{issuer.id}"}
    return a_listener(visitor.system, a_balancer(visitor.system), **trust)


def a_rule(visitor: Visitor, door: Listener, name: str = "reads", **fields: Any) -> AccessRule:
    return access.create(visitor.system, ADMIN, AccessRule(**{"name": name, "listener_id": door.id, **fields}))


def rules(visitor: Visitor, door: Listener) -> tuple[AccessRule, ...]:
    return access.find(visitor.system, ADMIN, Query(filters=(("listener_id", door.id),))).items


def order(visitor: Visitor, door: Listener) -> list[str]:
    return [rule.name for rule in rules(visitor, door)]


def comes(visitor: Visitor, door: Listener, certificate: Certificate) -> None:
    """The certificate was let in just now."""
    at = visitor.system.clock().isoformat()
    seen = {"fingerprint_sha256": certificate.fingerprint_sha256, "listener_id": door.id, "subject": certificate.subject}
    times = {"first_seen": at, "last_seen": at, "requests": 1, "addresses": ["192.0.2.1"]}
    sightings.seen(visitor.system, "g1", {"sequence": 1, "sightings": [{**seen, **times}], "certificates": {}})


def page_of(visitor: Visitor, door: Listener) -> Page:
    return visitor.get(f"/console/access?listener_id={door.id}")


def add(visitor: Visitor, door: Listener, **fields: Any) -> Page:
    form = visitor.get(f"/console/access/create?listener_id={door.id}").form("/console/access/create")
    return form.send(**fields)


def test_a_listener_is_chosen_first_and_how_many_rules_each_has_is_said(visitor: Visitor, door: Listener) -> None:
    a_rule(visitor, door)
    a_rule(visitor, door, "writes", methods=("POST",))
    page = visitor.get("/console/access")
    assert page.rows() == [["door", "HTTPS:8443", "Mandatory", "2", "0 exceptions of door"]]
    there = visitor.get(page.root.one("tbody").every("a")[0].attrs["href"])
    assert there.root.one("h1").text == "Access rules: door"
    assert visitor.get("/console/access?q=nothing-like-it").text.count("No HTTPS listener is called like this") == 1
    assert visitor.get("/console/access?listener_id=gone").status == 404


def test_what_a_rule_says_is_read_in_words(visitor: Visitor, door: Listener, alice: Certificate, issuer: Any) -> None:
    holders = Holders(groups=("field",), subject_cn=("pos-*", "till-1"), authority_ids=(issuer.id,))
    a_rule(visitor, door, certificate=holders, paths=("/v1/*",), methods=("GET",), hosts=tuple(f"h{n}.test" for n in range(9)))
    a_rule(visitor, door, "no admin", action="DENY", paths=("/admin/*",), shadow=True)
    later = visitor.system.clock() + timedelta(days=9)
    a_rule(visitor, door, "next week", not_before=later, sources=("10.0.0.0/8",))
    first, second, third = page_of(visitor, door).rows()
    assert first[0] == "1 Move to …: reads"
    assert first[2] == "Allow"
    assert first[3] == "Groups: field CA: Terminals CN: pos-*, till-1"
    assert first[4] == "Methods: GET Hosts: h0.test, h1.test, h2.test, h3.test and 5 more Paths: /v1/*"
    assert first[5] == "always"
    assert (second[2], second[3]) == ("Deny rehearsed", "Everybody")
    assert "Enforce no admin" in second[6]
    assert third[4] == "Networks: 10.0.0.0/8"
    assert third[5].startswith("from ")
    assert third[5].endswith("not yet")
    assert alice.groups == ("field",)


def test_a_rule_is_added_with_all_that_it_may_say(visitor: Visitor, door: Listener, alice: Certificate, issuer: Any) -> None:
    popup = visitor.get(f"/console/access/create?listener_id={door.id}")
    assert "This is the first rule: from then on, what no rule allows is refused." in popup.text
    visitor.cookies.set("ostiary-zone", "Asia%2FHo_Chi_Minh", domain="ostiary.test", path="/")
    sent: dict[str, Any] = {
        "name": "reads",
        "action": "DENY",
        "shadow": "true",
        "hosts": "API.test, *.b.test",
        "paths": "/v1/*\r\n/v2",
        "methods": "GET\nHEAD",
        "sources": "10.0.0.0/8",
        "certificate.groups": "field",
        "certificate.profiles": ["device"],
        "certificate.authority_ids": [issuer.id],
        "certificate.subject_cn": "Sales, North*\npos-*",
        "certificate.fingerprints_sha256": alice.fingerprint_sha256.upper(),
        "not_before": "2030-01-31T09:30",
        "not_after": "2030-02-01T00:00",
    }
    done = add(visitor, door, **sent)
    assert done.said == "reads was saved."
    (made,) = rules(visitor, door)
    assert (made.action, made.shadow, made.position) == ("DENY", True, 1)
    assert (made.hosts, made.paths, made.methods, made.sources) == (
        ("api.test", "*.b.test"),
        ("/v1/*", "/v2"),
        ("GET", "HEAD"),
        ("10.0.0.0/8",),
    )
    assert made.certificate.subject_cn == ("Sales, North*", "pos-*")
    assert made.certificate.profiles == ("device",)
    assert made.certificate.authority_ids == (issuer.id,)
    assert made.certificate.fingerprints_sha256 == (alice.fingerprint_sha256,)
    assert str(made.not_before) == "2030-01-31 02:30:00+00:00"  # seven hours ahead of UTC
    assert done.rows()[0][3].startswith("Groups: field Profiles: device CA: Terminals Fingerprint: ")


def test_what_the_page_before_knows_stands_in_the_form_already(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    query = f"listener_id={door.id}&hosts=a.test&paths=/x&methods=GET&certificate.fingerprints_sha256={alice.fingerprint_sha256}"
    form = visitor.get(f"/console/access/create?{query}").form("/console/access/create")
    assert (form.values("hosts"), form.values("paths")) == (["a.test"], ["/x"])
    assert form.send(name="for alice").said == "for alice was saved."
    (made,) = rules(visitor, door)
    assert made.certificate.fingerprints_sha256 == (alice.fingerprint_sha256,)


@pytest.mark.parametrize(
    ("field", "typed", "why"),
    [
        ("hosts", "*example.com", "a star stands for whole labels and only in front"),
        ("paths", "/a//b", "this would never fit"),
        ("paths", "nowhere", "is not a path: it begins with /"),
        ("methods", "get", "does not have the form that is asked for"),
        ("sources", "10.0.0.0/33", "is not a network such as 192.0.2.0/24"),
        ("certificate.groups", "<b>nobody</b>", "nobody is in group '<b>nobody</b>'"),
        ("certificate.spiffe_ids", "spiffe://a.test*", "is not a SPIFFE id such as"),
        ("certificate.serials", "xyz", "is not a serial number in hexadecimal"),
        ("certificate.subject_cn", "a*b", "a star may stand at the start or at the end, once"),
        ("not_after", "2001-01-01T00:00", "it is over already"),
        ("not_before", "tomorrow", "is not a day and time such as"),
        ("position", "0", "must be 1 or more"),
        ("position", "x", "must be a whole number"),
        ("name", "", "is needed"),
        ("name", "x" * 256, "must not be longer than 255 characters"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
    visitor: Visitor, door: Listener, field: str, typed: str, why: str
) -> None:
    sent: dict[str, Any] = {"name": HOSTILE, "hosts": "kept.test", "certificate.subject_cn": "kept-*", field: typed}
    page = add(visitor, door, **sent)
    assert page.status == 422
    assert why in page.error(field)
    form = page.form("/console/access/create")
    for name, value in sent.items():
        assert form.values(name) == [value]
    assert rules(visitor, door) == ()
    leads = [link.attrs["href"] for link in page.root.one("div", class_="problems").every("a")]
    assert leads == [f"#field-{field}"]
    assert page.root.every(id=f"field-{field}")


def test_names_may_hold_anything_and_run_nothing(visitor: Visitor, door: Listener) -> None:
    for name in (HOSTILE, "x" * 255, "Chỉ đọc hoá đơn"):
        assert add(visitor, door, name=name, hosts=f"h{len(name)}.test").said == f"{name} was saved."[:500]
    page = page_of(visitor, door)
    assert [row[1] for row in page.rows()] == [HOSTILE, "x" * 255, "Chỉ đọc hoá đơn"]
    assert len(page.root.every("script")) == 1  # our own
    for one in rules(visitor, door):
        for what in ("edit", "move", "delete"):
            assert visitor.get(f"/console/access/{one.id}/{what}").status == 200


def test_a_rule_that_is_there_already_is_not_added_again(visitor: Visitor, door: Listener) -> None:
    a_rule(visitor, door, hosts=("a.test",))
    page = add(visitor, door, name="again", hosts="a.test")
    assert page.status == 422
    assert "says the same already" in page.root.one("div", class_="problems").text
    assert len(rules(visitor, door)) == 1


def test_it_is_edited_and_what_was_not_touched_stays_to_the_second(visitor: Visitor, door: Listener) -> None:
    until = visitor.system.clock() + timedelta(days=3, seconds=7)
    rule = a_rule(visitor, door, not_after=until, hosts=("a.test",), certificate=Holders(subject_ou=("Sales, North",)))
    a_rule(visitor, door, "second", hosts=("b.test",))
    form = visitor.get(f"/console/access/{rule.id}/edit").form(f"/console/access/{rule.id}/edit")
    assert form.send(action="DENY", hosts="").said == "reads was saved."
    after = access.get(visitor.system, ADMIN, rule.id)
    assert (after.action, after.hosts, after.not_after, after.position) == ("DENY", (), until, 1)
    assert after.certificate == rule.certificate
    cleared = visitor.get(f"/console/access/{rule.id}/edit").form(f"/console/access/{rule.id}/edit").send(not_after="")
    assert cleared.said
    assert access.get(visitor.system, ADMIN, rule.id).not_after is None


def test_a_rule_whose_time_is_over_may_still_be_edited_and_moved(visitor: Visitor, door: Listener) -> None:
    rule = a_rule(visitor, door, not_after=visitor.system.clock() + timedelta(minutes=1))
    a_rule(visitor, door, "second", hosts=("b.test",))
    visitor.system.clock.advance(minutes=2)  # type: ignore[attr-defined]  # the test's own clock
    assert page_of(visitor, door).rows()[0][5].endswith("over")
    place = f"/console/access/{rule.id}/edit"
    assert visitor.get(place).form(place).send(name="was").said == "was was saved."
    page_of(visitor, door).form("/console/access/move").send(down=rule.id)
    assert order(visitor, door) == ["second", "was"]


def test_rules_are_moved_by_buttons_and_to_a_place(visitor: Visitor, door: Listener) -> None:
    made = {name: a_rule(visitor, door, name, hosts=(f"{name}.test",)) for name in "abcd"}
    page = page_of(visitor, door)
    ups = page.root.every("button", name="up")
    assert [button.attrs.get("disabled", "no") for button in ups] == ["", "no", "no", "no"]
    page.form("/console/access/move").send(up=made["c"].id)
    assert order(visitor, door) == ["a", "c", "b", "d"]
    page_of(visitor, door).form("/console/access/move").send(down=made["a"].id)
    assert order(visitor, door) == ["c", "a", "b", "d"]
    place = f"/console/access/{made['d'].id}/move"
    visitor.get(place).form(place).send(position="1")
    assert order(visitor, door) == ["d", "c", "a", "b"]
    for wrong in ("0", "x", "-1", "9999", ""):
        page = visitor.get(place).form(place).send(position=wrong)
        assert (page.status, bool(page.error("position"))) == (422, True)
    assert order(visitor, door) == ["d", "c", "a", "b"]
    visitor.get(place).form(place).send(position="400")
    assert order(visitor, door) == ["c", "a", "b", "d"]
    assert visitor.post("/console/access/move", [("csrf", page.form(place).values("csrf")[0]), ("up", "gone")]).status == 404


def test_whom_a_first_rule_would_shut_out_is_said_before_and_done_when_it_is_sent_again(
    visitor: Visitor, door: Listener, issuer: Any, alice: Certificate
) -> None:
    bob = a_certificate(visitor.system, issuer, cn="bob", groups=("office",))
    comes(visitor, door, alice)
    page = add(visitor, door, name="office", **{"certificate.groups": "office"})
    assert page.status == 409
    assert rules(visitor, door) == ()
    assert "1 client would be refused whatever it asks for" in page.text
    assert "CN=alice: no_rule_allows" in page.text
    form = page.form("/console/access/create")
    other = form.send(**{"certificate.subject_cn": "bob"})  # not what was shown: asked anew
    assert (other.status, rules(visitor, door)) == (409, ())
    assert form.send().said == "office was saved."
    assert order(visitor, door) == ["office"]
    assert bob.groups == ("office",)


def test_whom_it_would_shut_out_to_edit_move_or_delete_is_said_too(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    allow = a_rule(visitor, door, "all")
    deny = a_rule(visitor, door, "not the field", action="DENY", certificate=Holders(groups=("field",)))
    comes(visitor, door, alice)
    moved = page_of(visitor, door).form("/console/access/move").send(up=deny.id)
    assert moved.status == 409
    assert "CN=alice: denied_by_rule" in moved.text
    assert order(visitor, door) == ["all", "not the field"]
    place = f"/console/access/{allow.id}/delete"
    asked = visitor.get(place)
    assert "CN=alice" in asked.text
    place = f"/console/access/{allow.id}/edit"
    edited = visitor.get(place).form(place).send(action="DENY")
    assert (edited.status, access.get(visitor.system, ADMIN, allow.id).action) == (409, "ALLOW")
    moved.form(f"/console/access/{deny.id}/move").send()
    assert order(visitor, door) == ["not the field", "all"]


def test_what_if_says_what_the_use_case_says_and_can_be_linked_to(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    a_rule(visitor, door, "field reads", certificate=Holders(groups=("field",)), paths=("/v1/*",), methods=("GET",))
    form = page_of(visitor, door).form("/console/access/test")
    page = form.send(certificate=f"id:{alice.id}", path="/v1/items", method="POST", host="a.test")
    asked: dict[str, Any] = {
        "listener_id": door.id,
        "certificate_id": alice.id,
        "path": "/v1/items",
        "method": "POST",
        "host": "a.test",
    }
    told = what_if.test(visitor.system, ADMIN, WhatIf(**asked)).explanation
    assert (told.decision, told.reason) == ("DENY", "no_rule_allows")
    box = page.root.one("section", id="what-if")
    verdict = box.one("section", class_="verdict")
    assert "Refused as things are now no_rule_allows · Request" in verdict.text
    assert told.fix in verdict.text
    assert told.detail in verdict.text
    shown = [row.every()[1].text for row in box.one("tbody").every("tr")]
    assert shown[-1] == "rule field reads"
    linked = visitor.get(str(page.reply.url))
    assert linked.root.one("section", id="what-if").one("section", class_="verdict").text == verdict.text
    allowed = form.send(certificate=f"id:{alice.id}", path="/v1/items")
    assert "Allowed as things are now allowed · Request · field reads" in allowed.text


def test_a_certificate_is_found_by_search_or_pasted(visitor: Visitor, door: Listener, issuer: Any) -> None:
    made = [a_certificate(visitor.system, issuer, cn=f"client-{number}") for number in range(13)]
    page = page_of(visitor, door)
    values = [one.attrs["value"] for one in page.root.every("input", type="radio", name="certificate")]
    assert len(values) == 12  # none, the last ten, pasted
    found = page.form("/console/access/test").send(search="client-1", look="search")
    values = [one.attrs["value"] for one in found.root.every("input", type="radio", name="certificate")]
    assert values == ["none", *(f"id:{made[number].id}" for number in (12, 11, 10, 1)), "pasted"]
    assert not found.root.every("section", class_="verdict")
    pasted = page.form("/console/access/test").send(pem=made[0].certificate + made[0].chain, certificate="pasted")
    assert "Allowed as things are now" in pasted.text
    assert "BEGIN" not in str(pasted.reply.url)
    chosen = page.form("/console/access/test").send(file=(made[0].certificate + made[0].chain).encode())
    assert "Allowed as things are now" in chosen.text


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"certificate": "id:gone"}, "certificate", "There is no such certificate any more."),
        ({"certificate": "sha256:00"}, "certificate", "was not kept here"),
        ({"certificate": "nonsense"}, "certificate", "was not kept here"),
        ({"certificate": "pasted"}, "pem", "it holds no certificate in PEM form"),
        ({"pem": "<b>no</b>"}, "pem", "it holds no certificate in PEM form"),
        ({"path": "items"}, "path", "a path begins with /"),
        ({"source": "300.1.1.1"}, "source", "is not an IP address"),
        ({"headers": "Origin"}, "headers", "is not a header such as"),
        ({"headers": "O rigin: x"}, "headers", "should match pattern"),
        ({"at": "soon"}, "at", "is not a day and time such as"),
    ],
)
def test_what_is_wrong_with_a_question_stands_beside_it(
    visitor: Visitor, door: Listener, sent: dict[str, str], field: str, why: str
) -> None:
    page = page_of(visitor, door).form("/console/access/test").send(**sent)
    assert why in page.error(field)
    form = page.form("/console/access/test")
    for name, value in sent.items():
        if name != "certificate":
            assert form.values(name) == [value]


def test_a_key_that_is_pasted_by_mistake_is_refused_and_not_sent_back(visitor: Visitor, door: Listener) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"
    page = page_of(visitor, door).form("/console/access/test").send(pem=key)
    assert "it holds a private key" in page.error("pem")
    assert "MIGHAgEA" not in page.reply.text


def test_a_rule_is_tried_as_it_is_typed_and_nothing_is_saved(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    comes(visitor, door, alice)
    page = add(
        visitor,
        door,
        name="writes",
        action="ALLOW",
        methods="POST",
        hosts="a.test",
        look="try",
        **{"try.certificate": f"id:{alice.id}", "try.host": "a.test", "try.method": "POST", "certificate.subject_cn": "bob"},
    )
    assert page.status == 200
    assert rules(visitor, door) == ()
    rule = AccessRule(
        listener_id=door.id, name="writes", methods=("POST",), hosts=("a.test",), certificate=Holders(subject_cn=("bob",))
    )
    shut = what_if.shut_out(visitor.system, ADMIN, Trial(listener_id=door.id, rule=rule))
    assert [one.subject for one, _code in shut.refused] == ["CN=alice"]
    assert "1 client would be refused whatever it asks for" in page.text
    assert "Refused with this rule no_rule_allows · Request" in page.text
    form = page.form("/console/access/create")
    assert (form.values("name"), form.values("certificate.subject_cn")) == (["writes"], ["bob"])
    tried = form.send(look="try", **{"certificate.subject_cn": "alice"})
    assert "Allowed with this rule allowed · Request · writes" in tried.text
    assert "None of them would lose all they may ask for." in tried.text
    wrong = form.send(look="try", **{"try.path": "x"})
    assert wrong.status == 422
    assert "a path begins with /" in wrong.error("try.path")


def test_a_rule_that_is_rehearsed_is_enforced_after_asking(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    a_rule(visitor, door, "all", hosts=("**.test",))
    rule = a_rule(visitor, door, "not the field", action="DENY", certificate=Holders(groups=("field",)), shadow=True, position=1)
    comes(visitor, door, alice)
    place = f"/console/access/{rule.id}/enforce"
    asked = visitor.get(place)
    assert "1 client would be refused whatever it asks for" in asked.text
    assert asked.form(place).send().said == "not the field is in force."
    assert not access.get(visitor.system, ADMIN, rule.id).shadow
    assert visitor.get(place).said == "not the field is in force already."


def test_two_people_at_one_rule_the_second_is_told(visitor: Visitor, door: Listener) -> None:
    rule = a_rule(visitor, door, hosts=("a.test",))
    place = f"/console/access/{rule.id}/edit"
    mine = visitor.get(place).form(place)
    access.update(visitor.system, ADMIN, rule.id, {"paths": ("/theirs",), "certificate": Holders(subject_cn=("theirs",))})
    page = mine.send(hosts="mine.test")
    assert page.status == 409
    assert "admin has changed this while you were editing" in page.text
    told = page.root.one("div", class_="problems").text
    assert "/theirs" in told
    assert "Common names (CN): theirs" in told
    assert access.get(visitor.system, ADMIN, rule.id).hosts == ("a.test",)
    again = page.form(place)
    assert again.values("hosts") == ["mine.test"]
    assert again.send().said == "reads was saved."
    assert access.get(visitor.system, ADMIN, rule.id).hosts == ("mine.test",)


def test_two_people_at_one_rule_that_is_enforced(visitor: Visitor, door: Listener) -> None:
    rule = a_rule(visitor, door, hosts=("a.test",), shadow=True)
    place = f"/console/access/{rule.id}/enforce"
    mine = visitor.get(place).form(place)
    access.update(visitor.system, ADMIN, rule.id, {"action": "DENY"})
    page = mine.send()
    assert (page.status, access.get(visitor.system, ADMIN, rule.id).shadow) == (409, True)
    assert "Action ALLOW DENY" in page.text


def test_a_rule_is_deleted_after_asking(visitor: Visitor, door: Listener) -> None:
    rule = a_rule(visitor, door)
    place = f"/console/access/{rule.id}/delete"
    asked = visitor.get(place)
    assert "It is the only rule" in asked.text
    done = asked.form(place).send()
    assert (done.said, rules(visitor, door)) == ("reads was deleted.", ())
    assert "No access rule yet" in done.text
    assert visitor.get(place).status == 404


def test_an_auditor_reads_and_tries_and_changes_nothing(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    rule = a_rule(visitor, door, shadow=True)
    with visitor.another("ada", "auditor") as auditor:
        page = page_of(auditor, door)
        assert page.rows()[0][1] == "reads"
        assert not page.root.every("button", name="up")
        assert not [link for link in page.root.every("a") if "create" in link.attrs["href"] or "delete" in link.attrs["href"]]
        popup = auditor.get(f"/console/access/{rule.id}/edit")
        assert "Save" not in [button.text for button in popup.root.one("footer").every("button")]
        tried = page.form("/console/access/test").send(certificate=f"id:{alice.id}")
        assert "as things are now" in tried.text
        token = page.form("/console/access/test").values("csrf")[0]
        for place in ("move", "create", f"{rule.id}/edit", f"{rule.id}/move", f"{rule.id}/delete", f"{rule.id}/enforce"):
            fields = [("csrf", token), ("listener_id", door.id), ("name", "x"), ("up", rule.id), ("position", "1")]
            assert auditor.post(f"/console/access/{place}", fields).status == 403
        for place in ("create", f"{rule.id}/move", f"{rule.id}/delete", f"{rule.id}/enforce"):
            assert auditor.get(f"/console/access/{place}").status == 403
    assert rules(visitor, door) == (rule,)


def test_a_listener_that_asks_for_no_certificate_and_one_that_rehearses_are_said(visitor: Visitor, door: Listener) -> None:
    a_rule(visitor, door)
    listeners.update(visitor.system, ADMIN, door.id, {"client_authentication": "REHEARSAL"})
    assert "its rules refuse nobody until it is enforced" in page_of(visitor, door).text
    listeners.update(visitor.system, ADMIN, door.id, {"client_authentication": "NONE"})
    page = page_of(visitor, door)
    assert page.text.count("none of its rules is in force") == 2  # of the listener, and beside the rule


def test_a_listener_out_of_service_has_rules_too(visitor: Visitor, door: Listener) -> None:
    listeners.update(visitor.system, ADMIN, door.id, {"admin_state_up": False})
    assert add(visitor, door, name="early").said == "early was saved."


def test_five_hundred_rules_are_a_page_at_a_time_with_as_many_questions_as_ten(visitor: Visitor, door: Listener) -> None:
    def fill(numbers: range) -> None:
        for number in numbers:
            a_rule(visitor, door, f"rule {number:03}", hosts=(f"h{number}.test",))

    fill(range(10))
    page_of(visitor, door)
    with counted(visitor.system.store) as few:
        page_of(visitor, door)
    fill(range(10, 120))
    with counted(visitor.system.store) as many:
        page = page_of(visitor, door)
    assert many.count == few.count
    assert [row[1] for row in page.rows()] == [f"rule {number:03}" for number in range(50)]
    assert len(page.reply.content) < 100_000
    following = visitor.get(next(link for link in page.root.every("a") if link.text == "Next").attrs["href"])
    assert following.rows()[0][1] == "rule 050"
    asked = page.form("/console/access/test").send(host="h119.test")
    assert "more that do not fit" in asked.text
    assert len(asked.reply.content) < 100_000


def test_it_is_all_there_in_vietnamese(visitor: Visitor, door: Listener, alice: Certificate) -> None:
    rule = a_rule(visitor, door, "đọc", hosts=("a.test",))
    vi = {"headers": {"accept-language": "vi"}}
    page = visitor.get(f"/console/access?listener_id={door.id}&try=true&certificate=id:{alice.id}&host=b.test", **vi)
    assert page.root.one("h1").text == "Quy tắc truy cập: door"
    assert "không quy tắc nào cho phép yêu cầu này" in page.text
    assert "rule đọc" not in page.text
    assert "quy tắc đọc" in page.text
    popup = visitor.get(f"/console/access/{rule.id}/edit", **vi)
    assert "Của chứng chỉ nào" in popup.text
