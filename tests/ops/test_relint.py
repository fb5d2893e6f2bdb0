"""Certificates are linted again, in full, after they were issued: what slipped through raises an alarm."""

from structlog.testing import capture_logs

from ostiary.ids import new_id
from ostiary.ops import audit, relint
from ostiary.ops.system import System
from ostiary.store.kinds import CERTIFICATE
from support.certs import Authority, name, new_key, pem, usage
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock


def put_a_bad_one_on_record(system: System) -> str:
    """A certificate that is no authority and may sign certificates, as if the gate had let it pass."""
    made = a_certificate(system, an_authority(system, f"CA {new_id()}"))
    bad = Authority.root("Other").sign(name("bad"), new_key(), [(usage("key_cert_sign"), True)])
    altered = made.model_copy(update={"certificate": pem(bad)})
    system.store.record(lambda facts: facts.replace(CERTIFICATE, made, altered))
    return made.id


def alarms(system: System) -> list[str]:
    return [each["resource_id"] for each in audit.find(system, ADMIN, limit=100) if each["action"] == "certificate:lint"]


def test_what_slipped_through_is_in_the_log_and_on_record(system: System) -> None:
    bad = put_a_bad_one_on_record(system)
    a_certificate(system, an_authority(system, "Another CA"), "good")
    with capture_logs() as logged:
        assert relint.look_over(system) == 1
    assert [(line["log_level"], line["certificate_id"]) for line in logged] == [("error", bad)]
    assert "pkix.ee_certificate_keycertsign_keyusage_set" in logged[0]["findings"][0]
    assert alarms(system) == [bad]


def test_what_is_good_raises_no_alarm(system: System) -> None:
    a_certificate(system, an_authority(system))
    with capture_logs() as logged:
        assert relint.look_over(system) == 0
    assert logged == []


def test_each_look_goes_on_where_the_last_one_ended(system: System, clock: FakeClock) -> None:
    put_a_bad_one_on_record(system)
    assert relint.look_over(system) == 1
    assert relint.look_over(system) == 0
    clock.advance(minutes=2)
    assert relint.look_over(system) == 0
    put_a_bad_one_on_record(system)
    clock.advance(minutes=2)
    assert relint.look_over(system) == 1
    assert len(alarms(system)) == 2


def test_of_very_many_a_part_is_looked_at(system: System) -> None:
    for _ in range(5):
        put_a_bad_one_on_record(system)
    assert relint.look_over(system, at_most=3) == 3
    assert len(set(alarms(system))) == 3
