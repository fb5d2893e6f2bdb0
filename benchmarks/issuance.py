"""Issue certificates as fast as they come, from CSR to commit.

    .venv/bin/python benchmarks/issuance.py [--seconds 10] [--threads 40]

Every certificate takes the whole way: read the request, prove possession, policy, lint gate, signature, store, audit, commit
with `synchronous=FULL`. What is computed is computed by processes of their own, one a processor (`ostiary.signers`). Requests are
made beforehand: making keys is the client's work. The same way with one thread shows what sharing is worth, and an `fsync` of the
same folder what the disk allows.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ostiary import signers
from ostiary.clock import now
from ostiary.model.authority import NewAuthority, NewCertificate
from ostiary.ops import authorities, certificates
from ostiary.ops.caller import SYSTEM
from ostiary.ops.system import System
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store.engine import migrate, open_engine
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Store


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=40)
    parser.add_argument("--requests", type=int, default=24_000, help="requests made beforehand")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("OSTIARY_BENCH_DIR")) as folder:  # noqa: TID251 (where to measure)
        system = a_system(Path(folder))
        authority = authorities.create(system, SYSTEM, NewAuthority(name="Bench CA"))
        print(f"making {wanted.requests} requests …", flush=True)
        requests = iter([a_request(number) for number in range(wanted.requests)])
        lock = threading.Lock()

        def one() -> bool:
            with lock:
                csr = next(requests, None)
            if csr is None:
                return False
            certificates.issue(system, SYSTEM, NewCertificate(authority_id=authority.id, csr=csr))
            return True

        one()  # the first of its shape is linted in full
        alone = rate(one, 1, wanted.seconds / 2)
        while not all(process.is_ready() for process in system.signers.processes):
            time.sleep(0.05)
        together = rate(one, wanted.threads, wanted.seconds)
        system.signers.close()
        with system.store.read() as reader:
            stored = reader.count(CERTIFICATE)
        print(f"fsync alone                       {fsyncs(Path(folder)):8.0f} /s")
        print(f"one thread, a commit each         {alone:8.0f} certificates/s")
        print(f"{wanted.threads:2} threads, commits shared        {together:8.0f} certificates/s  ({together / alone:.2f} times)")
        print(f"certificates on record            {stored:8}")


def a_system(folder: Path) -> System:
    engine = open_engine(f"sqlite:///{folder / 'ostiary.db'}")
    migrate(engine)
    return System(Store(engine, now), Sealer(new_kek()), signers=signers.for_this_machine())


def a_request(number: int) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"device-{number}")])
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(Encoding.PEM).decode()


def rate(one: Callable[[], bool], threads: int, seconds: float) -> float:
    """How many a second `threads` of them do."""
    done = [0] * threads
    began = time.perf_counter()

    def work(index: int) -> None:
        while time.perf_counter() - began < seconds and one():
            done[index] += 1

    crew = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    return sum(done) / (time.perf_counter() - began)


def fsyncs(folder: Path, count: int = 500) -> float:
    """Appends of one page a second, each forced to the disk."""
    with (folder / "probe").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(count):
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
