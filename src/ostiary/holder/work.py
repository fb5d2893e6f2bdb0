"""Enrol, and renew: make the key here, ask, check what came, put it in place, run what is to be run afterwards."""

import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from ostiary.errors import Conflict, Denied, Invalid, Refusal, Unavailable
from ostiary.holder import renewal
from ostiary.holder.door import Door, door_of, fingerprint_of
from ostiary.holder.folder import Enrolment, Folder, Progress
from ostiary.pki import keys

_HOOK_WITHIN: Final = 600.0


@dataclass(frozen=True)
class Done:
    """How a renewal went. `renewed` is False when it is not due; `until` is how long the certificate in place is good."""

    renewed: bool
    until: datetime
    next_at: datetime


def enroll(link: str, token: str, ca_sha256: str, folder: Folder, wanted: Enrolment, at: datetime) -> x509.Certificate:
    """Get a first certificate into a folder. `token` is used when the link has none. Raises `Refusal`.

    With `ca_sha256` that authority alone is believed; without, those of the system. There is no third way: who believes anybody
    hands the grant to anybody.
    """
    door, in_link = door_of(link)
    secret = in_link or token
    if not secret:
        raise Invalid("URL", "has no token; give the whole link, or --token-file.")
    if wanted.key_type not in get_args(keys.KeySpec):
        raise Invalid("--key-type", f"is one of {', '.join(get_args(keys.KeySpec))}.")
    owner = owner_of(wanted.owner_user)
    folder.prepare(wanted.owner_user)
    with folder.held():
        if folder.is_enrolled:
            raise Conflict(f"{folder.path} holds a certificate already: `ostiary enroll renew {folder.path}`, or choose another.")
        ca = _trusted(door, folder, ca_sha256)
        key, request = _asked(folder, wanted)
        try:
            answer = door.enroll(secret, request, ca)
            authority = ca.read_bytes() if ca else door.handed_out(None)
        except Denied:
            folder.forget_pending()  # If it is for the key, another one will do; if not, nothing is lost.
            raise
        finally:
            if ca is not None:
                ca.unlink()
        files = _files(answer, key, authority)
        folder.write_enrolment(replace(wanted, door=door.url, trust_ca=ca is not None))
        folder.install(files, owner, at)
        return _leaf(files)


def renew(folder: Folder, clock: Callable[[], datetime], *, if_due: bool) -> Done:
    """Renew with the certificate in place, for a new key. What is there stays until the new one is whole. Raises `Refusal`."""
    wanted = folder.enrolment()
    with folder.held():
        certificate = _in_place(folder)
        due, progress, at = renewal.due_at(certificate), folder.progress(), clock()
        if if_due and at < due:
            _run_hook(folder, wanted, progress)
            return Done(renewed=False, until=certificate.not_valid_after_utc, next_at=due)
        waits_until = datetime.fromisoformat(progress.not_before) if progress.not_before else at
        if if_due and at < waits_until:
            return Done(renewed=False, until=certificate.not_valid_after_utc, next_at=waits_until)
        try:
            made = _renewed(folder, wanted, at)
        except Refusal as refusal:
            failures = progress.failures + 1
            again = clock() + renewal.wait_after(failures, certificate, clock())
            folder.write_progress(replace(progress, failures=failures, not_before=again.isoformat()))
            raise Unavailable(f"{refusal} Will try again after {again:%Y-%m-%d %H:%M:%S} UTC.") from None
        _run_hook(folder, wanted, folder.progress())
        return Done(renewed=True, until=made.not_valid_after_utc, next_at=renewal.due_at(made))


def owner_of(user: str) -> tuple[int, int] | None:
    """User and group that the files are to belong to; None leaves them to whoever enrols. Raises `Invalid`."""
    if not user:
        return None
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise Invalid("--owner-user", f"there is no user '{user}' on this machine.") from None
    return found.pw_uid, found.pw_gid


def _trusted(door: Door, folder: Folder, ca_sha256: str) -> Path | None:
    """A file with the authority to believe; None for those of the system."""
    if not ca_sha256:
        return None
    file = folder.path / ".ca.pem"
    file.write_bytes(door.authority(fingerprint_of(ca_sha256)))
    return file


def _asked(folder: Folder, wanted: Enrolment) -> tuple[bytes, bytes]:
    """A key and a request, PEM: those that may have been sent before, or new ones, kept before they are sent."""
    pending = folder.pending()
    if pending is None:
        folder.write_pending(*new_key_and_request(wanted.key_type))
        pending = folder.pending()
    if pending is None:
        raise Unavailable(f"cannot keep a key in {folder.path}.")
    return pending["key.pem"], pending["request.pem"]


def new_key_and_request(key_type: str) -> tuple[bytes, bytes]:
    """A key (PKCS#8) and a request for it, both PEM."""
    key = keys.generate(key_type)  # type: ignore[arg-type]  # one of them, by `enroll`
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    # Without a name: which one the certificate gets was settled when it was granted.
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, algorithm)
    return keys.to_pem(key), request.public_bytes(serialization.Encoding.PEM)


def _renewed(folder: Folder, wanted: Enrolment, at: datetime) -> x509.Certificate:
    door, _ = door_of(wanted.door)
    ca = folder.file("ca.pem") if wanted.trust_ca else None
    key, request = _asked(folder, wanted)
    try:
        answer = door.renew(request, ca, folder.file("fullchain.pem"), folder.file("key.pem"))
    except Denied:
        folder.forget_pending()  # If it is for the key, another one will do; if not, nothing is lost.
        raise
    files = _files(answer, key, door.handed_out(ca))
    folder.write_progress(Progress(hook_due=bool(wanted.hook)))
    folder.install(files, owner_of(wanted.owner_user), at)
    return _leaf(files)


def _files(answer: dict[str, Any], key: bytes, authority: bytes) -> dict[str, bytes]:
    """What came, as files. Raises `Unavailable` unless it is a certificate for our key."""
    try:
        certificate, chain = str(answer["certificate"]).encode(), str(answer["chain"]).encode()
        ours = keys.spki(serialization.load_pem_private_key(key, None).public_key())
        fits = keys.spki(x509.load_pem_x509_certificate(certificate).public_key()) == ours
    except (KeyError, ValueError) as error:
        raise Unavailable(f"what the door sent is no certificate that can be read ({type(error).__name__}).") from None
    if not fits:
        raise Unavailable("the door sent a certificate for another key.")
    return {
        "key.pem": key,
        "cert.pem": certificate,
        "chain.pem": chain,
        "fullchain.pem": certificate + chain,
        "ca.pem": authority,
    }


def _leaf(files: dict[str, bytes]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files["cert.pem"])


def _in_place(folder: Folder) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(folder.file("cert.pem").read_bytes())
    except (OSError, ValueError):
        raise Unavailable(f"{folder.file('cert.pem')} is no certificate that can be read; enrol anew.") from None


def _run_hook(folder: Folder, wanted: Enrolment, progress: Progress) -> None:
    """Run what is to be run after a renewal, unless it was. Raises `Unavailable` when it fails; it is tried again then."""
    if not progress.hook_due:
        return
    try:
        # Whoever wrote it owns this folder, and so decides what is run (`Folder.enrolment`).
        subprocess.run(["/bin/sh", "-c", wanted.hook], cwd=folder.path, check=True, timeout=_HOOK_WITHIN)  # noqa: S603 (see above)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(f"the certificate is renewed, but the hook failed: {error}") from None
    folder.write_progress(replace(progress, hook_due=False))
