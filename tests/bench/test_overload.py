from statistics import median

import psutil

from app.engine.fake_model import FakeModel
from bench.overload import Plan, measured, report
from bench.recordings import Clip, samples_of, wav
from bench.server import Server
from tests.support.recordings import FOLDER, reference
from tests.support.served import fake_app, served
from tests.support.words import normalise

CALL_SECONDS = 0.5  # of four windows at most: 8 clips a second


async def test_an_overloaded_server_answers_admitted_requests_and_refuses_the_rest_at_once() -> (
    None
):
    samples = samples_of(FOLDER / "12_short_clip.wav")
    clips = [
        Clip(
            "clip", wav(samples), len(samples) / 16_000, (samples,), reference("12_short_clip.wav")
        )
    ]
    plan = Plan(seconds=8.0, factor=4.0, max_wait_seconds=4.0, clients=8)
    with served(
        fake_app(FakeModel(delay=CALL_SECONDS), limits={"max_wait_seconds": plan.max_wait_seconds})
    ) as url:
        run = await measured(Server(url, psutil.Process()), clips, plan)
    answered, refused = run.having(200), run.having(503)
    assert len(answered) + len(refused) == len(run.answers)
    assert len(refused) > len(answered) > 20, run.best_before
    assert not run.wrong
    latest = max(each.latency_seconds for each in answered)
    # Other tests share the cores, so the bounds are wide.
    without_admission = plan.seconds * (plan.factor - 1)
    assert latest < without_admission * 2 / 3
    refused_after, answered_after = (
        median(each.latency_seconds for each in some) for some in (refused, answered)
    )
    assert refused_after < answered_after / 4
    assert run.throughput > 0.5 * run.best_before
    assert f"refused {len(refused)}" in report(run, plan)
    assert run.words.said == len(answered) * len(normalise(clips[0].text))
