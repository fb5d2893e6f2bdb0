"""Each load-balancing noun: create, read, update, delete, and what is refused."""

from typing import Any

import pytest

from api.client import Client
from api.nouns import LB, NOUNS, Noun, a_balancer, a_listener, a_member, a_pool, made
from ostiary.api import balancers, listeners, members, monitors, pools

SHAPES: dict[str, Any] = {
    "loadbalancer": balancers.NOUN,
    "listener": listeners.NOUN,
    "pool": pools.NOUN,
    "member": members.NOUN,
    "healthmonitor": monitors.NOUN,
}
each_noun = pytest.mark.parametrize("noun", NOUNS, ids=str)


def refused(reply: Any, status: int, words: str) -> None:
    """Octavia's form of an error, saying these words."""
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json"), reply.text
    body = reply.json()
    assert set(body) == {"faultcode", "faultstring", "debuginfo"}
    assert body["faultcode"] == "Client"
    assert words in body["faultstring"]


@each_noun
def test_what_is_created_can_be_read_changed_and_deleted(client: Client, noun: Noun) -> None:
    path = noun.path(client)
    created = made(client, path, noun.one, name="first", **noun.new(client))
    one = f"{path}/{created['id']}"
    assert client.get(one).json() == {noun.one: created}
    assert client.get(path).json() == {noun.many: [created], f"{noun.many}_links": []}

    changed = client.put(one, {noun.one: noun.change})
    assert changed.status_code == 200
    differing = {name for name, value in changed.json()[noun.one].items() if created[name] != value}
    assert differing == {*noun.change, "updated_at", "revision", "provisioning_status"}
    assert noun.change.items() <= client.get(one).json()[noun.one].items()

    gone = client.delete(one)
    assert (gone.status_code, gone.content) == (204, b"")
    refused(client.get(one), 404, f"{created['id']} not found.")
    refused(client.delete(one), 404, "not found.")
    assert client.get(path).json()[noun.many] == []


@each_noun
def test_a_reply_is_what_the_schema_says(client: Client, noun: Noun) -> None:
    path, shape = noun.path(client), SHAPES[noun.one]
    created = client.post(path, {noun.one: noun.new(client)})
    shape.reply.model_validate_json(created.content)
    shape.list_reply.model_validate_json(client.get(path).content)
    assert set(created.json()[noun.one]) == set(shape.item.model_fields)


@each_noun
def test_times_are_written_as_openstack_does(client: Client, noun: Noun) -> None:
    created = made(client, noun.path(client), noun.one, **noun.new(client))
    assert len(created["created_at"]) == len("2017-02-28T00:42:44")
    assert created["updated_at"] is None


@each_noun
@pytest.mark.parametrize("prefix", ["/v2.0/lbaas", "/v2/v2.0/lbaas"])
def test_other_spellings_of_the_path_answer_alike(client: Client, noun: Noun, prefix: str) -> None:
    path = noun.path(client)
    created = made(client, path, noun.one, **noun.new(client))
    respelled = path.replace(LB, prefix)
    assert client.get(f"{respelled}/{created['id']}/").json() == {noun.one: created}


@each_noun
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"colour": "red"}, "colour: is not a known field"),
        ({"name": 7}, "name: must be text"),
        ({"name": "a\nb"}, "name: control characters are not allowed"),
        ({"name": "x" * 256}, "name: "),
        ({"admin_state_up": 1}, "admin_state_up: must be true or false"),
        ({"admin_state_up": "true"}, "admin_state_up: must be true or false"),
        ({"tags": "blue"}, "tags: must be a list"),
        ({"tags": [1]}, "tags.0: must be text"),
        ({"id": "mine"}, "id: is set by ostiary"),
        ({"revision": 7}, "revision: is set by ostiary"),
        ({"created_at": "2017-02-28T00:42:44"}, "created_at: is set by ostiary"),
        ({"project_id": "a", "tenant_id": "b"}, "tenant_id: differs from project_id"),
    ],
)
def test_bad_fields_are_refused_by_name_and_nothing_changes(
    client: Client, noun: Noun, fields: dict[str, Any], words: str
) -> None:
    path, new = noun.path(client), noun.new(client)
    revision = client.revision()
    refused(client.post(path, {noun.one: {**new, **fields}}), 400, words)
    assert client.revision() == revision


@each_noun
def test_a_bad_change_is_refused_and_nothing_changes(client: Client, noun: Noun) -> None:
    path = noun.path(client)
    created = made(client, path, noun.one, **noun.new(client))
    one, revision = f"{path}/{created['id']}", client.revision()
    for fields, words in (
        ({"colour": "red"}, "colour: is not a known field"),
        ({"id": "mine"}, "id: is set by ostiary"),
        ({"project_id": "a"}, "project_id: cannot be changed"),
        ({"name": 7}, "name: must be text"),
    ):
        refused(client.put(one, {noun.one: fields}), 400, words)
    assert client.revision() == revision
    assert client.get(one).json()[noun.one] == created


@each_noun
def test_null_puts_a_field_back_to_its_default(client: Client, noun: Noun) -> None:
    path = noun.path(client)
    created = made(client, path, noun.one, **noun.new(client), description="a note", tags=["a"], admin_state_up=False)
    one = f"{path}/{created['id']}"
    reset = client.put(one, {noun.one: {"description": None, "tags": None, "admin_state_up": None}}).json()[noun.one]
    assert (reset["description"], reset["tags"], reset["admin_state_up"]) == ("", [], True)


@each_noun
def test_null_at_creation_is_the_default(client: Client, noun: Noun) -> None:
    created = made(client, noun.path(client), noun.one, **noun.new(client), description=None, admin_state_up=None)
    assert (created["description"], created["admin_state_up"]) == ("", True)


@each_noun
def test_the_older_name_of_the_project_is_understood_and_shown(client: Client, noun: Noun) -> None:
    created = made(client, noun.path(client), noun.one, **noun.new(client), tenant_id="blue")
    assert (created["project_id"], created["tenant_id"]) == ("blue", "blue")
    for name in ("tenant_id", "project_id"):
        assert len(client.get(noun.path(client), params={name: "blue"}).json()[noun.many]) == 1
        assert client.get(noun.path(client), params={name: "red"}).json()[noun.many] == []


@each_noun
def test_a_name_in_place_of_an_id_is_a_clean_404(client: Client, noun: Noun) -> None:
    # openstacksdk looks a thing up by `GET /{name}` first.
    refused(client.get(f"{noun.path(client)}/some%20name"), 404, "some name not found.")


@each_noun
def test_an_unwrapped_body_is_refused(client: Client, noun: Noun) -> None:
    refused(client.post(noun.path(client), noun.new(client)), 400, f"{noun.one}: is required")


@pytest.mark.parametrize(
    ("noun", "field", "empty", "full"),
    [
        ("loadbalancer", "additional_vips", [], [{"subnet_id": "x"}]),
        ("loadbalancer", "vip_sg_ids", [], ["x"]),
        ("listener", "l7policies", [], [{"name": "x"}]),
        ("member", "request_sriov", False, True),
    ],
)
def test_what_is_not_supported_may_be_given_empty(client: Client, noun: str, field: str, empty: Any, full: Any) -> None:
    case = next(case for case in NOUNS if case.one == noun)
    made(client, case.path(client), noun, **case.new(client), **{field: empty})
    refused(client.post(case.path(client), {noun: {**case.new(client), field: full}}), 400, f"{field}: is not supported")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"protocol_port": "80"}, "protocol_port: must be a whole number"),
        ({"protocol_port": 80.0}, "protocol_port: must be a whole number"),
        ({"protocol_port": True}, "protocol_port: must be a whole number"),
        ({"protocol_port": 65536}, "protocol_port: "),
        ({"protocol": "UDP"}, "protocol: "),
        ({"allowed_cidrs": ["10.0.0.1/8"]}, "allowed_cidrs.0: "),
        ({"insert_headers": {"X-Evil": "true"}}, "insert_headers.X-Evil: "),
        ({"insert_headers": {"X-Real-IP": True}}, "insert_headers.X-Real-IP: "),
        ({"tls_versions": ["SSLv3"]}, "tls_versions.0: "),
        ({"tls_ciphers": "RC4"}, "tls_ciphers: "),
        ({"client_authentication": "MANDATORY"}, "client_authentication"),
        ({"default_tls_container_ref": "/v1/secrets/none"}, "default_tls_container_ref"),
        ({"default_pool_id": "none"}, "default_pool_id: there is no pool none"),
        ({"loadbalancer_id": "none"}, "loadbalancer_id: there is no load balancer none"),
    ],
)
def test_a_listener_that_cannot_be_is_refused(client: Client, fields: dict[str, Any], words: str) -> None:
    balancer = a_balancer(client)
    good = {"loadbalancer_id": balancer["id"], "protocol": "HTTP", "protocol_port": 80}
    revision = client.revision()
    refused(client.post(f"{LB}/listeners", {"listener": {**good, **fields}}), 400, words)
    assert client.revision() == revision


def test_a_port_that_is_taken_is_a_conflict(client: Client) -> None:
    first = a_listener(client)
    again = {"loadbalancer_id": first["loadbalancer_id"], "protocol": "HTTP", "protocol_port": 8080}
    refused(client.post(f"{LB}/listeners", {"listener": again}), 409, "protocol_port")


def test_a_field_without_a_default_cannot_be_reset(client: Client) -> None:
    pool = a_pool(client)
    refused(client.put(f"{LB}/pools/{pool['id']}", {"pool": {"lb_algorithm": None}}), 400, "lb_algorithm: ")


def test_what_is_fixed_says_so(client: Client) -> None:
    listener = a_listener(client)
    reply = client.put(f"{LB}/listeners/{listener['id']}", {"listener": {"protocol_port": 81}})
    refused(reply, 400, "protocol_port: cannot be changed")


def test_a_load_balancer_with_children_is_deleted_only_in_cascade(client: Client) -> None:
    pool = a_pool(client)
    one = f"{LB}/loadbalancers/{pool['loadbalancer_id']}"
    refused(client.delete(one), 400, "it has children")
    refused(client.delete(one, params={"cascade": "perhaps"}), 400, "cascade: ")
    assert client.delete(one, params={"cascade": "true"}).status_code == 204
    assert client.get(f"{LB}/pools/{pool['id']}").status_code == 404


def test_replies_show_what_hangs_together(client: Client) -> None:
    listener = a_listener(client)
    balancer_id = listener["loadbalancer_id"]
    pool = a_pool(client, listener_id=listener["id"])
    member = a_member(client, pool["id"])
    monitor = made(
        client, f"{LB}/healthmonitors", "healthmonitor", pool_id=pool["id"], type="TCP", delay=1, timeout=1, max_retries=1
    )
    balancer = client.get(f"{LB}/loadbalancers/{balancer_id}").json()["loadbalancer"]
    assert (balancer["listeners"], balancer["pools"]) == ([{"id": listener["id"]}], [{"id": pool["id"]}])
    shown = client.get(f"{LB}/pools/{pool['id']}").json()["pool"]
    assert shown["loadbalancers"] == [{"id": balancer_id}]
    assert shown["listeners"] == [{"id": listener["id"]}]
    assert shown["members"] == [{"id": member["id"]}]
    assert shown["healthmonitor_id"] == monitor["id"]
    assert client.get(f"{LB}/pools").json()["pools"] == [shown]
    assert monitor["pools"] == [{"id": pool["id"]}]
    shown = client.get(f"{LB}/listeners/{listener['id']}").json()["listener"]
    assert (shown["default_pool_id"], shown["loadbalancers"]) == (pool["id"], [{"id": balancer_id}])


def test_members_are_replaced_all_at_once(client: Client) -> None:
    pool = a_pool(client)
    path = f"{LB}/pools/{pool['id']}/members"
    first = a_member(client, pool["id"])
    wanted = [{"address": "192.0.2.1", "protocol_port": 80, "weight": 3}, {"address": "192.0.2.2", "protocol_port": 80}]
    reply = client.put(path, {"members": wanted})
    assert (reply.status_code, reply.content) == (202, b"")
    shown = client.get(path).json()["members"]
    assert [(member["address"], member["weight"]) for member in shown] == [("192.0.2.1", 3), ("192.0.2.2", 1)]
    assert shown[0]["id"] == first["id"]

    more = [{"address": "192.0.2.3", "protocol_port": 80}]
    assert client.put(path, {"members": more}, params={"additive_only": "true"}).status_code == 202
    assert len(client.get(path).json()["members"]) == 3
    assert client.put(path, {"members": more}).status_code == 202
    assert [member["address"] for member in client.get(path).json()["members"]] == ["192.0.2.3"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([{"address": "x", "protocol_port": 80}], "members.0.address: "),
        ([{"address": "192.0.2.1"}], "members.0.protocol_port: is required"),
        ([{"address": "192.0.2.1", "protocol_port": 80, "colour": 1}], "members.0.colour: is not a known field"),
        ([{"address": "192.0.2.1", "protocol_port": 80}] * 2, "members.1: "),
        ({}, "members: must be a list"),
    ],
)
def test_one_bad_member_refuses_them_all(client: Client, members: Any, words: str) -> None:
    pool = a_pool(client)
    revision = client.revision()
    refused(client.put(f"{LB}/pools/{pool['id']}/members", {"members": members}), 400, words)
    assert client.revision() == revision


def test_a_member_is_found_only_in_its_own_pool(client: Client) -> None:
    first, second = a_pool(client), a_pool(client)
    member = a_member(client, first["id"])
    refused(client.get(f"{LB}/pools/{second['id']}/members/{member['id']}"), 404, "not found.")
    refused(client.get(f"{LB}/pools/none/members"), 404, "not found.")


def test_failover_is_not_supported(client: Client) -> None:
    reply = client.put(f"{LB}/loadbalancers/{a_balancer(client)['id']}/failover")
    assert (reply.status_code, reply.json()["faultcode"]) == (501, "Server")
    assert client.put(f"{LB}/loadbalancers/none/failover").status_code == 404
