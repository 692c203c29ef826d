"""The speakers of a recording of two channels, from embeddings of voices that are made up."""

from collections.abc import Sequence

import numpy as np

from app.diarization.encoder import Description, Thresholds
from app.diarization.tracker import Tracker
from app.domain import Segment, SpeakerCount, Word
from tests.diarization.voices import DESCRIPTION, SIZE, Voices, pieces

NOBODY = np.zeros((0, SIZE), np.float32)
LEFT, RIGHT = 0, 1

Turn = tuple[int, int]
"""Channel and voice."""


class Recording:
    """A tracker and the recording that it hears: turns of 4 s with a pause of 1 s after each."""

    def __init__(
        self,
        voices: int,
        count: SpeakerCount | None = None,
        known: Sequence[int] = (),
        description: Description = DESCRIPTION,
    ) -> None:
        self.voices = Voices(voices)
        references = [self.voices.reference(voice) for voice in known]
        embeddings = np.stack(references) if references else NOBODY
        self.tracker = Tracker(description, count or SpeakerCount(), embeddings)
        self.seconds = 0.0

    def talk(self, *turns: Turn) -> list[Segment]:
        """The sentences of turns, one after the other."""
        segments = []
        for channel, voice in turns:
            segments.append(self.hear(self.seconds, channel, voice))
            self.seconds += 5.0
        return segments

    def hear(
        self, start: float, channel: int, voice: int, count: int = 5, *, is_narrow: bool = False
    ) -> Segment:
        """A sentence of `count` pieces, 0.8 s each, with two words on each."""
        found = pieces(start, count, channel=channel, is_narrow=is_narrow)
        self.tracker.add(found, self.voices.embeddings(voice, count))
        return said(start, channel, 2 * count)


def said(start: float, channel: int, count: int) -> Segment:
    words = tuple(Word(start + n * 0.4, start + (n + 1) * 0.4, f" w{n}", 1.0) for n in range(count))
    text = "".join(word.text for word in words)
    return Segment(start, words[-1].end, text, (), words, channel=channel)


def speakers(segments: Sequence[Segment]) -> list[int | None]:
    return [segment.speaker for segment in segments]


def test_voices_of_both_channels_are_numbered_in_the_order_of_their_first_words() -> None:
    one = Recording(3)
    turns = ((RIGHT, 2), (LEFT, 0), (RIGHT, 2), (LEFT, 1), (LEFT, 0), (RIGHT, 2), (LEFT, 1))
    segments = one.talk(*turns)
    assert speakers(one.tracker.final(segments)) == [0, 1, 0, 2, 1, 0, 2]


def test_voices_that_are_alike_are_two_on_two_channels() -> None:
    one = Recording(1)
    segments = one.talk((LEFT, 0), (RIGHT, 0), (LEFT, 0))
    assert speakers(one.tracker.final(segments)) == [0, 1, 0]


def test_who_speak_at_once_on_two_channels_each_have_their_words() -> None:
    one = Recording(3)
    segments = [one.hear(0.0, LEFT, 0), one.hear(0.4, RIGHT, 2), one.hear(5.0, LEFT, 1)]
    parts = one.tracker.final(segments)
    assert [(each.start, each.channel, each.speaker) for each in parts] == [
        (0.0, LEFT, 0),
        (0.4, RIGHT, 1),
        (5.0, LEFT, 2),
    ]
    assert [each.words for each in parts] == [each.words for each in segments]


def test_the_number_asked_for_is_that_of_both_channels_whichever_has_more_voices() -> None:
    alike = DESCRIPTION.model_copy(update={"same_voice": 0.3})
    for channel in (LEFT, RIGHT):
        one = Recording(3, SpeakerCount(3, 3), description=alike)
        other = 1 - channel
        turns = ((channel, 0), (other, 2), (channel, 1), (channel, 0), (other, 2), (channel, 1))
        segments = one.talk(*turns)
        assert speakers(one.tracker.final(segments)) == [0, 1, 2, 0, 1, 2]


def test_there_are_no_more_than_the_number_asked_for_and_each_channel_keeps_one() -> None:
    turns = ((LEFT, 0), (LEFT, 1), (LEFT, 2), (RIGHT, 3), (LEFT, 0), (LEFT, 1), (LEFT, 2))
    for most, on_left in ((4, 3), (3, 2), (2, 1), (1, 1)):
        one = Recording(4, SpeakerCount(1, most))
        parts = one.tracker.final(one.talk(*turns))
        left = {each.speaker for each in parts if each.channel == LEFT}
        right = {each.speaker for each in parts if each.channel == RIGHT}
        assert (len(left), len(right), left & right) == (on_left, 1, set())


def test_a_name_goes_to_the_channel_where_its_voice_is_heard() -> None:
    for known, expected in (([2, 0], [1, 0, 2, 0]), ([0, 2], [0, 1, 2, 1]), ([2], [1, 0, 2, 0])):
        one = Recording(3, known=known)
        segments = one.talk((LEFT, 0), (RIGHT, 2), (LEFT, 1), (RIGHT, 2))
        assert speakers(one.tracker.final(segments)) == expected
        again = Recording(3, known=known)
        assert speakers(again.tracker.so_far(again.talk((LEFT, 0), (RIGHT, 2)))) == expected[:2]


def test_a_name_is_that_of_the_channel_whose_voice_is_most_like_it() -> None:
    """The voices of the two channels are alike enough to be one, and only one can have the name."""
    alike = DESCRIPTION.model_copy(update={"same_voice": 0.3, "known_voice": 0.3})
    for voice in (0, 1):
        one = Recording(2, known=[voice], description=alike)
        segments = one.talk((LEFT, 0), (RIGHT, 1), (LEFT, 0), (RIGHT, 1))
        assert speakers(one.tracker.final(segments)) == [voice, 1 - voice] * 2


def test_known_voices_count_among_the_number_asked_for() -> None:
    one = Recording(3, SpeakerCount(2, 2), known=[0])
    segments = one.talk((LEFT, 0), (LEFT, 1), (RIGHT, 2), (LEFT, 0), (LEFT, 1))
    assert speakers(one.tracker.final(segments)) == [0, 0, 1, 0, 0]


def test_the_only_voice_of_a_channel_is_a_speaker_however_short_it_is() -> None:
    one = Recording(2)
    segments = [*one.talk((LEFT, 0)), one.hear(5.0, RIGHT, 1, 1), one.hear(6.0, LEFT, 0)]
    assert speakers(one.tracker.final(segments)) == [0, 1, 0]


def test_words_without_speech_are_of_a_speaker_of_their_channel() -> None:
    one = Recording(1)
    segments = [*one.talk((LEFT, 0)), said(5.0, RIGHT, 1)]
    assert speakers(one.tracker.final(segments)) == [0, 1]
    assert speakers(one.tracker.so_far(segments)) == [0, 1]


def test_each_channel_has_the_thresholds_of_its_own_sound() -> None:
    """An agent in the office and a caller by telephone."""
    looser = DESCRIPTION.model_copy(
        update={"telephone": Thresholds(same_voice=0.3, least_seconds=1.5)}
    )
    one = Recording(4, description=looser)
    segments = []
    for turn in range(4):
        start = 5.0 * turn
        segments.append(one.hear(start, LEFT, turn % 2))
        segments.append(one.hear(start, RIGHT, 2 + turn % 2, is_narrow=True))
    assert speakers(one.tracker.final(segments)) == [0, 1, 2, 1] * 2


def test_what_a_stream_has_sent_stays_on_both_channels() -> None:
    for seed in range(5):
        one = Recording(5)
        chance = np.random.default_rng(seed)
        sent: list[int | None] = []
        true: list[int] = []
        for window in range(12):
            voices = chance.integers(3 if window < 2 else 5, size=4).tolist()
            turns = [(voice % 2, voice) for voice in voices]
            sent += speakers(one.tracker.so_far(one.talk(*turns)))
            true += voices
        order = list(dict.fromkeys(true))
        assert sent == [order.index(voice) for voice in true]


def test_the_first_voice_of_a_channel_is_new_in_a_stream_though_there_are_as_many_as_may_be() -> (
    None
):
    one = Recording(4, SpeakerCount(1, 3))
    sent = speakers(one.tracker.so_far(one.talk((LEFT, 0), (LEFT, 1), (LEFT, 2))))
    assert sent == [0, 1, 2]
    assert speakers(one.tracker.so_far(one.talk((RIGHT, 3), (LEFT, 0)))) == [3, 0]


def test_a_stream_is_in_order_where_a_segment_is_cut_and_the_other_channel_speaks_between() -> None:
    one = Recording(3)
    first, second = one.hear(0.0, LEFT, 0), one.hear(4.4, LEFT, 1)
    both = Segment(0.0, 8.4, first.text + second.text, (), first.words + second.words)
    between = one.hear(2.0, RIGHT, 2)
    sent = one.tracker.so_far([both], until=0.0)
    assert [(each.start, each.speaker) for each in sent] == [(0.0, 0)]
    sent = one.tracker.so_far([between], until=2.0)
    assert [(round(each.start, 3), each.channel) for each in sent] == [(2.0, RIGHT)]
    (rest,) = one.tracker.so_far([])
    assert (rest.start, round(rest.end, 3), rest.channel) == (4.4, 8.4, LEFT)
