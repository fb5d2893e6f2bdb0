"""Speak with the door to enrolment. Who answers is verified before anything is said that is worth stealing."""

import hmac
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ostiary.errors import Denied, Invalid, Refusal, Unavailable

_TIMEOUT: Final = 60.0
_LARGEST: Final = 1024 * 1024


@dataclass(frozen=True)
class Door:
    """`https://HOST:PORT`."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    def authority(self, fingerprint: str) -> bytes:
        """The certificate (PEM) of the authority with this SHA-256, as the door hands it out to everybody.

        Nothing is verified but that: it is a public certificate, and only the right one is taken. Raises `Denied` for another.
        """
        unverified = ssl.create_default_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        return matching(self._ask("GET", "/enroll/ca.pem", unverified), fingerprint)

    def enroll(self, token: str, request: bytes, ca: Path | None) -> dict[str, Any]:
        """The certificate that a grant is for. Raises `Denied` when the grant is not good."""
        return self._post("/v1/enroll", request, trusting(ca), {"Authorization": f"Bearer {token}"})

    def renew(self, request: bytes, ca: Path | None, certificate: Path, key: Path) -> dict[str, Any]:
        """The successor of this certificate."""
        context = trusting(ca)
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise Unavailable(f"cannot use {certificate} with {key}: {error}") from None
        return self._post("/v1/enroll/renew", request, context, {})

    def handed_out(self, ca: Path | None) -> bytes:
        """The authority that the door hands out now, over a connection that was verified."""
        return self._ask("GET", "/enroll/ca.pem", trusting(ca))

    def _post(self, path: str, request: bytes, context: ssl.SSLContext, headers: dict[str, str]) -> dict[str, Any]:
        body = json.dumps({"enrolment": {"csr": request.decode()}}).encode()
        answer = self._ask("POST", path, context, body, {"Content-Type": "application/json", **headers})
        try:
            certificate: dict[str, Any] = json.loads(answer)["certificate"]
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"{self.url} answers, but not as ostiary does.") from None
        return certificate

    def _ask(
        self,
        method: str,
        path: str,
        context: ssl.SSLContext,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=context)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read(_LARGEST)
        except ssl.SSLCertVerificationError as error:
            raise Denied(
                f"{self.url} is not who it should be ({error.verify_message}). Use the command as it was given, with --ca-sha256."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
            raise Unavailable(f"cannot reach {self.url}: {why}") from None
        finally:
            connection.close()
        if answer.status in {200, 201}:
            return content
        raise _refusal(answer.status, content)


def door_of(link: str) -> tuple[Door, str]:
    """The door and the token of a link, `https://HOST:PORT/enroll/TOKEN`; the token is empty where the link has none."""
    try:
        parts = urlsplit(link)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        raise Invalid("URL", "is not a link to enrol with.") from None
    if parts.scheme != "https" or not host:
        raise Invalid("URL", "a link to enrol with looks like https://HOST:PORT/enroll/TOKEN.")
    folder, _, token = parts.path.rstrip("/").rpartition("/")
    if folder == "/enroll":
        return Door(host, port), token
    if parts.path.rstrip("/") in {"", "/enroll"}:
        return Door(host, port), ""
    raise Invalid("URL", "a link to enrol with looks like https://HOST:PORT/enroll/TOKEN.")


def trusting(ca: Path | None) -> ssl.SSLContext:
    """Trust this authority and no other; None trusts those of the system."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise Unavailable(f"cannot read the authority of the door, {ca}: {error}") from None
    return context


def fingerprint_of(text: str) -> str:
    """A SHA-256 as people write it, in one spelling. Raises `Invalid`."""
    digits = text.replace(":", "").replace(" ", "").lower().removeprefix("sha256=")
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise Invalid("--ca-sha256", "is not a SHA-256: 64 hexadecimal digits, with or without colons.")
    return digits


def matching(pem: bytes, fingerprint: str) -> bytes:
    """The one certificate (PEM) with this SHA-256. Raises `Denied` when it is not there."""
    try:
        offered = x509.load_pem_x509_certificates(pem)
    except ValueError:
        offered = []
    for certificate in offered:
        if hmac.compare_digest(certificate.fingerprint(hashes.SHA256()).hex(), fingerprint):
            return certificate.public_bytes(serialization.Encoding.PEM)
    raise Denied("the authority of this door is not the one that --ca-sha256 names: somebody may stand in between.")


def _refusal(status: int, content: bytes) -> Refusal:
    try:
        words = str(json.loads(content)["detail"])
    except (ValueError, KeyError, TypeError):
        words = f"the door answers {status}"
    return Unavailable(words) if status in {429, 500, 502, 503, 504} else Denied(words)
