"""Somebody else's OCSP responder: `openssl ocsp` over the index file of a CA.

responder = Responder(tmp_path, ca)
responder.knows(alice); responder.revokes(bob)
site.pages["/ocsp"] = responder.page
"""

import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ostiary.clock import now
from support.certs import Authority, Leaf
from support.site import Asked, Page

NOCHECK = (x509.OCSPNoCheck(), False)


def delegate(ca: Authority, cn: str = "responder", *, nocheck: bool = True) -> Leaf:
    """A certificate with which `ca` lets somebody answer for it."""
    return ca.client(cn, eku=(ExtendedKeyUsageOID.OCSP_SIGNING,), extensions=[NOCHECK] if nocheck else [])


@dataclass
class Responder:
    """Answers for `ca`, signing as `signer` (the authority itself unless given)."""

    folder: Path
    ca: Authority
    signer: Leaf | None = None
    options: tuple[str, ...] = ("-nmin", "60")
    _index: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signer = self.signer or Leaf(self.ca.certificate, self.ca.key)
        self._paths = signer.write(self.folder, f"responder-{signer.certificate.serial_number}")
        self._ca = self.folder / f"issuer-{self.ca.certificate.serial_number}.pem"
        self._ca.write_text(self.ca.cert_pem)

    def knows(self, *leaves: Leaf) -> None:
        """These are good."""
        for leaf in leaves:
            self._note(leaf.certificate, "V", "")

    def revokes(self, leaf: Leaf, at: datetime | None = None, reason: str = "keyCompromise") -> None:
        """This one is good no longer."""
        self._note(leaf.certificate, "R", f"{_time(at or now())},{reason}")

    def answer(self, request: bytes) -> bytes:
        """The answer to a request, DER both."""
        index, asked, answered = (self.folder / name for name in ("index.txt", "request.der", "answer.der"))
        index.write_text("".join(self._index.values()))
        asked.write_bytes(request)
        signer = ("-rsigner", self._paths.cert, "-rkey", self._paths.key)
        told = ("-index", index, "-CA", self._ca, *signer, "-reqin", asked, "-respout", answered)
        subprocess.run(["openssl", "ocsp", *map(str, told), *self.options], check=True, capture_output=True)
        return answered.read_bytes()

    def page(self, asked: Asked) -> Page:
        """As a web server answers."""
        return Page(self.answer(asked.body), headers=(("Content-Type", "application/ocsp-response"),))

    def _note(self, certificate: x509.Certificate, state: str, revoked: str) -> None:
        serial = f"{certificate.serial_number:X}"
        serial = serial.zfill(len(serial) + len(serial) % 2)
        line = "\t".join((state, _time(certificate.not_valid_after_utc), revoked, serial, "unknown", f"/CN={serial}"))
        self._index[certificate.serial_number] = f"{line}\n"


def _time(at: datetime) -> str:
    return at.strftime("%y%m%d%H%M%SZ")
