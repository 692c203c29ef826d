import io

import pytest

from app.domain import Options
from app.engine.fake_model import FakeModel
from app.errors import EngineFailed, InvalidRequest
from tests.pipeline.transcribing import CALL, any_work, running, short_windows


async def test_every_window_is_decoded_with_each_keyword_once() -> None:
    model = short_windows()
    options = Options(keywords=("Zoë", " ", "Acme", "Zoë "), token_scores=True)
    async with running(model) as transcriber:
        await transcriber.transcribe(io.BytesIO(CALL), options, "r", any_work())
    assert len(model.decode_options) == 22
    assert {each.keywords for each in model.decode_options} == {("Zoë", "Acme")}
    assert all(each.token_scores for each in model.decode_options)


async def test_a_language_the_model_does_not_know_is_refused_by_name() -> None:
    async with running(FakeModel()) as transcriber:
        with pytest.raises(InvalidRequest, match="does not know spanish") as caught:
            transcriber.decoder.check(Options(language="es"))
    assert caught.value.param == "language"


async def test_a_window_the_model_cannot_decode_fails_its_request_only() -> None:
    model = short_windows(fails_on=frozenset({" 0.03"}))
    async with running(model) as transcriber:
        with pytest.raises(EngineFailed):
            await transcriber.transcribe(io.BytesIO(CALL), Options(), "bad", any_work())
        transcript = await transcriber.transcribe(io.BytesIO(CALL), Options(), "good", any_work())
    assert transcript.duration > 70
