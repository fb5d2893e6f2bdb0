"""What an OCSP answer costs: `python benchmarks/ocsp.py [--sizes 1000,10000,100000,1000000] [--houses FOLDER] [--seconds 3]`.

"signed" is `pki.ocsp` alone: read the request, sign the answer. "responder" is the whole way of `ops.ocsp`, with as many
certificates on record as the size says (`benchmarks/house.py`; houses in FOLDER are used again): for a request with a nonce,
which no kept answer fits, about certificates whose status was looked up before ("known") or not ("looked up"); and for one
without a nonce that was answered before ("kept"). "over HTTP" is the same, kept and looked up, by `ostiary up`. All are CPU time,
so that others on the machine do not count.
"""

import argparse
import itertools
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.house import a_house  # noqa: E402 (after the path is set)
from benchmarks.http_load import request as http_request  # noqa: E402 (likewise)
from benchmarks.http_load import send  # noqa: E402 (likewise)
from benchmarks.lab import ROUNDS, Notebook  # noqa: E402 (likewise)
from benchmarks.million import SIZES, Here  # noqa: E402 (likewise)
from benchmarks.peers.programs import cpu_seconds  # noqa: E402 (likewise)

from ostiary import home  # noqa: E402 (likewise)
from ostiary.clock import now  # noqa: E402 (likewise)
from ostiary.kept import Kept  # noqa: E402 (likewise)
from ostiary.ops import ocsp as responder  # noqa: E402 (likewise)
from ostiary.ops.system import System  # noqa: E402 (likewise)
from ostiary.pki import issue, keys, ocsp  # noqa: E402 (likewise)
from ostiary.pki.chain import read_certificates  # noqa: E402 (likewise)
from ostiary.pki.issue import Issuer  # noqa: E402 (likewise)
from ostiary.pki.names import SubjectFields  # noqa: E402 (likewise)
from ostiary.settings import Settings  # noqa: E402 (likewise)
from support.processes import start  # noqa: E402 (likewise)

ASKED: Final = 500  # certificates
NONCE: Final = b"n" * 32


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--houses", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each, in each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args()
    notebook = Notebook("ocsp")
    for spec in ("EC-P256", "ED25519", "RSA-3072"):
        for round_ in range(wanted.rounds):
            notebook.note(f"an answer signed with {spec}", "µs", "ostiary", cost(signed(spec), wanted.seconds), round_=round_)
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as made:
        houses = wanted.houses or Path(made)
        for size in map(int, wanted.sizes.split(",")):
            if not (houses / str(size)).exists():
                a_house(houses / str(size), size)
            by_the_responder(notebook, houses / str(size), size, wanted)
            over_http(notebook, houses / str(size), size, wanted)
    notebook.tell("ostiary")
    notebook.save()


def cost(answer: Callable[[], object], seconds: float) -> float:
    """CPU of this process for each, µs."""
    answer()
    count, start_at, processor = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start_at < seconds:
        for _ in range(50):
            answer()
        count += 50
    return 1e6 * (time.process_time() - processor) / count


def signed(spec: keys.KeySpec) -> Callable[[], bytes]:
    at = now()
    key = keys.generate("EC-P256")
    root = Issuer(issue.create_root(SubjectFields(CN="Benchmark"), key, timedelta(days=365), at), key)
    own = keys.generate(spec)
    signer = Issuer(ocsp.signer_certificate(root, own.public_key(), at, timedelta(days=14)), own)
    asked = request(root.certificate, x509.random_serial_number(), NONCE)
    until = at + timedelta(hours=12)
    return lambda: ocsp.answer(ocsp.read(asked), ocsp.Good(), signer, root.certificate, at, until)


def by_the_responder(notebook: Notebook, house: Path, size: int, wanted: argparse.Namespace) -> None:
    settings = Settings(house)
    store = home.open_store(settings)
    system = System(store, home.open_sealer(settings, store))
    with_nonce, without = asked(house, NONCE), asked(house)
    for one in without:
        responder.answer(system, *one)
    ways = {"kept": without, "known and signed": with_nonce, "looked up and signed": with_nonce}
    for round_ in range(wanted.rounds):
        for name, requests in ways.items():
            if name == "looked up and signed":
                system.answers.statuses = Kept(1)
            turn = itertools.cycle(requests)
            spent = cost(lambda turn=turn: responder.answer(system, *next(turn)), wanted.seconds)  # type: ignore[misc]
            notebook.note(f"an answer of the responder, {name}", "µs", "ostiary", spent, size=size, round_=round_)
            system.answers.statuses = Kept(20_000)
    store.close()


def over_http(notebook: Notebook, house: Path, size: int, wanted: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as made:
        here = Here(Path(made), launch=lambda *words, **options: start(*words, by_itself=True, **options))
        here.house = house
        with here:
            assert here.process is not None
            host, port = here.listen.split(":")
            for name, nonce in (("kept", None), ("looked up and signed", NONCE)):
                headers = {"Content-Type": "application/ocsp-request"}
                posts = [http_request("POST", here.listen, f"/ocsp/{who}", headers, der) for who, der in asked(house, nonce)]
                send((host, int(port)), posts, 8)
                for round_ in range(wanted.rounds):
                    before = cpu_seconds([here.process.pid])
                    done = send((host, int(port)), posts * 4, 8)
                    assert not done.refused, done.refused[0]
                    spent = 1e6 * (cpu_seconds([here.process.pid]) - before) / len(done.latencies)
                    notebook.note(f"an answer over HTTP, {name}, CPU", "µs", "ostiary", spent, size=size, round_=round_)
                    notebook.note(f"answers a second over HTTP, {name}", "1/s", "ostiary", done.rate, size=size, round_=round_)


def asked(house: Path, nonce: bytes | None = None) -> list[tuple[str, bytes]]:
    """(authority, request) about some certificates from all over the house."""
    with sqlite3.connect(house / "ostiary.db") as database:
        pems = dict(database.execute("SELECT id, json_extract(document, '$.certificate') FROM authorities"))
        (last,) = database.execute("SELECT max(rowid) FROM certificates").fetchone()
        step = max(1, last // ASKED)
        rows = [
            database.execute("SELECT authority_id, serial FROM certificates WHERE rowid >= ? LIMIT 1", (place,)).fetchone()
            for place in range(1, last + 1, step)
        ]
    database.close()
    certificates = {name: read_certificates(pem.encode(), "certificate")[0] for name, pem in pems.items()}
    return [(authority, request(certificates[authority], int(serial, 16), nonce)) for authority, serial in rows[:ASKED]]


def request(authority: x509.Certificate, serial: int, nonce: bytes | None = None) -> bytes:
    names = ocsp.issuer_hashes(authority, "sha1")
    builder = library.OCSPRequestBuilder().add_certificate_by_hash(*names, serial, hashes.SHA1())  # noqa: S303 (what clients send)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


if __name__ == "__main__":
    main()
