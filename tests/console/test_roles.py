"""Every page and every action of the console, tried by each role and by strangers. What is new is tried without a line here.

The pages are those that `console.app` answers; what stands in their addresses is the town's (`support.town.PARTS`).
"""

from collections.abc import Iterator
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.console.app import routes
from ostiary.console.visit import Route
from ostiary.errors import Denied
from ostiary.ops import audit
from ostiary.ops.caller import Caller
from support.systems import ADMIN
from support.town import Town, a_town

OPEN = [route for route in routes() if route.public]
CLOSED = [route for route in routes() if not route.public]
_SEEN = {200, 303, 409}  # a page may say that there is nothing to be asked any more


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with a_town(tmp_path_factory.mktemp("town")) as built:
        yield built


@pytest.fixture(scope="module")
def people(town: Town) -> Iterator[dict[str, Visitor]]:
    """One of each role, and somebody who is not signed in."""
    admin = Visitor(town.system, ADMIN)
    found = {"admin": admin, "stranger": Visitor(town.system, None)}
    found |= {role: admin.another(f"some {role}", role) for role in ("operator", "auditor")}
    yield found
    for one in found.values():
        one.__exit__(None, None, None)


def may(role: str, action: str) -> bool:
    try:
        Caller("somebody", role).must(action)
    except Denied:
        return False
    return True


def tried(town: Town, method: str | None = None) -> Iterator[tuple[Route, str]]:
    """Each route that is not open to everybody, and its address with things of the town in it."""
    for route in CLOSED:
        filled = town.filled(route.path)
        if filled is not None and method in {None, route.method}:
            yield route, filled


def pages_of(town: Town, visitor: Visitor, role: str) -> Iterator[tuple[str, Page]]:
    """Each page that a role may look at; what is a file, or a piece of a page, is none."""
    for route, place in tried(town, "GET"):
        if not route.is_live and may(role, route.may):
            page = visitor.get(place)
            if page.reply.headers["content-type"].startswith("text/html") and "<body" in page.reply.text:
                yield route.path, page


def on_record(town: Town) -> tuple[int, int]:
    """What nobody who may change nothing moves."""
    with town.system.store.read() as reader:
        return reader.revision(), reader.audit_head()[0]


def csrf(visitor: Visitor) -> str:
    return visitor.get("/console/balancers").form("/console/sign-out").values("csrf")[0]


def test_every_route_says_what_one_must_be_allowed_to_do() -> None:
    assert [route.path for route in CLOSED if not route.may] == []
    assert {route.path for route in OPEN} == {
        "/console/sign-in",
        "/console/sign-in/certificate",
        "/console/sign-in/{link}",
        "/console/preferences",
    }


def expected(role: str, route: Route) -> set[int]:
    if not may(role, route.may):
        return {403}
    # Of sessions, those who may not see to others' are not even told which there are.
    return {404} if "{session_id}" in route.path and not may(role, "session:others") else _SEEN


def test_the_town_has_something_for_every_address(town: Town) -> None:
    """Say in `support.town.PARTS` which thing of the town fills in the parts of a new one."""
    assert [route.path for route in CLOSED if town.filled(route.path) is None] == []


@pytest.mark.parametrize("role", ["auditor", "operator", "admin"])
def test_each_role_sees_what_it_may_and_is_told_when_it_may_not(town: Town, people: dict[str, Visitor], role: str) -> None:
    wrong = []
    for route, place in tried(town, "GET"):
        if not route.is_live or not may(role, route.may):
            reply = people[role].raw("GET", place)
            if reply.status_code not in expected(role, route):
                wrong.append((route.path, route.may, reply.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_what_a_role_may_not_do_is_refused_and_leaves_no_trace(town: Town, people: dict[str, Visitor], role: str) -> None:
    wrong, before = [], on_record(town)
    proof = csrf(people[role])
    for route, place in tried(town, "POST"):
        if not may(role, route.may):
            reply = people[role].raw("POST", place, data={"csrf": proof})
            if reply.status_code != 403 or "may not" not in reply.text:
                wrong.append((route.path, route.may, reply.status_code))
    assert wrong == []
    assert on_record(town) == before


def test_an_auditor_may_do_nothing_that_changes_anything() -> None:
    allowed = {route.path for route in CLOSED if route.method == "POST" and may("auditor", route.may)}
    assert allowed == {
        "/console/sign-out",
        "/console/audit/report",  # it is on record, and changes nothing
        "/console/reviews/create",
        "/console/break-glass/{glass_id}/review",  # likewise, and no configuration
        "/console/audit/verification",
        "/console/people/sessions/end-all",
        "/console/people/sessions/{session_id}/end",
        "/console/access/test",  # asks, and does nothing
        *(path for path in allowed if path == "/console/explain"),
    }


@pytest.mark.parametrize("role", ["auditor", "operator", "admin"])
def test_a_page_offers_nothing_that_its_reader_may_not_do(town: Town, people: dict[str, Visitor], role: str) -> None:
    wrong = []
    for path, page in pages_of(town, people[role], role):
        wrong += [(path, place) for place in offered(page.root) if not allowed_there(role, *place)]
    assert wrong == []


def test_every_link_and_form_leads_somewhere(town: Town, people: dict[str, Visitor]) -> None:
    found = {place for _path, page in pages_of(town, people["admin"], "admin") for place in offered(page.root)}
    assert sorted(place for place in found if leads_to(*place) is None) == []


def offered(root: Any) -> Iterator[tuple[str, str]]:
    """Where its links, and the buttons of its forms, lead to in the console."""
    places = {("GET", one.attrs.get("href", "")) for one in root.every("a")}
    for form in root.every("form"):
        for button in form.every("button"):
            if button.attrs.get("type", "submit") == "submit" and "disabled" not in button.attrs:
                method = button.attrs.get("formmethod", form.attrs.get("method", "get"))
                places.add((method.upper(), button.attrs.get("formaction", form.attrs.get("action", ""))))
    for method, place in places:
        path = place.partition("?")[0].partition("#")[0]
        if path.startswith("/console/"):
            yield method, path


def leads_to(method: str, path: str) -> Route | None:
    return next((one for one in routes() if one.method == method and fits(one.path, path)), None)


def allowed_there(role: str, method: str, path: str) -> bool:
    route = leads_to(method, path)
    return route is None or route.public or may(role, route.may)


def fits(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(w == g or w.startswith("{") for w, g in zip(wanted, given, strict=True))


def test_a_stranger_is_sent_to_sign_in_from_every_page_and_action(town: Town, people: dict[str, Visitor]) -> None:
    wrong, before = [], on_record(town)
    for route, place in tried(town):
        reply = people["stranger"].raw(route.method, place, data={"x": "y"} if route.method == "POST" else None)
        if reply.status_code != 303 or not reply.headers["location"].startswith("/console/sign-in"):
            wrong.append((route.method, route.path, reply.status_code))
    assert wrong == []
    assert on_record(town) == before


@pytest.mark.parametrize("proof", [None, "", "0" * 64])
def test_no_form_is_taken_without_what_our_page_puts_into_it(town: Town, people: dict[str, Visitor], proof: str | None) -> None:
    wrong, before = [], on_record(town)
    data = {"name": "x", **({} if proof is None else {"csrf": proof})}
    for route, place in tried(town, "POST"):
        reply = people["admin"].raw("POST", place, data=data)
        if reply.status_code != 403 or "open the page anew" not in reply.text:
            wrong.append((route.path, reply.status_code))
    assert wrong == []
    assert on_record(town) == before


def test_every_form_of_every_page_carries_it(town: Town, people: dict[str, Visitor]) -> None:
    """So that nothing that is offered is refused for want of it."""
    missing = []
    for path, page in pages_of(town, people["admin"], "admin"):
        for form in page.root.every("form", method="post"):
            place = form.attrs.get("action", "")
            is_open = any(fits(one.path, place.partition("?")[0]) for one in OPEN)
            if not is_open and not form.every("input", name="csrf"):
                missing.append((path, place))
    assert missing == []


def test_what_was_refused_is_still_a_whole_record(town: Town) -> None:
    assert audit.verify(town.system, ADMIN).problem is None
