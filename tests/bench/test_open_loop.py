import time
from collections.abc import Sequence
from pathlib import Path

from app.domain import Hypothesis
from app.engine.speech_model import DecodeOptions, Job
from bench.calls import call
from bench.open_loop import Answer, Run, open_loop, plot, report
from tests.support.fakes import FakeModel
from tests.support.served import fake_app, served

CALL_SECONDS = 0.5


class Slow(FakeModel):
    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        time.sleep(CALL_SECONDS)
        return super().decode(jobs, options)


async def test_waits_count_from_the_intended_moment_also_when_the_sender_is_late() -> None:
    """Three are due at once while the sender itself sleeps; none of their waiting is lost."""
    with served(fake_app(Slow())) as url:
        answers = await open_loop(url, [call(2.0)], [-0.4, -0.4, -0.4])
    assert [each.intended for each in answers] == [-0.4] * 3
    for each in answers:
        assert each.status == 200
        assert each.sent >= 0.0
        assert each.latency_seconds >= 0.4 + CALL_SECONDS
        assert each.latency_seconds == each.done + 0.4


async def test_recordings_come_whether_or_not_the_last_one_is_answered() -> None:
    with served(fake_app(Slow())) as url:
        answers = await open_loop(url, [call(2.0), call(3.0, 1)], [0.0, 0.05, 0.1, 0.15])
    assert max(each.sent for each in answers) < min(each.done for each in answers)
    assert [each.call.text for each in answers] == [call(2.0).text, call(3.0, 1).text] * 2


def test_the_report_has_percentiles_refusals_and_word_errors(tmp_path: Path) -> None:
    said = call(2.0)
    answers = [Answer(said, at, at, at + 1.0 + at / 100, 200, said.text) for at in range(100)]
    answers.append(Answer(said, 0.0, 0.25, 0.3, 503, ""))
    run = Run(answers, ())
    text = report(run)
    assert "101 recordings sent, 100 answered, 1 refused, 0 others; 0.0% of the words" in text
    assert "250 ms late at worst" in text
    assert "p50 1.50 s" in text
    assert "p99 1.98 s" in text
    plot(run, "a title", tmp_path / "results" / "plot.png")
    assert (tmp_path / "results" / "plot.png").read_bytes().startswith(b"\x89PNG")
