from app.domain import Segment, Transcript
from app.openai import subtitles
from app.openai.responses import verbose_body

TRANSCRIPT = Transcript(
    "transcribe",
    "en",
    4000.0,
    (Segment(0.0, 3.3204, " One.", ()), Segment(3661.0, 3662.9996, " a --> b ", ())),
)
EMPTY = Transcript("transcribe", "en", 35.0, ())


def test_text_is_the_transcript_and_a_newline() -> None:
    assert subtitles.text(TRANSCRIPT) == "One. a --> b\n"
    assert subtitles.text(EMPTY) == "\n"


def test_srt_to_the_byte() -> None:
    assert subtitles.srt(TRANSCRIPT) == (
        "1\n00:00:00,000 --> 00:00:03,320\nOne.\n\n2\n01:01:01,000 --> 01:01:03,000\na -> b\n\n\n"
    )
    assert subtitles.srt(EMPTY) == ""


def test_a_half_millisecond_is_rounded_as_in_json() -> None:
    transcript = Transcript("transcribe", "en", 5.0, (Segment(2.0005, 3.25, " Yes.", ()),))
    (segment,) = verbose_body(transcript, frozenset({"segment"}))["segments"]
    assert segment["start"] == 2.001
    assert "00:00:02.001 --> 00:00:03.250" in subtitles.vtt(transcript)


def test_vtt_to_the_byte() -> None:
    assert subtitles.vtt(TRANSCRIPT) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.320\nOne.\n\n01:01:01.000 --> 01:01:03.000\na -> b\n\n"
    )
    assert subtitles.vtt(EMPTY) == "WEBVTT\n\n"
