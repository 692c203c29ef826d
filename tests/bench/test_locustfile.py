"""Five seconds of Locust's users, in its own environment, against the starter."""

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.live_server import ROOT, LiveServer
from tests.support.recordings import FOLDER

LOCUST = shutil.which("locust", path=f"{ROOT / '.venv/locust/bin'}:{os.environ['PATH']}")

KNOWN = ("01_order_call", "03_unheard_voices", "05_telephone_noise", "12_short_clip")
"""Recordings that the starter transcribes right."""


@pytest.mark.skipif(LOCUST is None, reason="Locust is not installed: `make .venv/locust/.ready`")
def test_uploads_streams_and_live_calls_are_answered_with_their_words(
    server: LiveServer, tmp_path: Path
) -> None:
    for name in KNOWN:
        for kind in ("wav", "txt"):
            shutil.copy(FOLDER / f"{name}.{kind}", tmp_path)
    load = {"LOAD_PROFILE": "notes-1000", "LOAD_CALLS": str(tmp_path)}
    # A fifth of them talk live: with 40 users, none does once in 7,500 runs.
    arguments = "--headless --only-summary --users 40 --spawn-rate 20 --run-time 5s"
    where = f"-f bench/locustfile.py --host {server.url} --csv {tmp_path / 'run'}"
    finished = subprocess.run(
        [str(LOCUST), *where.split(), *arguments.split(), "--stop-timeout", "60"],
        cwd=ROOT,
        env={**os.environ, **load, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    with (tmp_path / "run_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"upload", "upload, streamed", "first event", "live call", "Aggregated"}
    for row in rows.values():
        assert int(row["Request Count"]) > 0
        assert int(row["Failure Count"]) == 0
    assert float(rows["live call"]["Average Response Time"]) > 0
