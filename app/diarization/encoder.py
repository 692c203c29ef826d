"""The encoder of voices: pieces of sound -> embeddings, alike where the voice is the same.

An encoder is an ONNX file and, beside it, a JSON file of the same name that describes it; and, if
there is one, `NAME.telephone.onnx`: the same for sound of a telephone's band, with embeddings that
are alike those of the whole band.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.diarization.features import Kind, spectra
from app.domain import SAMPLE_RATE, Samples
from app.errors import SetupError

BUILT_IN = Path(__file__).parent / "ge2e" / "encoder.onnx"

BATCH = 4
"""Pieces in one call. The encoder that is built in takes 46 MB with that; with 32 it takes 81 MB,
and 3 % less time for a piece."""

Embeddings = NDArray[np.float32]
"""Shape (n, dimensions), rows of length 1."""


class Thresholds(BaseModel):
    """From when on two voices are two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    same_voice: float = Field(gt=0.0, lt=1.0)
    """Least cosine of the mean embeddings of two stretches of one voice."""
    least_seconds: float = Field(ge=0.0, le=30.0)
    """Speech without which a voice is not told from the others; by telephone a share of all
    speech is enough, too (tracker.py)."""


class Description(Thresholds):
    """What an encoder hears and how alike its embeddings are."""

    features: Kind
    bands: int = Field(ge=8, le=256)
    window_seconds: float = Field(ge=0.5, le=5.0)
    """Length of a piece."""
    known_voice: float = Field(gt=0.0, lt=1.0)
    """Least cosine of a voice and its reference."""
    telephone: Thresholds | None = None
    """Of recordings whose sound is mostly of a telephone's band; None: the same."""

    def thresholds(self, is_narrow: bool) -> Thresholds:
        """Those for sound of a telephone's band, or of the whole band."""
        return self.telephone if is_narrow and self.telephone else self


class Encoder:
    """Safe for several threads: each call computes on its caller's thread alone.

    On a GPU where onnxruntime can use one.
    """

    def __init__(self, path: Path = BUILT_IN) -> None:
        """Raises SetupError for files that are missing or wrong."""
        self.description = _description(path.with_suffix(".json"))
        self._session = self._loaded(path)
        narrow = path.with_suffix(".telephone.onnx")
        self._narrow = self._loaded(narrow) if narrow.is_file() else None

    def _loaded(self, path: Path) -> onnxruntime.InferenceSession:
        """Raises SetupError unless a batch of silence has embeddings."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        usable = onnxruntime.get_available_providers()
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=[each for each in wanted if each in usable]
            )
            silence = np.zeros(self.piece_samples, np.float32)
            self.dimensions = self._run(session, [silence]).shape[1]
        # onnxruntime's exceptions have no common class but this.
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise SetupError(f"{path} is no encoder as its description has it: {reason}") from error
        return session

    @property
    def piece_samples(self) -> int:
        """Samples of a piece."""
        return round(self.description.window_seconds * SAMPLE_RATE)

    def embed(self, pieces: Sequence[Samples], are_narrow: Sequence[bool]) -> Embeddings:
        """The embedding of each piece, all of `piece_samples`; which have a telephone's band."""
        if not pieces:
            return np.zeros((0, self.dimensions), np.float32)
        if self._narrow is None:
            return self._run(self._session, pieces)
        found = np.empty((len(pieces), self.dimensions), np.float32)
        narrow = np.array(are_narrow)
        for session, chosen in ((self._session, ~narrow), (self._narrow, narrow)):
            if numbers := np.flatnonzero(chosen).tolist():
                found[numbers] = self._run(session, [pieces[number] for number in numbers])
        return found

    def _run(self, session: onnxruntime.InferenceSession, pieces: Sequence[Samples]) -> Embeddings:
        kind, bands = self.description.features, self.description.bands
        (input_,) = session.get_inputs()
        found = []
        for at in range(0, len(pieces), BATCH):
            batch = np.stack([spectra(each, kind, bands) for each in pieces[at : at + BATCH]])
            found.append(session.run(None, {input_.name: batch})[0])
        embeddings = np.concatenate(found).astype(np.float32)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, 1e-9), np.float32)


def _description(path: Path) -> Description:
    try:
        return Description.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise SetupError(f"the encoder's description {path} cannot be used: {problem}") from error
