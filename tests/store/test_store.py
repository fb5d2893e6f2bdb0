"""What the store keeps, finds and refuses: the same on SQLite and PostgreSQL."""

import threading
from typing import Any

import pytest

from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.ids import new_id
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Private
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool, SessionPersistence
from ostiary.model.query import Query
from ostiary.model.secret import Secret
from ostiary.store.kinds import LISTENER, LOAD_BALANCER, MEMBER, POOL, SECRET
from ostiary.store.store import GENESIS, Store, Transaction, link


def a_balancer(transaction: Transaction, **fields: Any) -> LoadBalancer:
    return transaction.insert(LOAD_BALANCER, LoadBalancer(id=new_id(), **{"name": "b", "vip_address": "127.0.0.1", **fields}))


def a_listener(transaction: Transaction, balancer: LoadBalancer, **fields: Any) -> Listener:
    values: dict[str, Any] = {"protocol": "HTTP", "protocol_port": 80, **fields}
    listener = Listener(id=new_id(), loadbalancer_id=balancer.id, **values)
    return transaction.insert(LISTENER, listener, address=balancer.vip_address)


def test_what_was_stored_comes_back_as_it_was(store: Store) -> None:
    with store.write() as transaction:
        balancer = a_balancer(transaction, tags=("a", "ü"), vip_subnet_id="net")
        pool = transaction.insert(
            POOL,
            Pool(
                id=new_id(),
                loadbalancer_id=balancer.id,
                protocol="HTTP",
                lb_algorithm="SOURCE_IP",
                session_persistence=SessionPersistence(type="APP_COOKIE", cookie_name="sid"),
            ),
        )
        listener = a_listener(
            transaction,
            balancer,
            allowed_cidrs=("10.0.0.0/8",),
            insert_headers={"X-Forwarded-For": "true"},
            default_pool_id=pool.id,
        )
        secret = transaction.insert(SECRET, Secret(id=new_id(), payload=Private(b"\x00sealed\xff")))
    with store.read() as reader:
        assert reader.require(LOAD_BALANCER, balancer.id) == balancer
        assert reader.require(LISTENER, listener.id) == listener
        assert reader.require(POOL, pool.id) == pool
        assert bytes(reader.require(SECRET, secret.id).payload) == b"\x00sealed\xff"


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(store: Store) -> None:
    with store.write() as transaction:
        a_balancer(transaction)
        transaction.bump("admin", "test")
    with store.read() as reader:
        assert reader.count(LOAD_BALANCER) == 1
        with store.write() as transaction:
            a_balancer(transaction)
            transaction.bump("admin", "test")
        assert reader.count(LOAD_BALANCER) == 1
        assert reader.revision() == 1


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    def fail_half_way() -> None:
        with store.write() as transaction:
            a_balancer(transaction)
            transaction.bump("me", "test")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    with store.read() as reader:
        assert reader.revision() == 0
        assert reader.all(LOAD_BALANCER) == ()


def test_the_database_itself_refuses_a_port_taken_twice(store: Store) -> None:
    with store.write() as transaction:
        one, other = a_balancer(transaction), a_balancer(transaction)
        a_listener(transaction, one, protocol_port=443)
    with pytest.raises(Conflict), store.write() as transaction:
        a_listener(transaction, other, protocol_port=443)


def test_the_database_itself_refuses_to_delete_what_others_hang_on(store: Store) -> None:
    with store.write() as transaction:
        balancer = a_balancer(transaction)
        a_listener(transaction, balancer)
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.delete(LOAD_BALANCER, balancer)


def test_a_missing_thing_is_named(store: Store) -> None:
    with store.read() as reader, pytest.raises(NotFound, match="Load Balancer nowhere not found"):
        reader.require(LOAD_BALANCER, "nowhere")


def test_writers_stand_in_line_so_no_revision_is_lost_or_given_twice(store: Store) -> None:
    errors: list[BaseException] = []

    def write_some() -> None:
        try:
            for _ in range(10):
                with store.write() as transaction:
                    a_balancer(transaction)
                    transaction.append_audit({"actor": "a", "action": "b", "resource_id": "c"})
                    transaction.bump("me", "test")
        except BaseException as error:  # noqa: BLE001 (shown below, whatever it is)
            errors.append(error)

    threads = [threading.Thread(target=write_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with store.read() as reader:
        assert reader.revision() == 40
        assert [revision.number for revision in reader.revisions(100)] == list(range(40, 0, -1))
        assert reader.count(LOAD_BALANCER) == 40
        previous = GENESIS
        for row in reader.audit_entries():
            assert row.hash == link(previous, row.entry)
            previous = row.hash
        assert reader.audit_head() == (40, previous)


def test_a_revision_holds_what_it_changed_without_private_bytes(store: Store) -> None:
    with store.write() as transaction:
        secret = transaction.insert(SECRET, Secret(id=new_id(), payload=Private(b"sealed-marker")))
        number = transaction.bump("me", "secret:create")
    with store.read() as reader:
        (change,) = reader.changes(of=number)
    assert (change.kind, change.resource_id, change.before) == ("secret", secret.id, None)
    assert change.after is not None
    assert "payload" not in change.after
    assert "marker" not in str(change.after)


@pytest.fixture
def five(store: Store) -> list[str]:
    """Five load balancers; their ids in the order they were made."""
    with store.write() as transaction:
        return [
            a_balancer(
                transaction,
                name=f"n{number}",
                description="odd" if number % 2 else "even",
                admin_state_up=number != 4,
                tags=("all", f"t{number}", 'quote"%_'),
            ).id
            for number in range(5)
        ]


def found(store: Store, **query: Any) -> list[str]:
    with store.read() as reader:
        return [balancer.name for balancer in reader.find(LOAD_BALANCER, Query(**query)).items]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["n0", "n1", "n2", "n3", "n4"]),
        ({"filters": (("name", "n2"),)}, ["n2"]),
        ({"filters": (("description", "odd"),)}, ["n1", "n3"]),
        ({"filters": (("admin_state_up", "false"),)}, ["n4"]),
        ({"filters": (("admin_state_up", "True"), ("description", "even"))}, ["n0", "n2"]),
        ({"filters": (("name", "' OR 1=1 --"),)}, []),
        ({"tags": ("all", "t1")}, ["n1"]),
        ({"tags": ("t",)}, []),
        ({"tags": ('quote"%_',)}, ["n0", "n1", "n2", "n3", "n4"]),
        ({"tags": ('quote"%%',)}, []),
        ({"tags_any": ("t1", "t3")}, ["n1", "n3"]),
        ({"not_tags": ("all", "t1")}, ["n0", "n2", "n3", "n4"]),
        ({"not_tags_any": ("t1", "t3")}, ["n0", "n2", "n4"]),
        ({"sort": (("name", True),)}, ["n4", "n3", "n2", "n1", "n0"]),
        ({"sort": (("description", False), ("name", True))}, ["n4", "n2", "n0", "n3", "n1"]),
        ({"limit": 2}, ["n0", "n1"]),
        ({"limit": 0}, ["n0", "n1", "n2", "n3", "n4"]),
    ],
)
def test_lists_are_filtered_and_sorted(store: Store, five: list[str], query: dict[str, Any], names: list[str]) -> None:
    assert len(five) == 5
    assert found(store, **query) == names


@pytest.mark.parametrize("sort", [(), (("name", False),), (("description", True), ("name", False)), (("vip_subnet_id", False),)])
def test_pages_follow_each_other_without_gap_or_repeat_both_ways(
    store: Store, five: list[str], sort: tuple[tuple[str, bool], ...]
) -> None:
    whole = found(store, sort=sort)
    seen: list[str] = []
    marker = None
    with store.read() as reader:
        while True:
            page = reader.find(LOAD_BALANCER, Query(limit=2, marker=marker, sort=sort))
            seen += [balancer.name for balancer in page.items]
            if not page.more:
                break
            marker = page.items[-1].id
        back = reader.find(LOAD_BALANCER, Query(limit=2, marker=five[2], sort=sort, reverse=True))
    assert seen == whole
    position = whole.index("n2")
    assert [balancer.name for balancer in back.items] == whole[max(0, position - 2) : position]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"filters": (("nonsense", "1"),)}, "nonsense"),
        ({"filters": (("admin_state_up", "maybe"),)}, "admin_state_up"),
        ({"filters": (("revision", "one"),)}, "revision"),
        ({"sort": (("nonsense", False),)}, "sort"),
        ({"marker": "nobody"}, "marker"),
    ],
)
def test_a_question_that_makes_no_sense_is_named(store: Store, query: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        found(store, **query)
    assert refused.value.field == field


def test_private_bytes_cannot_be_searched_for(store: Store) -> None:
    with store.read() as reader, pytest.raises(Invalid, match="payload"):
        reader.find(SECRET, Query(filters=(("payload", "x"),)))


def test_who_refers_to_what_is_kept_with_each_write(store: Store) -> None:
    secret_id, container_id = new_id(), new_id()
    with store.write() as transaction:
        balancer = a_balancer(transaction)
        listener = a_listener(
            transaction,
            balancer,
            protocol="TERMINATED_HTTPS",
            client_ca_tls_container_ref=f"/v1/secrets/{secret_id}",
            default_tls_container_ref=f"https://elsewhere/v1/containers/{container_id}",
        )
        assert transaction.holders(secret_id) == (("listener", listener.id, "client_ca_tls_container_ref"),)
        assert transaction.holders(container_id) == (("listener", listener.id, "default_tls_container_ref"),)
        after = transaction.replace(LISTENER, listener, listener.model_copy(update={"client_ca_tls_container_ref": None}))
        assert transaction.holders(secret_id) == ()
        transaction.delete(LISTENER, after)
        assert transaction.holders(container_id) == ()


def test_members_at_the_same_place_of_one_pool_are_refused(store: Store) -> None:
    with store.write() as transaction:
        balancer = a_balancer(transaction)
        pools = [
            transaction.insert(POOL, Pool(id=new_id(), loadbalancer_id=balancer.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN"))
            for _ in range(2)
        ]
        for pool in pools:
            transaction.insert(MEMBER, Member(id=new_id(), pool_id=pool.id, address="10.0.0.1", protocol_port=80))
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.insert(MEMBER, Member(id=new_id(), pool_id=pools[0].id, address="10.0.0.1", protocol_port=80))


def test_the_first_few_of_each_are_found_at_once(store: Store) -> None:
    with store.write() as transaction:
        many, one, none = (a_balancer(transaction, name=name) for name in ("many", "one", "none"))
        for port in (8443, 80, 443, 9000):
            a_listener(transaction, many, protocol_port=port)
        a_listener(transaction, one, protocol_port=22)
    with store.read() as reader:
        wanted = [many.id, one.id, none.id]
        found = reader.first_of_each(LISTENER, "loadbalancer_id", wanted, "protocol_port", 3)
        assert reader.first_of_each(LISTENER, "loadbalancer_id", [], "protocol_port", 3) == ()
    ports = {balancer: [x.protocol_port for x in found if x.loadbalancer_id == balancer] for balancer in wanted}
    assert ports == {many.id: [80, 443, 8443], one.id: [22], none.id: []}


def test_things_are_found_by_words_of_their_name(store: Store) -> None:
    with store.write() as transaction:
        made = {name: a_balancer(transaction, name=name) for name in ("Shop front", "shop back", "100%_real", "other")}
    with store.read() as reader:

        def names(*words: str) -> set[str]:
            return {found.name for found in reader.find(LOAD_BALANCER, Query(search=words)).items}

        assert names("SHOP") == {"Shop front", "shop back"}
        assert names("shop", "back") == {"shop back"}
        assert names("%_") == {"100%_real"}
        assert names(made["other"].id[:13]) == {"other"}
        assert names("\\", "'") == set()
