"""Take an authority's key out, for a safe or another system, and bring one in. Explicit acts, each with its own permission."""

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Authority, KeySpec
from ostiary.model.fields import Private
from ostiary.model.key_transfer import AuthorityWithKey, KeyExport
from ostiary.model.revocation import Revocation, RevocationList
from ostiary.ops import gate
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, sealed
from ostiary.ops.facts import record
from ostiary.ops.record import entry
from ostiary.ops.revocation_lists import sign_list
from ostiary.ops.signing import certificates_above, open_issuer, parsed, store_authority
from ostiary.ops.system import System
from ostiary.pki import crl, foreign_lists, keys, pkcs8, signatures
from ostiary.pki.bundle import Holding, checked_passphrase, pkcs12_file
from ostiary.pki.chain import read_authority_pkcs12, read_client_ca
from ostiary.pki.issue import Issuer
from ostiary.pki.names import fingerprint_sha256, subject_text, whole_octets
from ostiary.pki.trust_rules import is_self_issued
from ostiary.store import foreign, revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.material import authority_context
from ostiary.store.store import Change, Facts, Reader, Transaction

# A list from elsewhere says a serial number and nothing more of the certificate. No certificate has this fingerprint.
_NO_FINGERPRINT: Final = "0" * 64

_SPECS: Final[dict[str, KeySpec]] = {
    "EC P-256": "EC-P256",
    "EC P-384": "EC-P384",
    "Ed25519": "ED25519",
    "RSA 3072": "RSA-3072",
    "RSA 4096": "RSA-4096",
}


@dataclass(frozen=True)
class ExportedKey:
    """A key on its way out, encrypted: PEM text for PKCS#8, base64 for PKCS#12."""

    authority: Authority
    content: str = field(repr=False)


@asks(repeats=True)
def export_key(system: System, caller: Caller, authority_id: str, wanted: KeyExport) -> ExportedKey:
    """The authority's key, encrypted under the caller's passphrase; with `remove` it is not here any more once this returns.

    On record before anybody gets it. Raises `Conflict` when there is no key to be had.
    """
    caller.must("authority:export-key")
    passphrase = checked_passphrase(wanted.passphrase, "passphrase")
    with system.store.read() as reader:
        authority = _exportable(reader, authority_id)
        above = certificates_above(reader, authority)
    content = _written(open_issuer(system, authority), above, passphrase, wanted, authority.name)
    if wanted.remove:
        return ExportedKey(_removed(system, caller, authority, wanted), content)
    told = _told(authority, wanted)

    def work(facts: Facts) -> None:
        _ask(facts, caller, authority, wanted)
        facts.append_audit({**entry(caller, *told, None), **facts.remarks})

    record(system, caller, "authority:export-key", work)
    return ExportedKey(authority, content)


@asks(repeats=True)
def import_with_key(system: System, caller: Caller, wanted: AuthorityWithKey) -> Authority:
    """Have an authority sign here. One that is here without its key gets it back; its certificate must be the very same.

    Raises `Invalid` for a certificate that is not an authority's, or another key than the certificate's; `Conflict` when its key
    is here already.
    """
    caller.must("authority:import-key")
    certificate, key = _read(system, wanted)
    issuer = Issuer(certificate, key)
    lists = foreign_lists.read_lists(wanted.crl.encode(), [certificate], system.clock(), "crl") if wanted.crl else ()
    with change(system, caller, "authority:import-key") as transaction:
        known = transaction.all(AUTHORITY, fingerprint_sha256=fingerprint_sha256(certificate))
        authority = _online(transaction, system, known[0], key) if known else _stored(transaction, system, wanted, issuer)
        current = revocations.current_list(transaction, authority.id)
        if lists or (current is not None and current.source != "signed"):
            _take_over(transaction, authority, lists[0].der if lists else current.der)  # type: ignore[union-attr]  # see above
        sign_list(system, transaction, authority, issuer)
        return authority


def _ask(transaction: Transaction, caller: Caller, authority: Authority, wanted: KeyExport) -> None:
    """Whether another person has to agree. The passphrase is only the caller's: it may be another one when they come again."""
    needs = gate.why(transaction, "KEY_EXPORT", "authority_key", authority.name or authority.subject)
    about = [authority.id, wanted.format, wanted.remove, wanted.list_lifetime_days]
    gate.ask(transaction, caller, "authority:export-key", needs, about=about)


def _exportable(reader: Reader, authority_id: str) -> Authority:
    authority = reader.require(AUTHORITY, authority_id)
    if authority.cross_of is not None:
        raise Conflict(
            f"Authority {authority_id} is a cross-signed certificate; export the key of authority {authority.cross_of}."
        )
    if not authority.has_key:
        raise Conflict(f"The key of authority {authority_id} is not here.")
    if authority.custody == "pkcs11":
        raise Conflict(f"The key of authority {authority_id} is in a PKCS#11 token, which never lets it out.")
    return authority


def _written(issuer: Issuer, above: tuple[x509.Certificate, ...], passphrase: str, wanted: KeyExport, name: str) -> str:
    if wanted.format == "pkcs8":
        return pkcs8.encrypted(issuer.key, passphrase)
    held = Holding(issuer.certificate, issuer.key, above)
    return base64.b64encode(pkcs12_file(held, passphrase, "modern", name)).decode("ascii")


def _removed(system: System, caller: Caller, authority: Authority, wanted: KeyExport) -> Authority:
    """The authority without its key, whose last revocation list will hold for long."""
    with change(system, caller, "authority:export-key") as transaction:
        held = _exportable(transaction, authority.id)
        _ask(transaction, caller, held, wanted)
        if held.sealed_key != authority.sealed_key:
            raise Conflict(f"The key of authority {authority.id} was changed meanwhile; try again.")
        # Nobody can sign another before the key is back, and the engine refuses every client once a list has ended.
        sign_list(system, transaction, held, open_issuer(system, held), timedelta(days=wanted.list_lifetime_days))
        said = entry(caller, *_told(held, wanted), transaction.next_revision)
        transaction.append_audit({**said, **transaction.remarks})
        offline = transaction.replace(AUTHORITY, held, held.model_copy(update={"sealed_key": Private(b"")}))
    system.custody.forget(authority.id)
    system.desks.clear()
    system.signers.close()
    return offline


def _told(authority: Authority, wanted: KeyExport) -> tuple[str, Change]:
    told = {"format": wanted.format, "removed": wanted.remove, "fingerprint_sha256": authority.fingerprint_sha256}
    return "authority:export-key", Change("authority", authority.id, None, told)


def _read(system: System, wanted: AuthorityWithKey) -> tuple[x509.Certificate, keys.PrivateKey]:
    passphrase = wanted.passphrase.encode() or None
    if wanted.pkcs12:
        if wanted.certificate or wanted.private_key:
            raise Invalid("pkcs12", "it holds certificate and key; give it alone, or these two")
        return read_authority_pkcs12(_decoded(wanted.pkcs12), passphrase, system.clock(), "pkcs12")
    found = read_client_ca(wanted.certificate.encode(), system.clock(), "certificate")
    if len(found) != 1:
        raise Invalid("certificate", f"holds {len(found)} certificates; with a key there must be one, the authority's own")
    key = keys.load(wanted.private_key.encode(), passphrase, "private_key")
    if not keys.matches(found[0], key):
        raise Invalid("private_key", "it does not belong to the certificate; give the authority's own")
    return found[0], key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise Invalid("pkcs12", "it is not base64") from None


def _online(transaction: Transaction, system: System, known: Authority, key: keys.PrivateKey) -> Authority:
    """The authority that was here without its key, with it."""
    if known.has_key:
        raise Conflict(f"Authority {known.id} ({known.name}) has its key here already.", "certificate")
    if known.cross_of is not None:
        raise Conflict(f"This is a cross-signed certificate; import that of authority {known.cross_of}.", "certificate")
    sealed_key = sealed(system, keys.to_pem(key), authority_context(known.id))
    news = {"sealed_key": sealed_key, "custody": "file", "key": known.key or spec(key)}
    return transaction.replace(AUTHORITY, known, known.model_copy(update=news))


def _stored(transaction: Transaction, system: System, wanted: AuthorityWithKey, issuer: Issuer) -> Authority:
    """An authority that is new here, below the one that signed it if that is here."""
    certificate, authority_id = issuer.certificate, new_id()
    is_root = is_self_issued(certificate) and signatures.is_signed_by(certificate, certificate)
    parent = None if is_root else _parent(transaction, certificate)
    return store_authority(
        transaction,
        certificate,
        sealed(system, keys.to_pem(issuer.key), authority_context(authority_id)),
        id=authority_id,
        name=wanted.name or subject_text(certificate)[:255],
        kind="root" if is_root else "intermediate",
        parent_id=parent.id if parent is not None else None,
        project_id=wanted.project_id,
        key=spec(issuer.key),
    )


def _parent(reader: Reader, certificate: x509.Certificate) -> Authority | None:
    for authority in reader.all(AUTHORITY):
        if authority.cross_of is None and signatures.is_signed_by(certificate, parsed(authority)):
            return authority
    return None


def spec(key: keys.PrivateKey) -> KeySpec | None:
    """Which of the kinds we make it is; None for another one."""
    return _SPECS.get(keys.describe(key.public_key()))


def _take_over(transaction: Transaction, authority: Authority, der: bytes) -> None:
    """Who is revoked on a list from elsewhere stays so on ours, and our next list has a higher number."""
    theirs = x509.load_der_x509_crl(der)
    for one in theirs:
        serial = whole_octets(one.serial_number)
        if revocations.of(transaction, authority.id, serial) is None:
            revocations.put(transaction, _revocation(transaction, authority, one, serial))
    known = revocations.current_list(transaction, authority.id)
    number = _number(theirs)
    if known is None or number > known.number:
        revocations.put_list(transaction, _as_it_was(transaction, authority, theirs, der, number))
    foreign.forget_set_aside(transaction, authority.id)


def _revocation(transaction: Transaction, authority: Authority, one: x509.RevokedCertificate, serial: str) -> Revocation:
    reason, since = "unspecified", None
    for extension in one.extensions:
        if extension.oid == CRLEntryExtensionOID.CRL_REASON:
            reason = extension.value.reason.value
        if extension.oid == CRLEntryExtensionOID.INVALIDITY_DATE:
            since = extension.value.invalidity_date_utc
    return Revocation(
        authority_id=authority.id,
        serial=serial,
        sequence=transaction.move_status(),
        fingerprint_sha256=_NO_FINGERPRINT,
        revoked_at=one.revocation_date_utc,
        reason=reason,
        invalidity_date=since,
        expires_at=authority.not_after,  # it does not say when they expire, so they stay on the list
        entry=crl.entry(one.serial_number, one.revocation_date_utc, reason, since),
    )


def _number(theirs: x509.CertificateRevocationList) -> int:
    try:
        return theirs.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _as_it_was(
    transaction: Transaction, authority: Authority, theirs: x509.CertificateRevocationList, der: bytes, number: int
) -> RevocationList:
    return RevocationList(
        authority_id=authority.id,
        kind="complete",
        number=number,
        this_update=theirs.last_update_utc,
        next_update=theirs.next_update_utc or theirs.last_update_utc,
        sequence=transaction.status_sequence(),
        entries=len(theirs),
        source="uploaded",
        der=der,
    )
