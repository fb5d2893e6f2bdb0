"""Keys in a PKCS#11 token (an HSM, a smart card, SoftHSM): made there, never let out; all that is here is a handle.

One thread of our own speaks to the module, for two reasons. `python-pkcs11` initialises modules as for a program with one thread
(C_Initialize with no arguments), and a module may then break when two threads call it at once: SoftHSM 2.6 hangs, seen. And a
token that does not answer holds up that thread alone: whoever waits for it is told after a while.
"""

import base64
import contextlib
import json
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from ostiary.custody.keys import held
from ostiary.errors import Invalid, Unavailable
from ostiary.pki.keys import KeySpec, PrivateKey, PublicKey, refuse_weak, spki

_SIGN_SECONDS: Final = 15.0
_CREATE_SECONDS: Final = 180.0  # RSA-4096 in a small token
_PIN_LIMIT: Final = 1024
_VERSION: Final = 1

T = TypeVar("T")

# Made in the token, seen by nobody, good for signing alone.
_PRIVATE: Final = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
    Attribute.DERIVE: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
}
_MUST_BE: Final = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_SIGNING: Final = MechanismFlag.SIGN | MechanismFlag.VERIFY

_CURVES: Final[dict[str, tuple[str, ec.EllipticCurve]]] = {
    "EC-P256": ("secp256r1", ec.SECP256R1()),
    "EC-P384": ("secp384r1", ec.SECP384R1()),
}
_ED25519: Final = "1.3.101.112"  # RFC 8410 3
_RSA_BITS: Final = {"RSA-3072": 3072, "RSA-4096": 4096}

# The token is there, and says no for a reason that connecting anew would not change.
_FINAL: Final = (
    pkcs11.exceptions.MultipleObjectsReturned,
    pkcs11.exceptions.MechanismInvalid,
    pkcs11.exceptions.PinIncorrect,
    pkcs11.exceptions.PinLocked,
)


@dataclass(frozen=True)
class Location:
    """Which token: the module (a shared library) that leads to it, its label, and the file that holds its PIN."""

    module: str
    token: str
    pin_file: Path


class Token:
    """A token as a `pki.custody.Custody`. Making one touches nothing: it is connected to when it is first needed."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        # What follows belongs to the thread.
        self._module: Any = None
        self._session: Any = None
        self._found: dict[bytes, Any] = {}
        self._refused_pin: object = None

    def __repr__(self) -> str:
        return f"<Token {self._location.token}>"

    def create(self, spec: KeySpec, label: str) -> bytes:
        """Make a key in the token; what is returned names it, and says which public key it belongs to."""
        key_id, public_key = self._asked(lambda: self._generated(spec, label), _CREATE_SECONDS)
        kept = {
            "version": _VERSION,
            "label": label,
            "id": key_id.hex(),
            "public_key": base64.b64encode(spki(public_key)).decode("ascii"),
        }
        return json.dumps(kept).encode()

    def open(self, kept: bytes, field: str) -> PrivateKey:
        """The key that `create` made. The token is asked only when it signs."""
        handle = json.loads(kept)
        if handle["version"] != _VERSION:
            raise Unavailable(f"{field}: a newer ostiary made this key's handle; use that one.")
        key_id = bytes.fromhex(handle["id"])
        public_key = refuse_weak(load_der_public_key(base64.b64decode(handle["public_key"])), field)
        mechanism = _mechanism(public_key)
        return held(public_key, lambda data: self._asked(lambda: self._signed(key_id, mechanism, data), _SIGN_SECONDS))

    # Asking ---------------------------------------------------------------------------------------------------------------

    def _asked(self, work: Callable[[], T], seconds: float) -> T:
        """Have the thread do it, and wait that long at most. Raises `Unavailable`."""
        answer: Future[T] = Future()

        def call() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(self._once_more(work))
                except BaseException as error:  # noqa: BLE001 (raised by whoever waits)
                    answer.set_exception(error)

        self._start()
        self._calls.put(call)
        try:
            return answer.result(seconds)
        except TimeoutError:
            answer.cancel()
            raise Unavailable(f"{self._called} has not answered for {seconds:g} s; {_ISSUING_WAITS}.") from None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # A daemon: a token that never answers must not keep us from ending.
                self._thread = threading.Thread(target=self._run, name="pkcs11", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._calls.get()()

    def _once_more(self, work: Callable[[], T]) -> T:
        """Do it; if the connection turns out to be lost (the token was restarted), connect anew and do it once more."""
        try:
            try:
                return work()
            except _FINAL:
                raise
            except pkcs11.PKCS11Error:
                self._disconnect()
                return work()
        except pkcs11.PKCS11Error as error:
            self._disconnect()
            raise self._refusal(error) from None

    def _refusal(self, error: pkcs11.PKCS11Error) -> Unavailable:
        match error:
            case pkcs11.NoSuchToken() | pkcs11.exceptions.TokenNotPresent():
                why = f"is not there (module {self._location.module})"
            case pkcs11.exceptions.PinIncorrect():
                why = f"refuses the PIN in {self._location.pin_file}; it is not tried again until that file changes"
            case pkcs11.exceptions.PinLocked():
                why = "has locked its PIN"
            case pkcs11.exceptions.NoSuchKey():
                why = "does not hold this authority's key; is it the right token?"
            case pkcs11.exceptions.MechanismInvalid():
                why = "does not know this kind of key; choose another kind, such as EC-P256"
            case _:
                # Only what kind of error it is: what a module adds in words is its own.
                why = f"failed ({type(error).__name__}); see its own log"
        return Unavailable(f"{self._called} {why}; {_ISSUING_WAITS}.")

    @property
    def _called(self) -> str:
        return f"The PKCS#11 token '{self._location.token}'"

    # Within the thread ----------------------------------------------------------------------------------------------------

    def _connected(self) -> Any:
        if self._session is None:
            if self._module is None:
                self._module = pkcs11.lib(self._location.module)
            else:
                # What was plugged in or restarted since is seen by some modules only when they start anew.
                with contextlib.suppress(pkcs11.PKCS11Error):
                    self._module.finalize()
                self._module.initialize()
            token = self._module.get_token(token_label=self._location.token)
            pin, mark = self._pin()
            try:
                self._session = token.open(rw=True, user_pin=pin)
            except (pkcs11.exceptions.PinIncorrect, pkcs11.exceptions.PinLenRange, pkcs11.exceptions.PinInvalid):
                self._refused_pin = mark
                raise pkcs11.exceptions.PinIncorrect from None
        return self._session

    def _pin(self) -> tuple[str, object]:
        """The PIN, and what tells it from the next. A refused one is not tried again: a few wrong ones lock the token."""
        file = self._location.pin_file
        try:
            found = file.stat()
            with file.open("rb") as handle:
                pin = handle.read(_PIN_LIMIT).decode().strip()
        except (OSError, ValueError):
            raise Unavailable(f"The PIN file {file} cannot be read; {_ISSUING_WAITS}.") from None
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark == self._refused_pin:
            raise pkcs11.exceptions.PinIncorrect
        return pin, mark

    def _disconnect(self) -> None:
        self._found.clear()
        self._session = None

    def _generated(self, spec: KeySpec, label: str) -> tuple[bytes, PublicKey]:
        session, key_id = self._connected(), uuid4().bytes
        asked = {
            "id": key_id,
            "label": label,
            "store": True,
            "capabilities": _SIGNING,
            "private_template": _PRIVATE,
        }
        if spec in _RSA_BITS:
            public, private = session.generate_keypair(KeyType.RSA, _RSA_BITS[spec], **asked)
        else:
            kind, curve = (KeyType.EC_EDWARDS, _ED25519) if spec == "ED25519" else (KeyType.EC, _CURVES[spec][0])
            where = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
            public, private = session.create_domain_parameters(kind, where, local=True).generate_keypair(**asked)
        if any(private[attribute] is not wanted for attribute, wanted in _MUST_BE.items()):
            private.destroy()
            public.destroy()
            raise Invalid("custody", f"{self._called} makes keys that can be taken out of it, so it is not used")
        return key_id, _public_key(spec, public)

    def _signed(self, key_id: bytes, mechanism: Mechanism, data: bytes) -> bytes:
        session = self._connected()
        key = self._found.get(key_id)
        if key is None:
            # A search on a dead session complains once more when it is garbage, on stderr; so it is told apart before.
            with contextlib.suppress(pkcs11.exceptions.RandomNoRNG, pkcs11.exceptions.FunctionNotSupported):
                session.generate_random(64)
            key = self._found[key_id] = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=key_id)
        return bytes(key.sign(data, mechanism=mechanism))


_ISSUING_WAITS: Final = "nothing can be signed with its keys until it does, and all else goes on"


def _mechanism(public_key: PublicKey) -> Mechanism:
    match public_key:
        case ec.EllipticCurvePublicKey():
            return Mechanism.ECDSA
        case rsa.RSAPublicKey():
            return Mechanism.RSA_PKCS
    return Mechanism.EDDSA


def _public_key(spec: KeySpec, public: Any) -> PublicKey:
    """A public key as the token tells it."""
    if spec in _RSA_BITS:
        modulus, exponent = (int.from_bytes(public[name]) for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT))
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    # PKCS#11 v3.0 6.3.3: the point is wrapped in an OCTET STRING; some tokens leave the wrapping out.
    point = bytes(public[Attribute.EC_POINT])
    if spec == "ED25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(point[-32:])
    curve = _CURVES[spec][1]
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point[-(1 + 2 * ((curve.key_size + 7) // 8)) :])
