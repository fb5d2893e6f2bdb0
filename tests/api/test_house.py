"""/v1/settings: what is decided about the whole; on record, and not to be got around by going back."""

from api.client import Client

PATH = "/v1/settings"


def test_it_is_there_from_the_beginning_and_every_change_is_on_record(client: Client) -> None:
    assert client.get(PATH).json()["settings"]["audit_retention_days"] == 400
    changed = client.put(PATH, {"settings": {"audit_retention_days": 800}})
    assert changed.status_code == 200, changed.text
    assert client.get(PATH).json()["settings"]["audit_retention_days"] == 800
    entry = client.get("/v1/audit?order=desc").json()["audit"][0]
    assert (entry["action"], entry["kind"]) == ("settings:update", "house_settings")
    back = client.put(PATH, {"settings": {"audit_retention_days": None}})
    assert back.json()["settings"]["audit_retention_days"] == 400
    entry = client.get("/v1/audit?order=desc").json()["audit"][0]
    assert (entry["before"]["audit_retention_days"], entry["after"]["audit_retention_days"]) == (800, 400)


def test_what_makes_no_sense_is_refused_by_name_and_changes_nothing(client: Client) -> None:
    for fields, name in [
        ({"audit_retention_days": 1}, "audit_retention_days"),
        ({"audit_retention_days": "400"}, "audit_retention_days"),
        ({"keep_all": True}, "keep_all"),
        ({"name": "mine"}, "name"),
    ]:
        refused = client.put(PATH, {"settings": fields})
        assert refused.status_code == 400
        assert name in refused.text
    assert client.get(PATH).json()["settings"]["revision"] == 0


def test_going_back_to_an_earlier_revision_leaves_it_as_it_is(client: Client) -> None:
    client.put(PATH, {"settings": {"audit_retention_days": 800}})
    client.post("/v1/revisions/0/revert", {})
    assert client.get(PATH).json()["settings"]["audit_retention_days"] == 800
