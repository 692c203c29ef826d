"""A transcript in the format that the caller chose (docs/contract.md §1.4, §1.5)."""

from dataclasses import dataclass

from app.domain import Transcript
from app.openai import responses, sse, subtitles
from app.openai.cues import USUAL_SIZE, CueSize
from app.openai.model_families import Family, ResponseFormat
from app.openai.responses import Granularity
from app.openai.schemas import TranscriptionBody, TranslationBody

PLAIN_TEXT_FORMATS: tuple[ResponseFormat, ...] = ("text", "srt", "vtt")
TIMED_FORMATS: tuple[ResponseFormat, ...] = ("verbose_json", "srt", "vtt", "diarized_json")


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a caller wants a transcript: the format, and what it shall contain."""

    family: Family
    """Of the model's name: what OpenAI's clients of that name expect."""
    response_format: ResponseFormat = "json"
    granularities: frozenset[Granularity] = frozenset({"segment"})
    """Of `verbose_json`."""
    with_scores: bool = False
    speaker_names: tuple[str, ...] = ()
    """Of speakers, by number."""
    cue_size: CueSize = USUAL_SIZE
    """Of `srt` and `vtt`."""

    @property
    def is_plain_text(self) -> bool:
        return self.response_format in PLAIN_TEXT_FORMATS

    def body(self, transcript: Transcript) -> TranscriptionBody | TranslationBody | str:
        """JSON, or plain text."""
        match self.response_format:
            case "json":
                return responses.json_body(transcript, self.family, with_scores=self.with_scores)
            case "verbose_json":
                return responses.verbose_body(transcript, self.granularities, self.speaker_names)
            case "diarized_json":
                return responses.diarized_body(transcript, self.family, self.speaker_names)
            case "text":
                return subtitles.text(transcript)
            case "srt":
                return subtitles.srt(transcript, self.cue_size, self.speaker_names)
            case "vtt":
                return subtitles.vtt(transcript, self.cue_size, self.speaker_names)

    def events(self) -> sse.Deltas | sse.Diarized:
        """The renderer of one stream of server-sent events."""
        if self.response_format == "diarized_json":
            return sse.Diarized(self.speaker_names)
        return sse.Deltas(
            self.family,
            with_scores=self.with_scores,
            with_times=self.response_format == "verbose_json",
            with_words="word" in self.granularities,
            speaker_names=self.speaker_names,
        )
