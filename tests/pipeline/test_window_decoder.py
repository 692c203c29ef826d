import asyncio
import io
from dataclasses import replace

import numpy as np
import pytest

from app.domain import Hypothesis, Options, Window, Word
from app.engine.fake_model import FakeModel, hypothesis
from app.errors import EngineFailed, InvalidRequest
from app.pipeline import fallback
from app.pipeline.language import SpokenLanguage
from app.pipeline.live.preceding_speech import PrecedingSpeech
from tests.pipeline.transcribing import CALL, any_work, running, short_windows
from tests.support.recordings import load_sample, wav

CLIP = wav(load_sample("01_order_call.wav"))
SECONDS = 9.2


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


async def transcribed(model: FakeModel, options: Options | None = None) -> str:
    async with running(model) as transcriber:
        options = options or Options(language="en")
        return (await transcriber.transcribe(io.BytesIO(CLIP), options, "r", any_work())).text


def answering(*answers: Hypothesis) -> FakeModel:
    """A model that encodes in short context first, and its hypotheses in order."""
    remaining = list(answers)
    return FakeModel(answers=lambda job, options: remaining.pop(0), has_full_context=False)


GOOD = hypothesis(" good", SECONDS)


@pytest.mark.parametrize(
    "doubtful",
    [
        hypothesis(" la la la", compression_ratio=3.0),
        hypothesis(" mumble", avg_logprob=-1.5),
        hypothesis(" on and on and", is_cut_off=True),
        hypothesis(" Call me back, please. Call me back please.", SECONDS),
    ],
    ids=["repeats itself", "is unlikely", "has no end", "ends twice"],
)
async def test_a_doubtful_text_of_a_short_context_is_decoded_again_in_full_context(
    doubtful: Hypothesis,
) -> None:
    model = answering(doubtful, GOOD)
    assert await transcribed(model) == "good"
    assert model.contexts == [False, True]
    assert [each.temperature for each in model.decode_options] == [0.0, 0.0]
    assert len(model.encoded) == 2


async def test_what_is_doubtful_in_full_context_is_decoded_at_rising_temperatures() -> None:
    mumble = hypothesis(" mumble", avg_logprob=-1.5)
    model = answering(mumble, mumble, GOOD)
    assert await transcribed(model) == "good"
    assert [each.temperature for each in model.decode_options] == [0.0, 0.0, 0.2]
    assert len(model.encoded) == 2


async def test_a_sure_text_and_silence_are_decoded_once() -> None:
    sure = answering(hypothesis(" Yes, yes.", SECONDS))
    assert await transcribed(sure) == "Yes, yes."
    silent = answering(hypothesis(" you", avg_logprob=-1.5, no_speech_prob=0.9))
    assert await transcribed(silent) == ""
    assert sure.contexts == silent.contexts == [False]


async def test_at_a_requested_temperature_full_context_is_tried_at_that_one_only() -> None:
    model = answering(hypothesis(" la la", compression_ratio=3.0), GOOD)
    assert await transcribed(model, Options(language="en", temperature=0.7)) == "good"
    assert [each.temperature for each in model.decode_options] == [0.7, 0.7]


@pytest.mark.parametrize(
    ("text", "logprobs"),
    [("Hello. Good", (-0.3,)), ("Hello. Good", (-1.05, -1.05, -0.8)), ("Hello.", (-1.05,) * 7)],
)
async def test_clear_speech_without_text_has_that_of_the_first_temperature_that_is_not_doubtful(
    text: str, logprobs: tuple[float, ...]
) -> None:
    tried = [hypothesis(" good", 6.0, avg_logprob=logprob) for logprob in logprobs]
    model = answering(hypothesis(" Hello.", 3.0), *tried)
    assert await transcribed(model) == text
    assert model.contexts == [False, False, True][: 1 + min(2, len(logprobs))]
    temperatures = [each.temperature for each in model.decode_options[1:]]
    assert temperatures == [0.0, *fallback.TEMPERATURES][: len(logprobs)]


async def test_a_doubtful_text_without_clear_speech_is_dropped() -> None:
    samples = np.zeros(80_000, np.float32)
    for answer in (hypothesis(" no end", is_cut_off=True), hypothesis(" la la la la")):
        model = answering(answer)
        window = Window(0.0, samples, ((0.0, 5.0),), is_clear=False)
        async with running(model) as transcriber:
            language = SpokenLanguage(("en",)).next_window(Options(language="en"))
            ((_, found),) = await transcriber.decoder.decode(
                window, Options(language="en"), "r", 0, language
            )
        assert found.segments == ()
        assert model.contexts == [False]


KNOWN = PrecedingSpeech(np.zeros(32_000, np.float32), ((0.3, 1.7),), " And so", "en")
SHOUTED = hypothesis(" ASK NOT!", 1.8, avg_logprob=-0.5)


def _together(text: str, avg_logprob: float = -0.4) -> Hypothesis:
    """Of the known sound and the window: its words, of half a second each from 0.4 s on."""
    words = tuple(
        Word(0.4 + 0.8 * number, 0.8 + 0.8 * number, f" {word}", 0.9)
        for number, word in enumerate(text.split())
    )
    whole = hypothesis(f" {text}", 3.8, avg_logprob=avg_logprob)
    return replace(whole, segments=(replace(whole.segments[0], words=words),))


async def turn(
    *answers: Hypothesis,
    options: Options | None = None,
    known: PrecedingSpeech = KNOWN,
    doubts: list[str] | None = None,
) -> tuple[Hypothesis, FakeModel]:
    """What a short turn after the known speech is decoded as, and in `doubts` what is said to be
    so far."""
    model = answering(*answers)
    preceding = asyncio.get_running_loop().create_future()
    preceding.set_result(known)
    heard = [] if doubts is None else doubts
    options = options or Options(language="en")
    window = Window(2.0, np.zeros(28_800, np.float32), ((0.3, 1.5),))
    async with running(model) as transcriber:
        language = SpokenLanguage(("en", "de")).next_window(options)
        ((_, found),) = await transcriber.decoder.decode(
            window,
            options,
            "r",
            0,
            language,
            preceding=preceding,
            on_doubt=lambda decoded: heard.extend(each.text for _, each in decoded),
        )
    return found, model


async def test_a_turn_that_lacks_context_is_decoded_with_the_speech_before_it() -> None:
    doubts: list[str] = []
    found, model = await turn(SHOUTED, _together("And so ask not"), doubts=doubts)
    assert found.text == "ask not"
    assert doubts == ["ASK NOT!"]
    assert (found.segments[0].start, found.segments[0].end) == pytest.approx((0.3, 1.2))
    assert found.segments[0].words == ()
    assert model.contexts == [False, False]
    assert len(model.encoded) == 2


async def test_the_words_of_a_turn_in_context_have_times_if_requested() -> None:
    found, _ = await turn(
        SHOUTED, _together("And so ask not"), options=Options(language="en", words=True)
    )
    assert [word.text for word in found.segments[0].words] == [" ask", " not"]


@pytest.mark.parametrize(
    "together",
    [
        _together("And so ask not", avg_logprob=-0.6),
        _together("And so"),
        _together("One two three four"),
        replace(_together("And so ask not"), compression_ratio=3.0),
    ],
    ids=["less probable", "no word of the turn", "other words before", "repeats itself"],
)
async def test_a_turn_keeps_its_text_if_context_gives_no_better_one(together: Hypothesis) -> None:
    found, _ = await turn(SHOUTED, together)
    assert found.text == "ASK NOT!"


async def test_a_turn_that_is_sure_or_in_another_language_is_decoded_alone() -> None:
    doubts: list[str] = []
    found, _ = await turn(hypothesis(" NATO.", 1.8), doubts=doubts)
    assert found.text == "NATO."
    assert not doubts
    german, _ = await turn(SHOUTED, options=Options(language="de"))
    assert german.text == "ASK NOT!"


async def test_a_turn_after_a_sentence_that_breaks_off_is_decoded_with_it() -> None:
    known = replace(KNOWN, text=" And so...")
    found, _ = await turn(
        hypothesis(" Asked not.", 1.8, avg_logprob=-0.45), _together("And so ask not"), known=known
    )
    assert found.text == "ask not"


async def test_a_doubtful_text_that_context_does_not_have_is_dropped() -> None:
    found, _ = await turn(
        hypothesis(" Ahem.", 1.8, avg_logprob=-1.2), _together("And so", avg_logprob=-0.4)
    )
    assert found.segments == ()
