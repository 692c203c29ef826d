"""Decoding of one window with one model: features, language, the device, fallbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from app.audio.windowing import WindowPolicy
from app.domain import Hypothesis, Options, Priority, Window
from app.engine.batcher import Batcher
from app.engine.speech_model import DecodeOptions, Features, Job, SpeechModel
from app.errors import InvalidRequest
from app.languages import language_name
from app.pipeline import fallback
from app.pipeline.admission import Work
from app.pipeline.channel_merge import DecodedWindows
from app.pipeline.language import SpokenLanguage, WindowLanguage
from app.pipeline.language_changes import stretches
from app.pipeline.leftover_speech import split_leftover
from app.pipeline.live.preceding_speech import PrecedingSpeech
from app.pipeline.prompt_echo import distinct
from app.process.fair_threads import FairThreads
from app.telemetry import metrics, tracing

T = TypeVar("T")


class WindowDecoder:
    """Decodes windows of one caller with one model. Stateless between requests.

    `caller`: the id of the principal, for whose turns the windows wait, on CPU threads and in the
    device's queue; `weight`: the number of consecutive turns.
    """

    def __init__(
        self,
        model: SpeechModel,
        batcher: Batcher,
        cpu: FairThreads,
        use_fallback: bool,
        caller: str = "",
        weight: int = 1,
        priority: Priority = Priority.INTERACTIVE,
    ) -> None:
        self._model = model
        self._batcher = batcher
        self._cpu = cpu
        self._use_fallback = use_fallback
        self._caller = caller
        self._weight = weight
        self._priority = priority
        self.info = model.info
        self.languages = model.profile.languages
        self.is_usually_lower = model.is_usually_lower
        self.pace = batcher.pace
        self.policy = WindowPolicy(model.profile.window_seconds, model.profile.max_gap_seconds)

    def check(self, options: Options) -> None:
        """Raises InvalidRequest for languages that the model does not know."""
        requested = [("language", options.language)] if options.language else []
        for param, code in requested + [("languages", code) for code in options.languages]:
            if code not in self.languages:
                names = ", ".join(language_name(each) for each in self.languages)
                raise InvalidRequest(
                    f"The model '{self.info.model}' does not know "
                    f"{language_name(code)}. It knows: {names}.",
                    param,
                )

    async def decode(
        self,
        window: Window,
        options: Options,
        request_id: str,
        position: int,
        language: WindowLanguage,
        work: Work | None = None,
        full_context: bool = False,
        preceding: asyncio.Future[PrecedingSpeech | None] | None = None,
        on_doubt: Callable[[DecodedWindows], None] = lambda decoded: None,
    ) -> DecodedWindows:
        """Decode a window; parts in another language, and speech that has no text, are decoded as
        windows of their own.

        `options` must have passed `check`. `position`: windows of the request before this one.
        `full_context`: encode it in full context at once. `preceding`: speech before the window, in
        whose context it is decoded again if its own sound is too little for its text.
        `on_doubt` is called with what is decoded so far, whenever the window waits for
        `preceding` or something of it is decoded again.
        Sets `work.queue_seconds` from the first window. Raises EngineFailed and Overloaded.
        """
        with tracing.span("window", start=window.start, audio_seconds=window.duration):
            job = Job(
                request_id,
                window.duration,
                await self._features(window, full_context),
                self._priority,
                position,
                stretches(window),
                caller=self._caller,
                weight=self._weight,
            )
            parts = await language.parts(window, job, self._batcher)
            if len(parts) > 1:
                return [
                    each
                    for part, code in parts
                    for each in await self.decode(
                        part, options, request_id, position, language.only(code), work
                    )
                ]
            decode_options = _decode_options(options, parts[0][1])
            temperatures = self._temperatures(options)
            if full_context or self._model.is_context_full(window.duration):
                hypothesis = await self._best(window, job, decode_options, temperatures)
            else:
                hypothesis = await self._best_of_contexts(
                    window, job, decode_options, temperatures, preceding, on_doubt
                )
        if work is not None and work.queue_seconds is None:
            work.queue_seconds = job.queue_seconds

        async def decode_part(part: Window) -> DecodedWindows:
            return await self.decode(
                part, options, request_id, position, language, full_context=not part.is_clear
            )

        return await _with_leftover(window, hypothesis, decode_part, on_doubt)

    async def draft(
        self, window: Window, options: Options, request_id: str, language: SpokenLanguage
    ) -> Hypothesis:
        """Decode a window that still grows: once, without words and scores.

        Queued among the requests that take turns, so that drafts delay no complete live window, and
        other requests by one turn at most. Raises EngineFailed and Overloaded.
        """
        with tracing.span("draft", start=window.start, audio_seconds=window.duration):
            job = Job(
                request_id,
                window.duration,
                await self._features(window),
                Priority.INTERACTIVE,
                position=1,
                stretches=stretches(window),
                caller=self._caller,
                weight=self._weight,
                is_draft=True,
            )
            code = await language.of_open_window(window, options, job, self._batcher)
            decode_options = replace(
                _decode_options(options, code), is_greedy=True, words=False, token_scores=False
            )
            hypothesis = await self._batcher.decode(job, decode_options)
            return fallback.checked(hypothesis, decode_options)

    def _temperatures(self, options: Options) -> Sequence[float]:
        if options.temperature == 0.0 and self._use_fallback:
            return fallback.TEMPERATURES
        return (options.temperature,)

    async def _best_of_contexts(
        self,
        window: Window,
        job: Job,
        options: DecodeOptions,
        temperatures: Sequence[float],
        preceding: asyncio.Future[PrecedingSpeech | None] | None,
        on_doubt: Callable[[DecodedWindows], None],
    ) -> Hypothesis:
        """The best hypothesis of a window that is encoded in short context: if it is doubtful, the
        window is encoded and decoded again, with the speech before it or else in full context; one
        without clear speech has none."""
        first = await self._best(window, job, options, temperatures[:1])
        provisional = [(window, fallback.checked(first, options))]
        if preceding is not None and not preceding.done():
            on_doubt(provisional)
        before = None if preceding is None else await asyncio.shield(preceding)
        needs_sound = before is not None and (before.breaks_off or fallback.lacks_sound(first))
        if needs_sound or fallback.needs_context(first):
            on_doubt(provisional)
        if before is not None and needs_sound:
            own = await self._in_context(before, window, job, options, first)
            if own is not None:
                return own
        if not fallback.needs_context(first):
            return first
        if not window.is_clear:
            return replace(first, segments=())
        metrics.FALLBACKS.labels("context").inc()
        job.features, job.encoded = await self._features(window, full_context=True), None
        return await self._best(window, job, options, temperatures)

    async def _in_context(
        self,
        preceding: PrecedingSpeech,
        window: Window,
        job: Job,
        options: DecodeOptions,
        alone: Hypothesis,
    ) -> Hypothesis | None:
        """The hypothesis of the window decoded with the speech before it; None if that is less
        probable than `alone`, of another language, or cannot be told from the speech before."""
        if preceding.language != options.language:
            return None
        metrics.FALLBACKS.labels("preceding_speech").inc()
        joined = preceding.joined(window)
        features = await self._features(joined)
        decoded = await self._batcher.decode(
            replace(job, duration=joined.duration, features=features, encoded=None),
            replace(options, words=True),
        )
        again = fallback.checked(decoded, options)
        is_worse = again.avg_logprob < alone.avg_logprob or fallback.needs_context(again)
        if is_worse or not again.segments:
            return None
        own = preceding.own_part(again, joined)
        if own is None or not (own.segments or fallback.is_doubtful(alone)):
            return None
        return own if options.words else own.without_words()

    async def _best(
        self, window: Window, job: Job, options: DecodeOptions, temperatures: Sequence[float]
    ) -> Hypothesis:
        return await fallback.decode(self._batcher, job, options, temperatures, window.is_clear)

    async def _features(self, window: Window, full_context: bool = False) -> Features:
        compute = self._model.features
        with tracing.span("features"):
            return await self.on_cpu(
                metrics.timed, "features", compute, window.samples, full_context
            )

    async def on_cpu(self, work: Callable[..., T], *arguments: object) -> T:
        """Call `work` on a CPU thread, as `FairThreads.run` does."""
        return await self._cpu.run(self._caller, self._weight, self._priority, work, *arguments)


def _decode_options(options: Options, language: str) -> DecodeOptions:
    return DecodeOptions(
        options.task,
        language,
        options.prompt,
        distinct(options.keywords),
        words=options.words,
        token_scores=options.token_scores,
    )


async def _with_leftover(
    window: Window,
    hypothesis: Hypothesis,
    decode_part: Callable[[Window], Awaitable[DecodedWindows]],
    on_doubt: Callable[[DecodedWindows], None],
) -> DecodedWindows:
    """The hypothesis of a window, and between its segments those of speech that it leaves out."""
    split = split_leftover(window, hypothesis)
    if any(known is None for _, known in split):
        on_doubt([(part, known) for part, known in split if known is not None])
    decoded: list[tuple[Window, Hypothesis]] = []
    for part, known in split:
        if known is not None:
            decoded.append((part, known))
            continue
        metrics.FALLBACKS.labels("unheard_speech").inc()
        again = await decode_part(part)
        if not hypothesis.is_cut_off:
            again = [(each, fallback.unless_doubtful(found)) for each, found in again]
        decoded += again
    return decoded
