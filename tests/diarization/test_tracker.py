"""The speakers of a recording, from embeddings of voices that are made up."""

from collections.abc import Sequence

import numpy as np
import psutil
import pytest

from app.diarization import clusters
from app.diarization.encoder import Description, Thresholds
from app.diarization.tracker import Tracker
from app.domain import Segment, SpeakerCount, Word
from tests.diarization.voices import DESCRIPTION, SIZE, Voices, pieces

NOBODY = np.zeros((0, SIZE), np.float32)


def tracker(count: SpeakerCount | None = None, known: np.ndarray = NOBODY) -> Tracker:
    return Tracker(DESCRIPTION, count or SpeakerCount(), known)


def said(start: float, count: int, step: float = 0.4) -> Segment:
    """A sentence of words without gaps."""
    words = tuple(
        Word(start + n * step, start + (n + 1) * step, f" w{n}", 1.0) for n in range(count)
    )
    text = "".join(word.text for word in words)
    return Segment(words[0].start, words[-1].end, text, (), words)


def talk(who: Tracker, voices: Voices, turns: Sequence[int], start: float = 0.0) -> list[Segment]:
    """Turns of 4 s, each with a pause of 1 s after it, as one window; its sentences."""
    found, heard = [], []
    segments = []
    for number, voice in enumerate(turns):
        begin = start + 5.0 * number
        found += pieces(begin, 5)
        heard.append(voices.embeddings(voice, 5))
        segments.append(said(begin, 10))
    who.add(found, np.concatenate(heard))
    return segments


def speakers(segments: Sequence[Segment]) -> list[int | None]:
    return [segment.speaker for segment in segments]


def test_voices_are_numbered_in_the_order_of_their_first_words() -> None:
    who = tracker()
    segments = talk(who, Voices(3), [2, 0, 2, 1, 0])
    assert speakers(who.final(segments)) == [0, 1, 0, 2, 1]


def test_one_voice_is_one_speaker_however_long_it_speaks() -> None:
    who, voices = tracker(), Voices(1)
    segments = [each for n in range(20) for each in talk(who, voices, [0] * 6, 30.0 * n)]
    assert set(speakers(who.final(segments))) == {0}


def test_there_are_as_many_speakers_as_the_caller_says() -> None:
    turns = [0, 1, 2, 0, 1, 2]
    for count, found in ((SpeakerCount(2, 2), 2), (SpeakerCount(1, 1), 1), (SpeakerCount(3), 3)):
        who = tracker(count)
        assert len(set(speakers(who.final(talk(who, Voices(3), turns))))) == found


def test_known_voices_have_their_numbers_whatever_their_order_and_others_come_after_them() -> None:
    voices = Voices(4)
    for order in ([0, 1, 3], [3, 1, 0], [1, 0, 3]):
        known = np.stack([voices.reference(voice) for voice in order])
        who = tracker(known=known)
        expected = [order.index(1), 3, order.index(0), 3, order.index(1)]
        assert speakers(who.final(talk(who, voices, [1, 2, 0, 2, 1]))) == expected


def test_sound_that_is_mostly_by_telephone_has_thresholds_of_its_own() -> None:
    looser = DESCRIPTION.model_copy(
        update={"telephone": Thresholds(same_voice=0.3, least_seconds=1.5)}
    )

    def found(description: Description, narrow: Sequence[bool]) -> int:
        who, voices = Tracker(description, SpeakerCount(), NOBODY), Voices(2)
        segments = []
        for turn, is_narrow in enumerate(narrow):
            who.add(pieces(5.0 * turn, 5, is_narrow=is_narrow), voices.embeddings(turn % 2, 5))
            segments.append(said(5.0 * turn, 10))
        return len(set(speakers(who.final(segments))))

    assert found(looser, [True, True, False]) == 1
    assert found(looser, [True, False, False]) == 2
    assert found(DESCRIPTION, [True, True, True]) == 2


def test_by_telephone_a_voice_needs_its_least_speech_or_a_share_of_all() -> None:
    slow = DESCRIPTION.model_copy(
        update={"telephone": Thresholds(same_voice=0.6, least_seconds=4.5)}
    )

    def found(turns: int, seconds: float) -> int:
        """Speakers of so many turns of 4 s of one voice, and of another's few seconds."""
        who, voices = Tracker(slow, SpeakerCount(), NOBODY), Voices(2)
        segments = [said(5.0 * turn, 10) for turn in range(turns)]
        for turn in range(turns):
            who.add(pieces(5.0 * turn, 5, is_narrow=True), voices.embeddings(0, 5))
        count = round(seconds / 0.8)
        who.add(pieces(5.0 * turns, count, is_narrow=True), voices.embeddings(1, count))
        segments.append(said(5.0 * turns, 2 * count))
        return len(set(speakers(who.final(segments))))

    assert [found(3, 0.8), found(3, 2.4), found(6, 2.4), found(6, 4.0)] == [1, 2, 1, 2]
    assert [found(30, 4.0), found(30, 4.8)] == [1, 2]


def test_a_segment_is_cut_where_the_speaker_changes() -> None:
    who, voices = tracker(), Voices(2)
    who.add(
        pieces(0.0, 5) + pieces(4.4, 5),
        np.concatenate([voices.embeddings(0, 5), voices.embeddings(1, 5)]),
    )
    first, second = said(0.0, 10), said(4.4, 10)
    both = Segment(0.0, 8.4, first.text + second.text, (), first.words + second.words)
    parts = who.final([both])
    assert [(each.start, each.end, each.speaker) for each in parts] == [
        (0.0, 4.0, 0),
        (4.4, pytest.approx(8.4), 1),
    ]
    assert "".join(each.text for each in parts) == both.text
    assert tuple(word for each in parts for word in each.words) == both.words


def test_what_a_stream_has_sent_stays_when_voices_turn_out_to_be_others() -> None:
    """A voice keeps its number from the first word to the last, whoever comes later."""
    for seed in range(5):
        who, voices = tracker(), Voices(3, seed)
        chance = np.random.default_rng(seed)
        sent: list[int | None] = []
        true: list[int] = []
        for window in range(12):
            turns = chance.integers(1 if window < 2 else 3, size=4).tolist()
            sent += speakers(who.so_far(talk(who, voices, turns, 20.0 * window)))
            true += turns
        order = list(dict.fromkeys(true))
        assert sent == [order.index(voice) for voice in true]


def test_a_stream_has_a_new_speaker_from_three_quarters_of_the_least_speech_on() -> None:
    for count, found in ((1, [0, 0]), (2, [0, 1])):  # 0.8 and 1.6 s of at least 1.5
        who, voices = tracker(), Voices(2)
        heard = [voices.embeddings(0, 5), voices.embeddings(1, count)]
        who.add(pieces(0.0, 5) + pieces(5.0, count), np.concatenate(heard))
        assert speakers(who.so_far([said(0.0, 10), said(5.0, 2 * count)])) == found


def test_a_stream_never_has_more_speakers_than_there_may_be() -> None:
    who, voices = tracker(SpeakerCount(1, 2)), Voices(4)
    for window in range(4):
        segments = who.so_far(talk(who, voices, [window, 0, window], 15.0 * window))
        assert {each.speaker for each in segments} <= {0, 1}


def test_silence_has_no_speakers() -> None:
    who = tracker()
    assert (who.so_far([]), who.final([])) == ([], [])


def test_words_without_a_voice_are_the_first_speakers() -> None:
    assert speakers(tracker().final([said(1.0, 2)])) == [0]


def test_three_hours_cost_little_memory_and_keep_their_speakers() -> None:
    who, voices = tracker(), Voices(2)
    before = psutil.Process().memory_info().rss
    turns = [0, 1, 0, 0, 1, 1]
    sent = []
    for window in range(360):  # of 30 s
        segments = talk(who, voices, turns, 30.0 * window)
        if window % 9 == 0:
            sent.append(speakers(who.so_far(segments)))
    assert psutil.Process().memory_info().rss - before < 60e6
    assert all(each == turns for each in sent)
    assert len(who._clusters._groups) <= clusters.MAX_GROUPS
