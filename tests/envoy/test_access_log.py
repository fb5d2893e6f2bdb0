"""A record is read back as what was told, whatever a client writes into its names."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary.envoy import access_log, names
from ostiary.envoy.access_log import _BETWEEN, _NAMES, Kind

KINDS = st.sampled_from(("request", "connection"))
PLAIN = st.text("ab-%| é", max_size=4)
ANY = st.text("ab-% é" + _BETWEEN, max_size=4)


def told(kind: Kind, ours: list[str], theirs: list[str]) -> access_log.Record:
    return access_log.read(kind, _BETWEEN.join((*ours, *theirs)))


@given(KINDS, st.data())
def test_a_record_is_read_as_it_was_told(kind: Kind, data: st.DataObject) -> None:
    names = [*_NAMES[kind][0], *_NAMES[kind][1]]
    values = data.draw(st.lists(PLAIN, min_size=len(names), max_size=len(names)))
    wanted = {name: value for name, value in zip(names, values, strict=True) if value != "-"}
    assert access_log.read(kind, _BETWEEN.join(values)) == wanted


@given(KINDS, st.data())
def test_a_client_that_writes_what_stands_between_fields_changes_none_but_its_own(kind: Kind, data: st.DataObject) -> None:
    ours, theirs = _NAMES[kind]
    known = data.draw(st.lists(PLAIN, min_size=len(ours), max_size=len(ours)))
    written = data.draw(st.lists(ANY, min_size=len(theirs), max_size=len(theirs)))
    read = told(kind, known, written)
    assert {name: read.get(name, "-") for name in ours} == dict(zip(ours, known, strict=True))


def test_what_we_refused_is_told_from_what_a_member_refused() -> None:
    assert access_log.refusal({"details": "rbac_access_denied_matched_policy[revoked]", "status": "403"}) == "revoked"
    assert access_log.refusal({"details": "rbac_access_denied_matched_policy[unclean names]", "status": "403"}) == "malformed"
    assert access_log.refusal({"details": "via_upstream", "status": "403"}) is None
    assert access_log.refusal({}) is None


def test_the_door_to_enrolment_tells_no_path_for_it_may_be_a_token() -> None:
    at_the_door = access_log.access_log(names.ENROLMENT, "request").typed_config.value
    elsewhere = access_log.access_log("l1", "request").typed_config.value
    assert b"%PATH" in elsewhere
    assert b"PATH" not in at_the_door
    assert b"%REQ(:METHOD)" in at_the_door
    assert access_log.access_log("l1", "connection") != access_log.access_log(names.ENROLMENT, "connection")
