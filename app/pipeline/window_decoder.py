"""One model, one window: features, the device, and what is done about a doubtful result."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from app.audio.windowing import WindowPolicy
from app.domain import Hypothesis, Options, Priority, Samples, Window
from app.engine.batcher import Batcher
from app.engine.speech_model import DecodeOptions, Features, Job, SpeechModel
from app.errors import InvalidRequest
from app.languages import language_name
from app.pipeline import fallback
from app.pipeline.admission import Work
from app.pipeline.channel_merge import Heard
from app.pipeline.language import SpokenLanguage
from app.pipeline.leftover_speech import unheard
from app.pipeline.prompt_echo import distinct
from app.telemetry import metrics, tracing

T = TypeVar("T")


class Listener:
    """Hears windows with one model. Stateless between requests."""

    def __init__(
        self, model: SpeechModel, batcher: Batcher, cpu: Executor, use_fallback: bool
    ) -> None:
        self._model = model
        self._batcher = batcher
        self._cpu = cpu
        self._use_fallback = use_fallback
        self.languages = model.profile.languages
        self.pace = batcher.pace
        self.policy = WindowPolicy(model.profile.window_seconds, model.profile.max_gap_seconds)

    def check(self, options: Options) -> None:
        """Raises InvalidRequest for what this model cannot hear."""
        named = [("language", options.language)] if options.language else []
        for param, code in named + [("languages", code) for code in options.languages]:
            if code not in self.languages:
                names = ", ".join(language_name(each) for each in self.languages)
                raise InvalidRequest(
                    f"The model '{self._model.info.model}' does not hear "
                    f"{language_name(code)}. It hears: {names}.",
                    param,
                )

    async def heard(
        self,
        window: Window,
        options: Options,
        request_id: str,
        position: int,
        language: SpokenLanguage,
        work: Work | None = None,
    ) -> Heard:
        """Decode a window; what the model left unheard at its end is decoded as one more.

        `work` is told how long its first window waited for the device.
        """
        with tracing.span("window", start=window.start, audio_seconds=window.duration):
            features = await self._features(self._model.features, window)
            job = Job(request_id, window.duration, features, options.priority, position)
            decode_options = DecodeOptions(
                options.task,
                await language.of(job, self._batcher),
                options.prompt,
                distinct(options.keywords),
                words=options.words,
                token_scores=options.token_scores,
            )
            ladder: Sequence[float] = (options.temperature,)
            if options.temperature == 0.0 and self._use_fallback:
                ladder = fallback.TEMPERATURES
            hypothesis = await fallback.decode(self._batcher, job, decode_options, ladder)
        if work is not None and work.queue_seconds is None:
            work.queue_seconds = job.queue_seconds
        hypothesis, rest = unheard(window, hypothesis)
        heard = [(window, hypothesis)]
        if rest is not None:
            metrics.FALLBACKS.labels("unheard_speech").inc()
            heard += await self.heard(rest, options, request_id, position, language)
        return heard

    async def draft(
        self, window: Window, options: Options, request_id: str, language: SpokenLanguage
    ) -> Hypothesis:
        """A quick look at a window that still grows: once, and without words and scores.

        It waits among the requests that take turns, so that drafts hold up neither live windows
        that are complete nor, for more than their turn, everybody else.
        """
        with tracing.span("draft", start=window.start, audio_seconds=window.duration):
            features = await self._features(self._model.draft_features, window)
            priority = Priority.INTERACTIVE
            job = Job(request_id, window.duration, features, priority, position=1, is_draft=True)
            decode_options = DecodeOptions(
                options.task,
                await language.so_far(job, self._batcher),
                options.prompt,
                distinct(options.keywords),
            )
            return fallback.draft(await self._batcher.decode(job, decode_options), decode_options)

    async def _features(self, work: Callable[[Samples], Features], window: Window) -> Features:
        with tracing.span("features"):
            return await self.on_cpu(metrics.timed, "features", work, window.samples)

    async def on_cpu(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._cpu, work, *arguments)
