"""Embeddings in order of time -> clusters, one for each voice, in bounded memory.

Agglomerative clustering by average linkage: the two clusters whose embeddings are most alike are
joined, as long as they are as alike as those of one voice.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.diarization.encoder import Embeddings

MAX_GROUPS = 400
"""Groups of pieces that are clustered, those of ten minutes of turns and more; beyond that, those
most alike are joined for good, to half as many."""

MAX_GROUP_SECONDS = 5.0
"""Speech of one group."""

SAME_GROUP = 0.75
"""Least cosine of a piece to the group before it, of which it becomes a part."""

_REFERENCE_SECONDS = 4.0
"""Speech that a reference weighs as much as."""

_STRICTER = 0.02
"""Steps of the threshold where more voices are asked for than are found."""

Numbers = NDArray[np.int64]


class Clusters:
    """The voices of one recording. Not for use by two threads at once.

    `known`: embeddings of known voices, which are clusters 0, 1, … and never joined.
    `most`: voices, at most.
    """

    def __init__(self, most: int, known: Embeddings) -> None:
        self._most = most
        self._known = known
        self._sums = np.zeros((0, known.shape[1]))
        """Of the embeddings of each group, weighted by seconds."""
        self._seconds = np.zeros(0)
        self._groups = np.zeros(0, np.int64)
        """The group of each piece."""

    def add(self, embeddings: Embeddings, seconds: Sequence[float]) -> None:
        """Add pieces that follow each other, and how much speech they stand for."""
        sums: list[NDArray[np.float64]] = []
        lengths: list[float] = []
        groups: list[int] = []
        for embedding, length in zip(embeddings, seconds, strict=True):
            fits = bool(sums) and lengths[-1] + length <= MAX_GROUP_SECONDS
            if not fits or embedding @ sums[-1] < SAME_GROUP * np.linalg.norm(sums[-1]):
                sums.append(np.zeros(len(embedding)))
                lengths.append(0.0)
            sums[-1] = sums[-1] + embedding * length
            lengths[-1] += length
            groups.append(len(self._sums) + len(sums) - 1)
        if not sums:
            return
        self._sums = np.concatenate([self._sums, np.stack(sums)])
        self._seconds = np.concatenate([self._seconds, lengths])
        self._groups = np.concatenate([self._groups, groups])
        if len(self._sums) > MAX_GROUPS:
            self._condense()

    def voices(
        self, least: int, same_voice: float, min_seconds: float
    ) -> tuple[Numbers, Embeddings]:
        """The cluster of each piece, and the mean embedding of each cluster, of length 1.

        `same_voice`: least mean cosine between two clusters of one voice. There are `least`
        clusters if so many can be told apart. What has less speech than `min_seconds` is no
        cluster, but joined to the one most like it. The first ones are the known voices, heard or
        not.
        """
        if not len(self._sums):
            return self._groups, self._known.copy()
        known = len(self._known)
        sums = np.concatenate([self._known * _REFERENCE_SECONDS, self._sums])
        seconds = np.concatenate([np.full(known, _REFERENCE_SECONDS), self._seconds])
        labels = self._enough(sums, seconds, least, same_voice, min_seconds)
        totals, lengths = _totals(sums, labels), _totals(seconds, labels)
        labels = joined(totals, lengths, np.inf, self._most, known)[labels]
        return labels[known:][self._groups], _of_length_one(_totals(sums, labels))

    def _enough(
        self,
        sums: NDArray[np.float64],
        seconds: NDArray[np.float64],
        least: int,
        same_voice: float,
        min_seconds: float,
    ) -> Numbers:
        """At least so many clusters, if stricter thresholds find them."""
        known = len(self._known)
        count = len(sums)
        labels = joined(sums, seconds, same_voice, count, known)
        best = _large(labels, sums, seconds, known, min_seconds)
        for threshold in np.arange(same_voice, 1.0, _STRICTER):
            if _heard(best, known) >= least:
                break
            labels = joined(sums, seconds, threshold + _STRICTER, count, known)
            labels = _large(labels, sums, seconds, known, min_seconds)
            if _heard(labels, known) > _heard(best, known):
                best = labels
        return best

    def _condense(self) -> None:
        """Join the most alike groups, to half of `MAX_GROUPS`."""
        half = MAX_GROUPS // 2
        labels = joined(self._sums, self._seconds, np.inf, half, 0)
        self._sums, self._seconds = _totals(self._sums, labels), _totals(self._seconds, labels)
        self._groups = labels[self._groups]


def joined(
    sums: NDArray[np.float64],
    seconds: NDArray[np.float64],
    threshold: float,
    most: int,
    known: int,
) -> Numbers:
    """Join groups to clusters while there are more than `most`, or two have a likeness of
    `threshold`; the first `known` groups stay apart, and those of them that nothing joined are not
    counted.

    Returns the cluster of each group, numbered in the order of their first groups.
    """
    count = len(sums)
    labels: Numbers = np.arange(count)
    sums, weights = sums.copy(), seconds.copy()
    means = sums / weights[:, None]
    likeness = means @ means.T
    np.fill_diagonal(likeness, -np.inf)
    likeness[:known, :known] = -np.inf
    is_heard = np.arange(count) >= known
    is_left = np.ones(count, np.bool_)
    nearest, nearness = likeness.argmax(axis=1), likeness.max(axis=1)
    while count > known:
        at = int(np.argmax(nearness))
        first, second = sorted((at, int(nearest[at])))
        is_alike = likeness[first, second] >= threshold
        is_many = np.count_nonzero(is_heard & is_left) > most
        if likeness[first, second] == -np.inf or not (is_alike or is_many):
            break
        sums[first] += sums[second]
        weights[first] += weights[second]
        means[first] = sums[first] / weights[first]
        is_heard[first], is_left[second] = True, False
        row = np.where(is_left, means @ means[first], -np.inf)
        row[first] = -np.inf
        if first < known:
            row[:known] = -np.inf
        likeness[second] = likeness[:, second] = -np.inf
        likeness[first] = likeness[:, first] = row
        nearness[second] = -np.inf
        # To others, the mean of two is no more alike than the more alike of the two was.
        changed = np.flatnonzero((nearest == first) | (nearest == second))
        changed = np.append(changed[is_left[changed]], first)
        nearest[changed] = likeness[changed].argmax(axis=1)
        nearness[changed] = likeness[changed, nearest[changed]]
        labels[labels == second] = first
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _large(
    labels: Numbers,
    sums: NDArray[np.float64],
    seconds: NDArray[np.float64],
    known: int,
    min_seconds: float,
) -> Numbers:
    """The clusters of enough speech; others are joined to those most like them."""
    while True:
        totals = _totals(seconds, labels)
        unknown = np.arange(known, len(totals))
        if not len(unknown) or _heard(labels, known) <= 1:
            return labels
        smallest = int(unknown[np.argmin(totals[unknown])])
        if totals[smallest] >= min_seconds:
            return labels
        means = _of_length_one(_totals(sums, labels))
        likeness = means @ means[smallest]
        likeness[smallest] = -np.inf
        labels = np.where(labels == smallest, int(np.argmax(likeness)), labels)
        labels = np.where(labels > smallest, labels - 1, labels)


def _heard(labels: Numbers, known: int) -> int:
    """The clusters of what was heard, references left out."""
    return len(np.unique(labels[known:]))


def _totals(values: NDArray[np.float64], labels: Numbers) -> NDArray[np.float64]:
    """The sums of the rows of each label."""
    totals = np.zeros((int(labels.max()) + 1, *values.shape[1:]))
    np.add.at(totals, labels, values)
    return totals


def _of_length_one(vectors: NDArray[np.float64]) -> Embeddings:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return np.asarray(vectors / lengths, np.float32)
