"""Who was refused reaches the control plane whole and once, whichever side dies when, and however many there are."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ostiary.envoy.records import Refusal
from ostiary.gateway import denied as module
from ostiary.gateway.denied import Denied
from ostiary.model.denial import Refusals
from support.told_once import ToldOnce

AT = 1_795_465_432.123
REVOKED = Refusal("revoked")
ALICE = "a" * 64


def record(fingerprint: str = ALICE, client: str = "192.0.2.1", **fields: str) -> dict[str, str]:
    shown = {"fingerprint": fingerprint, "subject": "CN=a"} if fingerprint else {}
    return {"client": client, "authority": "a.test", "method": "GET", "path": "/a", **shown, **fields}


def refuse(denied: Denied, at: float = AT, *, code: Refusal = REVOKED, pem: str = "", **fields: str) -> None:
    denied.note("l1", "request", code, record(**fields), at, pem)


def told(denied: Denied) -> list[dict[str, Any]]:
    """All that it hands over when every batch is taken."""
    denied.seal(AT)
    sums: list[dict[str, Any]] = []
    for batch in denied.batches():
        sums += batch.body["denials"]
        denied.taken(batch.sequence)
    return sums


def test_what_is_alike_is_one_sum_with_the_first_as_its_example() -> None:
    denied = Denied()
    refuse(denied, AT + 5, san_uri="spiffe://a,spiffe://b", san_dns="a.test")
    refuse(denied, AT, client="192.0.2.2", path="/b")
    refuse(denied, code=Refusal("denied_by_rule", "r1"))
    refuse(denied, fingerprint="", client="2001:db8::1")
    refuse(denied, fingerprint="", client="2001:db8::2")
    first, by_rule, without = (Refusals.model_validate(one, strict=False) for one in told(denied))
    assert (first.who, first.count, first.addresses) == (ALICE, 2, ("192.0.2.1", "192.0.2.2"))
    assert first.example.sans == ("DNS:a.test", "URI:spiffe://a", "URI:spiffe://b")
    assert (first.example.path, first.example.host) == ("/a", "a.test")
    assert first.first < first.last
    assert first.references == (int((AT + 5) * 1000), int(AT * 1000))
    assert (by_rule.code, by_rule.rule_id) == ("denied_by_rule", "r1")
    assert (without.who, without.count) == ("2001:db8::/64", 2)


def test_a_flood_of_one_kind_is_summed_up_and_hides_nothing_of_another() -> None:
    denied = Denied(of_a_kind=3)
    for number in range(100):
        refuse(denied, fingerprint=f"{number:064x}")
    refuse(denied, code=Refusal("expired"))
    sums = told(denied)
    assert sorted((one["code"], one["count"], bool(one["who"])) for one in sums) == [
        ("expired", 1, True),
        *[("revoked", 1, True)] * 3,
        ("revoked", 97, False),
    ]
    (crowd,) = (one for one in sums if not one["who"])
    assert crowd["example"] == {}


def test_whatever_clients_show_there_is_a_most_that_is_kept() -> None:
    denied = Denied()
    for number in range(20_000):
        code = Refusal(f"code_{chr(97 + number % 20)}")
        refuse(denied, code=code, fingerprint=f"{number:064x}", pem="x" * 8000, path="/" * 9999, san_dns="a," * 5000)
    assert len(denied.dump()) < 64 * 1024 * 1024
    sums = told(denied)
    assert len(sums) <= module._MOST + 20
    assert sum(one["count"] for one in sums) == 20_000
    for one in sums:
        Refusals.model_validate(one, strict=False)


def test_a_batch_keeps_its_number_until_it_is_taken_also_over_a_restart() -> None:
    denied = Denied()
    refuse(denied, pem="PEM")
    assert denied.seal(AT)
    assert not denied.seal(AT + 9)  # the next comes when this one is taken
    again = Denied(denied.dump())
    assert next(again.batches()) == next(denied.batches())


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"batches": 1}', b'{"batches": [], "pending": [{}], "last": 0}'])
def test_what_was_kept_and_cannot_be_read_is_left_out(kept: bytes) -> None:
    denied = Denied(kept)
    refuse(denied)
    assert len(told(denied)) == 1


class Machine(ToldOnce):
    """Refusals."""

    def made(self, kept: bytes | None) -> Denied:
        return Denied(kept)

    def counted(self, body: dict[str, Any]) -> int:
        return sum(one["count"] for one in body["denials"])

    @rule(who=st.integers(0, 3), times=st.integers(1, 5))
    def note(self, who: int, times: int) -> None:
        for _ in range(times):
            refuse(self.told, self.at, fingerprint=f"{who:064x}")
        self.noted_so_many(times)


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
test_nothing_is_lost_and_nothing_counts_twice = Machine.TestCase
