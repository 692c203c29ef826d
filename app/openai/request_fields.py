"""Checks of request fields that uploads, sockets and jobs share."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from app.languages import is_detected, language_code

MAX_CONTEXT_CHARACTERS = 4_096
"""Of keywords together, and of the end of a prompt that is kept. Whisper reads 223 tokens of them,
and prose has four or five characters in one; to cut megabytes into tokens would hold up others."""


def chosen_language(text: str | None) -> str | None:
    """The ISO 639-1 code of a language code or name; None if the language is to be detected.

    Raises ValueError for an unknown one.
    """
    if text is None or is_detected(text):
        return None
    code = language_code(text)
    if code is None:
        raise ValueError(f"'{text[:100]}' is not an ISO-639-1 language code")
    return code


def chosen_languages(texts: Sequence[str]) -> list[str]:
    """The codes of the languages in a list, without what names none. Raises ValueError."""
    return [code for text in texts if (code := chosen_language(text))]


def whole_number(value: object) -> object:
    """A number without a fraction as an integer: JSON knows no difference between 500 and 500.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def end_of_prompt(text: str) -> str:
    """The part of a prompt that is kept, which is what Whisper's own code keeps: the end."""
    return text[-MAX_CONTEXT_CHARACTERS:]


def short_keywords(keywords: Sequence[str]) -> list[str]:
    """The keywords. Raises ValueError if all together are longer than a prompt may be."""
    if sum(map(len, keywords)) > MAX_CONTEXT_CHARACTERS:
        raise ValueError(f"longer than {MAX_CONTEXT_CHARACTERS} characters in all")
    return list(keywords)


LanguageCode = Annotated[str | None, AfterValidator(chosen_language)]
# The first wrong element ends the validation of a list: an error for each would take seconds.
LanguageCodes = Annotated[list[str], Field(fail_fast=True), AfterValidator(chosen_languages)]
Keywords = Annotated[list[str], Field(fail_fast=True), AfterValidator(short_keywords)]
WholeNumber = Annotated[int, BeforeValidator(whole_number)]

# The fields of `server_vad`; the defaults of uploads and of live sessions differ
# (docs/contract.md §1.1, §5.2).
VadThreshold = Annotated[float, Field(ge=0.0, le=1.0)]
PrefixPaddingMs = Annotated[WholeNumber, Field(ge=0, le=10_000)]
SilenceDurationMs = Annotated[WholeNumber, Field(ge=0, le=30_000)]
