"""What linting costs: in full, and what each certificate pays at the gate (docs/decisions/0009-lint-gate.md).

.venv/bin/python benchmarks/lint.py
"""

import functools
import time
from collections.abc import Callable
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ostiary.clock import now
from ostiary.pki import as_approved, crl, issue, keys, lint, ocsp, ocsp_client, policy, request, signing
from ostiary.pki.issue import Issuer
from ostiary.pki.names import Names, SubjectFields
from ostiary.pki.profile import BUILT_IN

AT = now()
NAMES = Names("alice", "Acme", dns=("alice.acme.test",), uri=("spiffe://acme.test/alice",))


def milliseconds(times: int, work: Callable[[], object]) -> float:
    """CPU time of one, the best of three rounds."""
    work()
    rounds = []
    for _ in range(3):
        begun = time.process_time()
        for _ in range(times):
            work()
        rounds.append((time.process_time() - begun) / times * 1000)
    return min(rounds)


def main() -> None:
    begun = time.process_time()
    lint.ocsp_response(b"0\x00")
    print(f"importing the linter, once in a process: {(time.process_time() - begun) * 1000:.0f} ms")
    holder = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
    read = request.read(asked.sign(holder, signing.hash_for(holder)).public_bytes(Encoding.PEM).decode())
    for spec in ("EC-P256", "EC-P384", "ED25519", "RSA-3072"):
        certificates(keys.generate(spec), spec, read)
    lists_and_answers()


def certificates(key: keys.PrivateKey, spec: str, read: request.SigningRequest) -> None:
    issuer = Issuer(issue.create_root(SubjectFields(CN="Root"), key, timedelta(days=3650), AT), key)
    approved = policy.approve(read, BUILT_IN["client"], names=NAMES, lifetime=None, issuer=issuer.certificate, at=AT)
    made = issue.issue(approved, issuer, AT)
    der = made.public_bytes(Encoding.DER)
    linted = milliseconds(50, lambda: lint.certificate(made))
    issued = milliseconds(200, lambda: issue.issue(approved, issuer, AT))
    compared = milliseconds(
        200, lambda: as_approved.refuse_anything_else(x509.load_der_x509_certificate(der), approved, issuer.certificate)
    )
    verified = milliseconds(200, lambda: made.verify_directly_issued_by(issuer.certificate))
    print(
        f"certificate by {spec}: full lint {linted:.2f} ms; signing with the gate {issued:.3f} ms, "
        f"of which comparing {compared:.3f} ms, of which the signature {verified:.3f} ms"
    )


def lists_and_answers() -> None:
    key = keys.generate("EC-P256")
    issuer = Issuer(issue.create_root(SubjectFields(CN="Root"), key, timedelta(days=3650), AT), key)
    span = (AT, AT + timedelta(days=7))
    for count in (0, 100, 1000):
        found = x509.load_der_x509_crl(crl.sign(issuer, 1, *span, (crl.entry(serial, AT) for serial in range(1, count + 1))))
        linted = milliseconds(3, functools.partial(lint.revocation_list, found))
        print(f"revocation list of {count}: full lint {linted:.2f} ms")
    asked = ocsp.read(ocsp_client.question(issuer.certificate, 1, bytes(32)).der)
    answer = ocsp.answer(asked, ocsp.Good(), issuer, issuer.certificate, *span)
    print(f"OCSP answer: full lint {milliseconds(50, lambda: lint.ocsp_response(answer)):.2f} ms")


if __name__ == "__main__":
    main()
