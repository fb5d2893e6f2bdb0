"""Where certificates say that more can be learned of their issuer: its revocation list, its certificate, its OCSP responder."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ostiary.errors import Invalid
from ostiary.pki import name_rules

_Extensions = list[tuple[x509.ExtensionType, bool]]


@dataclass(frozen=True)
class Urls:
    """Public addresses below which an issuer answers; an empty one is not said. Raises `Invalid` for what is no http(s) URL.

    They should be http: what is fetched there is signed itself, and a client may need it before it can trust any https server
    (RFC 5280 8).
    """

    crl: str = ""
    issuer: str = ""
    ocsp: str = ""
    delta: str = ""  # said in the list itself (RFC 5280 5.2.6)

    def __post_init__(self) -> None:
        for url in filter(None, (self.crl, self.issuer, self.ocsp)):
            name_rules.uri(url, "public_url")
            if not url.startswith(("http://", "https://")):
                raise Invalid("public_url", f"'{name_rules.visible(url)}' is not an http or https URL.")

    def extensions(self) -> _Extensions:
        """(value, critical) of each extension that a certificate of this issuer carries."""
        found: _Extensions = []
        if self.crl:  # RFC 5280 4.2.1.13
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(self.crl)], None, None, None)
            found.append((x509.CRLDistributionPoints([point]), False))
        access = [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
            for method, url in (
                (AuthorityInformationAccessOID.OCSP, self.ocsp),
                (AuthorityInformationAccessOID.CA_ISSUERS, self.issuer),
            )
            if url
        ]
        if access:  # RFC 5280 4.2.2.1
            found.append((x509.AuthorityInformationAccess(access), False))
        return found


NOWHERE = Urls()


def below(public_url: str, authority_id: str) -> Urls:
    """The addresses of one authority, `/pki/…` and `/ocsp/…`, below a public base; nowhere when there is none."""
    if not public_url:
        return NOWHERE
    base = public_url.rstrip("/")
    return Urls(
        crl=f"{base}/pki/{authority_id}.crl",
        issuer=f"{base}/pki/{authority_id}.crt",
        ocsp=f"{base}/ocsp/{authority_id}",
        delta=f"{base}/pki/{authority_id}.delta.crl",
    )
