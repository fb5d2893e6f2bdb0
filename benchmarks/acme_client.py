"""As much of an ACME client (RFC 8555) as ordering certificates by the thousand takes, where every challenge is believed.

One HTTPS connection and one account each; what is signed is signed with P-256. Orders are for names that the account was granted
before, so no challenge is answered: that is the fastest an ACME server of this kind can be asked.
"""

import base64
import http.client
import json
import ssl
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

_TRIES: Final = 200


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Account:
    """An account and its connection."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._http = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = f"https://127.0.0.1:{port}"
        self._http.request("GET", "/dir")
        self._directory = json.loads(self._http.getresponse().read())
        self._http.request("HEAD", self._path(self._directory["newNonce"]))
        answer = self._http.getresponse()
        answer.read()
        self._nonce = str(answer.headers["Replay-Nonce"])
        numbers = self._key.public_key().public_numbers()
        self._jwk = {"kty": "EC", "crv": "P-256", "x": _encoded(numbers.x.to_bytes(32)), "y": _encoded(numbers.y.to_bytes(32))}
        self._kid = ""
        _, headers, _ = self._post(self._directory["newAccount"], {"termsOfServiceAgreed": True})
        self._kid = headers["Location"]

    def issue(self, name: str, csr: bytes) -> str:
        """Order a certificate for a DNS name, with this request (DER); the PEM chain."""
        order, headers, _ = self._post(self._directory["newOrder"], {"identifiers": [{"type": "dns", "value": name}]})
        where = headers["Location"]
        for place in order["authorizations"] if order["status"] == "pending" else ():
            self._prove(place)
        self._post(order["finalize"], {"csr": _encoded(csr)})
        order = self._until(where, "valid")
        _, _, chain = self._post(order["certificate"], None)
        return chain.decode()

    def close(self) -> None:
        self._http.close()

    def _prove(self, place: str) -> None:
        found, _, _ = self._post(place, None)
        if found["status"] != "valid":
            challenge = next(one for one in found["challenges"] if one["type"] == "http-01")
            self._post(challenge["url"], {})
            self._until(place, "valid")

    def _until(self, place: str, status: str) -> dict[str, Any]:
        for _ in range(_TRIES):
            found: dict[str, Any] = self._post(place, None)[0]
            if found["status"] == status:
                return found
        raise RuntimeError(f"{place} did not become {status}: {found}")

    def _post(self, url: str, payload: Any) -> tuple[Any, Any, bytes]:
        who = {"kid": self._kid} if self._kid else {"jwk": self._jwk}
        protected = _encoded(json.dumps({"alg": "ES256", "nonce": self._nonce, "url": url, **who}).encode())
        said = "" if payload is None else _encoded(json.dumps(payload).encode())
        r, s = utils.decode_dss_signature(self._key.sign(f"{protected}.{said}".encode(), ec.ECDSA(hashes.SHA256())))
        body = {"protected": protected, "payload": said, "signature": _encoded(r.to_bytes(32) + s.to_bytes(32))}
        self._http.request("POST", self._path(url), json.dumps(body), {"Content-Type": "application/jose+json"})
        answer = self._http.getresponse()
        content = answer.read()
        self._nonce = answer.headers["Replay-Nonce"] or self._nonce
        if answer.status >= 400:
            raise RuntimeError(f"{url}: {answer.status} {content.decode()}")
        is_json = "json" in str(answer.headers["Content-Type"])
        return (json.loads(content) if is_json else None), answer.headers, content

    def _path(self, url: str) -> str:
        return url.removeprefix(self._root)
