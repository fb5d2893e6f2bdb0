"""When a device renews: at two thirds of the life, spread, and with patience after failures."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ostiary.holder.renewal import due_at, wait_after
from support.certs import DAY, Authority

CA = Authority.root("Devices")


def test_it_is_due_after_two_thirds_and_not_at_the_same_moment_as_others() -> None:
    certificates = [CA.client(f"sensor-{number}").certificate for number in range(50)]
    parts = []
    for one in certificates:
        life = one.not_valid_after_utc - one.not_valid_before_utc
        parts.append((due_at(one) - one.not_valid_before_utc) / life)
        assert due_at(one) == due_at(one)
    assert all(2 / 3 <= part < 2 / 3 + 0.05 for part in parts)
    assert len(set(parts)) == 50
    assert max(parts) - min(parts) > 0.02


@given(failures=st.integers(1, 10_000), left=st.floats(0, 400))
def test_it_tries_again_in_time(failures: int, left: float) -> None:
    certificate = CA.client("sensor").certificate
    wait = wait_after(failures, certificate, certificate.not_valid_after_utc - DAY * left)
    assert timedelta(minutes=1) <= wait <= max(timedelta(minutes=1), min(timedelta(hours=6), DAY * left / 10))


def test_it_waits_longer_each_time() -> None:
    certificate = CA.client("sensor").certificate
    waits = [wait_after(failures, certificate, certificate.not_valid_before_utc) for failures in range(1, 12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (timedelta(minutes=1), timedelta(minutes=2), timedelta(hours=6))
