"""`python -m training.train`: trains a preset, or goes on with it where it was stopped."""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import distributed, multiprocessing
from torch.utils.data import DataLoader

from training import losses
from training.batches import Batch, Batches, Plan
from training.losses import Losses, Weights
from training.network import Network, Size
from training.optimizer import Optimizer
from training.presets import PRESETS, Preset
from training.tokens import Tokens
from training.windows import Composer
from training.workplace import Workplace

_CLIP = 1.0  # norm of the gradient
_REPORTED = 20  # steps from one line to the next
_SAVED = 100  # steps from one checkpoint to the next
_FORGETTING = 0.95  # of the means that are reported, for each step


@dataclass(frozen=True)
class Job:
    """A training as the command line describes it."""

    name: str
    preset: Preset
    folder: Path
    until: int  # steps after which to stop

    @property
    def checkpoint(self) -> Path:
        return Workplace(self.folder).run(self.name) / "checkpoint.pt"


class Trainer:
    """Network, optimizer and step of one rank."""

    def __init__(self, job: Job, rank: int) -> None:
        place = Workplace(job.folder)
        self.job, self.rank, self.device = job, rank, torch.device(job.preset.device)
        self.tokens, self.lexicon = place.tokens(job.preset.merges), place.lexicon()
        composer = Composer(place.utterances(), place.recordings())
        self.batches = Batches(job.preset, rank, composer, self.tokens, self.lexicon)
        torch.manual_seed(job.preset.seed)
        self.network = build(job.preset, self.tokens, len(self.lexicon.numbers)).to(self.device)
        self.optimizer = Optimizer(self.network, job.preset.peak_rate)
        self.step = 0
        if job.checkpoint.exists():
            self._restore(job.checkpoint)

    def _restore(self, path: Path) -> None:
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(saved["network"])
        self.optimizer.restore(saved["optimizer"])
        self.step = saved["step"]

    def save(self, path: Path) -> None:
        """All that the next step depends on; a run that is killed while saving keeps the last."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state(),
            "step": self.step,
        }
        torch.save(state, partial)
        os.replace(partial, path)

    def coming(self) -> Iterator[tuple[Batch, Plan]]:
        """The batches from the present step on."""
        steps, workers = range(self.step, self.job.until), self.job.preset.workers
        return iter(DataLoader(self.batches, batch_size=None, sampler=steps, num_workers=workers))

    def learn(self, batch: Batch, plan: Plan) -> Losses:
        """One step on one batch of each rank."""
        # Sampled padding is the only chance in here: like the batch it follows from the step.
        torch.manual_seed(self.job.preset.seed * 1_000_003 + self.step)
        stage = self.job.preset.stage(self.step)
        weights = Weights(stage.token_weight, stage.phoneme_weight, stage.attention_weight)
        with torch.autocast(self.device.type, torch.bfloat16):
            measured = losses.measure(
                self.network, batch.to(self.device), self.tokens, plan.padding, plan.aligned
            )
        measured.total(weights).backward()
        self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step(rate(self.job.preset, self.step))
        self.step += 1
        return measured

    def _share_gradients(self) -> None:
        """The mean of all ranks, in one message."""
        if self.job.preset.ranks == 1:
            return
        gradients = [parameter.grad for parameter in self.network.parameters()]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.job.preset.ranks
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def build(preset: Preset, tokens: Tokens, phonemes: int) -> Network:
    """An untrained network of a preset."""
    size = Size(preset.width, preset.heads, preset.encoder_layers, preset.decoder_layers)
    return Network(size, len(tokens.names), phonemes)


def rate(preset: Preset, step: int) -> float:
    """The learning rate of a step: up in a line, even, then down to nothing as 1 - sqrt.

    The form of Hägele et al. (Scaling Laws and Compute-Optimal Training Beyond Fixed Training
    Durations, 2024): any checkpoint from before the fall can be trained on for longer.
    """
    up = min(1.0, (step + 1) / preset.warm_up)
    falling = max(0.0, step - preset.cool_down_start) / (preset.steps - preset.cool_down_start)
    return preset.peak_rate * up * (1 - math.sqrt(falling))


class Report:
    """Running means, a line for people and one for the curve every so many steps."""

    def __init__(self, trainer: Trainer, path: Path) -> None:
        self._trainer, self._path = trainer, path
        self._means: dict[str, float] = {}
        self._started, self._from = time.monotonic(), trainer.step
        self._forget_later()

    def add(self, measured: Losses) -> None:
        for name in ("tokens", "phonemes", "attention", "right"):
            value = float(getattr(measured, name).detach())
            if math.isfinite(value):
                before = self._means.get(name, value)
                self._means[name] = _FORGETTING * before + (1 - _FORGETTING) * value
        if self._trainer.step % _REPORTED == 0:
            self._write()

    def _forget_later(self) -> None:
        """Steps after the checkpoint are trained again, so their lines go."""
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= self._trainer.step]
            self._path.write_text("".join(kept), encoding="utf-8")

    def _write(self) -> None:
        step, steps = self._trainer.step, self._trainer.job.preset.steps
        pace = (time.monotonic() - self._started) / (step - self._from)
        means = " ".join(f"{name} {value:.3f}" for name, value in self._means.items())
        left = (steps - step) * pace / 60
        print(f"{step}/{steps} {means} {pace:.2f} s/step, {left:.0f} min left", flush=True)
        row = {"step": step, "pace": round(pace, 3), "at": round(time.time())} | self._means
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


@contextmanager
def _joined(job: Job, rank: int) -> Iterator[None]:
    """The ranks know each other."""
    if job.preset.ranks > 1:
        store = distributed.FileStore(str(job.checkpoint.with_suffix(".ranks")), job.preset.ranks)
        distributed.init_process_group("gloo", rank=rank, world_size=job.preset.ranks, store=store)
    try:
        yield
    finally:
        if job.preset.ranks > 1:
            distributed.destroy_process_group()


def work(rank: int, job: Job) -> None:
    """Train on one rank to the last step."""
    job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if job.preset.device == "cpu":
        torch.set_num_threads(1)
    with _joined(job, rank):
        trainer = Trainer(job, rank)
        report = Report(trainer, job.checkpoint.with_name("log.jsonl")) if rank == 0 else None
        for batch, plan in trainer.coming():
            measured = trainer.learn(batch, plan)
            if report:
                report.add(measured)
                if trainer.step % _SAVED == 0 or trainer.step == job.until:
                    trainer.save(job.checkpoint)
                if trainer.step == job.preset.cool_down_start:
                    trainer.save(job.checkpoint.with_name("before_cool_down.pt"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--steps", type=int, help="other than the preset's")
    parser.add_argument("--until", type=int, help="stop after this step, to go on later")
    parser.add_argument("--fresh", action="store_true", help="forget the checkpoint")
    chosen = parser.parse_args()
    preset = PRESETS[chosen.preset]
    preset = replace(preset, steps=chosen.steps or preset.steps)
    until = min(chosen.until or preset.steps, preset.steps)
    job = Job(chosen.preset, preset, chosen.work, until)
    for path in job.checkpoint.parent.glob("*" if chosen.fresh else "*.ranks"):
        path.unlink()
    if job.preset.ranks == 1:
        work(0, job)
    else:
        multiprocessing.spawn(work, (job,), job.preset.ranks)


if __name__ == "__main__":
    main()
