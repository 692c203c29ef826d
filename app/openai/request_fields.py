"""Checks of request fields that uploads, sockets and jobs share."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from app.languages import language_code

MAX_CONTEXT_CHARACTERS = 4_096
"""Of keywords together, and of the end of a prompt that is kept. Whisper reads 223 tokens of them,
and prose has four or five characters in one; to cut megabytes into tokens would hold up others."""


def known_language(text: str) -> str:
    """The ISO 639-1 code of a language code or name. Raises ValueError for an unknown one."""
    code = language_code(text)
    if code is None:
        raise ValueError(f"'{text[:100]}' is not an ISO-639-1 language code")
    return code


def end_of_prompt(text: str) -> str:
    """The part of a prompt that is kept, which is what Whisper's own code keeps: the end."""
    return text[-MAX_CONTEXT_CHARACTERS:]


def short_keywords(keywords: Sequence[str]) -> list[str]:
    """The keywords. Raises ValueError if all together are longer than a prompt may be."""
    if sum(map(len, keywords)) > MAX_CONTEXT_CHARACTERS:
        raise ValueError(f"longer than {MAX_CONTEXT_CHARACTERS} characters in all")
    return list(keywords)


LanguageCode = Annotated[str, AfterValidator(known_language)]
# The first wrong element ends the validation of a list: an error for each would take seconds.
LanguageCodes = Annotated[list[LanguageCode], Field(fail_fast=True)]
Keywords = Annotated[list[str], Field(fail_fast=True), AfterValidator(short_keywords)]

# The fields of `server_vad`; the defaults of uploads and of live sessions differ
# (docs/contract.md §1.1, §5.2).
VadThreshold = Annotated[float, Field(ge=0.0, le=1.0)]
PrefixPaddingMs = Annotated[int, Field(ge=0, le=10_000)]
SilenceDurationMs = Annotated[int, Field(ge=0, le=30_000)]
