"""Where news of a certificate is to be had, as it says itself."""

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from ostiary.pki.status_urls import StatusURLs, status_urls
from support.certs import Authority

CA = Authority.root("Root")


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def point(*names: x509.GeneralName, **other: object) -> x509.DistributionPoint:
    values = {"relative_name": None, "reasons": None, "crl_issuer": None, **other}
    return x509.DistributionPoint(full_name=list(names), **values)  # type: ignore[arg-type]  # as given


def access(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess([x509.AccessDescription(method, uri(text)) for method, text in pairs])


def urls(*extensions: x509.ExtensionType) -> StatusURLs:
    return status_urls(CA.client(extensions=[(one, False) for one in extensions]).certificate)


def test_lists_responders_and_issuers_are_found_in_their_order_each_once() -> None:
    found = urls(
        x509.CRLDistributionPoints(
            [point(uri("http://a.test/1.crl"), uri("http://b.test/1.crl")), point(uri("http://a.test/1.crl"))]
        ),
        x509.FreshestCRL([point(uri("http://a.test/delta.crl"))]),
        access(
            (Access.OCSP, "http://o.test/"),
            (Access.CA_ISSUERS, "HTTPS://a.test/ca.crt"),
            (Access.OCSP, "http://o2.test/"),
        ),
    )
    assert found == StatusURLs(
        crl=("http://a.test/1.crl", "http://b.test/1.crl"),
        delta=("http://a.test/delta.crl",),
        ocsp=("http://o.test/", "http://o2.test/"),
        issuers=("HTTPS://a.test/ca.crt",),
    )


def test_a_certificate_without_any_says_nothing() -> None:
    assert urls() == StatusURLs()


def test_what_is_not_used_here_is_left_out() -> None:
    other = x509.DirectoryName(CA.certificate.subject)
    found = urls(
        x509.CRLDistributionPoints(
            [
                point(uri("ldap://d.test/cn=ca"), other, uri("file:///etc/passwd")),
                point(uri("http://indirect.test/"), crl_issuer=[other]),
                point(uri("http://some-reasons.test/"), reasons=frozenset({x509.ReasonFlags.key_compromise})),
                x509.DistributionPoint(
                    full_name=None,
                    relative_name=x509.RelativeDistinguishedName([next(iter(CA.certificate.subject))]),
                    reasons=None,
                    crl_issuer=None,
                ),
            ]
        )
    )
    assert found == StatusURLs()


def test_no_more_than_a_few_are_taken_and_none_too_long_or_with_control_characters() -> None:
    many = [uri(f"http://a.test/{number}") for number in range(1000)]
    odd = [uri("http://a.test/" + "x" * 3000), uri("http://a.test/\r\nX: y")]
    assert urls(x509.CRLDistributionPoints([point(*odd, *many)])).crl == tuple(one.value for one in many[:5])


def test_an_extension_that_cannot_be_read_says_nothing() -> None:
    broken = x509.UnrecognizedExtension(x509.CRLDistributionPoints.oid, b"\x30\x03\x02\x01\x01")
    assert urls(broken) == StatusURLs()
