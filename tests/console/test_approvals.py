"""What waits for another person, at the console: sent there from the form, looked at, agreed to; and emergencies."""

import pytest

from console.visitor import Page, Visitor
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.ops import house_settings, listeners
from ostiary.ops.caller import SYSTEM
from support.made import a_balancer, a_listener, an_authority
from support.systems import ADMIN

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def door(visitor: Visitor) -> Listener:
    """A listener that demands certificates, where taking that away needs another person."""
    system = visitor.system
    ca = f"/v1/authorities/{an_authority(system).id}"
    made = a_listener(system, a_balancer(system), client_authentication="MANDATORY", client_ca_tls_container_ref=ca)
    kinds = ("CLIENT_CA", "LOWER_PROTECTION", "KEY_EXPORT")
    house_settings.update(system, SYSTEM, {"approval_needed_for": kinds})
    return made


def ask(someone: Visitor, door: Listener) -> Page:
    """Delete it, as people do."""
    page = someone.get(f"/console/listeners/{door.id}/delete")
    return page.form(f"/console/listeners/{door.id}/delete").send(name=door.name)


def test_who_asks_is_sent_to_where_it_waits_and_says_why(visitor: Visitor, door: Listener) -> None:
    with visitor.another("alice", "admin") as alice, visitor.another("bob", "admin") as bob:
        page = ask(alice, door)
        assert page.said == "Not done yet: another person has to agree first. It waits here for them."
        place = page.reply.url.path
        assert "door, which asks for client certificates, is deleted with its rules." in page.text
        assert page.root.every("form", action=f"{place}/approve") == []
        told = page.form(f"{place}/justify").send(justification=HOSTILE)
        assert told.said == "Whoever decides reads why it is needed."
        assert "<script>alert" not in told.reply.text
        assert alice.post(f"{place}/approve", [("csrf", told.root.every("input", name="csrf")[0].attrs["value"])]).status == 403
        for page_of_mine in ("overview", "approvals"):
            assert "door, which asks for client certificates, is deleted" in bob.get(f"/console/{page_of_mine}").text
        page = bob.get(place)
        assert HOSTILE in page.text
        done = page.form(f"{place}/approve").send(reason="called back")
        assert done.said == "You agreed, and it was done."
        assert "called back" in done.text
        assert "What waits for you" not in bob.get("/console/overview").text
    assert listeners.find(visitor.system, ADMIN, Query()).items == ()


def test_an_emergency_is_on_every_page_until_it_ends_and_waits_to_be_signed_off(visitor: Visitor, door: Listener) -> None:
    with visitor.another("alice", "admin") as alice, visitor.another("bob", "admin") as bob:
        page = alice.get("/console/break-glass")
        wrong = page.form("/console/break-glass").send(reason="", minutes="30")
        assert wrong.status == 422
        begun = page.form("/console/break-glass").send(reason="house on fire", minutes="30")
        assert begun.said == "You do without approval now, and everybody is told."
        place = begun.reply.url.path
        assert "alice does without another person's approval until" in bob.get("/console/clients").text
        assert ask(alice, door).status == 200
        assert "Deleted a listener" in alice.get(place).text
        ended = alice.get(place).form(f"{place}/end").send()
        assert ended.said == "It is over. Another person looks at it now."
        assert "does without another person's approval until" not in bob.get("/console/clients").text
        assert "another person has to sign it off" in bob.get("/console/overview").text
        assert alice.get(place).root.every("form", action=f"{place}/review") == []
        signed = bob.get(place).form(f"{place}/review").send(review="it was on fire")
        assert signed.said == "You signed it off."
        assert "What waits for you" not in bob.get("/console/overview").text
