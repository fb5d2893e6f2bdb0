"""Measure OCSP answers per second of one core: `python benchmarks/ocsp.py [--seconds 5]`.

"signed" is `pki.ocsp` alone: read the request, sign the answer. "responder" is the whole way of `ops.ocsp`: for a request with a
nonce, which no kept answer fits, about certificates whose status was looked up before ("known") or not ("looked up"); and for
one without a nonce that was answered before ("kept"). Rates are per second of this process's CPU time, so that others on the
machine do not count.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library

from ostiary.clock import now
from ostiary.kept import Kept
from ostiary.model.authority import NewAuthority, NewCertificate
from ostiary.ops import authorities, certificates
from ostiary.ops import ocsp as responder
from ostiary.ops.caller import SYSTEM
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import issue, keys, ocsp
from ostiary.pki.issue import Issuer
from ostiary.pki.names import SubjectFields
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store.engine import migrate, open_engine
from ostiary.store.store import Store

CERTIFICATES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    for spec in ("EC-P256", "ED25519", "RSA-3072"):
        show(f"signed, {spec}", seconds, signed(spec))
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'ostiary.db'}")
        migrate(engine)
        store = Store(engine, now)
        system = System(store, Sealer(new_kek()))
        with_nonce, without = by_the_responder(system)
        show("responder, kept", seconds, without)
        show("responder, known and signed", seconds, with_nonce)
        system.answers.statuses = Kept(1)
        show("responder, looked up and signed", seconds, with_nonce)
        store.close()


def show(name: str, seconds: float, answer: Callable[[], object]) -> None:
    answer()
    count, start, processor = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        for _ in range(50):
            answer()
        count += 50
    print(f"{name:32} {count / (time.process_time() - processor):10,.0f} /s", flush=True)


def signed(spec: keys.KeySpec) -> Callable[[], bytes]:
    at = now()
    key = keys.generate("EC-P256")
    root = Issuer(issue.create_root(SubjectFields(CN="Benchmark"), key, timedelta(days=365), at), key)
    own = keys.generate(spec)
    signer = Issuer(ocsp.signer_certificate(root, own.public_key(), at, timedelta(days=14)), own)
    asked = request(root.certificate, x509.random_serial_number(), b"n" * 32)
    until = at + timedelta(hours=12)
    return lambda: ocsp.answer(ocsp.read(asked), ocsp.Good(), signer, root.certificate, at, until)


def by_the_responder(system: System) -> tuple[Callable[[], object], Callable[[], object]]:
    authority = authorities.create(system, SYSTEM, NewAuthority(name="Benchmark"))
    serials = [issued(system, authority.id, f"holder {number}") for number in range(CERTIFICATES)]
    with_nonce = itertools.cycle([request(parsed(authority), serial, b"n" * 32) for serial in serials])
    without = [request(parsed(authority), serial) for serial in serials]
    for asked in without:
        responder.answer(system, authority.id, asked)
    again = itertools.cycle(without)
    return (
        lambda: responder.answer(system, authority.id, next(with_nonce)),
        lambda: responder.answer(system, authority.id, next(again)),
    )


def issued(system: System, authority_id: str, name: str) -> int:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    csr = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return parsed(certificates.issue(system, SYSTEM, NewCertificate(authority_id=authority_id, csr=csr))).serial_number


def request(authority: x509.Certificate, serial: int, nonce: bytes | None = None) -> bytes:
    names = ocsp.issuer_hashes(authority, "sha1")
    builder = library.OCSPRequestBuilder().add_certificate_by_hash(*names, serial, hashes.SHA1())  # noqa: S303 (what clients send)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


if __name__ == "__main__":
    main()
