"""Takes on work for a caller, whatever the transport: uploads, sockets and jobs call it alike."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import BinaryIO

from app.access.metering import UsageRecord
from app.access.principal import Principal
from app.audio.expected_length import expected_length
from app.audio.speaker_references import read_references
from app.diarization.encoder import Embeddings
from app.domain import Options, Priority, Segment, Transcript
from app.errors import ModelNotAllowed, UnknownModel
from app.openai.model_families import OPENAI_NAMES
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.speakers import Speakers
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.services import Services
from app.telemetry import tracing


@dataclass(frozen=True, slots=True)
class Order:
    """The work that a caller wants: recordings transcribed or, without files, a live session."""

    model: str
    """An id or another name of a served model."""
    options: Options
    files: tuple[BinaryIO, ...] = ()
    speaker_references: tuple[str, ...] = ()
    """Data URLs of 2 to 10 s of speech, of known speakers in their order."""
    priority: Priority = Priority.INTERACTIVE
    """Of recordings; live sessions have a class of their own."""


class Assignment:
    """An order and all that it takes to carry it out, owned until `aclose`.

    Owns from the start: the order's files. From `accept` on: the lease on the model, the share in
    the estimated wait of others, and the reservation of audio seconds. Use as an async context
    manager, which closes it unless the resources were handed over.
    """

    transcriber: Transcriber
    """Of the model that is leased; there once `accept` has returned."""

    def __init__(
        self,
        services: Services,
        usage: UsageRecord,
        order: Order,
        deadline: Deadline | None = None,
    ) -> None:
        """`usage` names the caller and is charged; `deadline` holds for everything."""
        self._services = services
        self._usage = usage
        self._order = order
        self._deadline = deadline or Deadline()
        self._works: tuple[Work, ...] = ()
        self._known_voices: Embeddings | None = None
        self._model_id = ""
        self._resources = AsyncExitStack()
        for file in order.files:
            self._resources.callback(file.close)

    async def accept(self) -> None:
        """Take the order on, or raise why not: the one sequence of checks for all transports.

        Raises SpeechError: UnknownModel and ModelNotAllowed; InvalidRequest for options that the
        model does not support; Overloaded, ModelOnItsWay and ModelUnavailable; RateLimited; and
        DeadlineExceeded.
        """
        services, order, caller = self._services, self._order, self._usage.caller
        priority = order.priority if order.files else Priority.LIVE
        async with self._deadline.kept():
            check_model(caller, services, order.model)
            if order.speaker_references:
                turn = caller.id, caller.weight, priority
                references = await services.cpu.run(
                    *turn, read_references, order.speaker_references
                )
                known_voices = services.diarizer.known_voices
                self._known_voices = await services.diarizer.run(*turn, known_voices, references)
            # A live session has spans of its own, one for each item.
            with tracing.span("model") if order.files else tracing.NOTHING:
                lease = services.registry.lease(order.model)
                loaded = await self._resources.enter_async_context(lease)
            self.transcriber = Transcriber(
                WindowDecoder(
                    loaded.model,
                    loaded.batcher,
                    services.cpu,
                    services.settings.engine.fallback,
                    caller.id,
                    caller.weight,
                    priority,
                )
            )
            self.transcriber.decoder.check(order.options)
            self._model_id = services.registry.served_id(order.model)
            if not order.files:
                return
            on_cpu = self.transcriber.decoder.on_cpu
            lengths = [await on_cpu(expected_length, file) for file in order.files]
        pace = self.transcriber.decoder.pace
        admitted = services.admission.work(
            caller.id, pace, lengths, self._deadline, order.priority, caller.weight
        )
        self._works = self._resources.enter_context(admitted)
        # A guess at a length is too far off to refuse a caller for it; what was decoded is charged
        # at the end.
        expected = sum(length.seconds for length in lengths if length.is_claimed)
        await self._resources.enter_async_context(
            services.metering.reserved(self._usage, self._model_id, expected, self._works)
        )

    def stream(self, index: int = 0) -> AsyncGenerator[Segment | Transcript]:
        """Segments of one file as they are decoded, then its transcript."""
        return self.transcriber.stream(
            self._order.files[index],
            self._order.options,
            self._id(index),
            self._works[index],
            self._speakers(),
        )

    async def transcribe(self, index: int = 0) -> Transcript:
        """The transcript of one file."""
        return await self.transcriber.transcribe(
            self._order.files[index],
            self._order.options,
            self._id(index),
            self._works[index],
            self._speakers(),
        )

    async def charge(self, seconds: float) -> None:
        """Charge audio of a live session. Raises RateLimited, and Overloaded without the store."""
        await self._services.metering.charge(self._usage, self._model_id, seconds)

    def on_close(self, close: Callable[[], Awaitable[object]]) -> None:
        """Have `close` called before the resources are closed."""
        self._resources.push_async_callback(close)

    def handed_over(self) -> AsyncExitStack:
        """The resources, for an owner that outlives this one."""
        return self._resources.pop_all()

    async def aclose(self) -> None:
        await self._resources.aclose()

    async def __aenter__(self) -> "Assignment":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _speakers(self) -> Speakers | None:
        """Those of one file, if they are to be told apart."""
        count, caller = self._order.options.speakers, self._usage.caller
        if count is None:
            return None
        turn = caller.id, caller.weight, self._order.priority
        return Speakers(self._services.diarizer, count, self._known_voices, *turn)

    def _id(self, index: int) -> str:
        """Identifies one file where the device counts turns: each file of a request has its own."""
        request_id = self._usage.request_id
        return request_id if len(self._order.files) == 1 else f"{request_id}-{index}"


def check_model(principal: Principal, services: Services, name: str) -> None:
    """Raises UnknownModel, and ModelNotAllowed unless the principal may use the model.

    A principal may if it was given the name that is asked for, or the id of the model behind it.
    """
    try:
        served = services.registry.served_id(name)
    except UnknownModel as error:
        raise UnknownModel(f"{error} {_remedy(principal, services, name)}", "model") from None
    if not principal.may_use(name, served):
        # OpenAI's words for its projects (docs/contract.md §4).
        raise ModelNotAllowed(f"`{principal.name}` does not have access to model `{name}`.")


def _remedy(principal: Principal, services: Services, name: str) -> str:
    """Which models there are for the principal, and how an operator adds the one asked for."""
    registry = services.registry
    usable = [card.id for card in registry.cards() if principal.may_use(card.id, card.root)]
    # OpenAI's names go without saying, unless there are no others.
    ids = [each for each in usable if each not in OPENAI_NAMES] or usable
    setting = f"VERBATIM_MODELS__SERVED={json.dumps([name[:100]], ensure_ascii=False)}"
    return f"Models here: {', '.join(ids)}. The server's operator can add it: {setting}."
