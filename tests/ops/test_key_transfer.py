"""An authority's key taken out and brought back: explicit, on record, and never in two minds."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.authority import Authority
from ostiary.model.cross_sign import CrossSign
from ostiary.model.key_transfer import AuthorityWithKey, KeyExport
from ostiary.model.revocation import Revoke
from ostiary.ops import authorities, cross_signing, key_transfer, revocation
from ostiary.ops.caller import Caller
from ostiary.ops.custodians import Custodians
from ostiary.ops.system import System
from ostiary.pki import keys
from ostiary.store import revocations
from support import certs, softhsm
from support.made import an_authority
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def system(tmp_path: Path) -> Any:
    system = a_system(sqlite_url(tmp_path))
    yield system
    system.store.close()


def exported(system: System, authority: Authority, **wanted: Any) -> str:
    return key_transfer.export_key(system, ADMIN, authority.id, KeyExport(passphrase=PASSPHRASE, **wanted)).content


def imported(system: System, certificate: str, key: str, passphrase: str = PASSPHRASE, **more: Any) -> Authority:
    wanted = AuthorityWithKey(certificate=certificate, private_key=key, passphrase=passphrase, **more)
    return key_transfer.import_with_key(system, ADMIN, wanted)


def now_of(system: System, authority: Authority) -> Authority:
    return authorities.get(system, ADMIN, authority.id)


def the_list(system: System, authority: Authority) -> x509.CertificateRevocationList:
    with system.store.read() as reader:
        current = revocations.current_list(reader, authority.id)
    assert current is not None
    return x509.load_der_x509_crl(current.der)


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def last_entry(system: System) -> dict[str, Any]:
    with system.store.read() as reader:
        return dict(json.loads([row.entry for row in reader.audit_entries()][-1]))


def test_pitfall_19_export_is_its_own_permission_and_on_record(system: System) -> None:
    authority = an_authority(system)
    for role in ("operator", "auditor", "nobody"):
        with pytest.raises(Denied, match="may not authority:export-key"):
            key_transfer.export_key(system, Caller("eve", role), authority.id, KeyExport(passphrase=PASSPHRASE))
        with pytest.raises(Denied, match="may not authority:import-key"):
            key_transfer.import_with_key(system, Caller("eve", role), AuthorityWithKey())
    key = keys.load(exported(system, authority).encode(), PASSPHRASE.encode(), "key")
    assert keys.matches(x509.load_pem_x509_certificate(authority.certificate.encode()), key)
    entry = last_entry(system)
    assert (entry["actor"], entry["action"], entry["resource_id"]) == ("admin", "authority:export-key", authority.id)
    assert entry["after"] == {"format": "pkcs8", "removed": False, "fingerprint_sha256": authority.fingerprint_sha256}
    assert now_of(system, authority).has_key


def test_a_pkcs12_holds_the_chain_too(system: System) -> None:
    root = an_authority(system, "Root")
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    held = pkcs12.load_pkcs12(base64.b64decode(exported(system, issuing, format="pkcs12")), PASSPHRASE.encode())
    assert held.cert is not None
    assert [held.cert.certificate, *(one.certificate for one in held.additional_certs)] == [
        x509.load_pem_x509_certificate(one.certificate.encode()) for one in (issuing, root)
    ]


@pytest.mark.parametrize("passphrase", ["", "too short", "ünïcödé ünïcödé ünïcödé"])
def test_a_weak_passphrase_is_refused(system: System, passphrase: str) -> None:
    authority = an_authority(system)
    with pytest.raises(Invalid, match="passphrase: it m"):
        key_transfer.export_key(system, ADMIN, authority.id, KeyExport(passphrase=passphrase, remove=True))
    assert now_of(system, authority).has_key


def test_a_root_goes_offline_and_comes_back(system: System) -> None:
    root = an_authority(system, "Root")
    key = exported(system, root, remove=True)
    offline = now_of(system, root)
    assert (offline.has_key, offline.sealed_key) == (False, b"")
    assert last_entry(system)["action"] == "authority:export-key"
    with pytest.raises(Invalid, match="has no key here"):
        an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    with pytest.raises(Conflict, match="is not here"):
        exported(system, root)
    online = imported(system, root.certificate, key)
    assert (online.id, online.has_key, online.kind, online.custody) == (root.id, True, "root", "file")
    assert an_authority(system, "Below", kind="intermediate", parent_id=root.id).parent_id == root.id
    with pytest.raises(Conflict, match="has its key here already"):
        imported(system, root.certificate, key)


def test_nothing_opened_before_signs_once_the_key_is_gone(system: System) -> None:
    root = an_authority(system, "Root")
    an_authority(system, "Below", kind="intermediate", parent_id=root.id)  # its key is open now
    exported(system, root, remove=True)
    assert root.id not in system.custody._opened
    assert len(system.desks) == 0


def test_before_the_key_goes_a_list_is_signed_that_holds_for_long(system: System) -> None:
    root = an_authority(system, "Root")
    before = the_list(system, root)
    exported(system, root, remove=True, list_lifetime_days=400)
    after = the_list(system, root)
    assert number(after) > number(before)
    assert after.next_update_utc is not None
    assert after.next_update_utc > system.clock() + timedelta(days=399)
    assert after.is_signature_valid(keys.refuse_weak(x509.load_pem_x509_certificate(root.certificate.encode()).public_key(), ""))


def test_what_was_revoked_before_stays_revoked_when_it_is_back(system: System) -> None:
    root = an_authority(system, "Root")
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    revocation.revoke_authority(system, ADMIN, below.id, Revoke(reason="superseded"))
    key = exported(system, root, remove=True)
    offline = the_list(system, root)
    imported(system, root.certificate, key)
    online = the_list(system, root)
    assert [one.serial_number for one in offline] == [one.serial_number for one in online]
    assert len(online) == 1
    assert number(online) > number(offline)


def test_another_key_is_refused(system: System) -> None:
    root = an_authority(system, "Root")
    exported(system, root, remove=True)
    with pytest.raises(Invalid, match="does not belong to the certificate"):
        imported(system, root.certificate, certs.key_pem(certs.new_key()), "")
    assert not now_of(system, root).has_key


def test_the_same_key_under_another_certificate_is_another_authority(system: System) -> None:
    """Same name, same key, but not the very certificate: nothing is brought online by a look-alike."""
    ours = certs.Authority.root("Root")
    twin = certs.Authority.root("Root", key=ours.key)
    first = imported(system, ours.cert_pem, ours.key_pem, "")
    exported(system, first, remove=True)
    second = imported(system, twin.cert_pem, twin.key_pem, "")
    assert second.id != first.id
    assert not now_of(system, first).has_key


def test_an_authority_made_elsewhere_signs_here_below_the_one_that_signed_it(system: System) -> None:
    root = certs.Authority.root("Elsewhere")
    issuing = root.intermediate("Elsewhere issuing")
    above = imported(system, root.cert_pem, root.key_pem, "")
    below = imported(system, issuing.cert_pem, certs.key_pem(issuing.key, PASSPHRASE))
    assert (above.kind, above.parent_id, above.key) == ("root", None, "EC-P256")
    assert (below.kind, below.parent_id, below.name) == ("intermediate", above.id, "CN=Elsewhere issuing")
    assert len(the_list(system, below)) == 0


def test_a_pkcs12_brings_both(system: System) -> None:
    root = an_authority(system, "Root")
    file = exported(system, root, format="pkcs12", remove=True)
    wanted = AuthorityWithKey(pkcs12=file, passphrase=PASSPHRASE)
    assert key_transfer.import_with_key(system, ADMIN, wanted).id == root.id
    with pytest.raises(Invalid, match="pkcs12: it is not a PKCS#12 file that opens"):
        key_transfer.import_with_key(system, ADMIN, wanted.model_copy(update={"passphrase": "another one, just as long"}))
    with pytest.raises(Invalid, match="pkcs12: it is not base64"):
        key_transfer.import_with_key(system, ADMIN, wanted.model_copy(update={"pkcs12": "!"}))
    with pytest.raises(Invalid, match="pkcs12: it holds certificate and key"):
        key_transfer.import_with_key(system, ADMIN, wanted.model_copy(update={"certificate": root.certificate}))


def test_pitfall_20_whom_an_authority_revoked_elsewhere_stays_revoked_here(system: System) -> None:
    elsewhere = certs.Authority.root("Elsewhere")
    gone = elsewhere.client("gone")
    theirs = elsewhere.crl([gone], number=2**70)
    here = imported(system, elsewhere.cert_pem, elsewhere.key_pem, "", crl=theirs)
    ours = the_list(system, here)
    assert ours.get_revoked_certificate_by_serial_number(gone.certificate.serial_number) is not None
    assert number(ours) == 2**70 + 1


def test_only_an_authority_is_imported_as_one(system: System) -> None:
    root = certs.Authority.root()
    leaf = root.client("alice")
    with pytest.raises(Invalid, match="certificate"):
        imported(system, leaf.cert_pem, leaf.key_pem, "")
    with pytest.raises(Invalid, match="holds 2 certificates"):
        imported(system, root.cert_pem + certs.Authority.root("Other").cert_pem, root.key_pem, "")
    with pytest.raises(Invalid, match=r"certificate: it (holds no|must)"):
        imported(system, "", root.key_pem, "")
    with pytest.raises(Invalid, match="private_key"):
        imported(system, root.cert_pem, "", "")


def test_a_cross_signed_certificate_has_no_key_of_its_own(system: System) -> None:
    old, new = an_authority(system, "Old"), an_authority(system, "New")
    crossed = cross_signing.cross_sign(system, ADMIN, new.id, CrossSign(parent_id=old.id))
    with pytest.raises(Conflict, match=f"cross-signed certificate; export the key of authority {new.id}"):
        exported(system, crossed)


def test_nothing_secret_is_in_any_error_or_print(system: System) -> None:
    root = certs.Authority.root()
    asked = AuthorityWithKey(certificate=root.cert_pem, private_key=root.key_pem, passphrase=PASSPHRASE, pkcs12="AAAA")
    shown = f"{asked!r} {asked} {KeyExport(passphrase=PASSPHRASE)!r}"
    assert PASSPHRASE not in shown
    assert root.key_pem.splitlines()[1] not in shown
    made = key_transfer.export_key(system, ADMIN, an_authority(system).id, KeyExport(passphrase=PASSPHRASE))
    assert "ENCRYPTED" not in repr(made)


def test_a_key_in_a_token_signs_and_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = softhsm.a_token(tmp_path / "hsm")
    for name, value in token.environment.items():
        monkeypatch.setenv(name, value)
    system = a_system(sqlite_url(tmp_path), FakeClock())
    system = replace(system, custody=Custodians(softhsm.custody(token)))
    root = an_authority(system, "Root", custody="pkcs11")
    issuing = an_authority(system, "Issuing", custody="pkcs11", kind="intermediate", parent_id=root.id)
    assert (issuing.custody, issuing.has_key) == ("pkcs11", True)
    for remove in (False, True):
        with pytest.raises(Conflict, match="in a PKCS#11 token, which never lets it out"):
            exported(system, issuing, remove=remove)
    system.store.close()


def test_without_a_token_none_is_asked_for(system: System) -> None:
    with pytest.raises(Invalid, match="custody: no PKCS#11 token is set up here; set OSTIARY_PKCS11_MODULE"):
        an_authority(system, custody="pkcs11")
