"""The speakers of one recording, from its first window to its last."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from app.diarization.clusters import Clusters
from app.diarization.encoder import Description, Embeddings
from app.diarization.pieces import Piece
from app.diarization.segment_times import over_speech
from app.diarization.word_speakers import by_speaker, most_likely, spoken
from app.domain import Segment, Span, SpeakerCount

KNOWN_MARGIN = 0.05
"""By how much a voice must be more like its reference than like any other."""

_BEGUN = 0.75
"""Share of the least speech of a voice that it must have in a stream, where it may have just begun:
chosen on the bench's tuned half."""

_SHARE = 0.12
"""Of all speech, that is enough for a voice where `least_seconds` by telephone asks for more: of
calls of half a minute a voice has few seconds. Chosen on the bench's tuned half."""


class Tracker:
    """Tells who says each word. Not for use by two threads at once.

    Speakers are numbers: the known voices, in the order of `known`, and then the others in the
    order of their first words. Embeddings are kept in 16 bits: 2.3 MB for an hour of speech.
    """

    def __init__(self, description: Description, count: SpeakerCount, known: Embeddings) -> None:
        self._description = description
        self._count = count
        self._known = known
        self._clusters = Clusters(count.most, known)
        self._spans = np.zeros((0, 2))
        self._seconds = 0.0
        """Of audible speech."""
        self._speech: list[tuple[Span, ...]] = []
        """By piece."""
        self._are_narrow = np.zeros(0, np.bool_)
        self._embeddings = np.zeros((0, known.shape[1]), np.float16)
        self._sent = np.zeros(0, np.int64)
        """The speaker of each piece in the words that were sent; -1: none."""
        self._sent_count = 0
        """Speakers that were sent, known ones not counted."""
        self._sent_end = 0.0
        """End of the last segment that was sent, in seconds."""

    def add(self, pieces: Sequence[Piece], embeddings: Embeddings) -> None:
        """Add the pieces of a window, which begins where the one before ended or later."""
        if not pieces:
            return
        spans = np.array([piece.span for piece in pieces])
        seconds = [piece.seconds for piece in pieces]
        self._clusters.add(embeddings, seconds)
        self._seconds += sum(seconds)
        self._spans = np.concatenate([self._spans, spans])
        self._speech += [piece.speech for piece in pieces]
        narrow = [piece.is_narrow for piece in pieces]
        self._are_narrow = np.concatenate([self._are_narrow, narrow])
        self._embeddings = np.concatenate([self._embeddings, embeddings.astype(np.float16)])
        self._sent = np.concatenate([self._sent, np.full(len(pieces), -1)])

    def so_far(self, segments: Sequence[Segment]) -> list[Segment]:
        """The next segments, cut by speaker, for a stream: a speaker keeps the number that was
        sent, whatever is heard later."""
        if not segments:
            return []
        clusters, voices = self._voices(1, _BEGUN)
        first = int(np.searchsorted(self._spans[:, 1], segments[0].start - 2.0))
        found = self._said(segments, voices, first)
        numbers = self._numbers_sent(clusters, voices, found)
        speakers = [numbers[voice] for voice in found]
        self._note(segments, speakers, first)
        sent = list(_cut(segments, speakers, self._audible(first), self._sent_end))
        self._sent_end = sent[-1].end
        return sent

    def final(self, segments: Sequence[Segment]) -> list[Segment]:
        """All segments, cut by speaker, from all that was heard."""
        if not segments:
            return []
        _, voices = self._voices(self._count.least, 1.0)
        found = self._said(segments, voices, 0)
        known = len(self._known)
        others = list(dict.fromkeys(voice for voice in found if voice >= known))
        speakers = [voice if voice < known else known + others.index(voice) for voice in found]
        return list(_cut(segments, speakers, self._audible(0)))

    def _audible(self, first: int) -> NDArray[np.float64]:
        """Start and end of the speech of pieces from number `first` on, shape (stretches, 2)."""
        return np.array(list(chain.from_iterable(self._speech[first:]))).reshape(-1, 2)

    def _voices(self, least: int, begun: float) -> tuple[NDArray[np.int64], Embeddings]:
        """The voice of each piece and the embeddings of the voices, known ones first, heard or
        not. `begun`: the share of the least speech of a voice that is enough."""
        is_narrow = 2 * int(np.count_nonzero(self._are_narrow)) > len(self._are_narrow)
        bounds = self._description.thresholds(is_narrow)
        enough = max(self._description.least_seconds, _SHARE * self._seconds)
        min_seconds = begun * min(bounds.least_seconds, enough)
        clusters, voices = self._clusters.voices(least, bounds.same_voice, min_seconds)
        known = len(self._known)
        heard = set(clusters.tolist())
        for number, cluster in _matches(self._known, voices, heard, self._description.known_voice):
            clusters = np.where(clusters == cluster, number, clusters)
            voices[number] = voices[cluster]
            heard = heard - {cluster} | {number}
        # What is left over is no voice, and unheard ones are no choice.
        kept = [*range(known), *sorted(each for each in heard if each >= known)]
        positions = np.zeros(len(voices), np.int64)
        positions[kept] = np.arange(len(kept))
        voices = voices[kept]
        silent = [number for number in range(known) if number not in heard]
        if len(silent) < len(voices):
            voices[silent] = 0.0
        return positions[clusters], voices

    def _said(self, segments: Sequence[Segment], voices: Embeddings, first: int) -> list[int]:
        """The voice of each word, by the pieces from number `first` on."""
        words = spoken(segments)
        if not len(voices):
            return [0] * len(words)
        cosines = self._embeddings[first:].astype(np.float32) @ voices.T
        return most_likely(words, self._spans[first:], cosines)

    def _numbers_sent(
        self, clusters: NDArray[np.int64], voices: Embeddings, found: Sequence[int]
    ) -> dict[int, int]:
        """The number of each voice that is found: as sent before, where its pieces were."""
        known = len(self._known)
        numbers = {voice: voice for voice in range(known)}
        lengths = self._spans[:, 1] - self._spans[:, 0]
        votes: list[tuple[float, int, int]] = []
        for number in range(known, known + self._sent_count):
            for voice in range(known, len(voices)):
                both = (clusters == voice) & (self._sent == number)
                votes.append((float(lengths[both].sum()), number, voice))
        for seconds, number, voice in sorted(votes, key=lambda vote: -vote[0]):
            if seconds > 0 and voice not in numbers and number not in numbers.values():
                numbers[voice] = number
        for voice in dict.fromkeys(found):
            if voice in numbers:
                continue
            if len(self._known) + self._sent_count < max(self._count.most, 1):
                numbers[voice] = known + self._sent_count
                self._sent_count += 1
            else:  # a voice that was taken for another: it goes on under the likest one's number
                likest = max(numbers, key=lambda each: float(voices[each] @ voices[voice]))
                numbers[voice] = numbers[likest]
        return numbers

    def _note(self, segments: Sequence[Segment], speakers: Sequence[int], first: int) -> None:
        """Note which pieces the words that are sent lie on."""
        words = spoken(segments)
        starts = np.array([word.span[0] for word in words])
        middles = self._spans[first:].mean(axis=1)
        at = np.maximum(np.searchsorted(starts, middles, "right") - 1, 0)
        is_new = (self._sent[first:] < 0) & (middles <= words[-1].span[1])
        self._sent[first:] = np.where(is_new, np.asarray(speakers)[at], self._sent[first:])


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


def _cut(
    segments: Sequence[Segment],
    speakers: Sequence[int],
    spans: NDArray[np.float64],
    earliest: float = 0.0,
) -> Iterator[Segment]:
    """The segments cut by speaker, over the speech of their words, none before `earliest`.

    `speakers`: of each word; `spans`: of audible speech, from the first segment on.
    """
    rest = iter(speakers)
    parts = [
        part
        for segment in segments
        for part in by_speaker(segment, list(islice(rest, max(1, len(segment.words)))), spans)
    ]
    return over_speech(parts, spans, earliest)
