from dataclasses import replace
from pathlib import Path

from training.curve import draw
from training.train import Job, work


def test_a_training_can_be_drawn(job: Job, tmp_path: Path) -> None:
    work(0, replace(job, preset=replace(job.preset, steps=20), until=20))
    target = tmp_path / "curve.png"
    draw(job.checkpoint.with_name("log.jsonl"), target)
    assert target.read_bytes().startswith(b"\x89PNG")
