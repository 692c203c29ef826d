"""A fleet at nine o'clock: the simulation follows the rule that Prometheus evaluates, its figures
are those of the docs, and they are good enough."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.burst import SESSIONS, Course, Load, Scaler, burst, live, recordings, table
from tests.support.live_server import ROOT
from tests.support.programs import require

EXPORTED = {
    "sessions": "stt_live_sessions{%s}",
    "opened": "stt_live_sessions_opened_total{%s}",
    "refused_sessions": 'stt_refused_requests_total{%s,reason="sessions"}',
    "refused_uploads": 'stt_refused_requests_total{%s,reason="wait"}',
    "answered": 'http_requests_total{%s,handler="/v1/audio/transcriptions",status="2xx"}',
    "busy": 'stt_device_busy_seconds_total{%s,stage="decode"}',
    "backlog": "stt_backlog_audio_seconds{%s}",
    "in_flight": "stt_requests_in_flight{%s}",
}
ALWAYS = {
    "stt_live_sessions_max{%s}": SESSIONS,
    'stt_device_workers{%s,model="m"}': 1,
    'stt_capacity_audio_seconds_per_second{%s,model="m"}': 1,
}


@pytest.fixture(scope="module", params=[live, recordings], ids=lambda load: load.__name__)
def load(request: pytest.FixtureRequest) -> Load:
    chosen: Load = request.param
    return chosen


@pytest.fixture(scope="module")
def course(load: Load) -> Course:
    return burst(load, cold=150)


def test_a_tenfold_load_is_carried_within_five_minutes(course: Course) -> None:
    assert course.seconds_to_capacity <= 300
    assert course.refused <= 0.15
    assert course.most_pods <= 24, "1,000 agents need 12 to 16"


def test_pods_that_stand_ready_refuse_nobody(load: Load) -> None:
    assert burst(load, cold=150, least=16).refused <= 0.01


def test_warm_nodes_halve_what_is_refused_until_the_others_come(load: Load, course: Course) -> None:
    assert burst(load, cold=150, warm=4).refused < 0.75 * course.refused


def test_the_page_has_the_figures_of_the_simulation() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    assert table() in page, "python -m tests.deploy.burst"


def test_the_simulation_follows_the_rule_that_prometheus_evaluates(
    course: Course, tmp_path: Path
) -> None:
    """Fed with what the simulated pods exported, within 2 % at every half minute of the burst."""
    start, end = -300, 420
    series = []
    for number, pod in enumerate(course.pods):
        labels = f'namespace="a",job="v",instance="{number}"'
        scrapes = dict(pod.history)
        times = range(start, end + 1, 15)
        for name, metric in EXPORTED.items():
            values = " ".join(str(scrapes[at][name]) if at in scrapes else "_" for at in times)
            series.append({"series": metric % labels, "values": values})
        for metric, value in ALWAYS.items():
            values = " ".join(str(value) if at in scrapes else "_" for at in times)
            series.append({"series": metric % labels, "values": values})
    checks = [
        {
            "expr": f"abs(stt:replicas_wanted / {course.wishes[at]} - 1) < bool 0.02",
            "eval_time": f"{at - start}s",
            "exp_samples": [{"labels": '{namespace="a",job="v"}', "value": 1}],
        }
        for at in range(0, end, 30)
    ]
    document = {
        "rule_files": [str(ROOT / "grafana/rules/recording.yml")],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": series, "promql_expr_test": checks}],
    }
    file = tmp_path / "burst.yml"
    file.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [require("promtool"), "test", "rules", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scaler_takes_the_policies_of_the_chart() -> None:
    scaler = Scaler(2, 40)
    assert scaler.replicas(0, 2, 16.0) == 6, "four more within 15 seconds, or twice as many"
    assert scaler.replicas(5, 6, 16.0) == 6
    assert scaler.replicas(15, 6, 16.0) == 12
    assert scaler.replicas(30, 12, 16.0) == 16
    assert scaler.replicas(45, 16, 17.5) == 16, "within its tolerance"
    assert scaler.replicas(60, 16, 17.7) == 18
    assert scaler.replicas(100, 18, 1.0) == 18, "not down within ten minutes"
    assert scaler.replicas(661, 18, 1.0) == 17
    assert scaler.replicas(676, 17, 1.0) == 17, "one every two minutes"
    assert scaler.replicas(781, 17, 1.0) == 16
