"""A data directory with very many certificates, written straight into SQLite: what an installation holds after years.

    .venv/bin/python benchmarks/house.py FOLDER --certificates 1000000

A root, a hundred issuing CAs of one series below it as `ops.series` rolls them, and certificates in equal shares of all of these.
One of 20 is revoked, half were seen by a listener of late, and each has its entry in the record, as issuing writes it: the chain
can be verified to its end. Rows are copies of one that was issued in earnest, with another identity, key and end.
"""

import argparse
import json
import random  # noqa: TID251 (the same house each time; nothing in it is a secret)
import sqlite3
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary import home
from ostiary.model.authority import NewAuthority, NewCertificate
from ostiary.ops import authorities, certificates
from ostiary.ops.caller import SYSTEM
from ostiary.ops.system import System
from ostiary.pki import crl
from ostiary.settings import Settings
from ostiary.store.store import link

AUTHORITIES: Final = 100
_AT_ONCE: Final = 20_000
_TIME: Final = "%Y-%m-%d %H:%M:%S.%f"  # as SQLAlchemy writes times into SQLite
# Not the engine's own: this file is thrown away when the machine stops half-way.
_FAST: Final = ("journal_mode=WAL", "synchronous=OFF", "cache_size=-1000000", "foreign_keys=OFF")


@dataclass(frozen=True)
class House:
    """The data directory, and the certificate that all are copies of: it is the only one that was issued in earnest."""

    folder: Path
    authority_id: str  # that signs the next
    like: str  # id of the certificate


def a_house(folder: Path, count: int, authorities_count: int = AUTHORITIES) -> House:
    """Make one with so many certificates."""
    folder.mkdir(parents=True)
    settings = Settings(folder)
    store = home.open_store(settings)
    system = System(store, home.open_sealer(settings, store))
    root = authorities.create(system, SYSTEM, NewAuthority(name="House root")).id
    made = [
        authorities.create(system, SYSTEM, NewAuthority(name=f"Devices {number}", kind="intermediate", parent_id=root)).id
        for number in range(min(authorities_count, max(1, count // 100)))
    ]
    like = certificates.issue(
        system,
        SYSTEM,
        NewCertificate(authority_id=made[-1], csr=a_request("device-0"), name="device-0", owner="Shop 0", groups=("devices",)),
    )
    store.close()
    database = sqlite3.connect(folder / "ostiary.db", isolation_level=None)
    for pragma in _FAST:
        database.execute(f"PRAGMA {pragma}")
    database.execute("BEGIN")
    _grow(database, made, like.id, count - 1)
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return House(folder, made[-1], like.id)


def a_request(common_name: str, *, dns: bool = False) -> str:
    """A request with a key of its own, PEM; with `dns`, for that host name too."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _grow(database: sqlite3.Connection, authority_ids: list[str], like: str, count: int) -> None:
    # Indices are made once everything is there: in one go, not entry by entry.
    # That of words the next start makes.
    indices = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    indices = [
        (name, sql)
        for name, sql in indices
        if any(f" ON {table} " in sql for table in ("certificates", "sightings", "audit", "revocations"))
    ]
    for name, _ in indices:
        database.execute(f"DROP INDEX {name}")
    certificate, entry = _row(database, "certificates", "id", like), _row(database, "audit", "resource_id", like)
    sequence, audit_hash, status = database.execute("SELECT audit_sequence, audit_hash, status_sequence FROM head").fetchone()
    chance = random.Random(7)  # noqa: S311 (the same house each time)
    now = datetime.now(UTC)  # noqa: TID251 (a benchmark has no clock to ask)
    said = json.loads(entry["entry"])
    text = json.dumps(
        {**said, "sequence": "@1", "at": "@2", "resource_id": "@3"}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    for start in range(0, count, _AT_ONCE):
        some, revoked, seen, record = [], [], [], []
        for number in range(start, min(start + _AT_ONCE, count)):
            one = _another(certificate, number, authority_ids, chance, now)
            some.append(one)
            if one["revoked_at"]:
                status += 1
                revoked.append(_revocation(one, status))
            if one["last_seen"]:
                seen.append(_sighting(one, number))
            sequence += 1
            said_now = text.replace('"@1"', str(sequence)).replace("@2", one["at"].isoformat()).replace("@3", one["id"])
            audit_hash, previous = link(audit_hash, said_now), audit_hash
            at = one["at"].strftime(_TIME)
            record.append(
                {
                    **entry,
                    "sequence": sequence,
                    "at": at,
                    "resource_id": one["id"],
                    "entry": said_now,
                    "previous_hash": previous,
                    "hash": audit_hash,
                }
            )
        for table, rows in (("certificates", some), ("revocations", revoked), ("sightings", seen), ("audit", record)):
            _insert(database, table, rows)
    database.execute("UPDATE head SET audit_sequence = ?, audit_hash = ?, status_sequence = ?", (sequence, audit_hash, status))
    for _, sql in indices:
        database.execute(sql)


def _row(database: sqlite3.Connection, table: str, column: str, value: str) -> dict[str, Any]:
    cursor = database.execute(f"SELECT * FROM {table} WHERE {column} = ? ORDER BY 1 DESC LIMIT 1", (value,))  # noqa: S608 (ours)
    return dict(zip((each[0] for each in cursor.description), cursor.fetchone(), strict=True))


def _insert(database: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        names = [name for name in rows[0] if name != "at" or table == "audit"]
        columns = ", ".join(f'"{name}"' for name in names)
        places = ", ".join("?" for _ in names)
        statement = f"INSERT INTO {table} ({columns}) VALUES ({places})"  # noqa: S608 (names of ours)
        database.executemany(statement, ([row[name] for name in names] for row in rows))


def _another(like: dict[str, Any], number: int, authority_ids: list[str], chance: random.Random, now: datetime) -> dict[str, Any]:
    """Issued within the last two years, valid for as long as until a year from now, some of them over."""
    at = now - timedelta(seconds=number % 63_000_000, microseconds=number)
    is_revoked, was_seen = number % 20 == 0, number % 2 == 0
    document = like["document"]
    if is_revoked:
        document = document.replace('"revocation_reason": null', '"revocation_reason": "keyCompromise"')
    return {
        **like,
        "id": str(UUID(int=chance.getrandbits(128), version=4)),
        "name": f"device-{number + 1}",
        "authority_id": authority_ids[number % len(authority_ids)],
        "serial": f"{chance.getrandbits(158) | 1 << 157:040x}",
        "fingerprint_sha256": f"{chance.getrandbits(256):064x}",
        "key_sha256": f"{chance.getrandbits(256):064x}",
        "subject": f"CN=device-{number + 1}",
        "owner": f"Shop {number % 5000}",
        "not_after": (now + timedelta(hours=number % 9000 - 300)).strftime("%Y-%m-%d %H:%M:%S.000000"),
        "created_at": at.strftime(_TIME),
        "revoked_at": (now - timedelta(minutes=number % 500_000)).strftime(_TIME) if is_revoked else None,
        "last_seen": (now - timedelta(minutes=number % 90_000)).strftime(_TIME) if was_seen else None,
        "document": document,
        "at": at,
    }


def _revocation(one: dict[str, Any], sequence: int) -> dict[str, Any]:
    revoked_at = datetime.strptime(one["revoked_at"], _TIME).replace(tzinfo=UTC)
    return {
        "authority_id": one["authority_id"],
        "serial": one["serial"],
        "sequence": sequence,
        "fingerprint_sha256": one["fingerprint_sha256"],
        "revoked_at": one["revoked_at"],
        "reason": "keyCompromise",
        "invalidity_date": None,
        "expires_at": one["not_after"],
        "entry": crl.entry(int(one["serial"], 16), revoked_at, "keyCompromise"),
    }


def _sighting(one: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "fingerprint_sha256": one["fingerprint_sha256"],
        "listener_id": "00000000-0000-4000-8000-000000000001",
        "serial": one["serial"],
        "subject": one["subject"],
        "issuer": "CN=Devices",
        "not_after": one["not_after"],
        "certificate": None,
        "first_seen": one["last_seen"],
        "last_seen": one["last_seen"],
        "requests": number,
        "places": json.dumps({f"10.{number % 200}.0.1": one["last_seen"]}),
        "address_count": 1,
        "crowded_at": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--certificates", type=int, default=1_000_000)
    wanted = parser.parse_args()
    sys.stdout.write(f"{a_house(wanted.folder, wanted.certificates)}\n")


if __name__ == "__main__":
    main()
