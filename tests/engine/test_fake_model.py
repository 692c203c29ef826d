import threading

import numpy as np
import pytest

from app.domain import Hypothesis
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Job, SpeechModel

OPTIONS = DecodeOptions("transcribe", "en")


def job(value: float, request_id: str = "request") -> Job:
    features = np.array([value], np.float32)
    return Job(request_id, 1.0, features, encoded=features)


def texts(model: SpeechModel, *jobs: Job, options: DecodeOptions = OPTIONS) -> list[str]:
    return [each.text for each in model.decode(jobs, [options] * len(jobs))]


def test_the_text_of_a_window_is_its_first_feature() -> None:
    assert texts(FakeModel(), job(0.25), job(-0.5)) == ["0.25", "-0.50"]


def test_answers_by_temperature_or_by_a_function_replace_the_text() -> None:
    by_temperature = FakeModel(answers={0.0: hypothesis(" sure")})
    assert texts(by_temperature, job(0.1)) == ["sure"]
    assert texts(by_temperature, job(0.1), options=DecodeOptions("transcribe", "en", "", (), 0.2))

    def of_request(job: Job, options: DecodeOptions) -> Hypothesis:
        return hypothesis(f" {job.request_id} {options.language}")

    assert texts(FakeModel(answers=of_request), job(0.1, "a"), job(0.1, "b")) == ["a en", "b en"]


@pytest.mark.parametrize(
    ("model", "outcomes"),
    [
        (FakeModel(fails_at={2}), [True, False, True]),
        (FakeModel(fails_on={" 0.20"}), [True, False, True]),
        (FakeModel(fails_on={"b"}), [True, False, True]),
        (FakeModel(is_broken=True), [False, False, False]),
    ],
    ids=["by call", "by text", "by request", "broken"],
)
def test_calls_fail_where_they_should_and_all_are_recorded(
    model: FakeModel, outcomes: list[bool]
) -> None:
    for name, value, succeeds in zip("abc", (0.1, 0.2, 0.3), outcomes, strict=True):
        if succeeds:
            assert texts(model, job(value, name))
        else:
            with pytest.raises(RuntimeError, match="the device does not like this"):
                texts(model, job(value, name))
    assert model.decoded == [["a"], ["b"], ["c"]]


def test_decoding_waits_for_the_gate() -> None:
    model, found = FakeModel(), list[str]()
    model.gate.clear()
    decoding = threading.Thread(target=lambda: found.extend(texts(model, job(0.1))))
    decoding.start()
    assert model.started.wait(10)
    assert found == []
    model.gate.set()
    decoding.join(10)
    assert found == ["0.10"]


def test_a_broken_model_fails_its_warm_up() -> None:
    model = FakeModel(is_broken=True, error=MemoryError())
    with pytest.raises(MemoryError):
        model.warm_up()
    assert model.warm_up_count == 1
