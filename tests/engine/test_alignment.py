import math
from dataclasses import replace

import numpy as np
import pytest

from app.domain import Hypothesis, TokenScore
from app.engine.speech_model import DecodeOptions, Job
from app.engine.tensors import stacked
from app.engine.whisper import WhisperEngine
from tests.engine.clips import alone, job, windows

ENGLISH = DecodeOptions("transcribe", "en")
SCORED = replace(ENGLISH, token_scores=True)
CLIPS = ["01_order_call.wav", "05_telephone_noise.wav", "11_sales_call.mp3", "09_german.wav"]


def decode(engine: WhisperEngine, each: Job, options: DecodeOptions) -> Hypothesis:
    return engine.decode([each], [options])[0]


def scores(hypothesis: Hypothesis) -> list[TokenScore]:
    return [score for segment in hypothesis.segments for score in segment.token_scores]


@pytest.mark.parametrize("name", CLIPS)
def test_a_segments_scores_spell_its_text(starter: WhisperEngine, name: str) -> None:
    language = "de" if name == "09_german.wav" else "en"
    for window in windows(name)[:8]:
        decoded = decode(starter, job(starter, window), replace(SCORED, language=language))
        assert decoded.segments
        for segment in decoded.segments:
            joined = b"".join(score.token for score in segment.token_scores)
            assert joined.decode() == segment.text
            assert len(segment.token_scores) == segment.text_token_count
            assert all(-17 < score.logprob <= 0 for score in segment.token_scores)


def test_scores_neither_change_the_text_nor_the_words(starter: WhisperEngine) -> None:
    clip = job(starter, windows("01_order_call.wav")[0])
    plain = decode(starter, clip, replace(ENGLISH, words=True))
    both = decode(starter, clip, replace(SCORED, words=True))
    bare = replace(both, segments=tuple(replace(s, token_scores=()) for s in both.segments))
    assert bare == plain
    assert scores(both) == scores(decode(starter, clip, SCORED))
    assert not scores(plain)


def test_words_and_scores_are_given_only_on_request(starter: WhisperEngine) -> None:
    jobs = [job(starter, window) for window in windows("01_order_call.wav")[:2]]
    options = [SCORED, replace(ENGLISH, words=True)]
    first, second = starter.decode(jobs, options)
    assert scores(first)
    assert not any(segment.words for segment in first.segments)
    assert not scores(second)
    assert any(segment.words for segment in second.segments)


@pytest.mark.parametrize("name", CLIPS)
def test_scores_are_the_decoders_own_up_to_what_it_gives_to_tokens_that_are_no_text(
    starter: WhisperEngine, name: str
) -> None:
    """A greedy decoder's score of the same text without timestamps, less that of its end.

    `align` shares probability among text tokens only, so its scores are a little higher: by 0.005
    a token in the middle of 39 windows, by 0.049 at most.
    """
    vocabulary = starter._vocabulary
    language = "de" if name == "09_german.wav" else "en"
    start = vocabulary.start_sequence(language, "transcribe")
    start.append(vocabulary._first_timestamp - 1)  # <|notimestamps|>
    for window in windows(name)[:8]:
        clip = job(starter, window)
        tokens, total = greedy(starter, clip, start)
        _, end = greedy(starter, clip, [*start, *tokens])
        (aligned,) = starter._model.align(
            stacked([clip]), start[:-1], [tokens], [2 * math.ceil(window.duration * 50)]
        )
        ours = sum(map(math.log, aligned.text_token_probs))
        assert -0.001 < (ours - (total - end)) / len(tokens) < 0.06


def greedy(engine: WhisperEngine, clip: Job, prompt: list[int]) -> tuple[list[int], float]:
    """The tokens after a prompt, and the logarithm of their probability and that of the end."""
    (result,) = engine._model.generate(
        stacked([clip]),
        [prompt],
        beam_size=1,
        suppress_tokens=[],
        suppress_blank=False,
        return_scores=True,
    )
    tokens = result.sequences_ids[0]
    return tokens, result.scores[0] * len(tokens)


def test_rows_of_equal_length_with_unequal_texts_align_as_if_alone(
    starter: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTranslate2 4.8 misaligns the shorter of them; the engine must keep that from happening."""
    options = replace(ENGLISH, words=True)
    call = windows("08_long_call.flac")[:16]
    length = max(len(window.samples) for window in call)
    padded = [
        replace(window, samples=np.pad(window.samples, (0, length - len(window.samples))))
        for window in call
    ]
    jobs = [job(starter, window) for window in padded]
    expected = alone(starter, jobs, options)
    monkeypatch.setattr(starter.aligner, "batch_size", 16)  # together, as on a GPU
    assert times(starter.decode(jobs, [options] * 16)) == times(expected)


def times(hypotheses: list[Hypothesis]) -> list[tuple[float, float]]:
    words = [word for each in hypotheses for part in each.segments for word in part.words]
    return [(word.start, word.end) for word in words]


def test_word_times_follow_the_speech(starter: WhisperEngine) -> None:
    for window in windows("06_human_digits.wav"):
        decoded = starter.decode([job(starter, window)], [replace(ENGLISH, words=True)])[0]
        words = [word for segment in decoded.segments for word in segment.words]
        assert "".join(word.text for word in words).strip() == decoded.text
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0.0 <= time <= window.duration + 0.02 for time in times)
