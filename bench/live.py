"""`python -m bench.live`: concurrent speakers in live sessions, at the pace of speech.

The sessions run in this process, or with `--socket` in a server, over OpenAI's SDK.
"""

import argparse
import asyncio
import io
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count

import httpx
import numpy as np
from openai import AsyncOpenAI
from prometheus_client import REGISTRY, generate_latest

from app.audio.expected_length import Length
from app.domain import Options, Priority
from app.engine.batcher import Batcher
from app.engine.devices import chosen_device
from app.models.loading import EngineChoices, load
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.live.events import LiveOptions, TurnDetection
from app.pipeline.live.session import LiveSession
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from app.process.memory import keep_memory
from app.services import models_directory
from app.settings import model_id, prepare_libraries, read_settings
from app.telemetry import logging
from bench import chosen_model
from bench.sdk_session import sdk_session
from bench.server import Period, Snapshot, running, samples_in
from bench.speakers import Session, Speaker, speakers
from bench.words import Words


def main() -> None:
    arguments = parser().parse_args()
    chosen_model.directory_of(arguments.model)
    prepare_libraries()
    logging.configure("warning", "console", audit_batches=False)
    asyncio.run(over_sockets(arguments) if arguments.socket else in_process(arguments))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0, help="of speech in each session")
    parser.add_argument("--socket", action="store_true", help="a server, the SDK and /v1/realtime")
    chosen_model.add_argument(parser)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--max-batch-size", type=int)
    parser.add_argument("--language", help="set by the clients; default: detected in each turn")
    parser.add_argument("--silence", type=float, default=0.5, help="seconds that end a turn")
    return parser


async def in_process(arguments: argparse.Namespace) -> None:
    if chosen_device(arguments.device) == "cpu":
        keep_memory()
    choices = EngineChoices(device=arguments.device, max_batch_size=arguments.max_batch_size)
    model = load(arguments.model, choices, models_directory(read_settings()))
    model.warm_up()
    turns = TurnDetection(silence_seconds=arguments.silence)
    options = LiveOptions(Options(language=arguments.language), turns)
    ids = count()
    with FairThreads(2) as cpu:
        async with Batcher(model) as batcher:
            decoder = WindowDecoder(model, batcher, cpu, use_fallback=True, priority=Priority.LIVE)
            decoder.check(options.options)

            async def transcribed(wav: bytes) -> str:
                work = Work(decoder.pace, Length(0.0, is_claimed=False), Deadline())
                requested = Options(language=arguments.language)
                transcriber = Transcriber(decoder)
                return (await transcriber.transcribe(io.BytesIO(wav), requested, "r", work)).text

            people = await speakers(arguments.sessions, arguments.seconds, transcribed)
            before = snapshot()
            sessions = [LiveSession(decoder, options, f"session-{next(ids)}") for _ in people]
            await all_speak(people, sessions)
            report(people, Period(before, snapshot()), model.info.workers)


def snapshot() -> Snapshot:
    """Metrics and CPU time of this process."""
    samples = samples_in(generate_latest(REGISTRY).decode())
    return Snapshot(time.perf_counter(), time.process_time(), samples)


async def over_sockets(arguments: argparse.Namespace) -> None:
    settings = {
        "VERBATIM_MODEL": arguments.model,
        "VERBATIM_ENGINE__DEVICE": arguments.device,
        "VERBATIM_BATCHING__MAX_BATCH_SIZE": arguments.max_batch_size,
        # One caller, as all of them are here, gets three quarters of the slots.
        "VERBATIM_LIVE__MAX_SESSIONS": 2 * arguments.sessions,
        "VERBATIM_TELEMETRY__LOG_LEVEL": "warning",
    }
    environment = {name: str(value) for name, value in settings.items() if value is not None}
    model = model_id(arguments.model)
    form = {"model": model, **({"language": arguments.language} if arguments.language else {})}
    with running(["app"], environment) as server:
        async with (
            httpx.AsyncClient(base_url=server.base_url, timeout=600) as http,
            AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="any") as client,
        ):

            async def transcribed(wav: bytes) -> str:
                answer = await http.post(
                    "/v1/audio/transcriptions", data=form, files={"file": ("clip.wav", wav)}
                )
                return str(answer.raise_for_status().json()["text"])

            people = await speakers(arguments.sessions, arguments.seconds, transcribed)
            before = server.snapshot()
            sessions = [
                sdk_session(client, model, arguments.language, arguments.silence) for _ in people
            ]
            await all_speak(people, sessions)
            after = server.snapshot()
            workers = int(after.labels("stt_engine_info")["workers"])
            report(people, Period(before, after), workers)


async def all_speak(
    people: Sequence[Speaker], sessions: Sequence[AbstractAsyncContextManager[Session]]
) -> None:
    async with asyncio.TaskGroup() as group:
        for speaker, session in zip(people, sessions, strict=True):
            group.create_task(speaker.speak(session))


def report(people: Sequence[Speaker], period: Period, workers: int) -> None:
    shown, stable = [], []
    for speaker in people:
        first, certain = speaker.captions.delays(speaker.spoken)
        shown += first
        stable += certain
    spoken = sum(len(speaker.spoken) for speaker in people)
    print(
        f"{len(people)} sessions, {period.seconds:.0f} s, {spoken} words, {len(shown)} of them "
        "transcribed right and with a known time"
    )
    print(f"{'seconds':36} {'p50':>5}  {'p95':>5}  {'max':>5}")
    line("from a word to its first text", shown)
    line("from a word to text that stays", stable)
    line("from a turn's end to its whole text", [d for each in people for d in each.final_delays])
    report_words(people)
    encoded = period.mean("stt_batch_windows", stage="encode")
    decoded = period.mean("stt_batch_windows", stage="decode")
    print(f"mean batches: encode {encoded:.1f}, decode {decoded:.1f}")
    windows = period.total("stt_batch_windows_sum", stage="decode")
    drafts = period.total("stt_live_lag_seconds_count", text="partial")
    each = drafts / period.seconds / len(people)
    print(f"windows decoded: {windows:.0f}, of them {drafts:.0f} drafts, {each:.2f}/s a session")
    busy = period.total("stt_device_busy_seconds_total") / period.seconds / workers
    print(f"workers busy {busy:.0%}, CPU {period.cpu_seconds / period.seconds:.2f} cores")
    print(f"failures {sum(len(each.failures) for each in people)}, ", end="")
    print(f"worst backlog {max(each.worst_backlog for each in people):.1f} s")


def report_words(people: Sequence[Speaker]) -> None:
    references = [speaker.reference for speaker in people]
    live = [speaker.captions.text for speaker in people]
    requests = [speaker.text for speaker in people]
    print(
        f"word errors: live {errors(references, live)}, as a request "
        f"{errors(references, requests)}, between the two {errors(requests, live)}"
    )


def errors(references: Sequence[str], texts: Sequence[str]) -> str:
    words = Words.of(zip(references, texts, strict=True))
    return f"{words} ({words.share:.1%})"


def line(name: str, delays: Sequence[float]) -> None:
    p50, p95 = np.percentile(delays, (50, 95))
    print(f"{name:36} {p50:5.2f}  {p95:5.2f}  {max(delays):5.2f}")


if __name__ == "__main__":
    main()
