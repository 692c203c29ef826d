"""The encoder of voices on threads of its own, for all requests that ask for speakers."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from app.audio.voice_activity import VoiceActivity
from app.audio.windowing import WindowPacker, WindowPolicy
from app.diarization.encoder import BUILT_IN, Embeddings, Encoder
from app.diarization.pieces import Piece, pieces
from app.diarization.tracker import Tracker
from app.domain import Samples, SpeakerCount, Window
from app.errors import InvalidRequest
from app.process.cpus import available_cpus
from app.process.fair_threads import FairThreads

CORES_PER_THREAD = 4
"""So that embedding takes at most a quarter of the cores from the model and the audio threads."""


class Diarizer(FairThreads):
    """Threads for the encoder, which is loaded when it is first needed."""

    def __init__(self, model: Path | None = None) -> None:
        """`model`: an encoder of the operator's, loaded at once. Raises SetupError."""
        super().__init__(max(1, available_cpus() // CORES_PER_THREAD), "speakers")
        self._path = model or BUILT_IN
        self._loading = Lock()
        if model is not None:
            _ = self.encoder

    @cached_property
    def encoder(self) -> Encoder:
        with self._loading:
            return self.__dict__.get("encoder") or Encoder(self._path)

    def tracker(self, count: SpeakerCount, known: Embeddings | None) -> Tracker:
        """The tracker of one recording; `known`: embeddings of known voices. Blocking."""
        if known is None:
            known = np.zeros((0, self.encoder.dimensions), np.float32)
        return Tracker(self.encoder.description, count, known)

    def hear(self, window: Window) -> tuple[list[Piece], Embeddings]:
        """The pieces of a window's speech and their embeddings. Blocking."""
        found = pieces(window, self.encoder.piece_samples)
        samples = [piece.samples for piece in found]
        return found, self.encoder.embed(samples, [piece.is_narrow for piece in found])

    def known_voices(self, references: Sequence[Samples]) -> Embeddings:
        """The mean embedding of the speech of each reference, of length 1. Blocking.

        Raises InvalidRequest for a reference without speech.
        """
        return np.stack([self._voice(*each) for each in enumerate(references, 1)])

    def _voice(self, number: int, samples: Samples) -> Embeddings:
        detector, packer = VoiceActivity(), WindowPacker(WindowPolicy())
        windows = packer.push(detector.push(samples)) + packer.push(detector.flush())
        heard = [self.hear(window)[1] for window in windows + packer.flush()]
        embeddings = np.concatenate([np.zeros((0, self.encoder.dimensions), np.float32), *heard])
        if not len(embeddings):
            raise InvalidRequest(
                f"Reference {number} of known_speaker_references has no speech.",
                "known_speaker_references",
            )
        mean = embeddings.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)
