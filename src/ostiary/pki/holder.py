"""A key and a request, as a holder makes them on their own machine."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ostiary.errors import Invalid
from ostiary.pki import name_rules


def new_key_and_request(common_name: str) -> tuple[bytes, str]:
    """A new P-256 key (PKCS#8 PEM) and a PKCS#10 request (PEM) that names its holder. Raises `Invalid` for what is no name."""
    if not common_name:
        raise Invalid("common_name", "it is empty; say who the certificate is for.")
    name_rules.subject_part(common_name, "CN", "common_name")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key_pem, request.public_bytes(serialization.Encoding.PEM).decode()
