import json
from pathlib import Path

import pytest

from app.engine.fake_model import FakeModel
from bench.planner.measured import Measured, from_bench, from_metrics
from tests.support.served import fake_app, served


def test_the_planner_reads_what_make_bench_wrote(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    engine = {"device": "cpu", "workers": 2, "threads_per_worker": 1, "max_batch_size": 4}
    levels = [{"traffic": {"audio_seconds_per_second": rate}} for rate in (20.0, 50.0, 45.0)]
    file.write_text(json.dumps({"setup": engine, "levels": levels}))
    assert from_bench(file) == Measured(50.0, "cpu", 2, 1, 4)


def test_the_planner_reads_a_servers_metrics() -> None:
    with served(fake_app(FakeModel())) as url:
        engine = from_metrics(url, "any", 30.0)
        shorter = from_metrics(url, "any", 10.0)
    assert engine.capacity > 0
    assert shorter.capacity == pytest.approx(engine.capacity * 2 / 3)  # 10 s cost as 15
    assert (engine.device, engine.workers) == ("cpu", FakeModel().info.workers)
