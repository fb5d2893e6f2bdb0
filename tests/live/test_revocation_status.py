"""Whoever checks our certificates from outside: openssl, GnuTLS and curl ask a whole ostiary, without a token."""

import base64
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from support.certs import csr, key_pem, new_key
from support.ports import free_port
from support.stack import Ostiary
from support.wait import eventually, eventually_passes

Command = subprocess.CompletedProcess[str]


def run(*command: str | Path) -> Command:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Holding:
    """A certificate of an authority of its own, in files, and where each is asked about."""

    house: Ostiary
    authority_id: str
    id: str
    ca: Path
    cert: Path
    key: Path

    def url(self, path: str) -> str:
        return f"http://{self.house.listen}{path.format(ca=self.authority_id)}"

    def revoke(self, reason: str = "keyCompromise") -> None:
        self.house.call("POST", f"/v1/certificates/{self.id}/revoke", {"reason": reason})

    def openssl(self, *more: str | Path) -> Command:
        """Ask with openssl, which sends a nonce and checks that it comes back."""
        about = ("-issuer", self.ca, "-cert", self.cert, "-CAfile", self.ca)
        return run("openssl", "ocsp", *about, *(more or ("-url", self.url("/ocsp/{ca}"))))


@pytest.fixture
def holding(house: Ostiary, tmp_path: Path) -> Holding:
    """A server's certificate."""
    authority = house.call("POST", "/v1/authorities", {"authority": {"name": "status", "kind": "root"}})["authority"]
    key = new_key()
    wanted = {"authority_id": authority["id"], "csr": csr(key, "localhost", sans=("DNS:localhost",)), "profile": "server"}
    made = house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
    files = {"ca.pem": authority["certificate"], "cert.pem": made["certificate"], "key.pem": key_pem(key)}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return Holding(house, authority["id"], made["id"], *(tmp_path / name for name in files))


def test_openssl_is_told_at_once_that_a_certificate_was_revoked(holding: Holding) -> None:
    before = holding.openssl()
    assert "cert.pem: good" in before.stdout, before.stderr
    assert "Response verify OK" in before.stderr
    assert "no nonce" not in before.stderr
    holding.revoke()
    after = holding.openssl()
    assert "cert.pem: revoked" in after.stdout
    assert "Reason: keyCompromise" in after.stdout
    assert "Response verify OK" in after.stderr


def test_an_answer_without_a_nonce_is_given_again_but_not_after_the_revocation(holding: Holding) -> None:
    url = ("-no_nonce", "-url", holding.url("/ocsp/{ca}"))
    assert [holding.openssl(*url).stdout.splitlines()[0].rpartition(" ")[2] for _ in range(3)] == ["good"] * 3
    holding.revoke("superseded")
    assert "cert.pem: revoked" in holding.openssl(*url).stdout


def test_a_serial_number_that_nobody_issued_is_unknown_to_openssl(holding: Holding) -> None:
    asking = ("openssl", "ocsp", "-issuer", holding.ca, "-serial", "0x1234", "-CAfile", holding.ca)
    done = run(*asking, "-url", holding.url("/ocsp/{ca}"))
    assert "0x1234: unknown" in done.stdout
    assert "Response verify OK" in done.stderr


def test_gnutls_asks_too(holding: Holding) -> None:
    about = ("--load-cert", holding.cert, "--load-issuer", holding.ca, "--load-trust", holding.ca)
    asking = ("ocsptool", f"--ask={holding.url('/ocsp/{ca}')}", "--nonce", *about)
    assert "Verifying OCSP Response: Success" in run(*asking).stdout
    holding.revoke()
    assert "Certificate Status: revoked" in run(*asking).stdout


def test_curl_asks_with_get_and_a_cache_learns_when_it_changed(holding: Holding, tmp_path: Path) -> None:
    request, answer, tag = tmp_path / "request.der", tmp_path / "answer.der", tmp_path / "tag"
    holding.openssl("-no_nonce", "-reqout", request)
    text = quote(base64.b64encode(request.read_bytes()).decode(), safe="")
    url = holding.url(f"/ocsp/{{ca}}/{text}")
    assert run("curl", "-fsS", "--etag-save", tag, "-o", answer, url).returncode == 0
    assert "cert.pem: good" in holding.openssl("-respin", answer).stdout
    again = ("curl", "-sS", "--etag-compare", tag, "-o", tmp_path / "again.der", "-w", "%{http_code}", url)
    assert run(*again).stdout == "304"
    holding.revoke()
    assert run(*again).stdout == "200"
    assert "cert.pem: revoked" in holding.openssl("-respin", tmp_path / "again.der").stdout
    head = run("curl", "-sSI", url).stdout.lower()
    assert "content-type: application/ocsp-response" in head
    assert "cache-control: max-age=300, public" in head


def test_curl_refuses_a_server_that_is_on_the_list(
    holding: Holding, tmp_path: Path, start_process: Callable[..., object]
) -> None:
    """The list as anybody gets it, PEM because that is what curl reads."""
    port = free_port()
    start_process("openssl", "s_server", "-accept", port, "-cert", holding.cert, "-key", holding.key, "-www")
    crl = tmp_path / "crl.pem"

    def asked() -> int:
        fetched = run("curl", "-fsS", "-H", "Accept: application/x-pem-file", "-o", crl, holding.url("/pki/{ca}.crl"))
        assert fetched.returncode == 0, fetched.stderr
        return run("curl", "-sS", "--cacert", holding.ca, "--crlfile", crl, f"https://localhost:{port}/").returncode

    eventually(lambda: asked() == 0)
    holding.revoke()
    eventually(lambda: asked() == 60)  # CURLE_PEER_FAILED_VERIFICATION


def test_openssl_verifies_the_list_and_the_delta(holding: Holding, tmp_path: Path) -> None:
    complete, delta = tmp_path / "complete.crl", tmp_path / "delta.crl"
    verify = ("openssl", "crl", "-inform", "DER", "-verify", "-CAfile", holding.ca, "-noout", "-text", "-in")
    assert run("curl", "-fsS", "-o", complete, holding.url("/pki/{ca}.crl")).returncode == 0
    empty = run(*verify, complete)
    assert "verify OK" in empty.stderr
    assert "No Revoked Certificates" in empty.stdout
    holding.revoke()

    def published() -> None:
        for file, path in ((complete, "/pki/{ca}.crl"), (delta, "/pki/{ca}.delta.crl")):
            assert run("curl", "-fsS", "-o", file, holding.url(path)).returncode == 0
            shown = run(*verify, file)
            assert "verify OK" in shown.stderr
            assert "Key Compromise" in shown.stdout

    eventually_passes(published)
    assert "X509v3 Delta CRL Indicator: critical" in run(*verify, delta).stdout
