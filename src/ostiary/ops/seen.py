"""Certificates of imported authorities that gateways were shown: whose they are, and where news of them is to be had."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from cryptography import x509

from ostiary.errors import Refusal
from ostiary.model.authority import Authority
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import signatures
from ostiary.pki.chain import read_certificates
from ostiary.pki.names import name_text
from ostiary.pki.status_urls import StatusURLs, status_urls
from ostiary.store import foreign
from ostiary.store.foreign import Seen
from ostiary.store.store import Reader

# No connection lives longer (store.desired): who was not seen for as long is met at the handshake again.
IN_USE: Final = timedelta(hours=25)


class Signers:
    """Who of some authorities signed a certificate that was seen.

    By its signature where a gateway told all of it; by its issuer's name otherwise, unless several of them have that name.
    """

    def __init__(self, system: System, authorities: Sequence[Authority]) -> None:
        self._known = system.watch.signers
        self._by_id = {one.id: one for one in authorities}
        self._scope = hashlib.sha256("".join(sorted(self._by_id)).encode()).hexdigest()[:16]
        self._by_name: dict[str, list[tuple[Authority, x509.Certificate]]] = {}
        for one in authorities:
            certificate = parsed(one)
            self._by_name.setdefault(_plain(name_text(certificate.subject)), []).append((one, certificate))

    def find(self, reader: Reader, seen: Seen) -> Authority | None:
        """The authority, or None when it is none of these."""
        name = f"{self._scope}/{seen.fingerprint_sha256}"
        known: str | None = self._known.get(name)
        if known is not None:
            return self._by_id.get(known)
        certificate = whole(reader, seen)
        if certificate is None:
            namesakes = self._by_name.get(_plain(seen.issuer), [])
            return namesakes[0][0] if len(namesakes) == 1 else None
        namesakes = self._by_name.get(_plain(name_text(certificate.issuer)), [])
        found = next((one for one, its in namesakes if signatures.is_signed_by(certificate, its)), None)
        self._known.keep(name, found.id if found else "")
        return found


def whole(reader: Reader, seen: Seen) -> x509.Certificate | None:
    """The certificate, where a gateway told all of it and it can be read."""
    text = foreign.whole(reader, seen.fingerprint_sha256) if seen.is_whole else None
    try:
        return read_certificates(text.encode(), "certificate")[0] if text else None
    except Refusal:
        return None


def urls(reader: Reader, seen: Seen) -> StatusURLs:
    """Where it says that news of it is to be had."""
    certificate = whole(reader, seen)
    return status_urls(certificate) if certificate else StatusURLs()


def _plain(name: str) -> str:
    """A name as different programs write it, alike: they differ in blanks, in the case of short names, and in escapes."""
    return name.replace("\\", "").replace(" ", "").lower()
