"""How what was measured of the peers is told."""

from benchmarks.data_plane import Job, jobs, table
from benchmarks.generator import Work
from benchmarks.lab import Sample

JOB = Job("full handshake", "handshakes", Work("handshake", 16, 1.0), "/100")


def samples(subject: str, cost: float, round_: int) -> list[Sample]:
    return [
        Sample(JOB.cost_name, "µs", subject, None, round_, cost),
        Sample(JOB.rate_name, "1/s", subject, None, round_, 1e6 / cost),
        Sample(JOB.busy_name, "%", subject, None, round_, 98),
    ]


def test_a_peer_is_told_beside_the_references_of_the_same_round() -> None:
    taken = [
        *samples("ostiary", 500, 0),
        *samples("Envoy (bare)", 400, 0),
        *samples("nginx (wheel)", 1000, 0),
        *samples("ostiary", 600, 1),
        *samples("Envoy (bare)", 600, 1),
        *samples("nginx (wheel)", 1000, 1),
    ]
    ours = next(line for line in table(taken, JOB, "") if "ostiary" in line)
    assert ours.split() == ["ostiary", "550", "0.55", "times", "(0.50-0.60)", "1.12", "times", "(1.00-1.25)", "1,833", "98", "%"]


def test_a_peer_without_references_is_told_by_itself() -> None:
    ours = next(line for line in table(samples("ostiary", 500, 0), JOB, "") if "ostiary" in line)
    assert ours.split() == ["ostiary", "500", "2,000", "98", "%"]


def test_as_much_is_asked_at_once_over_both_protocols() -> None:
    kept = [job.work for job in jobs(1.0) if job.work.mode == "keepalive"]
    assert {work.connections * work.streams for work in kept} == {32}
