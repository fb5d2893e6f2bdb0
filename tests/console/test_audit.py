"""The record in the console: read, searched, told field by field, handed out and verified; nothing hostile in it does harm."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from console.visitor import Page, Visitor
from ostiary.console.app import routes
from ostiary.console.deeds import DEEDS, SORTS
from ostiary.model.audit import AuditSearch
from ostiary.ops import audit, balancers, certificates, listeners
from ostiary.ops.caller import Caller
from ostiary.ops.verifying import Verifying
from ostiary.store import kinds
from ostiary.store.store import Facts
from support.made import a_balancer, a_certificate, a_listener, a_secret, an_authority
from support.statements import counted
from support.systems import ADMIN
from support.wait import eventually

PLACE = "/console/audit"
HOSTILE = ["<script>alert(1)</script>", "\"'&><", "x" * 255, "Nguyễn Thị Ánh Tuyết", "{{ 7 * 7 }}", "%(name)s"]


def changed(visitor: Visitor) -> Any:
    """A listener that was given a Client CA. What was before that is on record too."""
    balancer = a_balancer(visitor.system, name="shop")
    listener, authority = a_listener(visitor.system, balancer), an_authority(visitor.system, "Partners")
    reference = f"/v1/authorities/{authority.id}"
    wanted = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": reference, "connection_limit": 1000}
    return listeners.update(visitor.system, ADMIN, listener.id, wanted)


def newest(visitor: Visitor, action: str) -> int:
    return int(audit.search(visitor.system, ADMIN, AuditSearch(action=action), limit=1)[0]["sequence"])


def cells(page: Page) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in page.rows()}


def test_the_newest_comes_first_with_who_what_on_what_and_revision(visitor: Visitor) -> None:
    listener = changed(visitor)
    page = visitor.get(PLACE)
    number, _when, who, what, thing, revision = page.rows()[0]
    assert number == str(newest(visitor, "listener:update"))
    assert "admin (admin) 127.0.0.1" in who
    assert what == "Changed a listener listener:update"
    assert thing == "Listener door"
    assert revision == str(listener.revision)
    links = {link.text: link.attrs["href"] for link in page.root.one("tbody").every("tr")[0].every("a")}
    assert links["door"] == f"/console/listeners/{listener.id}"
    assert links[revision] == f"/console/revisions/{revision}"


def test_an_entry_tells_what_differs_as_people_call_it(visitor: Visitor) -> None:
    changed(visitor)
    page = visitor.get(f"{PLACE}/{newest(visitor, 'listener:update')}")
    assert "Changed a listener" in page.root.one("h1").text
    its = cells(page)
    assert its["Authentication mode"] == [
        "Off: nobody is asked for a certificate",
        "Mandatory: nobody without a valid certificate",
    ]
    assert its["Client CA"] == ["\N{EN DASH}", "Partners"]
    assert its["Connection limit"] == ["-1", "1000"]
    assert "{" not in page.root.one("main").text


def test_an_entry_shows_its_place_in_the_chain(visitor: Visitor) -> None:
    changed(visitor)
    number = newest(visitor, "listener:update")
    entry, before = audit.get(visitor.system, ADMIN, number), audit.get(visitor.system, ADMIN, number - 1)
    page = visitor.get(f"{PLACE}/{number}")
    assert [code.text for code in page.root.one("dl", class_="tall").every("code")] == [before["hash"], entry["hash"]]
    older = next(link for link in page.root.every("a") if link.text == "Older entry")
    assert older.attrs["href"] == f"{PLACE}/{number - 1}"
    assert "Newer entry" not in page.text
    assert "Older entry" not in visitor.get(f"{PLACE}/1").text


def test_what_came_and_what_went_is_told_by_what_somebody_chose(visitor: Visitor) -> None:
    balancer = a_balancer(visitor.system, name="shop", description="old")
    balancers.delete(visitor.system, ADMIN, balancer.id)
    came = visitor.get(f"{PLACE}/{newest(visitor, 'loadbalancer:create')}")
    assert cells(came)["Name"] == ["shop"]
    assert [cell.text for cell in came.root.one("thead").every("th")] == ["Setting", "After"]
    assert "In service" not in cells(came)  # as it is when nobody says anything
    went = visitor.get(f"{PLACE}/{newest(visitor, 'loadbalancer:delete')}")
    assert cells(went)["Description"] == ["old"]
    assert [cell.text for cell in went.root.one("thead").every("th")] == ["Setting", "Before"]
    assert not [link for link in went.root.one("main").every("a") if "/balancers/" in link.attrs["href"]]


def test_secrets_are_in_no_entry(visitor: Visitor) -> None:
    a_secret(visitor.system, "MARKER-of-a-secret", name="held")
    a_certificate(visitor.system, an_authority(visitor.system))
    with visitor.system.store.read() as reader:
        last, _hash = reader.audit_head()
    for place in (PLACE, f"{PLACE}/export", *(f"{PLACE}/{number}" for number in range(1, last + 1))):
        reply = visitor.raw("GET", place)
        assert reply.status_code == 200
        assert "MARKER" not in reply.text
        assert "PRIVATE KEY" not in reply.text
        assert "sealed" not in reply.text


@pytest.mark.parametrize("name", HOSTILE)
def test_what_people_typed_is_shown_and_does_nothing(visitor: Visitor, name: str) -> None:
    balancer = a_balancer(visitor.system, name=name)
    balancers.update(visitor.system, ADMIN, balancer.id, {"description": name})
    for place in (
        PLACE,
        f"{PLACE}/{newest(visitor, 'loadbalancer:update')}",
        "/console/revisions/2",
        "/console/revisions/1/revert",
    ):
        page = visitor.get(place)
        assert page.status == 200
        assert name in page.root.one("main").text
        assert not page.root.one("main").every("script")


@pytest.mark.parametrize(
    "value", ["2026-99-99T00:00:00Z", "0001-01-01T00:00:00+14:00", "P9999999999D", "/v1/authorities/" + "0" * 36]
)
def test_what_only_looks_like_a_time_or_a_reference_is_shown_as_it_is(visitor: Visitor, value: str) -> None:
    balancer = a_balancer(visitor.system)
    balancers.update(visitor.system, ADMIN, balancer.id, {"description": value})
    assert cells(visitor.get(f"{PLACE}/{newest(visitor, 'loadbalancer:update')}"))["Description"][1] == value


def test_it_is_searched_by_who_what_on_what_and_when(visitor: Visitor) -> None:
    listener = changed(visitor)
    with visitor.another("tom", "operator"):
        listeners.update(visitor.system, Caller("tom", "operator"), listener.id, {"name": "gate"})
    form = {"actor": "tom", "action": "listener:update"}
    assert [row[2] for row in visitor.get(PLACE, params=form).rows()] == ["tom (operator)"]
    its = visitor.get(PLACE, params={"resource": listener.id}).rows()
    assert [row[3] for row in its] == ["Changed a listener listener:update"] * 2 + ["Created a listener listener:create"]
    tomorrow = f"{visitor.system.clock() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert visitor.get(PLACE, params={"until": tomorrow, "actor": "tom"}).rows()
    none = visitor.get(PLACE, params={"since": tomorrow})
    assert "No entry fits" in none.text
    chosen = visitor.get(PLACE, params={"action": "listener:update"}).root.one("select", name="action")
    assert [option.text for option in chosen.every("option", selected="")] == ["Changed a listener"]


def test_a_time_is_the_reader_s_own(visitor: Visitor) -> None:
    changed(visitor)
    visitor.raw("POST", "/console/preferences", data={"zone": "Asia/Ho_Chi_Minh", "back": PLACE})
    now = visitor.system.clock()
    here = f"{now + timedelta(hours=7, minutes=-5):%Y-%m-%dT%H:%M}"
    assert len(visitor.get(PLACE, params={"since": here}).rows()) > 3
    assert visitor.get(PLACE, params={"until": here}).rows() == []


@pytest.mark.parametrize("field", ["since", "until"])
def test_a_time_that_is_none_is_said_beside_it_and_kept(visitor: Visitor, field: str) -> None:
    changed(visitor)
    for place in (PLACE, f"{PLACE}/export"):
        page = visitor.get(place, params={field: "yesterday", "actor": "admin"})
        assert page.status == 422
        assert "is not a day and time" in page.error(field)
        assert page.root.one("input", name=field).attrs["value"] == "yesterday"
        assert page.root.one("input", name="actor").attrs["value"] == "admin"
        assert page.rows() == []


@pytest.mark.parametrize("query", ["after=x", "before=-1", "before=" + "9" * 30, "after=٣", "before=", "actor=" + "x" * 5000])
def test_an_address_that_makes_no_sense_does_no_harm(visitor: Visitor, query: str) -> None:
    changed(visitor)
    assert visitor.get(f"{PLACE}?{query}").status == 200


@pytest.mark.parametrize("number", ["0", "999", "x", "9" * 30, "1e3"])
def test_an_entry_that_is_not_there_is_said_to_be_none(visitor: Visitor, number: str) -> None:
    assert visitor.get(f"{PLACE}/{number}").status == 404


def many(visitor: Visitor, count: int) -> None:
    def work(facts: Facts) -> None:
        for number in range(count):
            entry: dict[str, Any] = {"actor": f"robot-{number % 9}", "role": "operator", "source": "192.0.2.1", "request_id": "r"}
            entry |= {"action": f"certificate:{'issue' if number % 5 else 'revoke'}", "kind": "certificate", "revision": None}
            facts.append_audit({**entry, "resource_id": f"c{number}", "before": None, "after": {"name": f"device {number}"}})

    visitor.system.store.record(work)


def test_a_hundred_thousand_entries_are_read_with_as_many_questions_as_a_few(visitor: Visitor) -> None:
    listener = changed(visitor)
    many(visitor, 200)
    places = (
        PLACE,
        f"{PLACE}?actor=robot-3",
        f"{PLACE}?actor=robot-3&action=certificate%3Arevoke",
        f"{PLACE}?resource={listener.id}",
        f"{PLACE}?since=2020-01-01T00:00&until=2099-01-01T00:00",
        f"{PLACE}/5",
        "/console/revisions",
    )
    questions = [asked(visitor, place) for place in places]
    many(visitor, 100_000)
    assert all(now <= before for now, before in zip([asked(visitor, place) for place in places], questions, strict=True))
    first = visitor.get(f"{PLACE}?actor=robot-3")
    assert len(first.rows()) == 50
    assert len(first.reply.content) < 100_000
    second = visitor.get(next(link for link in first.root.every("a") if link.text == "Next").attrs["href"])
    numbers = [int(row[0]) for row in (*first.rows(), *second.rows())]
    assert numbers == sorted(set(numbers), reverse=True)
    back = next(link for link in second.root.every("a") if link.text == "Previous").attrs["href"]
    assert visitor.get(back).rows() == first.rows()


def asked(visitor: Visitor, place: str) -> int:
    visitor.get(place)
    with counted(visitor.system.store) as questions:
        assert visitor.get(place).status == 200
    return questions.count


def entries(reply: httpx.Response) -> list[dict[str, Any]]:
    """Those of an export, without what it says of itself and the heads of the chain."""
    lines = [json.loads(line) for line in reply.text.splitlines()]
    return [line for line in lines if "ostiary" not in line]


def test_what_fits_is_handed_out_as_lines_of_json(visitor: Visitor) -> None:
    changed(visitor)
    many(visitor, 2500)
    reply = visitor.raw("GET", f"{PLACE}/export?action=certificate%3Arevoke")
    assert reply.headers["content-disposition"].startswith('attachment; filename="ostiary-audit-')
    assert reply.headers["cache-control"] == "no-store"
    lines = entries(reply)
    assert len(lines) == 500
    assert {line["action"] for line in lines} == {"certificate:revoke"}
    assert lines[0]["sequence"] < lines[-1]["sequence"]
    whole = entries(visitor.raw("GET", f"{PLACE}/export"))
    assert whole == audit.find(visitor.system, ADMIN, limit=10_000)
    link = next(one for one in visitor.get(f"{PLACE}?actor=robot-1").root.every("a") if "Download" in one.text)
    assert link.attrs["href"] == f"{PLACE}/export?actor=robot-1"


def once_verified(visitor: Visitor) -> Page:
    page = visitor.get(f"{PLACE}/verification").form(f"{PLACE}/verification").send()
    assert page.status == 200

    def ended() -> list[Page]:
        now = visitor.get(f"{PLACE}/verification")
        return [] if "Being verified" in now.text else [now]

    return eventually(ended)[0]


def test_verifying_says_what_was_verified_up_to_which_head(visitor: Visitor) -> None:
    changed(visitor)
    assert "was not verified since" in visitor.get(f"{PLACE}/verification").text
    page = once_verified(visitor)
    with visitor.system.store.read() as reader:
        count, head = reader.audit_head()
    assert "The record is whole" in page.text
    assert f"{count} entries were read." in page.text
    assert head in page.text


def test_a_broken_record_is_said_to_be_broken_and_where(visitor: Visitor) -> None:
    changed(visitor)
    with visitor.system.store._engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("UPDATE audit SET entry = replace(entry, 'admin', 'nobody') WHERE sequence = 3"))
    page = once_verified(visitor)
    assert "The record is broken" in page.text
    assert "entry 3 does not follow from the one before it" in page.text


def test_while_it_goes_on_the_page_renews_itself_without_scripts(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(visitor)
    monkeypatch.setattr(Verifying, "_run", lambda *_told: None)  # it never gets further
    page = visitor.get(f"{PLACE}/verification").form(f"{PLACE}/verification").send()
    assert "Being verified" in page.text
    assert page.root.one("noscript").one("meta").attrs["http-equiv"] == "refresh"
    assert [one.attrs["data-live"] for one in page.root.every() if "data-live" in one.attrs] == [f"{PLACE}/verification/live"]


def test_an_auditor_verifies_and_whoever_may_not_read_is_not_offered_it(visitor: Visitor) -> None:
    changed(visitor)
    with visitor.another("olga", "auditor") as auditor:
        assert "The record is whole" in once_verified(auditor).text
        assert len(auditor.get(PLACE).rows()) > 5


def test_it_is_read_in_vietnamese(visitor: Visitor) -> None:
    changed(visitor)
    headers = {"accept-language": "vi"}
    page = visitor.get(PLACE, headers=headers)
    assert page.root.one("h1").text != "Audit record"
    assert "Changed a listener" not in page.text
    assert "Authentication mode" not in visitor.get(f"{PLACE}/{newest(visitor, 'listener:update')}", headers=headers).text


def test_the_empty_record_says_what_it_is_for(visitor: Visitor) -> None:
    with visitor.system.store._engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("DELETE FROM audit"))
    assert "The record is empty" in visitor.get(PLACE).text


def test_an_entry_that_was_damaged_does_not_hide_the_others(visitor: Visitor) -> None:
    changed(visitor)
    with visitor.system.store._engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("UPDATE audit SET entry = 'no JSON' WHERE sequence = 3"))
    page = visitor.get(PLACE)
    assert page.status == 200
    assert visitor.get(f"{PLACE}/3").status == 200
    assert len(entries(visitor.raw("GET", f"{PLACE}/export"))) == len(page.rows()) + 2  # with that it was, and a key for it


def test_everything_that_is_put_on_record_has_words(visitor: Visitor) -> None:
    authority = an_authority(visitor.system)
    held = a_certificate(visitor.system, authority)
    certificates.update(visitor.system, ADMIN, held.id, {"owner": "ann"})
    assert set(audit.actions(visitor.system, ADMIN)) <= set(DEEDS)
    assert {kind.name for kind in kinds.KINDS} <= set(SORTS)


def test_every_kind_s_page_is_one_that_there_is() -> None:
    answered = {route.path for route in routes() if route.method == "GET"}
    shapes = answered | {path.replace(path[path.index("{") : path.index("}") + 1], "{id}") for path in answered if "{" in path}
    assert {one.place for one in SORTS.values() if one.place} <= shapes
