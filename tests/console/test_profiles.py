"""Profiles in the console: in words, adjusted, made, put back."""

from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Visitor
from ostiary.console.profiles import BUILT_IN as WORDS
from ostiary.model.authority import NewAuthority, NewCertificate
from ostiary.model.profile import Profile
from ostiary.ops import authorities, certificates, profiles
from ostiary.pki.holder import new_key_and_request
from ostiary.pki.profile import BUILT_IN
from support.systems import ADMIN

HOME = "/console/profiles"
HOSTILE = "<script>alert(1)</script>\"'&amp;"


def read(visitor: Visitor, name: str) -> Profile:
    return profiles.get(visitor.system, ADMIN, name).profile


def edit(visitor: Visitor, name: str, **sent: Any) -> Any:
    return visitor.get(f"{HOME}/{name}/edit").form(f"{HOME}/{name}/edit").send(**sent)


def test_what_is_built_in_has_its_words_here_to_be_translated() -> None:
    assert set(WORDS) == {one.description for one in BUILT_IN.values()}


def test_the_list_says_what_each_is_for(visitor: Visitor) -> None:
    rows = visitor.get(HOME).rows()
    assert [row[0].split()[0] for row in rows] == ["client", "device", "user", "server"]
    assert rows[2][1:] == [
        "Common name, Organization, Organizational unit, E-mail addresses",
        "180 days, at most 366 days",
        "Nobody else has to agree",
    ]


def test_one_is_told_limit_by_limit(visitor: Visitor) -> None:
    text = visitor.get(f"{HOME}/server").text
    for words in ("to be known as a server", "DNS names may be wildcards Yes", "EC P-256, EC P-384, RSA", "397 days"):
        assert words in text, words
    assert visitor.get(f"{HOME}/nothing").status == 404


def test_a_built_in_one_is_adjusted_and_put_back(visitor: Visitor) -> None:
    form = visitor.get(f"{HOME}/client/edit").form(f"{HOME}/client/edit")
    assert form.values("names_allowed") == []  # what it is for is not theirs to change
    page = edit(
        visitor,
        "client",
        default_lifetime="7d",
        max_lifetime="30d",
        approval="two",
        **{"name_patterns.dns": "*.example\nhost.test"},
    )
    assert page.said == "client was saved."
    now = read(visitor, "client")
    assert (now.default_lifetime, now.max_lifetime, now.approval) == (timedelta(days=7), timedelta(days=30), "two")
    assert now.name_patterns == {"dns": ("*.example", "host.test")}
    assert "It differs from what is built in: Patterns of names, Lifetime, Lifetime at most, Approval" in page.text
    back = visitor.get(f"{HOME}/client/delete").form(f"{HOME}/client/delete").send()
    assert back.said == "client is as it was built in."
    assert read(visitor, "client").approval == "automatic"
    again = visitor.post(f"{HOME}/client/delete", [("csrf", form.values("csrf")[0])])
    assert again.status == 409


def test_what_is_not_sent_stays(visitor: Visitor) -> None:
    edit(visitor, "client", max_lifetime="200d", **{"name_patterns.dns": "*.example"})
    form = visitor.get(f"{HOME}/client/edit").form(f"{HOME}/client/edit")
    form.fields = [(name, value) for name, value in form.fields if name == "csrf"]
    assert form.send(description="ours").said == "client was saved."
    now = read(visitor, "client")
    assert (now.description, now.max_lifetime, now.name_patterns) == ("ours", timedelta(days=200), {"dns": ("*.example",)})


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"default_lifetime": "soon"}, "default_lifetime", "such as 90d"),
        ({"default_lifetime": "900d"}, "default_lifetime", "not longer than max_lifetime"),
        ({"max_alternatives": "0"}, "max_alternatives", "1 or more"),
        ({"renewal_window": "101"}, "renewal_window", "100 or less"),
        ({"approval": "three"}, "approval", "is not one of the choices"),
        ({"name_patterns.ip": "10.0.0.1/8"}, "name_patterns.ip", ""),
        ({"description": "x" * 256}, "description", "longer than 255"),
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(visitor: Visitor, sent: dict[str, str], field: str, why: str) -> None:
    page = edit(visitor, "client", **sent)
    assert page.status == 422
    assert page.error(field)
    assert why in page.error(field)
    if field != "approval":  # a choice that is none cannot stand in a list of choices
        assert page.form(f"{HOME}/client/edit").values(field) == [sent[field]]
    assert profiles.get(visitor.system, ADMIN, "client").adjusted == ()


def test_one_of_ones_own_is_made_used_and_kept(visitor: Visitor) -> None:
    place = f"{HOME}/create"
    form = visitor.get(place).form(place)
    wrong = form.send(name="Not A Name", names_allowed=["dns"], names_required=["email"])
    assert wrong.status == 422
    assert wrong.error("name") == "does not have the form that is asked for"
    bad = form.send(name="sensor", names_allowed=["dns"], names_required=["email"])
    assert "'email' is not possible here" in bad.error("names_required")
    page = form.send(
        name="sensor",
        description=HOSTILE,
        names_allowed=["common_name", "dns"],
        names_required=["dns", "common_name"],
        extended_key_usages=["clientAuth"],
        default_lifetime="7d",
        max_lifetime="30d",
    )
    assert page.said == "sensor was created."
    assert HOSTILE in page.text
    assert "<script>alert" not in page.reply.text
    made = read(visitor, "sensor")
    assert (made.names_allowed, made.max_lifetime) == (("common_name", "dns"), timedelta(days=30))
    taken = form.send(name="sensor")
    assert "already" in taken.error("name")
    ca = authorities.create(visitor.system, ADMIN, NewAuthority(name="Root", kind="root"))
    _key, csr = new_key_and_request("a")
    certificates.issue(visitor.system, ADMIN, NewCertificate(authority_id=ca.id, csr=csr, profile="sensor"))
    kept = visitor.get(f"{HOME}/sensor/delete").form(f"{HOME}/sensor/delete").send()
    assert kept.status == 409
    assert "is that of 1 certificates on record" in kept.root.one("dialog").text


def test_one_that_nobody_used_is_deleted(visitor: Visitor) -> None:
    profiles.create(visitor.system, ADMIN, Profile(name="sensor"))
    assert visitor.get(f"{HOME}/sensor/delete").form(f"{HOME}/sensor/delete").send().said == "sensor was deleted."
    assert visitor.get(f"{HOME}/sensor").status == 404


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_change_them_reads_them(visitor: Visitor, role: Any) -> None:
    with visitor.another("olga", role) as olga:
        assert olga.get(f"{HOME}/client").status == 200
        assert not [link for link in olga.get(f"{HOME}/client").root.every("a") if link.attrs["href"].endswith("/edit")]
        for place in ("create", "client/edit", "client/delete"):
            assert olga.get(f"{HOME}/{place}").status == 403
