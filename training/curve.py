"""`python -m training.curve`: draws the losses of a training over its steps."""

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure

from training.presets import PRESETS
from training.workplace import Workplace

_LOSSES = {
    "tokens": "cross entropy per token",
    "phonemes": "CTC per phoneme",
    "attention": "guided attention per token",
}


def draw(log: Path, target: Path) -> None:
    """A PNG of the three losses and the share of tokens that are right."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [row["step"] for row in rows]
    figure = Figure(figsize=(8, 4.5))
    losses = figure.subplots()
    for name, label in _LOSSES.items():
        losses.plot(steps, [row[name] for row in rows], label=label)
    losses.set(xlabel="step", ylabel="loss", ylim=(0, 5))
    shares = losses.twinx()
    shares.plot(steps, [row["right"] for row in rows], color="grey", linestyle=":")
    shares.set(ylabel="share of text tokens right (dotted)", ylim=(0, 1))
    losses.legend(loc="upper right")
    figure.savefig(target, dpi=110, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    chosen = parser.parse_args()
    run = Workplace(chosen.work).run(chosen.preset)
    draw(run / "log.jsonl", run / "curve.png")
    print(run / "curve.png")


if __name__ == "__main__":
    main()
