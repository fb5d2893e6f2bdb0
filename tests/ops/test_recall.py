"""A restored database has forgotten what was revoked since: the lists that prove it bring it back, and numbers go only up."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid, Unavailable
from ostiary.ids import new_id
from ostiary.model.approval import Approval, BreakGlass
from ostiary.model.authority import Authority, Certificate, RequestedNames, TrustedAuthority
from ostiary.model.backup import Manifest
from ostiary.model.key_transfer import AuthorityWithKey, KeyExport
from ostiary.model.revocation import RevocationList, Revoke
from ostiary.model.token import NewToken
from ostiary.ops import (
    audit,
    certificates,
    imported,
    key_transfer,
    list_upkeep,
    recall,
    restoring,
    revocation,
    sign_in_links,
    tokens,
)
from ostiary.ops.recall import Recalled
from ostiary.ops.system import System
from ostiary.pki.crl_rules import CRL
from ostiary.store import dump, revocations
from ostiary.store.desired import desired
from ostiary.store.engine import newest, open_engine
from ostiary.store.kinds import APPROVAL, AUTHORITY, BREAK_GLASS, SESSION, SIGN_IN_LINK, TOKEN
from support.certs import Authority as Stranger
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock, a_store, sqlite_url

Restores = Callable[..., System]
Kept = tuple[list[bytes], Manifest]


def kept(system: System) -> Kept:
    """A backup, as far as the database goes."""
    with system.store.read() as reader:
        sequence, head = reader.audit_head()
        manifest = Manifest(
            made_at=system.clock(),
            version="0",
            schema_version=newest(),
            revision=reader.revision(),
            audit_sequence=sequence,
            audit_hash=head,
            has_kek=False,
            needs_kek_passphrase=False,
            keys_elsewhere=(),
            setup={},
        )
        return list(dump.lines(reader)), manifest


@pytest.fixture
def restored(tmp_path: Path, system: System, clock: FakeClock) -> Iterator[Restores]:
    """What becomes of a backup in another database, with the same keys."""
    opened: list[System] = []

    def restore(backup: Kept, ders: Sequence[bytes] = (), *, end_tokens: bool = False) -> System:
        lines, manifest = backup
        folder = Path(mkdtemp(dir=tmp_path))
        engine = open_engine(sqlite_url(folder))
        at = clock()
        with dump.filled(engine, manifest.schema_version, lines, at) as facts:
            wanted = restoring.Wanted(new_id(), at, manifest, ders, end_tokens)
            restoring.accept(facts, wanted, system.sealer, "0" * 64, ADMIN)
        engine.dispose()
        opened.append(System(store=a_store(sqlite_url(folder), clock), sealer=system.sealer, clock=clock))
        return opened[-1]

    yield restore
    for one in opened:
        one.store.close()


def the_list(system: System, authority: Authority) -> RevocationList:
    with system.store.read() as reader:
        found = revocations.current_list(reader, authority.id)
    assert found is not None
    return found


def listed(held: RevocationList | bytes) -> set[int]:
    read: CRL = x509.load_der_x509_crl(held if isinstance(held, bytes) else held.der)
    return {entry.serial_number for entry in read}


def serial(certificate: Certificate) -> int:
    return int(certificate.serial, 16)


def revoke(system: System, certificate: Certificate, reason: str = "superseded") -> None:
    revocation.revoke(system, ADMIN, certificate.id, Revoke(reason=reason))  # type: ignore[arg-type]  # a literal
    list_upkeep.sign_due(system)


def status(system: System, certificate: Certificate) -> str:
    return certificates.status(system, certificates.get(system, ADMIN, certificate.id))


def actions(system: System) -> list[str]:
    return [entry["action"] for entry in audit.find(system, ADMIN, limit=1000)]


def test_whoever_was_revoked_since_the_backup_is_revoked_again(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    before, since, never = (a_certificate(system, authority, name) for name in ("before", "since", "never"))
    revoke(system, before)
    backup = kept(system)
    revoke(system, since, "keyCompromise")
    lost = the_list(system, authority)
    again = restored(backup)
    assert status(again, since) == "VALID", "the database has forgotten it"
    (said,) = recall.recall(again, ADMIN, [lost.der])
    assert said == Recalled(authority_id=authority.id, authority="Test CA", number=lost.number, revoked=1, unknown=0)
    assert [status(again, one) for one in (before, since, never)] == ["REVOKED", "REVOKED", "VALID"]
    found = certificates.get(again, ADMIN, since.id)
    assert found.revocation_reason == "keyCompromise"
    assert found.revoked_at == certificates.get(system, ADMIN, since.id).revoked_at.replace(microsecond=0)  # type: ignore[union-attr]
    assert actions(again)[-2:] == ["backup:recall", "backup:recall"]
    assert audit.verify(again, ADMIN).problem is None
    list_upkeep.sign_due(again)
    assert listed(the_list(again, authority)) == {serial(before), serial(since)}
    assert recall.recall(again, ADMIN, [lost.der]) == (), "said once is enough"


def test_a_restore_that_is_given_the_lists_says_so_itself(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    backup = kept(system)
    revoke(system, certificate)
    again = restored(backup, [the_list(system, authority).der])
    assert status(again, certificate) == "REVOKED"


def test_numbers_go_beyond_all_that_anybody_may_have_seen_even_by_a_clock_that_is_slow(
    system: System, restored: Restores, clock: FakeClock
) -> None:
    authority = an_authority(system)
    backup = kept(system)
    clock.advance(days=300)
    for name in ("a", "b"):
        revoke(system, a_certificate(system, authority, name))
    lost = the_list(system, authority)
    clock.advance(days=-300)
    again = restored(backup)
    assert recall.is_behind(again)
    assert list_upkeep.sign_due(again) == 1
    assert not recall.is_behind(again)
    first = the_list(again, authority)
    assert first.number > lost.number
    revoke(again, a_certificate(again, authority, "c"))
    assert the_list(again, authority).number == first.number + 1
    twice = restored(kept(again))
    list_upkeep.sign_due(twice)
    assert the_list(twice, authority).number > first.number + 1


def test_a_list_from_between_is_lost_though_newer_ones_were_signed_since(system: System, restored: Restores) -> None:
    """A second gateway that comes back a day after the restore."""
    authority = an_authority(system)
    certificate, other = a_certificate(system, authority), a_certificate(system, authority, "other")
    backup = kept(system)
    revoke(system, certificate)
    again = restored(backup)
    list_upkeep.sign_due(again)
    assert the_list(again, authority).number > the_list(system, authority).number
    revoke(again, other)
    assert [one.revoked for one in recall.recall(again, ADMIN, [the_list(system, authority).der])] == [1]
    list_upkeep.sign_due(again)
    assert listed(the_list(again, authority)) == {serial(certificate), serial(other)}


def test_a_database_that_was_put_back_by_hand_recalls_too(system: System, restored: Restores) -> None:
    """Nobody told us of a restore: a larger number than ours proves it."""
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    backup = kept(system)
    revoke(system, certificate)
    again = restored(backup)
    with again.store.write() as transaction:
        transaction.connection.exec_driver_sql("DELETE FROM restores")
    assert [one.revoked for one in recall.recall(again, ADMIN, [the_list(system, authority).der])] == [1]


def test_certificates_that_the_backup_does_not_know_stay_on_the_list(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    backup = kept(system)
    late = a_certificate(system, authority, "late")
    revoke(system, late)
    again = restored(backup, [the_list(system, authority).der])
    list_upkeep.sign_due(again)
    assert listed(the_list(again, authority)) == {serial(late)}
    with again.store.read() as reader:
        assert "" not in desired(reader, again.sealer, again.clock()).denied, "nobody without a certificate is refused for it"
    assert a_certificate(again, authority, "new").serial != late.serial


def test_what_was_on_hold_and_is_revoked_by_now_is_revoked(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    revoke(system, certificate, "certificateHold")
    backup = kept(system)
    revoke(system, certificate, "keyCompromise")
    again = restored(backup, [the_list(system, authority).der])
    assert certificates.get(again, ADMIN, certificate.id).revocation_reason == "keyCompromise"


def test_what_was_released_before_the_backup_and_revoked_after_it_is_revoked(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    revoke(system, certificate, "certificateHold")
    revoke(system, certificate, "removeFromCRL")
    backup = kept(system)
    revoke(system, certificate, "keyCompromise")
    again = restored(backup, [the_list(system, authority).der])
    assert status(again, certificate) == "REVOKED"


def test_what_somebody_releases_after_the_restore_is_not_put_on_hold_again(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    backup = kept(system)
    revoke(system, certificate, "certificateHold")
    lost = the_list(system, authority).der
    again = restored(backup, [lost])
    assert status(again, certificate) == "ON_HOLD"
    revoke(again, certificate, "removeFromCRL")
    recall.recall(again, ADMIN, [lost])
    assert status(again, certificate) == "VALID"


def test_what_was_released_since_stays_on_hold_until_a_person_says_so(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    revoke(system, certificate, "certificateHold")
    backup = kept(system)
    revoke(system, certificate, "removeFromCRL")
    again = restored(backup, [the_list(system, authority).der])
    assert status(again, certificate) == "ON_HOLD"


def test_an_authority_that_was_revoked_since_is_revoked_again(system: System, restored: Restores) -> None:
    root = an_authority(system)
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    backup = kept(system)
    revocation.revoke_authority(system, ADMIN, below.id, Revoke(reason="cACompromise"))
    list_upkeep.sign_due(system)
    again = restored(backup, [the_list(system, root).der])
    with again.store.read() as reader:
        assert [one.revocation_reason for one in reader.all(AUTHORITY) if one.id == below.id] == ["cACompromise"]


def test_of_an_authority_whose_key_is_elsewhere_the_newest_list_there_is_is_published(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    out = KeyExport(passphrase="correct horse battery staple", remove=True)
    exported = key_transfer.export_key(system, ADMIN, authority.id, out)
    backup = kept(system)
    back = AuthorityWithKey(certificate=authority.certificate, private_key=exported.content, passphrase=out.passphrase)
    key_transfer.import_with_key(system, ADMIN, back)
    revoke(system, certificate)
    key_transfer.export_key(system, ADMIN, authority.id, out)
    lost = the_list(system, authority)
    again = restored(backup, [lost.der])
    assert the_list(again, authority).number == lost.number
    assert the_list(again, authority).der == lost.der
    assert status(again, certificate) == "REVOKED"
    assert list_upkeep.sign_due(again) == 0
    assert not recall.is_behind(again), "there is no key that could sign"
    key_transfer.import_with_key(again, ADMIN, back)
    assert the_list(again, authority).number > lost.number
    assert listed(the_list(again, authority)) == {serial(certificate)}


def test_the_newest_list_of_an_imported_authority_is_taken_back_too(system: System, restored: Restores) -> None:
    theirs = Stranger.root("Partner")
    made = imported.import_bundle(system, ADMIN, TrustedAuthority(name="Partner", certificate=theirs.cert_pem))
    imported.upload(system, ADMIN, made.id, theirs.crl([1], number=7).encode())
    backup = kept(system)
    imported.upload(system, ADMIN, made.id, theirs.crl([1, 2], number=8).encode())
    newest = the_list(system, made)
    again = restored(backup)
    assert the_list(again, made).number == 7
    assert recall.recall(again, ADMIN, [newest.der]) == (), "nothing of ours"
    assert (the_list(again, made).der, the_list(again, made).source) == (newest.der, "uploaded")
    assert actions(again)[-1] == "authority:upload"
    assert restored(backup, [newest.der]) is not None


def test_lists_that_prove_nothing_change_nothing(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    certificate = a_certificate(system, authority)
    first = the_list(system, authority).der
    backup = kept(system)
    revoke(system, certificate)
    lost = bytearray(the_list(system, authority).der)
    again = restored(backup)
    lost[-1] ^= 1
    other = an_authority(system, "Another")
    subject = x509.load_pem_x509_certificate(authority.certificate.encode()).subject.rfc4514_string().removeprefix("CN=")
    forger = Stranger.root(subject).crl([serial(certificate)], number=the_list(system, authority).number)
    a_strangers = x509.load_pem_x509_crl(forger.encode()).public_bytes(Encoding.DER)
    with system.store.read() as reader:
        delta = revocations.current_list(reader, authority.id, "delta")
    assert delta is not None
    before = len(actions(again))
    given = [bytes(lost), first, delta.der, the_list(system, other).der, b"", b"\x30\x00", a_strangers]
    assert recall.recall(again, ADMIN, given) == ()
    assert (status(again, certificate), len(actions(again))) == ("VALID", before)


def test_an_operator_is_told_what_is_no_list(system: System) -> None:
    authority = an_authority(system)
    revoke(system, a_certificate(system, authority))
    with system.store.read() as reader:
        delta = revocations.current_list(reader, authority.id, "delta")
    assert delta is not None
    for der, words in ((b"\x30\x00", "not a revocation list"), (delta.der, "is a delta")):
        with pytest.raises(Invalid, match=words):
            recall.refuse_unusable([der], "--newer-crl")
    recall.refuse_unusable([the_list(system, authority).der], "--newer-crl")


def test_nobody_stays_signed_in_and_no_grant_enrols_once_more(system: System, restored: Restores) -> None:
    authority = an_authority(system)
    names = RequestedNames(common_name="device")
    tokens.create(system, ADMIN, NewToken(authority_id=authority.id, names=names, name="grant"))
    tokens.create(system, ADMIN, NewToken(role="operator", name="terraform"))
    sign_in_links.make(system, ADMIN)
    at = system.clock()
    asked: dict[str, Any] = {
        "action": "x:y",
        "deed": "x",
        "requested_by": "tom",
        "requested_role": "admin",
        "expires_at": at + timedelta(days=1),
    }
    agreed = [Approval(id=new_id(), status=status, **asked) for status in ("PENDING", "GRANTED", "DONE")]
    glass = BreakGlass(id=new_id(), begun_by="tom", reason="fire", begun_at=at, ends_at=at + timedelta(hours=1))
    system.store.record(lambda facts: [facts.insert(APPROVAL, one) for one in agreed])
    system.store.record(lambda facts: facts.insert(BREAK_GLASS, glass))
    backup = kept(system)
    for end_tokens, left in ((False, {"terraform"}), (True, set())):
        again = restored(backup, end_tokens=end_tokens)
        with again.store.read() as reader:
            assert reader.count(SIGN_IN_LINK) == reader.count(SESSION) == 0
            found = reader.all(TOKEN)
            assert sorted(one.status for one in reader.all(APPROVAL)) == ["DONE", "LAPSED", "LAPSED"]
            assert [one.state for one in reader.all(BREAK_GLASS)] == ["ENDED"]
        assert {one.name for one in found if tokens.state(one, again) == "VALID"} == left
        assert actions(again)[-1] == "backup:restore"


def test_a_clock_that_is_before_the_backup_is_set_first(system: System, restored: Restores, clock: FakeClock) -> None:
    an_authority(system)
    backup = kept(system)
    clock.advance(hours=-1)
    with pytest.raises(Unavailable, match="set the clock first"):
        restored(backup)


def test_a_record_that_was_tampered_with_is_not_accepted(system: System, restored: Restores) -> None:
    an_authority(system)
    lines, manifest = kept(system)
    forged = [line.replace(b'\\"actor\\":\\"admin\\"', b'\\"actor\\":\\"nobody\\"', 1) for line in lines]
    assert forged != lines
    with pytest.raises(Invalid, match="the record in it is broken"):
        restored((forged, manifest))
    with pytest.raises(Invalid, match="not the one that it says it holds"):
        restored((lines, manifest.model_copy(update={"audit_hash": "0" * 64})))
