"""The record and the history: what was done is told, proven, and can be undone."""

from typing import Any

import pytest

from api.client import Client
from api.nouns import LB, a_balancer, a_listener
from ostiary.api.audit import AuditList, VerificationReply
from ostiary.api.revisions import Reverted, RevisionList, RevisionReply


def test_each_change_is_one_revision_that_tells_what_it_changed(client: Client) -> None:
    balancer = a_balancer(client, name="a")
    client.put(f"{LB}/loadbalancers/{balancer['id']}", {"loadbalancer": {"name": "b"}})
    listed = RevisionList.model_validate_json(client.get("/v1/revisions").content)
    assert [(one.number, one.action, one.actor) for one in listed.revisions] == [
        (2, "loadbalancer:update", "admin"),
        (1, "loadbalancer:create", "admin"),
    ]
    shown = RevisionReply.model_validate_json(client.get("/v1/revisions/2").content).revision
    (change,) = shown.changes
    assert change.before is not None
    assert change.after is not None
    assert (change.kind, change.before["name"], change.after["name"]) == ("loadbalancer", "a", "b")


def test_reading_and_refusals_make_no_revision(client: Client) -> None:
    balancer = a_balancer(client)
    before = client.revision()
    client.get(f"{LB}/loadbalancers")
    client.get(f"{LB}/loadbalancers/{balancer['id']}/statuses")
    client.put(f"{LB}/loadbalancers/{balancer['id']}", {"loadbalancer": {"name": 7}})
    client.delete(f"{LB}/loadbalancers/none")
    assert client.revision() == before


def test_a_revert_puts_things_back_and_is_itself_a_revision(client: Client) -> None:
    balancer = a_balancer(client, name="a")
    one = f"{LB}/loadbalancers/{balancer['id']}"
    client.put(one, {"loadbalancer": {"name": "b"}})
    reply = client.post("/v1/revisions/1/revert")
    assert reply.status_code == 200
    assert Reverted.model_validate_json(reply.content).revision.number == 3
    assert client.get(one).json()["loadbalancer"]["name"] == "a"
    assert client.post("/v1/revisions/0/revert").status_code == 200
    assert client.get(one).status_code == 404


@pytest.mark.parametrize("number", ["99", "none", "-1", "1.0", "9" * 30, "٣"])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/revert")])
def test_a_revision_that_is_not_there_is_not_found(client: Client, method: str, end: str, number: str) -> None:
    reply = client.request(method, f"/v1/revisions/{number}{end}")
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert reply.json()["detail"].endswith("not found.")


def test_history_is_paged(client: Client) -> None:
    for _ in range(5):
        a_balancer(client)
    seen, path = [], "/v1/revisions?limit=2"
    while path:
        reply = client.get(path).json()
        seen += [one["number"] for one in reply["revisions"]]
        path = next((link["href"] for link in reply["revisions_links"]), "")
    assert seen == [5, 4, 3, 2, 1]


def test_the_record_tells_who_did_what_from_where(client: Client) -> None:
    reply = client.post(f"{LB}/loadbalancers", {"loadbalancer": {"vip_address": "127.0.0.1"}})
    (entry,) = AuditList.model_validate_json(client.get("/v1/audit").content).audit
    assert (entry.sequence, entry.actor, entry.role, entry.source) == (1, "admin", "admin", "192.0.2.7")
    assert (entry.action, entry.kind, entry.resource_id) == (
        "loadbalancer:create",
        "loadbalancer",
        reply.json()["loadbalancer"]["id"],
    )
    assert entry.request_id == reply.headers["x-openstack-request-id"]


def test_the_record_is_paged_both_ways(client: Client) -> None:
    for _ in range(5):
        a_balancer(client)
    seen, path = [], "/v1/audit?limit=2"
    while path:
        reply = client.get(path).json()
        seen += [entry["sequence"] for entry in reply["audit"]]
        path = next((link["href"] for link in reply["audit_links"]), "")
    assert seen == [1, 2, 3, 4, 5]
    latest = client.get("/v1/audit?limit=2&order=desc").json()["audit"]
    assert [entry["sequence"] for entry in latest] == [5, 4]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/audit?limit=x", "limit"),
        ("/v1/audit?after=-1", "after"),
        ("/v1/audit?order=up", "order"),
        ("/v1/audit?colour=red", "colour"),
        ("/v1/revisions?limit=x", "limit"),
        ("/v1/revisions?before=x", "before"),
        ("/v1/revisions?colour=red", "colour"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client: Client, path: str, field: str) -> None:
    reply = client.get(path)
    assert (reply.status_code, reply.json()["field"]) == (400, field)


def test_the_record_is_proven_whole(client: Client) -> None:
    a_listener(client)
    shown: Any = VerificationReply.model_validate_json(client.get("/v1/audit/verify").content).verification
    assert shown.problem is None
    assert shown.entries == len(client.get("/v1/audit").json()["audit"])
    assert shown.head_hash == client.get("/v1/audit?order=desc&limit=1").json()["audit"][0]["hash"]
