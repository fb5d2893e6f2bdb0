"""People and tokens in the console: made, shown once, taken back; and nobody gets further than their role."""

import logging
from typing import Any

import pytest

from console.visitor import Visitor
from ostiary.console.people import ABILITIES, ROLES
from ostiary.errors import Denied
from ostiary.model.query import Query
from ostiary.model.token import NewToken
from ostiary.model.user import User
from ostiary.ops import audit, sessions, sign_in_links, tokens, users
from ostiary.ops.caller import Caller
from support.made import a_certificate, an_authority
from support.statements import counted
from support.systems import ADMIN

PLACE = "/console/people"
CREATE = f"{PLACE}/tokens/create"
NEW_USER = f"{PLACE}/users/create"


def every_token(visitor: Visitor) -> Any:
    return tokens.find(visitor.system, ADMIN, Query()).items


def every_user(visitor: Visitor) -> Any:
    return users.find(visitor.system, ADMIN, Query()).items


def a_user(visitor: Visitor, name: str = "bob", **fields: Any) -> User:
    wanted = {"name": name, "role": "auditor", "certificate": {"subject_cn": [name]}, **fields}
    return users.create(visitor.system, ADMIN, User.model_validate(wanted, strict=False))


# Access tokens.


def test_a_token_is_made_and_its_secret_shown_once(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    page = visitor.get(CREATE).form(CREATE).send(name="deploy", role="operator", expires_in="30d")
    assert page.status == 200
    assert page.reply.request.method == "POST"  # shown in the answer itself, at no address that could be kept
    secret = page.root.one(id="secret").text
    assert tokens.holder(visitor.system, secret.encode(), "192.0.2.1", "r") is not None
    assert page.reply.headers["cache-control"] == "no-store"
    assert secret not in str(page.reply.headers)
    assert secret not in str(page.reply.url)

    (token,) = every_token(visitor)
    days = round((token.expires_at - token.created_at).total_seconds() / 86_400)
    assert (token.name, token.role, days) == ("deploy", "operator", 30)
    for place in (PLACE, f"{PLACE}/tokens/{token.id}", CREATE, "/console/audit", f"{PLACE}/tokens/{token.id}/delete"):
        assert secret not in visitor.raw("GET", place).text
    assert secret not in str(audit.find(visitor.system, ADMIN, limit=1000))
    assert secret not in caplog.text
    assert secret not in str(dict(visitor.cookies))


def test_sending_the_form_again_makes_no_second_one(visitor: Visitor) -> None:
    form = visitor.get(CREATE).form(CREATE)
    form.send(name="deploy", role="operator")
    again = form.send(name="deploy", role="operator")
    assert again.status == 422
    assert "somebody is called 'deploy' already" in again.error("name")
    assert len(every_token(visitor)) == 1


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"name": ""}, "name", "says who it is for"),
        ({"name": "x" * 256}, "name", "must not be longer than 255 characters"),
        ({"name": "admin"}, "name", "somebody is called 'admin' already"),
        ({"name": "a", "role": "root"}, "role", "is not one of the choices"),
        ({"name": "a", "expires_in": "soon"}, "expires_in", "is not a length of time"),
        ({"name": "a", "expires_in": "2000d"}, "expires_in", "must be 366 days or less"),
        ({"name": "a", "expires_in": "1s"}, "expires_in", "must be"),
    ],
)
def test_what_is_wrong_is_said_beside_it_and_nothing_is_made(
    visitor: Visitor, sent: dict[str, str], field: str, why: str
) -> None:
    page = visitor.get(CREATE).form(CREATE).send(**sent)
    assert page.status == 422
    assert why in page.error(field)
    for name, value in sent.items():
        if name != "role":
            assert page.root.one("dialog").one("input", name=name).attrs["value"] == value
    assert every_token(visitor) == ()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"'&><", "Nguyễn Ánh", "x" * 255])
def test_a_token_of_any_name_is_listed_shown_and_deleted(visitor: Visitor, name: str) -> None:
    page = visitor.get(CREATE).form(CREATE).send(name=name)
    assert name in page.root.one("h1").text
    (token,) = every_token(visitor)
    assert token.role == "auditor"  # the least, as nobody chose
    rows = visitor.get(PLACE).rows()
    assert rows[0][:3] == [name, "auditor", "Valid"]
    assert name in visitor.get(f"{PLACE}/tokens/{token.id}").root.one("h1").text
    delete = f"{PLACE}/tokens/{token.id}/delete"
    asked = visitor.get(delete)
    assert name in asked.root.one("dialog").text
    done = asked.form(delete).send()
    assert done.said == f"{name} was deleted."
    assert every_token(visitor) == ()


def test_deleting_says_whose_sessions_end_and_ends_them(visitor: Visitor) -> None:
    with visitor.another("ann", "operator") as ann:
        ann.get("/console/balancers")
        token = every_token(visitor)[0]
        delete = f"{PLACE}/tokens/{token.id}/delete"
        asked = visitor.get(delete)
        assert "1 session that began with it ends." in asked.text
        asked.form(delete).send()
        assert ann.get("/console/balancers").root.one("h1").text == "Sign in"


def test_whoever_deletes_the_token_they_are_in_by_is_told_before(visitor: Visitor) -> None:
    with visitor.another("ann", "admin") as ann:
        delete = f"{PLACE}/tokens/{every_token(visitor)[0].id}/delete"
        asked = ann.get(delete)
        assert "you will be signed out" in asked.text
        assert asked.form(delete).send().root.one("h1").text == "Sign in"


def test_an_operator_is_not_offered_access_tokens_and_gets_none(visitor: Visitor) -> None:
    with visitor.another("tom", "operator") as tom:
        page = tom.get(PLACE)
        assert [row[0] for row in page.rows()] == ["tom"]
        assert not [link for link in page.root.one("main").every("a") if "create" in link.attrs["href"]]
        assert not page.root.one("main").every("a", class_="tool")
        assert tom.get(CREATE).status == 403
        delete = f"{PLACE}/tokens/{every_token(visitor)[0].id}/delete"
        proof = tom.get("/console/balancers").form("/console/sign-out").values("csrf")[0]
        assert tom.raw("POST", delete, data={"csrf": proof}).status_code == 403
        assert tom.raw("POST", CREATE, data={"csrf": proof, "name": "evil", "role": "admin"}).status_code == 403
        assert [token.name for token in every_token(visitor)] == ["tom"]


def test_grants_are_listed_with_how_often_they_were_used(visitor: Visitor) -> None:
    authority = an_authority(visitor.system, "Devices")
    wanted = NewToken.model_validate(
        {"name": "till 7", "authority_id": authority.id, "names": {"common_name": "till-7"}, "uses": 3, "profile": "device"},
        strict=False,
    )
    token, secret = tokens.create(visitor.system, ADMIN, wanted)
    page = visitor.get(f"{PLACE}?tab=grants")
    assert page.rows()[0][:4] == ["till 7", "device", "Valid", "0 of 3"]
    its = visitor.get(f"{PLACE}/tokens/{token.id}")
    assert "Devices" in its.text
    assert bytes(secret).decode() not in its.reply.text
    assert "/console/certificates/create" in [link.attrs["href"] for link in page.root.one("main").every("a")]
    assert visitor.get(PLACE).rows() == []  # it opens no API


# Users.


def test_a_user_is_added_changed_and_removed(visitor: Visitor) -> None:
    authority = an_authority(visitor.system, "People")
    a_certificate(visitor.system, authority, cn="ann", groups=("ops",))
    form = visitor.get(NEW_USER).form(NEW_USER)
    chosen: dict[str, str | list[str]] = {"certificate.groups": "ops", "certificate.authority_ids": [authority.id]}
    page = form.send(name="ann", role="operator", **chosen)
    assert page.said == "ann was added."
    assert page.rows()[0][:2] == ["ann", "operator"]
    assert "Groups: ops" in page.rows()[0][2]
    assert "People" in page.rows()[0][2]
    (ann,) = every_user(visitor)
    assert (ann.role, ann.certificate.groups, ann.certificate.authority_ids) == ("operator", ("ops",), (authority.id,))

    edit = f"{PLACE}/users/{ann.id}/edit"
    opened = visitor.get(edit)
    assert opened.form(edit).values("certificate.groups") == ["ops"]
    assert opened.form(edit).values("certificate.authority_ids") == [authority.id]
    saved = opened.form(edit).send(role="auditor", **{"certificate.groups": "", "certificate.subject_cn": "ann"})
    assert saved.said == "ann was saved."
    (ann,) = every_user(visitor)
    assert (ann.role, ann.certificate.groups, ann.certificate.subject_cn) == ("auditor", (), ("ann",))
    assert "Administrator" not in visitor.get(f"{PLACE}/users/{ann.id}").root.one("main").text

    delete = f"{PLACE}/users/{ann.id}/delete"
    assert "stays valid at every listener" in visitor.get(delete).text
    assert visitor.get(delete).form(delete).send().said == "ann was deleted."
    assert every_user(visitor) == ()


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"name": "bob"}, "", "Say whose certificate it is"),
        ({"name": "", "certificate.subject_cn": "bob"}, "name", "is needed"),
        ({"name": "admin", "certificate.subject_cn": "bob"}, "name", "somebody is called 'admin' already"),
        ({"name": "bob", "certificate.groups": "nobody"}, "certificate.groups", "nobody is in group 'nobody'"),
        ({"name": "bob", "certificate.san_dns": "a.*.b"}, "certificate.san_dns", "is not a DNS name"),
        ({"name": "bob", "certificate.fingerprints_sha256": "abc"}, "certificate.fingerprints_sha256", "is not a SHA-256"),
        ({"name": "bob", "role": "root", "certificate.subject_cn": "bob"}, "role", "is not one of the choices"),
    ],
)
def test_what_is_wrong_with_a_user_is_said_beside_it_and_nobody_is_added(
    visitor: Visitor, sent: dict[str, str], field: str, why: str
) -> None:
    page = visitor.get(NEW_USER).form(NEW_USER).send(**sent)
    assert page.status == 422
    assert why in (page.error(field) if field else page.root.one("div", class_="problems").text)
    if sent["name"]:
        assert page.root.one("dialog").one("input", name="name").attrs["value"] == sent["name"]
    assert every_user(visitor) == ()


def test_conditions_that_would_let_anybody_in_are_refused_on_editing_too(visitor: Visitor) -> None:
    bob = a_user(visitor)
    edit = f"{PLACE}/users/{bob.id}/edit"
    page = visitor.get(edit).form(edit).send(**{"certificate.subject_cn": ""})
    assert page.status == 422
    assert "everybody would sign in as this user" in page.text
    assert every_user(visitor)[0].certificate.subject_cn == ("bob",)


def test_an_operator_sees_users_and_changes_none(visitor: Visitor) -> None:
    bob = a_user(visitor)
    with visitor.another("tom", "operator") as tom:
        page = tom.get(f"{PLACE}?tab=users")
        assert page.rows()[0][0] == "bob"
        assert not page.root.one("main").every("a", class_="tool")
        for place in (NEW_USER, f"{PLACE}/users/{bob.id}/edit", f"{PLACE}/users/{bob.id}/delete"):
            assert tom.get(place).status == 403


def test_hundreds_of_users_are_read_with_as_many_questions_as_one(visitor: Visitor) -> None:
    authority = an_authority(visitor.system)
    a_user(visitor, "first", certificate={"subject_cn": ["first"], "authority_ids": [authority.id]})
    place = f"{PLACE}?tab=users"
    visitor.get(place)
    with counted(visitor.system.store) as few:
        visitor.get(place)
    for number in range(120):
        a_user(visitor, f"user {number}", certificate={"subject_cn": [f"u{number}"], "authority_ids": [authority.id]})
    with counted(visitor.system.store) as many:
        page = visitor.get(place)
    assert many.count <= few.count
    assert len(page.rows()) == 50
    assert len(page.reply.content) < 100_000
    assert [row[0] for row in visitor.get(f"{place}&q=first").rows()] == ["first"]
    assert "No user is called like this" in visitor.get(f"{place}&q=nobody").text


# Sessions.


def test_who_is_signed_in_is_shown_from_where_and_how(visitor: Visitor) -> None:
    with visitor.another("ann", "operator"):
        page = visitor.get(f"{PLACE}?tab=sessions")
        rows = {row[0]: row for row in page.rows()}
        assert set(rows) == {"admin this session", "ann"}
        assert rows["ann"][1:4] == ["operator", "192.0.2.7", "with a link"]


def test_a_session_is_ended_and_that_browser_is_out(visitor: Visitor) -> None:
    with visitor.another("ann", "operator") as ann:
        session = next(one for one in sessions.find(visitor.system, ADMIN) if one.name == "ann")
        end = f"{PLACE}/sessions/{session.id}/end"
        asked = visitor.get(end)
        assert "192.0.2.7" in asked.root.one("dialog").text
        assert asked.form(end).send().said == "The session was ended."
        assert ann.get("/console/balancers").root.one("h1").text == "Sign in"
        assert visitor.get("/console/balancers").root.one("h1").text == "Load Balancers"


def test_somebody_is_signed_out_everywhere_with_the_links_they_made(visitor: Visitor) -> None:
    place = f"{PLACE}/sessions/end-all"
    with visitor.another("ann & co", "operator") as ann:
        ann.sign_in(Caller("ann & co", "operator"))
        link = bytes(sign_in_links.make(visitor.system, Caller("ann & co", "operator"))).decode()
        shown = visitor.get(f"{PLACE}?tab=sessions")
        leads = next(one.attrs["href"] for one in shown.root.every("a") if one.text == "End all of ann & co")
        asked = visitor.get(leads)
        assert "2 sessions end." in asked.text
        assert asked.form(place).send().said == "2 sessions of ann & co were ended."
        assert ann.get("/console/balancers").root.one("h1").text == "Sign in"
        assert visitor.get(f"/console/sign-in/{link}").status in {200, 303, 403}
        assert sign_in_links.offered(visitor.system, link.encode()) is None


def test_one_s_own_session_is_ended_by_oneself(visitor: Visitor) -> None:
    with visitor.another("olga", "auditor") as olga:
        page = olga.get(f"{PLACE}?tab=sessions")
        assert [row[0] for row in page.rows()] == ["olga this session"]
        assert "You see your own." in page.text
        end = next(link.attrs["href"] for link in page.root.every("a") if link.attrs["href"].endswith("/end"))
        asked = olga.get(end)
        assert "This is your own session" in asked.text
        assert asked.form(end).send().root.one("h1").text == "Sign in"


def test_nobody_ends_what_is_somebody_else_s(visitor: Visitor) -> None:
    theirs = sessions.find(visitor.system, ADMIN)[0].id
    with visitor.another("tom", "operator") as tom:
        proof = tom.get("/console/balancers").form("/console/sign-out").values("csrf")[0]
        for place, data in (
            (f"{PLACE}/sessions/{theirs}/end", {}),
            (f"{PLACE}/sessions/end-all", {"name": "admin"}),
        ):
            assert tom.raw("POST", place, data={"csrf": proof, **data}).status_code in {403, 404}
    assert visitor.get("/console/balancers").root.one("h1").text == "Load Balancers"


# Roles, and the page as such.


def test_what_each_role_may_do_is_what_it_may(visitor: Visitor) -> None:
    rows = {row[0]: row[1:] for row in visitor.get(f"{PLACE}?tab=roles").rows()}
    assert len(rows) == len(ABILITIES)
    for sentence, doing in ABILITIES:
        for (role, _words), shown in zip(ROLES, rows[sentence], strict=True):
            try:
                Caller("x", role).must(doing)
            except Denied:
                assert shown == "No"
            else:
                assert shown == "Yes"


@pytest.mark.parametrize("tab", ["tokens", "users", "sessions", "grants", "roles", "nonsense", "<script>"])
def test_each_part_is_read_in_vietnamese_and_when_there_is_nothing(visitor: Visitor, tab: str) -> None:
    page = visitor.get(PLACE, params={"tab": tab}, headers={"accept-language": "vi"})
    assert page.status == 200
    assert page.root.one("h1").text != "People and tokens"
    assert "Access tokens" not in page.text


@pytest.mark.parametrize("place", ["tokens/none", "users/none", "tokens/none/delete", "users/none/edit", "sessions/none/end"])
def test_what_is_not_there_is_said_not_to_be(visitor: Visitor, place: str) -> None:
    assert visitor.get(f"{PLACE}/{place}").status == 404
