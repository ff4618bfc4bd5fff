"""Alerts, dashboard and documents name numbers that there are; promtool fires each alert."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.registry import Collector

from application.state import PipelineRecord
from infrastructure.settings import Settings
from infrastructure.state.redis import RedisStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.telemetry import serving
from infrastructure.telemetry.gpus import Gpu
from infrastructure.telemetry.progress_metrics import ProgressMetrics
from infrastructure.telemetry.publishing import RelayMetrics
from infrastructure.telemetry.redis_memory import redis_memory
from infrastructure.telemetry.service_metrics import ServiceCollector
from infrastructure.telemetry.work_metrics import WorkMetrics
from tests.faults import cannot_have
from tests.served import make_videos, served

ROOT = Path(__file__).resolve().parents[1]
MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
FIRED = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/footanalytics.json").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCUMENT = (ROOT / "docs" / "monitoring.md").read_text()
NAME = re.compile(r"\bfootanalytics_\w+")
LABEL = re.compile(r"\b(\w+)(?==~?\")")


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    return found or cannot_have("promtool", "sudo apt-get install -y prometheus")


@pytest.fixture
def told(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Every sample that API, workers and relay give, and its labels: the real ones, by name."""
    monkeypatch.setattr(serving, "gpus", lambda: [Gpu(0, 1, 2, 0.5)])  # this machine has none
    state = RedisStateStore(redis_url)
    state.begin(1)
    state.submit(PipelineRecord("0" * 32, "{}", submitted_at=time.time()), ())
    state.read_up_to("relay", 0)
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    settings = Settings.load({"REDIS_URL": redis_url, "CELERY_BROKER_URL": redis_url})
    work, relay = WorkMetrics(), RelayMetrics()
    sources: list[Any] = [
        ServiceCollector(state, artifacts, lambda: redis_memory(settings), "1"),
        work.registry,
        relay.registry,
        serving.GpuCollector(),
        ProgressMetrics().registry,
    ]
    for metric in (*vars(work).values(), relay.published):
        if getattr(metric, "_labelnames", ()):
            metric.labels(*metric._labelnames)
    found = {"up": {"job"}} | dict(_samples(sources))
    state.close()
    return found


def _samples(sources: list[Collector]) -> Iterator[tuple[str, set[str]]]:
    for source in sources:
        for family in source.collect():
            names: dict[str, set[str]] = {}
            if family.type == "counter":
                names[f"{family.name}_total"] = set()
            for sample in family.samples:
                names.setdefault(sample.name, set()).update(sample.labels)
            yield from names.items()


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in ALERTS)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_every_number_that_is_asked_for_is_given(told: dict[str, set[str]]) -> None:
    asked = {name for text in expressions() for name in NAME.findall(text)}
    assert len(asked) > 15
    assert asked <= set(told)


def test_numbers_are_asked_by_labels_that_they_have(told: dict[str, set[str]]) -> None:
    for text in expressions():
        for name, labels in re.findall(r"(\w+)\{([^}]*)\}", text):
            assert set(LABEL.findall(labels)) <= told[name], text
        by = {
            label.strip()
            for each in re.findall(r"by \(([^)]*)\)", text)
            for label in each.split(",")
        }
        known = set().union(*(told[name] for name in NAME.findall(text)), {"le"})
        assert by <= known, text


def test_the_document_names_each_number_and_no_other(told: dict[str, set[str]]) -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `footanalytics_")]
    rows += [line for line in DOCUMENT.splitlines() if line.startswith("From the relay:")]
    written = set()
    for row in rows:
        for name in re.findall(r"`(footanalytics_\w+|_\w+)", row.split(" | ")[0] + " | "):
            first = re.findall(r"`(footanalytics_\w+)", row)[0]
            written.add(name if not name.startswith("_") else _full(first, name, told))
    given = {name for name in told if not name.endswith("_created")} - {"up"}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in given}
    assert written == families


def _full(first: str, short: str, told: dict[str, set[str]]) -> str:
    """`_relay_lag_seconds` behind `footanalytics_relay_lag_events`: the same beginning."""
    fits = [name for name in told if name.endswith(short) and name[:16] == first[:16]]
    assert len(fits) == 1, (first, short)
    return fits[0]


def test_each_alert_says_what_to_do_and_is_fired_by_a_test() -> None:
    fired = {
        each["alertname"]
        for test in FIRED
        for each in test["alert_rule_test"]
        if each["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in ALERTS}
    for rule in ALERTS:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_a_healthy_service_fires_none() -> None:
    # the last case of alerts_test.yml, which promtool runs
    assert {each["alertname"] for each in FIRED[-1]["alert_rule_test"]} == {
        rule["alert"] for rule in ALERTS
    }
    assert not any(each["exp_alerts"] for each in FIRED[-1]["alert_rule_test"])


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("check", "config"), "prometheus.yml"),
        (("check", "rules"), "alerts.yml"),
        (("test", "rules"), "alerts_test.yml"),
    ],
)
def test_promtool_finds_no_fault(promtool: str, command: tuple[str, ...], file: str) -> None:
    done = subprocess.run(
        [promtool, *command, file], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_expression_of_the_dashboard_is_promql(promtool: str, tmp_path: Path) -> None:
    # a recording rule for each: promtool parses it
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_asks_the_source_that_is_provided() -> None:
    text = (MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text()
    (source,) = yaml.safe_load(text)["datasources"]
    assert source["url"] == "http://prometheus:9090"
    asked = {
        target["datasource"]["uid"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    assert asked == {source["uid"]}
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        x, y, w, h = (panel["gridPos"][name] for name in "xywh")
        place = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24
        assert not taken & place, panel["title"]
        taken |= place


def test_compose_mounts_what_is_there_and_scrapes_what_runs() -> None:
    for name in ("prometheus", "grafana"):
        for mount in COMPOSE["services"][name]["volumes"]:
            if mount.startswith("./"):
                assert (ROOT / mount.split(":")[0]).exists(), mount
        for port in COMPOSE["services"][name]["ports"]:
            assert port.startswith("127.0.0.1:")  # neither asks for more than a password
    scraped = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    for job in scraped:
        for found in job["dns_sd_configs"]:
            assert found["port"] == 9464
            for name in found["names"]:
                environment = COMPOSE["services"][name]["environment"]
                assert environment["ML_PIPELINE_METRICS_PORT"] == str(found["port"])
                assert environment["ML_PIPELINE_METRICS_HOST"] == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_the_api_gives_its_numbers_and_continues_a_trace(
    store: str, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "service").mkdir()
    videos = make_videos(tmp_path / "videos")
    with served(store, redis_url, tmp_path / "service", videos) as service:
        caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        answer = service.http.post(
            "/api/v1/process-video",
            json={"video_path": "match.mp4"},
            headers={"traceparent": caller},
        )
        record = service.parts.state.pipeline(answer.json()["pipeline_id"])
        assert record
        assert record.traceparent[:36] == caller[:36]  # the caller's trace, a span of our own
        assert record.traceparent != caller
        text = service.get("/metrics")
        assert text.headers["content-type"].startswith("text/plain")
        assert 'footanalytics_matches{state="queued"} 1.0' in text.text
        assert 'footanalytics_readable{source="state"} 1.0' in text.text
