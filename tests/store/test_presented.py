"""Server certificates in SQL: containers and PKCS#12 files in one list, parts of containers in none."""

import pytest

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.fields import Private
from ostiary.model.query import Query
from ostiary.model.secret import Container, Secret, SecretRef
from ostiary.store import below, presented
from ostiary.store.kinds import CONTAINER, SECRET
from ostiary.store.store import Store, Transaction

FILE, TEXT = "application/octet-stream", "text/plain"


def a_secret(transaction: Transaction, name: str, content_type: str, kind: str = "opaque") -> str:
    wanted = {
        "id": new_id(),
        "name": name,
        "payload": Private(b"x"),
        "payload_content_type": content_type,
        "secret_type": kind,
    }
    return transaction.insert(SECRET, Secret.model_validate(wanted)).id


def a_container(transaction: Transaction, name: str) -> str:
    part = SecretRef(name="certificate", secret_ref=f"/v1/secrets/{a_secret(transaction, name, FILE)}")
    return transaction.insert(CONTAINER, Container(id=new_id(), name=name, secret_refs=(part,))).id


@pytest.fixture
def ids(store: Store) -> dict[str, str]:
    with store.write() as transaction:
        found = {name: a_container(transaction, name) for name in ("b", "d", "ours: x")}
        found |= {name: a_secret(transaction, name, FILE) for name in ("a", "c", "100%")}
        found |= {name: a_secret(transaction, name, TEXT) for name in ("text", "more text")}
        a_secret(transaction, "a key", FILE, "symmetric")
        a_secret(transaction, "another key", TEXT, "private")
    return found


def names(found: tuple[str, ...], ids: dict[str, str]) -> list[str]:
    return [name for one in found for name, known in ids.items() if known == one]


def test_pages_go_on_where_the_last_ended_in_both_directions(store: Store, ids: dict[str, str]) -> None:
    with store.read() as reader:
        found, more = presented.page(reader, Query(limit=4))
        assert (names(found, ids), more) == (["100%", "a", "b", "c"], True)
        rest, more = presented.page(reader, Query(limit=4, marker=found[-1]))
        assert (names(rest, ids), more) == (["d", "ours: x"], False)
        back, more = presented.page(reader, Query(limit=4, marker=rest[0], reverse=True))
        assert (names(back, ids), more) == (["100%", "a", "b", "c"], False)
        with pytest.raises(Invalid, match="marker"):
            presented.page(reader, Query(limit=4, marker="gone"))


def test_they_are_found_by_name_and_id_and_some_left_out(store: Store, ids: dict[str, str]) -> None:
    with store.read() as reader:
        assert names(presented.page(reader, Query(limit=9, search=("0%",)))[0], ids) == ["100%"]
        assert names(presented.page(reader, Query(limit=9, search=(ids["c"],)))[0], ids) == ["c"]
        left = presented.page(reader, Query(limit=9), without=("ours: ",))[0]
        assert names(left, ids) == ["100%", "a", "b", "c", "d"]


def test_texts_and_files_that_stand_alone(store: Store, ids: dict[str, str]) -> None:
    with store.read() as reader:
        assert [one.name for one in presented.texts(reader, 9)] == ["more text", "text"]
        assert {one for one, _revision in presented.unread(reader)} == {ids["a"], ids["c"], ids["100%"]}


def test_who_refers_to_many(store: Store, ids: dict[str, str]) -> None:
    with store.read() as reader:
        containers = presented.many(reader, CONTAINER, ids.values())
        assert {one.name for one in containers.values()} == {"b", "d", "ours: x"}
        part = containers[ids["b"]].secret_refs[0].secret_ref.rpartition("/")[2]
        assert presented.holders(reader, [part, ids["a"]]) == {part: (("container", ids["b"]),)}
        assert below.counts(reader, SECRET, "name", ["a", "b", "nobody"]) == {"a": 1, "b": 1}
