"""A system with many listeners, written straight into the database: each with a certificate of its own and a Client CA.

with many_listeners(tmp_path, 1000) as many:
    many.system, many.listener_ids
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, insert

from ostiary.clock import now
from ostiary.ids import new_id
from ostiary.model.authority import NewAuthority
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Private
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.reference import parse, references
from ostiary.model.secret import Container, Secret, SecretRef
from ostiary.ops import authorities
from ostiary.ops.system import System
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store import tables
from ostiary.store.engine import migrate, open_engine
from ostiary.store.kinds import CONTAINER, LISTENER, LOAD_BALANCER, MEMBER, POOL, SECRET, Kind
from ostiary.store.material import secret_context
from ostiary.store.rows import to_row
from ostiary.store.store import Store
from support.certs import Authority
from support.systems import ADMIN

AUTHORITIES: Final = 10
_PER_BALANCER: Final = 250
_AT_ONCE: Final = 2_000


@dataclass(frozen=True)
class Many:
    """What there is."""

    system: System
    folder: Path
    listener_ids: Sequence[str]


@contextmanager
def many_listeners(folder: Path, count: int) -> Iterator[Many]:
    """A system of its own, that waits for the disk as a real one does."""
    engine = open_engine(f"sqlite:///{folder / 'ostiary.db'}")
    migrate(engine)
    system = System(store=Store(engine, now), sealer=Sealer(new_kek()))
    made = [authorities.create(system, ADMIN, NewAuthority(name=f"Clients {number}")) for number in range(AUTHORITIES)]
    with system.store._writer.begin() as connection:
        ids = write_listeners(connection, system.sealer, count, [f"/v1/authorities/{one.id}" for one in made])
    try:
        yield Many(system, folder, ids)
    finally:
        system.store.close()


def write_listeners(
    connection: Connection,
    sealer: Sealer,
    count: int,
    client_cas: Sequence[str],
    *,
    address: str = "127.9.{0}.1",
    first_port: int = 20_000,
) -> list[str]:
    """Write them, with load balancers, pools of one member each, and their material; their ids."""
    at = now()
    server = Authority.root("Many").server("many.example")
    noted: dict[str, Any] = {"revision": 1, "created_at": at}
    balancers, ids = [], []
    things: dict[Kind[Any], list[Any]] = {kind: [] for kind in (SECRET, CONTAINER, LOAD_BALANCER, POOL, LISTENER, MEMBER)}
    for number in range(count):
        if number % _PER_BALANCER == 0:
            vip = address.format(number // _PER_BALANCER)
            balancers.append(LoadBalancer(id=new_id(), name=f"balancer {number}", vip_address=vip, **noted))
            things[LOAD_BALANCER].append(balancers[-1])
        balancer = balancers[-1]
        parts = []
        for name, text in (("certificate", server.cert_pem), ("private_key", server.key_pem)):
            secret_id = new_id()
            sealed = Private(sealer.seal(text.encode(), secret_context(secret_id)))
            things[SECRET].append(
                Secret(id=secret_id, name=f"{name} {number}", payload=sealed, payload_content_type="text/plain", **noted)
            )
            parts.append(SecretRef.model_validate({"name": name, "secret_ref": f"/v1/secrets/{secret_id}"}))
        container = Container(id=new_id(), name=f"container {number}", type="certificate", secret_refs=tuple(parts), **noted)
        pool = Pool(
            id=new_id(), name=f"pool {number}", protocol="HTTP", lb_algorithm="ROUND_ROBIN", loadbalancer_id=balancer.id, **noted
        )
        listener = Listener(
            id=new_id(),
            name=f"listener {number}",
            protocol="TERMINATED_HTTPS",
            protocol_port=first_port + number % _PER_BALANCER,
            loadbalancer_id=balancer.id,
            default_pool_id=pool.id,
            default_tls_container_ref=f"/v1/containers/{container.id}",
            client_ca_tls_container_ref=client_cas[number % len(client_cas)],
            client_authentication="MANDATORY",
            **noted,
        )
        things[CONTAINER].append(container)
        things[POOL].append(pool)
        things[LISTENER].append((listener, balancer.vip_address))
        things[MEMBER].append(Member(id=new_id(), pool_id=pool.id, address="127.0.0.1", protocol_port=9, **noted))
        ids.append(listener.id)
    for kind, those in things.items():
        _write(connection, kind, those)
    return ids


def _write(connection: Connection, kind: Kind[Any], those: list[Any]) -> None:
    rows, uses = [], []
    for one in those:
        thing, more = (one[0], {"address": one[1]}) if isinstance(one, tuple) else (one, {})
        rows.append({**to_row(kind, thing), **more})
        uses += [
            {"holder_kind": kind.name, "holder_id": thing.id, "field": name, "target_id": target}
            for name, target in sorted({(name, parse(text, name).id) for name, text in references(thing)})
        ]
    for table, those_rows in ((kind.table, rows), (tables.material_uses, uses)):
        for start in range(0, len(those_rows), _AT_ONCE):
            connection.execute(insert(table), those_rows[start : start + _AT_ONCE])
