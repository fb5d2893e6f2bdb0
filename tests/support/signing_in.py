"""Who is signed in, as a test asks for it."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.model.authority import Certificate
from ostiary.ops import sessions
from ostiary.ops.caller import Caller
from ostiary.ops.system import System


def der(certificate: Certificate | str) -> bytes:
    """A certificate as a handshake shows it."""
    pem = certificate if isinstance(certificate, str) else certificate.certificate
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def who(system: System, secret: bytes, certificate: Certificate | None = None) -> Caller | None:
    """Whoever comes with this cookie, and with this certificate, is; None for nobody."""
    shown = der(certificate) if certificate is not None else None
    found = sessions.current(system, secret, certificate=shown, source="192.0.2.8", request_id="req-8")
    return found[1] if found is not None else None
