"""Rotation: the new authority beside the old, who is left, the end, and the way back."""

import pytest

from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Authority
from ostiary.model.listener import Listener
from ostiary.model.revocation import Revoke
from ostiary.ops import audit, authorities, certificates, listeners, revocation, rotations
from ostiary.ops.system import System
from ostiary.store.desired import desired
from support.certs import csr, new_key
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock


def a_door(system: System, authority: Authority) -> Listener:
    return a_listener(
        system,
        a_balancer(system),
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=f"/v1/authorities/{authority.id}",
    )


def trusted(system: System) -> str:
    with system.store.read() as reader:
        (door,) = desired(reader, system.sealer, system.clock()).listeners
    assert door.trust is not None
    return door.trust.certificates


def test_while_it_is_under_way_both_are_trusted_and_the_new_one_signs(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    a_door(system, old)
    assert new.certificate not in trusted(system)
    rotations.start(system, ADMIN, old.id, new.id)
    assert old.certificate in trusted(system)
    assert new.certificate in trusted(system)
    assert a_certificate(system, old, "asked of the old one").authority_id == new.id


def test_the_end_is_refused_while_clients_hold_the_old_one_and_says_how_many(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    door = a_door(system, old)
    held = a_certificate(system, old)
    rotation = rotations.start(system, ADMIN, old.id, new.id)
    with pytest.raises(Conflict, match="1 clients still hold"):
        rotations.finish(system, ADMIN, rotation.id)
    left = rotations.progress(system, ADMIN, rotation.id)
    assert (left.active, left.dormant, left.holders, left.some) == (1, 0, (door.id,), (held,))
    renewed = certificates.renew(system, ADMIN, held.id, csr(new_key(), "x"))
    assert renewed.authority_id == new.id
    assert rotations.progress(system, ADMIN, rotation.id).active == 0
    done = rotations.finish(system, ADMIN, rotation.id)
    assert (done.state, done.forced, done.moved) == ("FINISHED", False, (door.id,))
    assert old.certificate not in trusted(system)
    assert new.certificate in trusted(system)
    assert listeners.get(system, ADMIN, door.id).client_ca_tls_container_ref == f"/v1/authorities/{new.id}"


def test_revoked_expired_and_long_unseen_certificates_hold_nothing_up(system: System, clock: FakeClock) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    a_certificate(system, old, "long unseen")
    clock.advance(days=31)
    gone = a_certificate(system, old, "revoked")
    revocation.revoke(system, ADMIN, gone.id, Revoke())
    rotation = rotations.start(system, ADMIN, old.id, new.id)
    left = rotations.progress(system, ADMIN, rotation.id)
    assert (left.active, left.dormant) == (0, 1)
    assert rotations.finish(system, ADMIN, rotation.id).state == "FINISHED"


def test_forcing_it_shuts_clients_out_and_is_on_record(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    a_door(system, old)
    a_certificate(system, old)
    rotation = rotations.start(system, ADMIN, old.id, new.id)
    done = rotations.finish(system, ADMIN, rotation.id, force=True)
    assert (done.forced, done.clients_shut_out) == (True, 1)
    entries = audit.find(system, ADMIN, limit=5, newest_first=True)
    assert any(entry["after"].get("clients_shut_out") == 1 for entry in entries)


def test_undo_takes_the_new_one_off_and_the_old_one_signs_again(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    a_door(system, old)
    rotation = rotations.start(system, ADMIN, old.id, new.id)
    rotations.undo(system, ADMIN, rotation.id)
    assert new.certificate not in trusted(system)
    assert a_certificate(system, old, "again").authority_id == old.id
    with pytest.raises(Conflict):
        rotations.undo(system, ADMIN, rotation.id)


def test_undo_after_the_end_puts_the_old_one_back_where_it_was(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    door = a_door(system, old)
    rotation = rotations.start(system, ADMIN, old.id, new.id)
    rotations.finish(system, ADMIN, rotation.id)
    rotations.undo(system, ADMIN, rotation.id)
    assert listeners.get(system, ADMIN, door.id).client_ca_tls_container_ref == f"/v1/authorities/{old.id}"
    assert old.certificate in trusted(system)
    assert new.certificate not in trusted(system)


def test_an_authority_can_be_rotated_away_and_back(system: System, clock: FakeClock) -> None:
    one, two = an_authority(system, "One"), an_authority(system, "Two")
    rotations.finish(system, ADMIN, rotations.start(system, ADMIN, one.id, two.id).id)
    clock.advance(days=1)
    rotations.finish(system, ADMIN, rotations.start(system, ADMIN, two.id, one.id).id)
    assert a_certificate(system, two, "x").authority_id == one.id
    assert a_certificate(system, one, "y").authority_id == one.id


def test_what_makes_no_sense_is_refused_with_the_field(system: System) -> None:
    root = an_authority(system, "Root")
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    other = an_authority(system, "Other")
    for from_id, to_id, field in (
        (root.id, "nobody", "to_id"),
        ("nobody", root.id, "from_id"),
        (root.id, root.id, "to_id"),
        (root.id, issuing.id, "to_id"),
    ):
        with pytest.raises(Invalid) as refused:
            rotations.start(system, ADMIN, from_id, to_id)
        assert refused.value.field == field
    rotations.start(system, ADMIN, root.id, other.id)
    with pytest.raises(Conflict, match="under way"):
        rotations.start(system, ADMIN, an_authority(system, "Third").id, other.id)


def test_the_lists_of_both_are_handed_on(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    a_door(system, old)
    rotations.start(system, ADMIN, old.id, new.id)
    with system.store.read() as reader:
        (door,) = desired(reader, system.sealer, system.clock()).listeners
    assert door.trust is not None
    assert door.trust.crls.count("BEGIN X509 CRL") == 2


def test_neither_end_of_a_rotation_under_way_can_be_deleted_and_afterwards_the_old_one_can(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    rotation = rotations.start(system, ADMIN, old.id, new.id)
    for one in (old, new):
        with pytest.raises(Conflict, match="is part of rotation"):
            authorities.delete(system, ADMIN, one.id)
    rotations.finish(system, ADMIN, rotation.id)
    authorities.delete(system, ADMIN, old.id)
    assert a_certificate(system, new, "x").authority_id == new.id


def test_when_the_new_one_is_gone_again_the_old_one_signs(system: System) -> None:
    old, new = an_authority(system, "Old CA"), an_authority(system, "New CA")
    rotations.finish(system, ADMIN, rotations.start(system, ADMIN, old.id, new.id).id)
    authorities.delete(system, ADMIN, new.id)
    assert a_certificate(system, old, "x").authority_id == old.id
