"""`python -m bench.open_loop`: recordings sent whether or not the last one is answered.

Recordings are sent at the random moments of a traffic profile (`bench/profiles.py`), beside as many
live sessions as the profile has open on average. Waits count from the moment a recording was due,
also if the load generator itself is late: clients that wait for a slow server would send less and
make it look faster (coordinated omission).
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from openai import AsyncOpenAI

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench import chosen_model
from bench.calls import Call, call
from bench.load import Answer, Upload, open_loop
from bench.profiles import PROFILES, Profile, moments
from bench.recordings import samples_of_pcm
from bench.sdk_session import sdk_session
from bench.server import running
from bench.speakers import Recording, Speaker
from bench.words import Words

RESULTS = Path(__file__).parent / "results"
LENGTHS = 20
"""Number of different lengths of recordings in a run, equally likely."""
PERCENTILES = (50, 75, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Run:
    answers: Sequence[Answer]
    speakers: Sequence[Speaker]

    @property
    def answered(self) -> list[Answer]:
        return [each for each in self.answers if each.status == 200]

    @property
    def latencies(self) -> list[float]:
        return [each.latency_seconds for each in self.answered]

    @property
    def live_delays(self) -> list[float]:
        """Seconds from the end of each live turn to its whole text."""
        return [delay for speaker in self.speakers for delay in speaker.final_delays]

    @property
    def words(self) -> Words:
        """Word errors of the answers."""
        return Words.of((each.upload.text, each.text) for each in self.answered)


def calls_of(profile: Profile, seed: int) -> list[Call]:
    """Recordings of the profile's lengths, in random order."""
    calls = [call(seconds, first) for first, seconds in enumerate(profile.lengths(LENGTHS))]
    return [calls[i] for i in np.random.default_rng(seed).permutation(LENGTHS)]


async def run(
    base_url: str, profile: Profile, scale: float, seconds: float, seed: int, key: str = "any"
) -> Run:
    """Send the profile's traffic; `scale` multiplies the number of its agents."""
    uploads = [Upload.of(each) for each in calls_of(profile, seed)]
    at = list(moments(profile.uploads_per_second * scale, seconds, seed))
    speakers = [
        speaker_of(call(seconds, first)) for first in range(round(profile.live_sessions * scale))
    ]
    async with AsyncExitStack() as stack:
        sdk = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key)
        client = await stack.enter_async_context(sdk)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for speaker in speakers:
            group.create_task(speaker.speak(sdk_session(client, "whisper-1", "en", 0.5)))
        answers = await open_loop(base_url, uploads, at, key)
    return Run(answers, speakers)


def speaker_of(call: Call) -> Speaker:
    return Speaker([Recording(samples_of_pcm(call.pcm), (), call.text, call.text)])


def report(run: Run) -> str:
    refused = sum(each.status == 503 for each in run.answers)
    others = len(run.answers) - len(run.answered) - refused
    late = max((each.sent - each.intended for each in run.answers), default=0.0)
    lines = [
        f"{len(run.answers)} recordings sent, {len(run.answered)} answered, {refused} refused, "
        f"{others} others; {run.words.share:.1%} of the words wrong",
        f"the load generator was {1000 * late:.0f} ms late at worst, which counts as waiting",
    ]
    lines += [row("answers", run.latencies)] if run.latencies else []
    lines += [row("live turns", run.live_delays)] if run.live_delays else []
    return "\n".join(lines)


def row(name: str, seconds: Sequence[float]) -> str:
    values = zip(PERCENTILES, np.percentile(seconds, PERCENTILES), strict=True)
    return f"{name}: " + ", ".join(f"p{share} {value:.2f} s" for share, value in values)


def plot(run: Run, title: str, path: Path) -> None:
    """Plot seconds by percentile, the highest ones wide, for waits are there."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, values in (("answers", run.latencies), ("live turns", run.live_delays)):
        if values:
            beyond = 1 - np.arange(len(values)) / len(values)
            axes.plot(1 / beyond, sorted(values), label=f"{name} ({len(values)})")
    ticks = [1, 2, 10, 20, 100, 1000]
    axes.set_xscale("log")
    axes.set_xticks(ticks, ["least", "p50", "p90", "p95", "p99", "p99.9"])
    axes.set(xlabel="percentile", ylabel="seconds from the intended moment", ylim=(0, None))
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.open_loop", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="notes-1000")
    parser.add_argument("--scale", type=float, default=1.0, help="of the profile's agents")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    chosen_model.add_argument(parser)
    parser.add_argument("--url", help="of a running server; otherwise one is started")
    parser.add_argument("--key", default="any", help="an API key, if the server has keys")
    parser.add_argument("--plot", type=Path, default=RESULTS / "open_loop.png")
    chosen = parser.parse_args()
    profile = PROFILES[chosen.profile]
    print(f"{profile.about}, times {chosen.scale:g}, in the busiest hour, {chosen.seconds:g} s")

    def measured(url: str) -> Run:
        return asyncio.run(run(url, profile, chosen.scale, chosen.seconds, chosen.seed, chosen.key))

    if chosen.url:
        result = measured(chosen.url)
    else:
        chosen_model.directory_of(chosen.model)
        settings = {"VERBATIM_MODEL": chosen.model, "VERBATIM_TELEMETRY__LOG_LEVEL": "error"}
        with running(["app"], settings) as server:
            result = measured(server.base_url)
    print(report(result))
    plot(result, f"{chosen.profile} x {chosen.scale:g}", chosen.plot)
    print(f"plot: {chosen.plot}")


if __name__ == "__main__":
    main()
