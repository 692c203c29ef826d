import random
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from faster_whisper import BatchedInferencePipeline, WhisperModel

from app.domain import Window
from app.engine.speech_model import DecodeOptions, Job, LanguageProbabilities
from app.engine.whisper import WhisperEngine
from tests.engine.clips import alone, job, windows
from tests.support.model_names import STARTER
from tests.support.recordings import FOLDER

ENGLISH = DecodeOptions("transcribe", "en")


@pytest.fixture(scope="module")
def call(starter: WhisperEngine) -> list[Job]:
    return [job(starter, window) for window in windows("08_long_call.flac")]


@pytest.mark.parametrize(
    "options",
    [
        ENGLISH,
        replace(ENGLISH, words=True),
        replace(ENGLISH, token_scores=True),
        replace(ENGLISH, words=True, token_scores=True),
        replace(ENGLISH, keywords=("Anna", "account manager"), prompt="A sales call."),
    ],
    ids=["text", "words", "scores", "words and scores", "keywords"],
)
def test_a_batch_decodes_exactly_as_each_window_alone(
    starter: WhisperEngine, call: list[Job], options: DecodeOptions
) -> None:
    expected = alone(starter, call, options)
    order = list(range(len(call)))
    random.Random(1).shuffle(order)
    for at in range(0, len(order), 8):
        group = order[at : at + 8]
        together = starter.decode([call[i] for i in group], [options] * len(group))
        assert together == [expected[i] for i in group]


def test_windows_encoded_together_are_what_they_are_alone(
    starter: WhisperEngine, call: list[Job]
) -> None:
    jobs = [Job("r", each.duration, each.features) for each in call[:3]]
    for row, each in zip(starter.encode(jobs), call, strict=False):
        np.testing.assert_array_equal(row, each.encoded)
        assert row.base is None, "a row must not keep its whole batch in memory"


def test_languages_and_tasks_mix_in_a_batch_without_touching_each_other(
    starter: WhisperEngine, call: list[Job]
) -> None:
    (german, *_) = (job(starter, window) for window in windows("09_german.wav"))
    rows = [
        (call[0], replace(ENGLISH, words=True)),
        (german, DecodeOptions("transcribe", "de", words=True)),
        (german, DecodeOptions("translate", "de")),
        (call[1], ENGLISH),
    ]
    together = starter.decode([each for each, _ in rows], [options for _, options in rows])
    expected = [starter.decode([each], [options])[0] for each, options in rows]
    assert together == expected
    assert "Peter" in together[1].text


def test_it_decodes_as_faster_whisper_does(starter: WhisperEngine) -> None:
    model = WhisperModel(str(STARTER), device="cpu", compute_type="int8")
    clips = windows("02_two_voices.wav")
    segments, _ = BatchedInferencePipeline(model).transcribe(
        str(FOLDER / "02_two_voices.wav"),
        language="en",
        vad_filter=False,
        clip_timestamps=[{"start": w.start, "end": w.start + w.duration} for w in clips],
        without_timestamps=False,
        temperature=0.0,
        beam_size=5,
    )
    ours = alone(starter, [job(starter, clip) for clip in clips], ENGLISH)
    assert [each.text for each in ours] == [segment.text.strip() for segment in segments]


def named(stretches: Sequence[LanguageProbabilities]) -> list[str]:
    return [max(each, key=lambda code: each[code]) for each in stretches]


def test_the_language_is_detected(starter: WhisperEngine) -> None:
    german = job(starter, windows("09_german.wav")[0])
    english = job(starter, windows("01_order_call.wav")[0])
    probabilities = starter.detect_languages([german, english])
    assert [named(each) for each in probabilities] == [["de"], ["en"]]


def test_the_language_of_a_draft_is_detected_without_the_silence_of_a_full_window(
    starter: WhisperEngine,
) -> None:
    short = windows("08_long_call.flac")[0].part(0.0, 2.0)
    whole = Job("r", short.duration, starter.features(short.samples), stretches=[(0.0, 2.0)])
    (whole.encoded,) = starter.encode([whole])
    draft = replace(whole, is_draft=True)
    assert [len(row) for each in (whole, draft) for row in starter._stretches(each)] == [1500, 150]
    (probabilities,) = starter.detect_languages([draft])[0]
    assert max(probabilities, key=probabilities.__getitem__) == "en"


def test_each_stretch_of_a_window_has_its_own_language(starter: WhisperEngine) -> None:
    sounds = [windows(name)[0].samples for name in ("01_order_call.wav", "09_german.wav")]
    lengths = [len(sound) / 16_000 for sound in sounds]
    mixed = job(starter, Window(0.0, np.concatenate(sounds), ()))
    mixed.stretches = [(0.0, lengths[0]), (lengths[0], sum(lengths))]
    alone = starter.detect_languages([mixed])
    assert [named(each) for each in alone] == [["en", "de"]]
    # As a GPU does it: rows of equal length share a call.
    on_gpu = copy(starter)
    on_gpu.info = replace(starter.info, device="cuda")
    together = on_gpu.detect_languages([mixed] * 2)
    for one, other in zip(chain(*alone, *alone), chain(*together), strict=True):
        assert other == pytest.approx(one, abs=0.01)


def test_keywords_count_for_what_shares_a_batch(starter: WhisperEngine, call: list[Job]) -> None:
    def key(prompt: str, *keywords: str) -> object:
        return starter.batch_key(call[0], replace(ENGLISH, prompt=prompt, keywords=keywords))

    assert key("", "Hello.") == key("Hello.")
    assert key("Hello.", "Hello.") != key("Hello.")


def test_prompts_of_equal_token_count_share_a_batch_and_others_do_not(
    starter: WhisperEngine, call: list[Job]
) -> None:
    def key(prompt: str, temperature: float = 0.0) -> object:
        return starter.batch_key(call[0], replace(ENGLISH, prompt=prompt, temperature=temperature))

    assert key("Hello.") == key("Hello.")
    assert key("Hello.") != key("")
    assert key("") != key("", 0.2)
    assert starter.batch_key(call[0], replace(ENGLISH, is_greedy=True)) != key("")
    prompted = replace(ENGLISH, prompt="Hello, this is Anna. " * 60)
    assert starter.decode(call[:2], [prompted] * 2) == alone(starter, call[:2], prompted)


def test_a_temperature_really_samples(starter: WhisperEngine, call: list[Job]) -> None:
    hot = replace(ENGLISH, temperature=1.0)
    assert any(
        starter.decode([each], [hot])[0].avg_logprob != starter.decode([each], [hot])[0].avg_logprob
        for each in call[:6]
    )


def test_short_windows_have_half_the_tokens_unless_they_need_more(
    starter: WhisperEngine, call: list[Job]
) -> None:
    short, long = Job("r", 5.0, call[0].features), Job("r", 20.0, call[0].features)
    assert starter._token_budget(short.duration, ENGLISH) == 112
    assert starter._token_budget(long.duration, ENGLISH) == 224
    assert starter._token_budget(short.duration, replace(ENGLISH, full_length=True)) == 224
    assert starter.batch_key(short, ENGLISH) != starter.batch_key(long, ENGLISH)


def test_a_window_is_encoded_with_the_silence_it_needs_and_decodes_the_same(
    starter: WhisperEngine,
) -> None:
    window = windows("01_order_call.wav")[0]
    short = Job("r", window.duration, starter.features(window.samples))
    short.encoded = starter.encode([short])[0]
    whole = job(starter, window)
    assert whole.encoded is not None
    assert (len(short.encoded), len(whole.encoded)) == (384, 1500)
    assert starter.batch_key(short, ENGLISH) != starter.batch_key(whole, ENGLISH)
    assert (starter.batch_limit(short), starter.batch_limit(whole)) == (8, 4)
    assert starter.decode([short], [ENGLISH])[0].text == starter.decode([whole], [ENGLISH])[0].text


def test_windows_of_any_context_may_share_a_call_that_encodes_or_detects_languages(
    starter: WhisperEngine,
) -> None:
    sounds = [window.samples for window in windows("09_german.wav")[:2]]
    jobs = [
        Job(
            "r",
            seconds := len(sound) / 16_000,
            starter.features(sound, full_context),
            stretches=[(0.0, seconds)],
        )
        for sound in sounds
        for full_context in (True, False)
    ]
    rows = starter.encode(jobs)
    for each, row in zip(jobs, rows, strict=True):
        assert np.array_equal(row, starter.encode([each])[0])
        each.encoded = row
    assert [named(each) for each in starter.detect_languages(jobs)] == [["de"]] * 4
