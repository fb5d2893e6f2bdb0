"""What monitoring systems are given: rules, a dashboard and a page, which speak of metrics that there are."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.metrics_core import Metric

from api.client import Client, a_client
from ostiary.ops import denials
from ostiary.ops.measures import measures
from support.scraped import OPENMETRICS, Scrape
from support.systems import ADMIN
from support.told_numbers import told_numbers

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = DOCS / "monitoring/alerts.yml"
RULES: list[dict[str, Any]] = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((DOCS / "monitoring/grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
PAGE = (DOCS / "monitoring.md").read_text()
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "info": ("_info",), "histogram": ("_bucket", "_count", "_sum")}
# What Prometheus itself adds.
THEIRS = {"up"}
EVERYWHERE = {"job", "instance"}

Asked = dict[str, set[str]]


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrape]:
    """Of a system with a gateway that has told something."""
    with a_client(tmp_path_factory.mktemp("scraped")) as client:
        _live(client)
        yield Scrape.read(client.get("/metrics", headers=OPENMETRICS).text)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory, scrape: Scrape) -> dict[str, set[str]]:
    """Of each metric that is told, whether or not there is a series of it yet."""
    with a_client(tmp_path_factory.mktemp("labels")) as client:
        ours = {family.name: set(family.labels) for family in measures(client.system, ADMIN)}
    return {name: ours.get(family.name, set()) for family in scrape.families for name in named(family)}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same in the older form."""
    with a_client(tmp_path_factory.mktemp("text")) as client:
        _live(client)
        yield client.get("/metrics").text


def _live(client: Client) -> None:
    made = client.post("/v2/lbaas/loadbalancers", {"loadbalancer": {"vip_address": "127.0.0.1"}}).json()["loadbalancer"]
    wanted = {"name": 'a "door"\\', "protocol": "TERMINATED_HTTPS", "protocol_port": 8443, "loadbalancer_id": made["id"]}
    listener = client.post("/v2/lbaas/listeners", {"listener": wanted}).json()["listener"]["id"]
    client.post("/v1/authorities", {"authority": {"name": "Devices"}})
    at = client.system.clock()
    client.system.fleet.heard("g1", at, connected=True, report={"version": "1.40", "exports": [{"target": "there", "sent": 3}]})
    told_numbers(client.system, "g1", {listener: {"requests": 7, "latency_count": 7, "latency_60000": 7}})
    refused = {"listener_id": listener, "stage": "request", "code": "revoked", "first": at.isoformat(), "last": at.isoformat()}
    denials.denied(client.system, "g1", {"sequence": 1, "denials": [{**refused, "who": "a" * 64, "count": 2}]})


def asked(expression: str) -> Asked:
    """By metric, the labels that an expression asks for; what is no PromQL raises."""
    found: Asked = {}
    # Grafana puts a duration and names in place of these.
    plain = expression.replace("$__rate_interval", "5m").replace("$gateway", ".*").replace("$listener", ".*")
    parsed = promql_parser.parse(plain)
    for one in re.finditer(r"\b(ostiary_\w+|process_\w+|python_\w+|up)\b(?:\{([^}]*)\})?", parsed.prettify()):
        found.setdefault(one[1], set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", one[2] or ""))
    return found


def expressions() -> list[tuple[str, str, str]]:
    """Each expression of both files, with where it is and the words that its labels are put into."""
    rules = [(rule["alert"], rule["expr"], "".join(rule["annotations"].values())) for rule in RULES]
    shown = [(panel["title"], one["expr"], one["legendFormat"]) for panel in PANELS for one in panel.get("targets", [])]
    variables = [one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return [*rules, *shown, *(("variable", re.sub(r"label_values\((\w+), (\w+)\)", r'\1{\2!=""}', one), "") for one in variables)]


def named(family: Metric) -> set[str]:
    """What the samples of a family are called."""
    return {family.name + suffix for suffix in SUFFIXES[family.type]}


@pytest.mark.parametrize(("where", "expression", "legend"), expressions(), ids=lambda value: str(value)[:40])
def test_each_expression_is_promql_and_asks_for_what_there_is(
    labels: dict[str, set[str]], where: str, expression: str, legend: str
) -> None:
    metrics = asked(expression)
    assert metrics.keys() <= labels.keys() | THEIRS, where
    for metric, wanted in metrics.items():
        assert wanted <= labels.get(metric, set()) | EVERYWHERE, (where, metric)
    shown = set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", legend))
    there = set().union(*(labels.get(metric, set()) for metric in metrics)) | EVERYWHERE
    assert shown <= there, where


def test_each_metric_is_on_the_page_and_all_on_it_are_there(scrape: Scrape) -> None:
    there = {one.name + (SUFFIXES[one.type][0] if one.type in {"counter", "info"} else "") for one in scrape.families}
    written = set(re.findall(r"`((?:ostiary|process|python)_\w+)(?:\{[^`]*)?`", PAGE))
    assert written == there


def test_each_alert_is_on_the_page_and_all_on_it_are_there() -> None:
    assert sorted(re.findall(r"`(Ostiary\w+)`", PAGE)) == sorted(rule["alert"] for rule in RULES)
    assert all(rule["annotations"].keys() == {"summary", "description"} and rule["labels"]["severity"] for rule in RULES)


def test_prometheus_itself_accepts_the_rules_and_the_metrics(text: str) -> None:
    subprocess.run(["promtool", "check", "rules", str(ALERTS)], check=True, capture_output=True, text=True)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, check=False, capture_output=True, text=True)
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ostiary_")] == []
    # What its own client library tells of a process does not please it.
    assert done.returncode in {0, 3}


def test_alerts_are_raised_when_they_should_be() -> None:
    """By Prometheus, on series that were written for it."""
    tests = Path(__file__).with_name("alerts.test.yml")
    done = subprocess.run(["promtool", "test", "rules", str(tests)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
    assert {json.dumps(target["datasource"]) for panel in PANELS for target in panel.get("targets", [])} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"})
    }
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        places = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not places & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= places


def test_names_are_escaped_in_both_forms(scrape: Scrape, text: str) -> None:
    for one in (scrape, Scrape.read(text, is_openmetrics=False)):
        assert one.labels("ostiary_listener_requests_total")["listener_name"] == 'a "door"\\'
        assert one.value("ostiary_listener_requests_total", gateway="g1") == 7


def test_a_token_for_prometheus_lasts_as_long_as_the_page_says() -> None:
    (days,) = re.findall(r"--role monitor --name prometheus --expires (\d+)d", PAGE)
    assert timedelta(days=int(days)) <= timedelta(days=366)
