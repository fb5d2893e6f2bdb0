"""A record is read back as what was told, whatever a client writes into its names."""

from typing import get_args

import pytest
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from ostiary.envoy import access_log, names, noted, records, wire
from ostiary.envoy.records import BETWEEN, Kind, Refusal
from ostiary.errors import Invalid
from support import feed
from support.desired import listener

PLAIN = st.text("ab-%| é", min_size=1, max_size=4)
# In a certificate, and so in JSON, anything may stand.
ANY = st.one_of(st.text('ab\\"{]\n\x1f\x00é0123', max_size=6), st.binary(max_size=6))
NUMBERS = st.integers(0, 2**63).map(str)
OPEN = {name for name in records.HOLDER if name not in {"fingerprint", "serial", "issuer_fingerprint", "not_after"}}


def shown(value: str | bytes) -> str:
    """As it is read."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


@given(st.sampled_from(("request", "connection")), st.data())
def test_a_record_is_read_as_it_was_told_whatever_stands_in_a_certificate(kind: Kind, data: st.DataObject) -> None:
    names = (*records.FIELDS[kind], *(records.HOLDER if kind == "request" else ()))
    given_ = {name: data.draw(ANY if name in OPEN else PLAIN) for name in names} | {"moment": "DownstreamEnd"}
    written = feed.line(kind, given_).rstrip(b"\n")
    assert b"\n" not in written
    wanted = {name: shown(value) for name, value in given_.items() if value != "-" and name != "moment"}
    assert records.read(written) == records.Told(kind, "l1", feed.AT, {name: one for name, one in wanted.items() if one != "-"})


@pytest.mark.parametrize("kind", get_args(Kind))
def test_halves_of_two_records_are_none(kind: Kind) -> None:
    """Wherever they were cut; unless they are halves of one and the same, or nothing is missing of either."""
    one, other = (
        feed.line(kind, {"connection": str(number), "path": "/a", "sni": "b"}, feed.AT + number).rstrip(b"\n")
        for number in (1, 2)
    )
    made = {one[:cut] + other[on:] for cut in range(1, len(one)) for on in range(1, len(other))}
    assert [line for line in made - {one, other} if _is_a_record(line)] == []


def _is_a_record(line: bytes) -> bool:
    try:
        records.read(line)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("moment", ["DownstreamPeriodic", "DownstreamTunnelSuccessfullyEstablished"])
def test_a_request_that_goes_on_has_no_duration_yet(moment: str) -> None:
    """Envoy tells one, as if it had ended."""
    told = records.read(feed.line("request", {"moment": moment, "duration": "5000", "status": "200"}).rstrip(b"\n"))
    assert told.record == {"status": "200"}


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
    config = file_pb2.FileAccessLog.FromString(
        access_log.of_requests(listener(client_authentication=mode).listener).typed_config.value
    )
    text = config.log_format.text_format_source.inline_string.replace(noted.told(noted.CONNECTION), records.CONNECTION)
    assert (config.path, text.count("\n"), text[-1]) == (records.FEED, 1, "\n")
    assert text.count(BETWEEN) == feed.line("request", {}).count(BETWEEN.encode())
    assert text.endswith(f"{BETWEEN}{noted.told(noted.HOLDER) if mode != 'NONE' else records.NO_HOLDER}\n")


def test_what_is_noted_of_a_certificate_is_the_fingerprint_and_what_records_tell() -> None:
    """Golden files cannot show it: to xds-protos the field is unknown."""
    values = [
        value_pb2.FilterStateValue.FromString(field.data)
        for field in UnknownFieldSet(
            noted.noted(records.CONNECTION, wire.json_list(records.HOLDER_FORM, records.holder_list()), 7)
        )
        if (field.field_number, field.wire_type) == (2, 2)
    ]
    by_key = {value.object_key: value for value in values}
    fingerprint, connection, holder = by_key[noted.FINGERPRINT], by_key[noted.CONNECTION], by_key[noted.HOLDER]
    times, names = {noted.NOT_AFTER, noted.BEGINS, noted.ENDS}, {noted.NAMES}
    assert by_key.keys() == {*noted.KEYS.values(), *times, *names, noted.CONNECTION, noted.HOLDER}
    assert fingerprint.format_string.text_format_source.inline_string == "%DOWNSTREAM_PEER_FINGERPRINT_256%"
    assert fingerprint.skip_if_empty
    assert fingerprint.format_string.omit_empty_values
    assert connection.format_string.text_format_source.inline_string == records.CONNECTION
    assert list(holder.format_string.json_format[records.HOLDER_FORM]) == records.holder_list()
    assert not holder.skip_if_empty


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
