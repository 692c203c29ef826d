import numpy as np
import pytest

from app.domain import SAMPLE_RATE, Hypothesis, Segment, TokenScore, Window, Word
from app.pipeline.live.preceding_speech import MAX_SECONDS, PrecedingSpeech, RecentSpeech


def window(start: float, end: float) -> Window:
    """Sound whose samples are its times; speech but for 0.3 s at both ends."""
    samples = (start + np.arange(round((end - start) * SAMPLE_RATE)) / SAMPLE_RATE).astype(
        np.float32
    )
    return Window(start, samples, ((0.3, end - start - 0.3),))


def said(start: float, end: float, text: str, language: str = "en") -> Segment:
    return Segment(start, end, text, (1, 2, 3), language=language)


def recent(*turns: tuple[Window, list[Segment]], window_seconds: float = 30.0) -> RecentSpeech:
    speech = RecentSpeech(window_seconds, max_gap_seconds=2.0)
    for each, segments in turns:
        speech.add(each, segments, "transcribe")
    return speech


FELLOWS = window(0.0, 2.6), [said(0.3, 2.3, " And so my fellow Americans.")]
ASK = window(3.0, 4.8), [said(3.3, 4.5, " Ask not")]


def test_the_turns_before_are_joined_with_the_window_after_them() -> None:
    own = window(5.0, 8.0)
    preceding = recent(FELLOWS, ASK).before(own, "transcribe")
    assert preceding is not None
    assert preceding.text == " And so my fellow Americans. Ask not"
    joined = preceding.joined(own)
    assert joined.duration == pytest.approx(2.6 + 1.8 + 3.0)
    assert joined.start + preceding.seconds == pytest.approx(own.start)
    for start, end in joined.speech:
        assert joined.samples[round(end * SAMPLE_RATE)] - joined.samples[
            round(start * SAMPLE_RATE)
        ] == pytest.approx(end - start, abs=0.01)


def test_of_a_long_turn_the_last_sentences_precede() -> None:
    long = window(0.0, 20.0)
    turn = long, [said(0.3, 11.0, " One."), said(15.0, 19.7, " Two.")]
    preceding = recent(turn).before(window(20.4, 22.0), "transcribe")
    assert preceding is not None
    assert preceding.text == " Two."
    assert preceding.seconds == pytest.approx(7.0)
    assert preceding.samples[0] == pytest.approx(13.0, abs=0.01)
    assert preceding.samples.base is None or len(preceding.samples.base) < len(long.samples)


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [(window(0.0, 2.6), [])],
        [(window(0.0, 0.9), FELLOWS[1])],  # 2.7 s before the next words
        [(window(0.0, 2.6), [said(0.3, 2.3, " One.")]), (window(2.7, 2.9), [])],
    ],
    ids=["nothing", "no text", "a long silence", "sound without text"],
)
def test_other_sound_is_no_context(turns: list[tuple[Window, list[Segment]]]) -> None:
    assert recent(*turns).before(window(3.0, 4.8), "transcribe") is None


def test_speech_of_another_language_or_task_is_no_context() -> None:
    french = window(0.0, 2.6), [said(0.3, 2.3, " Un, deux.", "fr")]
    english = window(3.0, 4.8), [said(3.3, 4.5, " Three.")]
    speech = recent(french, english)
    preceding = speech.before(window(5.0, 6.0), "transcribe")
    assert preceding is not None
    assert (preceding.text, preceding.language) == (" Three.", "en")
    assert speech.before(window(5.0, 6.0), "translate") is None


def test_a_window_that_is_long_enough_has_no_context() -> None:
    assert recent(FELLOWS).before(window(3.0, 13.0), "transcribe") is None
    assert recent(FELLOWS, window_seconds=5.0).before(window(3.0, 6.0), "transcribe") is None


def test_little_sound_is_kept_however_much_was_said() -> None:
    speech = recent()
    for number in range(20):
        start = 5.0 * number
        speech.add(window(start, start + 4.9), [said(start, start + 4.5, " So.")], "transcribe")
    kept = sum(part.window.duration for part in speech._parts)
    assert MAX_SECONDS < kept <= 2 * MAX_SECONDS


JOINED = window(0.0, 2.6), window(2.6, 4.4)
FELLOW_WORDS = [
    Word(0.4, 0.8, " And", 0.9),
    Word(0.8, 1.5, " fellow", 0.9),
    Word(1.5, 2.2, " Americans", 0.9),
]


def own_part(known: str, words: list[Word]) -> Hypothesis | None:
    first, second = JOINED
    preceding = PrecedingSpeech(first.samples, first.speech, known, "en")
    scores = tuple(TokenScore(word.text.encode(), -0.1) for word in words)
    text = "".join(word.text for word in words)
    segment = Segment(0.3, 4.2, text, (1, 2), tuple(words), token_scores=scores, language="en")
    whole = Hypothesis("en", (segment,), 0.0, -0.3, 1.0, 0.0)
    return preceding.own_part(whole, preceding.joined(second))


def test_the_windows_own_words_are_those_after_the_known_text() -> None:
    own = own_part(
        " And fellow Americans.",
        [*FELLOW_WORDS, Word(3.0, 3.4, " ask", 0.9), Word(3.4, 4.0, " not", 0.9)],
    )
    assert own is not None
    (segment,) = own.segments
    assert segment.text == " ask not"
    assert (segment.start, segment.end) == pytest.approx((0.4, 1.4))
    assert [word.text for word in segment.words] == [" ask", " not"]
    assert b"".join(score.token for score in segment.token_scores) == b" ask not"


def test_a_word_that_the_times_put_before_the_pause_is_kept_if_it_is_new() -> None:
    and_here = [Word(2.2, 2.3, " and", 0.9), Word(3.0, 3.4, " here", 0.9)]
    own = own_part(" And fellow Americans", [*FELLOW_WORDS, *and_here])
    assert own is not None
    assert own.text == "and here"


def test_a_text_of_the_sound_before_alone_leaves_nothing() -> None:
    more = [Word(2.2, 2.3, " Americans", 0.9)]
    own = own_part(" And fellow Americans", [*FELLOW_WORDS, *more])
    assert own is not None
    assert own.segments == ()


def test_where_text_and_times_disagree_no_word_is_trusted() -> None:
    other = [Word(0.4, 0.8, " ask", 0.9), Word(0.8, 1.5, " not", 0.9), Word(1.5, 2.2, " what", 0.9)]
    assert own_part(" And fellow Americans", [*other, Word(3.0, 3.4, " here", 0.9)]) is None
