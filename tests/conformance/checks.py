"""What an answer must hold: words, times, bytes."""

import json
import re
from itertools import pairwise

from tests.conformance.case import Answer, Check, Json
from tests.support.recordings import FOLDER, SENTENCES, SPEECH, reference
from tests.support.words import normalise, word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))
TOLERANCE_SECONDS = 0.5
"""Between where speech begins or ends in a sample and where an answer says it does."""

_CUE = re.compile(
    r"(\d\d):(\d\d):(\d\d)[,.](\d{3}) --> (\d\d):(\d\d):(\d\d)[,.](\d{3})\n((?:.+\n)+)\n"
)


def says(sample: str) -> Check:
    """The words of the recording, with no more errors than faster-whisper alone makes."""

    def check(answer: Answer) -> None:
        assert word_errors(reference(sample), text_of(answer)) <= BASELINE[sample]["errors"]

    return check


def hears_the_sentences(answer: Answer) -> None:
    """Of the sentences in samples/."""
    _are_the_sentences(text_of(answer))


def speakers_say_the_sentences(answer: Answer) -> None:
    """As `hears_the_sentences`, without the speakers' names, which are in the text."""
    _are_the_sentences(" ".join(each["text"] for each in segments_with_speakers(answer)))


def both(*checks: Check) -> Check:
    def check(answer: Answer) -> None:
        for each in checks:
            each(answer)

    return check


def is_exactly(content: Json | str) -> Check:
    def check(answer: Answer) -> None:
        assert answer.content == content

    return check


def has(**values: object) -> Check:
    """These keys with these values."""

    def check(answer: Answer) -> None:
        body = body_of(answer)
        assert {key: body.get(key) for key in values} == values

    return check


def lacks(*keys: str) -> Check:
    """An SDK may fill in an absent key as null."""

    def check(answer: Answer) -> None:
        body = body_of(answer)
        assert [key for key in keys if body.get(key) is not None] == []

    return check


def cues_of(sample: str) -> Check:
    """Subtitles whose cues lie where the sentences of the recording do."""

    def check(answer: Answer) -> None:
        assert isinstance(answer.content, str)
        times = []
        for match in _CUE.finditer(answer.content):
            hours, minutes, seconds, thousandths, *end = (int(each) for each in match.groups()[:8])
            times += [
                (
                    hours * 3600 + minutes * 60 + seconds + thousandths / 1000,
                    end[0] * 3600 + end[1] * 60 + end[2] + end[3] / 1000,
                )
            ]
        _lie_where_spoken(times, sample)

    return check


def segments_of(sample: str) -> Check:
    def check(answer: Answer) -> None:
        segments = body_of(answer)["segments"]
        _lie_where_spoken([(each["start"], each["end"]) for each in segments], sample)

    return check


def words_of(sample: str) -> Check:
    """As many words as were said, in order, inside the sentences they belong to."""

    def check(answer: Answer) -> None:
        words = body_of(answer)["words"]
        assert word_errors(reference(sample), " ".join(each["word"] for each in words)) == 0
        times = [time for each in words for time in (each["start"], each["end"])]
        assert times == sorted(times)
        sentences = [
            (each["start"] - TOLERANCE_SECONDS, each["end"] + TOLERANCE_SECONDS)
            for each in _spoken(sample)
        ]
        for word in words:
            assert any(start <= word["start"] <= word["end"] <= end for start, end in sentences), (
                word
            )

    return check


def speakers_are(*names: str) -> Check:
    """Each speaker says their own sentences; the recording has one speaker on each channel."""

    def check(answer: Answer) -> None:
        segments = segments_with_speakers(answer)
        assert {each["speaker"] for each in segments} == set(names)
        starts = [each["start"] for each in segments]
        assert starts == sorted(starts)
        for channel, name in enumerate(names):
            said = " ".join(
                each["text"] for each in _spoken("13_stereo_call.m4a") if each["channel"] == channel
            )
            found = " ".join(each["text"] for each in segments if each["speaker"] == name)
            assert word_errors(said, found) <= len(normalise(said)) // 5

    return check


def tokens_are_counted(*, prompted: bool = False) -> Check:
    """`usage` in tokens, ten for each second of audio, and those of the prompt."""

    def check(answer: Answer) -> None:
        usage = body_of(answer)["usage"]
        details = usage["input_token_details"]
        assert usage["type"] == "tokens"
        assert details["audio_tokens"] == 47  # 4.69 s
        assert (details["text_tokens"] > 0) == prompted
        assert usage["input_tokens"] == details["audio_tokens"] + details["text_tokens"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]

    return check


def tokens_have_scores(answer: Answer) -> None:
    """The tokens, put together, are the text, byte for byte."""
    body = body_of(answer)
    scores = body["logprobs"]
    written = bytes(int(byte) for each in scores for byte in each["bytes"])  # the SDK has floats
    assert written.decode().strip() == body["text"]
    assert "".join(each["token"] for each in scores).strip() == body["text"]
    assert all(each["logprob"] <= 0 for each in scores)


def temperature_is(value: float) -> Check:
    def check(answer: Answer) -> None:
        assert {each["temperature"] for each in body_of(answer)["segments"]} == {value}

    return check


def is_streamed(answer: Answer) -> None:
    """Deltas, then one `done` whose text they make up."""
    events = answer.content
    assert isinstance(events, list)
    types = [event["type"] for event in events]
    assert set(types[:-1]) <= {"transcript.text.delta", "transcript.text.segment"}
    assert types[-1] == "transcript.text.done"
    deltas = [event["delta"] for event in events if event["type"] == "transcript.text.delta"]
    assert "".join(deltas) == events[-1]["text"]


def names_the_models(answer: Answer) -> None:
    body = body_of(answer)
    assert body["object"] == "list"
    assert {"starter", "whisper-1", "gpt-4o-transcribe"} <= {each["id"] for each in body["data"]}


def body_of(answer: Answer) -> Json:
    """The JSON body; of a stream the last event."""
    assert not isinstance(answer.content, str), answer.content
    return answer.content[-1] if isinstance(answer.content, list) else answer.content


def segments_with_speakers(answer: Answer) -> list[Json]:
    if isinstance(answer.content, list):
        return [each for each in answer.content if each["type"] == "transcript.text.segment"]
    segments: list[Json] = body_of(answer)["segments"]
    return segments


def text_of(answer: Answer) -> str:
    if not isinstance(answer.content, str):
        return str(body_of(answer)["text"])
    lines = [line for match in _CUE.finditer(answer.content) for line in match[9].splitlines()]
    return " ".join(lines) or answer.content


def _are_the_sentences(found: str) -> None:
    """But for one word: how a CPU rounds decides between two that base finds as likely."""
    said = " ".join(reference(name, SPEECH) for name in SENTENCES)
    assert word_errors(said, found) <= 1


def _spoken(sample: str) -> list[Json]:
    path = (FOLDER / sample).with_suffix(".segments.json")
    spoken: list[Json] = json.loads(path.read_text(encoding="utf-8"))
    return spoken


def _lie_where_spoken(times: list[tuple[float, float]], sample: str) -> None:
    assert all(one[1] <= other[0] for one, other in pairwise(times))
    spoken = _spoken(sample)
    assert len(times) == len(spoken)
    for (start, end), sentence in zip(times, spoken, strict=True):
        assert abs(start - sentence["start"]) < TOLERANCE_SECONDS
        assert abs(end - sentence["end"]) < TOLERANCE_SECONDS
