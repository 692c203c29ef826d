import asyncio

from prometheus_client import REGISTRY

from app.engine.fake_model import FakeModel
from bench.calls import call
from bench.load import Upload, open_loop
from tests.support.served import fake_app, served
from tests.support.waiting import until

CALL_SECONDS = 0.5


async def test_latencies_count_from_the_intended_moment_also_when_the_sender_is_late() -> None:
    """Three are due at once while the sender itself sleeps; none of their waiting is lost."""
    with served(fake_app(FakeModel(delay=CALL_SECONDS))) as url:
        answers = await open_loop(url, [Upload.of(call(2.0))], [-0.4, -0.4, -0.4])
    assert [each.intended for each in answers] == [-0.4] * 3
    for each in answers:
        assert each.status == 200
        assert each.sent >= 0.0
        assert each.latency_seconds >= 0.4 + CALL_SECONDS
        assert each.latency_seconds == each.done + 0.4


async def test_an_open_loop_sends_whether_or_not_the_last_upload_is_answered() -> None:
    uploads, model = [Upload.of(call(2.0)), Upload.of(call(3.0, 1))], FakeModel()
    model.gate.clear()

    async def answer_when_all_are_sent() -> None:
        await until(lambda: REGISTRY.get_sample_value("stt_requests_in_flight") == 4)
        model.gate.set()

    with served(fake_app(model)) as url:
        answers, _ = await asyncio.gather(
            open_loop(url, uploads, [0.0, 0.05, 0.1, 0.15]), answer_when_all_are_sent()
        )
    assert max(each.sent for each in answers) < min(each.done for each in answers)
    assert [each.upload.text for each in answers] == [call(2.0).text, call(3.0, 1).text] * 2
