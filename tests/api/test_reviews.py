"""/v1/reviews and /v1/audit/report: a review is signed off once and for all, and a pack is handed to who may have it."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from api.client import Client
from ostiary.api.openapi import routes
from ostiary.clock import now
from ostiary.model.token import NewToken
from ostiary.ops import tokens
from support.systems import ADMIN

PATH = "/v1/reviews"
REPORT = "/v1/audit/report"
NOW = now()


def wanted(**other: Any) -> dict[str, Any]:
    period = {"from": f"{NOW - timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}", "to": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}
    return {"review": {"subject": "access", **period, "note": "with both leads", "findings": "none", **other}}


def a_role(client: Client, role: str) -> dict[str, str]:
    """What somebody of this role shows."""
    _token, secret = tokens.create(client.system, ADMIN, NewToken(name=f"some {role}", role=role, expires_in=timedelta(days=1)))  # type: ignore[arg-type]  # a parameter
    return {"X-Auth-Token": bytes(secret).decode()}


def test_a_review_tells_who_signed_it_and_what_there_was(client: Client) -> None:
    reply = client.post(PATH, wanted(), headers=a_role(client, "auditor"))
    assert reply.status_code == 201, reply.text
    review = reply.json()["review"]
    assert (review["reviewed_by"], review["role"], review["subject"]) == ("some auditor", "auditor", "access")
    assert (review["note"], review["findings"]) == ("with both leads", "none")
    assert (review["from"], review["to"]) == (wanted()["review"]["from"], wanted()["review"]["to"])
    assert review["seen"]["access_tokens"] == 1
    before, entry = client.get("/v1/audit?limit=1000").json()["audit"][-2:]
    assert (review["at_entry"], review["at_hash"]) == (before["sequence"], before["hash"])
    assert (entry["action"], entry["actor"], entry["after"]["findings"]) == ("review:create", "some auditor", "none")
    assert client.get(f"{PATH}/{review['id']}").json()["review"] == review
    assert client.get(PATH).json()["reviews"] == [review]


def test_it_is_said_which_are_due(client: Client) -> None:
    due = {one["subject"]: one for one in client.get(PATH).json()["reviews_due"]}
    assert [one["is_due"] for one in due.values()] == [True, True, True]
    made = client.post(PATH, wanted(subject="refusals")).json()["review"]
    due = {one["subject"]: one for one in client.get(PATH).json()["reviews_due"]}
    assert [subject for subject, one in due.items() if one["is_due"]] == ["access", "exceptions"]
    assert due["refusals"]["last_review_id"] == made["id"]
    client.system.clock.advance(days=93)  # type: ignore[attr-defined]  # a clock of tests
    assert all(one["is_due"] for one in client.get(PATH).json()["reviews_due"])


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_nobody_changes_or_deletes_one(client: Client, method: str) -> None:
    made = client.post(PATH, wanted()).json()["review"]
    assert client.request(method, f"{PATH}/{made['id']}", wanted(findings="all is well")).status_code in {404, 405}
    assert client.get(f"{PATH}/{made['id']}").json()["review"] == made
    methods = {way for route in routes(client.app) if route.path.startswith(PATH) for way in route.methods or ()}
    assert methods == {"GET", "POST"}


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"to": f"{NOW + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"}, "to"),
        ({"to": f"{NOW - timedelta(days=91):%Y-%m-%dT%H:%M:%SZ}"}, "to"),
        ({"from": "1999-01-01T00:00:00Z"}, "from"),
        ({"from": "last year"}, "from"),
        ({"from": "2026-01-01T00:00:00"}, "from"),  # in which zone?
        ({"subject": "everything"}, "subject"),
        ({"note": "x" * 10_001}, "note"),
        ({"reviewed_by": "the boss"}, "reviewed_by"),
        ({"seen": {}}, "seen"),
    ],
)
def test_what_makes_no_sense_or_is_ours_to_say_is_refused(client: Client, other: dict[str, Any], field: str) -> None:
    reply = client.post(PATH, wanted(**other))
    assert reply.status_code == 400
    assert field in reply.json()["detail"]
    assert client.get(PATH).json()["reviews"] == []


def test_reviews_are_searched_a_page_at_a_time(client: Client) -> None:
    made = [client.post(PATH, wanted(subject=subject)).json()["review"]["id"] for subject in ("access", "refusals", "access")]
    assert [one["id"] for one in client.get(f"{PATH}?subject=access").json()["reviews"]] == [made[0], made[2]]
    page = client.get(f"{PATH}?limit=2&sort=created_at:desc").json()
    assert [one["id"] for one in page["reviews"]] == [made[2], made[1]]
    assert page["reviews_links"][0]["rel"] == "next"
    assert client.get(f"{PATH}/nothing").status_code == 404


def test_a_pack_is_sent_as_a_file_to_auditors_too(client: Client) -> None:
    client.post(PATH, wanted())
    query = f"framework=pci-4.0.1,soc2&from={NOW - timedelta(days=90):%Y-%m-%d}&to={NOW:%Y-%m-%d}"
    reply = client.get(f"{REPORT}?{query}", headers=a_role(client, "auditor"))
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/zip"
    assert reply.headers["content-disposition"].startswith('attachment; filename="ostiary-evidence-')
    assert reply.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as pack:
        manifest = json.loads(pack.read("manifest.json"))
        assert manifest["frameworks"] == ["pci-4.0.1", "soc2"]
        assert manifest["made_by"] == "some auditor"
        assert json.loads(pack.read("sections/reviews.json"))["rows"][-1]["findings"] == "none"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-01-01&to=2026-02-01", "framework"),
        ("framework=none&from=2026-01-01&to=2026-02-01", "framework"),
        ("framework=soc2&to=2026-02-01", "from"),
        ("framework=soc2&from=2026-02-01&to=2026-01-01", "from"),
        ("framework=soc2&from=2026-01-01&to=2026-02-01&record=perhaps", "record"),
        ("framework=soc2&from=2026-01-01&to=2026-02-01&out=/etc", "out"),
    ],
)
def test_what_a_pack_cannot_be_made_of_is_named(client: Client, query: str, field: str) -> None:
    reply = client.get(f"{REPORT}?{query}")
    assert reply.status_code == 400
    assert field in reply.json()["detail"]


def test_without_a_token_there_is_nothing(client: Client) -> None:
    for path in (PATH, f"{REPORT}?framework=soc2&from=2026-01-01&to=2026-02-01"):
        assert client.get(path, headers={"X-Auth-Token": "wrong"}).status_code == 401
