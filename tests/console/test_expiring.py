"""What ends soon, in the console."""

import itertools
from datetime import timedelta

import pytest

from console.visitor import Element, Page, Visitor
from ostiary.model.authority import Authority, Certificate, NewAuthority, NewCertificate, RequestedNames
from ostiary.model.revocation import Revoke
from ostiary.ops import authorities, certificates, revocation, sightings
from ostiary.pki.holder import new_key_and_request
from support.systems import ADMIN

HOME = "/console/expiring"
_BATCHES = itertools.count(1)  # each is told once, in order


@pytest.fixture
def ca(visitor: Visitor) -> Authority:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices", kind="root"))


def issue(visitor: Visitor, ca: Authority, name: str, days: float) -> Certificate:
    _key, csr = new_key_and_request(name)
    names = RequestedNames(common_name=name)
    wanted = NewCertificate(authority_id=ca.id, csr=csr, names=names, lifetime=timedelta(days=days))
    return certificates.issue(visitor.system, ADMIN, wanted)


def see(visitor: Visitor, one: Certificate, days_ago: float = 0) -> None:
    at = (visitor.system.clock() - timedelta(days=days_ago)).isoformat()
    entry = {
        "fingerprint_sha256": one.fingerprint_sha256,
        "serial": one.serial,
        "listener_id": "door",
        "first_seen": at,
        "last_seen": at,
        "requests": 1,
        "not_after": None,
        "addresses": {},
    }
    told = {"sequence": next(_BATCHES), "sightings": [entry], "certificates": {}}
    assert sightings.seen(visitor.system, "gateway-1", told) == 0


def part(page: Page, begins: str) -> list[str]:
    """The names in the table under this heading."""
    within: list[str] = []
    is_in = False
    for one in page.root.one("main").inside:
        if isinstance(one, Element) and one.tag == "h2":
            is_in = one.text.startswith(begins)
        elif isinstance(one, Element) and is_in:
            within += [cell.every("a")[0].text for cell in one.every("th", scope="row")]
    return within


def test_those_in_use_come_first_the_first_to_end_first(visitor: Visitor, ca: Authority) -> None:
    late, soon, idle = issue(visitor, ca, "late", 20), issue(visitor, ca, "soon", 3), issue(visitor, ca, "idle", 2)
    gone = issue(visitor, ca, "gone", 5)
    issue(visitor, ca, "far", 90)
    revocation.revoke(visitor.system, ADMIN, gone.id, Revoke())
    see(visitor, late)
    see(visitor, soon, days_ago=29)
    see(visitor, idle, days_ago=31)
    page = visitor.get(HOME)
    assert part(page, "In use") == ["soon", "late"]
    assert part(page, "Not seen") == ["idle"]
    counts = [link.text for link in page.root.one("nav", class_="tabs").every("a")]
    assert counts == ["Within 60 days 3", "Within 30 days 3", "Within 14 days 2", "Within 7 days 2", "Within 1 day 0"]
    assert part(visitor.get(f"{HOME}?days=7"), "In use") == ["soon"]
    assert visitor.get(f"{HOME}?days=<b>").status == 200


def test_authorities_that_end_are_there_too(visitor: Visitor, ca: Authority) -> None:
    short = NewAuthority(name="Short", kind="intermediate", parent_id=ca.id, lifetime_days=5)
    authorities.create(visitor.system, ADMIN, short)
    page = visitor.get(f"{HOME}?days=7")
    assert part(page, "CA certificates") == ["Short"]
    assert "No CA certificate expires by then" in visitor.get(f"{HOME}?days=1").text
    assert [link for link in page.root.every("a") if link.attrs["href"] == "/console/server-certificates"]


def test_it_is_in_the_navigation_and_empty_where_nothing_ends(visitor: Visitor) -> None:
    page = visitor.get(HOME)
    (link,) = [link for link in page.root.one("nav", **{"aria-label": "Console"}).every("a") if link.text == "Expiring"]
    assert link.attrs["aria-current"] == "page"
    assert page.text.count("There is none.") == 2


def test_many_are_shown_in_part_with_the_way_to_all(visitor: Visitor, ca: Authority) -> None:
    for number in range(26):
        issue(visitor, ca, f"device-{number}", 1 + number / 10)
    page = visitor.get(HOME)
    assert len(part(page, "Not seen")) == 25
    (link,) = [link.attrs["href"] for link in page.root.every("a") if link.text == "Show all"]
    assert len(visitor.get(link).rows()) == 26
