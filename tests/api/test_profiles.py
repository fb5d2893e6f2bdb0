"""Profiles: what each kind of certificate may hold, shown with the rule behind each limit, made, adjusted and put back."""

from typing import Any

import pytest

from api.client import Client
from ostiary.pki.profile import BUILT_IN
from support.certs import csr, new_key

PATH = "/v1/profiles"
SENSOR = {
    "name": "sensor",
    "description": "Sensors of the north hall",
    "names_allowed": ["common_name", "dns"],
    "names_required": ["dns"],
    "name_patterns": {"dns": ["*.sensors.example"]},
    "default_lifetime": "P7D",
    "max_lifetime": "P30D",
}


def made(client: Client, path: str, one: str, **fields: Any) -> dict[str, Any]:
    reply = client.post(path, {one: fields})
    assert reply.status_code == 201, reply.text
    return dict(reply.json()[one])


def shown(client: Client, name: str) -> dict[str, Any]:
    return dict(client.get(f"{PATH}/{name}").json()["profile"])


def issued(client: Client, profile: str, name: str, **fields: Any) -> Any:
    known = client.get("/v1/authorities").json()["authorities"]
    authority = known[0] if known else made(client, "/v1/authorities", "authority", name="CA")
    asked = {"authority_id": authority["id"], "profile": profile, "csr": csr(new_key(), "x"), "names": {"dns": [name]}, **fields}
    return client.post("/v1/certificates", {"certificate": asked})


def refusal(reply: Any, status: int, *words: str) -> None:
    assert reply.status_code == status, reply.text
    for word in words:
        assert word in reply.text, reply.text


def test_those_that_are_built_in_say_what_they_allow_and_why(client: Client) -> None:
    listed = client.get(PATH).json()["profiles"]
    assert [profile["name"] for profile in listed] == list(BUILT_IN)
    for profile in listed:
        assert (profile["built_in"], profile["adjusted"]) == (True, [])
        limits = profile.keys() - {"name", "description", "id", "project_id", "created_at", "updated_at", "revision"}
        assert limits - {"built_in", "adjusted", "rules"} == profile["rules"].keys()
    server = shown(client, "server")
    assert server == listed[-1]
    assert (server["extended_key_usages"], server["rsa_key_usages"]) == (["serverAuth"], ["keyEncipherment"])
    assert (server["default_lifetime"], server["max_lifetime"], server["backdate"]) == ("P90D", "P397D", "PT5M")
    assert "HT211025" in server["rules"]["max_lifetime"]
    refusal(client.get(f"{PATH}/none"), 404, "Profile none not found")


def test_a_profile_of_ones_own_is_issued_by_as_it_says(client: Client) -> None:
    sensor = made(client, PATH, "profile", **SENSOR)
    assert {name: sensor[name] for name in SENSOR} == SENSOR
    assert (sensor["built_in"], sensor["adjusted"]) == (False, [])
    assert shown(client, "sensor") == sensor
    assert [profile["name"] for profile in client.get(PATH).json()["profiles"]] == [*BUILT_IN, "sensor"]
    reply = issued(client, "sensor", "t1.sensors.example")
    assert (reply.status_code, reply.json()["certificate"]["profile"]) == (201, "sensor")
    refusal(issued(client, "sensor", "t1.example"), 400, "names.dns", "*.sensors.example")
    refusal(issued(client, "sensor", "t1.sensors.example", lifetime="P31D"), 400, "lifetime", "P30D")
    refusal(
        issued(client, "other", "t1.example"),
        400,
        "there is no profile 'other'; choose from client, device, sensor, server, user",
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "client"}, "there is a profile 'client' already"),
        ({"name": "Sensor One"}, "name"),
        ({"max_lifetime": "P1D"}, "default_lifetime"),
        ({"extended_key_usages": ["codeSigning"]}, "extended_key_usages"),
        ({"extended_key_usages": ["2.5.29.37.0"]}, "extended_key_usages"),
        ({"key_usages": ["keyCertSign"]}, "key_usages"),
        ({"names_required": ["uri"]}, "names_required"),
        ({"name_patterns": {"dns": ["a.*.example"]}}, "name_patterns.dns"),
        ({"name_patterns": {"uri": ["spiffe://corp/*"]}}, "name_patterns.uri"),
        ({"backdate": "PT2H"}, "backdate"),
        ({"min_rsa_bits": 1024}, "min_rsa_bits"),
        ({"renewal_window": 0}, "renewal_window"),
        ({"approval": "three"}, "approval"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_with_the_field(client: Client, change: dict[str, Any], field: str) -> None:
    before = client.revision()
    reply = client.post(PATH, {"profile": {**SENSOR, **change}})
    refusal(reply, 409 if change == {"name": "client"} else 400, field)
    assert client.revision() == before


def test_a_built_in_profile_is_adjusted_and_put_back(client: Client) -> None:
    original = shown(client, "client")
    changes = {"max_lifetime": "P30D", "default_lifetime": "P7D", "name_patterns": {"dns": ["*.a.test"]}}
    reply = client.put(f"{PATH}/client", {"profile": changes})
    assert reply.status_code == 200, reply.text
    adjusted = shown(client, "client")
    assert {name: adjusted[name] for name in changes} == changes
    assert (adjusted["built_in"], set(adjusted["adjusted"])) == (True, set(changes))
    assert adjusted["rules"]["max_lifetime"] != original["rules"]["max_lifetime"]  # that one said why it was a year
    assert adjusted["rules"]["names_allowed"] == original["rules"]["names_allowed"]
    refusal(issued(client, "client", "b.test"), 400, "names.dns")
    assert issued(client, "client", "b.a.test").status_code == 201
    client.put(f"{PATH}/client", {"profile": {"name_patterns": None}})
    assert shown(client, "client")["name_patterns"] == {}
    assert client.delete(f"{PATH}/client").status_code == 204
    assert shown(client, "client") == original
    refusal(client.delete(f"{PATH}/client"), 409, "there is nothing to put back")


@pytest.mark.parametrize("field", ["extended_key_usages", "key_usages", "names_allowed", "names_required", "wildcards"])
def test_what_a_built_in_profile_is_for_stays(client: Client, field: str) -> None:
    values: dict[str, Any] = {"extended_key_usages": ["serverAuth"], "key_usages": ["keyAgreement"], "wildcards": True}
    reply = client.put(f"{PATH}/client", {"profile": {field: values.get(field, ["common_name"])}})
    refusal(reply, 400, field, "make a profile of your own")
    assert shown(client, "client")["adjusted"] == []


def test_an_adjustment_that_makes_no_sense_changes_nothing(client: Client) -> None:
    refusal(client.put(f"{PATH}/user", {"profile": {"max_lifetime": "P30D"}}), 400, "default_lifetime")
    assert shown(client, "user")["adjusted"] == []


def test_a_profile_is_changed_and_deleted_unless_something_was_issued_by_it(client: Client) -> None:
    made(client, PATH, "profile", **SENSOR)
    refusal(client.put(f"{PATH}/sensor", {"profile": {"name": "other"}}), 400, "name")
    reply = client.put(f"{PATH}/sensor", {"profile": {"wildcards": True, "approval": None}})
    assert (reply.json()["profile"]["wildcards"], reply.json()["profile"]["approval"]) == (True, "automatic")
    assert client.delete(f"{PATH}/sensor").status_code == 204
    refusal(client.get(f"{PATH}/sensor"), 404)
    refusal(client.put(f"{PATH}/sensor", {"profile": {"wildcards": True}}), 404)
    refusal(client.delete(f"{PATH}/sensor"), 404)
    made(client, PATH, "profile", **SENSOR)
    assert issued(client, "sensor", "a.sensors.example").status_code == 201
    refusal(client.delete(f"{PATH}/sensor"), 409, "1 certificates on record")


def test_every_change_of_a_profile_is_on_record(client: Client) -> None:
    made(client, PATH, "profile", **SENSOR)
    client.put(f"{PATH}/client", {"profile": {"approval": "two"}})
    client.delete(f"{PATH}/client")
    entries = client.get("/v1/audit").json()["audit"]
    actions = [entry["action"] for entry in entries if entry["kind"] == "profile"]
    assert actions == ["profile:create", "profile:update", "profile:delete"]
    assert client.get("/v1/audit/verify").status_code == 200


def test_a_profile_may_ask_for_other_peoples_approval(client: Client) -> None:
    client.put(f"{PATH}/client", {"profile": {"approval": "one"}})
    assert issued(client, "client", "a.test").status_code == 202
