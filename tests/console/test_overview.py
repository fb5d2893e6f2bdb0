"""The overview: pictures, the same in numbers, and the few numbers above them; of one listener or all, for a time."""

from collections.abc import Iterator

import pytest

from console.visitor import Element, Page, Visitor
from ostiary.access.words import HANDSHAKE_CODES, REQUEST_CODES
from ostiary.console.overview import REASONS, SPANS
from ostiary.model.traffic import Counts, Refused
from ostiary.ops.counting import minute_of
from ostiary.store import traffic as stored
from ostiary.store.store import Facts
from support.statements import counted
from support.town import Town, a_town

PLACE = "/console/overview"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with a_town(tmp_path_factory.mktemp("town")) as built:
        yield built


@pytest.fixture(scope="module")
def looker(town: Town) -> Iterator[Visitor]:
    with Visitor(town.system) as signed_in:
        yield signed_in


def figures(page: Page) -> list[Element]:
    return page.root.every("figure", class_="chart")


def numbers(figure: Element) -> list[list[str]]:
    return [[cell.text for cell in row.every() if cell.tag in {"th", "td"}] for row in figure.one("tbody").every("tr")]


def test_there_are_three_pictures_each_with_its_numbers(looker: Visitor) -> None:
    page = looker.get(PLACE)
    assert [one.one("figcaption").text for one in figures(page)] == [
        "Requests admitted and refused",
        "TLS handshakes per second",
        "Certificates by expiry, week by week",
    ]
    for figure in figures(page):
        assert figure.every("svg", class_="chart")[0].attrs["role"] == "img"
        assert numbers(figure)
    assert len(page.reply.content) < 100_000


def test_refusals_are_told_apart_by_reason_in_words(looker: Visitor) -> None:
    requests = figures(looker.get(PLACE))[0]
    columns = [cell.text for cell in requests.one("thead").every("th")]
    assert columns[:4] == ["From", "Admitted", "No certificate shown", "Revoked or on hold"]
    summed = [sum(int(row[place].replace(",", "")) for row in numbers(requests)) for place in range(1, len(columns))]
    legend = [
        int(one.one("span", class_="value").text.replace(",", "")) for one in requests.one("ul", class_="legend").every("li")
    ]
    assert summed == legend


def test_the_few_numbers_lead_to_their_pages(town: Town, looker: Visitor) -> None:
    listed = {one.one("dt").text: one.one("dd") for one in looker.get(PLACE).root.one("dl", class_="figures").every("div")}
    asking = sum(1 for one in town.listeners.values() if one.client_authentication != "NONE")
    assert listed["Listeners with Client CA on"].text.startswith(f"{asking} of")
    assert listed["Gateways connected"].text == "1 of 1"
    assert int(listed["Refusals in 24 hours"].text) > 0
    assert "Certificates used from many addresses" not in listed
    assert "Listeners whose revocation lists have ended" not in listed
    for one in listed.values():
        assert looker.raw("GET", one.one("a").attrs["href"].replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("span", SPANS)
def test_a_time_is_chosen_by_a_link(looker: Visitor, span: str) -> None:
    page = looker.get(PLACE)
    link = next(one for one in page.root.one("nav", class_="tabs").every("a") if f"span={span}" in one.attrs["href"])
    chosen = looker.get(link.attrs["href"])
    current = [one.text for one in chosen.root.one("nav", class_="tabs").every("a") if "aria-current" in one.attrs]
    assert current == [SPANS[span].title]


def test_a_listener_is_chosen_and_stays_chosen(town: Town, looker: Visitor) -> None:
    terminals, other = town.listeners["terminals"], town.listeners["partners"]
    page = looker.get(f"{PLACE}?listener_id={terminals.id}&span=7d")
    assert numbers(figures(page)[0])
    assert all(terminals.id in one.attrs["href"] for one in page.root.one("nav", class_="tabs").every("a"))
    assert page.root.one("input", name="span").attrs["value"] == "7d"
    assert numbers(figures(looker.get(f"{PLACE}?listener_id={other.id}&span=1h"))[0]) == []


@pytest.mark.parametrize("query", ["span=9y", "listener_id=gone", "listener=<script>", "span=", "listener_id=" + "x" * 300])
def test_what_makes_no_sense_does_no_harm(looker: Visitor, query: str) -> None:
    page = looker.get(f"{PLACE}?{query}")
    assert page.status == 200
    assert len(figures(page)) == 3


def test_with_nothing_yet_each_picture_says_so(visitor: Visitor) -> None:
    page = visitor.get(PLACE)
    assert "No request in this time" in page.text
    assert "No handshake in this time" in page.text
    assert "Nothing expires in the next 26 weeks" in page.text


def test_a_month_of_minutes_is_read_with_as_many_questions_as_none(visitor: Visitor) -> None:
    for span in SPANS:
        visitor.get(f"{PLACE}?span={span}")
    with counted(visitor.system.store) as few:
        visitor.get(f"{PLACE}?span=30d")
    fill(visitor)
    with counted(visitor.system.store) as many:
        page = visitor.get(f"{PLACE}?span=30d")
    assert many.count <= few.count
    assert len(page.reply.content) < 100_000
    assert len(visitor.get(f"{PLACE}?span=24h").reply.content) < 100_000


def fill(visitor: Visitor) -> None:
    """Two days of minutes and a month of hours, everything that happens in each of them."""
    now = minute_of(visitor.system.clock())

    def work(facts: Facts) -> None:
        counts, refused = {}, {}
        for minute in (*range(now - 2880, now, 3), *range(now - 43_000, now - 2880, 60)):
            for listener_id in ("", "one", "other"):
                counts[minute, listener_id] = Counts(123_456, 7_891, 987_654, 876_543)
                for number, code in enumerate(REASONS):
                    refused[Refused(minute, listener_id, code)] = 10_000 + number
        stored.add(facts, counts)
        stored.refused(facts, refused)

    visitor.system.store.record(work)


def test_every_reason_has_few_words() -> None:
    assert set(HANDSHAKE_CODES) | set(REQUEST_CODES) == set(REASONS)
    assert max(map(len, REASONS.values())) < 30


def test_it_is_read_in_vietnamese(looker: Visitor) -> None:
    text = looker.get(PLACE, headers={"accept-language": "vi"}).root.one("main").text
    for words in ("Requests admitted", "No certificate shown", "Refusals in 24 hours", "hours", "Certificates by expiry"):
        assert words not in text
