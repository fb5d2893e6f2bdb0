"""The inventory as the API shows it: searched, filtered, sorted and paged in the database, and whole as CSV."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.client import Client, a_client
from ostiary.api.inventory_csv import COLUMNS
from ostiary.model.authority import Certificate
from ostiary.model.query import PAGE_MAX
from ostiary.model.revocation import HOLD, Revoke
from ostiary.ops import revocation
from ostiary.store.kinds import CERTIFICATE
from ostiary.web.spreadsheet import cell
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock

PATH: Final = "/v1/certificates"


def ids(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [one["id"] for one in reply.json()["certificates"]]


def found(client: Client, **query: str) -> list[str]:
    return ids(client.get(PATH, params=query))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_each_status_is_found(tmp_path: Path) -> None:
    clock = FakeClock()
    with a_client(tmp_path, clock) as client:
        system = client.system
        ca = an_authority(system)
        expired = a_certificate(system, ca, "expired", lifetime=timedelta(days=1))
        clock.at += timedelta(days=2)
        valid, revoked, held = (a_certificate(system, ca, name) for name in ("valid", "revoked", "held"))
        revocation.revoke(system, ADMIN, revoked.id, Revoke(reason="keyCompromise"))
        revocation.revoke(system, ADMIN, held.id, Revoke(reason=HOLD))
        by_status = {"VALID": valid, "EXPIRED": expired, "REVOKED": revoked, "ON_HOLD": held}
        for status, one in by_status.items():
            assert found(client, status=status) == [one.id]
            assert client.get(f"{PATH}/{one.id}").json()["certificate"]["status"] == status
        assert found(client, status="NOT_YET_VALID") == []


def test_people_find_what_they_remember(client: Client) -> None:
    ca = an_authority(client.system)
    alice = a_certificate(client.system, ca, "alice", owner="Sales team", groups=("staff",), name="laptop")
    bob = a_certificate(client.system, ca, "bob", owner="Support")
    colons = ":".join(alice.fingerprint_sha256[at : at + 2] for at in range(0, 64, 2)).upper()
    for query, expected in (
        ({"q": "ALICE"}, [alice]),
        ({"q": "sales LAPTOP"}, [alice]),
        ({"q": "alice bob"}, []),
        ({"q": bob.serial[:12]}, [bob]),
        ({"q": colons[:23]}, [alice]),
        ({"fingerprint_sha256": colons}, [alice]),
        ({"serial": bob.serial.upper()}, [bob]),
        ({"group": "staff", "q": "alice", "owner": "Sales team", "status": "VALID"}, [alice]),
        ({"profile": "client", "authority_id": ca.id}, [alice, bob]),
        ({"authority_id": "none"}, []),
        ({"seen_before": "2999-01-01"}, [alice, bob]),
        ({"seen_after": "2000-01-01"}, []),
        ({"expires_after": "2999-01-01T00:00:00Z"}, []),
        ({"q": ""}, [alice, bob]),
    ):
        assert found(client, **query) == [one.id for one in expected], query


def test_in_a_list_each_looks_as_it_does_by_itself(client: Client) -> None:
    ca = an_authority(client.system)
    plain = a_certificate(client.system, ca, "plain")
    full = a_certificate(client.system, ca, "full", owner='Đội "A" \\ 日本', groups=("a", "b"), name="é\u2028<>")
    revocation.revoke(client.system, ADMIN, full.id, Revoke(reason="keyCompromise"))
    listed = client.get(PATH).json()["certificates"]
    alone = [client.get(f"{PATH}/{one.id}").json()["certificate"] for one in (plain, full)]
    assert [{**one, "effects": each["effects"]} for one, each in zip(listed, alone, strict=True)] == alone
    assert [list(one) for one in listed] == [[name for name in one if name != "effects"] for one in alone]


def test_pages_are_linked_and_keep_the_question(client: Client) -> None:
    ca = an_authority(client.system)
    made = [a_certificate(client.system, ca, f"user-{number}", owner="x").id for number in range(5)]
    a_certificate(client.system, ca, "other")
    reply = client.get(PATH, params={"q": "user-", "limit": "2", "sort": "subject:desc"})
    seen: list[str] = []
    while True:
        seen += ids(reply)
        further = [link["href"] for link in reply.json()["certificates_links"] if link["rel"] == "next"]
        if not further:
            break
        reply = client.get(further[0])
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "valid"}, "status"),
        ({"expires_before": "soon"}, "expires_before"),
        ({"expires_after": "0001-01-01T00:00:00+14:00"}, "expires_after"),
        ({"seen_before": ""}, "seen_before"),
        ({"serial": "xyz"}, "serial"),
        ({"fingerprint_sha256": "0" * 65}, "fingerprint_sha256"),
        ({"q": "x" * 257}, "q"),
        ({"q": "a b c d e f g h i"}, "q"),
        ({"format": "xls"}, "format"),
        ({"sort": "colour"}, "sort"),
        ({"sort": "colour", "format": "csv"}, "sort"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name(client: Client, query: dict[str, str], field: str) -> None:
    reply = client.get(PATH, params=query)
    assert reply.status_code == 400
    assert reply.json()["field"] == field


@pytest.mark.parametrize("asking", [{"params": {"format": "csv"}}, {"headers": {"accept": "text/csv"}}], ids=["query", "accept"])
def test_all_that_match_come_as_a_table(client: Client, asking: dict[str, Any]) -> None:
    ca = an_authority(client.system)
    one = a_certificate(client.system, ca, "alice", owner='Sales, "east"', groups=("a", "b"))
    reply = client.get(PATH, **asking)
    assert reply.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert reply.headers["content-disposition"] == 'attachment; filename="certificates.csv"'
    (row,) = rows(reply.text)
    assert tuple(row) == COLUMNS
    assert (row["id"], row["owner"], row["groups"], row["status"]) == (one.id, 'Sales, "east"', "a b", "VALID")
    assert "BEGIN CERTIFICATE" not in reply.text


def test_a_table_holds_more_than_a_page_and_keeps_the_question(client: Client) -> None:
    ca = an_authority(client.system)
    pattern = a_certificate(client.system, ca, "alice")

    def copies(number: int) -> Certificate:
        news = {"id": f"{number:036}", "serial": f"{number:040x}", "fingerprint_sha256": f"{number:064x}", "owner": "many"}
        return pattern.model_copy(update=news)

    with client.system.store.write() as transaction:
        for number in range(PAGE_MAX + 500):
            transaction.insert(CERTIFICATE, copies(number))
    table = rows(client.get(PATH, params={"format": "csv", "owner": "many", "sort": "id:desc", "fields": "id"}).text)
    assert [row["id"] for row in table] == [f"{number:036}" for number in reversed(range(PAGE_MAX + 500))]


def test_an_empty_table_has_its_header(client: Client) -> None:
    assert client.get(PATH, params={"format": "csv"}).text == ",".join(COLUMNS) + "\r\n"


def test_what_a_holder_wrote_is_no_formula_in_a_spreadsheet(client: Client) -> None:
    ca = an_authority(client.system)
    a_certificate(client.system, ca, "alice", owner='=HYPERLINK("http://evil.test")', name="@SUM(1)")
    (row,) = rows(client.get(PATH, params={"format": "csv"}).text)
    assert row["owner"] == '\'=HYPERLINK("http://evil.test")'
    assert row["name"] == "'@SUM(1)"


@given(st.text())
def test_no_text_at_all_is_a_formula(text: str) -> None:
    shown = cell(text)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown.removeprefix("'") == text.removeprefix("'")


def test_a_table_is_not_for_everybody(client: Client) -> None:
    assert client.get(PATH, params={"format": "csv"}, headers={"x-auth-token": "wrong"}).status_code == 401
