"""/v1/rehearsals: who would have been refused and why, and whom a change would shut out."""

from typing import Any

from api.client import Client
from ostiary.access.words import FIXES
from ostiary.api.rehearsals import RehearsalList, RehearsalPreviewReply, RehearsalReply
from ostiary.model.listener import Listener
from ostiary.ops import rehearsals
from support.certs import Authority
from support.made import a_balancer, a_listener, a_secret

PATH = "/v1/rehearsals"


def a_rehearsal(client: Client) -> Listener:
    trusted = a_secret(client.system, Authority.root("root").cert_pem)
    return a_listener(
        client.system, a_balancer(client.system), client_authentication="REHEARSAL", client_ca_tls_container_ref=trusted
    )


def told(client: Client, listener: Listener, *entries: dict[str, Any]) -> None:
    at = client.system.clock().isoformat()
    usual = {
        "listener_id": listener.id,
        "stage": "request",
        "rule_id": "",
        "trust_revision": listener.trust_revision,
        "first": at,
        "last": at,
        "count": 2,
        "addresses": ["192.0.2.1"],
    }
    example = {"client": "192.0.2.1", "host": "a.test", "method": "GET", "path": "/a"}
    assert not rehearsals.rehearsed(
        client.system, "g1", {"sequence": 1, "denials": [{**usual, "example": example, **one} for one in entries]}
    )


def test_a_rehearsal_is_shown_with_who_would_have_been_refused_and_what_to_do(client: Client) -> None:
    listener = a_rehearsal(client)
    told(client, listener, {"code": "no_certificate", "who": "192.0.2.1"}, {"code": "allowed", "who": "a" * 64})
    one = RehearsalReply.model_validate_json(client.get(f"{PATH}/{listener.id}").content).rehearsal
    assert (one.listener_name, one.scope, one.clients, one.requests) == ("door", "LISTENER", 2, 4)
    assert (one.would_be_admitted.clients, one.would_be_refused.clients) == (1, 1)
    (refusal,) = one.refusals
    assert refusal.model_dump(exclude={"first", "last"}) == {
        "code": "no_certificate",
        "fix": FIXES["no_certificate"],
        "access_rule_id": None,
        "access_rule_name": None,
        "count": 2,
        "client": "192.0.2.1",
        "addresses": ("192.0.2.1",),
        "certificate": None,
        "example": {"host": "a.test", "method": "GET", "path": "/a"},
        "summed": False,
    }
    (listed,) = RehearsalList.model_validate_json(client.get(PATH).content).rehearsals
    assert (listed.listener_id, listed.last_24_hours.would_be_refused) == (listener.id, 1)


def test_a_preview_says_whom_a_change_would_shut_out(client: Client) -> None:
    listener = a_rehearsal(client)
    told(client, listener, {"code": "no_certificate", "who": "192.0.2.1"})
    answer = client.get(f"{PATH}/{listener.id}/preview?client_authentication=MANDATORY")
    preview = RehearsalPreviewReply.model_validate_json(answer.content).preview
    assert (preview.clients, preview.would_be_refused, preview.some[0].code) == (1, 1, "no_certificate")


def test_before_anybody_came_and_where_nothing_is_rehearsed(client: Client) -> None:
    assert client.get(PATH).json() == {"rehearsals": []}
    listener = a_rehearsal(client)
    found = client.get(f"{PATH}/{listener.id}").json()["rehearsal"]
    assert (found["clients"], found["refusals"], found["last_would_be_refusal"]) == (0, [], None)
    other = a_listener(client.system, a_balancer(client.system, vip_address="127.0.0.2"))
    assert client.get(f"{PATH}/{other.id}").status_code == 409
    assert client.get(f"{PATH}/none").status_code == 404
    for bad in ("?limit=x", "?what=1"):
        assert client.get(f"{PATH}/{listener.id}{bad}").status_code == 400
    for bad in ("", "?client_authentication=SOME", "?access_rule_id=none", "?client_authentication=MANDATORY&access_rule_id=r"):
        assert client.get(f"{PATH}/{listener.id}/preview{bad}").status_code == 400
