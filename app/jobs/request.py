"""A request for a job: as a form, as JSON, or as the body of a batch's line.

All become the parts of a form, so that one checker serves them and the synchronous route
(app/transcriptions/form.py).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import get_args

from starlette.datastructures import FormData, UploadFile

from app.domain import Task
from app.errors import InvalidRequest, UnsupportedValue
from app.jobs.url_source import UrlSource, read_url_source
from app.openai.json_limits import MAX_CONFIGURATION_CHARS
from app.transcriptions.form import AudioForm, parse
from app.transcriptions.form_parts import FormParts, choice_of

TASKS: tuple[Task, ...] = get_args(Task)

OWN_FIELDS = (
    *("completion_window", "file", "file_url", "metadata", "priority", "task", "url"),
    *("url_headers", "webhook_url"),
)
"""Fields that are not about the transcript."""

VOICES = "known_speaker_references"

MAX_METADATA = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512
"""OpenAI's limits."""

DEFAULT_WINDOW = "24h"
MIN_WINDOW_HOURS, MAX_WINDOW_HOURS = 1, 168


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job is to do, checked."""

    task: Task
    form: AudioForm
    """Without its file."""
    fields: list[tuple[str, str]]
    """Of the form, to be stored."""
    file_id: str | None
    """Of a file that was uploaded before."""
    url: UrlSource | None
    """Where the recording is. With neither, it comes along."""
    webhook_url: str | None
    metadata: dict[str, str] | None
    window: str
    is_low: bool
    """`priority=low`: after all that is queued within a day's worth of audio."""

    @property
    def window_seconds(self) -> float:
        return window_seconds(self.window, "completion_window")


def read_request(data: FormData, task: Task | None = None) -> JobRequest:
    """Check the fields of a request; `task`: what its endpoint does, else a field says it.

    Raises InvalidRequest, naming the field.
    """
    parts = FormParts(data)
    stated: Task = parts.one("task", choice_of(*TASKS), "transcribe")
    chosen = task or stated
    fields = [
        (name, value)
        for name, value in data.multi_items()
        if isinstance(value, str) and name.partition("[")[0] not in OWN_FIELDS
    ]
    for name, value in data.multi_items():
        if isinstance(value, str):
            check_storable(name + value, name[:100])
    _check_size(fields)
    form = read_form_fields(fields, chosen)
    window = parts.one("completion_window", str, DEFAULT_WINDOW)
    window_seconds(window, "completion_window")
    return JobRequest(
        task=chosen,
        form=form,
        fields=fields,
        file_id=parts.one("file", str, None),
        url=read_url_source(parts),
        webhook_url=parts.one("webhook_url", str.strip, None),
        metadata=check_metadata(parts.structured("metadata")),
        window=window,
        is_low=parts.one("priority", choice_of("normal", "low"), "normal") == "low",
    )


def _check_size(fields: Iterable[tuple[str, str]]) -> None:
    """Raises InvalidRequest for fields that are too large for a row, voices apart."""
    sizes = [(len(name) + len(text), name) for name, text in fields if not name.startswith(VOICES)]
    if sum(size for size, _ in sizes) > MAX_CONFIGURATION_CHARS:
        raise InvalidRequest(
            f"The fields have more than {MAX_CONFIGURATION_CHARS} characters.",
            max(sizes)[1][:100],
        )


def read_form_fields(fields: Iterable[tuple[str, str]], task: Task) -> AudioForm:
    """The form of stored fields, without a file. Raises InvalidRequest."""
    items: list[tuple[str, str | UploadFile]] = [*fields]
    form = parse(FormData(items), task, takes_file=False)
    if form.stream:
        raise UnsupportedValue("stream is not supported for jobs.", "stream")
    return form


def with_all_times(form: AudioForm) -> AudioForm:
    """The form with times of words, so that each format can be rendered later."""
    options = form.order.options
    words = options.words or options.task == "transcribe"
    return replace(form, order=replace(form.order, options=replace(options, words=words)))


def fields_of(body: Mapping[str, object]) -> FormData:
    """The parts of a form that say the same as an object of JSON."""
    items: list[tuple[str, str | UploadFile]] = []
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                items.append((name, each if isinstance(each, str) else json.dumps(each)))
    return FormData(items)


def check_metadata(value: object) -> dict[str, str] | None:
    """Raises InvalidRequest for what OpenAI would not take."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidRequest("Invalid value for 'metadata': not an object.", "metadata")
    if len(value) > MAX_METADATA:
        raise InvalidRequest(
            f"metadata has {len(value)} entries; at most {MAX_METADATA} are supported.", "metadata"
        )
    for key, text in value.items():
        if not isinstance(text, str):
            raise InvalidRequest(f"metadata.{key[:64]} is not a text.", "metadata")
        check_storable(key + text, "metadata")
        if len(key) > MAX_METADATA_KEY or len(text) > MAX_METADATA_VALUE:
            raise InvalidRequest(
                f"metadata.{key[:64]} is too long: at most {MAX_METADATA_KEY} and "
                f"{MAX_METADATA_VALUE} characters are supported.",
                "metadata",
            )
    return value


def check_storable(text: str, param: str) -> None:
    """Raises InvalidRequest for what PostgreSQL takes for no text: NUL and half a character."""
    try:
        text.encode()
        is_text = "\0" not in text
    except UnicodeEncodeError:
        is_text = False
    if not is_text:
        shown = param.encode(errors="replace").decode().replace("\0", "?")
        raise InvalidRequest(f"Invalid value for '{shown}': not Unicode.", shown)


def window_seconds(window: str, param: str) -> float:
    """Seconds of a window as `24h` or `7d`. Raises InvalidRequest."""
    found = re.fullmatch(r"([0-9]{1,3})([hd])", window)
    hours = 0 if found is None else int(found[1]) * (24 if found[2] == "d" else 1)
    if not MIN_WINDOW_HOURS <= hours <= MAX_WINDOW_HOURS:
        raise InvalidRequest(
            f"Invalid value for '{param}': '{window[:20]}' is not between 1h and 7d.", param
        )
    return hours * 3600.0
