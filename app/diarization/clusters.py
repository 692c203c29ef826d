"""Embeddings in order of time -> clusters, one for each voice, in bounded memory.

Agglomerative clustering by average linkage: the two clusters whose embeddings are most alike are
joined, as long as they are as alike as those of one voice. A voice is heard on one channel only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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

_NEVER = 2.0
"""A likeness that no two embeddings have."""

NO_CHANNEL = -1
"""The channel of a known voice that was not heard."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of pieces; known voices come first."""

    sums: NDArray[np.float64]
    """Of the embeddings of each group, weighted by seconds, shape (groups, dimensions)."""
    seconds: NDArray[np.float64]
    channels: Numbers

    def __len__(self) -> int:
        return len(self.seconds)

    def by(self, labels: Numbers) -> "Groups":
        """The groups of one label joined."""
        channels = np.full(int(labels.max()) + 1, NO_CHANNEL)
        np.maximum.at(channels, labels, self.channels)
        return Groups(_totals(self.sums, labels), _totals(self.seconds, labels), channels)

    def before(self, others: "Groups") -> "Groups":
        """These groups, and others after them."""
        return Groups(
            np.concatenate([self.sums, others.sums]),
            np.concatenate([self.seconds, others.seconds]),
            np.concatenate([self.channels, others.channels]),
        )


class Clusters:
    """The voices of one recording. Not for use by two threads at once.

    `known`: embeddings of known voices, which are clusters 0, 1, … and never joined.
    `most`: voices, at most.
    """

    def __init__(self, most: int, known: Embeddings) -> None:
        self._most = most
        count = len(known)
        self._known = Groups(
            known.astype(np.float64) * _REFERENCE_SECONDS,
            np.full(count, _REFERENCE_SECONDS),
            np.full(count, NO_CHANNEL),
        )
        self._groups = Groups(np.zeros((0, known.shape[1])), np.zeros(0), np.zeros(0, np.int64))
        self._of_pieces = np.zeros(0, np.int64)
        """The group of each piece."""

    def add(self, embeddings: Embeddings, seconds: Sequence[float], channel: int = 0) -> None:
        """Add pieces of a channel that follow each other, and how much speech they stand for."""
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
            groups.append(len(self._groups) + len(sums) - 1)
        if not sums:
            return
        added = Groups(np.stack(sums), np.array(lengths), np.full(len(sums), channel))
        self._groups = self._groups.before(added)
        self._of_pieces = np.concatenate([self._of_pieces, groups])
        if len(self._groups) > MAX_GROUPS:
            self._condense()

    def voices(
        self, least: int, same_voice: NDArray[np.float64], min_seconds: NDArray[np.float64]
    ) -> tuple[Numbers, Embeddings]:
        """The cluster of each piece, and the mean embedding of each cluster, of length 1.

        `same_voice`: least mean cosine between two clusters of one voice, by channel. There are
        `least` clusters on all channels together, if so many can be told apart. What has less
        speech than `min_seconds`, by channel, is no cluster, but joined to the one of its channel
        most like it. The first ones are the known voices, heard or not.
        """
        known = len(self._known)
        groups = self._known.before(self._groups)
        if not len(self._groups):
            return self._of_pieces, _of_length_one(groups.sums)
        labels = self._enough(groups, least, same_voice, min_seconds)
        labels = joined(groups.by(labels), _NEVER, self._most, known)[labels]
        return labels[known:][self._of_pieces], _of_length_one(groups.by(labels).sums)

    def _enough(
        self,
        groups: Groups,
        least: int,
        same_voice: NDArray[np.float64],
        min_seconds: NDArray[np.float64],
    ) -> Numbers:
        """At least so many clusters, if stricter thresholds find them."""
        known = len(self._known)
        thresholds = np.where(groups.channels < 0, 0.0, same_voice[groups.channels])
        labels = joined(groups, thresholds, len(groups), known)
        best = _large(labels, groups, known, min_seconds)
        for stricter in np.arange(_STRICTER, 1.0 - same_voice.min() + _STRICTER, _STRICTER):
            if _heard(best, known) >= least:
                break
            labels = joined(groups, thresholds + stricter, len(groups), known)
            labels = _large(labels, groups, known, min_seconds)
            if _heard(labels, known) > _heard(best, known):
                best = labels
        return best

    def _condense(self) -> None:
        """Join the most alike groups, to half of `MAX_GROUPS`."""
        labels = joined(self._groups, _NEVER, MAX_GROUPS // 2, 0)
        self._groups = self._groups.by(labels)
        self._of_pieces = labels[self._of_pieces]


def joined(
    groups: Groups, thresholds: NDArray[np.float64] | float, most: int, known: int
) -> Numbers:
    """Join groups to clusters while there are more than `most`, or two have a likeness of their
    threshold, the higher of the two; the first `known` groups stay apart, and those of them that
    nothing joined are not counted. Groups of two channels stay apart, too.

    Returns the cluster of each group, numbered in the order of their first groups.
    """
    count = len(groups)
    labels: Numbers = np.arange(count)
    sums, weights, channels = groups.sums.copy(), groups.seconds.copy(), groups.channels.copy()
    limits = np.broadcast_to(thresholds, count).copy()
    means = sums / weights[:, None]
    # Of two groups: by how much they are more alike than they must be.
    likeness = means @ means.T - np.maximum.outer(limits, limits)
    likeness[_are_apart(channels[:, None], channels)] = -np.inf
    np.fill_diagonal(likeness, -np.inf)
    likeness[:known, :known] = -np.inf
    is_left = np.ones(count, np.bool_)
    nearest, nearness = likeness.argmax(axis=1), likeness.max(axis=1)
    while count > known:
        at = int(np.argmax(nearness))
        first, second = sorted((at, int(nearest[at])))
        is_many = np.count_nonzero((channels >= 0) & is_left) > most
        if likeness[first, second] == -np.inf or not (likeness[first, second] >= 0 or is_many):
            break
        sums[first] += sums[second]
        weights[first] += weights[second]
        means[first] = sums[first] / weights[first]
        channels[first], is_left[second] = channels[second], False
        limits[first] = max(limits[first], limits[second])
        row = means @ means[first] - np.maximum(limits, limits[first])
        row[~is_left | _are_apart(channels, channels[first])] = -np.inf
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


def _are_apart(channels: Numbers, others: Numbers | np.int64) -> NDArray[np.bool_]:
    """Which are of two channels?"""
    return np.asarray((channels != others) & (channels >= 0) & (others >= 0), np.bool_)


def _large(
    labels: Numbers, groups: Groups, known: int, min_seconds: NDArray[np.float64]
) -> Numbers:
    """The clusters of enough speech; others are joined to those most like them. The only cluster
    of a channel is one, however short."""
    while True:
        clusters = groups.by(labels)
        channels = clusters.channels
        counts = np.bincount(channels[channels >= 0])
        is_short = (clusters.seconds < min_seconds[channels]) & (counts[channels] > 1)
        is_short[:known] = False
        if not is_short.any():
            return labels
        smallest = int(np.argmin(np.where(is_short, clusters.seconds, np.inf)))
        means = _of_length_one(clusters.sums)
        likeness = means @ means[smallest]
        likeness[_are_apart(channels, channels[smallest])] = -np.inf
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
