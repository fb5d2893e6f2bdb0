"""Who keeps the keys of authorities, and the keys that were opened last: a certificate must not wait for its issuer's key."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from ostiary.errors import Invalid, Unavailable
from ostiary.model.authority import Authority, Custody
from ostiary.pki import custody, keys
from ostiary.pki.chain import read_certificates
from ostiary.pki.issue import Issuer

_AT_MOST: Final = 256
_HOW: Final = "set OSTIARY_PKCS11_MODULE, OSTIARY_PKCS11_TOKEN and OSTIARY_PKCS11_PIN_FILE"


class Custodians:
    """The places where keys are kept, by their names in the model, and what was opened from them. Safe from any thread."""

    def __init__(self, token: custody.Custody | None = None) -> None:
        self._places: dict[Custody, custody.Custody] = {"file": custody.InFile(), "pkcs11": token or _NoToken()}
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Custodians {len(self._opened)}>"

    def create(self, place: Custody, spec: keys.KeySpec, label: str) -> tuple[bytes, keys.PrivateKey]:
        """Make a key there: what is to be stored of it, sealed, and the key itself. Raises `Invalid` or `Unavailable`."""
        kept = self._places[place].create(spec, label)
        return kept, self._places[place].open(kept, "key")

    def issuer(self, authority: Authority, unsealed: Callable[[], bytes], field: str) -> Issuer:
        """The authority ready to sign; `unsealed` opens what is stored of its key and is called only when it is not open yet."""
        mark = (bytes(authority.sealed_key), authority.fingerprint_sha256)
        with self._lock:
            known = self._opened.get(authority.id)
            if known is not None and known.mark == mark:
                self._opened.move_to_end(authority.id)
                return known.issuer
        made = Issuer(_certificate(authority), self._places[authority.custody].open(unsealed(), field))
        with self._lock:
            self._opened[authority.id] = _Opened(mark, made)
            self._opened.move_to_end(authority.id)
            while len(self._opened) > _AT_MOST:
                self._opened.popitem(last=False)
        return made

    def forget(self, authority_id: str) -> None:
        """Let go of the key of an authority that was removed, or whose key was."""
        with self._lock:
            self._opened.pop(authority_id, None)


@dataclass(frozen=True)
class _Opened:
    """An opened key, and what was stored when it was: anything else stored is another key, or another certificate."""

    mark: tuple[bytes, str]
    issuer: Issuer


class _NoToken:
    """What is there in place of a token that nobody told us of."""

    def create(self, _spec: keys.KeySpec, _label: str) -> bytes:
        raise Invalid("custody", f"no PKCS#11 token is set up here; {_HOW}, or choose file")

    def open(self, _kept: bytes, field: str) -> keys.PrivateKey:
        raise Unavailable(f"{field}: its key is in a PKCS#11 token, and none is set up here; {_HOW}.")


def _certificate(authority: Authority) -> x509.Certificate:
    return read_certificates(authority.certificate.encode(), "certificate")[0]
