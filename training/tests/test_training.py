from dataclasses import replace

import pytest
import torch

from training.presets import Preset
from training.train import Job, Trainer, rate, work


def _steps(trainer: Trainer, count: int) -> list[float]:
    """The token loss of the next steps."""
    losses = []
    for batch, plan in trainer.coming():
        losses.append(float(trainer.learn(batch, plan).tokens.detach()))
        if len(losses) == count:
            break
    return losses


def test_a_resumed_training_takes_the_same_next_steps(job: Job) -> None:
    straight = Trainer(job, 0)
    _steps(straight, 3)
    straight.save(job.checkpoint)
    expected = _steps(straight, 3)
    resumed = Trainer(job, 0)
    assert resumed.step == 3
    assert _steps(resumed, 3) == expected
    for one, other in zip(straight.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_training_stops_where_it_is_told_and_goes_on(job: Job) -> None:
    work(0, replace(job, until=5))
    assert Trainer(job, 0).step == 5
    work(0, job)
    assert Trainer(job, 0).step == job.preset.steps


def test_two_ranks_hear_different_windows_of_the_same_shape(job: Job) -> None:
    one, other = (Trainer(job, rank).batches[4][0].features for rank in (0, 1))
    assert one.shape == other.shape
    assert not torch.equal(one, other)


def test_every_stage_of_the_course_can_be_trained(job: Job) -> None:
    trainer = Trainer(job, 0)
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    for step in range(job.preset.steps):
        trainer.step = step
        batch, plan = trainer.batches[step]
        losses = trainer.learn(batch, plan)
        assert torch.isfinite(losses.tokens)
        assert torch.isfinite(losses.phonemes)
        assert torch.isfinite(losses.attention)
    assert all(
        not torch.equal(old, new)
        for old, new in zip(before, trainer.network.parameters(), strict=True)
    )


def test_the_learning_rate_rises_and_falls_to_nothing(preset: Preset) -> None:
    rates = [rate(preset, step) for step in range(preset.steps + 1)]
    assert rates[0] < rates[1]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
