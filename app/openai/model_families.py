"""What OpenAI's model names promise: the formats and fields each takes, and how it counts usage.

Clients rely on it: code for `gpt-4o-transcribe` expects token usage and a 400 for subtitles
(docs/contract.md §1.3 and §1.6). Names of our own take everything.
"""

from dataclasses import dataclass, replace
from typing import Literal

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]


@dataclass(frozen=True, slots=True)
class Family:
    """How models of one kind answer."""

    formats: tuple[ResponseFormat, ...]
    counts_tokens: bool = False
    """`usage` in tokens; otherwise in seconds."""
    lists_languages: bool = False
    """`json` has the key `languages`."""
    only_diarizes: bool = False
    """Made for `diarized_json`: needs `chunking_strategy`, takes no prompt and no logprobs."""
    detects_turns: bool = True
    """In live sessions whose client says nothing of it; otherwise the client commits."""


_WHISPER = Family(("json", "text", "srt", "verbose_json", "vtt"))
_GPT_4O = Family(("json", "text"), counts_tokens=True)
# LiteLLM asks for `verbose_json` where its caller wants `json`, and OpenAI may well allow it.
_GPT = Family(("json", "text", "verbose_json"), counts_tokens=True, lists_languages=True)
_DIARIZE = Family(("json", "text", "diarized_json"), counts_tokens=True, only_diarizes=True)
_OWN = Family(("json", "text", "srt", "verbose_json", "vtt", "diarized_json"))

_FAMILIES = {
    "whisper-1": _WHISPER,
    "gpt-transcribe": _GPT,
    "gpt-4o-transcribe": _GPT_4O,
    "gpt-4o-mini-transcribe": _GPT_4O,
    "gpt-4o-mini-transcribe-2025-12-15": _GPT_4O,
    "gpt-4o-transcribe-diarize": _DIARIZE,
    # Made for live sessions; the names of these two are taken for recordings as well.
    "gpt-live-transcribe": replace(_GPT, detects_turns=False),
    "gpt-realtime-whisper": replace(_WHISPER, detects_turns=False),
}

OPENAI_NAMES = tuple(_FAMILIES)
"""Every name that OpenAI documents for transcription."""


def family_of(model: str) -> Family:
    """By the name that was asked for, whichever model serves it."""
    return _FAMILIES.get(model, _OWN)
