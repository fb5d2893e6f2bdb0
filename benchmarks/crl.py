"""Measure how long signing a revocation list takes, and how much memory: `python benchmarks/crl.py [entries …] [--rounds 3]`.

Each row is a process of its own, so that its peak memory is its own. "ready" joins entries from memory; "store" is the whole way
of `ops.revocation_lists.sign_list`, from the table of revocations to the row of the list, not yet committed; "library" is the
builder of `cryptography`, in its documented way.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]  # Run as a script, from anywhere.

from benchmarks.lab import Notebook  # noqa: E402 (after the path is set)

from ostiary.clock import now  # noqa: E402 (likewise)
from ostiary.model.authority import Authority, NewAuthority  # noqa: E402 (likewise)
from ostiary.ops import authorities  # noqa: E402 (likewise)
from ostiary.ops.caller import SYSTEM  # noqa: E402 (likewise)
from ostiary.ops.revocation_lists import sign_list  # noqa: E402 (likewise)
from ostiary.ops.signing import open_issuer  # noqa: E402 (likewise)
from ostiary.ops.system import System  # noqa: E402 (likewise)
from ostiary.pki import crl, issue, keys  # noqa: E402 (likewise)
from ostiary.pki.issue import Issuer  # noqa: E402 (likewise)
from ostiary.pki.names import SubjectFields, whole_octets  # noqa: E402 (likewise)
from ostiary.pki.sealing import Sealer, new_kek  # noqa: E402 (likewise)
from ostiary.store import tables  # noqa: E402 (likewise)
from ostiary.store.engine import migrate, open_engine  # noqa: E402 (likewise)
from ostiary.store.store import Store  # noqa: E402 (likewise)

AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
NEXT: Final = AT + timedelta(days=7)
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
LIBRARY: Final = 20_000  # its time grows with the square


@dataclass(frozen=True)
class Measured:
    """Memory is in MiB, and how much more than before; `size` is that of the list, in bytes."""

    seconds: float
    processor_seconds: float
    memory: float
    size: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("entries", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    notebook = Notebook("crl")
    for round_ in range(wanted.rounds):
        for entries in wanted.entries:
            note(notebook, "a list signed from entries in memory", entries, round_, apart(ready, entries))
            note(notebook, "a list signed from the database", entries, round_, apart(from_the_store, entries))
    ours, theirs = apart(ready, LIBRARY), apart(by_the_library, LIBRARY)
    print(f"the library takes {theirs.processor_seconds / ours.processor_seconds:.0f} times as long at {LIBRARY:,} entries")
    notebook.save()


def note(notebook: Notebook, what: str, entries: int, round_: int, measured: Measured) -> None:
    for told, unit, value in (
        ("CPU", "ms", 1000 * measured.processor_seconds),
        ("more memory", "MiB", measured.memory),
        ("its length", "MiB", measured.size / 2**20),
    ):
        notebook.note(f"{what}, {told}", unit, "ostiary", value, size=entries, round_=round_)


def apart(measure: Callable[[int], Measured], entries: int) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (entries,))


def ready(entries: int) -> Measured:
    issuer, kept = an_issuer(), list(made(entries))
    return timed(lambda: crl.sign(issuer, 7, AT, NEXT, kept))


def from_the_store(entries: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'ostiary.db'}")
        migrate(engine)
        store = Store(engine, now)
        system = System(store, Sealer(new_kek()))
        authority = authorities.create(system, SYSTEM, NewAuthority(name="Benchmark"))
        issuer = open_issuer(system, authority)
        with store.write() as transaction:
            for some in batches(entries):
                transaction.connection.execute(tables.revocations.insert(), [row(authority, number) for number in some])
        with store.write() as transaction:
            sign_list(system, transaction, authority, issuer)  # the base of the delta, which has nothing new the next time
        with store.write() as transaction:
            measured = timed(lambda: sign_list(system, transaction, authority, issuer).der)
        store.close()
    return measured


def batches(entries: int) -> Iterator[range]:
    return (range(start, min(start + 10_000, entries)) for start in range(0, entries, 10_000))


def row(authority: Authority, number: int) -> dict[str, Any]:
    serial = x509.random_serial_number()
    return {
        "authority_id": authority.id,
        "serial": whole_octets(serial),
        "sequence": number + 1,
        "fingerprint_sha256": f"{serial:064x}",
        "revoked_at": authority.not_before,
        "reason": "keyCompromise",
        "invalidity_date": None,
        "expires_at": authority.not_after,
        "entry": crl.entry(serial, authority.not_before, "keyCompromise"),
    }


def by_the_library(entries: int) -> Measured:
    revoked = [
        x509.RevokedCertificateBuilder()
        .serial_number(x509.random_serial_number())
        .revocation_date(AT)
        .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        .build()
        for _ in range(entries)
    ]
    issuer = an_issuer()

    def sign() -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
        builder = builder.last_update(AT).next_update(NEXT)
        for one in revoked:
            builder = builder.add_revoked_certificate(one)
        return builder.sign(issuer.key, hashes.SHA256()).tbs_certlist_bytes

    return timed(sign)


def made(entries: int) -> Iterator[bytes]:
    return (crl.entry(x509.random_serial_number(), AT, "keyCompromise") for _ in range(entries))


def an_issuer() -> Issuer:
    key = keys.generate("EC-P256")
    return Issuer(issue.create_root(SubjectFields(CN="Benchmark"), key, timedelta(days=365), AT), key)


def timed(sign: Callable[[], bytes]) -> Measured:
    memory, start, processor = peak(), time.perf_counter(), time.process_time()
    size = len(sign())
    return Measured(time.perf_counter() - start, time.process_time() - processor, peak() - memory, size)


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
