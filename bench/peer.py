"""`python -m bench.peer URL`: the benchmark's short clips, sent to a server with OpenAI's routes.

`bench/peers.md` has how to start some."""

import argparse
import asyncio

from app.domain import SAMPLE_RATE
from bench import load
from bench.__main__ import numbers
from bench.calls import SPEECH
from bench.recordings import ENGLISH, Clip, samples_of, text_of, wav


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__)
    parser.add_argument("url", help="without /v1")
    parser.add_argument("--model", default="whisper-1", help="as the server names it")
    parser.add_argument("--concurrency", type=numbers, default=(1, 4, 16), metavar="1,4,16")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each level")
    chosen = parser.parse_args()
    print("| clients | requests/s | RTFx | p50, p95 | words wrong |\n|---|---|---|---|---|")
    for count in chosen.concurrency:
        traffic, _, _ = asyncio.run(
            load.closed_loop(
                chosen.url, clips(), count, chosen.seconds, lambda: None, model=chosen.model
            )
        )
        waits = f"{traffic.latency.p50_seconds:.2f} s, {traffic.latency.p95_seconds:.2f} s"
        rates = f"{traffic.requests_per_second:.2f} | {traffic.audio_seconds_per_second:.1f}"
        print(f"| {count} | {rates} | {waits} | {traffic.words} |", flush=True)


def clips() -> list[Clip]:
    """Real speech of 3 to 11 s; how a peer cuts it is not known."""
    return [
        Clip(name, wav(samples), len(samples) / SAMPLE_RATE, (), text_of(SPEECH / name))
        for name, samples in ((name, samples_of(SPEECH / name)) for name in ENGLISH)
    ]


if __name__ == "__main__":
    main()
