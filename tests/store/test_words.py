"""A word is found by an index, and what is found is what looking at every certificate finds."""

import random  # noqa: TID251 (the same questions each time; nothing here is a secret)
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import inspect, text
from structlog.testing import capture_logs

from ostiary.ids import new_id
from ostiary.model.authority import Authority, Certificate
from ostiary.model.fields import Private
from ostiary.model.inventory import Wanted
from ostiary.model.query import Query
from ostiary.store import few, inventory, newer, words
from ostiary.store.engine import migrate, open_engine
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.store import Facts, Store
from support.systems import FakeClock, a_store, sqlite_url

NOW: Final = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
PIECES: Final = (
    *(
        "a",
        "A",
        "b",
        "B",
        "%",
        "_",
        "'",
        '"',
        "\\",
        "*",
        "^",
        "(",
        ")",
        "{",
        "}",
        ":",
        "-",
        "+",
        ",",
        ".",
        "=",
        " ",
        "[",
        "]",
        "|",
    ),
    *(
        "é",
        "É",
        "ß",
        "İ",
        "\u0131",
        "K",
        "Ω",
        "đ",
        "日本",
        "😀",
        "a\u0301",
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "subject:",
        "--",
        ";",
        "0a",
        "ff",
    ),
)


class StuckClock(FakeClock):
    """All that is made is made at the same moment."""

    def __call__(self) -> datetime:
        return self.at


def some_text(chance: random.Random, most: int) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(0, most)))


def put(store: Store, authority_id: str, **fields: Any) -> Certificate:
    with store.write() as transaction:
        return transaction.insert(CERTIFICATE, a_row(authority_id, **fields))


def a_row(authority_id: str, **fields: Any) -> Certificate:
    made = {
        "id": new_id(),
        "authority_id": authority_id,
        "serial": new_id().replace("-", ""),
        "fingerprint_sha256": (new_id() + new_id()).replace("-", ""),
        "key_sha256": "",
        "subject": "",
        "not_before": NOW,
        "not_after": NOW + timedelta(days=1),
        "certificate": "",
        **fields,
    }
    return Certificate.model_validate(made)


def issued(made: Certificate, facts: Facts) -> Certificate:
    return facts.insert_later(CERTIFICATE, made, "serial", lambda _known: None)


def an_authority(store: Store) -> str:
    made = Authority(
        id=new_id(),
        name="any",
        kind="root",
        certificate="",
        subject="CN=any",
        fingerprint_sha256=new_id(),
        not_before=NOW,
        not_after=NOW,
        sealed_key=Private(b""),
        series_id=new_id(),
    )
    with store.write() as transaction:
        return transaction.insert(AUTHORITY, made).id


def settle(store: Store) -> None:
    with store.write() as transaction:
        words.settle(transaction.connection)


def fill(store: Store, chance: random.Random, count: int) -> None:
    authority_id = an_authority(store)
    for _ in range(count):
        put(
            store,
            authority_id,
            subject=some_text(chance, 8),
            owner=some_text(chance, 4),
            name=some_text(chance, 6),
            sans=tuple(some_text(chance, 5) for _ in range(chance.randint(0, 2))),
            groups=tuple(some_text(chance, 2) for _ in range(chance.randint(0, 2))),
        )


def found(store: Store, wanted: Wanted) -> tuple[list[str], bool]:
    with store.read() as reader:
        page = inventory.page(reader, wanted)
    return [one.id for one in page.items], page.more


def questions(store: Store, chance: random.Random, count: int) -> Iterator[Wanted]:
    """Of pieces of what there is and of what there is not, in any order, from any place."""
    with store.read() as reader:
        every = reader.all(CERTIFICATE)
    for _ in range(count):
        one = chance.choice(every)
        there = chance.choice([one.subject, one.owner, one.name, one.serial, one.fingerprint_sha256, *one.sans])
        begin = chance.randint(0, len(there))
        pieces = (there[begin : begin + chance.randint(1, 6)], some_text(chance, 3))
        asked = tuple(word for word in " ".join(chance.sample(pieces, chance.randint(1, 2))).swapcase().split() if word)[:8]
        filters = chance.choice([(), (), (("subject", one.subject),), (("groups", next(iter(one.groups), "x")),)])
        query = Query(
            filters=filters,
            limit=chance.choice([1, 2, 5, 100]),
            marker=chance.choice([None, one.id]),
            reverse=chance.random() < 0.3,
            sort=chance.choice([(), (("created_at", True),), (("created_at", False),), (("name", False), ("owner", True))]),
        )
        yield Wanted(query, NOW, search=asked)


@pytest.mark.parametrize(("most", "written"), [(0, True), (3, True), (2000, True), (2000, False)])
def test_what_the_index_finds_is_what_looking_at_every_certificate_finds(
    url: str, most: int, *, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few, "MOST", most)
    chance = random.Random(f"{url[:6]}{most}")  # noqa: S311 (see above)
    store = a_store(url, FakeClock(NOW))
    fill(store, chance, 60)
    if written:
        settle(store)
    store.close()
    stuck = a_store(url, StuckClock(NOW + timedelta(hours=1)))
    fill(stuck, chance, 15)
    if written:
        settle(stuck)
    fill(stuck, chance, 15)  # at moments of which the index knows already
    if written and most:
        settle(stuck)
    several = 0
    for wanted in questions(stuck, chance, 300):
        quick = found(stuck, wanted)
        with monkeypatch.context() as without:
            without.setattr(few, "places", lambda _reader, _wanted: ())
            assert found(stuck, wanted) == quick, wanted
        several += len(quick[0]) > 1
    stuck.close()
    assert several > 20, "or little was asked"


@pytest.mark.parametrize("written", [True, False])
def test_what_is_renamed_is_found_by_its_new_name_alone(store: Store, *, written: bool) -> None:
    authority_id = an_authority(store)
    one, other = (put(store, authority_id, name=name, groups=("doors",)) for name in ("front door", "back door"))
    settle(store)
    with store.write() as transaction:
        after = one.model_copy(update={"name": "main gate", "groups": ("gates", "walls")})
        transaction.replace(CERTIFICATE, transaction.require(CERTIFICATE, one.id), after)
    if written:
        settle(store)

    def ids(word: str) -> list[str]:
        return found(store, Wanted(Query(limit=10), NOW, search=(word,)))[0]

    assert (ids("main"), ids("gate"), ids("front"), ids("door")) == ([one.id], [one.id], [], [other.id])
    groups = [found(store, Wanted(Query(limit=10, filters=(("groups", name),)), NOW))[0] for name in ("gates", "walls", "doors")]
    assert groups == [[one.id], [one.id], [other.id]]


def test_what_is_issued_is_written_once_it_is_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newer, "TOGETHER", 3)
    store = a_store(sqlite_url(tmp_path))
    authority_id = an_authority(store)
    left = []
    for number in range(7):
        store.record(partial(issued, a_row(authority_id, name=f"device {number}")))
        with store.read() as reader:
            late = f"SELECT count(*) FROM certificates WHERE {newer.NEWER}"  # noqa: S608 (ours)
            left.append(reader.connection.exec_driver_sql(late).scalar())
        assert len(found(store, Wanted(Query(limit=10), NOW, search=("device",)))[0]) == number + 1
    assert left == [1, 2, 0, 1, 2, 0, 1]
    store.close()


@pytest.mark.parametrize(
    "hostile", ['"', '"" OR "a', "a* OR b*", "NEAR(a b)", "subject:a", "^abc", "abc) OR (x", "-abc", "a AND", "\0ab", "abc\0"]
)
def test_what_means_something_to_the_index_is_characters_to_us(store: Store, hostile: str) -> None:
    authority_id = an_authority(store)
    put(store, authority_id, subject="abc", name="a b")
    if "\0" not in hostile:
        there = put(store, authority_id, name=f"x{hostile}x").id
        for word in (hostile, hostile.upper()):
            assert found(store, Wanted(Query(limit=10), NOW, search=(word,))) == ([there], False)
    elif "sqlite" in str(store._engine.url):  # PostgreSQL has no text with such a character, and its driver says so
        assert not found(store, Wanted(Query(limit=10), NOW, search=(hostile,)))[1]


def test_a_word_that_is_everywhere_fills_a_page_in_the_order_of_the_list_and_goes_on_from_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few, "MOST", 4)
    authority_id = an_authority(store)
    made = [put(store, authority_id, name=f"device {number}").id for number in range(12)]
    for reverse, expected in ((False, made), (True, made[::-1])):
        query = Query(limit=3, sort=(("created_at", reverse),))
        seen: list[str] = []
        while page := found(store, Wanted(replace(query, marker=seen[-1] if seen else None), NOW, search=("DEVICE",)))[0]:
            seen += page
        assert seen == expected


def test_an_index_that_was_lost_is_made_again_at_the_next_start(url: str) -> None:
    store = a_store(url)
    one = put(store, an_authority(store), name="the front door").id
    store.close()
    engine = open_engine(url)
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER certificate_words_changed")
        else:
            connection.exec_driver_sql("DROP EXTENSION pg_trgm CASCADE")
    store = Store(engine, FakeClock())
    wanted = Wanted(Query(limit=10), NOW, search=("front",))
    assert found(store, wanted)[0] == [one], "without one, all are looked at"
    migrate(engine)
    with engine.connect() as connection:
        assert words.is_kept(connection) or words.INDEX in {
            index["name"] for index in inspect(connection).get_indexes("certificates")
        }
    assert found(store, wanted)[0] == [one]
    store.close()


def test_who_may_not_make_extensions_goes_without(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN")
        admin.execute("GRANT ALL ON SCHEMA public TO plain")
        name = admin.execute("SELECT current_database()").fetchone()
    assert name is not None
    engine = open_engine(postgres_url.replace("postgres@", "plain@"))
    with capture_logs() as said:
        migrate(engine)
    assert any("pg_trgm" in entry["event"] and entry["log_level"] == "warning" for entry in said)
    store = Store(engine, FakeClock())
    one = put(store, an_authority(store), name="the front door").id
    assert found(store, Wanted(Query(limit=10), NOW, search=("FRONT",)))[0] == [one]
    store.close()


def test_a_database_moved_to_where_sqlite_has_no_such_index_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(tmp_path)
    store = a_store(url)
    one = put(store, an_authority(store), name="the front door").id
    store.close()
    engine = open_engine(url)
    monkeypatch.setattr(words, "_TRIGRAMS_SINCE", (99, 0))
    migrate(engine)
    with engine.connect() as connection:
        assert not words.is_kept(connection)
        assert connection.execute(text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")).scalar() == 0
    store = Store(engine, FakeClock())
    two = put(store, an_authority(store), name="the back door").id
    assert found(store, Wanted(Query(limit=10), NOW, search=("door",)))[0] == [one, two]
    monkeypatch.undo()
    migrate(engine)
    with store.read() as reader:
        assert words.is_kept(reader.connection)
    assert found(store, Wanted(Query(limit=10), NOW, search=("back",)))[0] == [two]
    store.close()
