"""The speakers of one recording, from its first window to its last."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import inf

import numpy as np

from app.diarization.clusters import NO_CHANNEL, Clusters, Numbers
from app.diarization.encoder import Description, Embeddings, Thresholds
from app.diarization.pieces import Piece
from app.diarization.segment_times import over_speech
from app.diarization.word_speakers import Spoken, by_speaker, most_likely, spoken
from app.domain import Segment, Span, SpeakerCount

KNOWN_MARGIN = 0.05
"""By how much a voice must be more like its reference than like any other."""

_BEGUN = 0.75
"""Share of the least speech of a voice that it must have in a stream, where it may have just begun:
chosen on the bench's tuned half."""

_SHARE = 0.12
"""Of a channel's speech, that is enough for a voice where `least_seconds` by telephone asks for
more: of calls of half a minute a voice has few seconds. Chosen on the bench's tuned half."""


@dataclass(frozen=True, slots=True)
class _Voices:
    """The voices of a recording so far: known ones first, and then those that are heard."""

    of_pieces: Numbers
    embeddings: Embeddings
    channels: Numbers
    """Of each voice; `NO_CHANNEL` of a known one that is not heard."""

    def unheard(self, channel: int) -> int:
        """Stands for the voice of words on a channel without pieces of speech."""
        return len(self.channels) + channel


@dataclass(frozen=True, slots=True)
class _Side:
    """The next segments of one channel, and the voice of each of their words."""

    channel: int
    segments: list[Segment]
    spans: list[Span]
    """Of the words, or of segments without."""
    voices: list[int]
    pieces: Numbers
    """Numbers of the channel's pieces from the first segment on."""


class Tracker:
    """Tells who says each word. Not for use by two threads at once.

    Speakers are numbers: the known voices, in the order of `known`, and then the others in the
    order of their first words. A voice is heard on one channel only. Embeddings are kept in 16
    bits: 2.3 MB for an hour of speech.
    """

    def __init__(self, description: Description, count: SpeakerCount, known: Embeddings) -> None:
        self._description = description
        self._count = count
        self._known = known
        self._clusters = Clusters(count.most, known)
        self._spans = np.zeros((0, 2))
        self._seconds = np.zeros(0)
        """Of audible speech, by piece."""
        self._speech: list[tuple[Span, ...]] = []
        """By piece."""
        self._are_narrow = np.zeros(0, np.bool_)
        self._channels = np.zeros(0, np.int64)
        self._embeddings = np.zeros((0, known.shape[1]), np.float16)
        self._sent = np.zeros(0, np.int64)
        """The speaker of each piece in the words that were sent; -1: none."""
        self._sent_count = 0
        """Speakers that were sent, known ones not counted."""
        self._ends: defaultdict[int, float] = defaultdict(float)
        """By channel: the end of the last segment so far, in seconds."""
        self._start_sent = 0.0
        """Of the last segment that was sent, in seconds."""
        self._waiting: list[Segment] = []

    def add(self, pieces: Sequence[Piece], embeddings: Embeddings) -> None:
        """Add the pieces of a window, which begins where the one before on its channel ended or
        later."""
        if not pieces:
            return
        spans = np.array([piece.span for piece in pieces])
        seconds = [piece.seconds for piece in pieces]
        self._clusters.add(embeddings, seconds, pieces[0].channel)
        self._seconds = np.concatenate([self._seconds, seconds])
        self._spans = np.concatenate([self._spans, spans])
        self._speech += [piece.speech for piece in pieces]
        narrow = [piece.is_narrow for piece in pieces]
        self._are_narrow = np.concatenate([self._are_narrow, narrow])
        channels = [piece.channel for piece in pieces]
        self._channels = np.concatenate([self._channels, channels])
        self._embeddings = np.concatenate([self._embeddings, embeddings.astype(np.float16)])
        self._sent = np.concatenate([self._sent, np.full(len(pieces), -1)])

    def so_far(self, segments: Sequence[Segment], until: float = inf) -> list[Segment]:
        """The next segments, cut by speaker, for a stream: a speaker keeps the number that was
        sent, whatever is heard later.

        What begins after `until` waits for the next call: a segment of another channel may come
        before it.
        """
        parts = self._waiting
        if segments:
            voices = self._voices(1, _BEGUN)
            sides = self._sides(segments, voices, 2.0)
            numbers = self._numbers_sent(voices, _in_order(sides))
            for side in sides:
                speakers = [numbers[voice] for voice in side.voices]
                self._note(side, speakers)
                earliest = max(self._ends[side.channel], self._start_sent)
                cut = self._cut(side, speakers, earliest)
                self._ends[side.channel] = cut[-1].end
                parts = parts + cut
        parts = sorted(parts, key=_start)
        count = bisect_right(parts, until, key=_start)
        sent, self._waiting = parts[:count], parts[count:]
        self._start_sent = sent[-1].start if sent else self._start_sent
        return sent

    def final(self, segments: Sequence[Segment]) -> list[Segment]:
        """All segments, cut by speaker, from all that was heard."""
        voices = self._voices(self._count.least, 1.0)
        sides = self._sides(segments, voices, inf)
        known = len(self._known)
        others = [voice for voice in _in_order(sides) if voice >= known]
        parts: list[Segment] = []
        for side in sides:
            speakers = [
                voice if voice < known else known + others.index(voice) for voice in side.voices
            ]
            parts += self._cut(side, speakers)
        return sorted(parts, key=_start)

    def _voices(self, least: int, begun: float) -> _Voices:
        """The voices that are heard so far. `begun`: the share of the least speech of a voice that
        is enough."""
        bounds = [self._thresholds(each) for each in range(self._channels.max(initial=0) + 1)]
        same_voice = np.array([each.same_voice for each in bounds])
        min_seconds = begun * np.array([each.least_seconds for each in bounds])
        clusters, voices = self._clusters.voices(least, same_voice, min_seconds)
        known = len(self._known)
        heard = set(clusters.tolist())
        for number, cluster in _matches(self._known, voices, heard, self._description.known_voice):
            clusters = np.where(clusters == cluster, number, clusters)
            voices[number] = voices[cluster]
            heard = heard - {cluster} | {number}
        # What is left over is no voice.
        kept = [*range(known), *sorted(each for each in heard if each >= known)]
        positions = np.zeros(len(voices), np.int64)
        positions[kept] = np.arange(len(kept))
        of_pieces = positions[clusters]
        channels = np.full(len(kept), NO_CHANNEL)
        channels[of_pieces] = self._channels
        return _Voices(of_pieces, voices[kept], channels)

    def _thresholds(self, channel: int) -> Thresholds:
        own = self._channels == channel
        is_narrow = 2 * np.count_nonzero(self._are_narrow[own]) > np.count_nonzero(own)
        bounds = self._description.thresholds(bool(is_narrow))
        enough = max(self._description.least_seconds, _SHARE * float(self._seconds[own].sum()))
        update = {"least_seconds": min(bounds.least_seconds, enough)}
        return bounds.model_copy(update=update)

    def _sides(
        self, segments: Sequence[Segment], voices: _Voices, seconds_before: float
    ) -> list[_Side]:
        """The segments of each channel with the voices of their words, by pieces from
        `seconds_before` the first segment on."""
        by_channel: defaultdict[int, list[Segment]] = defaultdict(list)
        for segment in segments:
            by_channel[segment.channel].append(segment)
        sides = []
        for channel, own in by_channel.items():
            pieces = np.flatnonzero(self._channels == channel)
            first = np.searchsorted(self._spans[pieces, 1], own[0].start - seconds_before)
            words, pieces = spoken(own), pieces[first:]
            said = self._said(words, voices, channel, pieces)
            sides.append(_Side(channel, own, [word.span for word in words], said, pieces))
        return sides

    def _said(
        self, words: Sequence[Spoken], voices: _Voices, channel: int, pieces: Numbers
    ) -> list[int]:
        """The voice of each word, one of those of its channel."""
        choice = np.flatnonzero(voices.channels == channel)
        if not len(choice):
            return [voices.unheard(channel)] * len(words)
        cosines = self._embeddings[pieces].astype(np.float32) @ voices.embeddings[choice].T
        said = most_likely(words, self._spans[pieces], cosines)
        return [int(voice) for voice in choice[said]]

    def _numbers_sent(self, voices: _Voices, found: Sequence[int]) -> dict[int, int]:
        """The number of each voice that is found: as sent before, where its pieces were."""
        known = len(self._known)
        numbers = {voice: voice for voice in range(known)}
        lengths = self._spans[:, 1] - self._spans[:, 0]
        votes: list[tuple[float, int, int]] = []
        for number in range(known, known + self._sent_count):
            for voice in range(known, len(voices.channels)):
                both = (voices.of_pieces == voice) & (self._sent == number)
                votes.append((float(lengths[both].sum()), number, voice))
        for seconds, number, voice in sorted(votes, key=lambda vote: -vote[0]):
            if seconds > 0 and voice not in numbers and number not in numbers.values():
                numbers[voice] = number
        for voice in found:
            if voice not in numbers:
                numbers[voice] = self._next_number(voice, voices, numbers)
        return numbers

    def _next_number(self, voice: int, voices: _Voices, numbers: dict[int, int]) -> int:
        """The number of a voice that was not sent: a new one or, where there may be no more, that
        of the likest voice of its channel, for which it was taken before."""
        rivals = [
            each
            for each in numbers
            if max(each, voice) < len(voices.channels)
            and voices.channels[each] == voices.channels[voice]
        ]
        heard = np.count_nonzero(voices.channels[: len(self._known)] != NO_CHANNEL)
        if rivals and heard + self._sent_count >= self._count.most:
            likest = max(
                rivals, key=lambda each: float(voices.embeddings[each] @ voices.embeddings[voice])
            )
            return numbers[likest]
        self._sent_count += 1
        return len(self._known) + self._sent_count - 1

    def _note(self, side: _Side, speakers: Sequence[int]) -> None:
        """Note which pieces the words that are sent lie on."""
        starts = np.array([start for start, _ in side.spans])
        middles = self._spans[side.pieces].mean(axis=1)
        at = np.maximum(np.searchsorted(starts, middles, "right") - 1, 0)
        sent = self._sent[side.pieces]
        is_new = (sent < 0) & (middles <= side.spans[-1][1])
        self._sent[side.pieces] = np.where(is_new, np.asarray(speakers)[at], sent)

    def _cut(self, side: _Side, speakers: Sequence[int], earliest: float = 0.0) -> list[Segment]:
        """The segments cut by speaker, over the speech of their words, none before `earliest`."""
        audible = chain.from_iterable(self._speech[number] for number in side.pieces)
        spans = np.array(list(audible)).reshape(-1, 2)
        rest = iter(speakers)
        parts = [
            part
            for segment in side.segments
            for part in by_speaker(segment, list(islice(rest, max(1, len(segment.words)))), spans)
        ]
        return list(over_speech(parts, spans, earliest))


def _start(segment: Segment) -> float:
    return segment.start


def _in_order(sides: Sequence[_Side]) -> list[int]:
    """The voices of all sides, in the order of their first words."""
    words = [
        (span[0], voice)
        for side in sides
        for span, voice in zip(side.spans, side.voices, strict=True)
    ]
    return list(dict.fromkeys(voice for _, voice in sorted(words, key=lambda word: word[0])))


def _matches(
    known: Embeddings, voices: Embeddings, heard: set[int], least: float
) -> Iterator[tuple[int, int]]:
    """Known voices that no piece joined, each with the cluster that is surely it: the most alike
    first, and more alike than any other of the two."""
    silent = [number for number in range(len(known)) if number not in heard]
    strange = sorted(cluster for cluster in heard if cluster >= len(known))
    while silent and strange:
        cosines = known[silent] @ voices[strange].T
        row, column = divmod(int(np.argmax(cosines)), len(strange))
        best = cosines[row, column]
        rivals = np.delete(cosines[:, column], row)
        if best < least or (len(rivals) and best - rivals.max() < KNOWN_MARGIN):
            return
        yield silent.pop(row), strange.pop(column)
