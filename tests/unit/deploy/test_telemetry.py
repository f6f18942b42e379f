"""The alert rules and the dashboard speak of metrics that exist, with labels that those have."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from queues.observers.metrics import PrometheusMetrics, instruments
from queues.observers.records import Records
from queues.stores.redis_census import Census

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "onceq.json"
METRIC = re.compile(r"\bonceq_[a-z_]+\b")
SELECTED = re.compile(r"\b(onceq_[a-z_]+)\{([^}]*)\}")


def existing() -> set[str]:
    """Every name that a scrape may hold."""
    registry = CollectorRegistry()
    PrometheusMetrics(registry)
    counters = {f"{metric.name}_total" for metric in registry.collect() if metric.type == "counter"}
    histograms = {metric.name for metric in registry.collect() if metric.type == "histogram"}
    census = {metric.name for metric in Records(Census).collect()}
    return counters | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")} | census


def expressions() -> list[str]:
    """Each query of the alerts and of the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    alerts = re.findall(r"expr: (?:\|\n((?:          .*\n)+)|(.*)\n)", ALERTS.read_text("utf-8"))
    return queries + [block or line for block, line in alerts]


def test_there_are_queries_to_look_at():
    assert len(expressions()) > 20
    assert len(re.findall(r"- alert: ", ALERTS.read_text("utf-8"))) == len(
        re.findall(r"^        expr: ", ALERTS.read_text("utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize("expression", expressions())
def test_a_query_names_metrics_that_exist(expression: str):
    named = set(METRIC.findall(expression))

    assert named
    assert named <= existing()
    assert [expression.count(opening) for opening in "({["] == [expression.count(closing) for closing in ")}]"]


@pytest.mark.parametrize("expression", [e for e in expressions() if SELECTED.search(e)])
def test_a_query_selects_by_labels_that_exist(expression: str):
    made = {metric._name: set(metric._labelnames) for metric in instruments(CollectorRegistry())}
    for name, selector in SELECTED.findall(expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))

        assert labels <= made[re.sub(r"_(total|bucket|sum|count)$", "", name)]


def test_the_alerts_and_the_scrape_configuration_are_indented_by_spaces():
    for file in (ALERTS, DEPLOY / "prometheus" / "prometheus.yml"):
        lines = file.read_text("utf-8").splitlines()

        assert not [line for line in lines if "\t" in line or (len(line) - len(line.lstrip())) % 2]
