"""Decoding a window again, with other options, when the hypothesis is doubtful.

A retry is queued with the old encoder output, so it neither encodes twice nor delays the windows
of the first batch.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from app.domain import Hypothesis
from app.engine.batcher import Batcher
from app.engine.speech_model import DecodeOptions, Job
from app.pipeline.prompt_echo import are_alike, echoes_prompt, recites_keywords
from app.telemetry import metrics, tracing

# openai/whisper, transcribe.py: its defaults, also those of faster-whisper.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
MAX_NO_SPEECH_PROB = 0.6

MIN_UNCLEAR_LOGPROB = -0.7
"""Of windows without clear speech. Whisper base gives music, noise, hum and ring tones texts of
-0.9 and less, or texts that repeat themselves, and speech over music at 0 dB -0.6 and more."""

MIN_LONG_LOGPROB = -0.9
"""Of those with a text of `LONG_TOKENS` or more: invented ones are as short as "Thank you"."""
LONG_TOKENS = 12


MIN_ALONE_LOGPROB = -0.6
"""Of windows that may be decoded with the sound before them. Whisper base gives "ASK NOT!" -0.72
and a laugh -1.2; of 29 turns that the bound was chosen on (`bench/turns.py`), four have less."""


async def decode(
    batcher: Batcher,
    job: Job,
    options: DecodeOptions,
    temperatures: Sequence[float],
    is_clear: bool = True,
) -> Hypothesis:
    """The best hypothesis of a window; without segments if the model finds no speech.

    A window without clear speech (`Window.is_clear`) is decoded at the first of the temperatures
    only, and its text is kept only if the model is sure of it: minutes of music must not cost more
    than minutes of speech, nor have a text.
    """
    if not is_clear:
        temperatures = temperatures[:1]
    best = await _without_echo(batcher, job, options, temperatures)
    if not is_silence(best) and (is_clear or is_sure(best)):
        return best
    metrics.SILENT_WINDOWS.inc()
    return replace(best, segments=())


async def _without_echo(
    batcher: Batcher, job: Job, options: DecodeOptions, temperatures: Sequence[float]
) -> Hypothesis:
    """A text that repeats prompt or keywords is kept only if without them it is much the same."""
    first = best = await _by_temperature(batcher, job, options, temperatures)
    if echoes_prompt(options.prompt, best.text):
        metrics.FALLBACKS.labels("prompt_echo").inc()
        unprompted = replace(options, prompt="")
        other = await _by_temperature(batcher, job, unprompted, temperatures)
        if is_silence(other) or not are_alike(best.text, other.text):
            best, options = other, unprompted
    if recites_keywords(options.keywords, best.text):
        metrics.FALLBACKS.labels("keyword_echo").inc()
        unbiased = replace(options, keywords=())
        other = await _by_temperature(batcher, job, unbiased, temperatures)
        if is_silence(other) or not are_alike(best.text, other.text):
            best = other
    return replace(best, prompt_token_count=first.prompt_token_count)


async def _by_temperature(
    batcher: Batcher, job: Job, options: DecodeOptions, temperatures: Sequence[float]
) -> Hypothesis:
    tried: list[Hypothesis] = []
    for temperature in temperatures:
        if tried:
            metrics.FALLBACKS.labels("temperature").inc()
        hypothesis = await _at_length(batcher, job, replace(options, temperature=temperature))
        if is_silence(hypothesis) or not is_doubtful(hypothesis) or len(temperatures) == 1:
            return hypothesis
        tried.append(hypothesis)
    fluent = [one for one in tried if one.compression_ratio <= MAX_COMPRESSION_RATIO]
    return max(fluent or tried, key=lambda one: one.avg_logprob)


async def _at_length(batcher: Batcher, job: Job, options: DecodeOptions) -> Hypothesis:
    hypothesis = await _timed(batcher, job, options)
    may_go_on = hypothesis.is_cut_off and not hypothesis.is_full_length
    if may_go_on and hypothesis.compression_ratio <= MAX_COMPRESSION_RATIO:
        metrics.FALLBACKS.labels("length").inc()
        hypothesis = await _timed(batcher, job, replace(options, full_length=True))
    return hypothesis


async def _timed(batcher: Batcher, job: Job, options: DecodeOptions) -> Hypothesis:
    """Decode once; every decoding after a window's first counts as fallback time."""
    is_retry, job.is_retry = job.is_retry, True
    if not is_retry:
        return await batcher.decode(job, options)
    again = tracing.span("fallback", temperature=options.temperature)
    with metrics.STAGE_SECONDS.labels("fallback").time(), again:
        return await batcher.decode(job, options)


def checked(hypothesis: Hypothesis, options: DecodeOptions) -> Hypothesis:
    """The hypothesis; without segments where `decode` would try again because it is silence,
    repeats itself, or repeats prompt or keywords."""
    is_invented = (
        is_silence(hypothesis)
        or hypothesis.compression_ratio > MAX_COMPRESSION_RATIO
        or echoes_prompt(options.prompt, hypothesis.text)
        or recites_keywords(options.keywords, hypothesis.text)
    )
    return replace(hypothesis, segments=()) if is_invented else hypothesis


def needs_context(hypothesis: Hypothesis) -> bool:
    """Is the text of a window that was not encoded in full context likely to be another in it?"""
    if is_silence(hypothesis):
        return False
    return is_doubtful(hypothesis) or hypothesis.is_cut_off or ends_twice(hypothesis.text)


def lacks_sound(hypothesis: Hypothesis) -> bool:
    """Is the text likely to be another one with the sound before the window?"""
    text = hypothesis.text
    return not text or hypothesis.avg_logprob < MIN_ALONE_LOGPROB or is_shouted(text)


def is_shouted(text: str) -> bool:
    """Is the text two words or more, all in capitals? Whisper writes so what it hears too little
    of."""
    return text.isupper() and len(text.split()) > 1


def ends_twice(text: str) -> bool:
    """Are the last words, two or more, those before them again?"""
    words = re.findall(r"[^\W_]+", text.lower())
    return any(
        words[-2 * count : -count] == words[-count:] for count in range(2, len(words) // 2 + 1)
    )


def is_doubtful(hypothesis: Hypothesis) -> bool:
    """Does the text repeat itself, or has it a low probability?"""
    return (
        hypothesis.compression_ratio > MAX_COMPRESSION_RATIO
        or hypothesis.avg_logprob < MIN_AVG_LOGPROB
    )


def unless_doubtful(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis; without segments if it is doubtful."""
    return replace(hypothesis, segments=()) if is_doubtful(hypothesis) else hypothesis


def is_sure(hypothesis: Hypothesis) -> bool:
    """Is the text likely enough to be kept without other evidence of speech?"""
    is_long = sum(each.text_token_count for each in hypothesis.segments) >= LONG_TOKENS
    return (
        hypothesis.avg_logprob >= (MIN_LONG_LOGPROB if is_long else MIN_UNCLEAR_LOGPROB)
        and hypothesis.compression_ratio <= MAX_COMPRESSION_RATIO
        and hypothesis.no_speech_prob <= MAX_NO_SPEECH_PROB
    )


def is_silence(hypothesis: Hypothesis) -> bool:
    """Does the model find no speech, and give its text a low probability?"""
    return (
        hypothesis.no_speech_prob > MAX_NO_SPEECH_PROB and hypothesis.avg_logprob < MIN_AVG_LOGPROB
    )
