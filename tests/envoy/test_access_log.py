"""A record is read back as what was told, whatever a client writes into its names."""

import pytest
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from ostiary.envoy import access_log, names, noted, records
from ostiary.envoy.records import _NAMES, BETWEEN, Kind, Refusal
from support.desired import listener

KINDS = st.sampled_from(("request", "connection"))
PLAIN = st.text("ab-%| é", max_size=4)
ANY = st.text("ab-% é" + BETWEEN, max_size=4)


def told(kind: Kind, ours: list[str], theirs: list[str]) -> records.Record:
    return records.read(kind, BETWEEN.join((*ours, *theirs)))


@given(KINDS, st.data())
def test_a_record_is_read_as_it_was_told(kind: Kind, data: st.DataObject) -> None:
    names = [*_NAMES[kind][0], *_NAMES[kind][1]]
    written = data.draw(st.lists(PLAIN, min_size=len(names), max_size=len(names)))
    values = ["DownstreamEnd" if name == "moment" else value for name, value in zip(names, written, strict=True)]
    wanted = {name: value for name, value in zip(names, values, strict=True) if value != "-" and name != "moment"}
    assert records.read(kind, BETWEEN.join(values)) == wanted


@pytest.mark.parametrize("moment", ["DownstreamPeriodic", "DownstreamTunnelSuccessfullyEstablished"])
def test_a_request_that_goes_on_has_no_duration_yet(moment: str) -> None:
    """Envoy tells one, as if it had ended."""
    ours = [{"moment": moment, "duration": "5000", "status": "200"}.get(name, "-") for name in _NAMES["request"][0]]
    assert told("request", ours, ["-"] * len(_NAMES["request"][1])) == {"status": "200"}


@given(KINDS, st.data())
def test_a_client_that_writes_what_stands_between_fields_changes_none_but_its_own(kind: Kind, data: st.DataObject) -> None:
    ours, theirs = _NAMES[kind]
    known = data.draw(st.lists(PLAIN, min_size=len(ours), max_size=len(ours)))
    written = data.draw(st.lists(ANY, min_size=len(theirs), max_size=len(theirs)))
    known = ["DownstreamEnd" if name == "moment" else value for name, value in zip(ours, known, strict=True)]
    read = told(kind, known, written)
    told_of = {name: value for name, value in zip(ours, known, strict=True) if name != "moment"}
    assert {name: read.get(name, "-") for name in told_of} == told_of


def test_what_we_refused_is_told_from_what_a_member_refused() -> None:
    assert records.refusal({"details": "rbac_access_denied_matched_policy[revoked]", "status": "403"}) == Refusal("revoked")
    by_rule = {"details": "rbac_access_denied_matched_policy[denied_by_rule:4711]", "status": "403"}
    assert records.refusal(by_rule) == Refusal("denied_by_rule", "4711")
    assert records.refusal({"details": "via_upstream", "status": "403"}) is None
    assert records.refusal({}) is None


@pytest.mark.parametrize("door", names.HOUSE)
def test_a_door_of_our_own_tells_no_path_for_it_may_hold_a_secret(door: str) -> None:
    at_the_door, elsewhere = (
        access_log.of_requests(listener(listener_id).listener).typed_config.value for listener_id in (door, "l1")
    )
    assert b"%PATH" in elsewhere
    assert b"PATH" not in at_the_door
    assert b"%REQ(:METHOD)" in at_the_door


@pytest.mark.parametrize("mode", ["NONE", "OPTIONAL", "MANDATORY"])
def test_what_is_told_of_a_request_is_as_long_as_what_is_read(mode: str) -> None:
    told = access_log.of_requests(listener(client_authentication=mode).listener).typed_config.value
    noted_apart = sum(text.count(BETWEEN) for text in (records.CONNECTION, records.DETAILS)) if mode != "NONE" else 0
    assert told.count(BETWEEN.encode()) + noted_apart + 1 == sum(map(len, _NAMES["request"]))


def test_what_is_noted_of_a_certificate_is_the_fingerprint_and_what_records_tell() -> None:
    """Golden files cannot show it: to xds-protos the field is unknown."""
    values = [
        value_pb2.FilterStateValue.FromString(field.data)
        for field in UnknownFieldSet(noted.noted(records.CONNECTION, records.DETAILS, 7))
        if (field.field_number, field.wire_type) == (2, 2)
    ]
    by_key = {value.object_key: value for value in values}
    fingerprint, connection, details = by_key[noted.FINGERPRINT], by_key[noted.CONNECTION], by_key[noted.DETAILS]
    times, names = {noted.NOT_AFTER, noted.BEGINS, noted.ENDS}, {noted.NAMES}
    assert by_key.keys() == {*noted.KEYS.values(), *times, *names, noted.CONNECTION, noted.DETAILS}
    assert fingerprint.format_string.text_format_source.inline_string == "%DOWNSTREAM_PEER_FINGERPRINT_256%"
    assert fingerprint.skip_if_empty
    assert fingerprint.format_string.omit_empty_values
    assert connection.format_string.text_format_source.inline_string == records.CONNECTION
    assert details.format_string.text_format_source.inline_string == records.DETAILS
    assert not details.skip_if_empty


@pytest.mark.parametrize(
    ("told", "code", "rule_id", "is_whole"),
    [
        ("-|-|-|allowed", "allowed", None, True),
        ("-|-|-|allowed:r1", "allowed", "r1", True),
        ("-|-|-|exempt:e1", "exempt", "e1", True),
        ("-|-|-|-", "allowed", None, True),
        ("-|-|-|no_certificate", "no_certificate", None, True),
        ("revoked|-|-|allowed", "revoked", None, True),
        ("-|malformed|expired|denied_by_rule:r1", "malformed", None, True),
        ("revoked|-|expired|unverified", "unverified", None, True),
        ("denied_by_rule:r1", "denied_by_rule", "r1", False),
        ("allowed:r2", "allowed", "r2", False),
    ],
)
def test_of_what_is_rehearsed_the_first_refusal_counts_and_the_handshake_before_all(
    told: str,
    code: str,
    rule_id: str | None,
    is_whole: bool,  # noqa: FBT001 (a parameter of the table above)
) -> None:
    found = records.rehearsal({"rehearsed": told})
    assert found == records.Rehearsal(code, rule_id, is_whole=is_whole)
    assert found.is_refusal == (code not in {"allowed", "exempt"})
    assert found.is_unverified == (code == "unverified")


def test_where_nothing_is_rehearsed_there_is_no_rehearsal() -> None:
    assert records.rehearsal({"status": "200"}) is None
