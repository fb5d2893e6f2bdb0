"""What gateways count is added up exactly, whoever is killed and started again, and never goes down but where all begins anew."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.measuring import Family
from ostiary.model.numbers import COUNTERS, LATENCIES, MOST_LISTENERS
from ostiary.model.revocation import Revoke
from ostiary.ops import certificates, gateway_measures, gateway_numbers, revocation
from ostiary.ops.adding_up import GatewayNumbers
from ostiary.ops.measures import measures
from ostiary.ops.system import System
from ostiary.store import numbers
from support.certs import csr, new_key
from support.made import a_certificate, an_authority
from support.systems import ADMIN, a_system, sqlite_url
from support.told_numbers import message, told_numbers

NAMES = ("requests", "handshakes", "latency_count")


@dataclass
class World:
    """An Envoy with its counters, a keeper, and what somebody who saw every report would have added up."""

    system: System
    run: int = 1
    uptime: float = 0.0
    keeper: int = 1
    restarts: int = 0
    raw: dict[tuple[str, str], int] = field(default_factory=dict)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)  # as of the last report of this Envoy
    total: dict[tuple[str, str], int] = field(default_factory=dict)
    told: tuple[int, int] | None = None  # which Envoy and keeper told last; None where nobody remembers
    written: int | None = None  # which Envoy's numbers were written down
    is_final: bool = False  # and that by a control plane that stopped in good order

    def count(self, listener: str, name: str, many: int) -> None:
        self.raw[listener, name] = self.raw.get((listener, name), 0) + many

    def tell(self) -> None:
        self.uptime += 1
        if self.begins_anew:
            self.total = {}
        if self.told is None and self.written != self.run:
            self.seen = {}
        is_misleading = (self.told is None and self.is_final) or self.told not in {None, (self.run, self.keeper)}
        for key, value in self.raw.items():
            self.total[key] = self.total.get(key, 0) + value - self.seen.get(key, 0)
        self.seen = dict(self.raw)
        listeners = {one: {name: self.raw.get((one, name), 0) for name in NAMES} for one, _ in self.raw}
        keeper = {"pid": self.keeper, "restarts": self.restarts}
        told_numbers(self.system, "g1", listeners, self.run, uptime=self.uptime, keeper=keeper)
        if is_misleading:
            self.written, self.is_final = self.run, False
        self.told = self.run, self.keeper

    @property
    def begins_anew(self) -> bool:
        """Whether nobody can say what the Envoy before counted last."""
        return self.told is None and self.written != self.run and not self.is_final

    def replace_envoy(self) -> None:
        self.run, self.uptime, self.raw, self.seen = self.run + 1, 0.0, {}, {}
        self.restarts += 1

    def replace_keeper(self) -> None:
        self.keeper, self.restarts = self.keeper + 1, 0

    def crash(self) -> None:
        """The control plane, with what it had in memory."""
        object.__setattr__(self.system, "gateway_numbers", GatewayNumbers())
        self.told = None

    def stop(self) -> None:
        gateway_numbers.write(self.system, is_final=True)
        if self.told:
            self.written, self.is_final = self.told[0], True
        self.crash()

    def shown(self) -> dict[tuple[str, str], int]:
        gateway = self.system.gateway_numbers.known["g1"]
        totals = {one: dict(zip(COUNTERS, growing.totals, strict=True)) for one, growing in gateway.listeners.items()}
        return {(one, name): int(totals[one][name]) for one in totals for name in NAMES if totals[one][name]}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.sampled_from(["a", "b"]), st.sampled_from(NAMES), st.integers(1, 9)),
        st.sampled_from([(one,) for one in ("tell", "tell", "replace_envoy", "replace_keeper", "crash", "stop")]),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laws")


# Stopped and started beside the same Envoy; then killed, and another Envoy when it is back.
@example(
    steps=[
        ("count", "a", "requests", 5),
        ("tell",),
        ("stop",),
        ("count", "a", "requests", 2),
        ("tell",),
        ("crash",),
        ("replace_envoy",),
        ("tell",),
    ]
)
@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_it_is_exact_in_any_order_of_counts_restarts_and_deaths(folder: Path, steps: list[tuple[Any, ...]]) -> None:
    system = a_system(sqlite_url(folder))
    try:
        with system.store.write() as transaction:
            numbers.forget(transaction, system.clock())
        world = World(system)
        before: dict[tuple[str, str], int] = {}
        for name, *arguments in steps:
            began_anew = world.begins_anew
            getattr(world, name)(*arguments)
            if name == "tell":
                shown = world.shown()
                assert shown == {key: value for key, value in world.total.items() if value}
                if not began_anew:
                    assert all(shown.get(key, 0) >= value for key, value in before.items())
                before = shown
    finally:
        system.store.close()


def listed(system: System, *listeners: str) -> dict[str, Family]:
    return {one.name: one for one in gateway_measures.families(system, {one: one.upper() for one in listeners})}


def test_restarts_and_ended_streams_are_added_up_over_keepers(system: System) -> None:
    for pid, restarts, ended in ((1, 2, {"revoked": 3}), (2, 1, {"revoked": 1, "expired": 4})):
        told_numbers(system, "g1", {}, keeper={"pid": pid, "restarts": restarts, "streams_ended": ended})
    families = listed(system)
    assert families["ostiary_gateway_engine_restarts"].samples == ((("g1",), 3.0),)
    assert families["ostiary_gateway_streams_ended"].samples == ((("g1", "expired"), 4.0), (("g1", "revoked"), 4.0))


def test_what_was_let_go_of_for_want_of_memory_is_added_up_over_envoys(system: System) -> None:
    for run, shed in ((1, {"streams_reset": 3}), (2, {"streams_reset": 1, "requests_refused": 4}), (2, {"streams_reset": 2})):
        told_numbers(system, "g1", {}, run=run, whole={"shed": shed})
    samples = dict(listed(system)["ostiary_gateway_shed"].samples)
    assert samples == {("g1", "streams_reset"): 5.0, ("g1", "requests_refused"): 4.0}


def test_a_listener_that_is_gone_goes_on_where_it_was_when_it_comes_back(system: System) -> None:
    told_numbers(system, "g1", {"a": {"requests": 5, "connections_active": 2}})
    told_numbers(system, "g1", {}, gone=["a"])
    assert listed(system, "a")["ostiary_listener_connections_active"].samples == ((("g1", "a", "A"), 0.0),)
    told_numbers(system, "g1", {"a": {"requests": 1}})  # to Envoy it is a new one
    assert listed(system, "a")["ostiary_listener_requests"].samples == ((("g1", "a", "A"), 6.0),)
    assert listed(system)["ostiary_listener_requests"].samples == ()  # deleted: nothing is told of it


def test_listeners_that_are_too_many_are_told_as_one(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_measures, "MOST_TOLD", 2)
    told_numbers(system, "g1", {one: {"requests": 2, "connections_active": 1, "latency_count": 2} for one in "abcd"})
    families = listed(system, *"abcd")
    samples = {labels[1]: value for labels, value in families["ostiary_listener_requests"].samples}
    assert samples == {"a": 2.0, "b": 2.0, "other": 4.0}
    assert sum(value for _, value in families["ostiary_listener_connections_active"].samples) == 4  # type: ignore[misc]
    assert len(families["ostiary_listener_request_duration_seconds"].samples) == 3


def test_gateways_that_are_too_many_are_forgotten_those_first_that_were_not_heard_of(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_numbers, "MOST_GATEWAYS", 2)
    for gateway in ("g1", "g2", "g1", "g3"):
        told_numbers(system, gateway, {})
    assert list(system.gateway_numbers.known) == ["g1", "g3"]


def test_a_gateway_that_was_at_another_control_plane_goes_on_from_what_that_one_wrote_down(system: System) -> None:
    told_numbers(system, "g1", {"a": {"requests": 5}})
    gateway_numbers.write(system)
    here = system.gateway_numbers
    object.__setattr__(system, "gateway_numbers", GatewayNumbers())  # there
    told_numbers(system, "g1", {"a": {"requests": 7}}, uptime=2)
    told_numbers(system, "g1", {"a": {"requests": 3}}, run=2)
    object.__setattr__(system, "gateway_numbers", here)
    system.clock.advance(minutes=3)  # type: ignore[attr-defined]
    assert listed(system, "a")["ostiary_listener_requests"].samples == ()  # it is told of where it is
    told_numbers(system, "g1", {"a": {"requests": 4}}, run=2)
    assert listed(system, "a")["ostiary_listener_requests"].samples == ((("g1", "a", "A"), 11.0),)


def test_what_another_version_does_not_know_is_left_out(system: System) -> None:
    told = {"run": 1, "uptime": 1, "counters": ["novelty", "requests"], "gauges": ["certificate_ends"]}
    told |= {"listeners": {"a": [[9, 4], [100]]}, "gone": [], "whole": {}, "keeper": {"pid": 1}}
    gateway_numbers.told(system, "g1", told)
    families = listed(system, "a")
    assert families["ostiary_listener_requests"].samples[0][1] == 4
    assert families["ostiary_listener_tls_handshakes"].samples[0][1] == 0
    assert families["ostiary_listener_certificate_expires_timestamp_seconds"].samples[0][1] == 100


@pytest.mark.parametrize(
    "news",
    [
        {"listeners": []},
        {"listeners": {"a": 1}},
        {"listeners": {"a": [[1]]}},
        {"listeners": {"a": [["1"] * len(COUNTERS), [0, 0]]}},
        {"listeners": {"a": [[-1] * len(COUNTERS), [0, 0]]}},
        {"listeners": {"a": [[True] * len(COUNTERS), [0, 0]]}},
        {"listeners": {"a": [[math.nan] * len(COUNTERS), [0, 0]]}},
        {"listeners": {"a": [[math.inf] * len(COUNTERS), [0, 0]]}},
        {"listeners": {"a": [[2.0**53] * len(COUNTERS), [0, 0]]}},
        {"listeners": {"": [[], []]}},
        {"listeners": {"a" * 37: [[], []]}},
        {"listeners": {f"l{number}": [[], []] for number in range(MOST_LISTENERS + 1)}},
        {"gone": [1]},
        {"gone": "a"},
        {"whole": []},
        {"whole": {"records_dropped": "1"}},
        {"keeper": {}},
        {"keeper": {"pid": None}},
        {"run": None},
        {"run": "1"},
        {"uptime": "1"},
        {"counters": None},
    ],
    ids=lambda news: str(news)[:40],
)
def test_what_makes_no_sense_changes_nothing(system: System, news: dict[str, Any]) -> None:
    told_numbers(system, "g1", {"a": {"requests": 5}})
    with pytest.raises(Invalid):
        gateway_numbers.told(system, "g1", {**message({"a": {"requests": 6}}), **news})
    assert listed(system, "a")["ostiary_listener_requests"].samples == ((("g1", "a", "A"), 5.0),)


def test_reasons_that_a_keeper_makes_up_are_no_labels(system: System) -> None:
    ended = {"revoked": 1, 'x"}\n': 2, "A": 3, **{f"reason_{chr(97 + number)}": 1 for number in range(26)}}
    told_numbers(system, "g1", {}, keeper={"streams_ended": ended})
    reasons = [labels[1] for labels, _ in listed(system)["ostiary_gateway_streams_ended"].samples]
    assert len(reasons) == 20
    assert all(reason.replace("_", "").isalpha() and reason.islower() for reason in reasons)


def test_how_long_requests_take_is_a_histogram_in_seconds(system: System) -> None:
    counted = {f"latency_{end:g}": 3 if end < 100 else 5 for end in LATENCIES}
    told_numbers(system, "g1", {"a": {**counted, "latency_count": 6, "latency_sum": 1500}, "tcp": {"requests": 9}})
    ((labels, spread),) = listed(system, "a", "tcp")["ostiary_listener_request_duration_seconds"].samples
    assert labels == ("g1", "a", "A")
    assert not isinstance(spread, float)
    assert (spread.count, spread.sum) == (6, 1.5)
    assert dict(zip(spread.bounds, spread.upto, strict=False))[0.1] == 5


def test_what_is_kept_of_a_gateway_that_is_no_more_is_forgotten(system: System) -> None:
    told_numbers(system, "g1", {})
    gateway_numbers.write(system)
    assert gateway_numbers.forget_old(system) == 0
    system.clock.advance(days=31)  # type: ignore[attr-defined]
    assert gateway_numbers.forget_old(system) == 1


def test_changes_are_counted_once_they_are_on_record(system: System) -> None:
    authority = an_authority(system, "Devices")
    made = [a_certificate(system, authority, name) for name in "ab"]
    certificates.renew(system, ADMIN, made[0].id, csr(new_key(), "a"))
    for reason in ("certificateHold", "keyCompromise", "keyCompromise"):
        revocation.revoke(system, ADMIN, made[1].id, Revoke(reason=reason))
    found = {one.name: dict(one.samples) for one in measures(system, ADMIN)}
    assert found["ostiary_certificates_issued"] == {("issue",): 2, ("renew",): 1}
    assert found["ostiary_certificates_revoked"] == {("certificateHold",): 1, ("keyCompromise",): 1}
    assert found["ostiary_changes"]["certificate", "certificate:revoke"] == 2
    assert found["ostiary_authority_expires_timestamp_seconds"][authority.id, "Devices"] == authority.not_after.timestamp()
