"""What to do with a doubtful hypothesis: decode the window again, on its own terms.

A retry is a new job with the old encoder output, so it neither encodes twice nor holds up the
windows it was first decoded with.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.domain import Hypothesis
from app.engine.batcher import Batcher
from app.engine.speech_model import DecodeOptions, Job
from app.pipeline.prompt_echo import echoes_prompt, recites_keywords
from app.telemetry import metrics, tracing

# openai/whisper, transcribe.py: its defaults, also those of faster-whisper.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
MAX_NO_SPEECH_PROB = 0.6


async def decode(
    batcher: Batcher, job: Job, options: DecodeOptions, temperatures: Sequence[float]
) -> Hypothesis:
    """The best hypothesis of a window; without segments if the model thinks nobody spoke."""
    best = await _without_echo(batcher, job, options, temperatures)
    if not is_silence(best):
        return best
    metrics.SILENT_WINDOWS.inc()
    return replace(best, segments=())


async def _without_echo(
    batcher: Batcher, job: Job, options: DecodeOptions, temperatures: Sequence[float]
) -> Hypothesis:
    """What the model says back is taken only if it is heard without having been told, too."""
    told = best = await _by_temperature(batcher, job, options, temperatures)
    if echoes_prompt(options.prompt, best.text):
        metrics.FALLBACKS.labels("prompt_echo").inc()
        unprompted = replace(options, prompt="")
        heard = await _by_temperature(batcher, job, unprompted, temperatures)
        if not echoes_prompt(options.prompt, heard.text):
            best, options = heard, unprompted
    if recites_keywords(options.keywords, best.text):
        metrics.FALLBACKS.labels("keyword_echo").inc()
        unbiased = replace(options, keywords=())
        heard = await _by_temperature(batcher, job, unbiased, temperatures)
        if not recites_keywords(options.keywords, heard.text):
            best = heard
    return replace(best, prompt_token_count=told.prompt_token_count)


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
    """What a window costs beyond its first decoding is the time of its fallback."""
    is_retry, job.is_retry = job.is_retry, True
    if not is_retry:
        return await batcher.decode(job, options)
    again = tracing.span("fallback", temperature=options.temperature)
    with metrics.STAGE_SECONDS.labels("fallback").time(), again:
        return await batcher.decode(job, options)


def draft(hypothesis: Hypothesis, options: DecodeOptions) -> Hypothesis:
    """What can be shown without a second try: without segments where there would be one, for
    repetition and for what the model was told."""
    is_invented = (
        is_silence(hypothesis)
        or hypothesis.compression_ratio > MAX_COMPRESSION_RATIO
        or echoes_prompt(options.prompt, hypothesis.text)
        or recites_keywords(options.keywords, hypothesis.text)
    )
    return replace(hypothesis, segments=()) if is_invented else hypothesis


def is_doubtful(hypothesis: Hypothesis) -> bool:
    """Repeats itself, or the model itself hardly believes it."""
    return (
        hypothesis.compression_ratio > MAX_COMPRESSION_RATIO
        or hypothesis.avg_logprob < MIN_AVG_LOGPROB
    )


def is_silence(hypothesis: Hypothesis) -> bool:
    return (
        hypothesis.no_speech_prob > MAX_NO_SPEECH_PROB and hypothesis.avg_logprob < MIN_AVG_LOGPROB
    )
