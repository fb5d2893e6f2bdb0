"""/pki and /ocsp: what everybody may ask, and what caches may keep."""

import base64
import hashlib
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from api.client import Client, a_client
from ostiary.model.authority import Authority, Certificate
from ostiary.model.revocation import Revoke
from ostiary.ops import list_upkeep, revocation
from ostiary.ops.signing import parsed
from ostiary.store.kinds import AUTHORITY
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock

NO_TOKEN = {"X-Auth-Token": ""}


def revoke(client: Client, certificate: Certificate) -> None:
    revocation.revoke(client.system, ADMIN, certificate.id, Revoke(reason="keyCompromise"))
    list_upkeep.sign_due(client.system)


def request(client: Client, certificate: Certificate, *extensions: x509.ExtensionType) -> bytes:
    with client.system.store.read() as reader:
        issuer = parsed(reader.require(AUTHORITY, certificate.authority_id))
    builder = ocsp.OCSPRequestBuilder().add_certificate(parsed(certificate), issuer, hashes.SHA1())  # noqa: S303 (what clients send)
    for value in extensions:
        builder = builder.add_extension(value, critical=False)
    return builder.build().public_bytes(Encoding.DER)


def by_get(client: Client, authority: Authority, asked: str, **headers: str) -> httpx.Response:
    return client.get(f"/ocsp/{authority.id}/{asked}", headers={**NO_TOKEN, **headers})


def by_post(client: Client, authority_id: str, asked: bytes) -> httpx.Response:
    headers = {**NO_TOKEN, "Content-Type": "application/ocsp-request"}
    return client.request("POST", f"/ocsp/{authority_id}", content=asked, headers=headers)


def status(reply: httpx.Response) -> Any:
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/ocsp-response")
    found = ocsp.load_der_ocsp_response(reply.content)
    successful = found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    return found.certificate_status if successful else found.response_status


def test_a_list_is_public_from_the_authoritys_birth_and_follows_each_revocation(client: Client) -> None:
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca)
    path = f"/pki/{ca.id}.crl"
    for headers in (NO_TOKEN, {"X-Auth-Token": "wrong"}):
        reply = client.get(path, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/pkix-crl")
        assert len(x509.load_der_x509_crl(reply.content)) == 0
    revoke(client, alice)
    (only,) = x509.load_der_x509_crl(client.get(path, headers=NO_TOKEN).content)
    assert only.serial_number == parsed(alice).serial_number


def test_a_delta_is_public_once_there_is_one(client: Client) -> None:
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca)
    path = f"/pki/{ca.id}.delta.crl"
    assert client.get(path, headers=NO_TOKEN).status_code == 404
    revoke(client, alice)
    reply = client.get(path, headers=NO_TOKEN)
    assert reply.headers["content-type"] == "application/pkix-crl"
    delta = x509.load_der_x509_crl(reply.content)
    assert delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator).critical
    assert delta.get_revoked_certificate_by_serial_number(parsed(alice).serial_number) is not None


@pytest.mark.parametrize("media_type", ["application/x-pem-file", "text/plain"])
def test_who_accepts_only_pem_gets_it(client: Client, media_type: str) -> None:
    ca = an_authority(client.system)
    plain = client.get(f"/pki/{ca.id}.crl", headers={"Accept": "*/*"})
    reply = client.get(f"/pki/{ca.id}.crl", headers={"Accept": media_type})
    assert reply.headers["content-type"].startswith(media_type)
    assert x509.load_pem_x509_crl(reply.content) == x509.load_der_x509_crl(plain.content)
    assert reply.headers["etag"] != plain.headers["etag"]
    assert reply.headers["vary"] == "Accept"


def test_caches_may_keep_a_list_and_ask_whether_it_changed(client: Client) -> None:
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca)
    path = f"/pki/{ca.id}.crl"
    first = client.get(path)
    kept = x509.load_der_x509_crl(first.content)
    assert first.headers["cache-control"] == "max-age=300, public, no-transform, must-revalidate"
    assert parsedate_to_datetime(first.headers["last-modified"]) == kept.last_update_utc
    assert parsedate_to_datetime(first.headers["expires"]) == kept.next_update_utc
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for known in ('"other"', "", "garbage", '"' + "f" * 5000 + '-der"', tag.replace("der", "pem")):
        assert client.get(path, headers={"If-None-Match": known}).status_code == 200
    revoke(client, alice)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_head_tells_all_but_the_list(client: Client) -> None:
    path = f"/pki/{an_authority(client.system).id}.crl"
    whole, head = client.get(path), client.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("name", ["nobody.crl", "nobody.delta.crl", ".crl", "nobody.crl.crl"])
def test_nobody_has_no_list(client: Client, name: str) -> None:
    assert client.get(f"/pki/{name}", headers=NO_TOKEN).status_code == 404


def test_ocsp_answers_posts_from_everybody(client: Client) -> None:
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca)
    reply = by_post(client, ca.id, request(client, alice))
    assert status(reply) is ocsp.OCSPCertStatus.GOOD
    assert reply.headers["cache-control"] == "no-store"
    revoke(client, alice)
    assert status(by_post(client, ca.id, request(client, alice))) is ocsp.OCSPCertStatus.REVOKED


def test_ocsp_answers_gets_however_they_are_spelled(client: Client) -> None:
    ca = an_authority(client.system)
    for number in range(8):  # so that some have '+', '/' and padding in them
        asked = request(client, a_certificate(client.system, ca, f"holder {number}"))
        plain = base64.b64encode(asked).decode()
        for text in (plain, quote(plain, safe=""), plain.rstrip("="), base64.urlsafe_b64encode(asked).decode(), f"/{plain}"):
            assert status(by_get(client, ca, text)) is ocsp.OCSPCertStatus.GOOD, text


def test_a_request_that_ends_in_a_slash_is_read_whole(client: Client) -> None:
    """Of other paths a trailing slash is taken away."""
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca)
    asked = [request(client, alice, x509.OCSPNonce(b"\xff" * octets)) for octets in (14, 15, 16)]
    (text,) = (base64.b64encode(one).decode() for one in asked if len(one) % 3 == 0)
    assert text.endswith("/")
    assert status(by_get(client, ca, text)) is ocsp.OCSPCertStatus.GOOD


def test_caches_may_keep_what_was_asked_with_get(client: Client) -> None:
    """RFC 5019 6.2."""
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca)
    text = quote(base64.b64encode(request(client, alice)).decode(), safe="")
    first = by_get(client, ca, text)
    found = ocsp.load_der_ocsp_response(first.content)
    assert first.headers["etag"] == f'"{hashlib.sha256(first.content).hexdigest()}"'
    assert first.headers["cache-control"] == "max-age=300, public, no-transform, must-revalidate"
    assert parsedate_to_datetime(first.headers["last-modified"]) == found.this_update_utc
    assert parsedate_to_datetime(first.headers["expires"]) == found.next_update_utc
    again = by_get(client, ca, text, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    revoke(client, alice)
    after = by_get(client, ca, text, **{"If-None-Match": first.headers["etag"]})
    assert status(after) is ocsp.OCSPCertStatus.REVOKED


def test_caches_keep_neither_answers_to_a_nonce_nor_unknown_ones_nor_failures(client: Client) -> None:
    ca, other = an_authority(client.system, "One"), an_authority(client.system, "Other")
    alice, bob = a_certificate(client.system, ca), a_certificate(client.system, other)
    with client.system.store.write() as transaction:
        transaction.connection.exec_driver_sql("DELETE FROM certificates WHERE id = ?", (bob.id,))
    for authority, asked, said in (
        (ca, request(client, alice, x509.OCSPNonce(b"n" * 16)), ocsp.OCSPCertStatus.GOOD),
        (other, request(client, bob), ocsp.OCSPCertStatus.UNKNOWN),
        (ca, request(client, bob), ocsp.OCSPResponseStatus.UNAUTHORIZED),
        (ca, b"garbage", ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
    ):
        reply = by_get(client, authority, base64.b64encode(asked).decode())
        assert status(reply) is said
        assert reply.headers["cache-control"] == "no-store"
        assert "etag" not in reply.headers


def test_head_of_an_ocsp_answer_has_no_body(client: Client) -> None:
    ca = an_authority(client.system)
    text = base64.b64encode(request(client, a_certificate(client.system, ca))).decode()
    head = client.request("HEAD", f"/ocsp/{ca.id}/{text}", headers=NO_TOKEN)
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/ocsp-response")


def test_an_authority_that_is_none_is_answered_in_ocsps_own_words(client: Client) -> None:
    ca = an_authority(client.system)
    asked = request(client, a_certificate(client.system, ca))
    assert status(by_post(client, "nobody", asked)) is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert status(by_post(client, ca.id, b"")) is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_a_large_question_is_not_read(client: Client) -> None:
    assert by_post(client, "x", b"x" * 4097).status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/ocsp/x"),
        ("GET", "/ocsp/x"),
        ("GET", "/ocsp/x/../../v1/tokens"),
        ("POST", "/pki/x.crl"),
        ("POST", "/ocsp/x/MA=="),
    ],
)
def test_nothing_else_there_is_public(client: Client, method: str, path: str) -> None:
    assert client.request(method, f"http://ostiary.test:9876{path}", headers=NO_TOKEN).status_code == 401


def test_the_lists_of_a_week_ago_are_still_to_be_had_with_their_dates(tmp_path: Path) -> None:
    """Whoever fetches one judges for themselves whether it is fresh."""
    clock = FakeClock()
    with a_client(tmp_path, clock) as client:
        ca = an_authority(client.system)
        clock.advance(days=30)
        reply = client.get(f"/pki/{ca.id}.crl", headers=NO_TOKEN)
        assert reply.status_code == 200
        assert parsedate_to_datetime(reply.headers["expires"]) < clock.at
