"""Client certificates in the console: search, look, say whose they are, take back."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from console.visitor import Visitor
from ostiary.console.certificates import details_live
from ostiary.console.visit import Visit
from ostiary.model.authority import Authority, Certificate, NewAuthority, NewCertificate, RequestedNames
from ostiary.model.revocation import Revoke
from ostiary.ops import authorities, certificates, revocation, sightings
from ostiary.pki.holder import new_key_and_request
from ostiary.store import tables
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.rows import to_row
from support.made import a_balancer, a_listener
from support.systems import ADMIN

HOSTILE = "<script>alert(1)</script>\"'&amp;"


@pytest.fixture
def ca(visitor: Visitor) -> Authority:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices", kind="root"))


def issued(visitor: Visitor, ca: Authority, who: str, **fields: Any) -> Certificate:
    _key, csr = new_key_and_request("somebody")
    names = RequestedNames(common_name=who, email=("x@example.test",))
    wanted = NewCertificate(authority_id=ca.id, csr=csr, names=names, owner=who, **fields)
    return certificates.issue(visitor.system, ADMIN, wanted)


def read(visitor: Visitor, one: Certificate) -> Certificate:
    return certificates.get(visitor.system, ADMIN, one.id)


def test_an_empty_list_says_what_certificates_are_for(visitor: Visitor) -> None:
    page = visitor.get("/console/certificates")
    assert "No client certificate yet" in page.text
    assert [link for link in page.root.every("a") if link.attrs["href"] == "/console/certificates/create"]


def test_the_list_shows_what_one_looks_for(visitor: Visitor, ca: Authority) -> None:
    issued(visitor, ca, "alice", groups=("field", "staff"), lifetime=timedelta(days=10))
    issued(visitor, ca, "bob")
    bob, alice = visitor.get("/console/certificates").rows()
    assert alice[0].startswith("alice")
    assert alice[1:4] == ["alice", "field, staff", "Valid"]
    assert "in 9 days" in alice[4]  # it ends soon, and that is said
    assert alice[5:] == ["never", "Devices"]
    assert bob[0].startswith("bob")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ALICE", {"alice"}),
        ("q=x%40example.test", {"alice", "bob"}),
        ("q=%25", set()),
        ("group=field", {"alice"}),
        ("owner=bob", {"bob"}),
        ("expires=10", {"alice"}),
        ("expires=60", {"alice"}),
        ("unseen=1", {"alice", "bob"}),
        ("seen=1", set()),
        ("status=REVOKED", set()),
        ("status=VALID", {"alice", "bob"}),
        ("status=nonsense", {"alice", "bob"}),
        ("profile=client", {"alice", "bob"}),
        ("authority=nobody", set()),
        ("sort=nonsense", {"alice", "bob"}),
        ("after=nobody", {"alice", "bob"}),
    ],
)
def test_it_is_searched_and_filtered(visitor: Visitor, ca: Authority, query: str, found: set[str]) -> None:
    issued(visitor, ca, "alice", groups=("field",), lifetime=timedelta(days=5))
    issued(visitor, ca, "bob", lifetime=timedelta(days=80))
    page = visitor.get(f"/console/certificates?{query}")
    assert page.status == 200
    assert {row[0].split()[0] for row in page.rows()} == found
    assert found or "No certificate is like this" in page.text


def test_it_is_found_by_serial_and_fingerprint_and_by_its_authority(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    issued(visitor, ca, "bob")
    for query in (f"q={one.serial}", f"q={one.fingerprint_sha256[:20]}"):
        (row,) = visitor.get(f"/console/certificates?{query}").rows()
        assert row[0].startswith("alice")
    assert len(visitor.get(f"/console/certificates?authority={ca.id}").rows()) == 2


def test_a_filter_that_makes_no_sense_is_said_beside_its_field_and_not_asked(visitor: Visitor, ca: Authority) -> None:
    issued(visitor, ca, "alice")
    page = visitor.get("/console/certificates?expires=soon&unseen=99999")
    assert page.error("expires") == page.error("unseen") == "must be a number of days, at most 36500"
    assert page.root.one("input", id="field-expires").attrs["value"] == "soon"
    assert len(page.rows()) == 1


def test_all_that_match_are_had_as_a_table(visitor: Visitor, ca: Authority) -> None:
    issued(visitor, ca, "alice", name="=1+1")
    issued(visitor, ca, "bob")
    page = visitor.get("/console/certificates?owner=alice")
    (link,) = [link.attrs["href"] for link in page.root.every("a") if "CSV" in link.text]
    reply = visitor.raw("GET", link)
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="certificates.csv"'
    (row,) = csv.DictReader(reply.text.splitlines())
    assert (row["subject"], row["owner"], row["status"], row["name"]) == ("CN=alice", "alice", "VALID", "'=1+1")
    assert row["not_after"].endswith("Z")


def test_the_details_page_tells_all(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice", groups=("field",))
    sighted(visitor, one)
    page = visitor.get(f"/console/certificates/{one.id}")
    for text in (one.serial, one.fingerprint_sha256, "EC P-256", "field", "email:x@example.test", "Devices", "192.0.2.0/24"):
        assert text in page.text, text
    addresses = [link.attrs["href"] for link in page.root.every("a")]
    assert f"/console/certificates/{one.id}/download?format=fullchain" in addresses
    assert f"/install?authority={ca.id}" in addresses


@pytest.mark.parametrize(
    ("form", "ending"),
    [("pem", ".pem"), ("fullchain", "-fullchain.pem"), ("der", ".der"), ("p7b", ".p7b"), ("mobileconfig", ".mobileconfig")],
)
def test_it_is_downloaded(visitor: Visitor, ca: Authority, form: str, ending: str) -> None:
    one = issued(visitor, ca, "alice")
    reply = visitor.raw("GET", f"/console/certificates/{one.id}/download?format={form}")
    assert reply.headers["content-disposition"] == f'attachment; filename="alice{ending}"'
    assert visitor.raw("GET", f"/console/certificates/{one.id}/download?format=exe").status_code == 400


def test_whose_it_is_is_said_anew(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice", groups=("field",))
    place = f"/console/certificates/{one.id}/edit"
    wrong = visitor.get(place).form(place).send(owner="x" * 256, groups="a\nb")
    assert wrong.status == 422
    assert "longer than 255" in wrong.error("owner")
    assert wrong.form(place).values("groups") == ["a\nb"]
    page = wrong.form(place).send(owner="Bob", name=HOSTILE)
    assert page.said == "alice was saved."
    now = read(visitor, one)
    assert (now.owner, now.groups, now.name) == ("Bob", ("a", "b"), HOSTILE)
    assert HOSTILE in page.text
    assert "<script>alert" not in page.reply.text
    form = visitor.get(place).form(place)
    form.fields = [(name, value) for name, value in form.fields if name == "csrf"]
    form.send(name="alice")
    assert read(visitor, one).groups == ("a", "b")  # what was not sent stays


def test_it_is_revoked_with_a_reason_and_whom_it_hits_is_said_before(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    sighted(visitor, one)
    place = f"/console/certificates/{one.id}/revoke"
    asked = visitor.get(place)
    told = asked.root.one("dialog").text
    assert "It was last let in by door, " in told
    assert "Connections that it has open are cut" in told
    assert len(asked.root.one("dialog").every("input", type="radio")) == 8
    for reason in ("because", "certificateHold", "removeFromCRL", ""):
        assert asked.form(place).send(reason=reason).error("reason") == "Choose why."
    future = asked.form(place).send(reason="keyCompromise", invalidity_date="2099-01-01T00:00")
    assert future.error("invalidity_date") == "it cannot be in the future"
    odd = asked.form(place).send(reason="keyCompromise", invalidity_date="yesterday")
    assert "is not a day and time" in odd.error("invalidity_date")
    assert read(visitor, one).revoked_at is None
    page = asked.form(place).send(reason="keyCompromise", invalidity_date="2020-02-03T04:05")
    assert page.said == "alice was revoked."
    now = read(visitor, one)
    assert now.revocation_reason == "keyCompromise"
    assert now.invalidity_date == datetime(2020, 2, 3, 4, 5, tzinfo=UTC)
    assert "The key is in other hands" in page.root.one("div", id="effects").text
    assert not [link for link in page.root.every("a") if link.text in {"Revoke", "Renew", "Put on hold"}]


def test_the_date_is_only_for_a_key_in_other_hands(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    place = f"/console/certificates/{one.id}/revoke"
    visitor.get(place).form(place).send(reason="superseded", invalidity_date="2020-02-03T04:05")
    assert (read(visitor, one).revocation_reason, read(visitor, one).invalidity_date) == ("superseded", None)
    again = visitor.get(place).form(place).send(reason="unspecified")
    assert again.status == 422
    assert "was revoked (superseded)" in again.error("reason")


def test_it_is_put_on_hold_and_released(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    at = f"/console/certificates/{one.id}"
    early = visitor.post(f"{at}/release", [("csrf", visitor.get(at).root.every("input", name="csrf")[0].attrs["value"])])
    assert early.status == 409
    assert "is not on hold" in early.root.one("p", role="alert").text
    held = visitor.get(f"{at}/hold").form(f"{at}/hold").send()
    assert held.said == "alice is on hold."
    assert held.root.one("span", id="state").text == "On hold"
    assert {"Release", "Revoke"} <= {link.text for link in held.root.every("a")}
    free = visitor.get(f"{at}/release").form(f"{at}/release").send()
    assert free.said == "alice was released."
    assert read(visitor, one).revoked_at is None


def test_many_are_counted_before_they_are_revoked(visitor: Visitor, ca: Authority) -> None:
    place = "/console/certificates/revoke"
    for name in ("alice", "bob", "carol"):
        issued(visitor, ca, name, groups=("contractors",))
    issued(visitor, ca, "dave")
    nothing = visitor.get(f"{place}?count=1")
    assert nothing.status == 422
    assert "Say which: choose at least one." in nothing.text
    wrong = visitor.get(f"{place}?count=1&issued_after=never&owner={'x' * 255}")
    assert "is not a day and time" in wrong.error("issued_after")
    none = visitor.get(f"{place}?count=1&group=nobody")
    assert "0 certificates match" in none.text
    assert none.root.every("form", method="post", action=place) == []
    counted = visitor.get(f"{place}?count=1&group=contractors&authority_id={ca.id}")
    assert "3 certificates match that are not revoked yet" in counted.text
    assert [row[0].split()[0] for row in counted.rows()] == ["alice", "bob", "carol"]
    form = counted.form(place)
    for confirm in ("", "4", "three"):
        refused = form.send(reason="cessationOfOperation", confirm=confirm)
        assert refused.status == 422
        assert refused.error("confirm")
        assert refused.form(place).values("group") == ["contractors"]
        assert refused.root.one("input", type="radio", value="cessationOfOperation").attrs.get("checked") is not None
    assert form.send(reason="because", confirm="3").error("reason") == "Choose why."
    assert "0 certificates" not in visitor.get("/console/certificates?status=REVOKED").text
    issued(visitor, ca, "erin", groups=("contractors",))
    late = form.send(reason="superseded", confirm="3")
    assert late.status == 422
    assert "4 certificates match now, not 3" in late.text
    done = late.form(place).send(reason="superseded", confirm="4")
    assert done.said == "4 certificates were revoked."
    assert {row[0].split()[0] for row in done.rows()} == {"alice", "bob", "carol", "erin"}


def test_an_auditor_sees_and_cannot(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    at = f"/console/certificates/{one.id}"
    with visitor.another("olga", "auditor") as olga:
        page = olga.get(at)
        assert page.status == 200
        assert not {"Revoke", "Renew", "Edit", "Put on hold"} & {link.text for link in page.root.every("a")}
        assert "Revoke many" not in olga.get("/console/certificates").text
        for verb in ("edit", "revoke", "hold", "release", "renew"):
            assert olga.get(f"{at}/{verb}").status == 403
        assert olga.get("/console/certificates/revoke").status == 403
        csrf = page.root.every("input", name="csrf")[0].attrs["value"]
        assert olga.post(f"{at}/revoke", [("csrf", csrf), ("reason", "unspecified")]).status == 403
        assert olga.raw("GET", "/console/certificates.csv").status_code == 200
    assert read(visitor, one).revoked_at is None


def test_what_is_not_there_is_said(visitor: Visitor) -> None:
    for verb in ("", "/edit", "/revoke", "/hold", "/release", "/renew", "/download"):
        assert visitor.get(f"/console/certificates/nobody{verb}").status == 404


@pytest.mark.parametrize("name", [HOSTILE, "Nguyễn Thị Minh Khai", "x" * 255, "%s%(name)s{{ 7*7 }}"])
def test_names_are_only_text_wherever_they_are_shown(visitor: Visitor, ca: Authority, name: str) -> None:
    one = issued(visitor, ca, "alice", name=name, groups=(name,))
    certificates.update(visitor.system, ADMIN, one.id, {"owner": name})
    at = f"/console/certificates/{one.id}"
    for place in (
        "/console/certificates",
        at,
        f"{at}/edit",
        f"{at}/revoke",
        f"{at}/hold",
        "/console/certificates/revoke?group=x&count=1",
    ):
        page = visitor.get(place)
        assert page.status == 200
        assert "<script>alert" not in page.reply.text
        assert name in page.text or "revoke?" in place
    revoked = visitor.get(f"{at}/revoke").form(f"{at}/revoke").send(reason="superseded")
    assert name in revoked.said


def test_ten_thousand_certificates_are_asked_for_in_as_few_statements_as_sixty(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    places = (
        "/console/certificates",
        "/console/certificates?q=device-7&status=VALID&expires=90&sort=expires",
        f"/console/certificates?authority={ca.id}&sort=seen",
        "/console/authorities",
        "/console/expiring?days=60",
        f"/console/certificates/{one.id}",
        f"/console/authorities/{ca.id}",
        "/console/certificates/revoke?count=1&group=all",
    )

    def asked() -> dict[str, int]:
        counts = {}
        for place in places:
            with statements(visitor) as said:
                page = visitor.get(place)
            assert page.status == 200
            assert len(page.reply.content) < 100_000, place
            counts[place] = len(said)
        return counts

    copied(visitor, one, range(60))
    visitor.get("/console/expiring?days=60")  # the warnings beside it are those of the last round, a minute ago
    few = asked()
    copied(visitor, one, range(60, 10_000))
    many = asked()
    # Where to look is tried in up to two places, the smaller first, before all are looked at (`store.few`).
    assert all(few[place] <= many[place] <= few[place] + 3 for place in places), (few, many)
    assert max(few.values()) <= 30, few
    assert len(visitor.get("/console/certificates").rows()) == 50


def copied(visitor: Visitor, one: Certificate, numbers: range) -> None:
    """A certificate for each of these, each with a name, serial number and fingerprint of its own."""
    row = to_row(CERTIFICATE, one)

    def another(number: int) -> dict[str, Any]:
        digits = f"{number:040x}"
        its = {"id": f"copy-{number}", "name": f"device-{number}", "serial": digits, "fingerprint_sha256": digits + "0" * 24}
        return {**row, **its, "key_sha256": digits, "groups": ["all"]}

    visitor.system.store.record(
        lambda facts: facts.connection.execute(tables.certificates.insert(), [another(number) for number in numbers])
    )


@contextmanager
def statements(visitor: Visitor) -> Iterator[list[str]]:
    """The SQL that is sent meanwhile."""
    said: list[str] = []
    engine = visitor.system.store._engine  # there is no other way to listen

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


def sighted(visitor: Visitor, one: Certificate) -> None:
    """It was let in at a listener called door, a moment ago."""
    balancer = a_balancer(visitor.system)
    listener = a_listener(visitor.system, balancer, name="door")
    at = visitor.system.clock().isoformat()
    entry = {
        "fingerprint_sha256": one.fingerprint_sha256,
        "listener_id": listener.id,
        "first_seen": at,
        "last_seen": at,
        "requests": 3,
        "addresses": {"192.0.2.0/24": at},
    }
    told = {"sequence": 1, "sightings": [entry], "certificates": {}}
    assert sightings.seen(visitor.system, "gateway-1", told) == 0


def test_what_changes_is_told_to_who_looks(visitor: Visitor, ca: Authority) -> None:
    one = issued(visitor, ca, "alice")
    page = visitor.get(f"/console/certificates/{one.id}")
    assert page.root.every("div", **{"data-live": f"/console/certificates/{one.id}/live"})
    visit = Visit(visitor.system, ADMIN, visitor.system.clock(), path={"certificate_id": one.id})
    before = details_live(visit)
    assert 'id="state"' in before
    revocation.revoke(visitor.system, ADMIN, one.id, Revoke(reason="superseded"))
    after = details_live(visit)
    assert "Revoked" in after
    assert "No gateway has confirmed it yet." in after
