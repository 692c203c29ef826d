"""Embeddings as an encoder makes them: alike within a voice, less alike between two."""

import numpy as np

from app.diarization.encoder import Description, Embeddings
from app.diarization.pieces import Piece

DESCRIPTION = Description(
    features="mel",
    bands=40,
    window_seconds=1.6,
    same_voice=0.6,
    least_seconds=1.5,
    known_voice=0.7,
)
SIZE = 64


class Voices:
    """`embeddings(voice, count)` have cosines of 0.8 within a voice and of 0.4 between two."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self._chance = np.random.default_rng(seed)
        directions, _ = np.linalg.qr(self._chance.standard_normal((SIZE, count + 1)))
        self._voices = np.sqrt(0.4) * directions[:, -1:].T + np.sqrt(0.4) * directions[:, :-1].T

    def embeddings(self, voice: int, count: int) -> Embeddings:
        noise = self._chance.standard_normal((count, SIZE)) * np.sqrt(0.2 / SIZE)
        found = self._voices[voice] + noise
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    def reference(self, voice: int) -> Embeddings:
        mean = self.embeddings(voice, 5).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def pieces(
    start: float, count: int, step: float = 0.8, *, is_narrow: bool = False, channel: int = 0
) -> list[Piece]:
    """Pieces that follow each other, without their sound."""
    spans = [(start + n * step, start + (n + 1) * step) for n in range(count)]
    sound = np.zeros(0, np.float32)
    return [Piece(span, (span,), sound, is_narrow, channel) for span in spans]
