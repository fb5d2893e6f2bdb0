"""What OCSP answers rest on, on each database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ostiary.model.authority import Certificate
from ostiary.model.revocation import Revoke
from ostiary.ops import ocsp, revocation
from ostiary.ops.system import System
from ostiary.pki.ocsp import Good, Revoked, Status, Unknown
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store import statuses
from ostiary.store.store import Store
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock


@pytest.fixture
def system(store: Store) -> System:
    return System(store, Sealer(new_kek()), FakeClock())


def status(system: System, certificate: Certificate, *authority_ids: str) -> Status:
    with system.store.read() as reader:
        return statuses.status(reader, authority_ids or (certificate.authority_id,), certificate.serial)


def test_what_was_issued_is_good_until_it_is_revoked_and_again_once_released(system: System) -> None:
    alice = a_certificate(system, an_authority(system))
    assert status(system, alice) == Good()
    for reason in ("certificateHold", "removeFromCRL", "certificateHold", "keyCompromise"):
        held = revocation.revoke(system, ADMIN, alice.id, Revoke(reason=reason))
        if held.revoked_at is None:
            assert status(system, alice) == Good()
        else:
            assert status(system, alice) == Revoked(held.revoked_at, reason)


def test_a_serial_number_is_its_own_authoritys_business(system: System) -> None:
    one, other = an_authority(system, "One"), an_authority(system, "Other")
    alice = a_certificate(system, one)
    assert status(system, alice, other.id) == Unknown()
    assert status(system, alice, other.id, one.id) == Good()
    revocation.revoke(system, ADMIN, alice.id, Revoke(reason="superseded"))
    assert status(system, alice, other.id) == Unknown()


def test_an_authority_has_one_signer_however_many_ask_at_once(system: System) -> None:
    authority = an_authority(system)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: ocsp._delegate(system, authority), range(4)))
    assert len(set(made)) == 1
    with system.store.read() as reader:
        assert statuses.signer(reader, authority.id) == made[0]


def test_every_commit_of_this_process_is_counted_and_what_was_undone_is_not(store: Store) -> None:
    seen = {store.commits}
    with store.write():
        pass
    seen.add(store.commits)
    store.record(lambda _facts: None)
    seen.add(store.commits)
    assert len(seen) == 3
    with pytest.raises(ZeroDivisionError), store.write():
        raise ZeroDivisionError
    assert store.commits in seen
